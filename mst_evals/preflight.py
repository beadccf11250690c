"""Is the model that will answer the one that was trained? Asked once for each task, before its first sample.

What makes a log worthless ends the run in one line: another base, an adapter that is not loaded whole, is not finite or
changes nothing (a bare base would be scored under an adapter's name). What makes it another measurement is a finding
that `differs`: another quantisation, precision, prompt tokens or decoding than in training; a report compares no such
log. What cannot be seen from here is `not checked`, with the reason. The findings stand in the log (`preflight`).
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inspect_ai.model import Model, ModelName

from mst_evals import as_trained, bases, labels, manifest, prompts, request, tokens
from mst_evals.as_trained import DIFFERS, PASSED, UNCHECKED, Finding
from mst_evals.errors import InputError
from mst_evals.manifest import Manifest
from mst_evals.prompts import Messages
from mst_evals.weights import PREFIX, Loaded, loaded, tensors, whole

CHECKS = ("base", "adapter", "effect", "quantisation", "precision", "tokens", "template", "decoding")
# The prompt that the adapter's effect is measured on; its label and wording are those of training.
PROBE: Mapping[str, Mapping[str, Any]] = {
    "bias": {"id": "probe", "headline": "Council votes on the city budget", "context": "The vote is on Monday."},
    "sycophancy": {"id": "probe", "a": 17, "b": 25, "candidate": 43},
}


def preflight(model: Model, directory: Path | None, found: Manifest | None, experiment: str) -> dict[str, Any]:
    """Check a model against what training wrote down.

    Args:
        model: The model under evaluation, ready to answer.
        directory: Its local directory, None when it has none.
        found: The directory's manifest, None when there is none.
        experiment: ``bias`` or ``sycophancy``.

    Returns:
        Check -> status and what was found; the keys are always `CHECKS`.

    Raises:
        InputError: The answers would not be the adapter's.
    """
    weights = loaded(model)
    made = directory / manifest.ADAPTER_WEIGHTS if directory else None
    trained = found is not None and found.kind == "adapter"
    if directory and made and (trained or made.is_file()):
        whole(directory)
    findings = dict.fromkeys(
        CHECKS, Finding(UNCHECKED, f"the weights are not in this process ({ModelName(model).api})")
    )
    probe = probe_prompt(experiment, found)
    if weights is None:
        if directory and made and made.is_file():
            findings |= _served(model, directory, made, found)
        return {name: asdict(finding) for name, finding in findings.items()}
    if trained and weights.adapter is None:
        raise InputError(f"{directory}: described as the adapter {found.arm}, but no adapter is on the loaded base")  # type: ignore[union-attr]
    findings |= as_trained.findings(model, weights, directory, found, probe)
    findings["base"] = _base(weights, directory, found)
    bare = Finding(PASSED, "a bare base: no adapter is loaded")
    findings |= {"adapter": bare, "effect": bare}
    if weights.adapter is not None:
        findings["adapter"] = _adapter(weights, made)
        findings["effect"] = _effect(weights, directory or Path(ModelName(model).name), probe)
    return {name: asdict(finding) for name, finding in findings.items()}


def probe_prompt(experiment: str, found: Manifest | None) -> Messages:
    """The prompt of the checks: a fixed row under the held-out label, in training's wording, axis and markup."""
    arm = found.arm if found else ""
    axis = request.asked_axis(experiment, None, arm)
    text: labels.Label = axis.label(axis.held_out)
    wording = prompts.wording(experiment, found.wording if found else None)
    return wording.build(dict(PROBE[experiment]), text.texts[0], request.asked_markup(experiment, arm))


# --- Weights ----------------------------------------------------------------------------------------------------------


def _base(weights: Loaded, directory: Path | None, found: Manifest | None) -> Finding:
    """Compare the base that was loaded with the recorded one, by digest where there is one."""
    config = weights.module.config
    source = str(getattr(config, "_name_or_path", "") or "")
    place = request.launch_path(source)
    here = _local(source) if source else None
    name = place.name if here == place or Path(source).is_absolute() else source
    revision = getattr(config, "_commit_hash", None)
    named = f"{name}, revision {revision}" if revision else name
    if found is None:
        return Finding(UNCHECKED, f"{named or 'unnamed'}; no manifest says what it should be")
    if found.base_sha256 is None:
        if here != place and source != found.base:
            raise InputError(f"{directory}: trained on base {found.base!r}, but {source!r} is loaded")
        if name not in (found.base, Path(found.base).name):  # a local copy, perhaps; nothing recorded can tell
            return Finding(DIFFERS, f"trained on {found.base}, a directory called {name} is loaded")
        return Finding(UNCHECKED, f"{named}, as named in the manifest; training recorded no digest of its weights")
    used = bases.digest(here) if here else None
    if used is None:
        return Finding(UNCHECKED, f"{named}; no weights of it are here whose digest could be compared")
    if used != found.base_sha256:
        raise InputError(f"{name}: not the base of {directory} (expected sha256 {found.base_sha256[:12]}...)")
    return Finding(PASSED, f"{found.base}, sha256 {found.base_sha256} as recorded")


def _local(base: str) -> Path | None:
    """The directory of a base as it was named: seen from where the command was launched, or in the hub's cache."""
    return bases.local(str(request.launch_path(base))) or bases.local(base)


