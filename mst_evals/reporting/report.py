"""The report: Inspect logs in, ``report.html``, ``report.md`` and ``results.json`` out.

logs -> `frame` (one tidy frame) -> `results`, `family` and `responses` (numbers) -> `claims` (sentences), `tables`,
`figures` -> `sections` -> this module, which writes them. The HTML file holds its figures and loads nothing; every text
that came out of a log is escaped (articles are model output).
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from mst_evals import __version__, prompts, variants
from mst_evals.manifest import write_text
from mst_evals.reporting import against, claims, probes, progress, repeated, results
from mst_evals.reporting import frame as frames
from mst_evals.reporting import tables as tabulate
from mst_evals.reporting.comparisons import MCNEMAR
from mst_evals.reporting.computed import Computed, Rows, compute
from mst_evals.reporting.frame import MEASURE, SETTING, Frame
from mst_evals.reporting.layout import Figure, Section
from mst_evals.reporting.phrases import bounds, number
from mst_evals.reporting.provenance import provenance_tables
from mst_evals.reporting.sections import make_sections
from mst_evals.reporting.tables import Table

if TYPE_CHECKING:
    from mst_evals.studies.study import Study

SCHEMA = 2  # of results.json
FOOTNOTE = (
    "PASS: share of articles (bias); acc.: accuracy (sycophancy, beside fpr). Intervals: over seeds and rows with two "
    "seeds or more, else over rows."
)
OTHERS = "The other labels and arms, one by one"
NUMERIC = r"[-+–<\d.,%/ ]+|-?[\d.]+%? to -?[\d.]+%?"
PUBLISHED = "published"  # what a run may stand beside, unless it is another run
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


def _read(source: Path, study: "Study | None") -> "tuple[Frame, Study | None, list[str]]":
    """The frame of a directory of logs, or of one that `mst pack` made; its study; what has to be said first."""
    if not (source / "cells.json").is_file():
        return frames.read(source), study, []
    from mst_evals.studies import packed, packed_files

    frame, study = packed.load(source), study or packed_files.study(source)
    return frame, study, [] if study else [packed_files.UNDECLARED]


def _results(frame: Frame, done: Sequence[Computed], comparisons: Rows, equivalences: Rows) -> dict[str, Any]:
    found = [
        {
            **{key: part.block.setting[key] for key in (*SETTING, "scorer")},
            "sentences": part.findings,
            "others": part.others,
        }
        for part in done
    ]
    return {
        "schema": SCHEMA,
        "version": __version__,
        "arms": _plain([row for part in done for row in part.arms]),
        "comparisons": _plain(comparisons),
        "equivalences": _plain(equivalences),
        "methods": {"mcnemar": MCNEMAR},
        "steps": _plain([row for part in done for row in part.steps]),
        "responses": _plain([row for part in done for row in part.responses]),
        "findings": found,
        "limits": claims.limits([part.block for part in done], frame.provenance),
        "provenance": _plain(frame.provenance),
        "notes": list(frame.notes),
    }


def _html(sections: Sequence[Section], found: Mapping[str, Any], provenance: Sequence[Table]) -> str:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.tests["figure"] = lambda item: isinstance(item, Figure)
    environment.tests["numeric"] = lambda cell: bool(re.fullmatch(NUMERIC, cell))
    environment.filters["inline"] = Markup  # our own figures, in which matplotlib has escaped all text
    template = environment.get_template("report.html.jinja")
    return template.render(sections=sections, results=found, provenance=provenance, others=OTHERS)


def _section_lines(section: Section) -> list[str]:
    text = tabulate.markdown_text
    lines = [f"## {text(section.title)}", "", *(f"- **{text(line)}**" for line in section.findings), ""]
    lines += [f"- {text(line)}" for line in section.notes] + [""]
    for item in section.items:
        if isinstance(item, Figure):
            lines += [f"![{text(item.caption)}](figures/{item.file})", "", f"*{text(item.caption)}*", ""]
        else:
            lines += [tabulate.markdown(item), ""]
    if section.others:
        lines += [f"### {OTHERS}", "", *(f"- {text(line)}" for line in section.others), ""]
    return lines


def _markdown(sections: Sequence[Section], found: Mapping[str, Any], provenance: Sequence[Table]) -> str:
    text = tabulate.markdown_text
    lines = ["# Monitor Sensitive Training: report", ""]
    lines += [part for line in found["lead"] for part in (f"**{text(line)}**", "")]
    lines += [line for section in sections for line in _section_lines(section)]
    lines += ["## What this run cannot show", "", *(f"- {text(line)}" for line in found["limits"]), ""]
    if found["notes"]:
        lines += ["## Logs left out or replaced", "", *(f"- {text(line)}" for line in found["notes"]), ""]
    lines += ["## Provenance", "", *(f"{tabulate.markdown(table)}\n" for table in provenance)]
    return "\n".join(lines)


def write_report(logs: Path, out: Path, study: "Study | None" = None, beside: str | None = None) -> Summary:
    """Write ``report.html``, ``report.md`` with ``figures/*.svg``, and ``results.json``, each atomically.

    Args:
        logs: A directory of Inspect logs, searched to any depth, or one log; or a folder that `mst pack` made.
        out: Directory of the report; made when missing.
        study: The study, which declares the family of comparisons and the equivalence tests; None: that of the packed
            folder, and the default ones where there is none.
        beside: `PUBLISHED`: the published numbers stand first, each beside what the run has in its place. Or another
            run, given as its logs or the folder that `mst pack` made of it: how far the two agree stands first.

    Raises:
        InputError: There is no log that can be reported on, or a packed folder is damaged. Nothing is written then.
    """
    frame, study, lead = _read(logs, study)
    return write(frame, logs, out, study, [logs], beside, lead)


def _beside(what: str, done: Sequence[Computed], headers: Rows) -> tuple[list[Section], Rows]:
    """The sections that a report begins with, see `write_report`, and the same as rows of ``results.json``."""
    if what == PUBLISHED:
        return against.sections(done, headers)
    other, _, _ = _read(Path(what), None)
    return repeated.sections(done, headers, list(results.blocks(other)), other.provenance)


def write(
    frame: Frame,
    logs: Path | None,
    out: Path,
    study: "Study | None" = None,
    probed: Sequence[Path] = (),
    beside: str | None = None,
    lead: Sequence[str] = (),
) -> Summary:
    """Write the report of a frame, as `write_report` does.

    Args:
        frame: What is reported on.
        logs: Folder that the names of its logs are relative to, for excerpts of completions; None: without them.
        out: Directory of the report; made when missing.
        study: As in `write_report`.
        probed: Folders and files that hold axis probes.
        beside: As in `write_report`.
        lead: Sentences that the report begins with; how far the study is comes after them.
    """
    far = progress.progress(study, frame.samples) if study else None
    done, comparisons, equivalences = compute(list(results.blocks(frame)), study)
    sections = make_sections(
        logs, done, frame.provenance, study=study, probes=probes.find(probed), comparisons=comparisons,
        equivalences=equivalences, missing=progress.section(far, study) if far and study else None,
    )  # fmt: skip
    found = _results(frame, done, comparisons, equivalences)
    found |= {"lead": [*lead, *([far.sentence] if far else [])], "study": _plain(far.facts()) if far else None}
    if beside is not None:
        first, rows = _beside(beside, done, frame.provenance)
        sections, found["published" if beside == PUBLISHED else "repeated"] = [*first, *sections], _plain(rows)
    provenance = provenance_tables(frame.provenance)
    html, markdown = _html(sections, found, provenance), _markdown(sections, found, provenance)
    for item in (item for section in sections for item in section.items if isinstance(item, Figure)):
        write_text(out / "figures" / item.file, item.svg)
    summary = Summary(out / "report.html", out / "report.md", out / "results.json", found)
    write_text(summary.json, json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(summary.markdown, markdown)
    write_text(summary.html, html)
    return summary


def published_page() -> str:
    """The published numbers beside an empty column, as Markdown."""
    lines = ["# The published numbers, and an empty column for yours", ""]
    lines += [line for section in against.empty() for line in _section_lines(section)]
    return "\n".join(lines).rstrip() + "\n"


def write_published(out: Path) -> Path:
    """Write `published_page` as ``report.md``, and the same as ``report.html``.

    Args:
        out: Directory of both; made when missing.

    Returns:
        Path of the HTML file.
    """
    html = _html(against.empty(), {"version": __version__, "limits": [], "notes": []}, [])
    write_text(out / "report.md", published_page())
    write_text(out / "report.html", html)
    return out / "report.html"


def _main_wording(row: Mapping[str, Any]) -> bool:
    """Whether a row was asked in the wording that everything else of a report is asked in."""
    return row["wording"] in ("", prompts.DEFAULT_WORDING[row["experiment"]])


def _shown(row: Mapping[str, Any]) -> bool:
    """Whether the closing table shows a row: main arms at their headline labels and controls, others as deployed."""
    experiment = row["experiment"]
    if row["metric"] != (row["scorer"] if experiment == "bias" else "fpr"):
        return False
    if not _main_wording(row):
        return False
    if row["arm"] in variants.ARMS[experiment] and row["arm"] not in variants.MAIN:
        return bool(row["label"] == results.headline_labels(experiment, row["arm"])[0])
    return tabulate.is_main(experiment, row["arm"], row["label"], row["role"]) and row["kind"] != "paraphrase"


def summary_table(summary: Summary) -> Group:
    """The closing summary of a terminal: what the arms do, then the findings.

    The main arms stand first, at their deployment labels and controls, then the other arms as they are deployed. Narrow
    enough for 80 columns. Texts are `rich.text.Text`, since rich would read [...] in a string as markup.
    """
    table = RichTable(box=SIMPLE_HEAD, padding=0, title="Monitor Sensitive Training", title_justify="left")
    for title in ("measure", "arm", "label", "mean", "95% interval", "PASS/acc.", "n", "seeds"):
        right = title in ("mean", "PASS/acc.", "n", "seeds")
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    measured = [*SETTING, *MEASURE, "arm", "label", "metric"]
    means = {tuple(row[key] for key in measured): row["mean"] for row in summary.results["arms"]}
    last: list[Any] = []
    for row in filter(_shown, summary.results["arms"]):
        here = [row[key] for key in (*SETTING, *MEASURE)]
        if last and here != last:
            table.add_section()
        if row["condition"] and here != last:
            table.add_row(Text(row["condition"], style="italic"))
        last = here
        beside = {**row, "metric": f"{row['metric']}.pass" if row["experiment"] == "bias" else "accuracy"}
        cells = (
            row["metric"], row["arm"], row["label"], number(row["mean"]), bounds(row),
            number(means[tuple(beside[key] for key in measured)]), str(row["n_scored"]), str(len(row["seeds"]) or "–"),
        )  # fmt: skip
        table.add_row(*(Text(cell) for cell in cells))
    told = [found for found in summary.results["findings"] if _main_wording(found)]
    findings = [
        Text(f"- {found['condition']}: {line}" if found["condition"] else f"- {line}")
        for found in told
        for line in found["sentences"]
    ]
    return Group(table, Text(FOOTNOTE), *map(Text, summary.results["lead"]), *findings)
