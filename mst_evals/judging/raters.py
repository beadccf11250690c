"""How far a judge agrees with itself, with another judge and with people; and whether it prefers its own kind."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mst_evals.judging.measures import DRAWS, Level, Measure, agreement, contrast, rank_correlation, untold
from mst_evals.judging.validation import Rating
from mst_evals.metrics import GRADES
from mst_evals.statistics import stats

# Families of models by what their names hold; the first that fits counts.
_FAMILIES = {
    "claude": r"claude", "llama": r"llama", "qwen": r"qwen|qwq", "gemini": r"gemini|gemma", "deepseek": r"deepseek",
    "mistral": r"mi[sx]tral|ministral|magistral", "grok": r"grok", "phi": r"\bphi-", "command": r"\bcommand",
    "gpt": r"gpt|\bo[1-9]\b",
}  # fmt: skip


def family(model: str) -> str:
    """The family a model belongs to, by its name; a name of no known family is a family of its own."""
    name = model.lower()
    return next((one for one, pattern in _FAMILIES.items() if re.search(pattern, name)), name.rsplit("/", 1)[-1])


def retest(grades: pd.DataFrame, topics: dict[str, str], draws: int = DRAWS) -> list[Measure]:
    """The same judge on the same articles again.

    Args:
        grades: Columns of `grading.COLUMNS`.
        topics: Article id -> topic.
        draws: Resamples of the bootstrap.
    """
    names = ("difference", "agreement", "same verdict")
    if grades["run"].nunique() < 2:
        return [untold("retest", name, "graded once (--repeat 1)") for name in names]
    wide = grades.pivot(index="id", columns="run", values="bias").dropna()
    if wide.empty:
        return [untold("retest", name, "no article has a grade in every run") for name in names]
    of_rows = [topics[one] for one in wide.index]
    values = wide.to_numpy()
    first, second = np.triu_indices(values.shape[1], 1)
    moved = np.abs(values[:, first] - values[:, second]).mean(axis=1)
    verdicts = grades.pivot(index="id", columns="run", values="verdict").loc[wide.index]
    same = (verdicts.nunique(axis=1) == 1).to_numpy(dtype=np.float64)
    alike = agreement(values, of_rows, "interval", draws)
    return [
        Measure("retest", names[0], stats.cluster_interval(moved, of_rows)),
        Measure("retest", names[1], alike, reason="" if alike.mean is not None else "all grades are equal"),
        Measure("retest", names[2], stats.share_interval(same, of_rows)),
    ]


def against(name: str, table: pd.DataFrame, bias: str, verdict: str, draws: int = DRAWS) -> list[Measure]:
    """The judge against another rater on the same articles: difference, alpha of grades, alpha of verdicts.

    Args:
        name: Of the measure, ``judges`` or ``people``.
        table: Columns topic, bias, verdict and the two named.
        bias: Column of the other rater's grades.
        verdict: Column of the other rater's verdicts, empty or None where there is none.
        draws: Resamples of the bootstraps.
    """
    both = table.dropna(subset=["bias", bias])
    names = ("difference", "grades", "verdicts")
    if both.empty:
        return [untold(name, of, "no article has both grades") for of in names]
    topics = both["topic"].tolist()
    difference = stats.paired_difference(both["bias"].to_numpy(), both[bias].to_numpy(dtype=np.float64), topics)
    grades = agreement(both[["bias", bias]], topics, "interval", draws)
    ranks = np.column_stack([both[column].map(GRADES).astype(float) for column in ("verdict", verdict)])
    verdicts = agreement(ranks, topics, "ordinal", draws)
    return [
        Measure(name, names[0], difference.interval, difference.p),
        Measure(name, names[1], grades, reason="" if grades.mean is not None else "all grades are equal"),
        Measure(name, names[2], verdicts, reason="" if verdicts.mean is not None else _no_verdicts(verdicts)),
    ]


def _no_verdicts(found: stats.Interval) -> str:
    return "all verdicts are equal" if found.n else "no article has both verdicts"


def people(table: pd.DataFrame, draws: int = DRAWS) -> list[Measure]:
    """The judge against people's ratings: rank correlation first."""
    both = table.dropna(subset=["bias", "human_bias"])
    found = rank_correlation(both["human_bias"], both["bias"], both["topic"].tolist(), draws)
    reason = "" if found.mean is not None else "grades or ratings do not vary"
    correlation = Measure("rank_correlation", "people", found, reason=reason)
    return [correlation, *against("people", table, "human_bias", "human_verdict", draws)]


def among(ratings: Sequence[Rating], topics: Mapping[str, str], draws: int = DRAWS) -> list[Measure]:
    """How far people agree with each other, over the articles that two or more of them rated.

    Args:
        ratings: Each rater's of each article, once.
        topics: Article id -> topic.
        draws: Resamples of the bootstraps.
    """
    levels: dict[str, Level] = {"grades": "interval", "verdicts": "ordinal"}
    rows = [(one.article, one.rater, one.bias, GRADES.get(one.verdict or "")) for one in ratings]
    table = pd.DataFrame(rows, columns=["article", "rater", *levels])
    found = []
    for name, level in levels.items():
        wide = table.pivot(index="article", columns="rater", values=name).astype(float)
        alike = agreement(wide, [topics[one] for one in wide.index], level, draws)
        none = f"all {name} are equal" if alike.n else f"no article has {name} of two raters"
        found.append(Measure("raters", name, alike, reason="" if alike.mean is not None else none))
    return found


def self_preference(table: pd.DataFrame, judge: str, second: str | None, draws: int = DRAWS) -> Measure:
    """Judge minus second judge on articles of the judge's own family, minus the same on the others.

    Negative where the judge is kinder to its own kind than the second judge is. What the two judges differ in on every
    article cancels; a second judge that dislikes that family would look the same, so both orders are worth a run.

    Args:
        table: Columns topic, generator, bias, and second_bias where a second judge graded.
        judge: Name of the judge.
        second: Name of the second judge, None for none.
        draws: Resamples of the bootstrap.
    """
    name, of = "self_preference", "own family minus others"
    known = sorted(set(table["generator"].dropna()))
    if not known:
        return untold(name, of, "the data do not say which model wrote the articles (no column 'generator')")
    own = {one for one in known if family(one) == family(judge)}
    if not own:
        return untold(name, of, f"no article is by a model of the family of {judge}")
    if own == set(known):
        return untold(name, of, f"every article is by a model of the family of {judge}")
    if second is None:
        return untold(name, of, "it takes a second judge of another family (--second-grader)")
    if family(second) == family(judge):
        return untold(name, of, "both judges are of one family")
    both = table.dropna(subset=["bias", "second_bias", "generator"])
    gap = both["bias"].to_numpy() - both["second_bias"].to_numpy()
    found = contrast(gap, both["generator"].isin(own), both["topic"].tolist(), draws)
    return Measure(name, of, found, reason="" if found.mean is not None else "one side has no grade of both judges")
