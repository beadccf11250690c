"""The preflight: what it lets pass, what it reports, what it stops; no log holds the facts of another model."""

import json
import shutil
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import yaml
from click.testing import CliRunner
from conftest import output, problem, seen, stub_model, write_jsonl
from inspect_ai import Task, eval, eval_set
from inspect_ai._cli.eval import eval_command
from inspect_ai._util.registry import RegistryInfo, registry_info, set_registry_info
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import list_eval_logs, read_eval_log
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.model._model import active_model, init_active_model
from peft import set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from mst_evals import answers, as_trained, manifest, preflight, provider, request, subject, tokens, weights
from mst_evals import sycophancy as task_file
from mst_evals.as_trained import DIFFERS, PASSED, UNCHECKED
from mst_evals.errors import InputError
from mst_evals.reporting.refusals import refusal
from mst_evals.scorers import option_logprobs
from mst_evals.sycophancy import sycophancy
from training import model as models

ROOT = Path(__file__).resolve().parents[1]
HALF = {"correct": -0.7, "incorrect": -0.7}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An adapter on the tiny Llama, never trained but not zero."""
    folder = tmp_path_factory.mktemp("made")
    base = tiny_models.write_llama(folder / "tiny-llama")
    return tiny_models.untrained(folder / "adapter", base), base


@pytest.fixture
def copy(made, tmp_path):
    """A copy of it, to be spoilt."""
    provider._BASES.clear()
    shutil.copytree(made[0], tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def rows(tmp_path):
    return write_jsonl(tmp_path / "p.jsonl", [problem(1, 2, 3), problem(1, 2, 4)])


def hf(directory: Path, **changes: Any):
    return get_model(
        f"hf/{directory}", memoize=False, **(yaml.safe_load((directory / "nf4.yaml").read_text()) | changes)
    )


def mst(directory: Path, **changes: Any):
    return get_model(f"mst/{directory}", memoize=False, **changes)


def findings(model: Any) -> dict[str, Any]:
    return subject.facts_of(model, "sycophancy")["preflight"]


# --- What it reports --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [mst, hf])
def test_an_adapter_asked_as_it_was_trained_passes_every_check(made, ask):
    found = findings(ask(made[0]))
    assert tuple(found) == preflight.CHECKS
    assert {finding["status"] for finding in found.values()} == {PASSED}
    assert found["adapter"]["found"].startswith("28 of 28 weights matched")
    assert manifest.read(made[0]).base_sha256 in found["base"]["found"]
    assert float(found["effect"]["found"].rsplit(" ", 1)[1]) > 0.1
    assert "'<|begin_of_text|><|start_header_id|>user" in found["template"]["found"]
    assert str(made[0].parent) not in json.dumps(found)


@pytest.mark.parametrize("ask", [mst, hf])
def test_the_effect_is_that_of_the_adapter(made, ask):
    """The same number from the adapter's own mathematics: with and without its weights, in training's code."""
    directory, base = made
    trainer = models.add_lora(models.load_base(str(base), "nf4", "float32"), 4, 8, 0.0, 0)
    ids = tokens.encode(
        models.load_tokenizer(str(base)), preflight.probe_prompt("sycophancy", manifest.read(directory))
    )
    sides = []
    for state in ({}, load_file(directory / manifest.ADAPTER_WEIGHTS)):  # a new adapter is zero
        set_peft_model_state_dict(trainer, state)
        with torch.no_grad():
            sides.append(trainer.train()(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1))
    change = float((sides[0] - sides[1]).abs().max())
    assert float(findings(ask(directory))["effect"]["found"].rsplit(" ", 1)[1]) == pytest.approx(change, rel=5e-3)


def test_the_adapter_answers_after_the_preflight_as_before(made):
    model = mst(made[0])
    network = weights.loaded(model).module
    network.set_adapter(model.api.adapter)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = network(input_ids=ids).logits
        findings(model)
        assert torch.equal(network(input_ids=ids).logits, before)


def test_another_quantisation_or_precision_is_reported_and_warned_of(made, caplog):
    found = findings(get_model(f"hf/{made[0]}", memoize=False))
    assert found["quantisation"] == {"status": DIFFERS, "found": "trained nf4, evaluated none"}
    assert found["precision"]["status"] == DIFFERS
    assert "evaluated bfloat16, adapter float32" in found["precision"]["found"]
    assert found["tokens"]["status"] == PASSED  # no second BOS, although no configuration was given
    assert "quantisation is not as in training" in caplog.text
    assert findings(mst(made[0], quantisation="none"))["quantisation"]["status"] == DIFFERS


def test_another_recipe_of_four_bits_is_not_called_nf4(made):
    recipe = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "fp4"}
    facts = subject.facts_of(hf(made[0], quantization_config=recipe), "sycophancy")
    assert facts["evaluated_quantisation"].startswith("fp4")
    assert facts["preflight"]["quantisation"]["status"] == DIFFERS


def test_other_token_ids_are_reported(made):
    found = findings(hf(made[0], tokenizer_call_args={"add_special_tokens": True}))["tokens"]
    assert found["status"] == DIFFERS
    assert "2 of them BOS" in found["found"]


def test_generation_settings_of_the_base_are_taken_away(made):
    """Temperature 0.6 and top-p 0.9 in the base's own file."""
    model = hf(made[0])
    assert not as_trained.decoding.is_plain(model.api.model)
    assert findings(model)["decoding"]["status"] == PASSED
    assert set(model.api.model.generation_config.eos_token_id) == {1, 4}  # what ends a text is kept


