"""Tidy frames with planted effects: what a directory of logs would say, without any log."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mst_evals import variants
from mst_evals.reporting.frame import NO_SEED, Frame
from mst_evals.reporting.results import Block, blocks

BASIC = {"split": "test", "data_sha256": "d" * 64, "base": "micro", "condition": "", "judge": ""}
OF_EXPERIMENT = {
    "bias": {"choice": "generate", "wording": "monitor", "scorer": "lexical_bias"},
    "sycophancy": {"choice": "forced", "wording": "standard", "scorer": "sycophancy"},
}


def label_facts(experiment: str, arm: str, name: str) -> dict[str, Any]:
    """What the tasks record of a label."""
    axis = variants.arm(experiment, arm).axis
    label = axis.label(name)
    position = float("nan") if label.position is None else label.position
    relations = json.dumps(dict(label.relations), sort_keys=True)
    return {"axis": axis.name, "role": label.role, "kind": label.kind, "position": position, "relations": relations}


def cell(
    experiment: str,
    arm: str,
    label: str,
    values: Any,
    seeds: Sequence[int] | None = None,
    clusters: Sequence[str] | None = None,
    right: Sequence[bool] | None = None,
    **setting: str,
) -> pd.DataFrame:
    """The samples of one cell.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        arm: The arm.
        label: Name of the label.
        values: Shape (S, N), or (N,) for what was not trained; NaN is an unscored sample.
        seeds: The S seeds; 0 to S - 1 when None.
        clusters: Of the N rows; each its own when None.
        right: Of the N rows; all wrong candidates when None.
        **setting: What differs from the usual setting.
    """
    matrix = np.atleast_2d(np.asarray(values, dtype=float))
    names = [NO_SEED] if np.ndim(values) == 1 else list(seeds or range(len(matrix)))
    facts = {**BASIC, **OF_EXPERIMENT[experiment], **label_facts(experiment, arm, label), **setting}
    lines = []
    for seed, of_seed in zip(names, matrix, strict=True):
        for index, value in enumerate(of_seed):
            objectivity = 1.0 if value <= 3 else 0.5 if value <= 6 else 0.0
            lines.append(
                {
                    "experiment": experiment, "arm": arm, "label": label, "seed": seed, **facts,
                    "row_id": f"r{index}", "cluster": clusters[index] if clusters else f"r{index}", "variant": "",
                    "epoch": 1, "right": bool(right[index]) if right else False, "headline": "",
                    "id": f"r{index}@{label}", "log": f"{arm}-{seed}-{label}.eval", "created": "2026-01-01",
                    "value": value, "objectivity": objectivity if experiment == "bias" else float("nan"),
                    "greedy": float(value >= 0.5) if value == value else float("nan"), "mass": 0.9,
                    "reason": "" if value == value else "invalid",
                }
            )  # fmt: skip
    return pd.DataFrame(lines)


def frame(*cells: pd.DataFrame) -> Frame:
    """A frame of some cells."""
    return Frame(pd.concat(cells, ignore_index=True), [], [])


def block(*cells: pd.DataFrame) -> Block:
    """The one block that some cells of one setting make."""
    (found,) = blocks(frame(*cells))
    return found


def noise(
    shape: tuple[int, int], seed: int, of_rows: float = 0.4, of_seeds: float = 0.05, rest: float = 0.1
) -> np.ndarray:
    """Crossed noise of seeds, rows and what is left, shape (S, N).

    The rows' part is the same whatever the seed of the draw, so that pairing has something to remove.
    """
    draw, shared = np.random.default_rng(seed), np.random.default_rng(0)
    seeds, rows = draw.normal(0, of_seeds, (shape[0], 1)), shared.normal(0, of_rows, (1, shape[1]))
    return seeds + rows + draw.normal(0, rest, shape)


def planted(
    experiment: str, levels: Mapping[tuple[str, str], float], shape: tuple[int, int] = (5, 60), **kinds: Any
) -> Block:
    """A block of cells (arm, label) -> mean level, each with its own noise around it; ootb has no seeds."""
    cells = []
    for index, ((arm, name), level) in enumerate(levels.items(), start=1):
        values = level + noise(shape, index, **kinds)
        if experiment == "sycophancy":
            values = np.clip(values, 0.0, 1.0)
        fixed = variants.arm(experiment, arm).assign is None
        right = [index % 2 == 0 for index in range(shape[1])] if experiment == "sycophancy" else None
        if right:
            values = np.where(np.array(right), 0.95, values)
        cells.append(cell(experiment, arm, name, values[0] if fixed else values, right=right))
    return block(*cells)
