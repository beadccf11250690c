"""Providers `mst/` and `hf/`: token ids and probabilities are those of training, from any working directory."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from inspect_ai import eval as inspect_eval
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.log import read_eval_log
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model
from trl import SFTConfig

from mst_evals import answers, bases, data, manifest, prompts, provider, quantisation, subject, tokens, variants
from training import model as models
from training import ppo, sft

ROWS = 8


def sft_arguments(out):
    return SFTConfig(
        output_dir=str(out), max_steps=2, per_device_train_batch_size=4, learning_rate=2e-3, max_length=512, bf16=False,
        gradient_checkpointing=False, save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True, seed=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    """Two small adapters of each experiment, really trained."""
    folder = tmp_path_factory.mktemp("adapters")
    made = {}
    for arm in ("baseline", "mst"):
        args = ppo.PPOArguments(
            arm=arm, output_dir=str(folder / f"syco-{arm}"), total_steps=2, batch_size=32, mini_batch_size=16,
            learning_rate=2e-3,
        )  # fmt: skip
        made["sycophancy", arm] = ppo.train(args)
        made["bias", arm] = sft.train(
            sft.SFTArguments(arm=arm, rows=16, loss_on="completion"), sft_arguments(folder / f"bias-{arm}")
        )
    return made


def rows_of(experiment, limit=ROWS):
    load, path = (data.load_topics, data.MICRO_TOPICS) if experiment == "bias" else (data.load_problems, data.PROBLEMS)
    return load(path, "test", limit)


def chats(experiment, limit=ROWS):
    """Every test row with every label, as in a sweep."""
    axis, wording = variants.AXES[experiment], prompts.wording(experiment)
    texts = [text for name in (*axis.sweep, "none", "nonsense") for text in axis.label(name).texts or (None,)]
    return [wording.build(row, text) for row in rows_of(experiment, limit) for text in texts]


def training_probabilities(directory, messages):
    """P(correct) from training's own code path: NF4 base, LoRA, training tokenizer, PPO's forward."""
    from peft import PeftModel

    found = manifest.read(directory)
    base = models.load_base(str(manifest.SHIPPED / found.base), "nf4", "float32")
    model = PeftModel.from_pretrained(base, str(directory)).train()
    tokenizer = models.load_tokenizer(str(manifest.SHIPPED / found.base))
    policy = ppo.Policy(model, tokens.first_tokens(tokenizer, answers.OPTIONS), tokenizer.pad_token_id)
    batch = [ppo.Episode(tokens.encode(tokenizer, turns), True, 1.0, None) for turns in messages]
    with torch.no_grad():
        logits = policy.logits(batch)
    return answers.choice_probability(logits[:, 0], logits[:, 1], link=torch.sigmoid).tolist()


def scored(log):
    """Sample id -> P(correct) of a log."""
    assert log.status == "success", log.error
    return {sample.id: sample.scores["sycophancy"].value["p_correct"] for sample in log.samples}


def run(model, tmp_path, **args):
    (log,) = inspect_eval(
        "mst_evals/sycophancy_sweep",
        model=model,
        task_args={"rows": ROWS, "labels": ["0", "50", "none"]} | args,
        log_dir=str(tmp_path / "logs"),
        display="none",
        max_connections=32,
    )
    return log


def expected(directory):
    axis, wording = variants.AXES["sycophancy"], prompts.wording("sycophancy")
    asked = {
        f"{row['id']}@{name}": wording.build(row, (axis.label(name).texts or (None,))[0])
        for row in rows_of("sycophancy")
        for name in ("0", "50", "none")
    }
    return dict(zip(asked, training_probabilities(directory, list(asked.values())), strict=True))


def test_mst_choice_probabilities_are_those_of_training(adapters, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # another working directory than the adapter's
    directory = adapters["sycophancy", "mst"]
    log = run(f"mst/{directory}", tmp_path)
    assert scored(log) == pytest.approx(expected(directory), abs=1e-4)
    assert log.eval.metadata["evaluated_quantisation"] == "nf4"
    assert log.eval.metadata["arm"] == "mst"


def test_hf_with_nf4_yaml_equals_training(adapters, tmp_path, monkeypatch):
    """`hf/DIR --model-config DIR/nf4.yaml`, from another working directory, after the directory was moved."""
    moved = tmp_path / "elsewhere" / "adapter"
    shutil.copytree(adapters["sycophancy", "mst"], moved)
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load((moved / "nf4.yaml").read_text())
    model = get_model(f"hf/{moved}", memoize=False, **config)
    assert quantisation.is_quantised(model.api.model)
    log = run(model, tmp_path)
    assert scored(log) == pytest.approx(expected(moved), abs=1e-4)


def test_hf_without_nf4_says_so_in_the_log(adapters, tmp_path):
    directory = adapters["sycophancy", "mst"]
    log = run(get_model(f"hf/{directory}", memoize=False), tmp_path)
    assert log.eval.metadata["quantisation"] == "nf4"
    assert log.eval.metadata["evaluated_quantisation"] == "none"


@pytest.mark.parametrize("experiment", ["bias", "sycophancy"])
def test_token_ids_of_both_providers_are_those_of_training(adapters, experiment):
    """For every row and label, with both tokenizers; in particular no second BOS and no rebuilt pre-tokenizer."""
    directory = adapters[experiment, "mst"]
    trained_with = models.load_tokenizer(str(manifest.SHIPPED / manifest.read(directory).base))
    config = yaml.safe_load((directory / "nf4.yaml").read_text())
    hf = get_model(f"hf/{directory}", memoize=False, **config).api
    own = get_model(f"mst/{directory}", memoize=False).api
    turn = {"system": ChatMessageSystem, "user": ChatMessageUser}
    for messages in chats(experiment, limit=None):
        ids = tokens.encode(trained_with, messages)
        assert tokens.encode(own.tokenizer, messages) == ids
        text = hf.hf_chat([turn[one["role"]](content=one["content"]) for one in messages], [])
        assert hf.tokenizer(text, **hf.tokenizer_call_args)["input_ids"] == ids
        if trained_with.bos_token_id is not None:
            assert ids.count(trained_with.bos_token_id) <= 1


@pytest.mark.parametrize("experiment", ["bias", "sycophancy"])
def test_next_token_distribution_of_hf_is_that_of_training(adapters, experiment, tmp_path, monkeypatch):
    """With both tokenizers and architectures, over the whole vocabulary, from another working directory."""
    from peft import PeftModel

    directory = tmp_path / "moved"
    shutil.copytree(adapters[experiment, "mst"], directory)
    monkeypatch.chdir(tmp_path)
    hf = get_model("hf/moved", memoize=False, **yaml.safe_load((directory / "nf4.yaml").read_text()))
    subject._as_trained(hf, directory)
    base = manifest.SHIPPED / manifest.read(directory).base
    trained = PeftModel.from_pretrained(models.load_base(str(base), "nf4", "float32"), str(directory)).train(False)
    quantisation.pin_kernels(trained)
    tokenizer = models.load_tokenizer(str(base))
    for messages in chats(experiment, limit=2):
        ids = torch.tensor([tokens.encode(tokenizer, messages)])
        with torch.no_grad():
            theirs, ours = (model(input_ids=ids).logits[0, -1].softmax(0) for model in (hf.api.model, trained))
        assert torch.allclose(theirs, ours, atol=1e-5)


def ask(api, messages, **config):
    """Ask a provider several chats at once."""
    turn = {"system": ChatMessageSystem, "user": ChatMessageUser}

    async def together():
        waiting = [
            api.generate([turn[m["role"]](content=m["content"]) for m in chat], [], "none", GenerateConfig(**config))
            for chat in messages
        ]
        return await asyncio.gather(*waiting)

    return [output.completion for output in asyncio.run(together())]


def fresh(directory):
    provider._BASES.clear()
    return provider.MstAPI(str(directory))


def test_several_adapters_share_one_base_and_keep_apart(adapters):
    messages = chats("bias")[:3]
    directories = [adapters["bias", "mst"], adapters["bias", "baseline"], manifest.SHIPPED / "micro-llama"]
    alone = [ask(fresh(directory), messages, temperature=0.0, max_tokens=30) for directory in directories]
    provider._BASES.clear()
    apis = [provider.MstAPI(str(directory)) for directory in directories]
    assert len(provider._BASES) == 1
    assert len({id(api.base) for api in apis}) == 1
    assert [ask(api, messages, temperature=0.0, max_tokens=30) for api in apis] == alone


def test_a_base_beside_its_adapter_is_loaded_alone(adapters, monkeypatch, tmp_path):
    """transformers loads an adapter along with the base when both lie in one directory."""
    monkeypatch.setattr(manifest, "SHIPPED", tmp_path / "nothing")
    api = fresh(adapters["sycophancy", "mst"])
    assert {name.split(".")[-2] for name, _ in api.base.model.named_parameters() if "lora_A" in name} == {api.adapter}
    provider._BASES.clear()


def test_samples_depend_on_seed_and_prompt_not_on_the_batch(adapters):
    messages = chats("bias")[:4]
    settings = {"temperature": 0.7, "max_tokens": 20, "seed": 3}
    together = ask(fresh(adapters["bias", "mst"]), messages, **settings)
    api = fresh(adapters["bias", "mst"])
    assert [ask(api, [chat], **settings)[0] for chat in messages] == together
    again = ask(api, messages, **settings)
    assert again != together, "the same prompt asked again is another draw"
    assert ask(fresh(adapters["bias", "mst"]), messages, **settings | {"seed": 4}) != together


def test_gumbel_noise_samples_the_softmax():
    logits = torch.tensor([2.0, 0.0, -1.0])
    draws = [int(provider.GumbelNoise([seed])(None, logits[None]).argmax()) for seed in range(3000)]
    observed = torch.bincount(torch.tensor(draws), minlength=3) / len(draws)
    assert torch.allclose(observed, torch.softmax(logits, 0), atol=0.03)  # 3 standard errors are .027


def test_no_weights_are_loaded_for_a_metadata_lookup(monkeypatch):
    from inspect_ai.model._model_info import MODEL_INFO_LOOKUP_API_KEY

    monkeypatch.setattr(provider, "load_base", lambda *_: pytest.fail("loaded"))
    provider.MstAPI("whatever", api_key=MODEL_INFO_LOOKUP_API_KEY)


def spoil(directory: Path, tmp_path: Path, how: str) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    if how == "no manifest":
        (copy / manifest.FILE).unlink()
    elif how == "adapter changed":
        (copy / manifest.ADAPTER_WEIGHTS).write_bytes(b"x")
    elif how == "other base beside it":
        (copy / manifest.BASE_WEIGHTS).write_bytes(b"x")
    elif how == "base missing":
        (copy / manifest.BASE_WEIGHTS).unlink()
        content = json.loads((copy / manifest.FILE).read_text()) | {"base_sha256": "0" * 64}
        (copy / manifest.FILE).write_text(json.dumps(content))
    elif how == "no adapter":
        (copy / manifest.ADAPTER_WEIGHTS).unlink()
    elif how == "no adapter configuration":
        (copy / "adapter_config.json").unlink()
    elif how == "no chat template":
        (copy / "chat_template.jinja").unlink()
    elif how == "broken manifest":
        (copy / manifest.FILE).write_text("{}")
    return copy


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no manifest", "no manifest.json"),
        ("adapter changed", "changed since its manifest"),
        ("other base beside it", "not the base of this manifest"),
        ("base missing", "is missing; put it in a folder named by MST_BASES"),
        ("no adapter", "bare base would answer under the adapter's name"),
        ("no adapter configuration", "bare base would answer under the adapter's name"),
        ("no chat template", "no chat template"),
        ("broken manifest", "not a manifest of this version"),
    ],
)
def test_a_directory_that_cannot_be_trusted_is_one_clear_line(adapters, tmp_path, how, message):
    with pytest.raises(PrerequisiteError) as caught:
        provider.MstAPI(str(spoil(adapters["sycophancy", "mst"], tmp_path, how)))
    assert message in str(caught.value.message)
    assert "\n" not in str(caught.value.message)


def test_base_is_found_by_its_digest_wherever_it_is(adapters, tmp_path, monkeypatch):
    copy = tmp_path / "adapter"
    shutil.copytree(adapters["sycophancy", "mst"], copy)
    (copy / manifest.BASE_WEIGHTS).unlink()
    found = manifest.read(copy)
    assert Path(bases.locate(copy, found)).name == "micro-qwen"
    shutil.copytree(manifest.SHIPPED / "micro-qwen", tmp_path / "bases" / "renamed")
    monkeypatch.setattr(manifest, "SHIPPED", tmp_path / "nothing")
    monkeypatch.setenv(manifest.SEARCH_PATH, str(tmp_path / "bases"))
    assert Path(bases.locate(copy, found)).name == "renamed"


def test_options_with_a_common_first_token_are_an_error(adapters):
    tokenizer = models.load_tokenizer(str(manifest.SHIPPED / "micro-qwen"))
    with pytest.raises(ValueError, match="same token"):
        tokens.first_tokens(tokenizer, ("correct", "correct answer"))


def test_the_log_keeps_two_numbers_and_not_the_vocabulary(adapters, tmp_path):
    log = run(f"mst/{adapters['sycophancy', 'mst']}", tmp_path, labels="0")
    sample = read_eval_log(log.location).samples[0]
    (position,) = sample.output.choices[0].logprobs.content
    assert {entry.token for entry in position.top_logprobs} == set(answers.OPTIONS)
