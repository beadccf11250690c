"""The conditions of a study: its named variations (other arguments, another base), side by side.

Each arm is shown at the label it is deployed with. Conditions that have a place (`study.Condition.x`) form a curve;
others are listed in the order of the study.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mst_evals.reporting.figures import is_number
from mst_evals.reporting.phrases import bounds, find, number
from mst_evals.reporting.results import arm_order, headline_labels
from mst_evals.reporting.tables import Table
from mst_evals.reporting.wordings import AGAINST, difference
from mst_evals.studies.study import Condition, Study

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """What one condition measured.

    Attributes:
        condition: Its name.
        base: Name of the base it was run on.
        arms: Its arm rows.
        comparisons: Its comparison rows.
    """

    condition: str
    base: str
    arms: Sequence[Row]
    comparisons: Sequence[Row]


@dataclass(frozen=True)
class Shown:
    """One condition as it is drawn.

    Attributes:
        name: Of the condition, with its base where one name stands on several.
        x: Its place on the curve, None when it has none.
        about: One line about it.
        arms: Arm -> metric -> row at the label of deployment.
        differences: (arm, metric) -> comparison of mst with it, each at its own label.
    """

    name: str
    x: float | None
    about: str
    arms: Mapping[str, Mapping[str, Row]]
    differences: Mapping[tuple[str, str], Row]


def _declared(study: Study | None) -> dict[str, tuple[int, Condition]]:
    return {one.name: (index, one) for index, one in enumerate(study.conditions)} if study else {}


def shown(
    experiment: str, held_out: str, parts: Sequence[Part], metrics: Sequence[str], study: Study | None = None
) -> list[Shown]:
    """Gather the conditions in the order of the study (by name where there is none).

    Args:
        experiment: ``bias`` or ``sycophancy``.
        held_out: The label of deployment of the main arms.
        parts: What each condition measured.
        metrics: Names of the metrics that are shown.
        study: Says where the conditions stand and what they are.
    """
    declared = _declared(study)
    names = [part.condition for part in parts]
    found = []
    for part in parts:
        known = declared.get(part.condition)
        arms: dict[str, dict[str, Row]] = {}
        for arm in sorted({row["arm"] for row in part.arms}, key=lambda name: arm_order(experiment, name)):
            label = headline_labels(experiment, arm)[0]
            rows = {metric: row for metric in metrics if (row := find(part.arms, metric, arm, label)) is not None}
            if rows:
                arms[arm] = rows
        pairs = {
            (arm, metric): row
            for arm in AGAINST
            for metric in metrics
            if (row := difference(part.comparisons, metric, arm, held_out)) is not None
        }
        name = part.condition or "no condition"
        title = f"{name}, {part.base}" if names.count(part.condition) > 1 else name
        x, about = (known[1].x, known[1].about) if known else (None, "")
        place = (known[0] if known else len(declared), part.condition, part.base)
        found.append((place, Shown(title, x, about, arms, pairs)))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def is_curve(conditions: Sequence[Shown]) -> bool:
    """Whether every condition has a place and at least two places differ."""
    places = {one.x for one in conditions}
    return None not in places and len(places) > 1


def points(conditions: Sequence[Shown], arm: str, metric: str) -> list[tuple[float, Row]]:
    """(place, row) of one arm: the curve's x, else the number of the condition; left to right, without empty ones."""
    curve = is_curve(conditions)
    found = []
    for index, one in enumerate(conditions):
        row = one.arms.get(arm, {}).get(metric)
        if row is not None and is_number(row["mean"]):
            found.append((float(one.x) if curve and one.x is not None else float(index), row))
    return sorted(found, key=lambda pair: pair[0])


def arms_of(experiment: str, conditions: Sequence[Shown]) -> list[str]:
    """The arms that any condition ran, in the order in which they are declared."""
    return sorted({arm for one in conditions for arm in one.arms}, key=lambda name: arm_order(experiment, name))


def seed_text(row: Row) -> str:
    """The value of every seed in one cell of a table."""
    return "; ".join(f"{seed['seed']}:\u00a0{number(seed['mean'])}" for seed in row["by_seed"])


def arm_table(experiment: str, conditions: Sequence[Shown], metrics: Sequence[str]) -> Table:
    """Every arm at its label of deployment, condition by condition."""
    curve, rows = is_curve(conditions), []
    for one in conditions:
        for arm in arms_of(experiment, [one]):
            cells = []
            for metric in metrics:
                row = one.arms[arm].get(metric)
                cells += [number(row["mean"]), bounds(row), seed_text(row) or "–"] if row else ["–", "–", "–"]
            place = (f"{one.x:g}",) if curve and one.x is not None else ()
            rows.append((one.name, *place, f"{arm} ({headline_labels(experiment, arm)[0]})", *cells))
    header = ["condition", *(["x"] if curve else []), "arm (label)"]
    for metric in metrics:
        header += [metric, "95% interval", f"{metric} by seed"]
    return Table("Every arm at the label it is deployed with, under every condition.", tuple(header), tuple(rows))


def difference_table(conditions: Sequence[Shown], metrics: Sequence[str]) -> Table | None:
    """The differences of mst to baseline and shuffled, condition by condition; None when there are none."""
    curve, rows = is_curve(conditions), []
    for one in conditions:
        for metric in metrics:
            pairs = [one.differences.get((arm, metric)) for arm in AGAINST]
            if not any(pairs):
                continue
            cells = [cell for row in pairs for cell in ((number(row["diff"]), bounds(row)) if row else ("–", "–"))]
            place = (f"{one.x:g}",) if curve and one.x is not None else ()
            rows.append((one.name, *place, metric, *cells))
    header = ["condition", *(["x"] if curve else []), "metric"]
    for arm in AGAINST:
        header += [f"mst - {arm}", "95% interval"]
    caption = "Differences of mst to the other arms, each at its own label, on the same rows."
    return Table(caption, tuple(header), tuple(rows)) if rows else None


def sentences(conditions: Sequence[Shown], metrics: Sequence[str]) -> list[str]:
    """In how many conditions mst is below the other arms with an interval that excludes zero."""
    found = []
    for metric in metrics:
        for arm in AGAINST:
            rows = [(one, row) for one in conditions if (row := one.differences.get((arm, metric))) is not None]
            if not rows:
                continue
            sides = []
            for words, sign in (("below", -1), ("above", 1)):
                names = [
                    one.name
                    for one, row in rows
                    if row["ci_low"] is not None and row["ci_high"] is not None
                    and sign * row["ci_low"] > 0 and sign * row["ci_high"] > 0
                ]  # fmt: skip
                sides.append(f"{words} it in {len(names)}" + (f" ({', '.join(names)})" if names else ""))
            found.append(
                f"{metric}, mst against {arm}, each at its own label, in {len(rows)} conditions: with an interval that "
                f"excludes zero mst lies {sides[0]} and {sides[1]}."
            )
    return found


def abouts(conditions: Sequence[Shown]) -> list[str]:
    """What the study says of its conditions."""
    return [f"{one.name}: {one.about}" for one in conditions if one.about]
