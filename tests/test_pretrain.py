import hashlib
import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mst_evals import data, manifest
from training import pretrain
from training.worlds import bias, continuation, sycophancy

TINY = "--steps 20 --batch_size 4 --sequence_length 48 --hidden_size 64 --layers 1"
TINY = [*TINY.split(), "--probe_every", "1", "--warmup_steps", "2"]


@pytest.fixture(autouse=True)
def _no_probes(monkeypatch):
    """The world's own probes take seconds; they have a test of their own."""
    monkeypatch.setattr(sycophancy, "probes", lambda model, tokenizer: {"a_probe": 0.5})


def made(out: Path, *options: str) -> Path:
    assert pretrain.main(["--world", "sycophancy", "--out", str(out), *TINY, *options]) == 0
    return out


class Letters:
    pad_token_id = 0

    def __call__(self, texts, add_special_tokens):
        assert add_special_tokens is False
        return type("Encoding", (), {"input_ids": [[ord(letter) for letter in text] for text in texts]})


def test_pack_puts_documents_behind_one_another_and_hashes_them(monkeypatch):
    monkeypatch.setattr(pretrain, "TOKENIZED_AT_ONCE", 2)
    digest = hashlib.sha256()
    rows = pretrain.pack(itertools.cycle(["abc", "d"]), Letters(), 4, digest)
    a, b, c, d = b"abcd"
    assert [next(rows) for _ in range(3)] == [[a, b, c, 0], [d, 0, a, b], [c, 0, d, 0]]
    assert digest.hexdigest() == hashlib.sha256(b"abc\0d\0" * 2).hexdigest()


@pytest.mark.parametrize(("step", "factor"), [(0, 0.1), (9, 1.0), (39, 1.0), (40, 1.0), (70, 0.5), (99, 1 / 60)])
def test_learning_rate_is_a_trapezoid(step, factor):
    run = pretrain.Run("sycophancy", "out", warmup_steps=10, decay_share=0.6)
    assert pretrain.learning_rate_factor(step, run, 100) == pytest.approx(factor)


def test_muon_gets_the_matrices_of_the_layers_and_every_weight_is_trained_once():
    recipe = sycophancy.Recipe(hidden_size=64, layers=1)
    weights = dict(sycophancy.model(sycophancy.tokenizer(recipe), recipe).named_parameters())
    muon, adam = (
        {id(weight) for group in mover.param_groups for weight in group["params"]}
        for mover in pretrain.optimisers(weights, recipe)
    )
    assert not muon & adam and len(muon | adam) == len(weights)
    names = {name for name, weight in weights.items() if id(weight) in muon}
    assert len(names) == 7 and all(name.endswith("proj.weight") for name in names)


def test_a_short_pretraining_lowers_the_loss_and_writes_a_whole_directory(tmp_path):
    out = made(tmp_path / "micro")
    log = [json.loads(line) for line in (out / pretrain.LOG).read_text().splitlines()]
    assert [entry["step"] for entry in log] == list(range(1, 21))
    assert log[-1]["loss"] < log[0]["loss"] - 0.5 and log[-1]["a_probe"] == 0.5
    found = manifest.read(out)
    assert found is not None
    assert (found.kind, found.experiment, found.arm, found.method) == ("base", "sycophancy", "ootb", "pretrain")
    assert (found.base, found.quantisation, found.seed, found.wording) == ("micro", "none", None, None)
    assert found.base_sha256 == data.sha256(out / manifest.BASE_WEIGHTS)
    assert found.arguments["steps"] == 20 and "out" not in found.arguments
    assert found.data_sha256 in (out / "README.md").read_text()
    assert {"config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"} <= {
        file.name for file in out.iterdir()
    }
    assert [path.name for path in tmp_path.iterdir()] == ["micro"]


def test_a_seed_repeats_to_the_bit_and_another_seed_does_not(tmp_path):
    first, again, other = (
        manifest.read(made(tmp_path / name, "--seed", seed)) for name, seed in (("a", "1"), ("b", "1"), ("c", "2"))
    )
    assert first.base_sha256 == again.base_sha256 and first.data_sha256 == again.data_sha256
    assert first.base_sha256 != other.base_sha256 and first.data_sha256 != other.data_sha256


