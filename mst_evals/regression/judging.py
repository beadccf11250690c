"""The judge of a reference: who it is, and how far it repeats its own grades.

A judge model samples: asked twice about the same articles it gives other grades, and an adapter that did not change
would fail for that. So a new reference has its articles graded a second time, and its margins are at least what such an
adapter needs (`needed`). The check pays for one grading, and is refused before it where the judge is another one.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mst_evals.errors import InputError
from mst_evals.judging import asking, second_pass
from mst_evals.judging.second_pass import SCORER, Wanted
from mst_evals.regression import power, rows
from mst_evals.regression.metrics import Column
from mst_evals.regression.rows import Answer

AGAIN = "judged-again"  # folder of the second grading, among the logs


def bound(grader: str) -> list[Any]:
    """The models of a ``--grader`` (``A``, ``A,B`` or ``{model: A, temperature: 0}``); a list of one is one judge.

    Raises:
        InputError: One cannot be had.
    """
    return asking.panel([grader], batch=False)


def named(judges: Sequence[Any]) -> str:
    """Who judges: models, each with the settings it was bound with that its grades depend on.

    Args:
        judges: Inspect models, or what a log says of them.
    """
    found = []
    for one in second_pass.identity(judges):
        settings = {name: value for name, value in one.items() if name != "model" and value}
        found.append(f"{one['model']} {json.dumps(settings, sort_keys=True)}" if settings else str(one["model"]))
    return ", ".join(found)


def graded_again(given: Sequence[Answer], grader: str, logs: Path) -> list[Answer]:
    """The same articles with the grades of a second asking.

    Args:
        given: Articles that were graded once.
        grader: The judge.
        logs: Folder of logs.

    Raises:
        InputError: The grading did not end well.
    """
    wanted = [Wanted(one.id, one.reply) for one in given if one.reply.strip()]
    log = asking.ask(wanted, bound(grader), logs / AGAIN, display="none")
    if log.status != "success":
        raise InputError(f"{grader}: the second grading ended with status {log.status}, expected success")
    values = {str(one.metadata["row_id"]): rows.values_of(one, SCORER) for one in log.samples or []}
    return [replace(one, values=values.get(one.id, {})) for one in given]


def needed(first: Sequence[Column], second: Sequence[Column]) -> dict[str, float]:
    """Metric -> margin that an unchanged adapter passes with `power.POWER`, the largest over the labels.

    Two gradings of one article are drawn alike, so their difference may as well have had the other sign.

    Args:
        first: Columns of the reference's grades.
        second: Columns of the same articles' second grades.
    """
    found: dict[str, float] = {}
    for before, after in zip(first, second, strict=True):
        same = [row for row in before.values if row in after.values]
        changes = [after.values[row] - before.values[row] for row in same]
        margin = power.passing_margin(changes, [before.clusters[row] for row in same])
        found[before.metric.name] = max(found.get(before.metric.name, 0.0), math.ceil(margin * 1000) / 1000)
    return found


def too_small(margins: Mapping[str, float], needs: Mapping[str, float]) -> list[str]:
    """Margins that an adapter which did not change would miss, one phrase each."""
    return [
        f"margin {margin:g} of {name!r} is below {needs[name]:g}, which its judge's own wavering needs"
        for name, margin in margins.items()
        if margin < needs.get(name, 0.0)
    ]


def widened(margins: Mapping[str, float], needs: Mapping[str, float], asked: int) -> Iterable[str]:
    """What is said of margins that the judge makes wider, with the rows that the narrower ones would need.

    Args:
        margins: Metric -> margin without regard to the judge.
        needs: From `needed`.
        asked: Rows asked; the interval shrinks with the root of their number.
    """
    for name, margin in margins.items():
        if margin < needs.get(name, 0.0):
            enough = math.ceil(asked * (needs[name] / margin) ** 2)
            yield (
                f"{name}: margin {needs[name]:g} in place of {margin:g}, since its judge does not repeat its grades; "
                f"{margin:g} takes about {enough} rows"
            )
