"""Claims about an arm: intervals over training seeds *and* test rows. Arrays in, frozen dataclasses out.

Each value belongs to one seed and one row, and every seed is scored on the same rows, so seeds and rows are crossed.
Pooling them as seeds x rows observations is pseudo-replication: the luck of one seed is counted once for every row.
With few seeds the interval is wide, as it must be; with one seed there is none.

Arms are paired by row (the same test rows) and by seed (a seed number fixes the order of the data and the draws of s),
so two trained arms are compared by D[s, r] = A[s, r] - B[s, r]. The base model (ootb) is a fixed row vector B[r]: it
has no seeds, the seed term of D[s, r] = A[s, r] - B[r] comes from A alone, and its own interval is over rows.

Degenerate input follows the rule of `stats`: nothing raises, nothing is NaN, and `reason` says why there is
no interval.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mst_evals.statistics import stats

ENUMERATED = 16  # seeds up to which all 2^S sign patterns are tried


@dataclass(frozen=True)
class Components:
    """Estimated variance components: of seeds, of rows (clusters) and of what is left in a single cell.

    Method of moments, so a component can come out below zero; that reads as "not distinguishable from none".
    """

    seed: float
    row: float
    residual: float


@dataclass(frozen=True)
class SeedsRows:
    """A mean, or a mean difference, for new seeds and new rows.

    Attributes:
        interval: Mean, t interval, standard error and degrees of freedom; n counts the rows used.
        p: Two-sided p of the t test of a mean of zero, None where there is no standard error.
        seeds: Number of seeds; 0 for a fixed row vector.
        dropped: Rows left out because a seed lacks them.
        components: Variance components, None where there is no interval over seeds.
        reason: Why there is no interval, None when there is one.
    """

    interval: stats.Interval
    p: float | None
    seeds: int
    dropped: int
    components: Components | None
    reason: str | None


@dataclass(frozen=True)
class OverSeeds:
    """One number for each seed, and their mean with its t interval over seeds.

    Attributes:
        values: In the order of the seeds, None where a seed has none.
        mean: Mean of those that there are.
        low, high: Interval for new seeds and these rows; None with fewer than two values or none that differ.
    """

    values: tuple[float | None, ...]
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class _Complete:
    """The rows that every seed scored: values (S, N), their clusters (N,) numbered 0..G-1, and what was left out."""

    values: NDArray[np.float64]
    codes: NDArray[np.intp]
    dropped: int

    @property
    def clusters(self) -> int:
        return int(self.codes.max()) + 1 if len(self.codes) else 0

    def by_cluster(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum over the rows of each cluster, shape (..., N) -> (..., G)."""
        if self.clusters == len(self.codes):
            return values  # cluster_codes numbers in order of appearance, so one row a cluster is the identity
        return values @ np.eye(self.clusters)[self.codes]


def _complete(values: ArrayLike, clusters: stats.Clusters) -> _Complete:
    matrix = np.atleast_2d(np.asarray(values, dtype=np.float64))
    kept = np.isfinite(matrix.sum(axis=0))  # a sum with a NaN in it is NaN
    codes = stats.cluster_codes([cluster for cluster, keep in zip(clusters, kept.tolist(), strict=True) if keep])
    return _Complete(matrix[:, kept], codes, int((~kept).sum()))


def _variance_of_mean(data: _Complete) -> tuple[float, float, float]:
    """V_seed, V_row, V_resid of `seeds_and_rows`, for at least two seeds and two clusters."""
    values, (seeds, rows), groups = data.values, data.values.shape, data.clusters
    of_seed, of_row = values.mean(axis=1), values.mean(axis=0)
    mean = float(of_seed.mean())
    row_sums = data.by_cluster(of_row - mean)
    left = data.by_cluster(values - of_seed[:, None] - of_row + mean)
    few = groups / (groups - 1)
    v_seed = float(((of_seed - mean) ** 2).sum()) / (seeds - 1) / seeds
    v_row = few * float((row_sums**2).sum()) / rows**2
    v_resid = few * float((left**2).sum()) / (seeds * (seeds - 1) * rows**2)
    return v_seed, v_row, v_resid


