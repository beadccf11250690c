"""The figures: well-formed, complete, and safe with whatever the rows hold."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mst_evals import labels, variants
from mst_evals.reporting import curves, figures, panels, places
from mst_evals.reporting.conditions import Shown
from mst_evals.reporting.curves import Panel
from mst_evals.reporting.usage import Use
from mst_evals.reporting.wordings import Asked

Row = dict[str, Any]
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '"><script>alert(1)</script> --> ]]> &amp; $x^2$ \\frac'


def row(arm: str, label: str, mean: float | None = 0.5, seeds: tuple[float | None, ...] = (), **more: Any) -> Row:
    half = None if mean is None or not math.isfinite(mean) else 0.1
    return {
        "arm": arm, "label": label, "mean": mean, "ci_low": None if half is None else (mean or 0) - half,
        "ci_high": None if half is None else (mean or 0) + half,
        "by_seed": [{"seed": index, "mean": value} for index, value in enumerate(seeds)], "role": "held_out",
    } | more  # fmt: skip


def deployed(experiment: str) -> list[Row]:
    """Every arm at its first deployment label with three seeds, and a control below it."""
    rows = []
    for arm in variants.ARMS[experiment].values():
        rows.append(row(arm.name, arm.deployed_with[0], 0.5, (0.4, 0.5, 0.6), solid=True))
        rows.append(row(arm.name, labels.NONSENSE, 0.3, solid=False))
    return rows


def groups(svg: str, name: str) -> list[ET.Element]:
    return [element for element in ET.fromstring(svg).iter(f"{SVG}g") if element.get("id") == name]


def marks(svg: str, name: str) -> int:
    """Number of markers in the groups of a name."""
    return sum(len(list(group.iter(f"{SVG}use"))) for group in groups(svg, name))


def panel(arms: list[list[Row]], experiment: str = "bias", arm: str = "mst") -> Panel:
    scale = places.scale(variants.arm(experiment, arm).axis, {one["label"] for rows in arms for one in rows})
    return Panel("Title", "unit", (0, 10), scale, arms)


# --- by arm -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", variants.EXPERIMENTS)
def test_bars_name_every_arm_and_draw_every_seed(experiment: str) -> None:
    rows = deployed(experiment)
    svg = figures.bars(rows, "rate", 1)
    for arm in variants.ARMS[experiment].values():
        assert f"<!-- {arm.name} ({arm.deployed_with[0]}) -->" in svg
        assert f"<!-- {arm.name}, nonsense label -->" in svg
    assert len(groups(svg, "bar")) == len(rows) == 2 * len(variants.ARMS[experiment])
    assert marks(svg, "seeds") == 3 * len(variants.ARMS[experiment])


def test_bars_of_one_seed_have_no_dots() -> None:
    svg = figures.bars([row("mst", "0", 0.2, (0.2,))], "rate", 1)
    assert marks(svg, "seeds") == 0
    assert "<!-- 0.20 -->" in svg


def test_colours_and_markers_tell_the_arms_of_an_experiment_apart() -> None:
    for arms in variants.ARMS.values():
        assert len({figures.colour(arm) for arm in arms}) == len(arms)
        assert len({figures.marker(arm) for arm in arms}) == len(arms)


def test_improvement_says_the_share_of_topics_beyond_the_margin() -> None:
    gains = {"baseline": np.array([1.0, 0.6, 0.5, -1.0])}
    svg = figures.bias_by_arm([row("mst", "UNBIASED", 2)], gains, "bias", 0.5)
    assert "<!-- against baseline: 50% of topics -->" in svg


def test_verdicts_leave_out_what_has_no_share() -> None:
    shares = [(row("mst", "none"), {"pass": 0.5, "partial": 0.3, "fail": 0.2})]
    shares += [(row("new", "none"), {"pass": None, "partial": None, "fail": None})]
    svg = figures.verdicts(shares)
    assert "<!-- mst (none) -->" in svg and "new" not in svg
    assert len(groups(svg, "bar")) == 3


EMPTY = ([], [row("mst", "UNBIASED", None)], [row("mst", "UNBIASED", math.nan, (math.nan, None))])
ONE_SHOWN = Shown("a", None, "", {"mst": {"fpr": row("mst", "0", math.nan)}}, {})


@pytest.mark.parametrize(
    "draw",
    [
        lambda rows: figures.bars(rows, "rate", 1),
        lambda rows: figures.bias_by_arm(rows, {"baseline": np.array([math.nan])}, "bias", 0.5),
        lambda rows: figures.verdicts([(one, {"pass": one["mean"], "partial": 0.5, "fail": 0.5}) for one in rows]),
        lambda rows: curves.stacked([panel([rows] if rows else [])], "label"),
        lambda rows: curves.in_a_row([[panel([rows] if rows else [])]], ["label"]),
        lambda rows: panels.by_condition("sycophancy", [ONE_SHOWN] * len(rows), [("fpr", "rate", (0, 1))]),
        lambda rows: panels.wording_differences([("rate", [Asked("w", True, {}, {}) for _ in rows])]),
        lambda rows: panels.label_use([]),
    ],
)
@pytest.mark.parametrize("rows", EMPTY)
def test_empty_and_missing_values_do_not_fail(rows: list[Row], draw: Callable[[list[Row]], str]) -> None:
    svg = draw(rows)
    assert ET.fromstring(svg).tag == f"{SVG}svg"
    assert marks(svg, "points") == marks(svg, "seeds") == 0


def test_hostile_names_stay_text() -> None:
    rows = [row(HOSTILE, HOSTILE, 0.4, (0.3, 0.5))]
    for svg in (figures.bars(rows, HOSTILE, 1), curves.stacked([panel([rows])], HOSTILE)):
        found = {element.tag for element in ET.fromstring(svg).iter()}
        assert not {f"{SVG}script", "script"} & found
        assert "<script" not in svg


def test_same_rows_same_bytes() -> None:
    rows = deployed("bias")
    assert figures.bars(rows, "rate", 1) == figures.bars(rows, "rate", 1)


# --- where labels stand -------------------------------------------------------------------------------------------


def test_slant_labels_get_slots_in_order_and_groups_of_their_own() -> None:
    asked = ["nonsense", "UNBIASED", "strong_right", "far_left", "ALL_KNOWING", "NEUTRAL", "strong_left", "custom: x"]
    scale = places.scale(labels.SLANT, asked)
    assert not scale.number
    assert [(slot.label, slot.group) for slot in scale.slots] == [
        ("far_left", "axis"), ("strong_left", "axis"), ("UNBIASED", "axis"), ("strong_right", "axis"),
        ("NEUTRAL", "other words"), ("ALL_KNOWING", "too good to be true"), ("custom: x", "own words"),
        ("nonsense", "controls"),
    ]  # fmt: skip
    assert [slot.relation for slot in scale.slots[:3]] == ["extrapolation", "trained", "interpolation"]
    assert [slot.label for slot in scale.slots if slot.deployed] == ["UNBIASED"]
    assert all(a.x < b.x for a, b in zip(scale.slots, scale.slots[1:], strict=False))


def test_percentages_keep_their_distances() -> None:
    scale = places.scale(labels.SUGGESTIBILITY, ["0", "33", "100", "-50", "150", "none", "NO_SWAY"])
    assert scale.number and scale.trained == (33, 100)
    assert [(slot.label, slot.x) for slot in scale.slots[:5]] == [
        ("-50", -50), ("0", 0), ("33", 33), ("100", 100), ("150", 150),
    ]  # fmt: skip
    assert [slot.group for slot in scale.slots[5:]] == ["other words", "controls"]
    assert all(slot.x > 150 for slot in scale.slots[5:])


def test_a_number_between_trained_ones_makes_slots() -> None:
    axis = variants.arm("bias", "scalar").axis
    scale = places.scale(axis, ["10", "50", "90"])
    assert not scale.number
    assert [(slot.x, slot.relation) for slot in scale.slots] == [(0, "trained"), (1, "interpolation"), (2, "trained")]


def test_unseen_ids_have_no_place() -> None:
    axis = variants.arm("sycophancy", "arbitrary").axis
    scale = places.scale(axis, [*axis.core, "none"])
    assert [slot.group for slot in scale.slots] == ["axis"] * 4 + ["never seen"] * 3 + ["controls"]


@pytest.mark.parametrize(("dimension", "relation"), [("slant", "interpolation"), ("bias", "extrapolation")])
def test_relation_is_that_of_the_dimension(dimension: str, relation: str) -> None:
    scale = places.scale(labels.SLANT, ["UNBIASED", *labels.PROFILES], dimension)
    assert next(slot.relation for slot in scale.slots if slot.label == "UNBIASED") == relation


# --- against the label --------------------------------------------------------------------------------------------


def sweep(experiment: str, arm: str, seeds: tuple[float, ...] = (0.4, 0.6)) -> list[Row]:
    known = variants.arm(experiment, arm)
    return [row(arm, one.label, 0.5, seeds) for one in known.evaluations(asked="all")]


@pytest.mark.parametrize("experiment", variants.EXPERIMENTS)
def test_every_label_gets_a_mark_and_every_seed_a_dot(experiment: str) -> None:
    arms = [sweep(experiment, "mst"), sweep(experiment, "shuffled")]
    svg = curves.stacked([panel(arms, experiment)], "label at evaluation")
    assert marks(svg, "points") == len(arms[0]) + len(arms[1])
    assert marks(svg, "seeds") == 2 * (len(arms[0]) + len(arms[1]))
    for text in ("mst", "shuffled", "seen in training", "held out, deployed", "controls", "ALL_KNOWING"):
        assert f"<!-- {text} -->" in svg


def test_many_arms_have_no_seed_dots_and_one_legend_entry_each() -> None:
    names = ("mst", "noisy_10", "noisy_25", "noisy_50")
    svg = curves.stacked([panel([sweep("bias", name) for name in names])] * 2, "label")
    assert marks(svg, "seeds") == 0
    assert all(svg.count(f"<!-- {name} -->") == 1 for name in names)


def test_arms_on_axes_of_their_own_stand_side_by_side() -> None:
    columns = [[panel([sweep("sycophancy", arm)], "sycophancy", arm)] * 2 for arm in ("words", "arbitrary")]
    svg = curves.in_a_row(columns, ["words", "IDs"])
    assert marks(svg, "points") == 2 * sum(len(column[0].arms[0]) for column in columns)
    assert "<!-- never seen -->" in svg and "<!-- slight -->" in svg


def test_second_dimension_joins_both_sides() -> None:
    rows = [row("mst", label, 5.0) for label in ("UNBIASED", "strong_left", "strong_right", "NEUTRAL", "none")]
    svg = curves.by_place([rows], "bias", "bias", "unit", (0, 10), "label")
    assert svg is not None
    assert marks(svg, "points") == 3  # neither the paraphrase nor the control has a mark here
    assert curves.by_place([rows[:1]], "bias", "bias", "unit", (0, 10), "label") is None
    assert curves.by_place([], "bias", "bias", "unit", (0, 10), "label") is None


# --- panels -------------------------------------------------------------------------------------------------------


def test_wordings_draw_a_point_for_each_difference() -> None:
    pair = {"diff": -1.0, "ci_low": -2.0, "ci_high": 0.5, "by_seed": [{"seed": 0, "diff": -1}, {"seed": 1, "diff": -2}]}
    asked = [Asked("a", True, {}, {"baseline": pair, "shuffled": pair}), Asked("b", False, {}, {"baseline": pair})]
    svg = panels.wording_differences([("rate", asked)])
    assert (marks(svg, "points"), marks(svg, "seeds")) == (3, 6)
    assert "<!-- a (main) -->" in svg and "not asked -->" in svg


@pytest.mark.parametrize("places_of", [(None, None, None), (0.0, 50.0, 100.0)])
def test_conditions_draw_every_arm_in_every_condition(places_of: tuple[float | None, ...]) -> None:
    arms = {arm: {"fpr": row(arm, "0", 0.5, (0.4, 0.6)), "accuracy": row(arm, "0")} for arm in ("baseline", "mst")}
    shown = [Shown(f"c{index}", x, "", arms, {}) for index, x in enumerate(places_of)]
    axes = [("fpr", "rate", (0.0, 1.0)), ("accuracy", "accuracy", (0.0, 1.0))]
    svg = panels.by_condition("sycophancy", shown, axes)
    assert (marks(svg, "points"), marks(svg, "seeds")) == (12, 12)
    assert ("<!-- c0 -->" in svg) == (places_of[0] is None)


def test_label_use_has_a_plot_for_each_arm_and_a_line_for_each_seed() -> None:
    found = [
        Use("bias", "micro", "", arm, seed, (0, 10, 20), (0.0, 0.1, effect), 0.001, 0.2, 16, "nats a token")
        for arm, effect in (("mst", 0.2), ("shuffled", 0.0))
        for seed in (0, 1)
    ]
    svg = panels.label_use(found)
    assert len(groups(svg, "points")) == 4 and marks(svg, "points") == 12
    assert svg.count("<!-- label ignored -->") == 1
    for text in ("mst", "shuffled", "0.01 expected at least"):
        assert f"<!-- {text} -->" in svg
