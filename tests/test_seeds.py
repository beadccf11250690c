"""Seeds and rows: hand-computed components, the ANOVA of statsmodels, clusters, missing cells, one seed, sign flips."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as reference
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from mst_evals.statistics import seeds, stats

HAND = [[1.0, 2.0, 6.0], [3.0, 2.0, 10.0]]
NAN = math.nan


def random_matrix(s: int, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (s, 1)) + rng.normal(0, 2, (1, n)) + rng.normal(0, 1.5, (s, n))


def test_components_by_hand() -> None:
    # Seed means 3, 5: V_seed = 2/2 = 1. Row means 2, 2, 8: V_row = 12/3 = 4. Residuals 0 1 -1 / 0 -1 1: V_resid =
    # (4/2)/6 = 1/3. SE^2 = 1 + 4 - 1/3 = 14/3; df = (14/3)^2 / (1/1 + 16/2 + (1/9)/2) = 2.404908.
    found = seeds.seeds_and_rows(HAND, "abc")
    se, df = math.sqrt(14 / 3), 196 / 9 / (1 + 8 + 1 / 18)
    half = float(reference.t.ppf(0.975, df)) * se
    assert found.interval.mean == 4
    assert (found.interval.se, found.interval.df) == pytest.approx((se, df))
    assert (found.interval.low, found.interval.high) == pytest.approx((4 - half, 4 + half))
    assert found.p == pytest.approx(2 * reference.t.sf(4 / se, df))
    assert found.components is not None
    assert (found.components.seed, found.components.row, found.components.residual) == pytest.approx((4 / 3, 11, 2))
    assert (found.seeds, found.interval.n, found.interval.clusters, found.dropped) == (2, 3, 3, 0)
    assert found.reason is None


def test_mean_squares_are_those_of_an_anova() -> None:
    values = random_matrix(4, 9)
    long = pd.DataFrame([(s, r, values[s, r]) for s in range(4) for r in range(9)], columns=["seed", "row", "y"])
    square = anova_lm(ols("y ~ C(seed) + C(row)", long).fit())["mean_sq"]
    parts = seeds.seeds_and_rows(values, range(9)).components
    assert parts is not None
    assert parts.residual == pytest.approx(square["Residual"])
    assert parts.seed == pytest.approx((square["C(seed)"] - square["Residual"]) / 9)
    assert parts.row == pytest.approx((square["C(row)"] - square["Residual"]) / 4)


def test_floor() -> None:
    # Row means are equal, so V_row = 0 and V_resid is all of the rest: the estimate may not go below V_seed = 2/2.
    values = [[0.0, 10.0, 2.0], [10.0, 0.0, 8.0]]
    found = seeds.seeds_and_rows(values, "abc")
    v_seed = np.var([4, 6], ddof=1) / 2
    assert found.components is not None and found.components.row < 0
    assert found.interval.se == pytest.approx(math.sqrt(v_seed))
    assert found.interval.df == 1  # never below the smaller of S - 1 and G - 1


def test_equal_clusters_are_their_means() -> None:
    values = random_matrix(3, 12)
    clustered = seeds.seeds_and_rows(values, np.repeat(np.arange(4), 3))
    averaged = seeds.seeds_and_rows(values.reshape(3, 4, 3).mean(axis=2), range(4))
    assert clustered.interval.clusters == 4 and clustered.interval.n == 12
    for name in ("mean", "low", "high", "se", "df"):
        assert getattr(clustered.interval, name) == pytest.approx(getattr(averaged.interval, name))
    assert clustered.p == pytest.approx(averaged.p)
    a, b = clustered.components, averaged.components
    assert a is not None and b is not None
    assert (a.seed, a.row, a.residual) == pytest.approx((b.seed, b.row, b.residual))


def test_rows_of_a_cluster_need_not_be_neighbours() -> None:
    values, clusters = random_matrix(3, 8), np.array([0, 1, 0, 2, 2, 2, 1, 0])
    order = np.argsort(clusters, kind="stable")
    mixed, sorted_ = seeds.seeds_and_rows(values, clusters), seeds.seeds_and_rows(values[:, order], clusters[order])
    assert mixed.interval.se == pytest.approx(sorted_.interval.se)


def test_identical_seeds_leave_the_interval_over_rows() -> None:
    """A seed that changes nothing is no evidence about rows: unequal clusters give the sandwich, whatever S is."""
    row, clusters = np.array([1.0, 4.0, 2.0, 8.0, 3.0]), ["a", "a", "a", "b", "c"]
    found = seeds.seeds_and_rows(np.tile(row, (5, 1)), clusters).interval
    expected = stats.cluster_interval(row, clusters)
    assert (found.mean, found.low, found.high, found.se, found.df) == pytest.approx(
        (expected.mean, expected.low, expected.high, expected.se, expected.df)
    )


def test_rows_that_all_agree_leave_the_interval_over_seeds() -> None:
    of_seed = [1.0, 2.0, 6.0]
    found = seeds.seeds_and_rows(np.repeat(np.array(of_seed)[:, None], 7, axis=1), range(7)).interval
    alone = seeds.over_seeds(of_seed)
    assert (found.mean, found.low, found.high) == pytest.approx((alone.mean, alone.low, alone.high))
    assert found.df == 2


def test_a_fixed_row_vector_has_no_seed_term() -> None:
    ootb = np.array([1.0, 3.0, 2.0, 5.0])
    found = seeds.seeds_and_rows(ootb, "abcd")
    assert found.interval == stats.cluster_interval(ootb, "abcd")
    assert (found.seeds, found.components, found.reason) == (0, None, None)
    both = seeds.seeds_and_rows_difference(ootb, ootb[::-1], "abcd")
    paired = stats.paired_difference(ootb, ootb[::-1], "abcd")
    assert (both.interval, both.p) == (paired.interval, paired.p)


def test_against_ootb_the_seed_term_comes_from_the_trained_arm_alone() -> None:
    arm, ootb = random_matrix(5, 20), np.random.default_rng(9).normal(0, 3, 20)
    against = seeds.seeds_and_rows_difference(arm, ootb, range(20))
    alone = seeds.seeds_and_rows(arm, range(20))
    assert against.interval.mean == pytest.approx(arm.mean() - ootb.mean())
    assert against.components is not None and alone.components is not None
    assert against.components.seed == pytest.approx(alone.components.seed)
    assert against.components.residual == pytest.approx(alone.components.residual)
    assert against.components.row != pytest.approx(alone.components.row)
    assert seeds.seeds_and_rows_difference(ootb, arm, range(20)).p == pytest.approx(against.p)


def test_arms_are_paired_by_seed_and_row() -> None:
    """What two arms share cancels: a seed effect and a row effect common to both are no part of the difference."""
    a = random_matrix(4, 30)
    b = a - 1 + np.random.default_rng(2).normal(0, 0.1, (4, 30))
    found = seeds.seeds_and_rows_difference(a, b, range(30)).interval
    assert found.mean == pytest.approx(1, abs=0.05)
    assert found.se is not None and found.se < 0.05
    alone = seeds.seeds_and_rows(a, range(30)).interval.se
    assert alone is not None and alone > 0.3


def test_rows_that_a_seed_lacks_are_left_out_and_counted() -> None:
    values = random_matrix(3, 10)
    holes = values.copy()
    holes[1, 4] = holes[2, 4] = holes[0, 9] = NAN
    kept = [column for column in range(10) if column not in (4, 9)]
    found, expected = seeds.seeds_and_rows(holes, range(10)), seeds.seeds_and_rows(values[:, kept], kept)
    assert found.dropped == 2
    assert (found.interval, found.p, found.components) == (expected.interval, expected.p, expected.components)
    assert seeds.two_level_bootstrap(holes, range(10)) == seeds.two_level_bootstrap(values[:, kept], kept)


@pytest.mark.parametrize(
    ("values", "clusters", "mean", "reason"),
    [
        ([[1.0, 2.0, 3.0]], "abc", 2.0, "one seed says nothing about new seeds"),
        ([[1.0, 2.0], [2.0, 3.0]], "aa", 2.0, "fewer than two clusters of rows"),
        ([[1.0], [2.0]], "a", 1.5, "fewer than two clusters of rows"),
        ([[1.0, 1.0], [1.0, 1.0]], "ab", 1.0, "values do not vary"),
        ([1.0, 1.0], "ab", 1.0, "values do not vary"),
        ([[1.0, NAN], [NAN, 1.0]], "ab", None, "no row was scored by every seed"),
        ([[], []], "", None, "there are no rows"),
        ([], "", None, "there are no rows"),
    ],
)
def test_degenerate_input_has_a_reason_and_no_interval(
    values: list[float], clusters: str, mean: float | None, reason: str
) -> None:
    found = seeds.seeds_and_rows(values, clusters)
    assert (found.interval.mean, found.interval.low, found.interval.high) == (mean, None, None)
    assert (found.p, found.interval.se, found.reason) == (None, None, reason)
    assert stats.equivalence(found.interval, 0.5).equivalent is None
    assert stats.detectable(found.interval) is None
    if np.ndim(values) == 2:
        assert seeds.two_level_bootstrap(values, clusters).low is None


def test_bounds_cut_the_interval_of_a_rate() -> None:
    values = [[1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 1.0]]
    free = seeds.seeds_and_rows(values, range(4)).interval
    assert free.high is not None and free.high > 1
    cut = seeds.seeds_and_rows(values, range(4), bounds=stats.SHARE).interval
    assert (cut.low, cut.high) == (free.low, 1.0)


def test_bootstrap_resamples_seeds_and_clusters() -> None:
    """Against the same draws written out: whole seeds and whole clusters repeated, then averaged."""
    values, clusters, draws = random_matrix(3, 7), np.array([0, 0, 1, 1, 1, 2, 3]), 200
    rng = np.random.default_rng(4)
    seed_weights = rng.multinomial(3, np.full(3, 1 / 3), size=draws)
    group_weights = rng.multinomial(4, np.full(4, 1 / 4), size=draws)
    means = []
    for of_seeds, of_groups in zip(seed_weights, group_weights, strict=True):
        chosen_rows = np.concatenate([np.flatnonzero(clusters == group) for group in np.repeat(range(4), of_groups)])
        means.append(values[np.repeat(range(3), of_seeds)][:, chosen_rows].mean())
    found = seeds.two_level_bootstrap(values, clusters, draws=draws, seed=4)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
    assert found.mean == pytest.approx(values.mean())
    assert found == seeds.two_level_bootstrap(values, clusters, draws=draws, seed=4)


@pytest.mark.parametrize(("number", "expected"), [(0, None), (1, None), (2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_smallest_p(number: int, expected: float | None) -> None:
    assert seeds.smallest_p(number) == expected
    assert seeds.sign_flip([1.0 + 0.1 * i for i in range(number)]) == expected  # all of one sign reach it


def test_sign_flip_by_hand() -> None:
    # |sum| of +-1 +-2 +-4: 7, 5, 3, 1, each from two patterns; observed 1 + 4 - 2 = 3, so 6 of 8 are as far out.
    assert seeds.sign_flip([1.0, -2.0, 4.0]) == 0.75


@pytest.mark.parametrize("number", [3, 5, 9])
def test_sign_flip_is_scipys_permutation_test(number: int) -> None:
    values = np.random.default_rng(number).normal(0.5, 1, number)
    expected = reference.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert seeds.sign_flip(values) == pytest.approx(expected.pvalue)


def test_sign_flip_of_many_seeds_is_drawn() -> None:
    values = np.random.default_rng(1).normal(0.4, 1, 20)
    found, t = seeds.sign_flip(values), reference.ttest_1samp(values, 0).pvalue
    assert found is not None and found == pytest.approx(t, abs=0.02)
    assert seeds.sign_flip([1.0] * 40) == pytest.approx(1 / 65537)  # the observed pattern is always counted


def test_sign_flip_without_a_difference() -> None:
    assert seeds.sign_flip([0.0, 0.0, 0.0]) is None
    assert seeds.sign_flip([]) is None
    assert seeds.sign_flip([0.1 + 0.2, -0.3]) == 1.0  # equal but for rounding


@pytest.mark.parametrize("values", [[NAN, 1.0, 2.0], [1.0, NAN], [math.inf, 1.0, 2.0], [1.0] * 20 + [NAN]])
def test_sign_flip_of_a_seed_without_a_number_is_no_test(values: list[float]) -> None:
    """Not 0, which is below the smallest p, nor the test of the other seeds."""
    assert seeds.sign_flip(values) is None


def test_over_seeds_is_students_t() -> None:
    values = [0.2, 0.5, 0.9]
    found = seeds.over_seeds(values)
    low, high = reference.t.interval(0.95, 2, loc=np.mean(values), scale=reference.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), low, high))
    assert found.values == (0.2, 0.5, 0.9)
    assert seeds.over_seeds(values, bounds=stats.SHARE).low == 0.0


@pytest.mark.parametrize("values", [[], [None], [0.4], [0.4, None], [0.4, 0.4, 0.4]])
def test_over_seeds_without_an_interval(values: list[float | None]) -> None:
    found = seeds.over_seeds(values)
    assert found.low is None and found.high is None
    assert found.mean == (0.4 if 0.4 in values else None) or found.mean == pytest.approx(0.4)
    assert found.values == tuple(values)
