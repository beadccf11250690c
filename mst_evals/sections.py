"""The sections of a report: for every setting its sentences, tables and figures in reading order.

HTML and Markdown are both made from these (`report`), so they cannot disagree.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mst_evals import claims, comparisons, figures, labels, results
from mst_evals import frame as frames
from mst_evals import tables as tabulate
from mst_evals.comparisons import INDIFFERENT, MARGIN
from mst_evals.results import Block
from mst_evals.tables import Table

Rows = list[dict[str, Any]]

CLOSING_SENTENCES = 2
CLOSING_LIMIT = 420  # characters; longer closings are cut at the front and say so


@dataclass(frozen=True)
class Figure:
    """A figure with its caption; `file` is its name below ``figures/``."""

    file: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Section:
    """One setting: what it shows in sentences, then its tables and figures in reading order."""

    title: str
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    items: tuple[Table | Figure, ...]


@dataclass(frozen=True)
class Computed:
    """A block with everything computed from it."""

    block: Block
    arms: Rows
    comparisons: Rows
    steps: Rows
    findings: list[str]


def computed(block: Block) -> Computed:
    """Compute everything a section shows of a block."""
    arms, pairs = results.arm_rows(block), comparisons.comparison_rows(block)
    steps = comparisons.step_rows(block) if block.experiment == "sycophancy" else []
    return Computed(block, arms, pairs, steps, claims.findings(block, arms, pairs, steps))


def _of(rows: Rows, metric: str) -> Rows:
    return [row for row in rows if row["metric"] == metric and row["mean"] is not None]


def _main(block: Block, rows: Rows) -> Rows:
    """The rows a bar chart shows; a bar is solid for the label an arm is deployed with, outlined for a control."""
    experiment = block.experiment
    chosen = [row for row in rows if tabulate.is_main(experiment, row["arm"], row["label"], row["role"])]
    return [{**row, "solid": tabulate.kind(experiment, row) in ("deployed", "custom")} for row in chosen]


def _swept(rows: Rows) -> list[Rows]:
    """The rows of every arm that was asked with at least three labels of the axis, mst and shuffled alike."""
    by_arm = [list(part) for _, part in groupby(rows, key=lambda row: row["arm"])]
    return [part for part in by_arm if sum(row["position"] is not None for row in part) >= 3]


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


def _bias_figures(stem: str, done: Computed) -> list[Figure]:
    scorer = done.block.setting["scorer"]
    unit, means = f"bias by {scorer} (0-10)", _of(done.arms, scorer)
    cells = tabulate.by_cell(done.arms)
    shares = [
        (row, {part: cells[row["arm"], row["label"]][f"{scorer}.{part}"]["mean"] for part in figures.VERDICTS})
        for row in _main(done.block, means)
    ]
    found = [
        Figure(
            f"{stem}-1c.svg",
            "Mean bias by arm, with the improvement of mst topic by topic (counterpart of figure 1c). Full bars: the "
            "label of deployment; outlines: controls. Lines: 95% intervals; dots, if several: seeds.",
            figures.bias_by_arm(_main(done.block, means), _gains(done.block), unit, MARGIN),
        ),
        Figure(f"{stem}-1d.svg", f"Verdicts by {scorer} (counterpart of figure 1d).", figures.verdicts(shares)),
    ]
    if swept := _swept(means):
        caption = "Bias against the label (counterpart of figure 1e). Shaded: labels seen in training; open marks: "
        caption += "controls; lines: 95% intervals, each for its own point."
        found.append(Figure(f"{stem}-1e.svg", caption, figures.bias_by_label(swept, unit)))
    return found


def _rate_figures(stem: str, done: Computed) -> list[Figure]:
    fpr, accuracy = _of(done.arms, "fpr"), _of(done.arms, "accuracy")
    bars = "Full bars: the label of deployment; outlines: controls. Lines: 95% intervals; dots, if several: seeds."
    found = [
        Figure(
            f"{stem}-2b.svg",
            f"Sycophancy: false-positive rate over wrong candidates (counterpart of figure 2b). {bars}",
            figures.bars(_main(done.block, fpr), "false-positive rate (wrong candidates called correct)", 1),
        ),
        Figure(
            f"{stem}-2c.svg",
            f"Accuracy over all candidates (counterpart of figure 2c). {bars}",
            figures.bars(_main(done.block, accuracy), "accuracy", 1),
        ),
    ]
    swept = [("false-positive rate", _swept(fpr)), ("accuracy", _swept(accuracy))]
    if swept[0][1]:
        low, high = (labels.percent(s) for s in labels.TRAINED_SUGGESTIBILITY)
        caption = (
            f"False-positive rate and accuracy against the label (counterpart of figure 2d). Shaded: labels seen in "
            f"training, {low} to {high}%; stars: held-out labels; dotted: {INDIFFERENT:.1f}%, where agreeing with a "
            "wrong candidate pays as much as not; open marks: controls; lines: 95% intervals, each for its own point."
        )
        found.append(Figure(f"{stem}-2d.svg", caption, figures.rates_by_label(swept, (low, high), INDIFFERENT)))
    return found


def _example_topics(block: Block, shared: Sequence[str]) -> list[tuple[str, str]]:
    """(row_id, rule) of the topics whose closings are shown: chosen by rule, never for how they read."""
    first = min(shared, key=lambda row: hashlib.sha256(f"closing/{row}".encode()).hexdigest())
    chosen = [(first, "drawn by a fixed hash of the topic's id")]
    mst, other = block.cell("mst", block.held_out), block.cell("baseline", labels.NONE)
    ranked = sorted(shared, key=lambda row: (mst.loc[row, "value"] - other.loc[row, "value"], row))
    median = (ranked[(len(ranked) - 1) // 2], "the median topic by the difference of mst and baseline")
    return [median, *(choice for choice in chosen if choice[0] != median[0])]


def closing(article: str) -> str:
    """The last sentences of an article, on one line."""
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(article.split()))
    text = " ".join(sentences[-CLOSING_SENTENCES:])
    return text if len(text) <= CLOSING_LIMIT else "[…] " + text[-CLOSING_LIMIT:]


def _closings(logs: Path, block: Block) -> list[Table]:
    """Example closings side by side (counterpart of figure 1f): the same topic, each arm at its deployment label."""
    lines = block.samples[block.samples["value"].notna()].sort_values("seed")
    cells = {}
    for arm in results.MAIN_ARMS:
        label = results.headline_labels(block.experiment, arm)[0]
        found = lines[(lines["arm"] == arm) & (lines["label"] == label)].drop_duplicates("row_id").set_index("row_id")
        if not found.empty:
            cells[arm, label] = found
    if ("mst", block.held_out) not in cells or ("baseline", labels.NONE) not in cells:
        return []
    shared = sorted(set.intersection(*(set(found.index) for found in cells.values())))
    if not shared:
        return []
    topics = _example_topics(block, shared)
    shown = []
    for row, rule in topics:
        lines_of = [found.loc[row] for found in cells.values()]
        headline = next(iter(cells.values())).loc[row, "headline"] or row
        bias = tuple(claims.number(line["value"]) for line in lines_of)
        ends = tuple(closing(frames.completion(logs, line["log"], line["id"])) for line in lines_of)
        header = ("", *(f"{arm} ({label})" for arm, label in cells))
        caption = f"How the articles end on “{headline}”: {rule} (counterpart of figure 1f)."
        shown.append(Table(caption, header, (("closing", *ends), (block.setting["scorer"], *bias)), wide=True))
    return shown


def _block_items(stem: str, done: Computed) -> list[Table | Figure]:
    """Tables and figures of one measure, in reading order."""
    block, bias = done.block, done.block.experiment == "bias"
    drawn = _bias_figures(stem, done) if bias else _rate_figures(stem, done)
    found = [
        tabulate.arm_table(block, done.arms, main=True),
        drawn[0],
        tabulate.comparison_table(block, done.comparisons),
        *drawn[1:],
        tabulate.arm_table(block, done.arms, main=False),
        None if bias else tabulate.confusion_table(block, done.arms),
    ]
    return [item for item in found if item is not None]


def make_section(
    logs: Path, done: Sequence[Computed], provenance: Sequence[dict[str, Any]], index: int, several: bool
) -> Section:
    """One setting with all its measures.

    Args:
        logs: The logs, for the example closings.
        done: The measures of one setting.
        provenance: Of every log.
        index: Number of the section, for file names.
        several: Whether the experiment has other sections, so that the title must tell them apart.
    """
    setting = done[0].block.setting
    experiment = setting["experiment"]
    seeds = sorted({seed for part in done for row in part.arms for seed in row["seeds"]})
    items: list[Table | Figure] = []
    for number, part in enumerate(done):
        # One scorer name occurs twice where two judges, or two rubrics, graded the same articles.
        stem = f"{index}-{experiment}-{re.sub(r'[^a-z0-9]+', '-', part.block.setting['scorer'].lower())}"
        items += _block_items(stem if number == 0 else f"{stem}-{number + 1}", part)
    if experiment == "bias":
        items += _closings(logs, done[0].block)
    asked = f"base {setting['base']}, wording {setting['wording'] or 'none'}, {setting['choice']}"
    title = f"{experiment.capitalize()}: split {setting['split']}, {asked}" + (
        f", data {setting['data_sha256'][:10]}" if several else ""
    )
    notes = [claims.coverage(seeds), *results.missing_cells(done[0].block)]
    notes += [note for part in done for note in claims.irregularities(part.block, provenance)]
    notes += [claims.PUBLISHED[experiment]] if setting["choice"] != "existing" else []
    sentences = [line for part in done for line in part.findings]
    return Section(title, tuple(sentences), tuple(dict.fromkeys(notes)), tuple(items))
