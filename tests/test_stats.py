"""Every statistic against hand-computed values, scipy and statsmodels, and the rule for degenerate input."""

import math

import numpy as np
import pytest
from scipy import stats as reference
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from mst_evals.statistics import stats

SINGLES = list("abcdef")


def test_interval_with_one_row_a_cluster_is_the_usual_t_interval() -> None:
    values = [1.0, 2.0, 4.0, 4.0, 7.0, 9.0]
    found = stats.cluster_interval(values, SINGLES)
    low, high = reference.t.interval(0.95, 5, loc=np.mean(values), scale=reference.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((4.5, low, high))
    assert (found.n, found.clusters) == (6, 6)


def test_interval_of_clusters_by_hand() -> None:
    # Mean 3; cluster sums of deviations: a (-2)+(-2) = -4, b 0+1 = 1, c 3 = 3. SE^2 = 3/2 * (16+1+9) / 5^2 = 1.56.
    found = stats.cluster_interval([1, 1, 3, 4, 6], ["a", "a", "b", "b", "c"])
    half = 4.302652729911275 * math.sqrt(1.56)
    assert (found.mean, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half))
    assert found.clusters == 3


@pytest.mark.parametrize("seed", range(4))
def test_interval_of_clusters_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 7, 40)
    values = rng.normal(0, 1, 7)[codes] + rng.normal(0, 1, 40)
    found = stats.cluster_interval(values, codes)
    fit = OLS(values, np.ones(40)).fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)
    (bounds,) = fit.conf_int()
    assert (found.mean, found.se) == pytest.approx((fit.params[0], fit.bse[0]))
    assert (found.low, found.high) == pytest.approx(tuple(bounds))


def test_clusters_need_only_be_hashable_and_their_names_do_not_matter() -> None:
    values = [0.1, 0.5, 0.2, 0.9]
    assert stats.cluster_interval(values, [(1, 2), (1, 2), (3, 3), (3, 3)]) == stats.cluster_interval(values, "xxyy")


@pytest.mark.parametrize(
    ("values", "clusters", "mean"),
    [([], [], None), ([2.0], ["a"], 2.0), ([1.0, 2.0], ["a", "a"], 1.5), ([3.0, 3.0, 3.0], ["a", "b", "c"], 3.0)],
    ids=["nothing", "one row", "one cluster", "no variance"],
)
def test_degenerate_input_has_no_bounds_and_no_p(values: list[float], clusters: list[str], mean: float | None) -> None:
    found = stats.cluster_interval(values, clusters)
    assert (found.mean, found.low, found.high) == (mean, None, None)
    assert not found.excludes_zero
    assert stats.cluster_interval(stats.balanced_terms(values, clusters), clusters).low is None
    paired = stats.paired_difference(values, [0.0] * len(values), clusters)
    assert paired.p is None
    assert paired.interval == found


def test_cluster_sums_that_cancel_give_no_bounds() -> None:
    assert stats.cluster_interval([1.0, 3.0, 0.0, 4.0], ["a", "a", "b", "b"]).low is None


def test_paired_difference_is_the_paired_t_test_when_rows_are_clusters() -> None:
    a, b = [1.0, 2.5, 3.0, 2.0, 5.5, 4.0], [2.0, 2.0, 4.5, 3.0, 6.0, 6.5]
    found = stats.paired_difference(a, b, SINGLES)
    expected = reference.ttest_rel(a, b)
    assert found.interval.mean == pytest.approx(-1.0)  # a minus b
    assert found.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((interval.low, interval.high))


def test_interval_excludes_zero_exactly_when_p_is_small() -> None:
    rng = np.random.default_rng(0)
    for shift in np.linspace(0, 0.6, 30):
        found = stats.paired_difference(rng.normal(shift, 1, 40), np.zeros(40), np.arange(40) // 2)
        assert found.p is not None
        assert found.interval.excludes_zero == (found.p < 0.05)


def test_balanced_is_the_mean_of_the_group_means() -> None:
    values, groups = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0], ["right", "right", "right", "right", "wrong", "wrong"]
    found = stats.cluster_interval(stats.balanced_terms(values, groups), SINGLES)
    assert found.mean == pytest.approx((0.75 + 0) / 2)
    # Influence (n / (2 n_k)) (x - mean_k): .1875 three times, -.5625, 0, 0; SE^2 = 6/5 * sum of squares / 36.
    half = float(reference.t.ppf(0.975, 5)) * math.sqrt(6 / 5 * (3 * 0.1875**2 + 0.5625**2) / 36)
    assert found.high == pytest.approx(0.375 + half)


