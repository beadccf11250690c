"""Verdicts by hand: two columns of a metric in, a verdict with its reason and interval out."""

import math

import numpy as np
import pytest
from regression_data import column
from scipy import stats as scipy_stats

from mst_evals.errors import InputError
from mst_evals.regression import verdicts
from mst_evals.regression.metrics import METRICS
from mst_evals.regression.verdicts import Verdict

BIAS, VERDICT = METRICS["bias"][0], METRICS["bias"][1]
FPR, ACCURACY = METRICS["sycophancy"][:2]
# 20 differences of +1 and -1: standard deviation sqrt(20/19), standard error sqrt(1/19) = .22942; t(.975, 19) = 2.0930
SWING = [1.0, -1.0] * 10
HALF = 2.09302 / math.sqrt(19)


@pytest.mark.parametrize(
    ("shift", "margin", "verdict", "reason"),
    [
        (0.0, 0.5, Verdict.PASS, "a loss of 0.5 is excluded: mean loss 0 (-0.48 to 0.48)"),
        (0.0, 0.48, Verdict.REGRESSED, "cannot exclude a loss of 0.48: mean loss 0 (-0.48 to 0.48)"),
        (0.1, 0.5, Verdict.REGRESSED, "cannot exclude a loss of 0.5: mean loss 0.1 (-0.38 to 0.58)"),
        (0.1, 0.6, Verdict.PASS, "a loss of 0.6 is excluded: mean loss 0.1 (-0.38 to 0.58)"),
        (1.0, 0.5, Verdict.REGRESSED, "worse by 1 (0.52 to 1.48), margin 0.5"),
        (1.0, 2.0, Verdict.PASS, "a loss of 2 is excluded: mean loss 1 (0.52 to 1.48)"),
        (-1.0, 0.5, Verdict.IMPROVED, "better by 1 (0.52 to 1.48)"),
        (-0.4, 0.5, Verdict.PASS, "a loss of 0.5 is excluded: mean loss -0.4 (-0.88 to 0.0802)"),
    ],
)
def test_the_verdict_follows_the_bound_of_the_interval(shift, margin, verdict, reason):
    before = column(BIAS, [5.0] * 20)
    after = column(BIAS, [5.0 + shift + swing for swing in SWING])
    found = verdicts.compare(before, after, margin)
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.loss == pytest.approx(shift)
    assert (found.low, found.high) == (pytest.approx(shift - HALF, abs=1e-4), pytest.approx(shift + HALF, abs=1e-4))
    assert (found.rows, found.clusters, found.changed, found.margin) == (20, 20, 10 if abs(shift) == 1 else 20, margin)
    assert (found.before, found.after) == (5.0, pytest.approx(5.0 + shift))


def test_a_metric_that_is_better_when_higher_loses_when_it_falls():
    before, after = column(VERDICT, [0.5] * 20), column(VERDICT, [0.5 - 0.3 + 0.1 * swing for swing in SWING])
    lost = verdicts.compare(before, after, 0.1)
    gained = verdicts.compare(after, before, 0.1)
    assert (lost.verdict, lost.loss) == (Verdict.REGRESSED, pytest.approx(0.3))
    assert (gained.verdict, gained.loss) == (Verdict.IMPROVED, pytest.approx(-0.3))


def test_rows_of_a_cluster_are_not_independent():
    """Ten clusters of two equal rows: SE^2 = 10/9 * 10 * 2^2 / 20^2 = 1/9; t(.975, 9) = 2.2622."""
    before, after = column(BIAS, [0.0] * 20, size=2), column(BIAS, [1.0, 1.0, -1.0, -1.0] * 5, size=2)
    found = verdicts.compare(before, after, 0.76)
    assert found.high == pytest.approx(2.26216 / 3, abs=1e-4)
    assert found.verdict == Verdict.PASS
    assert verdicts.compare(before, after, 0.75).verdict == Verdict.REGRESSED


@pytest.mark.parametrize(
    ("change", "verdict", "reason"),
    [
        (0.0, Verdict.PASS, "identical on all 20 rows"),
        (0.001, Verdict.REGRESSED, "worse by 0.001 on every row"),
        (-0.001, Verdict.IMPROVED, "better by 0.001 on every row"),
    ],
)
def test_rows_that_all_move_alike_have_no_interval(change, verdict, reason):
    found = verdicts.compare(column(BIAS, [1.0] * 20), column(BIAS, [1.0 + change] * 20), 0.5)
    assert (found.verdict, found.reason, found.low, found.high) == (verdict, reason, None, None)


