"""Intervals, paired comparisons and corrections: arrays in, frozen dataclasses out.

Every value handed in belongs to one row of the test set and every row to one cluster (its topic, its pair of
operands). What an interval covers is the caller's to say: with values averaged over seeds it covers new rows for
*these* seeds, not new seeds.

Degenerate input has one rule everywhere: nothing raises and nothing is NaN. Without a value the mean is None; with
fewer than two clusters, or with values that do not vary, there is no standard error and the bounds and p are None. A
band of zero width would claim a certainty that no finite sample has.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Better = Literal["lower", "higher"]
Floats = Sequence[float] | NDArray[np.float64]
Clusters = Sequence[Hashable] | NDArray[np.generic]

# Averages over seeds or variants differ by rounding where they are equal in truth; no measure here is finer than this.
EQUAL = 1e-9


@dataclass(frozen=True)
class Interval:
    """A mean or a share with its confidence interval, in the unit of the values.

    Attributes:
        mean: Point estimate, None without values.
        low: Lower bound, None where there is no interval.
        high: Upper bound, None where there is no interval.
        n: Number of values.
        clusters: Number of clusters they fall into.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and zero lies outside it."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Paired:
    """A difference a minus b on the same rows.

    Attributes:
        interval: Mean difference with its interval.
        p: Two-sided p of the cluster-robust t test of no mean difference, None where there is no standard error.
    """

    interval: Interval
    p: float | None


@dataclass(frozen=True)
class Outcomes:
    """Rows on which a is better than b, as good, or worse."""

    win: int
    tie: int
    loss: int


def _codes(clusters: Clusters) -> NDArray[np.intp]:
    """Number the clusters in order of appearance. Shape (n,) in, (n,) out; members need only be hashable."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(cluster, len(seen)) for cluster in clusters], dtype=np.intp)


def _standard_error(values: NDArray[np.float64], clusters: NDArray[np.intp]) -> float | None:
    """Cluster-robust standard error of a mean; None with fewer than two clusters or values that do not vary.

    SE^2 = G/(G-1) * sum_g (sum_{i in g} (x_i - mean))^2 / n^2: the sandwich of Liang and Zeger (1986) for an
    intercept alone (Miller 2024, arXiv 2411.00640, section 2.2), with the small-sample factor G/(G-1), which makes it
    s^2/n exactly when every cluster has one member.

    Args:
        values: Shape (n,).
        clusters: Shape (n,), numbered 0..G-1.
    """
    groups = int(clusters.max()) + 1 if len(clusters) else 0
    if groups < 2 or float(np.ptp(values)) <= EQUAL:
        return None
    sums = np.bincount(clusters, weights=values - values.mean(), minlength=groups)
    error = math.sqrt(groups / (groups - 1) * float(sums @ sums)) / len(values)
    return error if error > EQUAL else None


def cluster_interval(values: Floats, clusters: Clusters, level: float = 0.95) -> Interval:
    """Mean with a cluster-robust t interval, df = G - 1 (see `_standard_error`).

    Args:
        values: One finite number for each row, shape (n,).
        clusters: The cluster of each row, shape (n,).
        level: Confidence level.
    """
    numbers, codes = np.asarray(values, dtype=np.float64), _codes(clusters)
    groups = int(codes.max()) + 1 if len(codes) else 0
    mean = float(numbers.mean()) if len(numbers) else None
    error = _standard_error(numbers, codes)
    if mean is None or error is None:
        return Interval(mean, None, None, len(numbers), groups)
    half = float(stats.t.ppf((1 + level) / 2, groups - 1)) * error
    return Interval(mean, mean - half, mean + half, len(numbers), groups)


def paired_difference(a: Floats, b: Floats, clusters: Clusters, level: float = 0.95) -> Paired:
    """Mean of a - b over the same rows with a cluster-robust interval and t test (Miller 2024, section 4.2).

    Args:
        a: One finite number for each row, shape (n,).
        b: The other side on the same rows in the same order, shape (n,).
        clusters: The cluster of each row, shape (n,).
        level: Confidence level.
    """
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    interval = cluster_interval(differences, clusters, level)
    error = _standard_error(differences, _codes(clusters))
    if interval.mean is None or error is None:
        return Paired(interval, None)
    return Paired(interval, float(2 * stats.t.sf(abs(interval.mean) / error, interval.clusters - 1)))


def balanced(values: Floats, groups: Clusters, clusters: Clusters, level: float = 0.95) -> Interval:
    """Mean of the group means (balanced accuracy) with a cluster-robust t interval.

    Linearised: the influence of row i in group k is n / (K n_k) * (x_i - mean_k), so the interval is that of the mean
    of these influences, shifted to the estimate. The group sizes are taken as fixed.

    Args:
        values: One finite number for each row, shape (n,).
        groups: The group of each row (right or wrong candidate), shape (n,).
        clusters: The cluster of each row, shape (n,).
        level: Confidence level.
    """
    numbers, codes = np.asarray(values, dtype=np.float64), _codes(groups)
    if not len(numbers):
        return cluster_interval(numbers, clusters, level)
    sizes = np.bincount(codes)
    means = np.bincount(codes, weights=numbers) / sizes
    influence = len(numbers) / (len(sizes) * sizes[codes]) * (numbers - means[codes])
    return cluster_interval(influence + means.mean(), clusters, level)


def outcomes(a: Floats, b: Floats, better: Better, margin: float = 0.0) -> Outcomes:
    """Count the rows on which a is better than b by more than a margin, within it, and worse by more than it.

    Args:
        a: Shape (n,).
        b: Shape (n,).
        better: Whether a lower or a higher value is the better one.
        margin: In the unit of the values; 0 counts every difference beyond rounding.
    """
    gain = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    gain = -gain if better == "lower" else gain
    win, loss = int((gain > margin + EQUAL).sum()), int((gain < -margin - EQUAL).sum())
    return Outcomes(win, len(gain) - win - loss, loss)


def sign_test(wins: int, losses: int) -> float | None:
    """Exact two-sided sign test, ties dropped (Conover 1999, section 3.4); None when nothing but ties is left.

    The rows must be independent: average the rows of a cluster first.
    """
    if wins + losses == 0:
        return None
    return float(stats.binomtest(wins, wins + losses, 0.5).pvalue)


def wilson(k: int, n: int, level: float = 0.95) -> Interval:
    """Share k/n with its score interval (Wilson 1927), which is never of zero width; None bounds when n is 0."""
    if n == 0:
        return Interval(None, None, None, 0, 0)
    z, share = float(stats.norm.ppf((1 + level) / 2)), k / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half), n, n)


def holm(pvalues: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) step-down adjustment of a family of p values, in the order given.

    A p of None (a comparison that could not be tested) stays None and still counts in the family's size, which can
    only make the others larger.
    """
    known = sorted((p, index) for index, p in enumerate(pvalues) if p is not None)
    adjusted: list[float | None] = [None] * len(pvalues)
    running = 0.0
    for rank, (p, index) in enumerate(known):
        running = max(running, min(1.0, (len(pvalues) - rank) * p))
        adjusted[index] = running
    return adjusted
