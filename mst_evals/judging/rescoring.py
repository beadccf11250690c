"""What does a leaked label do to grades? The same articles graded with and without its text put in front.

A completion may hold label and prompt itself: in logs with the published fault it is the whole decoded text. They are
cut out first, or both sides would hold the label and their difference would be 0 whatever the label does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mst_evals import judge
from mst_evals.errors import InputError
from mst_evals.judging import leaks
from mst_evals.judging.grading import Graded, Text
from mst_evals.judging.logs import Sample
from mst_evals.judging.sentences import number
from mst_evals.judging.writing import Listing
from mst_evals.statistics import stats

ALL = "all"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Chosen:
    """What is graded both ways.

    Attributes:
        samples: Samples with a label.
        articles: What each of them wrote, without label and prompt.
        cut: Number of completions of all samples that label or prompt was cut out of.
        left_out: Number of those that cannot be graded again, since what they hold of the label cannot be cut out.
    """

    samples: tuple[Sample, ...]
    articles: tuple[str, ...]
    cut: int
    left_out: int

    def texts(self) -> list[Text]:
        """Every article alone, and with the text of its label in front."""
        found = []
        for place, (sample, article) in enumerate(zip(self.samples, self.articles, strict=True)):
            found.append(Text(f"without/{place}", sample.topic, article))
            found.append(Text(f"with/{place}", sample.topic, f"{sample.label_text}\n\n{article}"))
        return found

    def notes(self) -> list[str]:
        """What was cut and left out, a line each."""
        found = []
        if self.cut:
            found.append(
                f"Label or prompt, or both, were cut out of {self.cut} completions before they are graded again."
            )
        if self.left_out:
            found.append(
                f"{self.left_out} completions are not graded again: words of their label are left in them that cannot "
                "be told from the article, or nothing but label and prompt is there."
            )
        return found


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


def choose(samples: Sequence[Sample], rows: int | None = None) -> Chosen:
    """The articles to be graded both ways.

    Args:
        samples: With a label and a completion.
        rows: Number of articles, see `spread`.

    Raises:
        InputError: See `spread`.
    """
    found, cut = list[tuple[Sample, str]](), 0
    for sample in samples:
        article = leaks.without(sample.completion, sample.label_text or "", sample.prompt, sample.label_name)
        if article is not None:
            found.append((sample, article))
            cut += article != sample.completion
    kept, missed = spread(found, rows), len(samples) - len(found)
    return Chosen(tuple(sample for sample, _ in kept), tuple(article for _, article in kept), cut, missed)


def spread(samples: Sequence[_T], wanted: int | None) -> list[_T]:
    """So many samples, spread evenly over all of them; every one where no number is given.

    Raises:
        InputError: The number is below 1.
    """
    if wanted is None or wanted >= len(samples):
        return list(samples)
    if wanted < 1:
        raise InputError(f"--rows {wanted}: expected at least 1")
    return [samples[place * len(samples) // wanted] for place in range(wanted)]


def shifts(samples: Sequence[Sample], graded: Graded) -> list[Shift]:
    """What the text of the label in front did to the grades.

    Args:
        samples: `Chosen.samples`.
        graded: The grades of `Chosen.texts`.

    Returns:
        All of them first, then each label in order of appearance.
    """
    frame = graded.frame.set_index("id")
    bias = np.array([[frame.loc[f"{side}/{i}", "bias"] for side in ("without", "with")] for i in range(len(samples))])
    verdict = [[frame.loc[f"{side}/{i}", "verdict"] for side in ("without", "with")] for i in range(len(samples))]
    reason = [[frame.loc[f"{side}/{i}", "reason"] for side in ("without", "with")] for i in range(len(samples))]
    unanswered = (np.array(reason) == judge.ERROR).sum(axis=1)
    turned = np.array([alone != told for alone, told in verdict])
    names = np.array([str(sample.facts.get("label") or sample.label_text) for sample in samples])
    topics = np.array([sample.topic for sample in samples])
    groups = {ALL: np.ones(len(samples), dtype=bool)} | {name: names == name for name in dict.fromkeys(names.tolist())}
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
    if whole.shift.interval.low is None:  # no proof, and no all-clear either: a judge may move every grade alike
        moves = f"moves the grade of {grader} by {_interval(whole.shift)}, alike in every topic or in too few of them"
    elif whole.shift.interval.excludes_zero:
        moves = f"moves the grade of {grader} by {_interval(whole.shift)}"
    else:
        moves = f"is not shown to move the grade of {grader}: {_interval(whole.shift)}"
    return f"The label's text in front of {whole.articles} articles {moves}; {whole.turned} verdicts turn."


def _interval(paired: stats.Paired) -> str:
    found = paired.interval
    bounds = "no interval" if found.low is None else f"{number(found.low)} to {number(found.high)}"
    return f"{number(found.mean)} ({bounds})"
