"""One metric of one cell as a matrix of seeds by rows, and the two intervals that every number of a report has.

*Rows*: one value a row, averaged over the seeds at hand; it covers new rows for these seeds. *Seeds and rows*: it also
covers new seeds, so it alone carries a claim about an arm; it needs two seeds. What was not trained (ootb) has no
seeds: its interval over rows is all there is to cover.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mst_evals.statistics import seeds, stats

Kind = Literal["mean", "sum", "balanced"]
ROWS, SEEDS_AND_ROWS = "rows", "seeds and rows"
NO_INTERVAL_OF_COUNTS = "a count of rows has no interval"


@dataclass(frozen=True)
class Matrix:
    """Values of one metric.

    Attributes:
        values: Shape (S, N), NaN where a seed lacks a row.
        seeds: The S training seeds, in order; one entry that means nothing where `fixed`.
        rows: Ids of the N rows.
        clusters: Their clusters.
        right: Whether the row's candidate is right, shape (N,).
        fixed: Whether nothing was trained: one row of values, whose seed term is zero.
    """

    values: NDArray[np.float64]
    seeds: tuple[int, ...]
    rows: tuple[str, ...]
    clusters: tuple[str, ...]
    right: NDArray[np.bool_]
    fixed: bool = False

    @property
    def complete(self) -> "Matrix":
        """The rows that every seed scored."""
        return self.at(np.flatnonzero(np.isfinite(self.values).all(axis=0)))

    def at(self, places: NDArray[np.intp]) -> "Matrix":
        """The rows at some places."""
        return replace(
            self,
            values=self.values[:, places],
            rows=tuple(self.rows[place] for place in places),
            clusters=tuple(self.clusters[place] for place in places),
            right=self.right[places],
        )

    def averaged(self) -> "Matrix":
        """One value a row, averaged over the seeds that have it: shape (1, N)."""
        there = self.at(np.flatnonzero(np.isfinite(self.values).any(axis=0)))
        values = np.nanmean(there.values, axis=0, keepdims=True) if there.rows else np.empty((1, 0))
        return replace(there, values=values)


def of_lines(lines: pd.DataFrame, column: str, seed_list: Sequence[int], fixed: bool) -> Matrix:
    """The matrix of a column.

    Args:
        lines: One line for each seed and row: seed, row_id, cluster, right and the column.
        column: What is measured.
        seed_list: The seeds that were asked, whether or not anything they said was scored.
        fixed: Whether nothing was trained, so that "seeds" are averaged away.
    """
    place_of_seed = {seed: place for place, seed in enumerate(sorted(seed_list))}
    names = [str(name) for name in lines["row_id"].tolist()]
    place_of_row = {name: place for place, name in enumerate(dict.fromkeys(names))}
    values = np.full((len(place_of_seed), len(place_of_row)), np.nan)
    seeds_there = [place_of_seed[int(seed)] for seed in lines["seed"].tolist()]
    values[seeds_there, [place_of_row[name] for name in names]] = lines[column].to_numpy(dtype=np.float64)
    clusters = dict(zip(names, lines["cluster"].tolist(), strict=True))
    right = dict(zip(names, lines["right"].tolist(), strict=True))
    found = Matrix(
        values,
        tuple(place_of_seed),
        tuple(place_of_row),
        tuple(str(clusters[name]) for name in place_of_row),
        np.array([bool(right[name]) for name in place_of_row], dtype=np.bool_),
    )
    return replace(found.averaged(), seeds=(), fixed=True) if fixed else found


def aligned(a: Matrix, b: Matrix) -> tuple[Matrix, Matrix]:
    """Both sides on the rows and seeds that both have, NaN where either lacks a row of a seed; one shape for both.

    Where one side was not trained its values stand against every seed of the other. Where both were trained and share
    no seed, each side is averaged over its own: the result then has no seeds, and says nothing about new ones.
    """
    of_b = {row: place for place, row in enumerate(b.rows)}
    shared = [place for place, row in enumerate(a.rows) if row in of_b]
    left = a.at(np.array(shared, dtype=np.intp))
    right = b.at(np.array([of_b[row] for row in left.rows], dtype=np.intp))
    if a.fixed or b.fixed:
        both, x, y = a.seeds or b.seeds, left.values, right.values
    else:
        both = tuple(seed for seed in a.seeds if seed in b.seeds)
        x, y = _of_seeds(left, both), _of_seeds(right, both)
    x, y = np.broadcast_arrays(x, y)
    there, fixed = np.isfinite(x + y), a.fixed and b.fixed
    shape = replace(left, seeds=both, fixed=fixed)
    return replace(shape, values=np.where(there, x, np.nan)), replace(shape, values=np.where(there, y, np.nan))


def difference(a: Matrix, b: Matrix) -> Matrix:
    """A minus b, as `aligned` puts them side by side."""
    left, right = aligned(a, b)
    return replace(left, values=left.values - right.values)


def _of_seeds(side: Matrix, wanted: tuple[int, ...]) -> NDArray[np.float64]:
    """Values of some seeds, shape (len(wanted), N); averaged over all its seeds, shape (1, N), where none is wanted."""
    if wanted:
        return side.values[[side.seeds.index(seed) for seed in wanted]]
    known = np.isfinite(side.values)
    total, count = np.where(known, side.values, 0.0).sum(axis=0), known.sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)[None, :]


def _linear(matrix: Matrix, kind: Kind) -> Matrix:
    """Values whose mean over rows is the metric of a seed, for rows that are complete.

    A sum is the mean of N times each value; for a mean of group means see `stats.balanced_terms`.
    """
    values, rows = matrix.values, len(matrix.rows)
    if kind == "mean" or not rows:
        return matrix
    if kind == "sum":
        return replace(matrix, values=rows * values)
    return replace(matrix, values=stats.balanced_terms(values, matrix.right.tolist()))


def by_seed(matrix: Matrix, kind: Kind) -> list[float | None]:
    """The metric of every seed over the rows it has, None where it has none."""
    found = []
    for values in matrix.values:
        one = _linear(replace(matrix, values=values[None, :]).complete, kind)
        found.append(float(one.values.mean()) if one.rows else None)
    return found


def rows_interval(matrix: Matrix, kind: Kind, bounds: stats.Bounds | None, share: bool = False) -> stats.Interval:
    """The interval over rows averaged over seeds.

    Args:
        matrix: The values.
        kind: How a number is made of rows.
        bounds: What the number cannot pass.
        share: Whether rows are yes or no, so that independent ones get Wilson's interval.
    """
    averaged = matrix.averaged()
    if share and kind == "mean":
        return stats.share_interval(averaged.values[0], averaged.clusters)
    return stats.cluster_interval(_linear(averaged, kind).values[0], averaged.clusters, bounds=bounds)


def summary_mean(matrix: Matrix, kind: Kind) -> float | None:
    """The headline mean of `summary` alone."""
    complete = matrix.complete
    several = len(matrix.seeds) >= 2 and complete.rows
    found = _linear(complete if several else matrix.averaged(), kind)
    return float(found.values.mean()) if found.rows else None


def seeds_interval(matrix: Matrix, kind: Kind, bounds: stats.Bounds | None) -> seeds.SeedsRows:
    """The interval over seeds and rows; rows that a seed lacks are left out and counted as dropped."""
    complete = _linear(matrix.complete, kind)
    values = complete.values[0] if matrix.fixed else complete.values
    dropped = len(matrix.rows) - len(complete.rows)
    found = replace(seeds.seeds_and_rows(values, complete.clusters, bounds=bounds), dropped=dropped)
    if found.interval.mean is None and dropped:
        return replace(found, reason="no row was scored by every seed")
    return found


def bootstrap(matrix: Matrix, kind: Kind) -> stats.Interval:
    """The two-level bootstrap of the same number, to stand beside `seeds_interval`."""
    complete = _linear(matrix.complete, kind)
    return seeds.two_level_bootstrap(complete.values, complete.clusters)


def crossed(matrix: Matrix, kind: Kind, bounds: stats.Bounds | None, resample: bool = True) -> dict[str, Any]:
    """`seeds_interval` and `bootstrap` as one mapping for ``results.json``."""
    found = seeds_interval(matrix, kind, bounds)
    beside = bootstrap(matrix, kind) if resample and found.seeds >= 2 else stats.Interval(None, None, None, 0, 0)
    return {
        **interval_facts(found.interval), "p": found.p, "seeds": found.seeds, "dropped": found.dropped,
        "reason": found.reason, "components": asdict(found.components) if found.components else None,
        "bootstrap_low": beside.low, "bootstrap_high": beside.high,
    }  # fmt: skip


def interval_facts(interval: stats.Interval) -> dict[str, Any]:
    """An interval as a mapping for ``results.json``."""
    return {
        "mean": interval.mean, "ci_low": interval.low, "ci_high": interval.high, "se": interval.se, "df": interval.df,
        "n_rows": interval.n, "n_clusters": interval.clusters,
    }  # fmt: skip


def without_interval(facts: dict[str, Any], names: Iterable[str] = ("ci_low", "ci_high", "se", "df")) -> dict[str, Any]:
    """Facts of a number whose interval is not given."""
    return {**facts, **dict.fromkeys(names)}


def summary(
    matrix: Matrix, kind: Kind, bounds: stats.Bounds | None, share: bool = False, resample: bool = True
) -> dict[str, Any]:
    """Both intervals of a number, and the headline one: over seeds and rows with two seeds or more, else over rows.

    Args:
        matrix: The values.
        kind: How a number is made of rows.
        bounds: What the number cannot pass.
        share: Whether rows are yes or no, so that independent ones of one seed get Wilson's interval.
        resample: Whether the bootstrap is wanted, which takes by far the longest.

    Returns:
        mean, ci_low, ci_high, n_rows and n_clusters of the headline interval; `interval`, which of the two that is;
        `over_rows` and `over_seeds`, both in full.
    """
    rows, both = interval_facts(rows_interval(matrix, kind, bounds, share)), crossed(matrix, kind, bounds, resample)
    if kind == "sum":
        rows, both = without_interval(rows), without_interval(both | {"reason": NO_INTERVAL_OF_COUNTS})
        both = without_interval(both, ("p", "components", "bootstrap_low", "bootstrap_high"))
    several = len(matrix.seeds) >= 2 and both["mean"] is not None
    headline = both if several else rows
    return {
        **{key: headline[key] for key in ("mean", "ci_low", "ci_high", "n_rows", "n_clusters")},
        "interval": SEEDS_AND_ROWS if several else ROWS, "over_rows": rows, "over_seeds": both,
    }  # fmt: skip
