"""What of a training recipe decides memory and time, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mst_evals.errors import InputError

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# Bytes of optimiser state for each trained weight. AdamW keeps two moments (arXiv 1711.05101); bitsandbytes' 8-bit one
# keeps a byte and, in blocks of 256, a float32 scale of each (optim/optimizer.py, blocksize).
EIGHT_BITS = 2 * (1 + 4 / 256)
OPTIMISERS = {
    "adamw_torch": 8.0, "adamw_torch_fused": 8.0, "paged_adamw_32bit": 8.0, "paged_adamw": 8.0,
    "adamw_8bit": EIGHT_BITS, "adamw_bnb_8bit": EIGHT_BITS, "paged_adamw_8bit": EIGHT_BITS,
}  # fmt: skip
# torch's default AdamW goes through the weights list by list and makes as much again on the way (documentation of
# torch.optim.AdamW, `foreach`); the others update in place.
BY_LISTS = ("adamw_torch",)
# Defaults of the trainers' own dataclasses (a test compares them).
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "bias": {
        "quantisation": "nf4", "dtype": "float32", "lora_r": 16, "lora_dropout": 0.05, "rows": None, "probe_every": 25,
        "probe_rows": 32, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "num_train_epochs": 3.0,
        "max_steps": -1, "max_length": 1024, "gradient_checkpointing": True, "bf16": None, "tf32": None,
        "optim": "adamw_torch_fused",
    },
    "sycophancy": {
        "quantisation": "nf4", "dtype": "float32", "lora_r": 8, "lora_dropout": 0.0, "rows": None, "probe_every": 10,
        "probe_rows": 48, "batch_size": 128, "mini_batch_size": 64, "gradient_accumulation_steps": 1,
        "num_ppo_epochs": 4, "total_steps": 100,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Training:
    """One training recipe.

    Attributes:
        experiment: ``bias`` (SFT) or ``sycophancy`` (PPO).
        quantisation: ``nf4`` or ``none``.
        dtype: Of what is not quantised, as loaded.
        rank: Of LoRA.
        dropout: Of LoRA.
        batch: Rows of one forward and backward pass.
        accumulation: Passes for one optimiser step.
        optimiser: Name in `OPTIMISERS`.
        checkpointing: Whether activations are computed again in the backward pass.
        autocast: Whether matrix products run in bfloat16 (SFT with ``bf16``); our PPO has none.
        tf32: Whether TF32 is asked for, which older GPUs refuse.
        rows: Only the first N training rows, None for all.
        epochs: Of SFT over the rows, of PPO over each rollout.
        steps: SFT: limit of optimiser steps, 0 for none. PPO: number of rollouts.
        rollout: PPO: rows of a rollout, all in one forward pass; SFT: 0.
        max_length: SFT: longest row in tokens, None for no limit.
        probe_every: Steps between two probes of the label's use, 0 for none.
        probe_rows: Rows of a probe.
    """

    experiment: str
    quantisation: str
    dtype: str
    rank: int
    dropout: float
    batch: int
    accumulation: int
    optimiser: str
    checkpointing: bool
    autocast: bool
    tf32: bool
    rows: int | None
    epochs: float
    steps: int
    rollout: int
    max_length: int | None
    probe_every: int
    probe_rows: int


def training(experiment: str, recipe: Mapping[str, Any], where: str) -> Training:
    """The settings of a recipe, with the trainer's defaults for what it leaves open.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        recipe: The trainer's arguments.
        where: File named in errors.

    Raises:
        InputError: A value cannot be planned with.
    """
    given = {name: recipe.get(name, default) for name, default in DEFAULTS[experiment].items()}
    for name in ("lora_r", "gradient_accumulation_steps", "per_device_train_batch_size", "batch_size"):
        _number(given, name, 1, where)
    for name in ("mini_batch_size", "num_ppo_epochs", "total_steps", "num_train_epochs", "max_length"):
        _number(given, name, 0, where)
    _number(given, "probe_every", 0, where)
    _number(given, "probe_rows", 0, where)
    _one_of(given, "quantisation", ("nf4", "none"), where)
    _one_of(given, "dtype", tuple(BYTES), where)
    shared = {
        "experiment": experiment, "quantisation": given["quantisation"], "dtype": given["dtype"],
        "rank": given["lora_r"], "dropout": float(given["lora_dropout"]), "rows": given["rows"],
        "accumulation": given["gradient_accumulation_steps"], "probe_every": given["probe_every"],
        "probe_rows": given["probe_rows"],
    }  # fmt: skip
    if experiment == "sycophancy":
        return Training(
            **shared, batch=min(given["mini_batch_size"], given["batch_size"]), optimiser="adamw_torch",
            checkpointing=False, autocast=False, tf32=False, epochs=given["num_ppo_epochs"],
            steps=given["total_steps"], rollout=given["batch_size"], max_length=None,
        )  # fmt: skip
    _one_of(given, "optim", tuple(OPTIMISERS), where)
    return Training(
        **shared, batch=given["per_device_train_batch_size"], optimiser=given["optim"],
        checkpointing=bool(given["gradient_checkpointing"]),
        autocast=given["bf16"] is not False,  # TRL: bf16 unless it is turned off
        tf32=bool(given["tf32"]), epochs=given["num_train_epochs"], steps=max(0, given["max_steps"]), rollout=0,
        max_length=given["max_length"],
    )  # fmt: skip


def _number(given: Mapping[str, Any], name: str, least: int, where: str) -> None:
    value = given.get(name, least)
    if value is None and name == "max_length":
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
        raise InputError(f"{where}: {name} is {value!r}, expected a number of at least {least}")


def _one_of(given: Mapping[str, Any], name: str, known: tuple[str, ...], where: str) -> None:
    if given[name] not in known:
        raise InputError(f"{where}: {name} is {given[name]!r}, expected one of {', '.join(known)} to be planned with")
