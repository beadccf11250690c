"""Whether a difference survives other wordings, told from the numbers."""

from typing import Any

import pytest

from mst_evals import prompts
from mst_evals.reporting.wordings import Asked, by_wording, difference, table, verdict

Row = dict[str, Any]
HELD_OUT = "UNBIASED"


def pair(diff: float | None, low: float | None, high: float | None, against: str = "baseline", **more: Any) -> Row:
    label = "none" if against == "baseline" else HELD_OUT
    return {
        "metric": "bias", "arm_a": "mst", "label_a": HELD_OUT, "arm_b": against, "label_b": label, "diff": diff,
        "ci_low": low, "ci_high": high, "by_seed": [{"seed": 0, "diff": diff}],
    } | more  # fmt: skip


def asked(*rows: Row) -> list[Asked]:
    """One wording for each row, the first one main."""
    return [Asked(f"w{index}", index == 0, {}, {"baseline": row}) for index, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "status", "told"),
    [
        ([pair(-2, -3, -1), pair(-1, -2, -0.1)], "survives", "survives every wording: below zero"),
        ([pair(2, 1, 3), pair(1, 0.1, 2)], "survives", "above zero with its interval in all 2"),
        ([pair(-2, -3, -1), pair(-1, -2, 0.1)], "does not survive", "not in: w1 -1.00 (-2.00 to 0.10)"),
        ([pair(-2, -3, -1), pair(-1, -2, -0.5), pair(1, 0.5, 2)], "does not survive", "in 2 of 3 wordings, not in: w2"),
        ([pair(-2, -3, -1), pair(-1, None, None)], "cannot say", "sign is the same in every wording, but"),
        ([pair(-2, -3, -1), pair(1, None, None)], "does not survive", "not in: w1 1.00 (no interval)"),
        ([pair(-2, -5, 1), pair(-1, -2, -0.5)], "cannot say", "nothing to survive, the interval of the main wording"),
        ([pair(-2, -5, 1), pair(1, -2, 3)], "cannot say", "the sign is not the same in all of them"),
        ([pair(-2, None, None), pair(-1, -2, -0.5)], "cannot say", "(no interval) does not exclude zero"),
        ([pair(-2, -3, -1)], "cannot say", "cannot say, this comparison was made in 1 of 1 wordings"),
        ([], "cannot say", "in 0 of 0 wordings"),
    ],
)  # fmt: skip
def test_verdict(rows: list[Row], status: str, told: str) -> None:
    found = verdict(asked(*rows), "baseline", "bias", HELD_OUT)
    assert found.status == status
    assert told in found.sentence
    assert found.sentence.startswith("bias: mst with label UNBIASED against baseline with no label")


def test_a_missing_main_wording_is_said() -> None:
    rows = [Asked("w0", True, {}, {}), *asked(pair(-2, -3, -1), pair(-1, -2, -0.5))[1:]]
    rows += [Asked("w2", False, {}, {"baseline": pair(-1, -2, -0.5)})]
    found = verdict(rows, "baseline", "bias", HELD_OUT)
    assert found.status == "cannot say" and "the main wording lacks this comparison" in found.sentence


def test_difference_is_found_either_way_round() -> None:
    turned = pair(-1, -3, None) | {"arm_a": "baseline", "label_a": "none", "arm_b": "mst", "label_b": HELD_OUT}
    found = difference([turned], "bias", "baseline", HELD_OUT)
    assert found is not None
    assert (found["diff"], found["ci_low"], found["ci_high"]) == (1, None, 3)
    assert found["by_seed"] == [{"seed": 0, "diff": 1}]
    assert difference([pair(-1, -3, 1)], "bias", "shuffled", HELD_OUT) is None


@pytest.mark.parametrize(
    "more",
    [
        {"metric": "other"}, {"diff": None}, {"label_b": "UNBIASED"}, {"wording_a": "monitor", "wording_b": "reporter"},
        {"condition_a": "a", "condition_b": "b"}, {"base_a": "x", "base_b": "y"},
    ],
)  # fmt: skip
def test_difference_takes_no_other_comparison(more: Row) -> None:
    assert difference([pair(-1, -3, 1) | more], "bias", "baseline", HELD_OUT) is None


def arm(name: str, label: str, mean: float, unscored: dict[str, int] | None = None) -> Row:
    lost = sum((unscored or {}).values())
    counts = {"n_scored": 10 - lost, "n_unscored": lost, "unscored_reasons": unscored or {}}
    return {"metric": "bias", "arm": name, "label": label, "mean": mean, **counts}


def test_table_has_a_line_for_each_wording_the_main_one_first() -> None:
    default = prompts.DEFAULT_WORDING["bias"]
    rows = [arm("baseline", "none", 5), arm("mst", HELD_OUT, 2), arm("mst", "none", 3), arm("mst", "center_left", 4)]
    parts = [
        ("neutral", [arm("mst", HELD_OUT, 2.5)], []),
        ("home-made", rows, [pair(-3, -4, -2)]),
        (default, rows, [pair(-3, -4, -2), pair(-1, -2, 0, "shuffled")]),
    ]
    found = by_wording("bias", HELD_OUT, parts, "bias")
    assert [(one.wording, one.main) for one in found] == [(default, True), ("neutral", False), ("home-made", False)]
    shown = table(found, "bias", HELD_OUT)
    assert shown.header[1:4] == ("baseline (none)", "mst (UNBIASED)", "mst (none)")  # and no label of the sweep
    assert shown.rows[0] == (
        f"{default} (main)", "5.00", "2.00", "3.00", "-3.00", "-4.00 to -2.00", "-1.00", "-2.00 to 0.00", "0 of 30",
    )  # fmt: skip
    assert shown.rows[1] == ("neutral", "–", "2.50", "–", "–", "–", "–", "–", "0 of 10")
    assert shown.header[-1] == "unscored" and {len(line) for line in shown.rows} == {len(shown.header)}


def test_no_reply_without_a_score_is_silent_in_the_table() -> None:
    rows = [
        arm("baseline", "none", 5), arm("mst", HELD_OUT, 2, {"refusal": 2, "too_short": 1}),
        arm("mst", "none", 3, {"refusal": 4}), arm("mst", "center_left", 3, {"refusal": 9}),
    ]  # fmt: skip
    shown = table(by_wording("bias", HELD_OUT, [("neutral", rows, [])], "bias"), "bias", HELD_OUT)
    assert shown.rows[0][-1] == "7 of 30: mst (UNBIASED) 3 (refusal: 2, too_short: 1); mst (none) 4 (refusal: 4)"
