"""How well grades follow what is known of the articles: arrays in, intervals out.

Intervals that no formula gives (rank correlation, AUC, alpha) are bootstraps that resample topics, since the versions
of one topic are not independent. As everywhere (`mst_evals.statistics.stats`), degenerate input gives None:
without variation there is no correlation, and where every resample agrees there is no interval.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from inspect_ai.scorer import SampleScore, Score, krippendorff_alpha
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

from mst_evals.statistics import stats
from mst_evals.statistics.stats import Clusters, Interval

DRAWS = 2000
Rows = NDArray[np.intp]
Level = Literal["ordinal", "interval"]


@dataclass(frozen=True)
class Measure:
    """One number of a card.

    Attributes:
        name: Of the measure.
        of: What it is taken on.
        interval: Estimate with its 95% interval; without a mean where it cannot be told.
        p: Two-sided p of no difference, for paired differences.
        equivalence: TOST, where the claim is that there is no difference.
        reason: Why it cannot be told, empty where it can.
    """

    name: str
    of: str
    interval: Interval
    p: float | None = None
    equivalence: stats.Equivalence | None = None
    reason: str = ""


def untold(name: str, of: str, reason: str) -> Measure:
    """A measure that cannot be told."""
    return Measure(name, of, Interval(None, None, None, 0, 0), reason=reason)


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation, the linear correlation of mid-ranks; NaN where one side does not vary."""
    first, second = scipy_stats.rankdata(x), scipy_stats.rankdata(y)
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def auc(low: ArrayLike, high: ArrayLike) -> float:
    """P(high > low) + P(high = low) / 2 for a random pair: Mann and Whitney's U over its largest value.

    Args:
        low: Grades of the articles that should be lower, shape (n,).
        high: Grades of those that should be higher, shape (m,).

    Returns:
        0.5 for no difference; NaN where one side is empty.
    """
    lower, higher = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    if not lower.size or not higher.size:
        return float("nan")
    ranks = scipy_stats.rankdata(np.concatenate([higher, lower]))[: higher.size]
    u = ranks.sum() - higher.size * (higher.size + 1) / 2
    return float(u / (higher.size * lower.size))


def alpha(ratings: Sequence[Sequence[float]], level: Level) -> float:
    """Krippendorff's alpha (Inspect's `krippendorff_alpha`), NaN where all ratings are equal: there it is not defined.

    Args:
        ratings: For each article, the ratings of two or more raters or runs.
        level: ``interval`` for grades 0-10, ``ordinal`` for verdicts as numbers.
    """
    return _alpha([_unit(of_article) for of_article in ratings], level)


def _unit(ratings: Sequence[float]) -> SampleScore:
    return SampleScore(score=Score(value=[float(rating) for rating in ratings]))


def _alpha(units: Sequence[SampleScore], level: Level) -> float:
    if len({rating for unit in units for rating in unit.score.as_list()}) < 2:
        return float("nan")
    return float(krippendorff_alpha(level)(list(units)))  # type: ignore[arg-type]


def over_topics(
    statistic: Callable[[Rows], float], topics: Clusters, draws: int = DRAWS, seed: int = 0, level: float = 0.95
) -> Interval:
    """A statistic with a BCa bootstrap interval (Efron 1987; scipy.stats.bootstrap) that resamples whole topics.

    In a simulation with 24 topics (noise by topic and by article, 250 data sets a case) the 95% interval of the rank
    correlation covered 94% where the correlation was .30 and 93% where it was .68; that of the AUC 93% where the AUC
    was .71 and 91% where it was .94. The percentile interval covered 88% in both of the second cases.

    Args:
        statistic: Index of rows, shape (k,) with repeats -> value, NaN where it is not defined.
        topics: The topic of each row, shape (n,).
        draws: Number of resamples.
        seed: Of the resampling.
        level: Confidence level.

    Returns:
        No mean where the statistic is not defined; no bounds with fewer than two topics, where all resamples agree, or
        where the statistic is not defined on a resample.
    """
    codes = stats.cluster_codes(topics)
    count = int(codes.max()) + 1 if len(codes) else 0
    rows = [np.flatnonzero(codes == code) for code in range(count)]
    found = statistic(np.arange(len(codes))) if count else float("nan")
    none = Interval(None if np.isnan(found) else found, None, None, len(codes), count)
    if none.mean is None or count < 2:
        return none
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of degenerate resamples: they end as bounds of None
        bounds = scipy_stats.bootstrap(
            (np.arange(count),),
            lambda chosen: statistic(np.concatenate([rows[int(topic)] for topic in chosen])),
            n_resamples=draws,
            vectorized=False,
            method="BCa",
            confidence_level=level,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = float(bounds.low), float(bounds.high)
    if not (np.isfinite(low) and np.isfinite(high)) or high - low <= stats.EQUAL:
        return none
    return Interval(found, low, high, len(codes), count)


def rank_correlation(known: ArrayLike, grades: ArrayLike, topics: Clusters, draws: int = DRAWS) -> Interval:
    """Spearman of what is known (intended intensity, people's rating) and the grades, shapes (n,)."""
    x, y = np.asarray(known, dtype=np.float64), np.asarray(grades, dtype=np.float64)
    return over_topics(lambda rows: spearman(x[rows], y[rows]), topics, draws)


def separation(grades: ArrayLike, slanted: ArrayLike, topics: Clusters, draws: int = DRAWS) -> Interval:
    """AUC of slanted articles against the others.

    Args:
        grades: Shape (n,).
        slanted: Whether each article is the one that should be graded higher, shape (n,).
        topics: Shape (n,).
        draws: Number of resamples.
    """
    values, high = np.asarray(grades, dtype=np.float64), np.asarray(slanted, dtype=bool)
    return over_topics(lambda rows: auc(values[rows][~high[rows]], values[rows][high[rows]]), topics, draws)


def agreement(ratings: ArrayLike, topics: Clusters, level: Level, draws: int = DRAWS) -> Interval:
    """Krippendorff's alpha of raters, or of runs, over the articles that two or more of them rated.

    Args:
        ratings: Shape (n, raters), NaN where a rating is missing.
        topics: Shape (n,).
        level: As in `alpha`.
        draws: Number of resamples.
    """
    values = np.asarray(ratings, dtype=np.float64)
    several = np.isfinite(values).sum(axis=1) >= 2
    units = [_unit(row[np.isfinite(row)].tolist()) for row in values[several]]
    kept = [topic for topic, keep in zip(topics, several.tolist(), strict=True) if keep]
    return over_topics(lambda rows: _alpha([units[row] for row in rows], level), kept, draws)


def contrast(values: ArrayLike, inside: ArrayLike, topics: Clusters, draws: int = DRAWS) -> Interval:
    """Mean of the values inside a group minus the mean of the others, resampling topics.

    Args:
        values: Shape (n,).
        inside: Shape (n,).
        topics: Shape (n,).
        draws: Number of resamples.
    """
    numbers, group = np.asarray(values, dtype=np.float64), np.asarray(inside, dtype=bool)

    def difference(rows: Rows) -> float:
        mine, others = numbers[rows][group[rows]], numbers[rows][~group[rows]]
        return float(mine.mean() - others.mean()) if mine.size and others.size else float("nan")

    return over_topics(difference, topics, draws)
