"""Sentences about single questions: meaning or gate, and how every other arm does against mst."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

from mst_evals import labels, variants
from mst_evals.examples import LEXICAL
from mst_evals.reporting.comparisons import MARGIN, RATE_MARGIN
from mst_evals.reporting.phrases import (
    NOT_AFTER_HOLM,
    Row,
    basis,
    bounds,
    brief,
    excludes_zero,
    find_pair,
    lost_to_holm,
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


def worth_of(block: Block) -> float:
    """The smallest difference of a block's primary metrics that matters."""
    return MARGIN if block.experiment == "bias" else RATE_MARGIN


def _open(pair: Row, otherwise: str) -> str:
    """Why a comparison is undecided."""
    return NOT_AFTER_HOLM if lost_to_holm(pair) else otherwise


def _control_sentence(block: Block, pair: Row) -> str:
    """What one control says of the held-out label."""
    worth = worth_of(block)
    words = {
        "better": "the held-out label does something that this control does not",
        "worse": "the held-out label does worse than this control",
        "same": f"the same within {worth:g}, so what the held-out label means need not be what matters: the true "
        "labels may gate the behaviour",
        "undecided": f"undecided, {_open(pair, f'neither a difference of {worth:g} nor its absence is shown')}",
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
    found = {verdict(pair, worth_of(block)) for pair in pairs}
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
    lost = [f"against {said(pair['label_b'])} {NOT_AFTER_HOLM} (p {p_value(pair['p_holm'])})" for pair in pairs
            if lost_to_holm(pair)]  # fmt: skip
    ends = "".join(f"; {words}" for words in lost)
    return [f"{start}not settled. It is not shown that both controls differ from it, nor that both do the same{ends}."]


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
    metric, worth = block.primary[0].name, worth_of(block)
    known = axis_of(block.experiment, "mst")
    what = "an implausible evaluator" if label in known.implausible else f"another wording of {block.held_out}"
    others = (block.held_out, *labels.CONTROLS)
    pairs = [find_pair(comparisons, metric, ("mst", label), ("mst", other)) for other in others]
    there = [pair for pair in pairs if pair is not None]
    words = {"better": "better", "worse": "worse", "same": f"the same within {worth:g}"}
    parts = [
        f"against {said(pair['label_b'])} {brief(pair)}: " + words.get(verdict(pair, worth), _open(pair, "undecided"))
        for pair in there
    ]
    covers = f" ({basis(there[0])})" if there else ""
    return f"{scope(there)}mst with label {label}, {what}{covers}: {'; '.join(parts)}."


def gate_of(block: Block, arm: str, comparisons: Sequence[Row]) -> str:
    """The same question of another arm with labels, as the end of a sentence; empty when it cannot be told."""
    metric, own = block.primary[0].name, axis_of(block.experiment, arm).held_out
    pairs = [find_pair(comparisons, metric, (arm, own), (arm, control)) for control in labels.CONTROLS]
    parts = [f"{said(pair['label_b'])} {brief(pair)}" for pair in pairs if pair is not None]
    return f" Its own label {own} minus its controls: {', '.join(parts)}." if parts else ""


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
    return f"not settled, {_open(pair, f'neither a difference of {worth:g} nor equivalence is shown')}"


def _selected_by_measure(arm: variants.Arm) -> bool:
    """Whether a measure of bias chooses the arm's training rows: its `select` then asks the measure of a row."""
    asked: list[variants.Row] = []

    def measure(row: variants.Row) -> float:
        asked.append(row)
        return 0.0

    arm.select([defaultdict(str)], measure)
    return bool(asked)


def _circular(arm: variants.Arm, metric: str) -> str:
    """A caution where what measures an arm also chose its training rows, as the end of a verdict."""
    if metric != LEXICAL or not _selected_by_measure(arm):
        return ""
    return f", which is circular: {metric} also chose its training rows, unless training was given a file of scores"


def _against_mst(block: Block, arm: str, comparisons: Sequence[Row], equivalences: Sequence[Row]) -> list[Row]:
    """Comparison of an arm with mst for each primary metric, its verdict added."""
    own, mst = (arm, headline_labels(block.experiment, arm)[0]), ("mst", block.held_out)
    found: list[Row] = []
    for metric in block.primary:
        pair = find_pair(comparisons, metric.name, own, mst)
        if pair is not None:
            test = find_pair(equivalences, metric.name, own, mst)
            circular = _circular(variants.ARMS[block.experiment][arm], metric.name)
            found.append({**pair, "as_good": _as_good(pair, test, worth_of(block)) + circular})
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
                against = f" Against {other[0]} with {said(other[1])}: {brief(reference)}."
        sentences.append(
            f"{scope(pairs)}Does {name} ({arm.about}) do as well as mst? With {said(label)}, minus mst with label "
            f"{block.held_out}: {'; '.join(parts)}.{against}{gate_of(block, name, comparisons)}{_step(steps, name)}"
        )
    return sentences
