"""Sentences about single questions: meaning or gate, extrapolation, and how every other arm does against mst."""

from collections.abc import Sequence
from typing import Any, Literal

from mst_evals import labels, variants
from mst_evals.reporting.comparisons import MARGIN, RATE_MARGIN
from mst_evals.reporting.phrases import (
    Row,
    Verdict,
    basis,
    bounds,
    excludes_zero,
    find,
    find_pair,
    may_claim,
    number,
    p_value,
    said,
    scope,
    verdict,
    with_interval,
)
from mst_evals.reporting.results import Block, axis_of, headline_labels

# --- meaning or gate ----------------------------------------------------------------------------------------------


def _worth(block: Block) -> float:
    return MARGIN if block.experiment == "bias" else RATE_MARGIN


def _control_sentence(block: Block, pair: Row) -> str:
    """What one control says of the held-out label."""
    worth = _worth(block)
    words = {
        "better": "the held-out label does something that this control does not",
        "worse": "the held-out label does worse than this control",
        "same": f"the same within {worth:g}, so what the held-out label means need not be what matters: the true "
        "labels may gate the behaviour",
        "undecided": f"neither a difference of {worth:g} nor its absence is shown",
    }
    return (
        f"{scope([pair])}Control: {pair['arm_a']} with label {pair['label_a']} minus {pair['arm_b']} with "
        f"{said(pair['label_b'])} is {with_interval(pair)}; {words[verdict(pair, worth)]}."
    )


def _use(arm: str, metric: str, responses: Sequence[Row]) -> Literal["used", "ignored", "not swept"]:
    """Whether an arm's behaviour moves with its label at all: without that there is no gate."""
    mine = [row for row in responses if (row["arm"], row["metric"]) == (arm, metric)]
    if not mine:
        return "not swept"
    return "ignored" if all(row["flat"] == row["n_seeds"] for row in mine) else "used"


def _conclusion(block: Block, arm: str, pairs: Sequence[Row], responses: Sequence[Row]) -> list[str]:
    """Meaning or gate, once both controls can carry a claim."""
    if len(pairs) < len(labels.CONTROLS) or not all(map(may_claim, pairs)):
        return []
    found = {verdict(pair, _worth(block)) for pair in pairs}
    label, start = pairs[0]["label_a"], f"Meaning or gate, {arm} with {said(pairs[0]['label_a'])}: "
    if found == {"better"}:
        return [f"{start}its meaning. It does better than no label and than a nonsense label."]
    if found == {"same"}:
        same = f"No label and a nonsense label do the same as {label}"
        how = {
            "used": f"a gate. {same}, so the behaviour is tied to the labels seen in training and is absent without "
            "them.",
            "ignored": f"neither. {same}, and so do the trained labels: the label is not used at all.",
            "not swept": f"not its meaning. {same}; without the trained labels, which were not asked, a gate cannot be "
            "told from a label that is not used at all.",
        }
        return [start + how[_use(arm, pairs[0]["metric"], responses)]]
    if "worse" in found:
        return [f"{start}not its meaning. It does worse than a control that means nothing."]
    return [f"{start}not settled. The two controls do not both differ from it, nor both do the same."]


def meaning(block: Block, comparisons: Sequence[Row], responses: Sequence[Row]) -> list[str]:
    """Whether the held-out label does more for mst than no label and nonsense do."""
    metric, mst = block.primary[0].name, ("mst", block.held_out)
    found = [find_pair(comparisons, metric, mst, ("mst", control)) for control in labels.CONTROLS]
    pairs = [pair for pair in found if pair is not None]
    return [_control_sentence(block, pair) for pair in pairs] + _conclusion(block, "mst", pairs, responses)


def other_words(block: Block, comparisons: Sequence[Row]) -> list[str]:
    """One sentence for every paraphrase of mst's held-out label, and for the implausible evaluator."""
    metric = block.primary[0].name
    asked = dict.fromkeys(row["label_a"] for row in comparisons if row["about"] == "label" and row["metric"] == metric)
    return [_other_words(block, comparisons, label) for label in asked]


