"""The response to the label: per seed along each dimension, then over seeds."""

from typing import Any

import numpy as np
import pytest
import synthetic as sy

from mst_evals.reporting import matrices, responses
from mst_evals.reporting.results import Block
from mst_evals.statistics import seeds

ROWS = 8


def flat_rows(level: Any) -> np.ndarray:
    """Values of a cell, shape (S, 8): each seed's level, with a spread over rows that averages out."""
    return np.asarray(level, dtype=float)[:, None] + np.linspace(-0.04, 0.04, ROWS)


def curve(arm: str, levels: dict[str, list[float]], experiment: str = "bias") -> Block:
    return sy.block(*(sy.cell(experiment, arm, name, flat_rows(values)) for name, values in levels.items()))


def one(block: Block, dimension: str, arm: str = "mst", metric: str | None = None) -> dict[str, Any]:
    wanted = metric or block.primary[0].name
    (row,) = [
        row
        for row in responses.response_rows(block)
        if (row["arm"], row["dimension"], row["metric"]) == (arm, dimension, wanted)
    ]
    return row


SLANT = {
    "strong_left": [6.0, 7.0], "center_left": [3.0, 4.0], "center_right": [4.0, 4.0], "strong_right": [8.0, 7.0],
    "UNBIASED": [2.0, 2.5], "center": [2.9, 2.9], "slight_left": [2.5, 3.0], "slight_right": [2.7, 3.0],
    "NEUTRAL": [9.0, 9.0], "ALL_KNOWING": [9.0, 9.0], "none": [9.0, 9.0],
}  # fmt: skip


def test_labels_at_one_place_of_a_dimension_are_averaged() -> None:
    row = one(curve("mst", SLANT), "bias")
    # Bias 0: UNBIASED alone; 0.5: both slight ones; 1: both center ones; 2: both strong ones. Controls stay out.
    assert [(place["place"], place["labels"], place["relation"]) for place in row["places"]] == [
        (0.0, ["UNBIASED"], "extrapolation"), (0.5, ["slight_left", "slight_right"], "extrapolation"),
        (1.0, ["center_left", "center_right"], "trained"), (2.0, ["strong_left", "strong_right"], "trained"),
    ]  # fmt: skip
    assert row["left_out"] == ["center"]
    assert [place["mean"] for place in row["places"]] == pytest.approx([2.25, 2.8, 3.75, 7.0])
    assert [each["value"] for each in row["range"]["by_seed"]] == pytest.approx([5.0, 4.5])  # 7 - 2, 7 - 2.5
    assert [each["value"] for each in row["beyond"]["by_seed"]] == pytest.approx([1.5, 1.5])  # 3.5 - 2, 4 - 2.5
    assert [each["value"] for each in row["monotonicity"]["by_seed"]] == [1.0, 1.0]
    assert [each["value"] for each in row["uptick"]["by_seed"]] == [0.0, 0.0]
    expected = seeds.over_seeds([5.0, 4.5])
    assert (row["range"]["mean"], row["range"]["ci_high"]) == pytest.approx((expected.mean, expected.high))
    assert (row["held_out"], row["held_out_relation"], row["flat"], row["n_seeds"]) == (
        "UNBIASED", "extrapolation", 0, 2,
    )  # fmt: skip


def test_the_table_names_the_place_of_an_uptick_as_it_is_and_the_label_that_is_left_out() -> None:
    row = one(curve("mst", SLANT | {"slight_left": [5.0, 5.5], "slight_right": [5.0, 5.5]}), "bias")
    assert [each["uptick_at"] for each in row["each"]] == [0.5, 0.5]
    table = responses.response_table([row])
    assert table.rows[0][7].endswith("; at 0.5, 0.5")
    assert table.caption.endswith("where the held-out label does: center.")
    other = one(curve("mst", {name: values for name, values in SLANT.items() if name != "center"}), "bias")
    assert responses.response_table([other]).caption.endswith("Labels at one place are averaged.")


def test_the_same_label_interpolates_on_the_other_dimension() -> None:
    row = one(curve("mst", SLANT), "slant")
    assert row["held_out_relation"] == "interpolation"
    assert [place["place"] for place in row["places"]] == [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]
    assert row["uptick"]["mean"] is None  # nothing is extrapolated there
    assert [place["relation"] for place in row["places"] if place["labels"] == ["slight_left"]] == ["interpolation"]
    assert [point["label"] for point in row["against_best_trained"]] == ["UNBIASED"]