def seeds_and_rows(
    values: ArrayLike, clusters: stats.Clusters, level: float = 0.95, bounds: stats.Bounds | None = None
) -> SeedsRows:
    """Mean over seeds and rows with an interval for new seeds and new rows.

    Two-way crossed random effects without replication, y[s, r] = mu + seed_s + row_r + resid_sr, by the method of
    moments (Searle, Casella and McCulloch 1992, section 4.3; the crossed design of Owen 2007, arXiv 0712.1111). With

        V_seed  = variance of the S seed means / S    estimates  s2_seed/S + s2_resid/(S N)
        V_row   = variance of the N row means / N     estimates  s2_row/N  + s2_resid/(S N)
        V_resid = residual mean square / (S N)        estimates             s2_resid/(S N)

    SE^2 = V_seed + V_row - V_resid is unbiased for the variance of the mean, s2_seed/S + s2_row/N + s2_resid/(S N). It
    is floored at the larger of V_seed and V_row, which sets a negative component to zero. Degrees of freedom
    (Satterthwaite 1946, on the floored SE): SE^4 / (V_seed^2/(S-1) + V_row^2/(G-1) + V_resid^2/((S-1)(G-1))), G the
    number of clusters, and at least the smaller of S-1 and G-1.

    Clusters of rows: V_row and V_resid take the row means and the residuals summed by cluster, with the factor G/(G-1),
    as `stats.cluster_interval` does, so that a row counts the same wherever it stands; one row a cluster gives the
    formulas above. Components are then those of cluster totals, scaled to the mean.

    Unbalanced input: only rows that every seed scored are used, and the number left out is reported.

    Args:
        values: Shape (S, N), NaN where a seed lacks a row; or (N,), a fixed row vector whose seed term is zero.
        clusters: The cluster of each row, shape (N,).
        level: Confidence level.
        bounds: What the mean cannot pass (`stats.SHARE`); the interval is cut there.
    """
    data = _complete(values, clusters)
    (seeds, rows), groups = data.values.shape, data.clusters
    fixed = np.ndim(values) == 1
    counts = (0 if fixed else seeds, data.dropped)
    mean = float(data.values.mean()) if data.values.size else None
    reason = None
    if mean is None:
        reason = "no row was scored by every seed" if data.dropped else "there are no rows"
    elif not fixed and seeds < 2:
        reason = "one seed says nothing about new seeds"
    elif groups < 2:
        reason = "fewer than two clusters of rows"
    if mean is None or reason is not None:
        return SeedsRows(stats.Interval(mean, None, None, rows, groups), None, *counts, None, reason)
    if fixed:
        found = stats.paired_difference(data.values[0], np.zeros(rows), data.codes, level, bounds)
        return SeedsRows(found.interval, found.p, *counts, None, None if found.p is not None else "values do not vary")
    v_seed, v_row, v_resid = _variance_of_mean(data)
    square = max(v_seed + v_row - v_resid, v_seed, v_row)
    parts = Components((v_seed - v_resid) * seeds, (v_row - v_resid) * groups, v_resid * seeds * groups)
    if math.sqrt(square) <= stats.EQUAL:
        none = stats.Interval(mean, None, None, rows, groups)
        return SeedsRows(none, None, *counts, parts, "values do not vary")
    spread = v_seed**2 / (seeds - 1) + v_row**2 / (groups - 1) + v_resid**2 / ((seeds - 1) * (groups - 1))
    se, df = math.sqrt(square), max(square**2 / spread, min(seeds, groups) - 1.0)
    low, high = stats.t_bounds(mean, se, df, level, bounds)
    interval = stats.Interval(mean, low, high, rows, groups, se, df)
    return SeedsRows(interval, stats.t_test(mean, se, df), *counts, parts, None)


