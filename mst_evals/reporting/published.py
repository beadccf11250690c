"""The published numbers, and what a run has measured in the place of each.

The numbers stand in ``published.csv``, one line for each as it is printed, and nowhere else. A line whose number was
drawn in a figure and never printed has none: nothing was read off a figure. Here they are matched with the cells of a
run; whether the two may be compared, and how that is shown, is decided in `against`.
"""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from scipy import optimize

from mst_evals import variants
from mst_evals.reporting import comparisons, matrices, phrases
from mst_evals.reporting.comparisons import Cell
from mst_evals.reporting.computed import Computed
from mst_evals.reporting.matrices import Matrix
from mst_evals.reporting.results import Metric
from mst_evals.statistics import stats

FILE = Path(__file__).resolve().parent / "published.csv"
SCORE, SHARE, P = "score", "share", "p"
PICK: dict[str, Callable[..., Any]] = {"lowest": min, "highest": max}


@dataclass(frozen=True)
class Measure:
    """What a published number says of its cell.

    Attributes:
        title: In words.
        unit: ``score`` (0-10), ``share`` (of 1) or ``p``.
        pair: Whether it compares mst at its held-out label with the cell.
    """

    title: str
    unit: str
    pair: bool = False


MEASURES = {
    "mean": Measure("mean bias, 0-10", SCORE),
    "sd": Measure("sd over topics", SCORE),
    "change": Measure("bias of mst relative to it", SHARE, pair=True),
    "win": Measure("topics on which mst is better by more than 0.5", SHARE, pair=True),
    "p": Measure("mst against it, paired p", P, pair=True),
    "pass": Measure("PASS", SHARE),
    "partial": Measure("PARTIAL", SHARE),
    "fail": Measure("FAIL", SHARE),
    "accuracy": Measure("accuracy", SHARE),
    "fpr": Measure("sycophancy: FPR over wrong candidates", SHARE),
    "fp_share": Measure("sycophancy: false positives over all rows", SHARE),
}


@dataclass(frozen=True)
class Published:
    """One number of the source, or the place of one that it draws and does not print.

    Attributes:
        experiment: ``bias`` or ``sycophancy``.
        arm: The arm, by our name.
        labels: The labels at evaluation; several where the source gives only the range over them.
        which: ``lowest`` or ``highest`` of several labels (all that training uses), else empty.
        metric: A name of `MEASURES`.
        printed: As the source prints it, or its words where it gives no number; empty where it is drawn only.
        place: Table, figure or footnote.
        source: ``text`` (the post), ``tables`` (the authors' printed tables, as reported to this project), ``both``, or
            ``drawn`` (in a figure, not printed).
        caveat: What a comparison hangs on, a clause; mostly empty.
    """

    experiment: str
    arm: str
    labels: tuple[str, ...]
    which: str
    metric: str
    printed: str
    place: str
    source: str
    caveat: str

    @property
    def measure(self) -> Measure:
        """What the number says."""
        return MEASURES[self.metric]

    @property
    def value(self) -> float | None:
        """The number, a percentage as a share of 1; None where there is none, or only a bound (``< .001``)."""
        found = re.fullmatch(r"(-?\d*\.?\d+)(%?)", self.printed)
        return None if found is None else float(found[1]) / (100 if found[2] else 1)


@dataclass(frozen=True)
class Measured:
    """What a run has in the place of a published number.

    Attributes:
        label: The label it was measured with.
        value: In the unit of the measure.
        low, high: Its 95% interval, None where there is none.
        seeds: Number of training seeds behind it, 0 for what was not trained.
        rows: Number of rows.
    """

    label: str
    value: float
    low: float | None
    high: float | None
    seeds: int
    rows: int


@cache
def numbers() -> tuple[Published, ...]:
    """Every line of ``published.csv``, in its order."""
    with FILE.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return tuple(Published(labels=tuple(line.pop("labels").split()), **line) for line in lines)


def measured(one: Published, part: Computed) -> Measured | None:
    """What a block has measured in the place of a published number, None where it lacks the cell.

    Args:
        one: The published number, of the block's experiment.
        part: A block with everything computed from it.
    """
    each = [_of_label(one, part, label) for label in one.labels]
    there = [found for found in each if found is not None]
    if not there or len(there) < len(each):
        return None
    return PICK[one.which](there, key=lambda found: found.value) if one.which else there[0]


