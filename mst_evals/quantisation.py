"""NF4 as training and evaluation both use it: one recipe, so that an adapter is asked on the base it was trained on.

The recipe is the source's: 4-bit NF4, double quantisation, bfloat16 compute. torch, transformers and bitsandbytes are
imported inside the functions, since this module is read by every `inspect` and `mst` command.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mst_evals.errors import InputError

if TYPE_CHECKING:
    import torch
    from transformers import BitsAndBytesConfig

NF4: Mapping[str, Any] = {
    "quant_method": "bitsandbytes",
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": "bfloat16",
}
NAMES = ("nf4", "none")


def config(name: str) -> "BitsAndBytesConfig | None":
    """The transformers configuration of a quantisation.

    Args:
        name: ``nf4`` or ``none``.

    Raises:
        InputError: Any other name.
    """
    if name not in NAMES:
        raise InputError(f"unknown quantisation {name!r}: expected one of {', '.join(NAMES)}")
    if name == "none":
        return None
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(**{key: value for key, value in NF4.items() if key != "quant_method"})


def inspect_model_config(name: str, dtype: str) -> str:
    """What ``inspect eval --model hf/DIR --model-config DIR/nf4.yaml`` needs to repeat training's numbers.

    Besides the quantisation: no special tokens beside those of the chat template (a Llama-type tokenizer would add a
    second BOS), and training's precision. With 4-bit layers that is float32 for all others, as peft's preparation for
    training makes it.

    Args:
        name: ``nf4`` or ``none``.
        dtype: Type of the base's weights in training, for example ``float32``.

    Returns:
        YAML text.
    """
    arguments: dict[str, Any] = {"dtype": dtype, "tokenizer_call_args": {"add_special_tokens": False}}
    if name == "nf4":
        arguments |= {"dtype": "float32", "quantization_config": dict(NF4)}
    return yaml.safe_dump(arguments, sort_keys=False)


def pin_kernels(model: "torch.nn.Module") -> "torch.nn.Module":
    """Keep bitsandbytes' 4-bit layers on the kernel that training uses, in evaluation too.

    On a CPU with AVX512-BF16, bitsandbytes 0.50.2 repacks a 4-bit weight in place at the first forward in ``eval()``
    mode without gradients (``Linear4bit.forward``, nn/modules.py). The packed kernel rounds differently, and a later
    *backward* through the repacked weight is silently wrong. The branch is guarded by the layer's own ``training``
    flag, which nothing else reads: dropout lives in the LoRA modules around it.

    Call it after every ``model.eval()``; ``model.train()`` needs no call.
    """
    import bitsandbytes as bnb

    for module in model.modules():
        if isinstance(module, bnb.nn.Linear4bit):
            module.training = True
    return model


def restore_adapter(model: "torch.nn.Module", weights: Path) -> None:
    """Give a model that transformers loaded from an adapter directory its adapter back in float32, in place.

    On a quantised base transformers makes LoRA weights in the compute type, bfloat16, and so rounds the saved ones;
    peft's own loader, which training and ``mst/`` use, keeps float32.

    Args:
        model: Model with LoRA layers named ``default``.
        weights: Its ``adapter_model.safetensors``.

    Raises:
        InputError: A saved weight has no place in the model.
    """
    from safetensors.torch import load_file

    places = dict(model.named_parameters())
    for name, weight in load_file(weights).items():
        stem = name.removeprefix("base_model.model.").removesuffix(".weight")
        place = places.get(f"{stem}.default.weight")
        if place is None:
            raise InputError(f"{weights}: weight {name!r} has no place in the loaded model")
        place.data = weight.to(device=place.device, dtype=weight.dtype)


def is_quantised(model: "torch.nn.Module") -> bool:
    """Whether the model has any 4-bit layer."""
    import bitsandbytes as bnb

    return any(isinstance(module, bnb.nn.Linear4bit) for module in model.modules())