def seeds_and_rows_difference(
    a: ArrayLike, b: ArrayLike, clusters: stats.Clusters, level: float = 0.95, bounds: stats.Bounds | None = None
) -> SeedsRows:
    """Mean of a - b with an interval for new seeds and new rows (`seeds_and_rows` on the paired differences).

    Args:
        a: Shape (S, N), NaN where a seed lacks a row; or (N,) for what was not trained (ootb).
        b: The same rows in the same order, and the same seeds in the same order, or (N,).
        clusters: The cluster of each row, shape (N,).
        level: Confidence level.
        bounds: What the difference cannot pass (`stats.SHARE_DIFFERENCE`).
    """
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    return seeds_and_rows(differences, clusters, level, bounds)


def two_level_bootstrap(
    values: ArrayLike, clusters: stats.Clusters, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> stats.Interval:
    """Percentile bootstrap that resamples seeds and, independently, clusters of rows (the pigeonhole bootstrap).

    Owen (2007, arXiv 0712.1111); no bootstrap of a crossed array is exact (McCullagh 2000). Shown beside
    `seeds_and_rows` for comparison, not for claims: with S seeds it sees their variance shrunk by (S-1)/S and knows no
    t quantile, so it is too short with few seeds (measured in ``docs/statistics.md``).

    Args:
        values: Shape (S, N), NaN where a seed lacks a row.
        clusters: The cluster of each row, shape (N,).
        level: Confidence level.
        draws: Number of resamples.
        seed: Of the resampling.
    """
    data = _complete(values, clusters)
    (seeds, rows), groups = data.values.shape, data.clusters
    mean = float(data.values.mean()) if data.values.size else None
    if mean is None or seeds < 2 or groups < 2 or float(np.ptp(data.values)) <= stats.EQUAL:
        return stats.Interval(mean, None, None, rows, groups)
    rng = np.random.default_rng(seed)
    seed_weights = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    group_weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=draws)
    totals, sizes = data.by_cluster(data.values), data.by_cluster(np.ones(rows))
    means = (seed_weights @ totals * group_weights).sum(axis=1) / (group_weights @ sizes) / seeds
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return stats.Interval(mean, float(low), float(high), rows, groups)


def smallest_p(seeds: int) -> float | None:
    """The smallest p that `sign_flip` can give with so many seeds: 2/2^S, .0625 with five; None below two."""
    return 2.0 ** (1 - seeds) if seeds >= 2 else None


def sign_flip(values: stats.Floats, draws: int = 65536, seed: int = 0) -> float | None:
    """Two-sided p of a randomisation test that flips the sign of each seed's mean difference (Fisher 1935, section 21).

    The share of the 2^S sign patterns whose mean is at least as far from zero as the one observed. Exact when a
    difference is as likely positive as negative, whatever its distribution; it speaks about new seeds on *these* rows.
    With more than `ENUMERATED` seeds patterns are drawn, and the observed one is counted (Phipson and Smyth 2010).

    Args:
        values: The mean difference of each seed, shape (S,).
        draws: Number of patterns when they are not all tried.
        seed: Of the patterns drawn.

    Returns:
        p, at least `smallest_p`; None with fewer than two seeds, when a seed's difference is not finite (NaN: it has
        none, and the others alone are another test), or when every difference is zero.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) < 2 or not np.isfinite(numbers).all() or float(np.abs(numbers).max()) <= stats.EQUAL:
        return None
    if len(numbers) <= ENUMERATED:
        patterns = np.array(list(itertools.product((1.0, -1.0), repeat=len(numbers))))
    else:
        drawn = np.random.default_rng(seed).choice((1.0, -1.0), size=(draws, len(numbers)))
        patterns = np.concatenate([np.ones((1, len(numbers))), drawn])
    means = np.abs(patterns @ numbers)
    return float((means >= abs(float(numbers.sum())) * (1 - stats.EQUAL)).mean())


def over_seeds(values: Sequence[float | None], level: float = 0.95, bounds: stats.Bounds | None = None) -> OverSeeds:
    """Mean of one number a seed with Student's (1908) t interval over the seeds, these rows taken as given.

    Args:
        values: One for each seed, None where a seed has none; shape (S,).
        level: Confidence level.
        bounds: What the mean cannot pass; the interval is cut there.
    """
    known = [value for value in values if value is not None]
    found = stats.cluster_interval(known, range(len(known)), level, bounds)
    return OverSeeds(tuple(values), found.mean, found.low, found.high)