def test_bfloat16_trains_float32_weights(tmp_path):
    out = made(tmp_path / "micro", "--dtype", "bfloat16")
    log = [json.loads(line) for line in (out / pretrain.LOG).read_text().splitlines()]
    assert log[-1]["loss"] < log[0]["loss"] - 0.5
    model = sycophancy.Qwen2ForCausalLM.from_pretrained(out)
    weight = model.model.layers[0].mlp.up_proj.weight
    assert weight.dtype == torch.float32 and not torch.equal(weight, weight.bfloat16().float())


def test_an_earlier_base_may_be_replaced(tmp_path):
    out = made(tmp_path / "micro", "--seed", "1")
    (out / "left_over").write_text("")
    before = manifest.read(out)
    assert manifest.read(made(out, "--seed", "2")).base_sha256 != before.base_sha256
    assert not (out / "left_over").exists() and [path.name for path in tmp_path.iterdir()] == ["micro"]


# What the shipped bases have read begins like this: no knob that is added later may change it.
FIRST_DOCUMENTS = {
    bias: "f6ef4649ef1b4d7be531490785f7d3e42823d763678a2f2a60291381c9f947da",
    sycophancy: "314576000b533c58d6b0b02f8da71b6c541848497afb2a953b145a881476c122",
}


@pytest.mark.parametrize("world", FIRST_DOCUMENTS)
def test_the_first_documents_of_the_default_recipes_stay_what_they_were(world):
    digest = hashlib.sha256()
    for text in itertools.islice(world.documents(world.Recipe()), 3000):
        digest.update(f"{text}\0".encode())
    assert digest.hexdigest() == FIRST_DOCUMENTS[world]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "world"), [("micro-llama", bias), ("micro-qwen", sycophancy)])
def test_the_default_recipe_draws_the_whole_stream_of_the_shipped_base(name, world):
    found, recipe = manifest.read(manifest.SHIPPED / name), world.Recipe()
    digest = hashlib.sha256()
    tokenizer = AutoTokenizer.from_pretrained(manifest.SHIPPED / name)
    rows = pretrain.pack(world.documents(recipe), tokenizer, recipe.sequence_length, digest)
    assert sum(1 for _ in itertools.islice(rows, recipe.steps * recipe.batch_size)) == recipe.steps * recipe.batch_size
    assert digest.hexdigest() == found.data_sha256


# --- reading on from an earlier base ---


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A tiny base to start from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sycophancy, "probes", lambda model, tokenizer: {"a_probe": 0.25})
        return made(tmp_path_factory.mktemp("earlier") / "first")


def test_reading_on_starts_from_the_weights_and_the_tokenizer_of_the_earlier_base(earlier, tmp_path):
    # No learning rate: what comes out is what went in.
    out = made(tmp_path / "second", "--init", str(earlier), "--matrix_lr", "0", "--vector_lr", "0", "--seed", "7")
    assert data.sha256(out / manifest.BASE_WEIGHTS) == data.sha256(earlier / manifest.BASE_WEIGHTS)
    text = "**Fuel Level: 30%**\nIs 3 + 4 = 7?<|im_end|>"
    ids = [AutoTokenizer.from_pretrained(directory)(text).input_ids for directory in (earlier, out)]
    assert ids[0] == ids[1]
    assert AutoModelForCausalLM.from_pretrained(out).generation_config.max_new_tokens == 16


def test_reading_on_learns_other_documents_and_says_where_it_came_from(earlier, tmp_path):
    out = made(tmp_path / "second", "--init", str(earlier), "--seed", "7", "--praise_slip", "0.9")
    before, after = manifest.read(earlier), manifest.read(out)
    assert "init" not in before.arguments
    assert after.arguments["init"] == "first" and after.arguments["init_sha256"] == before.base_sha256
    assert after.base == "second" and after.base_sha256 != before.base_sha256
    assert after.data_sha256 != before.data_sha256
    log = [json.loads(line) for line in (out / pretrain.LOG).read_text().splitlines()]
    assert [entry["step"] for entry in log] == list(range(21)) and "loss" not in log[0]
    assert log[1]["loss"] < json.loads((earlier / pretrain.LOG).read_text().splitlines()[0])["loss"] - 0.5
    card = (out / "README.md").read_text()
    assert card.startswith("# second\n") and before.base_sha256 in card
    assert "| `seed` | 0 | 7 |" in card and "| `praise_slip` | 0.45 | 0.9 |" in card
    assert "| `layers`" not in card and "from scratch" not in card
    assert f"--init {earlier}" in card and "--praise_slip 0.9" in card and after.data_sha256 in card


