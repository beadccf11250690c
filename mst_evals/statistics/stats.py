"""Intervals, paired comparisons and corrections: arrays in, frozen dataclasses out.

Every value handed in belongs to one row of the test set and every row to one cluster (its topic, its pair of
operands). What an interval covers is the caller's to say: with values averaged over seeds it covers new rows for
*these* seeds, not new seeds; `seeds` has the interval that covers both, `counts` the exact tests on
counts of rows. Which test carries which claim, and how often each interval covers: ``docs/statistics.md``.

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
from scipy import optimize, special, stats

Better = Literal["lower", "higher"]
Floats = Sequence[float] | NDArray[np.float64]
Clusters = Sequence[Hashable] | NDArray[np.generic]
Bounds = tuple[float, float]

SHARE: Bounds = (0.0, 1.0)
SHARE_DIFFERENCE: Bounds = (-1.0, 1.0)

# Averages over seeds or variants differ by rounding where they are equal in truth; no measure here is finer than this.
EQUAL = 1e-9


@dataclass(frozen=True)
class Interval:
    """A mean or a share with its confidence interval, in the unit of the values.

    Attributes:
        mean: Point estimate, None without values.
        low, high: Bounds, None where there is no interval.
        n: Number of values.
        clusters: Number of clusters they fall into.
        se: Standard error of the mean, None where the interval is not built from one (Wilson) or there is none.
        df: Degrees of freedom of that standard error.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int
    se: float | None = None
    df: float | None = None

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
class Equivalence:
    """Two one-sided tests that a difference lies within plus or minus a margin.

    Attributes:
        equivalent: Whether both tests reject; None where there is no standard error.
        p: The larger of the two one-sided p values.
        low, high: The interval at level 1 - 2 alpha (90% for alpha .05).
        margin: In the unit of the difference.
    """

    equivalent: bool | None
    p: float | None
    low: float | None
    high: float | None
    margin: float


@dataclass(frozen=True)
class Outcomes:
    """Rows on which a is better than b, as good, or worse."""

    win: int
    tie: int
    loss: int


def cluster_codes(clusters: Clusters) -> NDArray[np.intp]:
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


def t_bounds(mean: float, se: float, df: float, level: float, bounds: Bounds | None = None) -> tuple[float, float]:
    """The t interval mean -+ t_{(1+level)/2, df} se, cut at the bounds the quantity cannot pass (shares: 0 and 1)."""
    half = float(special.stdtrit(df, (1 + level) / 2)) * se
    low, high = bounds or (-math.inf, math.inf)
    return max(mean - half, low), min(mean + half, high)


def t_test(mean: float, se: float, df: float) -> float:
    """Two-sided p of the t test that the true mean is zero."""
    return float(2 * special.stdtr(df, -abs(mean) / se))


def cluster_interval(values: Floats, clusters: Clusters, level: float = 0.95, bounds: Bounds | None = None) -> Interval:
    """Mean with a cluster-robust t interval, df = G - 1 (see `_standard_error`).

    Args:
        values: One finite number for each row, shape (n,).
        clusters: The cluster of each row, shape (n,).
        level: Confidence level.
        bounds: What the mean cannot pass, `SHARE` for shares; the interval is cut there. None for no bounds.
    """
    numbers, codes = np.asarray(values, dtype=np.float64), cluster_codes(clusters)
    groups = int(codes.max()) + 1 if len(codes) else 0
    mean = float(numbers.mean()) if len(numbers) else None
    error = _standard_error(numbers, codes)
    if mean is None or error is None:
        return Interval(mean, None, None, len(numbers), groups)
    low, high = t_bounds(mean, error, groups - 1, level, bounds)
    return Interval(mean, low, high, len(numbers), groups, error, groups - 1)


def share_interval(values: Floats, clusters: Clusters, level: float = 0.95) -> Interval:
    """Mean of values from 0 to 1 with bounds from 0 to 1, arguments as in `cluster_interval`.

    Wilson's interval where every row is a cluster of its own and a plain yes or no, else the clustered t interval, cut.
    """
    numbers, codes = np.asarray(values, dtype=np.float64), cluster_codes(clusters)
    if len(set(codes.tolist())) == len(numbers) and bool(np.isin(numbers, (0.0, 1.0)).all()):
        return wilson(int(numbers.sum()), len(numbers), level)
    return cluster_interval(numbers, clusters, level, SHARE)


