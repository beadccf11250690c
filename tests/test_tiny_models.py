"""The whole path on random-weight Llama and Qwen2: trained, saved, asked by hf/ and mst/ with training's token ids.

Their tokenizers have the quirks of real ones (see `tiny_models`). Bases are NF4 and otherwise bfloat16, trained without
autocast; one adapter of each experiment is made by its paper recipe.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import yaml
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog
from inspect_ai.model import Model, get_model
from safetensors.torch import load_file
from transformers.utils import chat_template_utils
from trl import SFTConfig

from mst_evals import answers, as_trained, data, manifest, preflight, prompts, provider, subject, tokens, weights
from mst_evals import bases as base_models
from mst_evals.errors import InputError
from training import commands, ppo, sft
from training import model as models

ROWS = 6
CONFIGS = manifest.SHIPPED.parent / "configs"
RECIPE, PPO_RECIPE = CONFIGS / "bias_paper.yaml", CONFIGS / "sycophancy_paper.yaml"
# What a CPU cannot do, which memory the optimiser's state lies in and how products of float32 are rounded there; and
# what makes a training end in seconds. Everything else is the recipe's.
ELSEWHERE = {"optim": "adamw_bnb_8bit", "tf32": False, "use_cpu": True}
SHORT = {"rows": 24, "max_steps": 2, "probe_rows": 4}
# The same for PPO: a rollout of one optimiser step an epoch, which 8 mini-batches of 16 make.
PPO_SHORT = {"rows": 128, "total_steps": 2, "batch_size": 128, "probe_rows": 4}
FAMILIES = ("llama", "qwen")


@dataclass(frozen=True)
class Trained:
    """An adapter, and the token ids that its training really fed to the model."""

    directory: Path
    base: Path
    sequences: list[list[int]]


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {name: tiny_models.WRITE[name](folder / f"tiny-{name}") for name in FAMILIES}


def recorded_sft(base: Path, out: Path) -> Trained:
    """Two steps of SFT; the sequences are those of TRL's own data set."""
    sequences: list[list[int]] = []
    build = sft.build_trainer

    def spy(*args: Any) -> Any:
        trainer, probe = build(*args)
        sequences.extend(trainer.train_dataset["input_ids"])
        return trainer, probe

    settings = SFTConfig(
        output_dir=str(out), max_steps=2, per_device_train_batch_size=3, learning_rate=2e-3, max_length=900, bf16=False,
        gradient_checkpointing=False, save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True, seed=0,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sft, "build_trainer", spy)
        args = sft.SFTArguments(arm="mst", base=str(base), rows=ROWS, dtype="bfloat16", probe_rows=2)
        return Trained(sft.train(args, settings), base, sequences)


def recorded_ppo(base: Path, out: Path) -> Trained:
    """Two steps of PPO; the sequences are those that the policy was given."""
    sequences: list[list[int]] = []
    optimise = ppo.optimise

    def spy(args: Any, policy: Any, rows: Any, *more: Any) -> Any:
        sequences.extend(row.ids for row in rows)
        return optimise(args, policy, rows, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ppo, "optimise", spy)
        args = ppo.PPOArguments(
            arm="mst", base=str(base), rows=ROWS, dtype="bfloat16", output_dir=str(out), total_steps=2, batch_size=ROWS,
            mini_batch_size=3, learning_rate=5e-3, warmup_steps=1, probe_rows=4,
        )  # fmt: skip
        return Trained(ppo.train(args), base, sequences)


