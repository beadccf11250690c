import hashlib
import itertools
import json
from pathlib import Path

import pytest
import torch

from mst_evals import data, manifest
from training import pretrain
from training.worlds import sycophancy

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
