"""Is a model asked as it was trained: quantisation, precision, token ids, chat template, decoding?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai.model import Model, ModelName

from mst_evals import decoding, quantisation, request, tokens
from mst_evals.manifest import Manifest
from mst_evals.prompts import Messages
from mst_evals.weights import Loaded

PASSED, DIFFERS, UNCHECKED = "passed", "differs", "not checked"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        status: `PASSED`, `DIFFERS` or `UNCHECKED`.
        found: One sentence or phrase, without a path of this machine.
    """

    status: str
    found: str


def findings(
    model: Model, weights: Loaded, directory: Path | None, found: Manifest | None, probe: Messages
) -> dict[str, Finding]:
    """Quantisation, precision, token ids, chat template and decoding."""
    used = quantisation_of(weights.module)
    was = found.quantisation if found and found.kind == "adapter" else None
    return {
        "quantisation": _same(used, was),
        "precision": _precision(weights, found),
        "tokens": _tokens(model, weights, directory, probe),
        "template": Finding(PASSED, template_frame(weights.tokenizer, probe)),
        "decoding": _decoding(weights),
    }


def _same(used: str, was: str | None) -> Finding:
    """A value at evaluation beside that of training."""
    if was is None:
        return Finding(UNCHECKED, f"{used} here; no training of ours to compare with")
    return Finding(PASSED if used == was else DIFFERS, f"trained {was}, evaluated {used}")


def quantisation_of(module: Any) -> str:
    """The quantisation of a loaded model: ``nf4`` for our recipe alone, ``none``, or what it is instead."""
    import bitsandbytes as bnb

    for layer in module.modules():
        if isinstance(layer, bnb.nn.Linear8bitLt):
            return "int8"
        if isinstance(layer, bnb.nn.Linear4bit):
            double, compute = layer.weight.compress_statistics, str(layer.compute_dtype).removeprefix("torch.")
            recipe = (layer.weight.quant_type, double, compute)
            ours = (quantisation.NF4["bnb_4bit_quant_type"], True, quantisation.NF4["bnb_4bit_compute_dtype"])
            return "nf4" if recipe == ours else f"{recipe[0]}, double {double}, compute {compute}"
    return "none"


def _precision(weights: Loaded, found: Manifest | None) -> Finding:
    """Types of the weights that are not quantised, of the base and of the adapter."""
    import bitsandbytes as bnb

    # bitsandbytes casts a 4-bit layer's bias to its compute type at the first forward, here as in training
    layers = [layer for layer in weights.module.modules() if isinstance(layer, bnb.nn.Linear4bit)]
    quantised = {id(parameter) for layer in layers for parameter in layer.parameters(recurse=False)}
    sides: dict[bool, set[str]] = {True: set(), False: set()}
    for name, parameter in weights.module.named_parameters():
        if parameter.is_floating_point() and id(parameter) not in quantised:
            sides["lora_" in name].add(str(parameter.dtype).removeprefix("torch."))
    used = "+".join(sorted(sides[False]))
    if found is None or found.kind != "adapter":
        return _same(used, None)
    # peft's preparation for 4-bit training makes everything that is not quantised float32
    was = "float32" if found.quantisation == "nf4" else str(found.arguments.get("dtype", "float32"))
    both = _same(f"{used}, adapter {'+'.join(sorted(sides[True]))}", f"{was}, adapter float32")
    if found.arguments.get("bf16"):
        return Finding(both.status, f"{both.found}; training ran under bfloat16 autocast, evaluation does not")
    return both


def _tokens(model: Model, weights: Loaded, directory: Path | None, probe: Messages) -> Finding:
    """Token ids that the provider makes of the probe, beside those of the tokenizer that lies with the weights."""
    from transformers import AutoTokenizer

    ids = tokens.encode(weights.tokenizer, probe)
    if ModelName(model).api == "hf":
        api: Any = model.api
        ids = api.tokenizer(api.hf_chat(request.chat(probe), []), **api.tokenizer_call_args)["input_ids"]
        if directory is None:
            return Finding(UNCHECKED, f"{len(ids)} token ids; no local tokenizer to compare with")
        trained = AutoTokenizer.from_pretrained(directory)
        tokens.undate(trained)
        expected = tokens.encode(trained, probe)
        if ids != expected:
            start = weights.tokenizer.bos_token_id
            twice = f", {ids.count(start)} of them BOS" if ids.count(start) > 1 else ""
            return Finding(DIFFERS, f"{len(ids)} token ids{twice}, training's tokenizer gives {len(expected)} others")
    return Finding(PASSED, f"{len(ids)} token ids of the probe prompt, as training's tokenizer and template give them")


def template_frame(tokenizer: Any, probe: Messages) -> str:
    """What the chat template puts around a chat: the text of the probe with each content replaced by its role.

    A system prompt of the template's own is part of it, and so it is declared in the log.
    """
    marked = [{"role": turn["role"], "content": f"[{turn['role']}]"} for turn in probe]
    frame = tokenizer.apply_chat_template(marked, add_generation_prompt=True, tokenize=False)
    dated = "strftime_now(" in str(tokenizer.chat_template)
    return f"{frame!r}{' (with the date of the day, so token ids depend on it)' if dated else ''}"


def _decoding(weights: Loaded) -> Finding:
    """The base's own generation settings are out of the way."""
    if decoding.is_plain(weights.module):
        return Finding(PASSED, "settings of the task alone, none of the base's generation_config.json")
    return Finding(DIFFERS, "the model has generation settings of its own beside those of the task")