@pytest.mark.parametrize(
    ("after", "changed", "verdict", "reason"),
    [
        # one row moves so little that the standard error is taken for none
        ([1.0] * 19 + [1.0 + 5e-9], 1, Verdict.PASS, "the same mean, rows at most 5e-09 apart"),
        # rounding may move every row the same way; ten times as much may not
        ([1.0 + 4e-7] * 20, 20, Verdict.PASS, "the same mean, rows at most 4e-07 apart"),
        ([1.0 + 4e-6] * 20, 20, Verdict.REGRESSED, "worse by 4e-06 on every row"),
    ],
)
def test_identical_is_said_of_rows_that_are(after, changed, verdict, reason):
    found = verdicts.compare(column(BIAS, [1.0] * 20), column(BIAS, after), 0.5)
    assert (found.changed, found.verdict, found.reason, found.high) == (changed, verdict, reason, None)


def test_rows_that_cancel_in_every_cluster_are_not_identical():
    before, after = column(BIAS, [5.0] * 20, size=2), column(BIAS, [4.0, 6.0] * 10, size=2)
    found = verdicts.compare(before, after, 0.5)
    assert (found.changed, found.verdict, found.reason) == (20, Verdict.PASS, "the same mean, rows at most 1 apart")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (column(FPR, [0.1] * 19), column(FPR, [0.1] * 19), "19 rows in 19 clusters"),
        (column(FPR, [0.1] * 21, size=3), column(FPR, [0.1] * 21, size=3), "21 rows in 7 clusters"),
        (column(FPR, [0.1] * 30), column(FPR, [0.1] * 19), "19 rows in 19 clusters"),
        (column(FPR, [0.1] * 30), column(FPR, [0.1] * 30, unscored=2), "2 of 32 rows of the adapter are unscored"),
        (column(FPR, [0.1] * 30, unscored=2), column(FPR, [0.1] * 30), "2 of 32 rows of the reference are unscored"),
        (column(FPR, []), column(FPR, []), "0 rows in 0 clusters"),
    ],
)
def test_too_few_scored_rows_are_not_comparable(before, after, reason):
    found = verdicts.compare(before, after, 0.05)
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert reason in found.reason


def test_one_unscored_row_in_twenty_is_allowed():
    found = verdicts.compare(column(FPR, [0.1] * 19 + [0.2]), column(FPR, [0.1] * 19 + [0.2], unscored=1), 0.05)
    assert found.verdict == Verdict.PASS


@pytest.mark.parametrize("margin", [0.0, -0.1, math.inf, math.nan])
def test_a_margin_is_a_positive_number(margin):
    with pytest.raises(InputError, match="margin of 'bias'"):
        verdicts.compare(column(BIAS, [1.0] * 20), column(BIAS, [1.0] * 20), margin)


def test_every_column_of_the_reference_needs_a_counterpart_and_a_margin():
    before = [column(FPR, [0.1] * 20, label="0"), column(FPR, [0.1] * 20, label="none")]
    assert len(verdicts.compare_all(before, before, {"fpr": 0.05})) == 2
    with pytest.raises(InputError, match="fpr at label 'none': in the reference, not among what was measured now"):
        verdicts.compare_all(before, before[:1], {"fpr": 0.05})
    with pytest.raises(InputError, match="fpr: the reference states no margin"):
        verdicts.compare_all(before, before, {"accuracy": 0.05})


@pytest.mark.parametrize(
    ("found", "verdict", "code"),
    [
        (["PASS", "PASS"], "PASS", 0),
        (["PASS", "IMPROVED"], "IMPROVED", 0),
        (["PASS", "NOT COMPARABLE", "IMPROVED"], "NOT COMPARABLE", 2),
        (["NOT COMPARABLE", "REGRESSED", "PASS"], "REGRESSED", 1),
        ([], "NOT COMPARABLE", 2),
    ],
)
def test_the_worst_verdict_counts(found, verdict, code):
    assert verdicts.worst(map(Verdict, found)) == verdict
    assert verdicts.exit_code(map(Verdict, found)) == code


def test_a_loss_as_large_as_the_margin_passes_once_in_forty():
    """The level of the decision, by simulation: 4,000 adapters whose true loss is the margin; 2.5% +- .75% pass."""
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(4000):
        drawn = rng.normal(0.05, 0.1, 40)
        interval = scipy_stats.ttest_1samp(drawn, 0).confidence_interval()
        after = column(ACCURACY, (0.9 - drawn).tolist())
        found = verdicts.compare(column(ACCURACY, [0.9] * 40), after, 0.05)
        assert found.high == pytest.approx(interval.high)
        passed += found.verdict in (Verdict.PASS, Verdict.IMPROVED)
    assert 0.0175 < passed / 4000 < 0.0325
