"""Sentences about extrapolation: what each held-out place shows against the best trained one, and what follows.

Every verdict rests on the interval, never on the estimate: an arm falls short by the margin only where the whole
interval lies beyond it, and carries on only where the whole interval stays below it.
"""

from collections.abc import Sequence
from typing import Literal

from mst_evals import variants
from mst_evals.reporting.claims_arms import worth_of
from mst_evals.reporting.phrases import Row, basis, bounds, find, number, scope
from mst_evals.reporting.results import Block

Extent = Literal["short", "worse", "slightly worse", "carried", "undecided"]


def extent(point: Row, worth: float) -> Extent:
    """What one held-out place shows against the best trained one; `worse_by` is positive where it is worse.

    Args:
        point: `worse_by` with its interval.
        worth: The smallest difference that matters.

    Returns:
        ``short`` when the interval lies at the margin or beyond; ``worse`` when it leaves zero out but not the margin;
        ``slightly worse`` when it lies between the two; ``carried`` when it stays below the margin; else ``undecided``.
    """
    low, high = point["ci_low"], point["ci_high"]
    if low is None or high is None:
        return "undecided"
    if low >= worth:
        return "short"
    if high < worth:
        return "slightly worse" if low > 0 else "carried"
    return "worse" if low > 0 else "undecided"


def range_verdict(points: Sequence[Row], worth: float) -> str:
    """Whether what was learnt carries on over every held-out place that was asked.

    Args:
        points: The places with `label`, `worse_by` and its interval.
        worth: The smallest difference that matters.
    """
    found = {point["label"]: extent(point, worth) for point in points}
    words: dict[Extent, str] = {
        "short": f"it falls short of the best trained label by {worth:g} or more",
        "worse": f"it is worse than the best trained label, by more than 0 but not shown to be by {worth:g} or more",
        "slightly worse": f"it is worse than the best trained label, but by less than {worth:g}",
        "undecided": f"neither a shortfall of {worth:g} nor its absence is shown",
    }
    told = {kind: [label for label, which in found.items() if which == kind] for kind in words}
    clauses = "; ".join(f"at {', '.join(told[kind])} {text}" for kind, text in words.items() if told[kind])
    if told["short"]:
        others = ", whatever another held-out label shows" if len(told["short"]) < len(found) else ""
        return f"it does not extrapolate{others}: {clauses}"
    if told["worse"] or told["undecided"]:
        return f"not shown that it extrapolates: {clauses}"
    many = f"the {len(found)} held-out places asked" if len(found) > 1 else "the held-out label"
    but = f" ({clauses})" if clauses else ""
    return f"it extrapolates over {many}: nowhere worse than the best trained label by {worth:g} or more{but}"


def _apart(point: Row, worth: float) -> str:
    """The labels that were averaged at one place, where they differ in sign or by more than matters."""
    each = [one["worse_by"] for one in point["each_label"]]
    if not each or None in each or not (min(each) < 0 < max(each) or max(each) - min(each) > worth):
        return ""
    alone = {True: f"; alone it falls short by {worth:g} or more", False: ""}
    parts = [
        f"{one['label']} {number(one['worse_by'])} ({bounds(one)}{alone[extent(one, worth) == 'short']})"
        for one in point["each_label"]
    ]
    return f", the mean of {' and '.join(parts)}"


def _curve(points: Sequence[Row], arms: Sequence[Row], response: Row, worth: float) -> str:
    """The held-out places one by one, with accuracy beside a false-positive rate."""
    parts = []
    for point in points:
        accuracy = find(arms, "accuracy", response["arm"], point["label"]) if response["metric"] == "fpr" else None
        beside = f", accuracy {number(accuracy['mean'])}" if accuracy else ""
        parts.append(f"{point['label']} {number(point['worse_by'])} ({bounds(point)}{beside}){_apart(point, worth)}")
    return "; ".join(parts)


def _best(response: Row) -> str:
    """The best trained place, and what picking it does to the differences."""
    best = ", ".join(response["against_best_trained"][0]["best_trained"])
    several = sum(place["relation"] == "trained" for place in response["places"]) > 1
    picked = "; picked on the same rows, which can make a shortfall look larger" if several else ""
    return f"minus the best trained label ({best}{picked})"


def _responds(response: Row, worth: float) -> bool:
    """Whether a curve is shown to use a range that matters; one seed has no interval, so its own range counts."""
    used = response["range"]
    least = used["mean"] if used["ci_low"] is None else used["ci_low"]
    return least is not None and least >= worth


def _untrained(arm: Row, responses: Sequence[Row], arms: Sequence[Row], worth: float) -> str:
    """The same places for the base out of the box, where it was swept: what was there before training."""
    for row in responses:
        same = all(row[key] == arm[key] for key in ("metric", "axis", "dimension"))
        if row["arm"] == "ootb" and same and row["against_best_trained"]:
            curve = _curve(row["against_best_trained"], arms, row, worth)
            best = ", ".join(row["against_best_trained"][0]["best_trained"])
            used = number(row["range"]["mean"])
            return f" ootb under the same labels, before any training: {curve} (minus {best}; range used {used})."
    return ""


def extrapolation(block: Block, arms: Sequence[Row], responses: Sequence[Row]) -> dict[str, str]:
    """Arm -> whether its label extrapolates: every held-out place on its side of the trained range.

    An arm whose labels were permuted in training learnt nothing of them that could carry on, and what was not trained
    (ootb) learnt nothing at all, so neither has a sentence. What ootb does under the same labels stands beside the
    others: an arm may only have kept it.

    Args:
        block: The block.
        arms: Its rows of `results.arm_rows`.
        responses: Its rows of `responses.response_rows`.
    """
    metric, worth = block.primary[0].name, worth_of(block)
    sentences: dict[str, str] = {}
    known = variants.ARMS[block.experiment]
    for arm in dict.fromkeys(row["arm"] for row in responses):
        if arm in known and known[arm].assign in (None, variants.permuted_label):
            continue
        mine = [row for row in responses if row["arm"] == arm and row["metric"] == metric]
        outside = [row for row in mine if row["held_out_relation"] == "extrapolation"]
        response = (outside or mine)[-1]
        points = response["against_best_trained"]
        if not points:
            continue
        start = f"Extrapolation, {arm} along {response['dimension']} ({basis(points[0])}): "
        if response["flat"] == response["n_seeds"]:
            sentences[arm] = (
                f"{scope(points)}{start}its curve is flat (range below {worth:g} in every seed): it does not respond "
                "to the label, so there is nothing to extrapolate."
            )
            continue
        how = f"{_best(response)}, positive is worse: {_curve(points, arms, response, worth)}"
        if response["held_out_relation"] == "unplaced":
            tail = "the label was never seen and has no place, so this is no extrapolation"
        elif response["held_out_relation"] == "interpolation":
            tail = "the label lies between trained ones, so this is interpolation"
        else:
            tail = f"so {range_verdict(points, worth)}"
            if all(extent(point, worth) in ("carried", "slightly worse") for point in points) and not _responds(
                response, worth
            ):
                used = f"{number(response['range']['mean'])}, {bounds(response['range'])}"
                tail = f"but it is not shown to respond to its labels (range used {used}), so nothing carries on"
        sentences[arm] = f"{scope(points)}{start}{how}; {tail}.{_untrained(response, responses, arms, worth)}"
    return sentences
