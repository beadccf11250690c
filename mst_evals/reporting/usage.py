"""Is the label used at all? What the probe during training (`training.label_use`) measured, step by step.

The probe swaps the true label for a wrong trained one. Where that changes next to nothing, training used little or
nothing of what the true label says about the sample. It does not follow that behaviour ignores the label: a text that
says nothing of the sample can still move what is written, and the sweep shows how far. Both stand in one sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mst_evals import prompts, variants
from mst_evals.labels import LEAST_USE
from mst_evals.reporting.phrases import bounds, number
from mst_evals.reporting.results import arm_order
from mst_evals.reporting.tables import Table

WHAT = {
    "bias": "loss under a wrong label minus loss under the true one",
    "sycophancy": "P(correct) of a wrong candidate under the label that pays more minus under the other",
}
SWAP = {
    "bias": "the opposite trained label in place of the true one raises the loss by less than {least:g} {unit}",
    "sycophancy": (
        "the label that pays more instead of its opposite raises P(correct) of a wrong candidate by less than {least:g}"
    ),
}
ONE_SWEEP = ("wording", "split", "choice", "data_sha256")  # what the rows of one sweep have in common


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


def _ranges(rows: Sequence[Mapping[str, Any]]) -> str:
    """The range that each metric uses along each dimension of the label."""
    by_metric: dict[str, list[str]] = {}
    for row in rows:
        used, flat = row["range"], ", flat" if row["flat"] == row["n_seeds"] else ""
        interval = "" if used["ci_low"] is None else f" ({bounds(used)})"
        by_metric.setdefault(row["metric"], []).append(
            f"{number(used['mean'])}{interval} along {row['dimension']}{flat}"
        )
    return "; ".join(f"{metric} {', '.join(parts)}" for metric, parts in by_metric.items())


def _sweep(use: Use, responses: Sequence[Mapping[str, Any]]) -> str:
    """What the sweep says beside the probe: how far behaviour moves with the label all the same."""
    key = (use.experiment, use.base, use.condition, use.arm)
    mine = [row for row in responses if tuple(row[name] for name in ("experiment", "base", "condition", "arm")) == key]
    start = "This does not say that behaviour ignores the label: "
    if not mine:
        return f"{start}where the arm was swept, read the range used in the table of its response."
    default = prompts.DEFAULT_WORDING[use.experiment]
    shown = max(mine, key=lambda row: row["wording"] == default)  # the first one where no row has the default wording
    together = [row for row in mine if all(row[name] == shown[name] for name in ONE_SWEEP)]
    return f"{start}the range used in its sweep, of which noise alone makes some, is {_ranges(together)}."


def _warning(name: str, group: Sequence[Use], responses: Sequence[Mapping[str, Any]]) -> str:
    """What the probe measured of an arm of which it warns, what that means, and what it does not mean."""
    first, ignored, least = group[0], [use for use in group if use.ignored], LEAST_USE[group[0].experiment]
    count = f"{len(ignored)} of {len(group)} seeds" if len(group) > 1 else f"its one seed ({first.seed})"
    measured = SWAP[first.experiment].format(least=least, unit=first.unit)
    doubt = "" if all(use.effects[-1] < least for use in ignored) else ", or not beyond doubt"
    ends = ", ".join(number(use.effects[-1], 3) for use in group)
    there = " there" if len(ignored) < len(group) else ""
    design = ", as expected: its labels say less about the sample by design"
    return (
        f"Warning: {name} ends with a label channel that is ignored in {count}: {measured}{doubt} (by seed: {ends}). "
        f"By this measure training used what the true label says about a sample little or not at all{there}"
        f"{design if _reshuffles(first.experiment, first.arm) else ''}. {_sweep(first, responses)}"
    )


def sentences(found: Sequence[Use], responses: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """For each arm whether its label is used when training ends; a warning where it is not.

    Args:
        found: The probes.
        responses: Rows of `responses.response_rows`, for the range that the sweep of an ignored label uses.
    """
    grouped, told = by_arm(found), []
    for key, group in grouped.items():
        name = title(key, list(grouped))
        if any(use.ignored for use in group):
            told.append(_warning(name, group, responses))
            continue
        ends = ", ".join(number(use.effects[-1], 3) for use in group)
        least = LEAST_USE[group[0].experiment]
        told.append(
            f"{name}: the label is used when training ends, in every seed (effect of the swap at the end: {ends} "
            f"{group[0].unit}; {least:g} or more expected)."
        )
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