def test_a_bare_base_and_a_hosted_model_say_what_was_not_checked(made, tmp_path):
    bare = subject.facts_of(get_model(f"hf/{made[1]}", memoize=False), "sycophancy")
    assert bare["arm"] == "ootb"
    assert bare["preflight"]["adapter"]["found"] == "a bare base: no adapter is loaded"
    assert bare["preflight"]["quantisation"]["status"] == UNCHECKED
    hosted = subject.facts_of(stub_model(HALF), "sycophancy")["preflight"]
    assert {finding["status"] for finding in hosted.values()} == {UNCHECKED}
    assert tuple(hosted) == preflight.CHECKS


def test_an_adapter_without_a_manifest_is_no_base(copy):
    (copy / manifest.FILE).unlink()
    facts = subject.facts_of(hf(copy), "sycophancy")
    assert facts["arm"] == subject.UNKNOWN
    assert facts["preflight"]["adapter"]["status"] == PASSED
    assert facts["preflight"]["base"]["status"] == UNCHECKED


# --- What it stops ----------------------------------------------------------------------------------------------------


def change(directory: Path, how: str) -> None:
    """Spoil an adapter; the manifest agrees with the spoilt file, so that only the preflight can tell."""
    file = directory / manifest.ADAPTER_WEIGHTS
    state = load_file(file)
    name = next(key for key in state if "lora_B" in key)
    if how == "missing key":
        del state[name]
    elif how == "unexpected key":
        state[name.replace("layers.0", "layers.9")] = state[name].clone()
    elif how == "not finite":
        state[name][0, 0] = float("nan")
    elif how == "zero":
        state = {key: torch.zeros_like(value) if "lora_B" in key else value for key, value in state.items()}
    save_file(state, file, metadata={"format": "pt"})
    tiny_models.describe_again(directory)


@pytest.mark.parametrize("ask", [mst, hf])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing key", "no weight for 1 places of the model"),
        ("unexpected key", "no place in the loaded model"),
        ("not finite", "not finite"),
        ("zero", "changes no logit of its base"),
    ],
)
def test_an_adapter_that_is_not_whole_ends_the_run_in_one_line(copy, ask, how, message):
    change(copy, how)
    with pytest.raises(InputError, match=r"^[^\n]+$") as caught:
        findings(ask(copy))
    assert message in str(caught.value)
    assert copy.name in str(caught.value)


@pytest.mark.parametrize("file", ["adapter_config.json", manifest.ADAPTER_WEIGHTS])
def test_a_bare_base_is_never_scored_under_an_adapters_name(copy, rows, file):
    """transformers loads the base alone when the adapter's configuration is missing."""
    (copy / file).unlink()
    if file == manifest.ADAPTER_WEIGHTS:  # hf/ itself fails; a server may not
        with pytest.raises(InputError, match="bare base would answer under the adapter's name"):
            preflight.preflight(stub_model(HALF), copy, manifest.read(copy), "sycophancy")
        return
    model = hf(copy)
    assert weights.loaded(model).adapter is None
    with pytest.raises(InputError, match="bare base would answer under the adapter's name"):
        findings(model)


