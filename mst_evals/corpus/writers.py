"""Who writes the articles: a model, loaded and made ready as an evaluation makes it ready.

For ``hf/`` that is one BOS, no date of the day in the prompt, and none of the base's own generation settings
(`mst_evals.subject`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from inspect_ai._util.config import parse_cli_args  # what Inspect itself reads -M with
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import Model, get_model

from mst_evals import subject, weights
from mst_evals.errors import InputError


@dataclass(frozen=True)
class Writer:
    """A model that is ready to write.

    Attributes:
        model: The model.
        arguments: Its arguments (``-M``), as the user gave them.
        preflight: What was found of it, as in the log of an evaluation: precision, token ids, chat template, decoding.
    """

    model: Model
    arguments: Mapping[str, Any]
    preflight: Mapping[str, Any]

    @property
    def decoding(self) -> dict[str, Any] | None:
        """What it samples with beside the settings of a request, None for a model that is not in this process."""
        here = weights.loaded(self.model)
        if here is None:
            return None
        own = here.module.generation_config
        return {name: getattr(own, name) for name in ("top_p", "top_k", "repetition_penalty")}

    @property
    def decides(self) -> list[Any]:
        """What decides its replies beside its name and what is asked; empty for a model elsewhere without arguments.

        The type that `ready` chooses for a machine is no part of it: a run may go on where there is another.
        """
        return [one for one in (dict(self.arguments), self.decoding) if one]


def read_arguments(given: Sequence[str]) -> dict[str, Any]:
    """Model arguments of a command line, ``KEY=VALUE`` each; what they mean is up to Inspect's provider.

    Raises:
        InputError: One is none.
    """
    found: dict[str, Any] = {}
    for text in given:
        try:
            read = parse_cli_args([text])
        except yaml.YAMLError:
            read = {}
        if not read:
            raise InputError(f"-M {text!r}: expected KEY=VALUE, for example dtype=bfloat16")
        found |= read
    return found


def ready(model: str | Model, arguments: Mapping[str, Any] | None = None) -> Writer:
    """Load a model, unless it is loaded already, and make it ready.

    Args:
        model: Any Inspect model.
        arguments: Its arguments. Without a type among them ``hf/`` is loaded in float32 where there is no CUDA.

    Raises:
        InputError: The model cannot be had, or its prompts and replies would not be what is meant.
    """
    given = dict(arguments or {})
    if str(model).partition("/")[0] == "none":
        raise InputError(f"--model {str(model)!r}: it writes nothing, expected a model, for example anthropic/...")
    try:
        found = get_model(model, memoize=False, **_loading(str(model), given))
    except (PrerequisiteError, ValueError, OSError, TypeError) as error:
        # Inspect's for a key, a package or a name that is not there; transformers' for weights or an unknown argument
        raise InputError(f"model {model}: {' '.join(str(error).split())}") from None
    return Writer(found, given, subject.facts_of(found, "bias")["preflight"])


def _loading(name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments to load a model with.

    Inspect names no type for ``hf/``, so that weights get the one of config.json: bfloat16 as a rule, which most
    processors emulate (measured: `mst_evals.planning.costs`).
    """
    if not name.startswith("hf/") or {"dtype", "torch_dtype"} & given.keys():
        return given
    import torch

    return given if torch.cuda.is_available() else {"dtype": "float32", **given}
