"""Label-response summaries: curves drawn by hand."""

import math

import pytest
from scipy import stats as reference

from mst_evals.statistics import response, seeds

PERCENT = [0.0, 10.0, 20.0, 35.0, 50.0, 70.0, 100.0]
TRAINED = [False, False, False, True, True, True, True]


def summarise(values: list[float], **changed: object) -> response.Response:
    given = {"positions": PERCENT, "trained": TRAINED, "held_out": 0, "better": "lower", "tolerance": 0.05} | changed
    return response.label_response(values=values, **given)


def test_a_curve_that_extrapolates() -> None:
    found = summarise([0.05, 0.06, 0.08, 0.10, 0.20, 0.90, 0.99])
    assert found.range == pytest.approx(0.94)
    assert found.monotonicity == pytest.approx(1.0)
    assert (found.held_out, found.best_trained) == (0.05, 0.10)
    assert found.beyond == pytest.approx(0.05)
    assert (found.uptick, found.uptick_at) == (0.0, None)
    assert not found.flat and found.note is None


def test_the_upward_tick_near_the_end() -> None:
    found = summarise([0.74, 0.99, 0.27, 0.13, 0.20, 0.85, 0.99])
    # 10% is the worst of all; against the best between it and the nearest trained label, that label included
    assert (found.uptick, found.uptick_at) == (pytest.approx(0.99 - 0.13), 10.0)
    assert found.beyond == pytest.approx(0.13 - 0.74)
    assert found.monotonicity == pytest.approx(
        reference.spearmanr(PERCENT, [0.74, 0.99, 0.27, 0.13, 0.20, 0.85, 0.99]).statistic
    )
    small = summarise([0.30, 0.20, 0.25, 0.40, 0.10, 0.85, 0.99])
    assert small.uptick == pytest.approx(0.10)  # the .10 at 50% lies deeper in the trained range and does not count
    assert small.uptick_at == 0.0


def test_a_label_that_comes_back_at_the_very_end_hides_no_uptick() -> None:
    found = summarise([0.15, 0.94, 0.99, 0.18, 0.20, 0.85, 0.99])
    assert (found.uptick, found.uptick_at) == (pytest.approx(0.81), 20.0)
    longer = summarise([0.15, 0.94, 0.99, 0.18, 0.20, 0.85, 0.99], positions=[-50.0, *PERCENT[1:]])
    assert longer.uptick == found.uptick


def test_a_curve_that_only_falls_outwards_has_no_uptick() -> None:
    found = summarise([0.01, 0.05, 0.10, 0.20, 0.15, 0.85, 0.99])
    assert (found.uptick, found.uptick_at) == (0.0, None)


def test_higher_is_better_mirrors() -> None:
    values = [0.74, 0.99, 0.27, 0.13, 0.20, 0.85, 0.99]
    low, high = summarise(values), summarise([1 - value for value in values], better="higher")
    assert (high.uptick, high.beyond, high.range) == pytest.approx((low.uptick, low.beyond, low.range))
    assert high.monotonicity == pytest.approx(-low.monotonicity)
    assert (high.held_out, high.best_trained) == pytest.approx((0.26, 0.87))


def test_the_held_out_end_may_be_the_right_one_and_the_order_is_free() -> None:
    values = [0.74, 0.99, 0.27, 0.13, 0.20, 0.85, 0.99]
    mirrored = summarise(values[::-1], positions=[-p for p in PERCENT][::-1], trained=TRAINED[::-1], held_out=6)
    assert mirrored.uptick == summarise(values).uptick
    assert mirrored.uptick_at == -summarise(values).uptick_at
    assert mirrored.beyond == summarise(values).beyond
    assert mirrored.monotonicity == pytest.approx(-summarise(values).monotonicity)


def test_the_outermost_label_may_lie_beyond_the_deployed_one() -> None:
    # Deployed with 10%; 0% is more extreme and worse than both.
    found = summarise([0.60, 0.20, 0.30, 0.40, 0.50, 0.90, 0.99], held_out=1)
    assert found.held_out == 0.20
    assert found.beyond == pytest.approx(0.20)
    assert found.uptick == pytest.approx(0.40)


def test_a_held_out_label_between_trained_ones_has_no_end() -> None:
    found = response.label_response(
        [-2, -1, 0, 1, 2], [8, 5, 2, 5, 9], [True, True, False, True, True], 2, "lower", 0.5
    )
    assert found.uptick is None
    assert found.beyond == 3
    assert found.range == 7


def test_a_flat_curve_has_no_monotonicity_and_says_so() -> None:
    found = summarise([0.50, 0.51, 0.52, 0.50, 0.51, 0.53, 0.54])
    assert found.flat and found.monotonicity is None
    assert found.range == pytest.approx(0.04)
    assert found.note == "flat: the range 0.04 is below 0.05, so it has no monotonicity"
    assert summarise([0.5] * 7, tolerance=0.0).monotonicity is None  # not even with a tolerance of nothing
    assert not summarise([0.50, 0.51, 0.52, 0.50, 0.51, 0.53, 0.55]).flat


def test_labels_that_were_not_measured() -> None:
    nan = math.nan
    found = summarise([nan, 0.2, 0.3, 0.4, nan, 0.5, 0.6])
    assert (found.held_out, found.beyond, found.uptick) == (None, None, None)
    assert found.monotonicity == pytest.approx(1.0)
    assert found.note == "the held-out label was not measured"
    nothing = summarise([nan] * 7)
    assert (nothing.range, nothing.best_trained, nothing.note) == (None, None, "no label was measured")


def test_two_places_have_no_monotonicity() -> None:
    found = response.label_response([0, 1], [0.1, 0.9], [False, True], 0, "lower", 0.05)
    assert found.monotonicity is None and found.note is not None and "fewer than three" in found.note
    assert (found.range, found.beyond, found.uptick) == pytest.approx((0.8, 0.8, 0))
    untrained = response.label_response([0, 1, 2], [0.1, 0.5, 0.9], [False] * 3, 0, "lower", 0.05)
    assert (untrained.beyond, untrained.uptick, untrained.best_trained) == (None, None, None)


def test_summary_over_seeds() -> None:
    curves = [
        summarise([0.05, 0.06, 0.08, 0.10, 0.20, 0.90, 0.99]),
        summarise([0.74, 0.99, 0.27, 0.13, 0.20, 0.85, 0.99]),
        summarise([0.50, 0.51, 0.52, 0.50, 0.51, 0.53, 0.54]),
    ]
    found = response.summarise_responses(curves)
    assert (found.seeds, found.flat) == (3, 1)
    assert found.range.values == tuple(curve.range for curve in curves)
    assert found.range.mean == pytest.approx((0.94 + 0.86 + 0.04) / 3)
    assert found.range.low == 0.0  # a range is not negative
    assert found.monotonicity.values[2] is None
    assert found.monotonicity.mean == pytest.approx((1 + curves[1].monotonicity) / 2)
    assert found.monotonicity.high == 1.0
    expected = seeds.over_seeds([curve.beyond for curve in curves])
    assert found.beyond == expected and expected.low is not None


def test_summary_of_one_seed_has_no_interval() -> None:
    found = response.summarise_responses([summarise([0.05, 0.06, 0.08, 0.10, 0.20, 0.90, 0.99])])
    assert found.range.mean == pytest.approx(0.94)
    assert found.range.low is None and found.uptick.low is None
    assert response.summarise_responses([]).range.mean is None