def test_another_base_is_refused(copy, made, tmp_path):
    other = tiny_models.write_llama(tmp_path / "other", tiny_models.DATED_TEMPLATE)
    for file in (manifest.BASE_WEIGHTS, "config.json"):
        (copy / file).unlink()
    config = json.loads((copy / "adapter_config.json").read_text())
    (copy / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(other)}))
    assert findings(hf(copy))["base"]["status"] == PASSED  # the same weights under another name
    tiny_models.describe_again(copy, base_sha256="0" * 64)
    with pytest.raises(InputError, match=r"not the base of .*expected sha256 000000000000"):
        findings(hf(copy))


def test_a_base_without_a_recorded_digest_is_known_by_its_name(copy, made, tmp_path):
    tiny_models.describe_again(copy, base_sha256=None)
    assert findings(hf(copy))["base"]["status"] == DIFFERS  # the base beside it is in a folder called "copy"
    tiny_models.describe_again(copy, base_sha256=None, base="org/copy")
    named = findings(hf(copy))["base"]
    assert (named["status"], "recorded no digest" in named["found"]) == (UNCHECKED, True)


def test_a_relative_base_is_found_as_inspect_is_typed_in_the_repository(tmp_path, monkeypatch):
    """Inspect changes to the task file's folder between loading the model and making the task."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(request, "_LAUNCHED_FROM", ROOT)
    words = ["mst_evals/sycophancy.py", "--model", "hf/training/models/micro-qwen", "-T", "label=0", "-T", "rows=1"]
    words += ["--log-dir", str(tmp_path / "logs"), "--display", "none"]
    said = CliRunner().invoke(eval_command, words, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    (log,) = list_eval_logs(str(tmp_path / "logs"))
    facts = read_eval_log(log, header_only=True).eval.metadata
    digest = manifest.read(manifest.SHIPPED / "micro-qwen").base_sha256
    assert facts["preflight"]["base"] == {"status": PASSED, "found": f"micro-qwen, sha256 {digest} as recorded"}


@pytest.mark.parametrize(
    ("facts", "status", "said"),
    [
        ({}, PASSED, "tiny-llama, sha256 "),
        ({"base_sha256": None, "base": "org/copy"}, UNCHECKED, "copy, as named in the manifest"),
        ({"base_sha256": None}, DIFFERS, "trained on tiny-llama, a directory called copy is loaded"),
    ],
)
def test_an_adapter_named_by_a_relative_path_has_its_base_beside_it(copy, monkeypatch, facts, status, said):
    tiny_models.describe_again(copy, **facts)
    monkeypatch.setattr(request, "_LAUNCHED_FROM", copy.parent)
    monkeypatch.chdir(copy.parent)
    settings = yaml.safe_load((copy / "nf4.yaml").read_text())
    model = get_model(f"hf/{copy.name}", memoize=False, **settings)
    monkeypatch.chdir(Path(request.__file__).parent)  # where Inspect makes the task
    found = findings(model)["base"]
    assert (found["status"], found["found"].startswith(said)) == (status, True), found


def test_weights_that_changed_after_loading_are_noticed(made):
    model = hf(made[0])
    place = next(value for name, value in model.api.model.named_parameters() if "lora_A" in name)
    subject.facts_of(model, "sycophancy")
    place.data = place.data + 1
    directory, found = made[0], manifest.read(made[0])
    with pytest.raises(InputError, match="is not what the loaded model holds"):
        preflight.preflight(model, directory, found, "sycophancy")


# --- Whose facts ------------------------------------------------------------------------------------------------------


def answered(task: Task, model: Any, tmp_path: Path, **how: Any):
    (log,) = eval(task, model=model, display="none", log_dir=str(tmp_path / "logs"), **how)
    return log


def test_the_model_the_task_was_made_for_is_not_checked_twice(made, rows, tmp_path, monkeypatch):
    calls = []
    check = preflight.preflight
    monkeypatch.setattr(preflight, "preflight", lambda *args: calls.append(args) or check(*args))
    (log,) = eval(
        "mst_evals/sycophancy", model=mst(made[0]), task_args={"problems": rows}, display="none",
        log_dir=str(tmp_path / "logs"),
    )  # fmt: skip
    assert (log.status, len(calls), len(log.samples)) == ("success", 1, 2)
    assert log.eval.metadata["preflight"]["effect"]["status"] == PASSED
    assert log.eval.metadata["arm"] == "mst"


def test_a_task_made_while_another_model_was_active_is_refused(rows, tmp_path):
    """`eval_set` leaves its model behind; the log would hold that model's facts."""

    def in_a_context_of_its_own():
        trivial = Task(dataset=MemoryDataset([Sample(input="x")]), name="trivial")
        eval_set([trivial], model=stub_model("hi", "writer"), log_dir=str(tmp_path / "set"), display="none")
        assert str(active_model()) == "stub/writer"
        return sycophancy(problems=rows)

    task = copy_context().run(in_a_context_of_its_own)
    model = stub_model(HALF, "asked")
    log = answered(task, model, tmp_path)
    assert log.status == "error"
    assert "made for another model (base 'writer', asked is 'asked')" in log.error.message
    assert "\n" not in log.error.message
    assert seen(model) == []
    again = answered(task, stub_model(HALF, "writer"), tmp_path)  # the facts are this model's after all
    assert again.status == "success"


