"""Who is asked: facts of the model under evaluation, taken from the manifest beside its weights.

The tasks copy these facts into the log, so that a report takes none from a file name. They also make plain Inspect
providers safe to use: a second load of the weights is avoided, a tokenizer without a chat template is refused, and a
base's own generation settings and doubled special tokens are kept out.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from logging import getLogger
from pathlib import Path
from typing import Any

from inspect_ai.model import Model, ModelInfo, ModelName, get_model, set_model_info
from inspect_ai.model._model import active_model  # the public get_model() would load a model named in the environment
from inspect_ai.solver import Generate, Solver, TaskState, solver

from mst_evals import as_trained, bases, decoding, manifest, preflight, quantisation, tokens, weights
from mst_evals.errors import InputError
from mst_evals.manifest import Manifest
from mst_evals.request import launch_path, one_line_errors

logger = getLogger(__name__)

LOCAL_PROVIDERS = ("hf", "mst")  # the model's name may be a directory, and constructing the model loads weights
UNKNOWN = "unknown"
# What tells one subject from another; the solver that compares them is given these.
IDENTITY = ("arm", "seed", "condition", "base", "base_sha256", "adapter_sha256", "evaluated_quantisation")


def subject_facts(experiment: str) -> dict[str, Any]:
    """Facts of the model under evaluation, for the metadata of a task; the keys are always the same.

    Args:
        experiment: The task's experiment.

    Raises:
        InputError: As `facts_of`.
    """
    model = active_model()
    if model is None:  # a Task object made outside eval(): its model is chosen later
        logger.warning(
            "the task was made before its model was known, so the log cannot say which arm is asked; pass the task by "
            f"name instead: eval('mst_evals/{experiment}', task_args={{...}}, model=...)"
        )
        return _without_manifest(UNKNOWN, UNKNOWN)
    return facts_of(model, experiment)


def facts_of(model: Model, experiment: str) -> dict[str, Any]:
    """Facts of a model, and what the preflight found (`preflight`). The model is made ready to be asked on the way.

    Args:
        model: Any Inspect model.
        experiment: ``bias`` or ``sycophancy``.

    Raises:
        InputError: The model's manifest is of the other experiment or does not match its weights, its tokenizer has no
            chat template, or the preflight found that its answers would not be the adapter's.
    """
    _prepare(model)
    directory = directory_of(model)
    found = manifest.read(directory) if directory else None
    if found is None:
        here = weights.loaded(model)
        name = directory.name if directory else ModelName(model).name
        adapter = directory is not None and (directory / "adapter_config.json").is_file()
        adapter = adapter or (here is not None and here.adapter is not None)
        adapter = adapter or (ModelName(model).api == "vllm" and ":" in ModelName(model).name)  # one that is not here
        facts = _without_manifest(UNKNOWN if adapter else "ootb", Path(name).name if name.startswith("/") else name)
    else:
        assert directory is not None
        if found.experiment != experiment:
            raise InputError(
                f"{directory}: trained for the {found.experiment} experiment, asked by a {experiment} task"
            )
        _match_weights(directory, found)
        _as_trained(model, directory)
        facts = _from_manifest(found) | {"evaluated_quantisation": _evaluated_quantisation(model)}
    findings = preflight.preflight(model, directory, found, experiment)
    for check, finding in findings.items():
        if finding["status"] == as_trained.DIFFERS:
            logger.warning(
                f"{model}: {check} is not as in training ({finding['found']}), so no report compares this log"
            )
    return facts | {"preflight": findings}


def existing_facts() -> dict[str, Any]:
    """The same keys for texts that already exist, which no model of this run has written."""
    return _without_manifest("existing", "none")


def identity(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What of a subject's facts another subject would not share, with the outcome of its preflight."""
    checks = {check: finding["status"] for check, finding in facts["preflight"].items()}
    return {name: facts[name] for name in IDENTITY} | {"preflight": checks}


@solver
def asked_as_recorded(experiment: str, recorded: dict[str, Any]) -> Solver:
    """Stop before the first generation when the model that answers is not the one whose facts the log holds.

    A task made outside of eval() takes its facts from whatever model is active there (`eval_set` leaves its own behind)
    or from none. Nothing is computed when the model is the one that the task was made for.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        recorded: `identity` of the task's facts.
    """
    made_for = active_model()
    reasons: dict[int, str] = {}  # model -> why it must not be asked, empty when it may

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        model = get_model()
        if model is not made_for and id(model) not in reasons:
            # adapters that share a base: nobody may generate while the preflight switches among them
            async with getattr(getattr(model.api, "base", None), "lock", None) or nullcontext():
                reasons[id(model)] = _mismatch(model, experiment, recorded)
        with one_line_errors():
            if reasons.get(id(model)):
                raise InputError(reasons[id(model)])
        return state

    return solve


