"""Exact tests on counts of rows: which side is better, row by row. Arrays in, frozen dataclasses out.

All of them need independent rows. Where rows share a cluster (a topic, a pair of operands) hand the clusters in: each
cluster then has one vote, the sign of its mean difference. Degenerate input follows the rule of `stats`:
without an untied row there is no p.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mst_evals.statistics import stats

GRADES = ("FAIL", "PARTIAL", "PASS")  # worst to best


@dataclass(frozen=True)
class Signs:
    """How often a is better than b, by more than a margin.

    Attributes:
        outcomes: Wins, ties and losses of a, over rows, or over clusters where clusters were given.
        p: Two-sided exact sign test of wins against losses, ties dropped; None when there are only ties.
        win_rate: Wins over all, ties counted as non-wins, with Wilson's interval.
    """

    outcomes: stats.Outcomes
    p: float | None
    win_rate: stats.Interval


@dataclass(frozen=True)
class McNemar:
    """Two yes-or-no outcomes on the same rows.

    Attributes:
        both: Rows on which both are yes.
        only_a: Rows on which a alone is yes.
        only_b: Rows on which b alone is yes.
        neither: Rows on which neither is yes.
        p: Exact two-sided p of equal shares of yes; None when the outcomes never differ.
    """

    both: int
    only_a: int
    only_b: int
    neither: int
    p: float | None


def _one_vote_each(values: NDArray[np.float64], clusters: stats.Clusters | None) -> NDArray[np.float64]:
    """Mean of each cluster, shape (n,) -> (G,); the values themselves without clusters."""
    if clusters is None or not len(values):
        return values
    codes = stats.cluster_codes(clusters)
    return np.bincount(codes, weights=values) / np.bincount(codes)


def signs(
    a: stats.Floats,
    b: stats.Floats,
    better: stats.Better,
    margin: float = 0.0,
    clusters: stats.Clusters | None = None,
) -> Signs:
    """Win rate and exact sign test of a over b (Conover 1999, section 3.4; interval: Wilson 1927).

    The two answer different questions: the test asks whether wins outnumber losses, the rate says how often a wins
    by more than the margin. Dropping ties from the rate too would call one win and 199 ties "100%".

    Args:
        a: One finite number for each row, shape (n,).
        b: The other side on the same rows in the same order, shape (n,).
        better: Whether a lower or a higher value is the better one.
        margin: In the unit of the values; a difference of exactly the margin is a tie (the source used 0.5).
        clusters: The cluster of each row, shape (n,); None when rows are independent.
    """
    x, y = (_one_vote_each(np.asarray(side, dtype=np.float64), clusters) for side in (a, b))
    counted = stats.outcomes(x, y, better, margin)
    total = counted.win + counted.tie + counted.loss
    return Signs(counted, stats.sign_test(counted.win, counted.loss), stats.wilson(counted.win, total))


def order_signs(differences: NDArray[np.float64], clusters: stats.Clusters | None = None) -> Signs:
    """Paired sign test of ordered outcomes: only which side is higher enters, row by row, ties dropped.

    Every seed has one vote on a row; a row goes to the side with more of them, and a cluster to the side with more of
    its rows' votes.

    Args:
        differences: a minus b on any scale with the outcomes' order, shape (S, n); NaN where a seed has no value. Every
            row has one of some seed.
        clusters: The cluster of each row, shape (n,); None when rows are independent.
    """
    known = np.isfinite(differences)
    votes = np.where(known & (np.abs(differences) > stats.EQUAL), np.sign(differences), 0.0)
    rows = votes.sum(axis=0) / known.sum(axis=0)
    return signs(rows, np.zeros(len(rows)), "higher", clusters=clusters)


def grade_signs(
    a: Sequence[Hashable],
    b: Sequence[Hashable],
    order: Sequence[Hashable] = GRADES,
    clusters: stats.Clusters | None = None,
) -> Signs:
    """`order_signs` of grades by name: which side has the better one. PARTIAL against FAIL is one win, as PASS is.

    Args:
        a: One grade for each row, shape (n,).
        b: The other side's grades on the same rows, shape (n,).
        order: The grades from worst to best.
        clusters: The cluster of each row, shape (n,); None when rows are independent.

    Raises:
        ValueError: A grade is not in the order.
    """
    rank = {grade: place for place, grade in enumerate(order)}
    if unknown := {*a, *b} - rank.keys():
        raise ValueError(f"unknown grades {sorted(map(str, unknown))}: expected {', '.join(map(str, order))}")
    steps = [float(rank[x] - rank[y]) for x, y in zip(a, b, strict=True)]
    return order_signs(np.array([steps]), clusters)


def mcnemar(a: stats.Floats, b: stats.Floats) -> McNemar:
    """Exact McNemar test of two yes-or-no outcomes on the same independent rows (McNemar 1947; exact: Fagerland 2013).

    The rows on which both agree say nothing about the difference; among the others a and b are equally often the one
    that says yes, if their shares are equal: a binomial test of one half. For clustered rows use
    `stats.paired_difference`, whose interval is cluster-robust.

    Args:
        a: 0 or 1 for each row, shape (n,).
        b: 0 or 1 on the same rows in the same order, shape (n,).

    Raises:
        ValueError: A value is neither 0 nor 1.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if not (np.isin(x, (0.0, 1.0)).all() and np.isin(y, (0.0, 1.0)).all()):
        raise ValueError("McNemar's test needs outcomes of 0 and 1")
    only_a, only_b = int(((x == 1) & (y == 0)).sum()), int(((x == 0) & (y == 1)).sum())
    both, neither = int(((x == 1) & (y == 1)).sum()), int(((x == 0) & (y == 0)).sum())
    return McNemar(both, only_a, only_b, neither, stats.sign_test(only_a, only_b))
