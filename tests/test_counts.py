"""Exact tests on counts: against hand-computed values and statsmodels."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from mst_evals.statistics import counts, stats


def test_signs_by_hand() -> None:
    # a lower by 1, 1, 0.5, 0, higher by 2: with a margin of 0.5 the third is a tie.
    a, b = [1.0, 2.0, 3.0, 4.0, 7.0], [2.0, 3.0, 3.5, 4.0, 5.0]
    found = counts.signs(a, b, "lower", 0.5)
    assert found.outcomes == stats.Outcomes(2, 2, 1)
    assert found.p == 1.0  # 2 against 1
    assert found.win_rate == stats.wilson(2, 5)  # ties count as non-wins
    assert counts.signs(a, b, "lower").outcomes == stats.Outcomes(3, 1, 1)
    assert counts.signs(a, b, "higher").outcomes == stats.Outcomes(1, 1, 3)


def test_a_cluster_has_one_vote() -> None:
    a, b = [0.0, 0.0, 0.0, 5.0, 1.0], [1.0, 1.0, 1.0, 1.0, 2.0]
    found = counts.signs(a, b, "lower", clusters="xxxxy")
    # x: mean 1.25 against 1, a loss although three of its four rows are wins; y: a win.
    assert found.outcomes == stats.Outcomes(1, 0, 1)
    assert found.win_rate.n == 2


def test_signs_of_nothing_and_of_ties() -> None:
    nothing = counts.signs([], [], "lower", clusters=[])
    assert (nothing.outcomes, nothing.p, nothing.win_rate.mean) == (stats.Outcomes(0, 0, 0), None, None)
    ties = counts.signs([1.0, 2.0], [1.0, 2.0], "lower")
    assert ties.p is None
    assert ties.win_rate == stats.wilson(0, 2)


def test_grades_by_hand() -> None:
    a = ["PASS", "PASS", "PARTIAL", "PARTIAL", "FAIL", "PASS", "PASS"]
    b = ["FAIL", "PARTIAL", "FAIL", "PARTIAL", "FAIL", "FAIL", "PARTIAL"]
    found = counts.grade_signs(a, b)
    assert found.outcomes == stats.Outcomes(5, 2, 0)
    assert found.p == pytest.approx(0.0625)  # 2 / 2^5
    assert counts.grade_signs(b, a).outcomes == stats.Outcomes(0, 2, 5)


def test_grades_of_a_cluster_go_to_the_side_that_wins_more_rows() -> None:
    a, b = ["PASS", "PARTIAL", "FAIL", "PASS"], ["FAIL", "FAIL", "PASS", "PASS"]
    assert counts.grade_signs(a, b, clusters="xxxy").outcomes == stats.Outcomes(1, 1, 0)


def test_unknown_grade() -> None:
    with pytest.raises(ValueError, match=r"unknown grades \['MAYBE'\]: expected FAIL, PARTIAL, PASS"):
        counts.grade_signs(["PASS"], ["MAYBE"])


def test_mcnemar_by_hand() -> None:
    a, b = [1, 1, 1, 1, 1, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1, 0, 1]
    # 6 against 1: two-sided p = 2 * (1 + 7) / 2^7.
    assert counts.mcnemar(a, b) == counts.McNemar(1, 6, 1, 1, 0.125)


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_is_statsmodels(seed: int) -> None:
    a, b = (np.random.default_rng(seed).random((2, 60)) < [[0.5], [0.7]]).astype(float)
    found = counts.mcnemar(a, b)
    table = [[found.both, found.only_a], [found.only_b, found.neither]]
    assert sum(map(sum, table)) == 60
    assert found.p == pytest.approx(reference_mcnemar(table, exact=True).pvalue)


def test_mcnemar_without_a_difference_and_without_rows() -> None:
    assert counts.mcnemar([1, 0], [1, 0]).p is None
    assert counts.mcnemar([], []).p is None


def test_mcnemar_refuses_what_is_no_yes_or_no() -> None:
    with pytest.raises(ValueError, match="0 and 1"):
        counts.mcnemar([0.5, 1.0], [0.0, 1.0])
