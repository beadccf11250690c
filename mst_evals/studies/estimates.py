"""How long the rest of a study takes: from cells of the same kind that have finished, else from what is stated.

A time that nobody knows is `UNKNOWN`, which is infinite, so that no sum or maximum with it is ever taken for a time.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from mst_evals import data, examples, manifest
from mst_evals.studies import asked, states
from mst_evals.studies.cells import Cell, Job, Plan, rows_file
from mst_evals.studies.states import State

# Measured on the micro worlds, two jobs at a time on two cores of a server CPU and nothing beside them (2026-11-21):
# seconds of a training on all rows with the shipped recipes; of an evaluation, for its start and for each 1,000
# samples. A base's build takes what its recipe takes; a study states it. They hold for bases of that size alone.
TRAIN = {"bias": 120.0, "sycophancy": 200.0}
BASE = 300.0
START, PER_1000 = 3.0, {"bias": 105.0, "sycophancy": 23.0}
UNKNOWN = math.inf


def seconds(plan: Plan, past: Sequence[Mapping[str, Any]] | None = None) -> dict[Cell, float]:
    """Expected seconds of every cell, done or not; `UNKNOWN` where nothing tells.

    Args:
        plan: The study.
        past: Its records, read from its folder when None.
    """
    past = [one for one in (states.records(plan.out) if past is None else past) if one["status"] == "done"]
    return {cell: _expected(plan, job, cell, past) for job in plan.jobs for cell in job.cells}


def _expected(plan: Plan, job: Job, cell: Cell, past: Sequence[Mapping[str, Any]]) -> float:
    """What the cell took before; else what cells like it took; else what the study states; else the constants above.

    The constants are for micro bases; of any other base nothing is known then.
    """
    same = [float(one["seconds"]) for one in past if (one["kind"], one["key"]) == (cell.kind, cell.key)]
    if same:
        return same[-1]
    kind = [one for one in past if one["kind"] == cell.kind]
    stated = getattr(plan.study.durations, cell.kind)
    if cell.kind != "evaluate":
        alike = [float(one["seconds"]) for one in kind]
        constant = BASE
        if cell.kind == "train":  # after its start it takes as long as it has rows
            constant = START + (TRAIN[plan.study.experiment] - START) * _share(plan.study.experiment, job.arm)
    else:
        number = samples(plan, job, cell)
        alike = [float(one["seconds"]) for one in kind if 0.8 < one.get("samples", 0) / number < 1.25]
        constant = START + PER_1000[plan.study.experiment] * number / 1000
    if alike:
        return mean(alike)
    return float(stated) if stated is not None else constant if _is_micro(job) else UNKNOWN


@cache
def _share(experiment: str, arm: str) -> float:
    """Share of the project's own training rows that an arm trains on."""
    return len(examples.examples(experiment, arm, 0)) / len(examples.examples(experiment, "baseline", 0))


def _is_micro(job: Job) -> bool:
    """Whether a job builds a base, or works on one that the study builds or that is shipped."""
    if not job.arm or isinstance(job.base, Cell):
        return True
    return isinstance(job.base, Path) and job.base.parent == manifest.SHIPPED.resolve()


def samples(plan: Plan, job: Job, cell: Cell) -> int:
    """Number of samples of one sweep; nonsense stands for its five strings."""
    (sweep,) = [one for one, log in job.sweeps if log == cell]
    asking = plan.study.evaluations
    rows = _number(plan.study.experiment, rows_file(plan.study, plan.path), asking.split, asking.rows)
    return asked.samples(plan.study, job.arm, sweep, rows)


@cache
def _number(experiment: str, path: Path, split: str, limit: int | None) -> int:
    load = data.load_topics if experiment == "bias" else data.load_problems
    return len(load(path, split, limit))


def left(plan: Plan, found: Mapping[Cell, State], jobs: int, expected: Mapping[Cell, float]) -> float:
    """Seconds until everything is done.

    Args:
        plan: The study.
        found: State of every cell.
        jobs: Jobs at a time.
        expected: What `seconds` returned.

    Returns:
        The longest chain of a base and a model that needs it, or the work shared evenly, whichever is longer; `UNKNOWN`
        when the time of a cell that is left is.
    """
    work = {job.name: sum(expected[cell] for cell in job.cells if found[cell].name != "done") for job in plan.jobs}
    makers = {job.make: job.name for job in plan.jobs if job.make is not None}
    chains = [work[job.name] + (work[makers[job.needs]] if job.needs else 0.0) for job in plan.jobs]
    return max([sum(work.values()) / max(1, jobs), *(chain for chain in chains if chain)], default=0.0)


def minutes(value: float) -> str:
    """Seconds in words."""
    if value == UNKNOWN:
        return "unknown"
    return f"{value:.0f} s" if value < 90 else f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"
