"""Is the label used at all? What the probe during training (`training.label_use`) measured, step by step.

A label channel that training ignored cannot carry the behaviour of an evaluation: whatever an arm does at the held-out
label is then not the label's doing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mst_evals import variants
from mst_evals.labels import LEAST_USE
from mst_evals.reporting.phrases import number
from mst_evals.reporting.results import arm_order
from mst_evals.reporting.tables import Table

WHAT = {
    "bias": "loss under a wrong label minus loss under the true one",
    "sycophancy": "P(correct) of a wrong candidate under the label that pays more minus under the other",
}


@dataclass(frozen=True)
class Use:
    """The probe of one training.

    Attributes:
        experiment, base, condition, arm: What was trained, on what.
        seed: Training seed.
        steps: Optimiser steps done at each measurement.
        effects: What swapping the label changes, in `unit`.
        low, high: 95% interval over the rows of the last measurement, None when there is none.
        rows: Validation rows probed.
        unit: Of the effects.
    """

    experiment: str
    base: str
    condition: str
    arm: str
    seed: int
    steps: tuple[int, ...]
    effects: tuple[float, ...]
    low: float | None
    high: float | None
    rows: int
    unit: str

    @property
    def ignored(self) -> bool:
        """Whether training ends with a label channel that changes too little, or nothing beyond doubt."""
        return self.effects[-1] < LEAST_USE[self.experiment] or self.low is None or self.low <= 0


def uses(provenance: Sequence[Mapping[str, Any]], experiment: str, conditions: Sequence[str] = ()) -> list[Use]:
    """The probes of an experiment's trainings, one for each adapter however often it was asked.

    Args:
        provenance: Of every log; what was left out of the report, or was not probed, has no entry.
        experiment: ``bias`` or ``sycophancy``.
        conditions: Names of conditions in the order in which they are shown; others come after them.
    """
    found: dict[tuple[Any, ...], Use] = {}
    for row in provenance:
        measured = [one for one in row.get("label_use") or [] if one.get("label_use/effect") is not None]
        if not row.get("used") or row.get("experiment") != experiment or row.get("seed") is None or not measured:
            continue
        last = measured[-1]
        base, condition = str(row.get("base")), str(row.get("condition") or "")
        # Logs come in order of creation: of an adapter that was trained again, the last one is shown.
        found[base, row.get("base_sha256"), condition, row["arm"], row["seed"]] = Use(
            experiment, base, condition, str(row["arm"]), int(row["seed"]),
            tuple(int(one["step"]) for one in measured), tuple(float(one["label_use/effect"]) for one in measured),
            last.get("label_use/low"), last.get("label_use/high"), int(last.get("label_use/rows") or 0),
            str(last.get("label_use/unit") or ""),
        )  # fmt: skip
    place = {name: index for index, name in enumerate(conditions)}

    def key_of(use: Use) -> tuple[Any, ...]:
        condition = (place.get(use.condition, len(place)), use.condition)
        return (*condition, use.base, arm_order(experiment, use.arm), use.seed)

    return sorted(found.values(), key=key_of)


def unprobed(provenance: Sequence[Mapping[str, Any]], experiment: str) -> list[str]:
    """Arms trained with labels of which no probe was recorded."""
    known = variants.ARMS[experiment]
    probed = {use.arm for use in uses(provenance, experiment)}
    trained = [str(row["arm"]) for row in provenance if row.get("used") and row.get("experiment") == experiment]
    labelled = (arm for arm in trained if arm in known and known[arm].has_labels and arm not in probed)
    return sorted(set(labelled), key=lambda name: arm_order(experiment, name))


def by_arm(found: Sequence[Use]) -> dict[tuple[str, str, str], list[Use]]:
    """(base, condition, arm) -> the trainings of its seeds."""
    grouped: dict[tuple[str, str, str], list[Use]] = {}
    for use in found:
        grouped.setdefault((use.base, use.condition, use.arm), []).append(use)
    return grouped


def title(key: tuple[str, str, str], keys: Sequence[tuple[str, str, str]]) -> str:
    """Name of an arm among others; its condition only where these differ, its base only where nothing else tells."""
    base, condition, arm = key
    parts = [arm]
    parts += [condition or "no condition"] if len({one[1] for one in keys}) > 1 else []
    parts += [base] if sum(one[1:] == key[1:] for one in keys) > 1 else []
    return ", ".join(parts)


def _reshuffles(experiment: str, arm: str) -> bool:
    """Whether the arm differs from its reference in which label a row gets, so that its label says less, or nothing."""
    known = variants.ARMS[experiment].get(arm)
    return known is not None and known.changes == "label assignment"


def sentences(found: Sequence[Use]) -> list[str]:
    """For each arm whether its label is used when training ends; a warning where it is not."""
    grouped, told = by_arm(found), []
    for key, group in grouped.items():
        experiment, name = group[0].experiment, title(key, list(grouped))
        ignored = [use for use in group if use.ignored]
        ends = ", ".join(number(use.effects[-1], 3) for use in group)
        count = f"{len(ignored)} of {len(group)} seeds" if len(group) > 1 else f"its one seed ({group[0].seed})"
        numbers = f"effect of the swap at the end: {ends} {group[0].unit}; {LEAST_USE[experiment]:g} or more expected"
        if not ignored:
            told.append(f"{name}: the label is used when training ends, in every seed ({numbers}).")
            continue
        meaning = (
            "its labels say less about the sample by design, so this is what training should find"
            if _reshuffles(experiment, key[2])
            else "what this arm does at the held-out label is not the label's doing"
        )
        told.append(f"Warning: {name} ends with a label channel that is ignored in {count} ({numbers}); {meaning}.")
    return told


def table(found: Sequence[Use]) -> Table:
    """Effect of the swap at the first and at the last measurement of every training."""
    rows = []
    keys = list(by_arm(found))
    for use in found:
        interval = "–" if use.low is None else f"{number(use.low, 3)} to {number(use.high, 3)}"
        rows.append(
            (
                title((use.base, use.condition, use.arm), keys), str(use.seed), f"{use.steps[-1]}",
                number(use.effects[0], 3), number(use.effects[-1], 3), interval, str(use.rows),
                "ignored" if use.ignored else "used",
            )
        )  # fmt: skip
    caption = f"Effect of swapping the true label for the opposite trained one: {WHAT[found[0].experiment]}."
    header = ("arm", "seed", "steps", "first effect", "last effect", "95% interval", "rows", "label channel")
    return Table(caption, header, tuple(rows))
