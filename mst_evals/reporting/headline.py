"""Tables and figures of one measure in its main wording: by arm, compared, against the label, and the small print."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mst_evals import labels, variants
from mst_evals.reporting import curves, figures, pair_tables, places, responses, results
from mst_evals.reporting import tables as tabulate
from mst_evals.reporting.comparisons import INDIFFERENT, MARGIN
from mst_evals.reporting.computed import Computed
from mst_evals.reporting.curves import Panel
from mst_evals.reporting.layout import Figure
from mst_evals.reporting.results import Block
from mst_evals.reporting.tables import Table

Rows = list[dict[str, Any]]
Measure = tuple[str, str, str, tuple[float, float]]  # metric, title in plain words, unit, limits of the value axis

BARS = (
    "Full bars: the label of deployment; outlines: controls and, for arms trained without labels, the held-out label. "
    "Below the dotted line: every other arm. Lines: 95% intervals; dots, if several: seeds."
)
READ = (
    "Bold and starred: the held-out label that deployment swaps in; at the right, with open marks: what has no place "
    "on the axis. Lines: 95% intervals, each for its own point; dots: seeds, where there are several and the arms few."
)


def measures(block: Block) -> list[Measure]:
    """What is drawn of a block's primary metrics."""
    if block.experiment == "bias":
        scorer = block.setting["scorer"]
        return [(scorer, "Bias of the articles", f"bias by {scorer} (0-10)", (0.0, 10.0))]
    return [
        ("fpr", "How often a wrong answer is called correct", "false-positive rate", (-0.03, 1.03)),
        ("accuracy", "How often the verdict is right", "accuracy", (-0.03, 1.03)),
    ]


def _of(rows: Rows, metric: str) -> Rows:
    return [row for row in rows if row["metric"] == metric and row["mean"] is not None]


def _main(block: Block, rows: Rows) -> Rows:
    """The rows a bar chart shows; a bar is solid for the label an arm is deployed with, outlined for a control."""
    experiment = block.experiment
    chosen = [row for row in rows if tabulate.is_main(experiment, row["arm"], row["label"], row["role"])]
    return [{**row, "solid": tabulate.kind(experiment, row) in ("deployed", "custom")} for row in chosen]


def _gains(block: Block) -> dict[str, NDArray[np.float64]]:
    """Bias of another arm minus that of mst, topic by topic."""
    mst, column = block.cell("mst", block.held_out), block.metrics[0].column
    gains = {}
    for arm, label in (("baseline", labels.NONE), ("shuffled", block.held_out)):
        other = block.cell(arm, label)
        shared = mst.index.intersection(other.index)
        if len(shared):
            gains[arm] = (other.loc[shared, column] - mst.loc[shared, column]).to_numpy(dtype=float)
    return gains


# --- by arm -------------------------------------------------------------------------------------------------------


def _bias_figures(stem: str, done: Computed) -> list[Figure]:
    scorer = done.block.setting["scorer"]
    unit, shown = f"bias by {scorer} (0-10)", _main(done.block, _of(done.arms, scorer))
    cells = tabulate.by_cell(done.arms)
    # Verdicts of the main arms with their controls, of the others where they are deployed: the table has the rest.
    stacked = [row for row in shown if row["solid"] or row["arm"] in variants.MAIN]
    shares = [
        (row, {part: cells[row["arm"], row["label"]][f"{scorer}.{part}"]["mean"] for part in figures.VERDICTS})
        for row in stacked
    ]
    return [
        Figure(
            f"{stem}-1c.svg",
            f"Mean bias by arm, with the improvement of mst topic by topic (counterpart of figure 1c). {BARS}",
            figures.bias_by_arm(shown, _gains(done.block), unit, MARGIN),
        ),
        Figure(f"{stem}-1d.svg", f"Verdicts by {scorer} (counterpart of figure 1d).", figures.verdicts(shares)),
    ]


def _rate_figures(stem: str, done: Computed) -> list[Figure]:
    fpr, accuracy = (_main(done.block, _of(done.arms, metric)) for metric in ("fpr", "accuracy"))
    return [
        Figure(
            f"{stem}-2b.svg",
            f"Sycophancy: false-positive rate over wrong candidates (counterpart of figure 2b). {BARS}",
            figures.bars(fpr, "false-positive rate (wrong candidates called correct)", 1),
        ),
        Figure(
            f"{stem}-2c.svg",
            f"Accuracy over all candidates (counterpart of figure 2c). {BARS}",
            figures.bars(accuracy, "accuracy", 1),
        ),
    ]


# --- against the label --------------------------------------------------------------------------------------------


def swept(rows: Rows) -> list[Rows]:
    """The rows of every arm that was asked with at least three labels of its axis, mst and shuffled alike."""
    by_arm = [list(part) for _, part in groupby(rows, key=lambda row: row["arm"])]
    return [part for part in by_arm if sum(row["role"] in ("trained", "held_out") for row in part) >= 3]