def _other_words(block: Block, comparisons: Sequence[Row], label: str) -> str:
    """A paraphrase of the held-out label, or the implausible label: against that label and the controls."""
    metric, worth = block.primary[0].name, _worth(block)
    known = axis_of(block.experiment, "mst")
    what = "an implausible evaluator" if label in known.implausible else f"another wording of {block.held_out}"
    others = (block.held_out, *labels.CONTROLS)
    pairs = [find_pair(comparisons, metric, ("mst", label), ("mst", other)) for other in others]
    there = [pair for pair in pairs if pair is not None]
    words = {"better": "better", "worse": "worse", "same": f"the same within {worth:g}", "undecided": "undecided"}
    parts = [
        f"against {said(pair['label_b'])} {number(pair['diff'])} ({bounds(pair)}): {words[verdict(pair, worth)]}"
        for pair in there
    ]
    covers = f" ({basis(there[0])})" if there else ""
    return f"{scope(there)}mst with label {label}, {what}{covers}: {'; '.join(parts)}."


def gate_of(block: Block, arm: str, comparisons: Sequence[Row]) -> str:
    """The same question of another arm with labels, as the end of a sentence; empty when it cannot be told."""
    metric, own = block.primary[0].name, axis_of(block.experiment, arm).held_out
    pairs = [find_pair(comparisons, metric, (arm, own), (arm, control)) for control in labels.CONTROLS]
    parts = [f"{said(pair['label_b'])} {number(pair['diff'])} ({bounds(pair)})" for pair in pairs if pair is not None]
    return f" Its own label {own} minus its controls: {', '.join(parts)}." if parts else ""


# --- extrapolation ------------------------------------------------------------------------------------------------


def _extent(point: Row, worth: float) -> str:
    """What one held-out place shows against the best trained one; `worse_by` is positive where it is worse."""
    found: Verdict = verdict(point, worth, key="worse_by")
    if found == "undecided" and point["ci_high"] is not None and point["ci_high"] < worth:
        found = "same"  # better perhaps, but not worse by what matters
    return {
        "better": "better than any trained label", "same": "no worse than the best trained label",
        "worse": "worse than the best trained label", "undecided": "undecided",
    }[found]  # fmt: skip


def _range_verdict(response: Row, worth: float) -> str:
    """Whether what was learnt carries on over every held-out place that was asked."""
    points = response["against_best_trained"]
    found = {point["label"]: _extent(point, worth) for point in points}
    failing = [label for label, words in found.items() if words.startswith("worse")]
    open_ = [label for label, words in found.items() if words == "undecided"]
    many = f"the {len(found)} held-out places asked" if len(found) > 1 else "the held-out label"
    if failing:
        return (
            f"it does not extrapolate: at {', '.join(failing)} it falls short of the best trained label by {worth:g} "
            "or more, whatever another held-out label shows"
        )
    if open_:
        return f"not shown that it extrapolates: at {', '.join(open_)} neither a shortfall of {worth:g} nor its absence"
    return f"it extrapolates over {many}: nowhere worse than the best trained label by {worth:g} or more"


def _curve(points: Sequence[Row], arms: Sequence[Row], response: Row) -> str:
    """The held-out places one by one, with accuracy beside a false-positive rate."""
    parts = []
    for point in points:
        accuracy = find(arms, "accuracy", response["arm"], point["label"]) if response["metric"] == "fpr" else None
        beside = f", accuracy {number(accuracy['mean'])}" if accuracy else ""
        parts.append(f"{point['label']} {number(point['worse_by'])} ({bounds(point)}{beside})")
    return "; ".join(parts)


