"""Base + tokenizer + NF4 + LoRA: for both trainers, on CPU and GPU alike."""

from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from mst_evals import manifest, quantisation, tokens
from mst_evals.errors import InputError

TARGET_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj", "gate_proj")


def find_base(base: str) -> str:
    """A base as a user names it: a directory, the name of a shipped micro base, or a hub id.

    Returns:
        A path or a hub id that transformers can load.

    Raises:
        InputError: A path was given and holds no model.
    """
    shipped = manifest.SHIPPED / base
    for directory in (Path(base), shipped):
        if directory.is_dir():
            if not (directory / "config.json").is_file():
                raise InputError(f"{directory}: no config.json, expected a model directory")
            return str(directory)
    if base.count("/") != 1 or base.startswith((".", "/")):
        raise InputError(f"base {base!r}: no such directory, and no hub id (owner/name)")
    return base


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """The base's tokenizer, padding on the left, with a chat template that gives the same tokens on every day.

    Raises:
        InputError: It has no chat template, without which no prompt can be made.
    """
    tokenizer = AutoTokenizer.from_pretrained(base)
    if not tokenizer.chat_template:
        raise InputError(f"{base}: its tokenizer has no chat template, so no prompt can be made")
    tokens.undate(tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def load_base(base: str, quantisation_name: str, dtype: str) -> PreTrainedModel:
    """The frozen base, quantised as named.

    Args:
        base: What `find_base` returned.
        quantisation_name: ``nf4`` or ``none``.
        dtype: Type of everything that is not quantised, for example ``float32``.
    """
    transformers_logging.disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(
        base,
        quantization_config=quantisation.config(quantisation_name),
        dtype=getattr(torch, dtype),
        device_map={"": torch.cuda.current_device()} if torch.cuda.is_available() else None,
    )


def add_lora(
    model: PreTrainedModel, rank: int, alpha: int, dropout: float, seed: int, gradient_checkpointing: bool = False
) -> PeftModel:
    """Put a LoRA adapter on all attention and MLP projections, with float32 weights and a seeded start."""
    if quantisation.is_quantised(model):
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=gradient_checkpointing)
    torch.manual_seed(seed)
    adapter = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(TARGET_MODULES), task_type="CAUSAL_LM"
    )
    return full_precision_adapter(get_peft_model(model, adapter))


def full_precision_adapter(model: PeftModel) -> PeftModel:
    """Make the trainable weights float32: TRL casts them to bfloat16 on a quantised base, and small steps get lost."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model
