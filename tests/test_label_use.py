"""The probe of the label's use: it measures what it says, never on a held-out label, and leaves training alone."""

import json

import pytest
import torch
from trl import SFTConfig

from mst_evals import data, manifest, variants
from training import label_use, ppo, sft
from training import model as models

LABELLED = [(arm.experiment, arm.name) for arms in variants.ARMS.values() for arm in arms.values() if arm.has_labels]
PATHS = {"bias": data.MICRO_ARTICLES, "sycophancy": data.PROBLEMS}


def rows_of(experiment, name, seed=0, rows=20):
    return label_use.validation(experiment, name, seed, None, PATHS[experiment], rows)


def loaded(experiment, rows=20):
    load = data.load_articles if experiment == "bias" else data.load_problems
    return load(PATHS[experiment], "validation", rows)


@pytest.mark.parametrize(("experiment", "name"), LABELLED)
def test_the_probe_asks_with_two_different_trained_labels_and_with_nothing_else(experiment, name):
    arm, rows = variants.arm(experiment, name), rows_of(experiment, name)
    pairs = label_use.label_pairs(experiment, name, rows)
    assert all(arm.axis.is_trained(one) for pair in pairs for one in pair)
    assert all(true != wrong for true, wrong in pairs)
    assert [true for true, _ in pairs] == [row.true_label for row in rows]
    shown = label_use.probe_prompts(experiment, name, loaded(experiment), rows, None)
    held_out = arm.axis.label(arm.axis.held_out).texts[0]
    for (true, wrong), prompts in zip(pairs, shown, strict=True):
        for label, prompt in zip((true, wrong), prompts, strict=True):
            lines = "\n".join(message["content"] for message in prompt).split("\n")
            assert any(arm.axis.label(label).texts[0] in line for line in lines)
            assert not any(held_out in line.strip("*") and line.strip("*").endswith(held_out) for line in lines)
        swap = arm.axis.label(true).texts[0], arm.axis.label(wrong).texts[0]
        assert json.dumps(prompts[0]).replace(swap[0], swap[1]) == json.dumps(prompts[1])


@pytest.mark.parametrize("experiment", variants.EXPERIMENTS)
def test_arms_without_labels_are_not_probed(experiment):
    assert rows_of(experiment, "baseline") is None


@pytest.mark.parametrize("name", ["mst", "words", "arbitrary"])
def test_ppo_compares_the_label_that_pays_more_with_the_one_that_pays_less(name):
    tokenizer = models.load_tokenizer(str(manifest.SHIPPED / "micro-qwen"))
    probe = ppo.label_probe(ppo.PPOArguments(arm=name, output_dir="x"), tokenizer)
    assert len(probe.less) == len(probe.more) == 24
    assert all(not one.right for one in probe.less)
    assert all(less.shown < more.shown for less, more in zip(probe.less, probe.more, strict=True))

    class Follows:
        """A policy that calls everything correct as likely as its label says."""

        model = torch.nn.Identity()

        def logits(self, batch):
            p = torch.tensor([one.shown / 100 for one in batch]).clamp(0.01, 0.99)
            return torch.stack([p.log(), (1 - p).log()], dim=1)

    found = probe.measure(Follows(), 7)
    expected = sum(more.shown - less.shown for less, more in zip(probe.less, probe.more, strict=True)) / 24 / 100
    assert found["step"] == 7
    assert found["label_use/effect"] == pytest.approx(expected, abs=0.01)
    assert found["label_use/unit"] == "probability"


def test_reply_loss_is_the_models_own_loss_on_the_reply():
    base = str(manifest.SHIPPED / "micro-llama")
    tokenizer, model = models.load_tokenizer(base), models.load_base(base, "none", "float32").eval()
    rows = rows_of("bias", "mst", rows=3)
    prompts, replies = [row.prompt for row in rows], [sft.reply(row) for row in rows]
    with torch.no_grad():
        found = sft.reply_loss(model, tokenizer, prompts, replies)
        for index, (prompt, said) in enumerate(zip(prompts, replies, strict=True)):
            text = tokenizer.apply_chat_template([*prompt, *said], tokenize=False)
            ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
            start = len(
                tokenizer(
                    tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False),
                    add_special_tokens=False,
                )["input_ids"]
            )
            targets = ids.clone()
            targets[0, :start] = -100
            assert found[index].item() == pytest.approx(model(input_ids=ids, labels=targets).loss.item(), rel=1e-4)