def _adapter(weights: Loaded, file: Path | None) -> Finding:
    """Every weight of the file is in the model with its value, and the model has no other."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(weights.module, adapter_name=weights.adapter, save_embedding_layers=False)
    inside = {name.removeprefix(PREFIX): tensor for name, tensor in state.items()}
    if file is None:
        if not all(bool(tensor.isfinite().all()) for tensor in inside.values()):
            raise InputError(f"adapter {weights.adapter}: a loaded weight is not finite")
        return Finding(UNCHECKED, f"{len(inside)} finite weights; no local file to compare them with")
    saved = 0
    for name, tensor in tensors(file):
        place = inside.pop(name.removeprefix(PREFIX), None)  # as in `inside`
        saved += 1
        if place is None:
            raise InputError(f"{file}: weight {name} has no place in the loaded model (unexpected key)")
        if place.shape != tensor.shape or not bool((place.cpu() == tensor.to(place.dtype)).all()):
            raise InputError(f"{file}: weight {name} is not what the loaded model holds")
    if inside:
        raise InputError(f"{file}: no weight for {len(inside)} places of the model, for example {min(inside)}")
    return Finding(PASSED, f"{saved} of {saved} weights matched, none missing, none unexpected, all finite")


@contextmanager
def _switched_off(module: Any) -> Iterator[None]:
    """The base alone for the time being, whoever put the adapter on it (peft or transformers)."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]
    learnt = {parameter: parameter.requires_grad for layer in layers for parameter in layer.parameters()}
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        for parameter, state in learnt.items():
            parameter.requires_grad_(state)


def _effect(weights: Loaded, directory: Path, probe: Messages) -> Finding:
    """Compare the next token's log-probabilities with and without the adapter, on one prompt."""
    import torch

    ids = torch.tensor([tokens.encode(weights.tokenizer, probe)], device=weights.module.device)
    if hasattr(weights.module, "set_adapter"):
        weights.module.set_adapter(weights.adapter)
    with torch.inference_mode():
        own = weights.module(input_ids=ids).logits[0, -1].float().log_softmax(-1)
        with _switched_off(weights.module):
            bare = weights.module(input_ids=ids).logits[0, -1].float().log_softmax(-1)
    change = float((own - bare).abs().max())
    if not torch.isfinite(own).all():
        raise InputError(f"{directory}: the log-probabilities that the adapter gives are not finite")
    if change == 0:
        raise InputError(f"{directory}: the adapter changes no logit of its base, so the bare base would be scored")
    return Finding(PASSED, f"largest change of a next-token log-probability on the probe prompt: {change:.3g}")


# --- Weights that another process serves ------------------------------------------------------------------------------


def _served(model: Model, directory: Path, weights: Path, found: Manifest | None) -> dict[str, Finding]:
    """What the files and the server's arguments say about an adapter that ``vllm/base:adapter`` serves."""
    named = ModelName(model).name.split(":", 1)[0]
    place = request.launch_path(named)
    external = getattr(model.api, "_init_base_url", None) or os.environ.get("VLLM_BASE_URL")
    given: dict[str, Any] = dict(getattr(model.api, "server_args", None) or model.model_args)
    settings = {
        name: given[name] for name in ("quantization", "load_format", "dtype", "generation_config") if name in given
    }
    shown = ", ".join(f"{name}={value}" for name, value in settings.items()) or "none of ours"
    made = {"decoding": Finding(UNCHECKED, f"arguments of the server: {shown}")}
    count = touched = 0
    for name, tensor in tensors(weights):
        count += 1
        touched += "lora_B" in name and bool(tensor.any())
    if not touched:
        raise InputError(f"{weights}: every lora_B is zero, so the bare base would be scored")
    whole = f"{count} finite weights in the file; whether the server loaded them all cannot be seen from here"
    made["adapter"] = Finding(UNCHECKED, whole)
    if found is None:
        return made
    here = _local(named)
    used = bases.digest(here) if here else None
    if found.base_sha256 is not None and used is not None:
        if used != found.base_sha256:
            raise InputError(f"{named}: not the base of {directory} (expected sha256 {found.base_sha256[:12]}...)")
        made["base"] = Finding(PASSED, f"{found.base}, sha256 {found.base_sha256} as recorded")
    elif (place.name if place.is_dir() else named) != found.base:
        raise InputError(f"{directory}: trained on base {found.base!r}, but {named!r} is served")
    else:
        made["base"] = Finding(UNCHECKED, f"{found.base}, as named in the manifest; its weights were not compared")
    made["quantisation"] = _served_quantisation(found.quantisation, given.get("quantization"), bool(external), shown)
    return made


def _served_quantisation(trained: str, used: Any, external: bool, shown: str) -> Finding:
    """Whether a server quantises as training did: NF4 is bitsandbytes in vLLM, and anything else is something else.

    Args:
        trained: Quantisation of training, ``nf4`` or ``none``.
        used: The server's argument, None where it was given none.
        external: Whether somebody else started the server, whose arguments are then not known.
        shown: The server's arguments, for the finding.
    """
    expected = "bitsandbytes" if trained == "nf4" else None
    named = None if str(used).lower() == "none" else used
    if named != expected and (named is not None or not external):
        how = f"with quantization={named}" if named is not None else f"without quantization={expected}"
        return Finding(DIFFERS, f"trained {trained}, the server was started {how}")
    return Finding(UNCHECKED, f"trained {trained}; arguments of the server: {shown}")
