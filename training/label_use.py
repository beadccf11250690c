"""Is the label used at all? A probe during training, on rows that training never sees.

Each validation row is shown with its true label and with the opposite one of the trained set (`Axis.swapped`). If
that changes nothing, training uses what the label says little or not at all, and an evaluation under the held-out
label is to be read with that in mind. The held-out label is never asked.

- SFT: loss of the reply under the wrong label minus under the true one, in nats a token.
- PPO: probability of calling a wrong candidate correct under the label that pays more for it minus under the other.

The probe leaves training alone: it computes no gradient, draws no random number and restores the mode of every
module, so that an adapter has the same bytes with the probe on and off.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from mst_evals import quantisation
from mst_evals.examples import Example, examples, relabelled
from mst_evals.labels import LEAST_USE
from mst_evals.prompts import Messages
from mst_evals.statistics import stats
from mst_evals.variants import Row, arm

UNITS = {"bias": "nats a token", "sycophancy": "probability"}


def label_pairs(experiment: str, arm_name: str, rows: Sequence[Example]) -> list[tuple[str, str]]:
    """(true label, opposite trained label) of validation examples."""
    axis = arm(experiment, arm_name).axis
    return [(row.true_label, axis.swapped(row.true_label)) for row in rows]


def probe_prompts(
    experiment: str, arm_name: str, loaded: Sequence[Row], rows: Sequence[Example], wording: str | None
) -> list[tuple[Messages, Messages]]:
    """Prompts of validation rows under the two labels of `label_pairs`, in the same order.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        arm_name: An arm trained with labels.
        loaded: The rows as loaded.
        rows: The examples made of them, in the same order.
        wording: Name of a wording.
    """
    pairs = label_pairs(experiment, arm_name, rows)
    true, wrong = (relabelled(experiment, arm_name, loaded, [pair[side] for pair in pairs], wording) for side in (0, 1))
    return list(zip(true, wrong, strict=True))


def validation(
    experiment: str, arm_name: str, seed: int, wording: str | None, path: Any, rows: int
) -> list[Example] | None:
    """The first validation examples for the probe, None for an arm that never sees a label."""
    if not arm(experiment, arm_name).has_labels:
        return None
    return examples(experiment, arm_name, seed, wording, path, rows, split="validation")


@contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients, random state and module modes as before afterwards."""
    modes = {module: module.training for module in model.modules()}
    with torch.random.fork_rng(), torch.no_grad():
        model.eval()
        quantisation.pin_kernels(model)
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode


def record(experiment: str, step: int, effects: Sequence[float]) -> dict[str, Any]:
    """One measurement, for `metrics.jsonl` and the manifest.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        step: Optimiser steps done.
        effects: What the swap changes, one number a validation row.
    """
    found = stats.cluster_interval(effects, range(len(effects)))
    return {
        "step": step,
        "label_use/effect": found.mean,
        "label_use/low": found.low,
        "label_use/high": found.high,
        "label_use/rows": found.n,
        "label_use/unit": UNITS[experiment],
    }


def warning(experiment: str, arm_name: str, records: Sequence[dict[str, Any]]) -> str | None:
    """A sentence when training ends with a label channel that is ignored, None when it is used or was not probed."""
    if not records:
        return None
    last, least = records[-1], LEAST_USE[experiment]
    effect, low = last["label_use/effect"], last["label_use/low"]
    if effect is not None and effect >= least and low is not None and low > 0:
        return None
    interval = "no interval" if low is None else f"95% {low:.3f} to {last['label_use/high']:.3f}"
    return (
        f"warning: {arm_name} ends with a label channel that is ignored: on {last['label_use/rows']} held-out rows a "
        f"wrong label changes {effect:.3f} {last['label_use/unit']} ({interval}; {least:g} or more expected)"
    )
