"""Other wordings of the task prompt: do the differences between the main arms survive them?

The models are those of the main wording; only the evaluation prompt is worded anew. An arm is asked with its own label
(the one it is deployed with) and without any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mst_evals import labels, prompts
from mst_evals.reporting.phrases import bounds, excludes_zero, find, number, said
from mst_evals.reporting.tables import Table

Row = Mapping[str, Any]
Status = Literal["survives", "does not survive", "cannot say"]
ARMS = ("baseline", "mst", "shuffled")
AGAINST = ("baseline", "shuffled")


@dataclass(frozen=True)
class Asked:
    """What one wording shows of one metric.

    Attributes:
        wording: Its name.
        main: Whether it is the experiment's default, in which everything else of the report is asked.
        means: (arm, label) -> its row, for the labels of the table.
        differences: Arm -> the comparison of mst with it, each at its own label; arms that were not asked are missing.
    """

    wording: str
    main: bool
    means: Mapping[tuple[str, str], Row]
    differences: Mapping[str, Row]


@dataclass(frozen=True)
class Verdict:
    """Whether a difference is there in every wording.

    Attributes:
        status: ``survives``: the same sign and an interval without zero everywhere; ``does not survive``: somewhere
            the sign turns or the interval holds zero; ``cannot say``: there is nothing to survive, or not the means.
        sentence: The same in plain words, with the wordings that fail.
    """

    status: Status
    sentence: str


def own_label(arm: str, held_out: str) -> str:
    """The label that a main arm is deployed with."""
    return labels.NONE if arm == "baseline" else held_out


def _turned(row: Row) -> Row:
    """A comparison the other way round."""
    low, high = row["ci_low"], row["ci_high"]
    seeds = [{**seed, "diff": None if seed["diff"] is None else -seed["diff"]} for seed in row.get("by_seed", [])]
    turned = {"ci_low": None if high is None else -high, "ci_high": None if low is None else -low, "by_seed": seeds}
    return {**row, "diff": -row["diff"], **turned}


def difference(comparisons: Sequence[Row], metric: str, against: str, held_out: str) -> Row | None:
    """Difference of mst to another main arm, each at its own label, None when it was not compared or has no number.

    Args:
        comparisons: Of one block. A study may have declared the comparison the other way round, or over two blocks.
        metric: Name of the metric.
        against: The other arm.
        held_out: The label of mst.
    """
    sides = (("mst", held_out), (against, own_label(against, held_out)))
    for row in comparisons:
        across = any(row.get(f"{part}_a") != row.get(f"{part}_b") for part in ("wording", "condition", "base"))
        if row["metric"] != metric or row["diff"] is None or across:
            continue
        a, b = (row["arm_a"], row["label_a"]), (row["arm_b"], row["label_b"])
        if (a, b) == sides:
            return row
        if (b, a) == sides:
            return _turned(row)
    return None


def by_wording(
    experiment: str, held_out: str, parts: Sequence[tuple[str, Sequence[Row], Sequence[Row]]], metric: str
) -> list[Asked]:
    """Gather what each wording shows of a metric, the main wording first.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        held_out: The label of deployment of the main arms.
        parts: For each wording its name, its arm rows and its comparison rows.
        metric: Name of the metric.
    """
    default = prompts.DEFAULT_WORDING[experiment]
    order = list(prompts.WORDINGS[experiment])
    found = []
    for wording, arms, comparisons in parts:
        cells = [(arm, label) for arm in ARMS for label in dict.fromkeys((own_label(arm, held_out), labels.NONE))]
        rows = {cell: row for cell in cells if (row := find(arms, metric, *cell)) is not None}
        pairs = {arm: row for arm in AGAINST if (row := difference(comparisons, metric, arm, held_out)) is not None}
        found.append(Asked(wording, wording == default, rows, pairs))
    known = {name: index for index, name in enumerate(order)}
    return sorted(found, key=lambda one: (not one.main, known.get(one.wording, len(known)), one.wording))


def verdict(asked: Sequence[Asked], against: str, metric: str, held_out: str) -> Verdict:
    """Whether the difference of mst to another arm survives every wording.

    Args:
        asked: What each wording shows, the main one first.
        against: The other arm.
        metric: Name of the metric, for the sentence.
        held_out: The label of mst.
    """
    who = f"{against} with {said(own_label(against, held_out))}"
    what = f"{metric}: mst with label {held_out} against {who}"
    there = [(one, one.differences[against]) for one in asked if against in one.differences]
    if len(there) < 2:
        count = f"{len(there)} of {len(asked)} wordings"
        return Verdict("cannot say", f"{what}: cannot say, this comparison was made in {count}.")
    first, reference = there[0]
    holding = [one for one, row in there if excludes_zero(row) and row["diff"] * reference["diff"] > 0]
    count = f"{len(holding)} of {len(there)} wordings"
    if not first.main or not excludes_zero(reference):
        reason = (
            f"the interval of the main wording ({bounds(reference)}) does not exclude zero"
            if first.main
            else "the main wording lacks this comparison"
        )
        same = len({row["diff"] > 0 for _, row in there}) == 1
        signs = "the sign is the same in all of them" if same else "the sign is not the same in all of them"
        return Verdict(
            "cannot say", f"{what}: there is nothing to survive, {reason}; over {len(there)} wordings {signs}."
        )
    failing = [(one, row) for one, row in there if one not in holding]
    if not failing:
        way = "below" if reference["diff"] < 0 else "above"
        return Verdict(
            "survives",
            f"{what}: the difference survives every wording: {way} zero with its interval in all {len(there)}.",
        )
    listed = "; ".join(f"{one.wording} {number(row['diff'])} ({bounds(row)})" for one, row in failing)
    if all(row["ci_low"] is None and row["diff"] * reference["diff"] > 0 for _, row in failing):
        return Verdict(
            "cannot say", f"{what}: the sign is the same in every wording, but there is no interval in: {listed}."
        )
    return Verdict(
        "does not survive",
        f"{what}: the difference does not survive every wording; the same sign and an interval without zero in "
        f"{count}, not in: {listed}.",
    )


def _unscored(one: Asked) -> str:
    """How many replies of a wording have no score, of how many, and which arms and reasons they are of."""
    asked = sum(row["n_scored"] + row["n_unscored"] for row in one.means.values())
    found = [(cell, row) for cell, row in one.means.items() if row["n_unscored"]]
    said = f"{sum(row['n_unscored'] for _, row in found)} of {asked}"
    whose = []
    for (arm, label), row in found:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in row["unscored_reasons"].items())
        whose.append(f"{arm} ({label}) {row['n_unscored']} ({reasons})")
    return f"{said}: {'; '.join(whose)}" if whose else said


def table(asked: Sequence[Asked], metric: str, held_out: str) -> Table:
    """Main arms and their differences, wording by wording."""
    cells = list(dict.fromkeys(cell for one in asked for cell in one.means))
    rows = []
    for one in asked:
        means = (number(one.means[cell]["mean"]) if cell in one.means else "–" for cell in cells)
        pairs = []
        for arm in AGAINST:
            row = one.differences.get(arm)
            pairs += ["–", "–"] if row is None else [number(row["diff"]), bounds(row)]
        rows.append((f"{one.wording} (main)" if one.main else one.wording, *means, *pairs, _unscored(one)))
    header = ["wording", *(f"{arm} ({label})" for arm, label in cells)]
    for arm in AGAINST:
        header += [f"mst - {arm}", "95% interval"]
    header.append("unscored")
    caption = (
        f"{metric} of the main arms under every wording of the task prompt, at their own label and without one. "
        f"Differences are mst ({held_out}) minus baseline (none) and minus shuffled ({held_out}), on the same rows. "
        "Unscored: replies of these arms without a score, of all that this number is about, seeds together; and whose."
    )
    return Table(caption, tuple(header), tuple(rows))
