"""How well a judge's grades follow the slant that was intended.

Every function takes the table of articles that `card.articles_table` makes: one line for each article with its mean
grade over the runs, those without a grade left out.
"""

import numpy as np
import pandas as pd

from mst_evals import data
from mst_evals.judging.measures import DRAWS, Measure, rank_correlation, separation, untold
from mst_evals.statistics import stats

MILD, STRONG = 1, 2
INTENSITIES = {"mild": MILD, "strong": STRONG}
# Fixed before any judge was run: half the rubric's step from "none" to "almost neutral" is a point.
MARGIN = 1.0


def measured(table: pd.DataFrame, draws: int = DRAWS) -> list[Measure]:
    """Every measure that needs an intended slant.

    Args:
        table: Columns id, topic, version, favours, intensity, about, bias.
        draws: Resamples of each bootstrap.
    """
    return [
        *correlations(table, draws),
        *separations(table, draws),
        *symmetry(table),
        *critical(table),
        _against_neutral("omission", "omission", table, table["version"] == "omission"),
    ]


def ladder(table: pd.DataFrame, sides: tuple[str, ...] = data.SIDES) -> pd.DataFrame:
    """The articles whose grade should rise with the intensity: neutral ones and those slanted to the sides."""
    return table[(table["version"] == "neutral") | table["version"].isin(sides)]


def correlations(table: pd.DataFrame, draws: int = DRAWS) -> list[Measure]:
    """Rank correlation of grade and intended intensity (0, 1, 2) on the left ladder, the right one and both."""
    found = []
    for name, sides in (("left", ("left",)), ("right", ("right",)), ("both", data.SIDES)):
        rungs = ladder(table, sides)
        interval = rank_correlation(rungs["intensity"], rungs["bias"], rungs["topic"].tolist(), draws)
        found.append(_told("rank_correlation", name, interval))
    return found


def separations(table: pd.DataFrame, draws: int = DRAWS) -> list[Measure]:
    """AUC of neutral articles against mildly and strongly slanted ones, and against those slanted by omission."""
    slanted = table["version"].isin(data.SIDES)
    groups = {name: slanted & (table["intensity"] == level) for name, level in INTENSITIES.items()}
    groups["omission"] = table["version"] == "omission"
    found = []
    for name, inside in groups.items():
        rows = table[inside | (table["version"] == "neutral")]
        interval = separation(rows["bias"], inside[rows.index], rows["topic"].tolist(), draws)
        found.append(_told("auc", name, interval))
    return found


def symmetry(table: pd.DataFrame) -> list[Measure]:
    """Right minus left at equal intensity, paired by topic: positive where the right is graded as more biased."""
    found = []
    for name, level in INTENSITIES.items():
        sides = [_by_topic(table[(table["version"] == side) & (table["intensity"] == level)]) for side in data.SIDES]
        found.append(_paired("symmetry", name, sides[1], sides[0]))
    return found


def critical(table: pd.DataFrame) -> list[Measure]:
    """Fair reports of facts that are unwelcome to one side, minus the neutral reports of the same topic.

    They should not differ: all of them are tested for equivalence within `MARGIN`; those about each side stand beside.
    """
    inside = table["version"] == "critical"
    return [
        _against_neutral("critical", "all", table, inside, MARGIN),
        *(
            _against_neutral("critical", f"of the {side}", table, inside & (table["about"] == side))
            for side in data.SIDES
        ),
    ]


def _against_neutral(
    name: str, of: str, table: pd.DataFrame, inside: "pd.Series[bool]", margin: float | None = None
) -> Measure:
    return _paired(name, of, _by_topic(table[inside]), _by_topic(table[table["version"] == "neutral"]), margin)


def _by_topic(rows: pd.DataFrame) -> "pd.Series[float]":
    """Mean grade of each topic."""
    return rows.groupby("topic", sort=False)["bias"].mean()


def _paired(name: str, of: str, a: "pd.Series[float]", b: "pd.Series[float]", margin: float | None = None) -> Measure:
    """Mean of a minus b over the topics that have both."""
    topics = [topic for topic in a.index if topic in b.index]
    if not topics:
        return untold(name, of, "no topic has a grade on both sides")
    difference = stats.paired_difference(np.asarray(a[topics]), np.asarray(b[topics]), topics)
    same = None if margin is None else stats.equivalence(difference.interval, margin)
    return Measure(name, of, difference.interval, difference.p, same)


def _told(name: str, of: str, interval: stats.Interval) -> Measure:
    reason = "" if interval.mean is not None else "no article" if not interval.n else "the grades do not vary"
    return Measure(name, of, interval, reason=reason)