def test_balanced_equals_the_plain_mean_when_groups_are_equal() -> None:
    values = [0.2, 0.4, 0.9, 0.7]
    assert stats.balanced_terms(values, ["r", "r", "w", "w"]).mean() == pytest.approx(np.mean(values))
    both = stats.balanced_terms([values, values[::-1]], "rrrw")
    assert both.mean(axis=1) == pytest.approx([(0.5 + 0.7) / 2, (2 / 3 + 0.2) / 2])


@pytest.mark.parametrize(
    ("better", "margin", "expected"),
    [
        ("lower", 0.0, stats.Outcomes(2, 2, 1)),
        ("higher", 0.0, stats.Outcomes(1, 2, 2)),
        ("lower", 0.5, stats.Outcomes(1, 4, 0)),
    ],
)
def test_outcomes(better: stats.Better, margin: float, expected: stats.Outcomes) -> None:
    # Differences a - b: -2, -0.5 (a tie at a margin of 0.5), 0, rounding only, +0.2.
    a, b = [1.0, 2.0, 3.0, 0.1 + 0.2, 1.2], [3.0, 2.5, 3.0, 0.3, 1.0]
    assert stats.outcomes(a, b, better, margin) == expected


@pytest.mark.parametrize(
    ("wins", "losses", "p"), [(0, 0, None), (5, 0, 0.0625), (8, 1, 0.0390625), (3, 3, 1.0), (0, 5, 0.0625)]
)
def test_sign_test(wins: int, losses: int, p: float | None) -> None:
    assert stats.sign_test(wins, losses) == (p if p is None else pytest.approx(p))


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (7, 20), (121, 200)])
def test_wilson_is_scipys(k: int, n: int) -> None:
    expected = reference.binomtest(k, n).proportion_ci(method="wilson")
    found = stats.wilson(k, n)
    assert (found.mean, found.low, found.high) == pytest.approx((k / n, expected.low, expected.high), abs=1e-12)


def test_wilson_of_nothing() -> None:
    assert stats.wilson(0, 0) == stats.Interval(None, None, None, 0, 0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # the second is raised to the first's level: monotone
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02, None], [0.04, None]),  # what could not be tested still counts in the family
    ],
)
def test_holm(given: list[float | None], expected: list[float | None]) -> None:
    assert stats.holm(given) == [value if value is None else pytest.approx(value) for value in expected]


def test_coverage_of_the_clustered_interval() -> None:
    """20 clusters of unequal size that share an effect: 95% nominal, against a naive interval that is far too short."""
    rng, sets = np.random.default_rng(20260101), 2000
    clusters = np.repeat(np.arange(20), rng.integers(2, 7, 20))
    covered = naive = 0
    for _ in range(sets):
        values = rng.normal(0, 1, 20)[clusters] + rng.normal(0, 1, len(clusters))
        found = stats.cluster_interval(values, clusters)
        assert found.low is not None and found.high is not None
        covered += found.low <= 0 <= found.high
        naive += abs(values.mean()) <= 1.96 * values.std(ddof=1) / math.sqrt(len(values))
    monte_carlo = math.sqrt(0.95 * 0.05 / sets)  # 0.5 percentage points
    assert covered / sets == pytest.approx(0.95, abs=0.02 + 2 * monte_carlo)
    assert naive / sets < 0.85


def test_size_of_the_paired_test() -> None:
    """Without a difference the test rejects at about its nominal 5%."""
    rng, sets = np.random.default_rng(7), 2000
    clusters = np.repeat(np.arange(11), 8)  # eleven test pairs of operands, as in the sycophancy split
    rejected = 0
    for _ in range(sets):
        shared = rng.normal(0, 1, 11)[clusters]
        a, b = (shared + rng.normal(0, 0.5, 11)[clusters] + rng.normal(0, 1, 88) for _ in range(2))
        p = stats.paired_difference(a, b, clusters).p
        rejected += p is not None and p < 0.05
    assert 0.03 <= rejected / sets <= 0.07


# --- Shares, equivalence and the detectable difference ---------------------------------------------------------------


def test_bounds_cut_the_interval_and_leave_the_test_alone() -> None:
    values, clusters = [1.0, 1.0, 1.0, 1.0, 0.0], "abcde"
    free, cut = stats.cluster_interval(values, clusters), stats.cluster_interval(values, clusters, bounds=stats.SHARE)
    assert free.high is not None and free.high > 1
    assert (cut.low, cut.high, cut.se, cut.df) == (free.low, 1.0, free.se, free.df)
    a, b = [1.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 1.0]
    paired = stats.paired_difference(a, b, clusters, bounds=stats.SHARE_DIFFERENCE)
    assert paired.interval.high == 1.0
    assert paired.p == stats.paired_difference(a, b, clusters).p


