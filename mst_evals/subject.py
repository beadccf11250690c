"""Who is asked: facts of the model under evaluation, taken from the manifest beside its weights.

The tasks copy these facts into the log, so that a report takes none from a file name. They also make plain Inspect
providers safe to use: a second load of the weights is avoided, and a tokenizer without a chat template is refused.
"""

from logging import getLogger
from pathlib import Path
from typing import Any

from inspect_ai.model import Model, ModelInfo, ModelName, set_model_info
from inspect_ai.model._model import active_model  # the public get_model() would load a model named in the environment

from mst_evals import data, manifest, quantisation
from mst_evals.errors import InputError
from mst_evals.manifest import Manifest
from mst_evals.request import launch_path

logger = getLogger(__name__)

LOCAL_PROVIDERS = ("hf", "mst")  # the model's name may be a directory, and constructing the model loads weights
UNKNOWN = "unknown"


def subject_facts(experiment: str) -> dict[str, Any]:
    """Facts of the model under evaluation, for the metadata of a task; the keys are always the same.

    Args:
        experiment: The task's experiment.

    Raises:
        InputError: The model's manifest is of the other experiment or does not match its weights, or its tokenizer
            has no chat template.
    """
    model = active_model()
    if model is None:  # a Task object made outside eval(): its model is chosen later
        logger.warning(
            "the task was made before its model was known, so the log cannot say which arm is asked; pass the task by "
            f"name instead: eval('mst_evals/{experiment}', task_args={{...}}, model=...)"
        )
        return _without_manifest(UNKNOWN, UNKNOWN)
    _prepare(model)
    directory = _directory(model)
    found = manifest.read(directory) if directory else None
    if found is None:
        adapter = directory is not None and (directory / "adapter_config.json").is_file()
        name = directory.name if directory else ModelName(model).name
        return _without_manifest(UNKNOWN if adapter else "ootb", Path(name).name if name.startswith("/") else name)
    assert directory is not None
    if found.experiment != experiment:
        raise InputError(f"{directory}: trained for the {found.experiment} experiment, asked by a {experiment} task")
    _match_weights(directory, found)
    _as_trained(model, directory)
    return _from_manifest(found) | {"evaluated_quantisation": _evaluated_quantisation(model, found)}


def existing_facts() -> dict[str, Any]:
    """The same keys for texts that already exist, which no model of this run has written."""
    return _without_manifest("existing", "none")


def _prepare(model: Model) -> None:
    """Avoid a second load of local weights, and refuse a tokenizer without a chat template.

    Inspect looks up an unknown model's context length by constructing the model once more (0.3.285,
    agent/_acp/event_mapping.py), without its arguments. A registered length ends the search.
    """
    provider, api = ModelName(model).api, model.api
    if provider not in LOCAL_PROVIDERS:
        return
    config = getattr(getattr(api, "model", None), "config", None)
    set_model_info(str(model), ModelInfo(context_length=getattr(config, "max_position_embeddings", None)))
    if provider == "hf" and hasattr(api, "tokenizer"):
        template = getattr(api, "chat_template", None) or api.tokenizer.chat_template
        if not template or getattr(api, "use_chat_template", None) is False:
            raise InputError(f"{model}: the tokenizer has no chat template; the prompts of both experiments are chats")


def _directory(model: Model) -> Path | None:
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
        if digest is not None and path.is_file() and data.sha256(path) != digest:
            raise InputError(f"{path}: the weights are not those its manifest describes (sha256 {digest[:12]}...)")


def _as_trained(model: Model, directory: Path) -> None:
    """Give a quantised ``hf/`` model the kernels and the adapter precision of training."""
    loaded = getattr(model.api, "model", None)
    if ModelName(model).api != "hf" or loaded is None or not quantisation.is_quantised(loaded):
        return
    quantisation.pin_kernels(loaded)
    weights = directory / manifest.ADAPTER_WEIGHTS
    if weights.is_file():
        quantisation.restore_adapter(loaded, weights)


def _evaluated_quantisation(model: Model, found: Manifest) -> str | None:
    """The quantisation the model is asked with, None when it cannot be seen from here."""
    own = getattr(model.api, "quantisation", None)
    if isinstance(own, str):
        return own
    if ModelName(model).api != "hf" or not hasattr(model.api, "model"):
        return None
    used = "nf4" if quantisation.is_quantised(model.api.model) else "none"
    if used != found.quantisation:
        logger.warning(
            f"trained with quantisation {found.quantisation}, evaluated with {used}: add --model-config DIR/nf4.yaml"
        )
    return used


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
    return {"arm": arm, "base": base, "condition": "", "label_use": []} | dict.fromkeys(nothing)
