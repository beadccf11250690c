"""The conditions of a study: their order, their curve, their tables and sentences."""

from typing import Any

import pytest

from mst_evals.reporting import conditions
from mst_evals.reporting.conditions import Part
from mst_evals.studies.study import Condition, Study

Row = dict[str, Any]


def arm(name: str, label: str, mean: float | None, metric: str = "fpr") -> Row:
    return {
        "arm": name, "label": label, "metric": metric, "mean": mean, "ci_low": None, "ci_high": None,
        "by_seed": [{"seed": 3, "mean": mean}],
    }  # fmt: skip


def pair(diff: float, low: float | None, high: float | None) -> Row:
    return {
        "metric": "fpr", "arm_a": "mst", "label_a": "0", "arm_b": "shuffled", "label_b": "0", "diff": diff,
        "ci_low": low, "ci_high": high,
    }  # fmt: skip


def part(condition: str, mean: float | None = 0.5, base: str = "micro", pairs: tuple[Row, ...] = ()) -> Part:
    rows = [arm("mst", "0", mean), arm("mst", "33", 0.9), arm("baseline", "none", 0.7), arm("baseline", "0", 0.1)]
    return Part(condition, base, rows, pairs)


def study(*given: Condition) -> Study:
    return Study(
        name="s", experiment="sycophancy", config="c.yaml", base="b", seeds=[0], arms={"mst": {}},
        conditions=list(given),
    )  # fmt: skip


def names(found: list[conditions.Shown]) -> list[str]:
    return [one.name for one in found]


def shown(parts: list[Part], given: Study | None = None) -> list[conditions.Shown]:
    return conditions.shown("sycophancy", "0", parts, ["fpr"], given)


def test_order_is_that_of_the_study_else_of_the_names() -> None:
    parts = [part("b"), part("a"), part("c"), part("")]
    assert names(shown(parts)) == ["no condition", "a", "b", "c"]
    assert names(shown(parts, study(Condition(name="c"), Condition(name="a")))) == ["c", "a", "no condition", "b"]


def test_one_name_on_two_bases_is_told_apart() -> None:
    assert names(shown([part("a", base="x"), part("a", base="y"), part("b")])) == ["a, x", "a, y", "b"]


@pytest.mark.parametrize(
    ("xs", "curve"), [((10, 30), True), ((10, None), False), ((10, 10), False), ((None, None), False)]
)
def test_a_curve_needs_a_place_for_every_condition(xs: tuple[float | None, ...], curve: bool) -> None:
    given = study(*(Condition(name=name, x=x) for name, x in zip("ab", xs, strict=True)))
    assert conditions.is_curve(shown([part("a"), part("b")], given)) == curve


def test_points_lie_at_the_places_of_the_study_sorted_and_without_gaps() -> None:
    given = study(*(Condition(name=name, x=x) for name, x in (("a", 30.0), ("b", 10.0), ("c", 20.0))))
    found = shown([part("a", 0.3), part("b", 0.1), part("c", None)], given)
    points = [(x, row["mean"]) for x, row in conditions.points(found, "mst", "fpr")]
    assert points == [(10.0, 0.1), (30.0, 0.3)]  # at the label of deployment
    assert [row["mean"] for _, row in conditions.points(found, "baseline", "fpr")] == [0.7] * 3
    assert conditions.points(found, "shuffled", "fpr") == []


def test_points_of_a_list_are_numbered() -> None:
    assert [x for x, _ in conditions.points(shown([part("b"), part("a")]), "mst", "fpr")] == [0.0, 1.0]


def test_tables() -> None:
    given = study(Condition(name="a", x=1.0, about="one"), Condition(name="b", x=2.0))
    found = shown([part("b"), part("a", pairs=(pair(-0.2, -0.3, -0.1),))], given)
    arms = conditions.arm_table("sycophancy", found, ["fpr"])
    assert arms.header == ("condition", "x", "arm (label)", "fpr", "95% interval", "fpr by seed")
    assert arms.rows[0] == ("a", "1", "baseline (none)", "0.70", "no interval", "3:\u00a00.70")
    assert len(arms.rows) == 4
    pairs = conditions.difference_table(found, ["fpr"])
    assert pairs is not None
    assert pairs.rows == (("a", "1", "fpr", "–", "–", "-0.20", "-0.30 to -0.10"),)
    assert conditions.difference_table(shown([part("a")]), ["fpr"]) is None
    assert conditions.abouts(found) == ["a: one"]


def test_sentences_count_the_intervals_that_exclude_zero() -> None:
    parts = [
        part("a", pairs=(pair(-0.2, -0.3, -0.1),)), part("b", pairs=(pair(-0.2, -0.5, 0.1),)),
        part("c", pairs=(pair(0.2, 0.1, 0.3),)), part("d", pairs=(pair(-0.2, None, None),)), part("e"),
    ]  # fmt: skip
    (sentence,) = conditions.sentences(shown(parts), ["fpr"])
    assert "mst against shuffled" in sentence and "in 4 conditions" in sentence
    assert sentence.endswith("mst lies below it in 1 (a) and above it in 1 (c).")