@pytest.mark.parametrize(
    ("values", "clusters"),
    [([1.0] * 9 + [0.0], "abcdefghij"), ([1.0] * 9 + [0.0], "aabbccddee"), ([0.99, 0.98, 1.0, 0.6], "abcd")],
    ids=["independent yes or no", "clustered yes or no", "probabilities"],
)
def test_shares_have_bounds_within_0_and_1(values: list[float], clusters: str) -> None:
    found = stats.share_interval(values, clusters)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.low is not None and found.high is not None
    assert 0 <= found.low < np.mean(values) < found.high <= 1


def test_share_of_independent_rows_is_wilsons_even_when_all_agree() -> None:
    assert stats.share_interval([1.0] * 12, range(12)) == stats.wilson(12, 12)
    assert stats.wilson(12, 12).high == 1.0
    assert stats.share_interval([], []).mean is None
    assert stats.share_interval([1.0, 1.0], "aa").low is None  # one cluster, no interval


@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 7), (7, 7), (150, 200)])
def test_wilson_is_statsmodels(k: int, n: int) -> None:
    found = stats.wilson(k, n)
    assert (found.low, found.high) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-12)


def test_holm_is_statsmodels() -> None:
    p = np.random.default_rng(3).uniform(0, 0.2, 12).tolist()
    assert stats.holm(p) == pytest.approx(multipletests(p, method="holm")[1].tolist())


@pytest.mark.parametrize("margin", [0.2, 0.5, 2.0])
@pytest.mark.parametrize("shift", [-0.4, 0.0, 0.3])
def test_equivalence_is_statsmodels_tost(margin: float, shift: float) -> None:
    rng = np.random.default_rng(11)
    a, b = rng.normal(shift, 1, 40), rng.normal(0, 1, 40)
    found = stats.equivalence(stats.paired_difference(a, b, range(40)).interval, margin)
    assert found.p == pytest.approx(ttost_paired(a, b, -margin, margin)[0])
    assert found.low is not None and found.high is not None
    assert found.equivalent == (found.p < 0.05) == (-margin < found.low and found.high < margin)


def test_equivalence_by_hand() -> None:
    # Mean 0, se 1/4, 15 df: t = 2 at a margin of 0.5 on both sides, P(T > 2) = .03197; 90% interval -+ 1.75305 / 4.
    found = stats.equivalence(stats.Interval(0.0, None, None, 16, 16, se=0.25, df=15), 0.5)
    assert found.p == pytest.approx(0.0319725, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((-0.4382626, 0.4382626), abs=1e-6)
    assert found.equivalent is True


def test_no_standard_error_no_claim_of_equivalence() -> None:
    same = stats.paired_difference([1.0, 2.0], [1.0, 2.0], "ab").interval
    assert stats.equivalence(same, 0.5) == stats.Equivalence(None, None, None, None, 0.5)
    assert stats.detectable(same) is None


@pytest.mark.parametrize("n", [4, 6, 20, 200])
@pytest.mark.parametrize("power", [0.1, 0.5, 0.8, 0.99])
def test_detectable_is_statsmodels(n: int, power: float) -> None:
    design = stats.Interval(0.0, None, None, n, n, se=2 / math.sqrt(n), df=n - 1)
    effect = TTestPower().solve_power(nobs=n, alpha=0.05, power=power, alternative="two-sided")
    assert stats.detectable(design, power) == pytest.approx(2 * effect, rel=1e-4)


@pytest.mark.parametrize("df", [1.0, 1.5, 2.0, 2.7, 4.2, 7.0, 33.3, 1e6])
def test_detectable_for_any_degrees_of_freedom(df: float) -> None:
    """Satterthwaite's are fractions; against drawn t values, and near the usual approximation when there are many."""
    found = stats.detectable(stats.Interval(0.0, None, None, 9, 9, se=1.0, df=df))
    assert found is not None
    rng = np.random.default_rng(1)
    drawn = (rng.normal(0, 1, 400_000) + found) / np.sqrt(rng.chisquare(df, 400_000) / df)
    assert (np.abs(drawn) > reference.t.ppf(0.975, df)).mean() == pytest.approx(0.8, abs=0.003)
    if df > 4:
        assert found == pytest.approx(reference.t.ppf(0.975, df) + reference.t.ppf(0.8, df), rel=0.06)