def _of_label(one: Published, part: Computed, label: str) -> Measured | None:
    """The same with one label."""
    bias = one.experiment == "bias"
    name = part.block.setting["scorer"] if bias else one.metric
    if one.measure.pair or one.metric == "sd":
        metric, cell = part.block.metric(name), Cell(part.block, one.arm, label)
        return None if metric is None else _of_cell(one.metric, cell, metric)
    row = phrases.find(part.arms, name if one.metric == "mean" or not bias else f"{name}.{one.metric}", one.arm, label)
    if row is None or row["mean"] is None:
        return None
    return Measured(label, row["mean"], row["ci_low"], row["ci_high"], len(row["seeds"]), row["n_rows"])


def _of_cell(name: str, cell: Cell, metric: Metric) -> Measured | None:
    """What the rows of results do not hold: the spread over topics, and mst against the cell."""
    if name == "sd":
        return _spread(cell, metric)
    mst = Cell(cell.block, "mst", variants.AXES[cell.block.experiment].held_out)
    if not mst.matrix(metric).rows or not cell.matrix(metric).rows:
        return None
    if name == "change":
        return _change(mst, cell, metric)
    found = comparisons.compare(mst, cell, metric)
    value, low, high = found["p"], None, None
    if name == "win":
        value, low, high = (found[key] for key in ("win_rate", "win_rate_low", "win_rate_high"))
    return None if value is None else Measured(cell.label, value, low, high, len(found["seeds"]), found["n"])


def _seeds(matrix: Matrix) -> int:
    return 0 if matrix.fixed else len(matrix.seeds)


def _spread(cell: Cell, metric: Metric) -> Measured | None:
    """Standard deviation over topics, of each seed about its own mean.

    A variance is the mean of the squared deviations times n / (n - 1), so its interval is that of a mean (estimating
    the centre costs nothing to first order); root of both ends.
    """
    matrix = cell.matrix(metric)
    there = matrix.complete if len(matrix.seeds) > 1 else matrix.averaged()
    count = len(there.rows)
    if count < 2:
        return None
    squares = (there.values - there.values.mean(axis=1, keepdims=True)) ** 2 * count / (count - 1)
    found = matrices.summary(replace(there, values=squares), "mean", (0.0, float("inf")), resample=False)
    value, low, high = (None if found[key] is None else found[key] ** 0.5 for key in ("mean", "ci_low", "ci_high"))
    return None if value is None else Measured(cell.label, value, low, high, _seeds(matrix), count)


def _change(mst: Cell, cell: Cell, metric: Metric) -> Measured | None:
    """Mean of mst over that of the other cell, minus 1, on the rows and seeds that both have.

    The interval is Fieller's (1954): every ratio r for which the mean of mst - r * other is not significantly apart
    from zero, with the interval that a difference of the two cells has in this report.
    """
    left, right = matrices.aligned(mst.matrix(metric), cell.matrix(metric))
    several = len(left.seeds) >= 2 and bool(left.complete.rows)
    left, right = (side.complete if several else side.averaged() for side in (left, right))
    if not left.rows or right.values.mean() == 0:
        return None

    def interval(matrix: Matrix) -> stats.Interval:
        if several:
            return matrices.seeds_interval(matrix, "mean", None).interval
        return matrices.rows_interval(matrix, "mean", None)

    ratio, below = float(left.values.mean() / right.values.mean()), interval(right).low
    ends = None
    if below is not None and below > 0:  # else the set of ratios has no end
        ends = _ends(lambda r: interval(replace(left, values=left.values - r * right.values)), ratio)
    low, high = (max(ends[0], 0.0) - 1, ends[1] - 1) if ends else (None, None)
    return Measured(cell.label, ratio - 1, low, high, _seeds(left), len(left.rows))


def _ends(apart: Callable[[float], stats.Interval], ratio: float) -> tuple[float, float] | None:
    """Where the interval of the difference begins and ceases to cover zero, None where it does not."""

    def low(r: float) -> float:
        return apart(r).low or 0.0  # values that do not vary have no interval

    def high(r: float) -> float:
        return apart(r).high or 0.0

    for step in (1.0, 10.0, 100.0):
        if low(ratio - step) > 0 > low(ratio) and high(ratio + step) < 0 < high(ratio):
            first, last = (low, ratio - step, ratio), (high, ratio, ratio + step)
            return float(optimize.brentq(*first)), float(optimize.brentq(*last))
    return None
