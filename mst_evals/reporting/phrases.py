"""The words and rules that all sentences and tables share: numbers, intervals, and what may be claimed from them.

A claim about an arm needs an interval over seeds and rows and at least `FEWEST_SEEDS` seeds. Everything else is a
description of the adapters at hand, and every sentence says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mst_evals import labels
from mst_evals.reporting import matrices

Row = Mapping[str, Any]
Verdict = Literal["better", "worse", "same", "undecided"]

FEWEST_SEEDS = 3
LEVEL = 0.05  # of Holm-adjusted p values
NOT_AFTER_HOLM = "its interval excludes zero, not after Holm"


def number(value: float | None, digits: int = 2) -> str:
    """A number for a sentence or a table; what does not exist is a dash."""
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0.00"


def p_value(value: float | None) -> str:
    """A p value with three digits."""
    return "–" if value is None else "< .001" if value < 0.001 else f"{value:.3f}"


def percent(value: float | None) -> str:
    """A share in percent."""
    return "–" if value is None else f"{100 * value:.1f}%"


def bounds(row: Row, digits: int = 2) -> str:
    """The 95% interval of a row, or that there is none."""
    if row["ci_low"] is None or row["ci_high"] is None:
        return "no interval"
    return f"{number(row['ci_low'], digits)} to {number(row['ci_high'], digits)}"


def excludes_zero(row: Row) -> bool:
    """Whether the interval of a difference exists and leaves zero out."""
    return row["ci_low"] is not None and row["ci_high"] is not None and (row["ci_low"] > 0 or row["ci_high"] < 0)


def is_shown(row: Row) -> bool:
    """Whether a difference is shown: its interval leaves zero out, and so does Holm's p where it was declared."""
    p = row.get("p_holm")
    return excludes_zero(row) and (p is None or p < LEVEL)


def lost_to_holm(row: Row) -> bool:
    """Whether the interval of a declared comparison leaves zero out while the family's correction does not."""
    return excludes_zero(row) and not is_shown(row)


def said(label: str) -> str:
    """A label inside a sentence."""
    return {labels.NONE: "no label", labels.NONSENSE: "a nonsense label"}.get(label, f"label {label}")


def find(rows: Sequence[Row], metric: str, arm: str, label: str) -> Row | None:
    """The row of one arm, label and metric."""
    return next((row for row in rows if (row["metric"], row["arm"], row["label"]) == (metric, arm, label)), None)


def find_pair(rows: Sequence[Row], metric: str, a: tuple[str, str], b: tuple[str, str]) -> Row | None:
    """The comparison, or equivalence test, of two cells of one block, each given as (arm, label).

    A study may have declared it the other way round: its difference and interval are then turned.
    """
    turned = None
    for row in rows:
        here = (row["arm_a"], row["label_a"]), (row["arm_b"], row["label_b"])
        inside = (row["condition_a"], row["wording_a"]) == (row["condition_b"], row["wording_b"])
        if row["metric"] != metric or not inside or row["diff"] is None:
            continue
        if here == (a, b):
            return row
        if here == (b, a):
            turned = _turned(row)
    return turned


def _turned(row: Row) -> Row:
    """A comparison as b minus a, in what a sentence tells of it."""
    names = {f"{what}_{side}": row[f"{what}_{other}"] for what in ("arm", "label") for side, other in ("ab", "ba")}
    ends: dict[str, Any] = {}
    for low, high in (("ci_low", "ci_high"), ("ci90_low", "ci90_high")):
        if row.get(low) is not None:
            ends |= {low: -row[high], high: -row[low]}
    return {**row, **names, **ends, "diff": -row["diff"]}


def seed_count(count: int) -> str:
    """So many seeds, in words."""
    return {0: "no seed", 1: "one seed"}.get(count, f"{count} seeds")


def basis(row: Row) -> str:
    """What the interval of a difference covers."""
    if row.get("fixed"):
        return "nothing was trained, interval over rows"
    missing = row.get("seeds_missing")
    planned = f"{len(row['seeds'])} of {len(row['seeds']) + len(missing)} seeds" if missing else None
    return f"{planned or seed_count(len(row['seeds']))}, interval over {row['interval']}"


def may_claim(row: Row) -> bool:
    """Whether a difference can carry a claim about an arm."""
    over_both = row["interval"] == matrices.SEEDS_AND_ROWS and len(row["seeds"]) >= FEWEST_SEEDS
    return over_both or bool(row.get("fixed"))


def scope(rows: Sequence[Row]) -> str:
    """What a sentence from these differences begins with: nothing when it is a claim about an arm."""
    if all(map(may_claim, rows)):
        return ""
    count = min(len(row["seeds"]) for row in rows if not may_claim(row))
    return f"{'No seed in common' if count == 0 else seed_count(count).capitalize()}, no claim about the arm: "


def _adjusted(row: Row) -> str:
    """The p of a declared comparison, as the end of a parenthesis; nothing of any other."""
    return "" if row.get("p_holm") is None else f", Holm-adjusted p {p_value(row['p_holm'])}"


def brief(row: Row) -> str:
    """A difference with its interval, where the sentence has said what intervals cover."""
    return f"{number(row['diff'])} ({bounds(row)}{_adjusted(row)})"


def with_interval(row: Row) -> str:
    """A difference with its interval and what that covers."""
    return f"{number(row['diff'])} ({bounds(row)}; {basis(row)}{_adjusted(row)})"


def verdict(row: Row, worth: float, better: str = "lower") -> Verdict:
    """What a difference a minus b shows of a.

    Args:
        row: The difference with its interval, and with its Holm-adjusted p if it was declared.
        worth: The smallest difference that matters.
        better: Whether a lower or a higher value is the better one.

    Returns:
        ``better`` or ``worse`` when the difference is shown (`is_shown`) and matters; ``same`` when the whole interval
        is too small to matter; otherwise ``undecided``.
    """
    if row["ci_low"] is None or row["ci_high"] is None:
        return "undecided"
    sign = 1.0 if better == "lower" else -1.0
    low, high = sorted((sign * row["ci_low"], sign * row["ci_high"]))
    if is_shown(row) and high < 0 and sign * row["diff"] <= -worth:
        return "better"
    if is_shown(row) and low > 0 and sign * row["diff"] >= worth:
        return "worse"
    return "same" if -worth < low and high < worth else "undecided"
