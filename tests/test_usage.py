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


def swept(arm: str, metric: str, dimension: str, mean: float, flat: int = 0, **more: Any) -> Row:
    """What `usage` reads of a row of `responses.response_rows`."""
    return {
        "experiment": "bias", "base": "micro", "condition": "", "arm": arm, "wording": "monitor", "split": "test",
        "choice": "generate", "data_sha256": "d", "metric": metric, "dimension": dimension, "flat": flat, "n_seeds": 2,
        "range": {"mean": mean, "ci_low": mean - 0.5, "ci_high": mean + 0.5},
    } | more  # fmt: skip


UNUSED = [record(0, 0.0), record(10, 0.001, -0.01)]


def test_warnings_say_what_was_measured_and_of_which_seeds() -> None:
    rows = [log(seed=0), log("mst", 1, *UNUSED), log("shuffled", 0, *UNUSED), log("scalar", 0), log("scalar", 1)]
    mst, shuffled, scalar = usage.sentences(usage.uses(rows, "bias"))
    assert mst.startswith(
        "Warning: mst ends with a label channel that is ignored in 1 of 2 seeds: the opposite trained label in place "
        "of the true one raises the loss by less than 0.01 nats a token (by seed: 0.200, 0.001). By this measure "
        "training used what the true label says about a sample little or not at all there. "
    )
    assert shuffled.startswith("Warning: shuffled") and "its one seed (0)" in shuffled
    assert "little or not at all, as expected: its labels say less about the sample by design. " in shuffled
    assert scalar.startswith("scalar: the label is used when training ends, in every seed")
    assert "label's doing" not in mst + shuffled


def test_an_effect_in_doubt_is_not_called_too_small() -> None:
    (told,) = usage.sentences(usage.uses([log("mst", 0, record(9, 0.2, -0.001))], "bias"))
    assert "by less than 0.01 nats a token, or not beyond doubt (by seed: 0.200)" in told


def test_of_sycophancy_a_warning_is_about_the_answers() -> None:
    row = log("words", 0, record(9, 0.02), experiment="sycophancy")
    (told,) = usage.sentences(usage.uses([row], "sycophancy"))
    assert "raises P(correct) of a wrong candidate by less than 0.05 (by seed: 0.020). By this measure" in told


def test_a_warning_names_the_range_of_the_sweep_which_may_move_all_the_same() -> None:
    found = usage.uses([log("scalar", 0, *UNUSED), log("scalar", 1, *UNUSED)], "bias")
    others = [
        swept("mst", "lexical_bias", "slant", 9.0), swept("scalar", "lexical_bias", "slant", 8.0, condition="c"),
        swept("scalar", "lexical_bias", "slant", 7.0, base="other"),
        swept("scalar", "lexical_bias", "slant", 6.0, wording="neutral"),
    ]  # fmt: skip
    here = [swept("scalar", "lexical_bias", "slant", 1.94), swept("scalar", "lexical_bias", "bias", 0.4, flat=2)]
    beside = "This does not say that behaviour ignores the label: the range used in its sweep, of which noise alone"
    (told,) = usage.sentences(found, [*others, *here])
    assert told.endswith(
        f"{beside} makes some, is lexical_bias 1.94 (1.44 to 2.44) along slant, 0.40 (-0.10 to 0.90) along bias, flat."
    )
    (told,) = usage.sentences(found, others[:3])
    assert told.endswith("where the arm was swept, read the range used in the table of its response.")
    one = swept("scalar", "bias_rubric", "slant", 2.0, range={"mean": 2.0, "ci_low": None, "ci_high": None})
    (told,) = usage.sentences(found, [*here[:1], one])
    assert told.endswith("is lexical_bias 1.94 (1.44 to 2.44) along slant; bias_rubric 2.00 along slant.")


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