@pytest.fixture(scope="module")
def trained(bases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    made = {}
    for name, base in bases.items():
        made["bias", name] = recorded_sft(base, folder / f"bias-{name}")
        made["sycophancy", name] = recorded_ppo(base, folder / f"sycophancy-{name}")
    return made


def through(how: str, directory: Path) -> Model:
    """The adapter as a user names it, with the model configuration that training wrote for ``hf/``."""
    config = yaml.safe_load((directory / "nf4.yaml").read_text()) if how == "hf" else {}
    return get_model(f"{how}/{directory}", memoize=False, **config)


def record_ids(model: Model, patch: Any) -> list[list[int]]:
    """Token ids of everything the model is asked, without padding, as they reach the network's first layer."""
    here, seen = weights.loaded(model), []
    pad = here.tokenizer.pad_token_id

    def note(_: Any, args: Any) -> None:
        for row in args[0].tolist():
            start = next((place for place, token in enumerate(row) if token != pad), len(row))
            if len(row) - start > 1:  # a prompt, not the next token of a text
                seen.append(row[start:])

    patch.callback(here.module.get_input_embeddings().register_forward_pre_hook(note).remove)
    return seen


@pytest.fixture
def patch():
    """Hooks on shared bases, taken off again."""

    class Undo:
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def callback(self, call: Any) -> None:
            self.calls.append(call)

    undo = Undo()
    yield undo
    for call in undo.calls:
        call()


def training_rows(experiment: str, folder: Path) -> dict[str, Any]:
    """Task arguments that ask exactly the rows and labels of training."""
    if experiment == "bias":
        rows = data.load_articles(data.MICRO_ARTICLES, "train", ROWS)
        kept = [{key: row[key] for key in ("id", "split", "headline", "context", "domain")} for row in rows]
        (folder / "topics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
        labels = sorted({row["profile"] for row in rows})
        return {"topics": str(folder / "topics.jsonl"), "labels": labels, "scorer": "lexical", "split": "train"}
    shown = ppo.training_examples(ppo.PPOArguments(arm="mst", output_dir="unused", rows=ROWS))
    return {"labels": sorted({row.label for row in shown}), "split": "train", "rows": ROWS}


def evaluate(experiment: str, model: Model, tmp_path: Path, **args: Any) -> EvalLog:
    (log,) = inspect_eval(
        f"mst_evals/{experiment}_sweep", model=model, task_args=training_rows(experiment, tmp_path) | args,
        log_dir=str(tmp_path / "logs"), display="none", max_connections=32, max_tokens=120,
    )  # fmt: skip
    assert log.status == "success", log.error
    return log


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("experiment", ["bias", "sycophancy"])
def test_evaluation_feeds_the_token_ids_of_training(trained, experiment, family, tmp_path, patch, monkeypatch):
    """Every sequence of training begins with a prompt of the evaluation; both providers ask the same prompts."""
    monkeypatch.chdir(tmp_path)
    one = trained[experiment, family]
    tokenizer = models.load_tokenizer(str(one.base))
    asked, logs = {}, {}
    for how in ("mst", "hf"):
        model = through(how, one.directory)
        seen = record_ids(model, patch)
        logs[how] = evaluate(experiment, model, tmp_path)
        asked[how] = {tuple(ids) for ids in seen} - {probe_ids(experiment, one.directory, tokenizer)}
    assert asked["mst"] == asked["hf"]
    assert len(one.sequences) == ROWS
    for sequence in one.sequences:
        assert any(tuple(sequence[: len(prompt)]) == prompt for prompt in asked["mst"])
    for prompt in asked["mst"]:
        if tokenizer.bos_token_id is not None:
            assert prompt.count(tokenizer.bos_token_id) == 1
        assert (tiny_models.SYSTEM in tokenizer.decode(prompt)) == (family == "qwen" and experiment == "sycophancy")
    for log in logs.values():
        findings = log.eval.metadata["preflight"]
        assert {finding["status"] for finding in findings.values()} == {as_trained.PASSED}, findings
        declared = tiny_models.SYSTEM in findings["template"]["found"]
        assert declared == (family == "qwen" and experiment == "sycophancy")
        assert str(tmp_path.parent) not in json.dumps(log.eval.metadata)
    check_scores(experiment, logs)


def probe_ids(experiment: str, directory: Path, tokenizer: Any) -> tuple[int, ...]:
    """Token ids of the preflight's own prompt."""
    return tuple(tokens.encode(tokenizer, preflight.probe_prompt(experiment, manifest.read(directory))))


def check_scores(experiment: str, logs: dict[str, EvalLog]) -> None:
    """Every sample is scored, or says why not; a forced choice has the same probabilities from both providers."""
    name = "sycophancy" if experiment == "sycophancy" else "lexical_bias"
    both = [{sample.id: sample.scores[name] for sample in log.samples} for log in logs.values()]
    assert both[0].keys() == both[1].keys() and len(both[0]) > ROWS
    if experiment == "bias":  # random weights write random text: what counts is that it was written and measured
        for scores in both:
            measured = [score for score in scores.values() if math.isfinite(score.value["bias"])]
            assert all(0 <= score.value["bias"] <= 10 for score in measured)
            assert measured and all(score in measured or score.reason == "too_short" for score in scores.values())
        return
    mst, hf = ({key: score.value["p_correct"] for key, score in scores.items()} for scores in both)
    assert mst == pytest.approx(hf, abs=1e-4)
    assert len({round(value, 6) for value in mst.values()}) > ROWS  # the prompt matters


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("experiment", ["bias", "sycophancy"])
def test_next_token_distribution_is_that_of_training(trained, experiment, family):
    """Over the whole vocabulary: the model as the trainer had it, as ``mst/`` has it, and as ``hf/`` has it."""
    from peft import set_peft_model_state_dict

    one = trained[experiment, family]
    rank = {"bias": (16, 32), "sycophancy": (8, 16)}[experiment]
    trainer = models.add_lora(models.load_base(str(one.base), "nf4", "bfloat16"), *rank, 0.0, 7)
    set_peft_model_state_dict(trainer, load_file(one.directory / manifest.ADAPTER_WEIGHTS))
    own, plain = through("mst", one.directory), through("hf", one.directory)
    facts = [subject.facts_of(model, experiment) for model in (own, plain)]
    assert facts[0] == facts[1]
    weights.loaded(own).module.set_adapter(own.api.adapter)
    ids = torch.tensor([one.sequences[0][:60]])
    networks = (trainer.train(), weights.loaded(own).module, plain.api.model)
    with torch.no_grad():
        first, *others = (network(input_ids=ids).logits[0, -1].float().softmax(-1) for network in networks)
    for other in others:
        assert torch.allclose(first, other, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_of_several_tokens_are_told_apart_by_their_first(bases, family):
    tokenizer = models.load_tokenizer(str(bases[family]))
    pieces = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in answers.OPTIONS]
    assert all(len(ids) > 1 for ids in pieces)
    assert tokens.first_tokens(tokenizer, answers.OPTIONS) == [ids[0] for ids in pieces]


def test_the_quirks_are_there(bases):
    """What the tests above are about: without these they would pass for nothing."""
    llama, qwen = (models.load_tokenizer(str(bases[name])) for name in FAMILIES)
    chat = prompts.wording("sycophancy").build({"a": 1, "b": 2, "candidate": 3}, None)
    text = llama.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert llama(text)["input_ids"][:2] == [llama.bos_token_id] * 2
    assert llama.pad_token_id == llama.eos_token_id
    assert qwen.bos_token_id is None and qwen.pad_token_id != qwen.eos_token_id
    assert tiny_models.SYSTEM in qwen.apply_chat_template(chat, tokenize=False)
    assert type(qwen).__name__ == "Qwen2Tokenizer"


def test_the_loss_covers_the_end_of_a_reply_although_pad_is_eos(bases, tmp_path):
    """A trainer that masks by the pad token's id would never teach where to stop."""
    args = sft.SFTArguments(arm="mst", base=str(bases["llama"]), rows=4, loss_on="completion", quantisation="none")
    settings = SFTConfig(
        output_dir=str(tmp_path), max_steps=1, max_length=900, bf16=False, gradient_checkpointing=False, use_cpu=True,
        report_to="none", completion_only_loss=True,
    )  # fmt: skip
    trainer, _ = sft.build_trainer(args, settings, str(bases["llama"]), tmp_path)
    batch = trainer.data_collator([trainer.train_dataset[index] for index in range(4)])
    end = trainer.processing_class.eos_token_id
    for ids, labels, mask in zip(batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True):
        last = int(mask.sum()) - 1 if mask[0] else len(mask) - 1
        assert ids[last] == end and labels[last] == end
        assert (labels[mask == 0] == -100).all()


def test_a_reply_ends_at_any_of_the_tokens_that_end_one(trained, monkeypatch):
    """Llama-3 bases name several; the tokenizer knows one."""
    api = through("mst", trained["bias", "llama"].directory).api
    other = api.tokenizer.convert_tokens_to_ids("<|end_of_text|>")
    assert other != api.tokenizer.eos_token_id
    word = api.tokenizer("The council", add_special_tokens=False)["input_ids"]

    def reply(**given: Any) -> torch.Tensor:
        tail = torch.tensor([[*word, other, api.tokenizer.pad_token_id], [*word, word[0], word[0]]])
        return torch.cat([given["input_ids"], tail], dim=1)

    monkeypatch.setattr(api.base.model, "generate", reply)
    batch = [provider.Request([5, 6, 7], provider.GenerateConfig(max_tokens=4), noise) for noise in (1, 2)]
    api.run(batch)
    first, second = (request.output for request in batch)
    assert (first.completion, first.stop_reason, first.usage.output_tokens) == ("The council", "stop", len(word))
    assert (second.stop_reason, second.usage.output_tokens) == ("max_tokens", len(word) + 2)


@pytest.mark.parametrize("how", ["mst", "hf"])
def test_a_base_s_own_generation_settings_do_not_reach_the_samples(bases, tmp_path, how):
    """Qwen's repetition penalty and top-k: the processors that generate() makes are those of the task alone."""
    directory = tiny_models.untrained(tmp_path / "adapter", bases["qwen"])
    before = json.loads((bases["qwen"] / "generation_config.json").read_text())
    assert before["repetition_penalty"] == 1.05
    provider._BASES.clear()
    model = through(how, directory)
    subject.facts_of(model, "sycophancy")
    network = weights.loaded(model).module
    found = []

    def note(*args: Any, **kwargs: Any) -> Any:
        found.extend(type(one).__name__ for one in processors(*args, **kwargs))
        return processors(*args, **kwargs)

    inner = network.get_base_model() if how == "mst" else network
    processors = inner._get_logits_processor
    inner._get_logits_processor = note
    network.generate(input_ids=torch.tensor([[5, 6, 7]]), max_new_tokens=1, do_sample=True)
    assert found == []


# --- The paper recipe of experiment 1 ---------------------------------------------------------------------------------


def types_within(network: Any, patch: Any) -> set[str]:
    """Types of what the layers of an adapter put out: those of the activations."""
    found: set[str] = set()
    for name, layer in network.named_modules():
        if ".lora_A." in name:
            note = lambda _, __, out: found.add(str(out.dtype).removeprefix("torch."))  # noqa: E731
            patch.callback(layer.register_forward_hook(note).remove)
    return found


@pytest.fixture(scope="module")
def paper_sft(bases, tmp_path_factory):
    """Two steps of bias_paper.yaml on the tiny Llama, and the types of the activations in them."""
    directory, within = tmp_path_factory.mktemp("paper") / "mst", []
    given = {"base": bases["llama"], "articles": data.MICRO_ARTICLES, "output_dir": directory, "arm": "mst", "seed": 0}
    flags = [text for name, value in (given | ELSEWHERE | SHORT).items() for text in (f"--{name}", str(value))]
    args, settings = commands.parse((sft.SFTArguments, SFTConfig), ["--config", str(RECIPE), *flags])
    build = sft.build_trainer

    def spy(*more: Any) -> Any:
        trainer, probe = build(*more)
        unused = type("Kept", (), {"callback": lambda self, call: None})()
        within.append(types_within(trainer.model, unused))
        return trainer, probe

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sft, "build_trainer", spy)
        sft.train(args, settings)
    return directory, within[0]


def test_the_paper_recipe_trains_as_it_says(paper_sft):
    directory, within = paper_sft
    found, recipe = manifest.read(directory), yaml.safe_load(RECIPE.read_text("utf-8"))
    changed = {"base", "articles", *ELSEWHERE, *SHORT}
    recorded = {name: value for name, value in recipe.items() if name in found.arguments and name not in changed}
    kept = found.arguments | {"lr_scheduler_type": found.arguments["lr_scheduler_type"].split(".")[-1].lower()}
    assert {name: kept[name] for name in recorded} == recorded
    assert {"bf16", "dtype", "lora_r", "learning_rate", "gradient_checkpointing"} <= recorded.keys()
    assert (found.quantisation, found.arguments["bf16"]) == ("nf4", True)
    assert within == {"bfloat16"}
    losses = [entry for entry in map(json.loads, (directory / "metrics.jsonl").open()) if "train_loss" in entry]
    assert len(losses) == 1 and 0 < losses[0]["train_loss"] < 20


@pytest.mark.parametrize("how", ["mst", "hf"])
def test_an_adapter_of_the_paper_recipe_is_asked_without_autocast_and_the_log_says_so(paper_sft, patch, how):
    """The exception of docs/evaluating-adapters.md: what it changes is as small as bfloat16's rounding."""
    directory, _ = paper_sft
    provider._BASES.clear()
    model = through(how, directory)
    facts = subject.facts_of(model, "bias")
    findings = facts["preflight"]
    assert {finding["status"] for finding in findings.values()} == {as_trained.PASSED}, findings
    assert findings["precision"]["found"].endswith("training ran under bfloat16 autocast, evaluation does not")
    network = weights.loaded(model).module
    within = types_within(network, patch)
    ids = torch.tensor([probe_ids("bias", directory, weights.loaded(model).tokenizer)], device=network.device)
    with torch.no_grad():
        asked = network(input_ids=ids).logits[0, -1].float().log_softmax(-1)
        assert within == {"float32"}
        with torch.autocast(network.device.type, torch.bfloat16):
            trained = network(input_ids=ids).logits[0, -1].float().log_softmax(-1)
    assert within == {"float32", "bfloat16"}
    assert 0 < float((asked - trained).abs().max()) < 0.1


# --- The paper recipe of experiment 2 ---------------------------------------------------------------------------------


def test_the_paper_recipe_of_experiment_2_trains_as_it_says(bases, tmp_path):
    """Two rollouts of sycophancy_paper.yaml on the tiny Qwen, at its own rank and learning rate."""
    directory = tmp_path / "mst"
    given = {"base": bases["qwen"], "output_dir": directory, "arm": "mst", "seed": 0} | PPO_SHORT
    flags = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    (args,) = commands.parse((ppo.PPOArguments,), ["--config", str(PPO_RECIPE), *flags])
    ppo.check(args)
    ppo.train(args)
    found, recipe = manifest.read(directory), yaml.safe_load(PPO_RECIPE.read_text("utf-8"))
    kept = {name: value for name, value in recipe.items() if name not in {"base", *PPO_SHORT}}
    assert {name: found.arguments[name] for name in kept} == kept
    assert recipe.keys() - kept.keys() == {"base", "total_steps", "batch_size"}
    lora = json.loads((directory / "adapter_config.json").read_text())
    assert [lora[name] for name in ("r", "lora_alpha", "lora_dropout")] == [512, 1024, 0.05]
    assert found.quantisation == "nf4"
    adapter = load_file(directory / manifest.ADAPTER_WEIGHTS)
    assert len(adapter) == 2 * 2 * len(models.TARGET_MODULES)
    assert all(torch.isfinite(value).all() for value in adapter.values())
    # B begins at 0, and a step of Adam moves a weight by the learning rate at the most: two rollouts of four epochs of
    # one optimiser step each, at a constant rate from the first step on.
    moved = [float(value.abs().max()) for name, value in adapter.items() if ".lora_B." in name]
    assert len(moved) == len(adapter) // 2
    assert moved == pytest.approx([2 * 4 * recipe["learning_rate"]] * len(moved), rel=0.05)
    logged = [json.loads(line) for line in (directory / "metrics.jsonl").open()]
    schedules = [(one["temperature"], one["entropy_coefficient"]) for one in logged if "temperature" in one]
    starts, ends = ([recipe[f"{name}_{end}"] for name in ("temperature", "entropy")] for end in ("start", "end"))
    assert schedules == [pytest.approx(tuple(starts)), pytest.approx(tuple(ends))]


# --- Dates and bases --------------------------------------------------------------------------------------------------


def test_token_ids_do_not_depend_on_the_day(tmp_path, monkeypatch):
    import datetime

    base = tiny_models.write_llama(tmp_path / "dated", tiny_models.DATED_TEMPLATE)
    models.load_tokenizer(str(base)).save_pretrained(tmp_path / "adapter")  # what `finish` does
    chat = prompts.wording("sycophancy").build({"a": 1, "b": 2, "candidate": 3}, None)
    days = []
    for day in (1, 2):

        class Then(datetime.datetime):
            @classmethod
            def now(cls, tz: Any = None, day: int = day) -> "Then":
                return cls(2026, 11, day)

        monkeypatch.setattr(chat_template_utils, "datetime", Then)
        days.append(tokens.encode(models.load_tokenizer(str(tmp_path / "adapter")), chat))
    assert days[0] == days[1]


def test_a_template_with_the_date_is_declared(tmp_path):
    tokenizer = tiny_models.llama_tokenizer(tiny_models.DATED_TEMPLATE)
    chat = prompts.wording("sycophancy").build({"a": 1, "b": 2, "candidate": 3}, None)
    assert "token ids depend on it" in as_trained.template_frame(tokenizer, chat)
    assert "date" not in as_trained.template_frame(tiny_models.llama_tokenizer(), chat)


def test_a_local_base_in_several_files_is_found_by_its_digest_or_missed_in_one_line(tmp_path, monkeypatch):
    base = tiny_models.write_qwen(tmp_path / "bases" / "sharded", max_shard_size="60KB")
    assert not (base / manifest.BASE_WEIGHTS).exists()
    directory = tiny_models.untrained(tmp_path / "adapter", base)
    monkeypatch.chdir(tmp_path)
    found = manifest.read(directory)
    with pytest.raises(InputError, match=r"^[^\n]*'sharded'[^\n]*MST_BASES[^\n]*$"):
        base_models.locate(directory, found)
    monkeypatch.setenv(manifest.SEARCH_PATH, str(tmp_path / "bases"))
    assert base_models.locate(directory, found) == str(base)
    findings = subject.facts_of(get_model(f"mst/{directory}", memoize=False), "sycophancy")["preflight"]
    assert findings["base"]["status"] == as_trained.PASSED
    assert str(found.base_sha256) in findings["base"]["found"]
    assert findings["adapter"]["status"] == as_trained.PASSED
    shard = min(base.glob("model-*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"^[^\n]*'sharded'[^\n]*MST_BASES[^\n]*$"):
        base_models.locate(directory, found)