def test_a_task_made_before_its_model_is_known_takes_no_adapter(made, rows, tmp_path):
    log = answered(sycophancy(problems=rows), mst(made[0]), tmp_path)
    assert log.status == "error"
    assert "made before its model was known" in log.error.message
    log = answered(sycophancy(problems=rows), stub_model(HALF), tmp_path)  # nothing is claimed about a hosted model
    assert (log.status, log.eval.metadata["arm"]) == ("success", subject.UNKNOWN)


def test_a_leaked_model_with_the_same_facts_is_checked_by_itself(made, copy, rows, tmp_path):
    """The same adapter loaded otherwise: the facts of the first are not those of the second."""

    def make(model):
        init_active_model(model, GenerateConfig())
        return sycophancy(problems=rows)

    task = copy_context().run(make, mst(made[0]))
    assert answered(task, mst(made[0]), tmp_path).status == "success"
    log = answered(task, mst(made[0], quantisation="none"), tmp_path)
    assert "evaluated_quantisation 'nf4', asked is 'none'" in log.error.message
    provider._BASES.clear()
    change(copy, "zero")
    log = answered(task, mst(copy), tmp_path)
    assert "changes no logit" in log.error.message


def test_nothing_is_scored_when_errors_are_let_pass(made, rows, tmp_path):
    log = answered(sycophancy(problems=rows), mst(made[0]), tmp_path, fail_on_error=False)
    assert [sample.error is not None for sample in log.samples] == [True, True]
    assert not any(sample.scores for sample in log.samples)


# --- Weights that another process serves ------------------------------------------------------------------------------


@pytest.fixture
def served():
    """A stand-in for ``vllm/base:adapter``: the name and the arguments of the server, no vLLM."""

    def make(name: str, **arguments: Any):
        model = stub_model(HALF, name)
        about = registry_info(model.api)
        set_registry_info(model.api, RegistryInfo(type="modelapi", name="inspect_ai/vllm", metadata=about.metadata))
        model.api.server_args = arguments
        return model

    return make


def test_what_can_be_known_of_a_served_adapter(made, served):
    adapter, base = made
    facts = subject.facts_of(served(f"{base}:{adapter}", quantization="bitsandbytes"), "sycophancy")
    assert (facts["arm"], facts["evaluated_quantisation"]) == ("mst", None)
    found = facts["preflight"]
    assert found["base"]["status"] == PASSED
    assert found["adapter"]["found"].startswith("28 finite weights in the file")
    assert "quantization=bitsandbytes" in found["quantisation"]["found"]
    assert {found[name]["status"] for name in preflight.CHECKS if name != "base"} == {UNCHECKED}
    bare = subject.facts_of(served(f"{base}:{adapter}"), "sycophancy")["preflight"]
    assert bare["quantisation"]["status"] == DIFFERS


