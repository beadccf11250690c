"""Is the label used? Read from provenance, judged against a threshold, told as a warning."""

from typing import Any

import pytest

from mst_evals import labels
from mst_evals.reporting import usage

Row = dict[str, Any]


def record(step: int, effect: float | None, low: float | None = 0.01, high: float | None = 0.5) -> Row:
    return {
        "step": step, "label_use/effect": effect, "label_use/low": low, "label_use/high": high, "label_use/rows": 16,
        "label_use/unit": "nats a token",
    }  # fmt: skip


def log(arm: str = "mst", seed: int | None = 0, *records: Row, **more: Any) -> Row:
    return {
        "arm": arm, "seed": seed, "experiment": "bias", "base": "micro", "base_sha256": "b", "condition": "",
        "used": True, "label_use": list(records) or [record(0, 0.0), record(10, 0.2)],
    } | more  # fmt: skip


def test_every_experiment_says_what_the_probe_measures() -> None:
    assert set(usage.WHAT) == set(labels.LEAST_USE)


def test_one_entry_for_each_training_however_often_it_was_asked() -> None:
    found = usage.uses([log(), log(), log(seed=1), log("shuffled"), log(condition="c")], "bias")
    assert [(use.arm, use.seed, use.condition) for use in found] == [
        ("mst", 0, ""), ("mst", 1, ""), ("shuffled", 0, ""), ("mst", 0, "c"),
    ]  # fmt: skip
    assert (found[0].steps, found[0].effects, found[0].rows) == ((0, 10), (0.0, 0.2), 16)
    ordered = usage.uses([log(condition=name) for name in ("a", "b", "")], "bias", ["b", "a"])
    assert [use.condition for use in ordered] == ["b", "a", ""]


@pytest.mark.parametrize(
    "row",
    [
        log(used=False), log(seed=None), log(experiment="sycophancy"), log(label_use=[]), log(label_use=None),
        {"log": "x", "used": False}, log("mst", 0, record(0, None)),
    ],
)  # fmt: skip
def test_what_was_not_probed_has_no_entry(row: Row) -> None:
    assert usage.uses([row], "bias") == []


@pytest.mark.parametrize(
    ("last", "ignored"),
    [
        (record(9, 0.2), False), (record(9, 0.01, 0.001), False), (record(9, 0.009), True),
        (record(9, 0.2, -0.001), True), (record(9, 0.2, 0.0), True), (record(9, 0.2, None, None), True),
        (record(9, -0.2, -0.3, -0.1), True),
    ],
)  # fmt: skip
def test_ignored_is_too_small_or_in_doubt_at_the_end(last: Row, ignored: bool) -> None:
    (use,) = usage.uses([log("mst", 0, record(0, 0.5), last)], "bias")
    assert use.ignored == ignored


def test_warnings_name_the_arm_the_seeds_and_what_follows() -> None:
    none = [record(0, 0.0), record(10, 0.001, -0.01)]
    rows = [log(seed=0), log("mst", 1, *none), log("shuffled", 0, *none), log("scalar", 0), log("scalar", 1)]
    mst, shuffled, scalar = usage.sentences(usage.uses(rows, "bias"))
    assert mst.startswith("Warning: mst ends with a label channel that is ignored in 1 of 2 seeds")
    assert "0.200, 0.001 nats a token; 0.01 or more expected" in mst and "is not the label's doing" in mst
    assert shuffled.startswith("Warning: shuffled") and "its one seed (0)" in shuffled and "by design" in shuffled
    assert scalar.startswith("scalar: the label is used when training ends, in every seed")


def test_names_tell_conditions_and_bases_apart_only_where_they_differ() -> None:
    assert usage.title(("m", "", "mst"), [("m", "", "mst"), ("m", "", "shuffled")]) == "mst"
    assert usage.title(("m", "a", "mst"), [("m", "a", "mst"), ("n", "b", "mst")]) == "mst, a"
    assert usage.title(("m", "", "mst"), [("m", "", "mst"), ("n", "", "mst")]) == "mst, m"


def test_arms_with_labels_and_no_probe_are_named() -> None:
    rows = [log(), log("shuffled", label_use=[]), log("baseline", label_use=[]), log("unknown", label_use=[])]
    assert usage.unprobed(rows, "bias") == ["shuffled"]


def test_table() -> None:
    found = usage.uses([log(), log("mst", 1, record(0, 0.0), record(5, 0.001, None, None))], "bias")
    rows = usage.table(found).rows
    assert rows[0] == ("mst", "0", "10", "0.000", "0.200", "0.010 to 0.500", "16", "used")
    assert rows[1] == ("mst", "1", "5", "0.000", "0.001", "–", "16", "ignored")