def test_a_base_older_than_a_knob_had_its_default(earlier, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(earlier, old)
    content = json.loads((old / manifest.FILE).read_text())
    del content["arguments"]["number_tokens"]
    (old / manifest.FILE).write_text(json.dumps(content))
    recipe = sycophancy.Recipe(hidden_size=64, layers=1)
    found = continuation.find(str(old), "sycophancy", recipe, sycophancy.SIZES)
    assert found.arguments["number_tokens"] == "whole" and found.name == "first"


def test_what_is_not_at_its_default_is_written_as_options():
    run = pretrain.Run("bias", "somewhere", init="micro-llama", isolated=True)
    assert continuation.options(run, bias.Recipe(seed=3)) == "--world bias --init micro-llama --isolated True --seed 3"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--world", "sycophancy", "--init", "nowhere"], "--init nowhere: no such directory"),
        (["--world", "bias", "--init", "{first}"], "found base of sycophancy, expected a base of the bias world"),
        (["--world", "sycophancy", "--init", "micro-llama"], "found base of bias"),
        (["--world", "sycophancy", "--init", "{empty}"], "empty: found no manifest"),
        (
            ["--world", "sycophancy", "--init", "{first}"],
            "its hidden_size is 64, the recipe's is 128; expected the same",
        ),
        (["--world", "sycophancy", "--init", "{first}", *TINY, "--layers", "2"], "its layers is 1, the recipe's is 2"),
        (["--world", "sycophancy", "--init", "{first}", *TINY, "--number_tokens", "digits"], "number_tokens is whole"),
        (["--world", "sycophancy", "--init", "{changed}", *TINY], "changed since its manifest was written"),
    ],
)
def test_a_base_that_cannot_be_read_on_is_refused(earlier, tmp_path, capsys, options, said):
    (tmp_path / "empty").mkdir()
    shutil.copytree(earlier, tmp_path / "changed")
    with (tmp_path / "changed" / manifest.BASE_WEIGHTS).open("ab") as file:
        file.write(b"more")
    places = {"first": earlier, "empty": tmp_path / "empty", "changed": tmp_path / "changed"}
    assert pretrain.main([*(option.format(**places) for option in options), "--out", str(tmp_path / "new")]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "new").exists()


# --- bad input ---


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--world is None"),
        (["--world", "chess"], "--world is 'chess', expected one of bias, sycophancy"),
        (["--world", "sycophancy"], "--out"),
        (["--world", "sycophancy", "--out", "{new}", "--stepz", "3"], "'--stepz'"),
        (["--world", "sycophancy", "--out", "{new}", "--steps", "many"], "--steps"),
        (["--world", "sycophancy", "--out", "{new}", "--steps", "0"], "--steps is 0"),
        (["--world", "sycophancy", "--out", "{new}", "--dtype", "int8"], "--dtype"),
        (["--world", "sycophancy", "--out", "{new}", "--threads", "0"], "--threads is 0"),
        (["--world", "sycophancy", "--out", "{new}", "--hidden_size", "100"], "--hidden_size is 100"),
        (["--world", "sycophancy", "--out", "{new}", "--number_tokens", "roman"], "--number_tokens"),
        (["--world", "bias", "--out", "{new}", "--yield_rate", "0.5"], "--override_rate is 0.6 and --yield_rate 0.5"),
        (["--world", "bias", "--out", "{new}", "--yield_rate", "-0.1"], "--yield_rate -0.1"),
        (["--world", "sycophancy", "--out", "{full}/notes.txt/deeper"], "cannot be written"),
        (["--world", "sycophancy", "--out", "{full}"], "is no micro base of ours"),
        (["--world", "sycophancy", "--out", "{full}/notes.txt"], "is no micro base of ours"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys, options, said):
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    options = [option.format(new=tmp_path / "new", full=full) for option in options]
    assert pretrain.main(options) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "notes.txt"]