@pytest.mark.parametrize(
    ("left_out", "compared"), [((), ["UNBIASED"]), (("center_left",), []), (("strong_left",), ["UNBIASED"])]
)
def test_between_trained_labels_the_best_is_looked_for_only_where_both_neighbours_were_asked(
    left_out: tuple[str, ...], compared: list[str]
) -> None:
    """A sweep of the strong labels alone cannot say what the best trained label does."""
    asked = {name: values for name, values in SLANT.items() if name not in (*left_out, "slight_left", "slight_right")}
    row = one(curve("mst", asked), "slant")
    assert [point["label"] for point in row["against_best_trained"]] == compared


def test_every_held_out_place_against_the_best_trained_over_seeds_and_rows() -> None:
    block = curve("mst", SLANT)
    near, end = one(block, "bias")["against_best_trained"]
    assert (near["label"], end["label"], end["best_trained"]) == (
        "slight_left, slight_right", "UNBIASED", ["center_left", "center_right"],
    )  # fmt: skip
    best = (flat_rows(SLANT["center_left"]) + flat_rows(SLANT["center_right"])) / 2
    expected = seeds.seeds_and_rows_difference(flat_rows(SLANT["UNBIASED"]), best, range(ROWS))
    assert end["worse_by"] == pytest.approx(expected.interval.mean) == pytest.approx(-1.5)
    assert end["over_seeds"]["reason"] == "values do not vary" == expected.reason
    assert near["interval"] == matrices.SEEDS_AND_ROWS and near["seeds"] == [0, 1]
    slight = (flat_rows(SLANT["slight_left"]) + flat_rows(SLANT["slight_right"])) / 2
    both = seeds.seeds_and_rows_difference(slight, best, range(ROWS)).interval
    assert (near["ci_low"], near["ci_high"]) == pytest.approx((both.low, both.high))
    left, right = near["each_label"]  # 2.5, 3 and 2.7, 3 against 3.5, 4: the best place, whichever side
    assert (left["label"], right["label"], end["each_label"]) == ("slight_left", "slight_right", [])
    assert (left["worse_by"], right["worse_by"]) == pytest.approx((-1.0, -0.9))
    alone = seeds.seeds_and_rows_difference(flat_rows(SLANT["slight_right"]), best, range(ROWS)).interval
    assert (right["ci_low"], right["ci_high"]) == pytest.approx((alone.low, alone.high))


PERCENT = {
    "-10": [0.30, 0.50], "0": [0.30, 0.40], "10": [0.05, 0.05], "20": [0.20, 0.20], "33": [0.25, 0.25],
    "60": [0.30, 0.30], "75": [0.90, 0.80], "100": [0.95, 0.95], "NO_SWAY": [0.9, 0.9], "nonsense": [0.9, 0.9],
}  # fmt: skip


def test_an_uptick_near_the_end_and_the_whole_held_out_range() -> None:
    row = one(curve("mst", PERCENT, "sycophancy"), "suggestibility")
    assert [each["value"] for each in row["uptick"]["by_seed"]] == pytest.approx([0.25, 0.45])  # against 10
    assert [each["uptick_at"] for each in row["each"]] == [0.0, -10.0]  # the nearest of equals
    (line,) = (line for line in responses.response_table([row]).rows)
    assert "0.35 (0.00 to 1.62); at 0, -10" in line
    assert [each["value"] for each in row["beyond"]["by_seed"]] == pytest.approx([-0.05, -0.15])
    assert [point["label"] for point in row["against_best_trained"]] == ["20", "10", "0", "-10"]
    assert [point["worse_by"] for point in row["against_best_trained"]] == pytest.approx([-0.05, -0.2, 0.1, 0.15])
    assert [each["value"] for each in row["range"]["by_seed"]] == pytest.approx([0.9, 0.9])
    relations = {name: place["relation"] for place in row["places"] for name in place["labels"]}
    assert (relations["0"], relations["33"], relations["100"]) == ("extrapolation", "trained", "trained")


def test_accuracy_is_better_when_higher() -> None:
    # Over wrong candidates accuracy is 1 - P(correct): here the numbers of PERCENT themselves.
    levels = {name: [1 - value for value in values] for name, values in PERCENT.items()}
    row = one(curve("mst", levels, "sycophancy"), "suggestibility", metric="accuracy")
    assert row["better"] == "higher"
    assert [each["value"] for each in row["beyond"]["by_seed"]] == pytest.approx([0.30 - 0.95, 0.40 - 0.95])
    end = row["against_best_trained"][-1]
    assert (end["best_trained"], end["label"], end["worse_by"]) == (["100"], "-10", pytest.approx(0.95 - 0.40))


