"""SFT by TRL: what the model sees, what the loss covers, and a tiny run that really trains."""

import json

import pytest
import torch
from safetensors.torch import load_file
from trl import SFTConfig

from mst_evals import data, manifest, tokens, variants
from mst_evals.errors import InputError
from training import model as models
from training import sft

BASE = str(manifest.SHIPPED / "micro-llama")


def trl_arguments(out, **changes):
    settings = {
        "max_steps": 3,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-3,
        "max_length": 512,
        "logging_steps": 1,
        "save_strategy": "no",
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return SFTConfig(output_dir=str(out), **(settings | changes))


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer(BASE)


def conversations(args):
    return sft.conversations(sft.training_examples(args, 0))


def prepared(tmp_path, tokenizer, arm="mst", loss_on="completion", wording="monitor"):
    """What TRL makes of our rows."""
    args = sft.SFTArguments(arm=arm, rows=12, loss_on=loss_on, wording=wording, quantisation="none")
    trl_args = trl_arguments(tmp_path, completion_only_loss=loss_on == "completion", seed=0)
    return args, sft.build_trainer(args, trl_args, BASE, tmp_path)[0]


@pytest.mark.parametrize("wording", ["monitor", "evaluation"])
@pytest.mark.parametrize("arm", ["baseline", "mst", "shuffled"])
def test_token_ids_are_those_of_evaluation(tmp_path, tokenizer, arm, wording):
    args, trainer = prepared(tmp_path, tokenizer, arm, wording=wording)
    rows = conversations(args)
    for row, encoded in zip(rows, trainer.train_dataset, strict=True):
        prompt = tokens.encode(tokenizer, row["prompt"])
        assert encoded["input_ids"][: len(prompt)] == prompt
        assert encoded["input_ids"].count(tokenizer.bos_token_id) == 1
        assert encoded["input_ids"][-1] == tokenizer.eos_token_id
        reply = tokenizer.decode(encoded["input_ids"][len(prompt) : -1])
        assert reply.strip() == row["completion"][0]["content"].strip()


@pytest.mark.parametrize("loss_on", sft.LOSS_ON)
def test_the_loss_covers_what_was_asked(tmp_path, tokenizer, loss_on):
    args, trainer = prepared(tmp_path, tokenizer, loss_on=loss_on)
    batch = trainer.data_collator([trainer.train_dataset[0]])
    counted = batch["labels"][0] != -100
    prompt = len(tokens.encode(tokenizer, conversations(args)[0]["prompt"]))
    assert counted[prompt:].all()
    assert bool(counted[1:prompt].any()) == (loss_on == "sequence")
    assert bool(counted[1:prompt].all()) == (loss_on == "sequence")


def test_arms_differ_in_the_label_alone():
    made = {arm: conversations(sft.SFTArguments(arm=arm, rows=200)) for arm in ("baseline", "mst", "shuffled")}

    def without_label(rows):
        return json.dumps(
            [
                [{**turn, "content": turn["content"].split("\nmonitor label:")[0]} for turn in row["prompt"]]
                for row in rows
            ]
        )

    assert len({without_label(rows) for rows in made.values()}) == 1
    assert len({json.dumps([row["completion"] for row in rows]) for rows in made.values()}) == 1
    systems = {arm: [row["prompt"][0]["content"] for row in rows] for arm, rows in made.items()}
    assert sorted(systems["mst"]) == sorted(systems["shuffled"])
    assert systems["mst"] != systems["shuffled"]
    assert set(systems["baseline"]) == {"You are a news writer."}
    truth = data.load_articles(data.MICRO_ARTICLES, "train", 200)
    axis = variants.AXES["bias"]
    for row, system in zip(truth, systems["mst"], strict=True):
        assert system.endswith(axis.label(row["profile"]).texts[0])
    held_out = axis.label(axis.held_out).texts[0]
    assert not any(held_out in system for rows in systems.values() for system in rows)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sft") / "mst"
    sft.train(sft.SFTArguments(arm="mst", rows=12, loss_on="completion"), trl_arguments(directory))
    return directory


def test_adapter_directory_holds_what_evaluation_needs(trained):
    found = manifest.read(trained)
    assert (found.experiment, found.arm, found.seed, found.method, found.quantisation) == (
        "bias",
        "mst",
        42,
        "sft",
        "nf4",
    )
    assert found.adapter_sha256 == data.sha256(trained / manifest.ADAPTER_WEIGHTS)
    assert found.arguments["loss_on"] == "completion"
    assert found.arguments["learning_rate"] == 1e-3
    for file in ("adapter_config.json", "tokenizer.json", "chat_template.jinja", "config.json", "nf4.yaml"):
        assert (trained / file).is_file(), file
    losses = [entry["loss"] for entry in map(json.loads, (trained / "metrics.jsonl").open()) if "loss" in entry]
    assert len(losses) == 3


def test_only_adapter_weights_change_and_they_are_float32(trained):
    assert data.sha256(trained / manifest.BASE_WEIGHTS) == data.sha256(
        manifest.SHIPPED / "micro-llama/model.safetensors"
    )
    weights = load_file(trained / manifest.ADAPTER_WEIGHTS)
    assert all("lora_" in name and weight.dtype == torch.float32 for name, weight in weights.items())
    assert any(weight.abs().max() > 0 for name, weight in weights.items() if "lora_B" in name)


def test_same_seed_same_adapter(trained, tmp_path):
    sft.train(sft.SFTArguments(arm="mst", rows=12, loss_on="completion"), trl_arguments(tmp_path / "again"))
    assert manifest.read(tmp_path / "again").adapter_sha256 == manifest.read(trained).adapter_sha256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm": "nope"}, "unknown arm 'nope'"),
        ({"arm": "ootb"}, "not trained"),
        ({"loss_on": "prompt"}, "expected one of sequence, completion"),
        ({"base": "./nowhere"}, "no such directory"),
        ({"articles": "missing.jsonl"}, "missing.jsonl: cannot be read"),
        ({"rows": 0}, "expected at least 1"),
        ({"wording": "shouted"}, "unknown wording"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, changes, message):
    args = sft.SFTArguments(**({"arm": "mst", "rows": 12} | changes))
    with pytest.raises(InputError, match=message) as caught:
        sft.train(args, trl_arguments(tmp_path / "run"))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_prompt_that_fills_max_length_is_an_error(tmp_path, tokenizer):
    rows = conversations(sft.SFTArguments(arm="mst", rows=3))
    with pytest.raises(InputError, match="leaves nothing of max_length 20"):
        sft.check_lengths(rows, tokenizer, 20)
