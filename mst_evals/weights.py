"""The weights of a model under evaluation: in this process, or in the file of an adapter."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai.model import Model, ModelName

from mst_evals import manifest
from mst_evals.errors import InputError

PREFIX = "base_model.model."  # of every name in an adapter's file


@dataclass(frozen=True)
class Loaded:
    """Weights in this process.

    Attributes:
        module: The torch model, with its adapters.
        adapter: peft's name of the adapter that answers, None for a bare base.
        tokenizer: What the provider encodes prompts with.
    """

    module: Any
    adapter: str | None
    tokenizer: Any


def loaded(model: Model) -> Loaded | None:
    """The weights behind an Inspect model, None when they are elsewhere."""
    provider, api = ModelName(model).api, model.api
    if provider == "mst" and hasattr(api, "base"):
        return Loaded(api.base.model, api.adapter, api.tokenizer)  # type: ignore[attr-defined]
    if provider == "hf" and getattr(api, "model", None) is not None:
        return Loaded(api.model, next(iter(getattr(api.model, "peft_config", ())), None), api.tokenizer)  # type: ignore[attr-defined]
    return None


def whole(directory: Path) -> None:
    """Raise `InputError` unless both files of an adapter are there.

    Without its configuration transformers would load the base that lies beside it, and say nothing.
    """
    for file in (directory / manifest.ADAPTER_WEIGHTS, directory / "adapter_config.json"):
        if not file.is_file():
            raise InputError(f"{file}: missing, so the bare base would answer under the adapter's name")


def tensors(weights: Path, called: str = "") -> Iterator[tuple[str, Any]]:
    """Names, as in the file, and tensors of an adapter's file, one at a time.

    Args:
        weights: The file.
        called: What an error calls it; empty for its path.

    Raises:
        InputError: One holds a number that is not finite, or the file is cut or none.
    """
    from safetensors import SafetensorError, safe_open

    where = called or weights
    try:
        with safe_open(weights, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (no mapping)
                tensor = file.get_tensor(name)
                if not bool(tensor.isfinite().all()):
                    raise InputError(f"{where}: {name} holds a number that is not finite; train it again")
                yield name, tensor
    except SafetensorError as error:
        raise InputError(f"{where}: cut short or no safetensors file ({error})") from None