@pytest.mark.parametrize(
    ("trained", "arguments", "external", "said"),
    [
        ("nf4", {"quantization": "bitsandbytes"}, False, None),
        ("nf4", {"quantization": "fp8", "dtype": "float16"}, False, "with quantization=fp8"),
        ("nf4", {"quantization": "awq"}, False, "with quantization=awq"),
        ("nf4", {"quantization": "none"}, False, "without quantization=bitsandbytes"),
        ("nf4", {}, False, "without quantization=bitsandbytes"),
        ("nf4", {}, True, None),  # whoever started it knows
        ("nf4", {"quantization": "fp8"}, True, "with quantization=fp8"),
        ("none", {}, False, None),
        ("none", {"quantization": None}, False, None),
        ("none", {"quantization": "bitsandbytes"}, False, "with quantization=bitsandbytes"),
        ("none", {"quantization": "fp8"}, False, "with quantization=fp8"),
    ],
)
def test_a_server_that_quantises_otherwise_than_training_is_refused(
    copy, made, served, monkeypatch, trained, arguments, external, said
):
    tiny_models.describe_again(copy, quantisation=trained)
    if external:
        monkeypatch.setenv("VLLM_BASE_URL", "http://127.0.0.1:1/v1")
    found = subject.facts_of(served(f"{made[1]}:{copy}", **arguments), "sycophancy")["preflight"]
    assert found["quantisation"]["status"] == (UNCHECKED if said is None else DIFFERS)
    if said is not None:
        expected = f"quantisation (trained {trained}, the server was started {said})"
        assert refusal({"preflight": found}) == f"not asked as it was trained: {expected}"


def test_a_served_adapter_that_is_not_here_is_no_base(served):
    facts = subject.facts_of(served("org/base:org/adapter"), "sycophancy")
    assert facts["arm"] == subject.UNKNOWN
    assert {finding["status"] for finding in facts["preflight"].values()} == {UNCHECKED}


def test_a_served_adapter_on_another_base_or_without_effect_is_refused(made, copy, served, tmp_path):
    adapter, base = made
    with pytest.raises(InputError, match="trained on base 'tiny-llama', but 'org/other' is served"):
        findings(served(f"org/other:{adapter}"))
    shutil.copytree(base, tmp_path / "changed")
    (tmp_path / "changed" / manifest.BASE_WEIGHTS).write_bytes(b"x")
    with pytest.raises(InputError, match="not the base of"):
        findings(served(f"{tmp_path / 'changed'}:{adapter}"))
    change(copy, "zero")
    with pytest.raises(InputError, match="every lora_B is zero"):
        findings(served(f"{base}:{copy}"))


def test_a_served_option_of_several_tokens_is_found_by_its_first(made, served):

    model = served(f"{made[1]}:{made[0]}")
    first = task_file._option_tokens(model)
    assert set(first) == set(answers.OPTIONS) and all(word.startswith(text) for word, text in first.items())
    listed = output("m", {first["correct"]: -1.0, first["incorrect"]: -2.0, "correct answer": -0.5})
    assert option_logprobs(listed, first) == {"correct": -1.0, "incorrect": -2.0}
    assert task_file._option_tokens(served("org/base")) is None


# --- What a report does with it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, ""),
        ({"preflight": {"tokens": {"status": PASSED, "found": "x"}}}, ""),
        ({"preflight": {"tokens": {"status": UNCHECKED, "found": "x"}}}, ""),
        (
            {"preflight": {"tokens": {"status": DIFFERS, "found": "2 BOS"}, "base": {"status": PASSED, "found": ""}}},
            "not asked as it was trained: tokens (2 BOS)",
        ),
        ({"seed": 0, "quantisation": "nf4", "evaluated_quantisation": "nf4"}, ""),
        ({"seed": 0, "quantisation": "nf4", "evaluated_quantisation": None}, ""),
        ({"seed": None, "quantisation": "none", "evaluated_quantisation": "nf4"}, ""),  # a base
        (
            {"seed": 0, "quantisation": "nf4", "evaluated_quantisation": "none"},
            "not asked as it was trained: quantisation (trained nf4, evaluated none)",
        ),
    ],
)
def test_a_report_refuses_what_was_not_asked_as_trained(row, reason):
    assert refusal(row) == reason
