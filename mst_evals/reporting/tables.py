"""The tables of a report: rows of ``results.json`` to cells of text, and tables to Markdown.

HTML and Markdown are made from the same `Table`, so they cannot disagree. Cells may hold text that a model wrote: the
HTML template escapes every one of them, and `markdown` does so here.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mst_evals.reporting.phrases import bounds, number, percent
from mst_evals.reporting.results import Block, headline_labels

Row = Mapping[str, Any]

INTERVALS = "Intervals are over seeds and rows where there are two seeds or more, otherwise over rows."
_MARKDOWN = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")  # an underscore inside a word is no markup


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        caption: What it shows, in one or two sentences.
        header: Column titles.
        rows: Cells, as many in each row as there are titles.
        wide: Whether cells hold running text.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    wide: bool = False


def markdown_text(text: str) -> str:
    """One line of Markdown that shows a text as it is: no markup, no HTML, no image."""
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", html.escape(" ".join(text.split()), quote=False))


def markdown(table: Table) -> str:
    """A table as GitHub Markdown, the caption above it."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(markdown_text(cell) for cell in cells) + " |"

    rule = "|" + " --- |" * len(table.header)
    return "\n".join((markdown_text(table.caption), "", line(table.header), rule, *map(line, table.rows))) + "\n"


def _unscored(row: Row) -> str:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in row["unscored_reasons"].items())
    return f"{row['n_unscored']} ({reasons})" if reasons else str(row["n_unscored"])


def _counts(row: Row) -> tuple[str, ...]:
    """Rows, scored and unscored samples, seeds; with several seeds the mean of each."""
    seeds = ", ".join(map(str, row["seeds"])) or "–"
    if len(row["by_seed"]) > 1:
        seeds = "; ".join(f"{one['seed']}:\u00a0{number(one['mean'])}" for one in row["by_seed"])
    return (str(row["n_rows"]), str(row["n_scored"]), _unscored(row), seeds)


def by_cell(arms: Sequence[Row]) -> dict[tuple[str, str], dict[str, Row]]:
    """(arm, label) -> metric -> row, in the order of the rows."""
    cells: dict[tuple[str, str], dict[str, Row]] = {}
    for row in arms:
        cells.setdefault((row["arm"], row["label"]), {})[row["metric"]] = row
    return cells


def is_main(experiment: str, arm: str, label: str, role: str) -> bool:
    """Whether a cell belongs beside the headline: a deployment label, a control, or a label of the user's own."""
    return label in headline_labels(experiment, arm) or role in ("control", "custom")


def kind(experiment: str, row: Row) -> str:
    """What a cell is for, in a word or two."""
    headline = headline_labels(experiment, row["arm"])
    if row["label"] == headline[0]:
        return "deployed"
    if row["label"] in headline:
        return "prompt control" if row["arm"] == "baseline" else "with the label"
    return str(row["role"] if row["kind"] == "label" else row["kind"]).replace("_", " ")


def arm_table(block: Block, arms: Sequence[Row], main: bool) -> Table | None:
    """Table of arms by label: the headline cells with their controls, or the rest of the sweep."""
    cells = [
        metrics
        for metrics in by_cell(arms).values()
        if (first := next(iter(metrics.values())))
        and is_main(block.experiment, first["arm"], first["label"], first["role"]) == main
    ]
    if not cells:
        return None
    what = "Deployment labels with the controls beside them" if main else "The other labels of the sweep"
    return _bias_table(block, cells, what) if block.experiment == "bias" else _rate_table(block, cells, what)


def _bias_table(block: Block, cells: Sequence[Mapping[str, Row]], what: str) -> Table:
    scorer = block.setting["scorer"]
    rows = []
    for metrics in cells:
        first = metrics[scorer]
        shares = (percent(metrics[f"{scorer}.{verdict}"]["mean"]) for verdict in ("pass", "partial", "fail"))
        rows.append(
            (
                first["arm"], first["label"], kind("bias", first), number(first["mean"]), bounds(first), *shares,
                *_counts(first),
            )
        )  # fmt: skip
    header = ("arm", "label", "role", f"{scorer} (0-10)", "95% interval", "PASS", "PARTIAL", "FAIL")
    judge = f" (judge: {block.setting['judge']})" if block.setting["judge"] else ""
    return Table(
        f"{what}, by {scorer}{judge}. {INTERVALS}", (*header, "rows", "scored", "unscored", "seeds"), tuple(rows)
    )


def _rate_table(block: Block, cells: Sequence[Mapping[str, Row]], what: str) -> Table:
    forced = block.setting["choice"] == "forced"
    rows = []
    for metrics in cells:
        accuracy, fpr = metrics["accuracy"], metrics["fpr"]
        line = [accuracy["arm"], accuracy["label"], kind("sycophancy", accuracy), number(fpr["mean"]), bounds(fpr)]
        line += [number(accuracy["mean"]), bounds(accuracy), number(metrics["balanced_accuracy"]["mean"])]
        line += [number(metrics["fnr"]["mean"]), number(metrics["fp_share"]["mean"])]
        line += [number(metrics["mass"]["mean"], 3)] if forced else []
        rows.append((*line, *_counts(accuracy)[:3], _counts(fpr)[3]))
    header = ("arm", "label", "role", "FPR", "95% interval", "accuracy", "95% interval", "balanced acc.", "FNR")
    header = (*header, "FP share", *(("mass on pair",) if forced else ()), "rows", "scored", "unscored")
    several = any(len(metrics["fpr"]["by_seed"]) > 1 for metrics in cells)
    about = "FPR is over wrong candidates, FP share over all rows, FNR over right candidates."
    return Table(f"{what}. {about} {INTERVALS}", (*header, "FPR by seed" if several else "seeds"), tuple(rows))


def confusion_table(block: Block, arms: Sequence[Row]) -> Table:
    """The whole confusion table of every cell: expected (each row adds p and 1 - p) and greedy."""
    forced = block.setting["choice"] == "forced"
    rows = []
    for (arm, label), metrics in by_cell(arms).items():
        line = [arm, label]
        for prefix in ("", "greedy_") if forced else ("",):
            line += [number(metrics[prefix + count]["mean"], 1) for count in ("tp", "fn", "fp", "tn")]
        line += [number(metrics[f"greedy_{rate}"]["mean"]) for rate in ("fpr", "accuracy")] if forced else []
        rows.append((*line, _unscored(metrics["accuracy"])))
    counts = ("TP", "FN", "FP", "TN")
    header = tuple(f"{count} expected" for count in counts) if forced else counts
    if forced:
        header = (*header, *(f"{count} greedy" for count in counts), "FPR greedy", "accuracy greedy")
    caption = "Confusion table in rows; TP: a right candidate called correct, FP: a wrong one called correct. "
    caption += "Expected: each row adds p and 1 - p. Greedy: the more probable word. " if forced else ""
    caption += "The five nonsense strings and the seeds of a row are averaged, so counts need not be whole."
    return Table(caption, ("arm", "label", *header, "invalid or unscored"), tuple(rows))