def _mismatch(model: Model, experiment: str, recorded: Mapping[str, Any]) -> str:
    """Why a model is not the one that was recorded, empty when it is or when nothing was claimed."""
    try:
        facts = facts_of(model, experiment)
    except InputError as error:
        return str(error)
    hint = f"make the task inside eval: eval('mst_evals/{experiment}', task_args={{...}}, model=...)"
    if recorded["arm"] == UNKNOWN and recorded["base"] == UNKNOWN:
        if facts["arm"] == "ootb" and facts["seed"] is None and facts["method"] is None:
            return ""  # a model without a manifest: the log claims nothing about it
        return f"{model}: the task was made before its model was known, so the log would not name the arm; {hint}"
    asked = identity(facts)
    other = next((name for name, value in recorded.items() if asked[name] != value), None)
    if other is None:
        return ""
    return (
        f"{model}: the task was made for another model ({other} {recorded[other]!r}, asked is {asked[other]!r}), so "
        f"the log would hold another's facts; {hint}"
    )


def _prepare(model: Model) -> None:
    """Avoid a second load of local weights, and make ``hf/`` encode and sample as ``mst/`` does.

    Inspect looks up an unknown model's context length by constructing the model once more (0.3.285,
    agent/_acp/event_mapping.py), without its arguments. A registered length ends the search.

    Raises:
        InputError: The tokenizer has no chat template.
    """
    provider = ModelName(model).api
    api: Any = model.api
    if provider not in LOCAL_PROVIDERS:
        return
    config = getattr(getattr(api, "model", None), "config", None)
    set_model_info(str(model), ModelInfo(context_length=getattr(config, "max_position_embeddings", None)))
    if provider == "hf" and hasattr(api, "tokenizer"):
        template = getattr(api, "chat_template", None) or api.tokenizer.chat_template
        if not template or getattr(api, "use_chat_template", None) is False:
            raise InputError(f"{model}: the tokenizer has no chat template; the prompts of both experiments are chats")
        if not getattr(api, "chat_template", None):
            tokens.undate(api.tokenizer)
        # The template has set the special tokens already: a Llama-type tokenizer would add a second BOS.
        api.tokenizer_call_args = {"add_special_tokens": False} | dict(api.tokenizer_call_args or {})
        decoding.plain(api.model)


def directory_of(model: Model) -> Path | None:
    """The local directory a model's weights come from, None when they come from elsewhere."""
    name = ModelName(model)
    if name.api in LOCAL_PROVIDERS:
        path = launch_path(str(model.model_args.get("model_path") or name.name))
    elif name.api == "vllm" and ":" in name.name:  # vllm/<base>:<adapter>
        path = launch_path(name.name.split(":", 1)[1])
    else:
        return None
    return path if path.is_dir() else None


def _match_weights(directory: Path, found: Manifest) -> None:
    """Raise when weights lie beside the manifest that it does not describe (retrained in place, or copied)."""
    for file, digest in ((manifest.ADAPTER_WEIGHTS, found.adapter_sha256), (manifest.BASE_WEIGHTS, found.base_sha256)):
        path = directory / file
        if digest is not None and path.is_file() and bases.file_digest(path) != digest:
            raise InputError(f"{path}: the weights are not those its manifest describes (sha256 {digest[:12]}...)")


def _as_trained(model: Model, directory: Path) -> None:
    """Give an ``hf/`` model the kernels and the adapter precision of training."""
    loaded = getattr(model.api, "model", None)
    if ModelName(model).api != "hf" or loaded is None:
        return
    if quantisation.is_quantised(loaded):
        quantisation.pin_kernels(loaded)
    file = directory / manifest.ADAPTER_WEIGHTS
    if file.is_file() and getattr(loaded, "peft_config", None):
        quantisation.restore_adapter(loaded, file)


def _evaluated_quantisation(model: Model) -> str | None:
    """The quantisation the model is asked with, None when it cannot be seen from here."""
    here = weights.loaded(model)
    return None if here is None else as_trained.quantisation_of(here.module)


def _from_manifest(found: Manifest) -> dict[str, Any]:
    return {
        "arm": found.arm,
        "seed": found.seed,
        "condition": found.condition,
        "label_use": found.label_use,
        "method": found.method,
        "base": Path(found.base).name if found.base.startswith("/") else found.base,
        "base_sha256": found.base_sha256,
        "adapter_sha256": found.adapter_sha256,
        "quantisation": found.quantisation,
        "trained_wording": found.wording,
        "train_data_sha256": found.data_sha256,
    }


def _without_manifest(arm: str, base: str) -> dict[str, Any]:
    nothing = (
        "seed", "method", "base_sha256", "adapter_sha256", "quantisation", "trained_wording", "train_data_sha256",
        "evaluated_quantisation",
    )  # fmt: skip
    return {"arm": arm, "base": base, "condition": "", "label_use": [], "preflight": {}} | dict.fromkeys(nothing)
