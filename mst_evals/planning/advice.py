"""What to change in a recipe that does not fit, least harmful first."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from mst_evals.planning.gpus import GIB, Gpu
from mst_evals.planning.memory import FITS, Memory
from mst_evals.planning.settings import Training

Measure = Callable[[Training], Memory]
BATCH = {"bias": "per_device_train_batch_size", "sycophancy": "mini_batch_size"}


def change(planned: Training, gpu: Gpu, measure: Measure) -> str:
    """Arguments that make trainings fit, in one line and no more than it takes; or that none does.

    Args:
        planned: The recipe that does not fit.
        gpu: Where.
        measure: Memory of a recipe.
    """

    def fits(tried: Training) -> bool:
        return measure(tried).verdict(gpu) == FITS

    *_, least = [planned, *smaller(planned)]
    found = next(filter(fits, smaller(planned)), None)
    if found is None:
        return (
            f"no batch is small enough ({measure(least).needed(gpu) / GIB:.1f} GiB at the least): a lower rank "
            "(lora_r), a smaller base or a larger GPU"
        )
    for back in ({"probe_rows": planned.probe_rows}, {"checkpointing": planned.checkpointing}, _passes(planned)):
        undone = replace(found, **back)
        found = undone if fits(undone) else found
    changed = changes(planned, found)
    said = ", ".join(f"{name}: {value}" for name, value in changed.items())
    what = "changes the recipe" if "batch_size" in changed else "the optimiser steps stay the same"
    return f"{said} ({measure(found).needed(gpu) / GIB:.1f} GiB; {what})"


def _passes(planned: Training) -> dict[str, Any]:
    return {"batch": planned.batch, "accumulation": planned.accumulation}


def smaller(planned: Training) -> Iterator[Training]:
    """Ever smaller versions of a recipe. Each keeps what the one before it changed.

    Least harmful first: the rows of the probe, which touches no adapter; then checkpointing; then smaller passes with
    as many more for each optimiser step; last, PPO's rollout.
    """
    now = planned
    while now.probe_every and now.probe_rows > 4 and now.experiment == "bias":  # PPO's probe is smaller than a rollout
        now = replace(now, probe_rows=now.probe_rows // 2)
        yield now
    if now.experiment == "bias" and not now.checkpointing:
        now = replace(now, checkpointing=True)
        yield now
    for batch in range(now.batch - 1, 0, -1):
        if planned.batch % batch == 0:
            now = replace(now, batch=batch, accumulation=planned.accumulation * planned.batch // batch)
            yield now
    while now.rollout > 2 * now.batch * now.accumulation:
        now = replace(now, rollout=now.rollout // 2)
        yield now


def changes(old: Training, new: Training) -> dict[str, object]:
    """Names and values, as a study file writes them, of what differs."""
    names = {
        "probe_rows": "probe_rows", "checkpointing": "gradient_checkpointing", "batch": BATCH[old.experiment],
        "accumulation": "gradient_accumulation_steps", "rollout": "batch_size",
    }  # fmt: skip
    pairs = {said: (getattr(old, name), getattr(new, name)) for name, said in names.items()}
    return {said: "true" if after is True else after for said, (before, after) in pairs.items() if before != after}
