"""Verdicts: two columns of the same metric on the same rows -> PASS, REGRESSED, IMPROVED or NOT COMPARABLE.

Non-inferiority is decided on the bound of the 95% interval of the paired difference, clustered, and never on the mean:
an adapter passes when a loss as large as the margin is excluded (one-sided 2.5%; Schuirmann 1987 has the two-sided
form). An interval too wide to exclude it is a regression too, with that reason. All metrics have to pass, which needs
no correction for their number: the test of each keeps its level (intersection-union, Berger 1982).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mst_evals.errors import InputError
from mst_evals.regression.metrics import FAR, Column
from mst_evals.statistics import stats

LEAST_ROWS = 20
LEAST_CLUSTERS = 8
MOST_UNSCORED = 0.05  # of the rows of a metric at a label
ROUNDED = 1e-6  # float32 carries seven digits: what moves every row by no more is no loss


class Verdict(StrEnum):
    """What is said of a metric, and of an adapter."""

    PASS = "PASS"
    IMPROVED = "IMPROVED"
    NOT_COMPARABLE = "NOT COMPARABLE"
    REGRESSED = "REGRESSED"


@dataclass(frozen=True)
class Finding:
    """The verdict on one metric at one label.

    Attributes:
        metric: Its name.
        label: Name of the label, or `metrics.FAR`.
        verdict: The verdict.
        reason: One sentence.
        before: Mean of the reference, None without rows.
        after: Mean of the adapter, None without rows.
        loss: Mean by which the adapter is worse, in the unit of the metric; negative where it is better.
        low, high: 95% interval of the loss, None where there is none.
        margin: The loss that must be excluded.
        rows: Rows compared.
        clusters: Clusters they fall into.
        changed: Rows whose value changed at all.
    """

    metric: str
    label: str
    verdict: Verdict
    reason: str
    before: float | None
    after: float | None
    loss: float | None
    low: float | None
    high: float | None
    margin: float
    rows: int
    clusters: int
    changed: int

    @property
    def line(self) -> str:
        """What is said of it, in one line."""
        return f"{self.metric} ({self.label}): {self.verdict}: {self.reason}"


def worst(found: Iterable[Verdict]) -> Verdict:
    """REGRESSED before NOT COMPARABLE before IMPROVED before PASS; of nothing, NOT COMPARABLE."""
    order = (Verdict.REGRESSED, Verdict.NOT_COMPARABLE, Verdict.IMPROVED, Verdict.PASS)
    there = set(found)
    return next((verdict for verdict in order if verdict in there), Verdict.NOT_COMPARABLE)


def exit_code(found: Iterable[Verdict]) -> int:
    """0 when all pass or improved, 1 when one regressed, else 2."""
    return {Verdict.REGRESSED: 1, Verdict.NOT_COMPARABLE: 2}.get(worst(found), 0)


def decide(loss: stats.Interval, margin: float, largest: float) -> tuple[Verdict, str]:
    """The verdict on a loss.

    Args:
        loss: Paired difference, positive where the adapter is worse, with its 95% interval.
        margin: Positive.
        largest: Largest difference of a row, either way.
    """
    mean, low, high = loss.mean, loss.low, loss.high
    assert mean is not None
    if low is None or high is None:  # every row, or every cluster's mean, differs by the same
        if largest <= stats.EQUAL:
            return Verdict.PASS, f"identical on all {loss.n} rows"
        if largest <= ROUNDED or abs(mean) <= stats.EQUAL:
            return Verdict.PASS, f"the same mean, rows at most {largest:.1g} apart"
        if mean < 0:
            return Verdict.IMPROVED, f"better by {-mean:.3g} on every row"
        return Verdict.REGRESSED, f"worse by {mean:.3g} on every row"
    found = f"{mean:.3g} ({low:.3g} to {high:.3g})"
    if high < margin:
        if high < -stats.EQUAL:
            return Verdict.IMPROVED, f"better by {-mean:.3g} ({-high:.3g} to {-low:.3g})"
        return Verdict.PASS, f"a loss of {margin:g} is excluded: mean loss {found}"
    if low > stats.EQUAL:
        return Verdict.REGRESSED, f"worse by {found}, margin {margin:g}"
    return Verdict.REGRESSED, f"cannot exclude a loss of {margin:g}: mean loss {found}"


def _too_little(before: Column, after: Column, rows: Sequence[str]) -> str | None:
    """Why two columns cannot be compared, None when they can."""
    for side, column in (("reference", before), ("adapter", after)):
        if column.unscored > MOST_UNSCORED * column.asked:
            return (
                f"{column.unscored} of {column.asked} rows of the {side} are unscored, "
                f"expected at most {MOST_UNSCORED:.0%}"
            )
    clusters = len({before.clusters[row] for row in rows})
    if len(rows) < LEAST_ROWS or clusters < LEAST_CLUSTERS:
        return (
            f"{len(rows)} rows in {clusters} clusters are scored on both sides, "
            f"expected at least {LEAST_ROWS} in {LEAST_CLUSTERS}"
        )
    return None


def compare(before: Column, after: Column, margin: float) -> Finding:
    """Compare one metric at one label, row by row.

    Args:
        before: Of the reference.
        after: Of the adapter.
        margin: The loss that must be excluded, in the unit of the metric.

    Raises:
        InputError: The margin is not a positive number.
    """
    if not (math.isfinite(margin) and margin > 0):
        raise InputError(f"margin of {before.metric.name!r} is {margin:g}, expected a positive number")
    rows = [row for row in before.values if row in after.values]
    x, y = (np.array([side.values[row] for row in rows], dtype=np.float64) for side in (before, after))
    worse = y - x if before.metric.better == "lower" else x - y
    clusters = [before.clusters[row] for row in rows]
    loss = stats.cluster_interval(worse, clusters, bounds=before.metric.bounds)
    reason = _too_little(before, after, rows)
    apart = np.abs(worse)
    verdict, said = (Verdict.NOT_COMPARABLE, reason) if reason else decide(loss, margin, float(apart.max()))
    means = [float(side.mean()) if len(rows) else None for side in (x, y)]
    changed = int((apart > stats.EQUAL).sum())
    return Finding(
        before.metric.name, before.label, verdict, said, means[0], means[1], loss.mean, loss.low, loss.high, margin,
        len(rows), loss.clusters, changed,
    )  # fmt: skip


def compare_all(
    before: Sequence[Column], after: Sequence[Column], given_margins: Mapping[str, float]
) -> tuple[Finding, ...]:
    """Compare every metric at every label of the reference.

    Args:
        before: Columns of the reference.
        after: Columns of the adapter.
        given_margins: Metric -> margin.

    Raises:
        InputError: A column of the reference has no counterpart, or a metric has no margin.
    """
    there = {(column.metric.name, column.label): column for column in after}
    found = []
    for column in before:
        key = (column.metric.name, column.label)
        if key not in there:
            where = "" if column.label == FAR else f" at label {column.label!r}"
            raise InputError(f"{column.metric.name}{where}: in the reference, not among what was measured now")
        if column.metric.name not in given_margins:
            raise InputError(f"{column.metric.name}: the reference states no margin for it")
        found.append(compare(column, there[key], given_margins[column.metric.name]))
    return tuple(found)