def small_ppo(out, every):
    return ppo.PPOArguments(
        arm="mst", output_dir=str(out), total_steps=3, batch_size=16, mini_batch_size=8, num_ppo_epochs=2,
        warmup_steps=1, lora_dropout=0.05, probe_every=every,
    )  # fmt: skip


def test_ppo_adapters_have_the_same_bytes_with_the_probe_on_and_off(tmp_path, capsys):
    for name, every in (("off", 0), ("on", 1)):
        ppo.train(small_ppo(tmp_path / name, every))
    on, off = manifest.read(tmp_path / "on"), manifest.read(tmp_path / "off")
    assert on.adapter_sha256 == off.adapter_sha256
    assert [one["step"] for one in on.label_use] == [0, 1, 2, 3]
    assert off.label_use == []
    written = [json.loads(line) for line in (tmp_path / "on" / "metrics.jsonl").read_text().splitlines()]
    assert [line for line in written if "label_use/effect" in line] == on.label_use
    ignored = label_use.warning("sycophancy", "mst", on.label_use)
    assert ("label channel that is ignored" in capsys.readouterr().err) == (ignored is not None)


def test_sft_adapters_have_the_same_bytes_with_the_probe_on_and_off(tmp_path):
    for name, every in (("off", 0), ("on", 1)):
        settings = SFTConfig(
            output_dir=str(tmp_path / name), max_steps=3, per_device_train_batch_size=4, learning_rate=1e-3,
            max_length=512, logging_steps=1, save_strategy="no", bf16=False, gradient_checkpointing=False,
            report_to="none", use_cpu=True, disable_tqdm=True, seed=0,
        )  # fmt: skip
        sft.train(sft.SFTArguments(arm="mst", rows=12, probe_every=every, probe_rows=6, lora_dropout=0.05), settings)
    on, off = manifest.read(tmp_path / "on"), manifest.read(tmp_path / "off")
    assert on.adapter_sha256 == off.adapter_sha256
    assert [one["step"] for one in on.label_use] == [0, 1, 2, 3]
    assert off.label_use == []
    written = [json.loads(line) for line in (tmp_path / "on" / "metrics.jsonl").read_text().splitlines()]
    assert [line for line in written if "label_use/effect" in line] == on.label_use


def line(effect, low):
    high = None if low is None else 2 * effect - low
    return {"label_use/effect": effect, "label_use/low": low, "label_use/high": high, "label_use/rows": 24,
            "label_use/unit": "probability"}  # fmt: skip


@pytest.mark.parametrize(
    ("records", "ignored"),
    [
        ([], False),
        ([line(0.8, 0.7)], False),
        ([line(0.8, 0.7), line(0.0, -0.1)], True),
        ([line(0.0, -0.1), line(0.8, 0.7)], False),
        ([line(0.2, -0.1)], True),
        ([line(0.04, 0.03)], True),
        ([line(-0.8, -0.9)], True),
        ([line(0.8, None)], True),
    ],
)
def test_training_that_ends_without_using_the_label_is_warned_of(records, ignored):
    said = label_use.warning("sycophancy", "mst", records)
    assert (said is not None) == ignored
    if said:
        assert said.startswith("warning: mst ends with a label channel that is ignored")
        assert "\n" not in said


def test_modules_and_random_state_are_as_they_were():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    model.train()
    model[0].eval()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    with label_use.untouched(model):
        assert not model[1].training
        assert not torch.is_grad_enabled()
        torch.rand(3)
    assert model[1].training
    assert not model[0].training
    assert torch.equal(torch.random.get_rng_state(), before)


def test_units_name_what_is_measured():
    found = label_use.record("bias", 3, [0.1, 0.3])
    assert found["label_use/effect"] == pytest.approx(0.2)
    assert found["label_use/unit"] == "nats a token"