def test_a_flat_curve_says_so_and_has_no_monotonicity() -> None:
    flat = {name: [0.50 + 0.001 * index, 0.51] for index, name in enumerate(("0", "33", "50", "75"))}
    row = one(curve("shuffled", flat, "sycophancy"), "suggestibility", "shuffled")
    assert (row["flat"], row["n_seeds"], row["monotonicity"]["mean"]) == (2, 2, None)
    assert all(note.startswith("flat: the range") for note in row["notes"])
    table = responses.response_table([row])
    assert dict(zip(table.header, table.rows[0], strict=True))["monotonicity"] == "flat in 2 of 2"


def test_a_label_without_a_place_extrapolates_nothing() -> None:
    levels = {
        "KHC": [6.0, 6.5],
        "LMS": [3.0, 3.5],
        "WDB": [3.1, 3.0],
        "VTP": [6.0, 6.0],
        "FRN": [4.0, 4.5],
        "YGZ": [5, 5],
    }
    block = curve("arbitrary", levels)
    row = one(block, "slant", "arbitrary")
    assert (row["axis"], row["held_out"], row["held_out_relation"]) == ("slant_id", "FRN", "unplaced")
    assert row["unplaced"] == ["FRN", "YGZ"]
    assert [place["labels"] for place in row["places"]] == [["KHC"], ["LMS"], ["WDB"], ["VTP"]]
    assert [each["value"] for each in row["beyond"]["by_seed"]] == pytest.approx([-1.0, -1.5])  # 3 - 4, 3 - 4.5
    assert (row["uptick"]["mean"], row["notes"]) == (None, [responses.NO_PLACE])
    (point,) = row["against_best_trained"]
    assert (point["label"], point["best_trained"], point["worse_by"]) == ("FRN", ["WDB"], pytest.approx(4.25 - 3.05))
    assert not [row for row in responses.response_rows(block) if row["dimension"] == "bias"]  # two places are no curve


def test_other_encodings_have_their_own_held_out_label() -> None:
    levels = {"zero": [0.1, 0.1], "slight": [0.1, 0.2], "low": [0.2, 0.2], "medium": [0.3, 0.3], "total": [0.9, 0.9]}
    row = one(curve("words", levels, "sycophancy"), "suggestibility", "words")
    assert (row["axis"], row["held_out"], row["held_out_relation"]) == ("suggestibility_word", "zero", "extrapolation")
    assert row["beyond"]["mean"] == pytest.approx(0.1)


def test_one_seed_has_values_and_no_interval() -> None:
    row = one(curve("mst", {name: values[:1] for name, values in SLANT.items()}), "bias")
    assert (row["range"]["mean"], row["range"]["ci_low"], row["seeds"]) == (pytest.approx(5.0), None, [0])
    assert {point["interval"] for point in row["against_best_trained"]} == {"rows"}
    cells = dict(zip(responses.response_table([row]).header, responses.response_table([row]).rows[0], strict=True))
    assert (cells["range used"], cells["extrapolation"]) == ("5.00", "UNBIASED, slight_left, slight_right")


def test_a_seed_without_a_label_leaves_the_place_out() -> None:
    levels = {
        name: np.array(values) for name, values in SLANT.items() if name in ("strong_left", "center_left", "UNBIASED")
    }
    cells = [sy.cell("bias", "mst", name, flat_rows(values)) for name, values in levels.items()]
    cells[1] = sy.cell("bias", "mst", "center_left", flat_rows([3.0]))  # seed 0 alone
    row = one(sy.block(*cells), "bias")
    assert [each["value"] for each in row["beyond"]["by_seed"]] == pytest.approx([1.0, 4.5])  # 3 - 2; 7 - 2.5
    assert [each["value"] for each in row["monotonicity"]["by_seed"]] == [1.0, None]


def test_arms_that_were_not_swept_and_articles_from_elsewhere_give_nothing() -> None:
    assert responses.response_rows(curve("mst", {"UNBIASED": [2.0, 2.5], "none": [3.0, 3.0]})) == []
    existing = sy.cell("bias", "ootb", "none", np.full(4, 3.0), choice="existing", wording="")
    assert responses.response_rows(sy.block(existing)) == []
    table = responses.response_table(responses.response_rows(curve("mst", SLANT)))
    assert len(table.rows) == 2 and {len(line) for line in table.rows} == {len(table.header)}