def paired_difference(
    a: Floats, b: Floats, clusters: Clusters, level: float = 0.95, bounds: Bounds | None = None
) -> Paired:
    """Mean of a - b over the same rows with a cluster-robust interval and t test (Miller 2024, section 4.2).

    Args:
        a: One finite number for each row, shape (n,).
        b: The other side on the same rows in the same order, shape (n,).
        clusters: The cluster of each row, shape (n,).
        level: Confidence level.
        bounds: What the difference cannot pass, `SHARE_DIFFERENCE` for shares.
    """
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    interval = cluster_interval(differences, clusters, level, bounds)
    if interval.mean is None or interval.se is None or interval.df is None:
        return Paired(interval, None)
    return Paired(interval, t_test(interval.mean, interval.se, interval.df))


def balanced_terms(values: Floats, groups: Clusters) -> NDArray[np.float64]:
    """Values whose mean over rows is the mean of the group means (balanced accuracy), for an interval of that.

    Linearised (delta method; the influence function of a mean of domain means, Deville 1999): the influence of row i in
    group k is n / (K n_k) (x_i - mean_k), here shifted to the estimate. The group sizes are taken as fixed.

    Args:
        values: Finite numbers, the rows last, shape (..., n).
        groups: The group of each row (right or wrong candidate), shape (n,).
    """
    numbers, codes = np.asarray(values, dtype=np.float64), cluster_codes(groups)
    if not len(codes):
        return numbers
    sides = [codes == code for code in range(int(codes.max()) + 1)]
    means = np.stack([numbers[..., side].mean(axis=-1) for side in sides], axis=-1)
    sizes = np.bincount(codes)
    influence = len(codes) / (len(sides) * sizes[codes]) * (numbers - means[..., codes])
    return influence + means.mean(axis=-1, keepdims=True)


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
    return Interval(share, centre - half if k else 0.0, centre + half if k < n else 1.0, n, n)  # exact at the ends


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


def equivalence(estimate: Interval, margin: float, alpha: float = 0.05, bounds: Bounds | None = None) -> Equivalence:
    """Is a difference smaller than a margin? Two one-sided t tests (Schuirmann 1987).

    p is the larger of P(T > (mean + margin)/se) and P(T > (margin - mean)/se), so P(T > (margin - |mean|)/se). It is
    below alpha exactly when the interval at level 1 - 2 alpha lies within plus or minus the margin. A difference that
    is not significant is no evidence of equivalence; this is.

    Args:
        estimate: A difference with its standard error, from `paired_difference` or over seeds and rows.
        margin: The largest difference that does not matter, positive, fixed before the run.
        alpha: Level of each test.
        bounds: What the difference cannot pass, `SHARE_DIFFERENCE` for shares.
    """
    mean, se, df = estimate.mean, estimate.se, estimate.df
    if mean is None or se is None or df is None:
        return Equivalence(None, None, None, None, margin)
    p = float(special.stdtr(df, -(margin - abs(mean)) / se))
    return Equivalence(p < alpha, p, *t_bounds(mean, se, df, 1 - 2 * alpha, bounds), margin)


def detectable(estimate: Interval, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """Smallest true difference that a two-sided t test with this standard error finds with the given power.

    Solves P(|T| > t_{1-alpha/2, df}) = power for the noncentral t of noncentrality difference/se (Cohen 1988, section
    2.3, with the design's own se and df). It takes the standard error as the true one, so it describes the design and
    is not the power of the effect that was observed (Hoenig and Heisey 2001).

    Args:
        estimate: A difference with its standard error, from `paired_difference` or over seeds and rows.
        power: Between alpha and 1.
        alpha: Level of the two-sided test.
    """
    se, df = estimate.se, estimate.df
    if se is None or df is None:
        return None
    critical = float(special.stdtrit(df, 1 - alpha / 2))
    # T = (Z + noncentrality) / C with C^2 ~ chi2_df / df, averaged over C by quadrature on its quantiles (error below
    # 1e-5): scipy's nct is NaN for many pairs of a small df and a large noncentrality (1.17).
    nodes, weights = np.polynomial.legendre.leggauss(200)
    limits = critical * np.sqrt(special.chdtri(df, (1 - nodes) / 2) / df)

    def lacking(noncentrality: float) -> float:
        found = special.ndtr(noncentrality - limits) + special.ndtr(-noncentrality - limits)
        return power - float(weights @ found) / 2

    return float(optimize.brentq(lacking, 0.0, 4 * (critical + 2))) * se