def _panels(done: Computed, names: Sequence[str], titled: str = "") -> list[Panel]:
    """A panel for each measure, with the arms of these names, which share an axis."""
    block, axis = done.block, results.axis_of(done.block.experiment, names[0])
    found = []
    for metric, title, unit, limits in measures(block):
        rows = _of(done.arms, metric)
        arms = [[row for row in rows if row["arm"] == name] for name in names]
        level = [row for row in rows if row["label"] == labels.NONE and row["arm"] in ("ootb", "baseline")]
        scale = places.scale(axis, {row["label"] for part in arms for row in part})
        threshold = INDIFFERENT if block.experiment == "sycophancy" else None
        found.append(Panel(titled or title, unit, limits, scale, arms, level, threshold))
    return found


def _label_axis(block: Block) -> str:
    return "label at evaluation" if block.experiment == "bias" else "suggestibility label at evaluation (%)"


def _along_bias(stem: str, done: Computed, names: Sequence[str]) -> list[Figure]:
    """The second dimension of the slant axis: how much of it, whatever the side."""
    second = variants.AXES[done.block.experiment].dimensions[1:]
    found = []
    for dimension in second:
        metric, _, unit, limits = measures(done.block)[0]
        rows = [[row for row in _of(done.arms, metric) if row["arm"] == name] for name in names]
        along = f"place on the {dimension} dimension: how much of it the label asks for, whatever the side"
        drawn = curves.by_place(rows, done.block.experiment, dimension, unit, limits, along)
        if drawn is not None:
            caption = (
                f"The same along the {dimension} dimension, on which the held-out label lies beyond the trained ones "
                "(figure 1e, second dimension). One mark for each label; the line joins their means at each place."
            )
            found.append(Figure(f"{stem}-1e-{dimension}.svg", caption, drawn))
    return found


def label_figures(stem: str, done: Computed) -> list[Figure]:
    """Figures 1e and 2d: the main arms, then every other arm on the same axis, then the arms with axes of their own."""
    block, number = done.block, "1e" if done.block.experiment == "bias" else "2d"
    names = [part[0]["arm"] for part in swept(_of(done.arms, measures(block)[0][0]))]
    axis = variants.AXES[block.experiment]
    same = [name for name in names if results.axis_of(block.experiment, name) == axis]
    main = [name for name in same if name in variants.MAIN]
    others = [name for name in same if name not in variants.MAIN]
    own = [name for name in names if name not in same]
    what = "Bias" if block.experiment == "bias" else "False-positive rate and accuracy"
    found = []
    if main:
        low_high = ""
        if block.experiment == "sycophancy":
            low, high = (labels.percent(s) for s in labels.TRAINED_SUGGESTIBILITY)
            low_high = f" Training used {low} to {high}%; dotted: {INDIFFERENT:.1f}%."
        caption = f"{what} against the label (counterpart of figure {number}).{low_high} {READ}"
        drawn = curves.stacked(_panels(done, main), _label_axis(block))
        found += [Figure(f"{stem}-{number}.svg", caption, drawn), *_along_bias(stem, done, main)]
    if others:
        caption = f"{what} against the label, other arms on the same axis, with mst for comparison. {READ}"
        beside = ["mst", *others] if "mst" in main else others
        drawn = curves.stacked(_panels(done, beside), _label_axis(block))
        found.append(Figure(f"{stem}-{number}-others.svg", caption, drawn))
    if own:
        caption = f"{what} against the label, arms with label axes of their own. {READ}"
        columns = [_panels(done, [name], name) for name in own]
        drawn = curves.in_a_row(columns, [f"label of {name}" for name in own])
        found.append(Figure(f"{stem}-{number}-axes.svg", caption, drawn))
    return found


def _leads(row: dict[str, Any]) -> bool:
    """Whether a comparison stands above the figures: the declared ones, and those of the main arms at their labels."""
    return bool(row["declared"] or (row["about"] != "label" and {row["arm_a"], row["arm_b"]} <= set(variants.MAIN)))


# --- the whole ----------------------------------------------------------------------------------------------------


def items(stem: str, done: Computed) -> list[Table | Figure]:
    """Tables and figures of one measure, in reading order.

    Args:
        stem: Begins the file names of the figures.
        done: The measure.
    """
    block, bias = done.block, done.block.experiment == "bias"
    drawn = _bias_figures(stem, done) if bias else _rate_figures(stem, done)
    found = [
        tabulate.arm_table(block, done.arms, main=True),
        drawn[0],
        pair_tables.comparison_table([row for row in done.comparisons if _leads(row)]),
        *drawn[1:],
        *label_figures(stem, done),
        responses.response_table(done.responses) if done.responses else None,
        pair_tables.equivalence_table(done.equivalences),
    ]
    return [item for item in found if item is not None]


def small_print(done: Computed, rest: bool) -> list[Table]:
    """The tables of one measure that few readers need: confusion, both intervals over seeds, all tests.

    Args:
        done: The measure.
        rest: Also the labels and comparisons that the headline leaves out.
    """
    rates = done.block.experiment == "sycophancy"
    found = [
        tabulate.arm_table(done.block, done.arms, main=False) if rest else None,
        tabulate.confusion_table(done.block, done.arms) if rates else None,
        pair_tables.comparison_table([row for row in done.comparisons if not _leads(row)]) if rest else None,
        pair_tables.over_seeds_table(done.arms),
        pair_tables.tests_table(done.comparisons),
    ]
    return [table for table in found if table is not None]
