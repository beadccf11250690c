"""Base + tokenizer + NF4 + LoRA, and what an adapter directory holds: for both trainers, on CPU and GPU alike."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from mst_evals import data, manifest, quantisation
from mst_evals.errors import InputError

TARGET_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj", "gate_proj")
PACKAGES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "mst-evals")
BASE_FILES = ("config.json", "generation_config.json", manifest.BASE_WEIGHTS)
# A base up to this size is copied beside its adapter, so that the directory moves freely (`--model hf/DIR`). Larger
# ones stay where they are and are found again by digest.
COPY_UP_TO = 64 * 2**20


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
    """The base's tokenizer, padding on the left.

    Raises:
        InputError: It has no chat template, without which no prompt can be made.
    """
    tokenizer = AutoTokenizer.from_pretrained(base)
    if not tokenizer.chat_template:
        raise InputError(f"{base}: its tokenizer has no chat template, so no prompt can be made")
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


def base_facts(base: str) -> tuple[str, str | None]:
    """Name and weight digest of a base; the digest is None for a hub id or sharded weights."""
    directory = Path(base)
    weights = directory / manifest.BASE_WEIGHTS
    if not weights.is_file():
        return (directory.name if directory.is_dir() else base), None
    return directory.name, data.sha256(weights)


@contextmanager
def claim(directory: Path) -> Iterator[Path]:
    """An empty working directory beside the final one, which appears only when `finish` has put everything in it.

    The working directory is removed when anything goes wrong or the run is interrupted.

    Raises:
        InputError: The final directory exists, since results already computed are never overwritten.
    """
    if directory.exists():
        raise InputError(f"{directory}: exists already; name another --output_dir or remove it")
    working = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    try:
        yield working
    finally:
        shutil.rmtree(working, ignore_errors=True)  # after `finish` it has moved, and there is nothing to remove


def finish(
    working: Path,
    directory: Path,
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    base: str,
    facts: Mapping[str, Any],
) -> manifest.Manifest:
    """Save everything that evaluation needs, write the manifest last, and move the directory into place.

    Args:
        working: What `claim` returned.
        directory: The final directory.
        model: The trained adapter on its base.
        tokenizer: Saved with its chat template.
        base: Path or hub id the base was loaded from.
        facts: experiment, arm, seed, method, wording, data_sha256, quantisation and arguments.
    """
    name, base_sha256 = base_facts(base)
    model.peft_config["default"].base_model_name_or_path = name
    # "auto" would ask the hub whether the vocabulary changed; only projections are trained.
    model.save_pretrained(working, save_embedding_layers=False)
    (working / "README.md").unlink(missing_ok=True)  # peft's empty card
    tokenizer.save_pretrained(working)
    weights = Path(base) / manifest.BASE_WEIGHTS
    if weights.is_file() and weights.stat().st_size <= COPY_UP_TO:
        for file in BASE_FILES:
            if (Path(base) / file).is_file():
                shutil.copyfile(Path(base) / file, working / file)
    manifest.write_text(working / "nf4.yaml", quantisation.inspect_model_config(facts["quantisation"]))
    manifest.write_text(working / "arguments.yaml", yaml.safe_dump(json.loads(json.dumps(facts["arguments"]))))
    written = manifest.Manifest(
        kind="adapter",
        base=name,
        base_sha256=base_sha256,
        adapter_sha256=data.sha256(working / manifest.ADAPTER_WEIGHTS),
        versions={package: version(package) for package in PACKAGES} | {"python": sys.version.split()[0]},
        **facts,
    )
    manifest.write(working, written)
    working.rename(directory)
    return written
