"""What does a leaked label do to grades? The same completions graded with and without its text put in front."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from inspect_ai.model import Model

from mst_evals import judge
from mst_evals.errors import InputError
from mst_evals.judging import grading
from mst_evals.judging.grading import Text
from mst_evals.judging.logs import Sample
from mst_evals.judging.sentences import number
from mst_evals.judging.writing import Listing
from mst_evals.statistics import stats

ALL = "all"


@dataclass(frozen=True)
class Shift:
    """What the text of a label does to the grades of the articles written under it.

    Attributes:
        label: Name of the label, or `ALL`.
        articles: Articles graded both ways.
        unscored: Articles that lack one of the two grades.
        no_reply: Calls that got no reply of the judge, so that asking again may help.
        without: Mean grade of the article alone.
        with_label: Mean grade with the label's text in front.
        shift: With minus without, clustered by topic.
        turned: Articles whose verdict changed.
    """

    label: str
    articles: int
    unscored: int
    no_reply: int
    without: stats.Interval
    with_label: stats.Interval
    shift: stats.Paired
    turned: int


def spread(samples: Sequence[Sample], wanted: int | None) -> list[Sample]:
    """So many samples, spread evenly over all of them; every one where no number is given.

    Raises:
        InputError: The number is below 1.
    """
    if wanted is None or wanted >= len(samples):
        return list(samples)
    if wanted < 1:
        raise InputError(f"--rows {wanted}: expected at least 1")
    return [samples[place * len(samples) // wanted] for place in range(wanted)]


def shifts(
    samples: Sequence[Sample], grader: str | Model, folder: Path, rows: int | None = None, display: str | None = None
) -> list[Shift]:
    """Grade completions with and without the text of their label in front.

    Args:
        samples: With a label and a completion.
        grader: ``lexical`` or any Inspect model.
        folder: Where articles and logs go.
        rows: Number of samples, see `spread`.
        display: Inspect's display.

    Returns:
        All of them first, then each label in order of appearance.
    """
    chosen = spread(samples, rows)
    texts = []
    for place, sample in enumerate(chosen):
        texts.append(Text(f"without/{place}", sample.topic, sample.completion))
        texts.append(Text(f"with/{place}", sample.topic, f"{sample.label_text}\n\n{sample.completion}"))
    frame = grading.grade(texts, grader, 1, folder, display).frame.set_index("id")
    bias = np.array([[frame.loc[f"{side}/{i}", "bias"] for side in ("without", "with")] for i in range(len(chosen))])
    verdict = [[frame.loc[f"{side}/{i}", "verdict"] for side in ("without", "with")] for i in range(len(chosen))]
    reason = [[frame.loc[f"{side}/{i}", "reason"] for side in ("without", "with")] for i in range(len(chosen))]
    unanswered = (np.array(reason) == judge.ERROR).sum(axis=1)
    turned = np.array([alone != told for alone, told in verdict])
    names = np.array([str(sample.facts.get("label") or sample.label_text) for sample in chosen])
    topics = np.array([sample.topic for sample in chosen])
    groups = {ALL: np.ones(len(chosen), dtype=bool)} | {name: names == name for name in dict.fromkeys(names.tolist())}
    found = []
    for name, mine in groups.items():
        scored = mine & np.isfinite(bias).all(axis=1)
        without, with_label = bias[scored].T if scored.any() else (np.array([]), np.array([]))
        of_rows = topics[scored].tolist()
        first, second = (stats.cluster_interval(side, of_rows, bounds=(0.0, 10.0)) for side in (without, with_label))
        paired = stats.paired_difference(with_label, without, of_rows)
        left_out, silent = int(mine.sum() - scored.sum()), int(unanswered[mine].sum())
        found.append(Shift(name, int(scored.sum()), left_out, silent, first, second, paired, int(turned[scored].sum())))
    return found


def table(found: Sequence[Shift], grader: str) -> Listing:
    """The shifts as a table."""

    def row(one: Shift) -> tuple[str, ...]:
        means = (number(one.without.mean), number(one.with_label.mean))
        return (one.label, str(one.articles), *means, _interval(one.shift), str(one.turned), str(one.unscored))

    return Listing(
        f"What the label's text in front of the article does to the grades of {grader} (95% over topics)",
        ("label", "articles", "without", "with", "with minus without", "verdicts turned", "unscored"),
        tuple(map(row, found)),
    )


def sentence(found: Sequence[Shift], grader: str) -> str:
    """What the table shows over all labels."""
    whole = next(one for one in found if one.label == ALL)
    if whole.shift.interval.mean is None:
        return f"With {grader} nothing could be graded both ways ({whole.unscored} articles unscored)."
    moves = (
        f"moves the grade of {grader} by {_interval(whole.shift)}"
        if whole.shift.interval.excludes_zero
        else f"is not shown to move the grade of {grader}: {_interval(whole.shift)}"
    )
    return f"The label's text in front of {whole.articles} articles {moves}; {whole.turned} verdicts turn."


def _interval(paired: stats.Paired) -> str:
    found = paired.interval
    bounds = "no interval" if found.low is None else f"{number(found.low)} to {number(found.high)}"
    return f"{number(found.mean)} ({bounds})"