def extrapolation(block: Block, arms: Sequence[Row], responses: Sequence[Row]) -> dict[str, str]:
    """Arm -> whether its label extrapolates: every held-out place on its side of the trained range.

    An arm whose labels were permuted in training learnt nothing of them that could carry on, so it has no sentence.
    """
    metric, worth = block.primary[0].name, _worth(block)
    sentences: dict[str, str] = {}
    known = variants.ARMS[block.experiment]
    for arm in dict.fromkeys(row["arm"] for row in responses):
        if arm in known and known[arm].assign is variants.permuted_label:
            continue
        mine = [row for row in responses if row["arm"] == arm and row["metric"] == metric]
        outside = [row for row in mine if row["held_out_relation"] == "extrapolation"]
        response = (outside or mine)[-1]
        points = response["against_best_trained"]
        if not points:
            continue
        best = ", ".join(points[0]["best_trained"])
        start = f"Extrapolation, {arm} along {response['dimension']} ({basis(points[0])}): "
        if response["flat"] == response["n_seeds"]:
            sentences[arm] = (
                f"{scope(points)}{start}its curve is flat (range below {worth:g} in every seed): it does not respond "
                "to the label, so there is nothing to extrapolate."
            )
            continue
        how = f"minus the best trained label ({best}), positive is worse: {_curve(points, arms, response)}"
        if response["held_out_relation"] == "unplaced":
            tail = "the label was never seen and has no place, so this is no extrapolation"
        elif response["held_out_relation"] == "interpolation":
            tail = "the label lies between trained ones, so this is interpolation"
        else:
            tail = f"so {_range_verdict(response, worth)}"
        sentences[arm] = f"{scope(points)}{start}{how}; {tail}."
    return sentences


# --- other arms ---------------------------------------------------------------------------------------------------


def _as_good(pair: Row, test: Row | None, worth: float) -> str:
    """Whether an arm does as well as mst on one metric."""
    found = verdict(pair, worth, pair["better"])
    if found == "worse":
        return "no, it does worse"
    if found == "better":
        return "it does better"
    if test is not None and test["equivalent"]:
        return f"yes, within {test['margin']:g} (TOST p {p_value(test['p'])})"
    return f"not settled, neither a difference of {worth:g} nor equivalence is shown"


def _against_mst(block: Block, arm: str, comparisons: Sequence[Row], equivalences: Sequence[Row]) -> list[Row]:
    """Comparison of an arm with mst for each primary metric, its verdict added."""
    own, mst = (arm, headline_labels(block.experiment, arm)[0]), ("mst", block.held_out)
    found: list[Row] = []
    for metric in block.primary:
        pair = find_pair(comparisons, metric.name, own, mst)
        if pair is not None:
            test = find_pair(equivalences, metric.name, own, mst)
            found.append({**pair, "as_good": _as_good(pair, test, _worth(block))})
    return found


def _step(steps: Sequence[Row], arm: str) -> str:
    """The in-range step of an arm, as the end of a sentence."""
    found = next((step for step in steps if step["arm"] == arm), None)
    if found is None:
        return ""
    appears = excludes_zero(found) and found["diff"] >= RATE_MARGIN
    return f" In range it {'steps up' if appears else 'shows no step up'}: {number(found['diff'])} ({bounds(found)})."


def other_arms(
    block: Block, comparisons: Sequence[Row], equivalences: Sequence[Row], steps: Sequence[Row]
) -> list[str]:
    """One sentence for every arm beyond the main ones: does it do as well as mst?"""
    sentences = []
    for name in block.arms:
        arm: Any = variants.ARMS[block.experiment].get(name)
        pairs = _against_mst(block, name, comparisons, equivalences) if arm and name not in variants.MAIN else []
        if not pairs:
            continue
        label = pairs[0]["label_a"]
        parts = [f"{pair['metric']} {with_interval(pair)}: {pair['as_good']}" for pair in pairs]
        against = ""
        if arm.reference != "mst":
            other = (arm.reference, headline_labels(block.experiment, arm.reference)[0])
            reference = find_pair(comparisons, pairs[0]["metric"], (name, label), other)
            if reference:
                against = (
                    f" Against {other[0]} with {said(other[1])}: {number(reference['diff'])} ({bounds(reference)})."
                )
        sentences.append(
            f"{scope(pairs)}Does {name} ({arm.about}) do as well as mst? With {said(label)}, minus mst with label "
            f"{block.held_out}: {'; '.join(parts)}.{against}{gate_of(block, name, comparisons)}{_step(steps, name)}"
        )
    return sentences
