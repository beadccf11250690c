"""The report: Inspect logs in, ``report.html``, ``report.md`` and ``results.json`` out.

logs -> `frame` (one tidy frame) -> `results` and `comparisons` (numbers) -> `claims` (sentences), `tables`, `figures`
-> `sections` -> this module, which writes them. The HTML file holds its figures and loads nothing; every text that
came out of a log is escaped (articles are model output).
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from mst_evals import __version__, claims
from mst_evals import frame as frames
from mst_evals import results as compute
from mst_evals import tables as tabulate
from mst_evals.frame import MEASURE, SETTING, Frame
from mst_evals.manifest import write_text
from mst_evals.sections import Computed, Figure, Section, computed, make_section
from mst_evals.tables import Table

TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True)
class Summary:
    """What `write_report` wrote.

    Attributes:
        html: The report to open.
        markdown: The same tables as text, with references to the figures.
        json: The numbers.
        results: Content of `json`.
    """

    html: Path
    markdown: Path
    json: Path
    results: dict[str, Any]


def _plain(value: Any) -> Any:
    """JSON-ready: NaN becomes null, numpy scalars become Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _results(frame: Frame, done: Sequence[Computed], notes: Sequence[str]) -> dict[str, Any]:
    found = [
        {**{key: part.block.setting[key] for key in (*SETTING, "scorer")}, "sentences": part.findings} for part in done
    ]
    return {
        "schema": 1,
        "version": __version__,
        "arms": _plain([row for part in done for row in part.arms]),
        "comparisons": _plain([row for part in done for row in part.comparisons]),
        "steps": _plain([row for part in done for row in part.steps]),
        "findings": found,
        "limits": claims.limits([part.block for part in done], frame.provenance),
        "provenance": _plain(frame.provenance),
        "notes": list(notes),
    }


def _html(sections: Sequence[Section], results: Mapping[str, Any], provenance: Sequence[Table]) -> str:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.tests["figure"] = lambda item: isinstance(item, Figure)
    environment.tests["numeric"] = lambda cell: bool(re.fullmatch(r"[-–<\d.,%/ ]+|-?[\d.]+ to -?[\d.]+", cell))
    environment.filters["inline"] = Markup  # our own figures, in which matplotlib has escaped all text
    template = environment.get_template("report.html.jinja")
    return template.render(sections=sections, results=results, provenance=provenance)


def _markdown(sections: Sequence[Section], results: Mapping[str, Any], provenance: Sequence[Table]) -> str:
    text = tabulate.markdown_text
    lines = ["# Monitor Sensitive Training: report", ""]
    for section in sections:
        lines += [f"## {text(section.title)}", "", *(f"- **{text(line)}**" for line in section.findings), ""]
        lines += [f"- {text(line)}" for line in section.notes] + [""]
        for item in section.items:
            if isinstance(item, Figure):
                lines += [f"![{text(item.caption)}](figures/{item.file})", "", f"*{text(item.caption)}*", ""]
            else:
                lines += [tabulate.markdown(item), ""]
    lines += ["## What this run cannot show", "", *(f"- {text(line)}" for line in results["limits"]), ""]
    if results["notes"]:
        lines += ["## Logs left out or replaced", "", *(f"- {text(line)}" for line in results["notes"]), ""]
    lines += ["## Provenance", "", *(f"{tabulate.markdown(table)}\n" for table in provenance)]
    return "\n".join(lines)


def write_report(logs: Path, out: Path) -> Summary:
    """Write ``report.html``, ``report.md`` with ``figures/*.svg``, and ``results.json``, each atomically.

    Args:
        logs: A directory of Inspect logs, searched to any depth, or one log.
        out: Directory of the report; made when missing.

    Raises:
        InputError: There is no log that can be reported on. Nothing is written then.
    """
    frame = frames.read(logs)
    done = [computed(block) for block in compute.blocks(frame)]
    grouped = [list(part) for _, part in groupby(done, key=lambda part: [part.block.setting[key] for key in SETTING])]
    several = len(grouped) > len({part[0].block.experiment for part in grouped})
    sections = [
        make_section(logs, part, frame.provenance, index, several) for index, part in enumerate(grouped, start=1)
    ]
    results = _results(frame, done, frame.notes)
    provenance = tabulate.provenance_tables(frame.provenance)
    html, markdown = _html(sections, results, provenance), _markdown(sections, results, provenance)
    for item in (item for section in sections for item in section.items if isinstance(item, Figure)):
        write_text(out / "figures" / item.file, item.svg)
    summary = Summary(out / "report.html", out / "report.md", out / "results.json", results)
    write_text(summary.json, json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(summary.markdown, markdown)
    write_text(summary.html, html)
    return summary


def summary_table(summary: Summary) -> Group:
    """The closing summary of a terminal: every arm at its deployment label and its controls, then the findings.

    Narrow enough for 80 columns. Texts are `rich.text.Text`, since rich would read [...] in a string as markup.
    """
    table = RichTable(box=SIMPLE_HEAD, padding=0, title="Monitor Sensitive Training", title_justify="left")
    for title in ("measure", "arm", "label", "mean", "95% interval", "PASS / acc.", "n", "seeds"):
        table.add_column(title, justify="right" if title in ("mean", "PASS / acc.", "n") else "left", no_wrap=True)
    measured = [*SETTING, *MEASURE, "arm", "label", "metric"]
    means = {tuple(row[key] for key in measured): row["mean"] for row in summary.results["arms"]}
    last: list[Any] = []
    for row in summary.results["arms"]:
        experiment, metric = row["experiment"], row["metric"]
        primary = row["scorer"] if experiment == "bias" else "fpr"
        if metric != primary or not tabulate.is_main(experiment, row["arm"], row["label"], row["role"]):
            continue
        here = [row[key] for key in (*SETTING, *MEASURE)]
        if last and here != last:
            table.add_section()
        last = here
        beside = {**row, "metric": f"{metric}.pass" if experiment == "bias" else "accuracy"}
        cells = (
            metric, row["arm"], row["label"], claims.number(row["mean"]), claims.bounds(row),
            claims.number(means[tuple(beside[key] for key in measured)]), str(row["n_scored"]),
            ", ".join(map(str, row["seeds"])) or "–",
        )  # fmt: skip
        table.add_row(*(Text(cell) for cell in cells))
    findings = [Text(f"- {line}") for found in summary.results["findings"] for line in found["sentences"]]
    return Group(table, Text("PASS: share of articles (bias); acc.: accuracy (sycophancy, beside fpr)."), *findings)
