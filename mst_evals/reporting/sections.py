"""The sections of a report, arranged for a reader: what is told first, and what stands beside it.

For each experiment and base the main wording comes first, then the other wordings; then a study's conditions, the probe
of the label's use during training, and the axis probe of the bases.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mst_evals import prompts
from mst_evals.reporting import claims, excerpts, headline, pair_tables, progress, responses, results, usage
from mst_evals.reporting import tables as tabulate
from mst_evals.reporting.computed import Computed
from mst_evals.reporting.layout import Figure, Section
from mst_evals.reporting.panels import label_use
from mst_evals.reporting.probes import Probe
from mst_evals.reporting.sides import conditions_section, probe_sections, wordings_section
from mst_evals.reporting.tables import Table
from mst_evals.studies import asked
from mst_evals.studies.study import Study

Rows = Sequence[Mapping[str, Any]]
GROUP = ("experiment", "split", "data_sha256", "choice")  # what one part of the report has in common


@dataclass(frozen=True)
class Cell:
    """Everything measured on one base, in one condition and one wording: one entry for each scorer and judge."""

    base: str
    condition: str
    wording: str
    parts: tuple[Computed, ...]


def _cells(done: Sequence[Computed]) -> list[Cell]:
    """The parts by base, condition and wording, in the order of the parts."""
    found: dict[tuple[str, str, str], list[Computed]] = {}
    for part in done:
        setting = part.block.setting
        found.setdefault((setting["base"], setting["condition"], setting["wording"]), []).append(part)
    return [Cell(*key, tuple(parts)) for key, parts in found.items()]


def _main(cells: Sequence[Cell], experiment: str) -> Cell:
    """The main wording: the experiment's default, else the one in which most arms were asked."""
    default = prompts.DEFAULT_WORDING[experiment]
    return max(cells, key=lambda cell: (cell.wording == default, len(cell.parts[0].block.arms)))


def _title(cell: Cell, several: bool) -> str:
    setting = cell.parts[0].block.setting
    asked = f"base {cell.base}, wording {cell.wording or 'none'}, {setting['choice']}"
    asked += f", condition {cell.condition}" if cell.condition else ""
    more = f", data {setting['data_sha256'][:10]}" if several else ""
    return f"{setting['experiment'].capitalize()}: split {setting['split']}, {asked}{more}"


def _stem(index: int, cell: Cell, number: int) -> str:
    """Begins the names of a measure's figures; one scorer's name occurs twice where two judges graded the articles."""
    setting = cell.parts[number].block.setting
    stem = f"{index}-{setting['experiment']}-{re.sub(r'[^a-z0-9]+', '-', setting['scorer'].lower())}"
    return stem if number == 0 else f"{stem}-{number + 1}"


def _missing(study: Study | None, cell: Cell) -> list[str]:
    """What a cell lacks of what its study asks under this condition, in the main wording, with all planned seeds."""
    first = cell.parts[0]
    if study is None:
        return progress.missing_cells(first.block)
    seeds = progress.seeds(study, cell.condition)
    return progress.missing_cells(first.block, {arm: asked.asked(study, arm)[0].labels for arm in seeds}, seeds)


def _notes(cell: Cell, provenance: Rows, study: Study | None) -> list[str]:
    """What the intervals cover, what is missing, and what a reader must know of the logs."""
    seeds = sorted({seed for part in cell.parts for row in part.arms for seed in row["seeds"]})
    notes = [claims.coverage(seeds), *_missing(study, cell)]
    return notes + [note for part in cell.parts for note in claims.irregularities(part.block, provenance)]


def _headline(
    logs: Path | None, cell: Cell, provenance: Rows, study: Study | None, index: int, several: bool
) -> Section:
    """The whole of one setting: arms, comparisons, figures by arm and against the label, closings."""
    block = cell.parts[0].block
    items: list[Table | Figure] = []
    for number, part in enumerate(cell.parts):
        items += headline.items(_stem(index, cell, number), part)
    notes = _notes(cell, provenance, study)
    if block.experiment == "bias" and block.setting["choice"] != results.EXISTING:
        shown = excerpts.closings(logs, block)
        items += shown
        notes += [] if shown or not excerpts.expected(block) else [excerpts.NEED_LOGS]
    notes += [claims.PUBLISHED[block.experiment]] if block.setting["choice"] != results.EXISTING else []
    sentences = [line for part in cell.parts for line in part.findings]
    others = tuple(line for part in cell.parts for line in part.others)
    return Section(_title(cell, several), tuple(sentences), tuple(dict.fromkeys(notes)), tuple(items), others)


def _small_print(cell: Cell, several: bool, rest: bool) -> list[Section]:
    """The tables behind a section (see `headline.small_print`); none when there are none."""
    tables = tuple(table for part in cell.parts for table in headline.small_print(part, rest))
    return [Section(f"Small print of {_title(cell, several)}", (), (), tables)] if tables else []


def _brief(cell: Cell, provenance: Rows, study: Study | None, several: bool) -> Section:
    """One condition among several: its tables and sentences, without figures, which the overview has."""
    items: list[Table | Figure | None] = []
    for part in cell.parts:
        items.append(tabulate.arm_table(part.block, part.arms, main=True))
        items.append(pair_tables.comparison_table(part.comparisons))
        items.append(responses.response_table(part.responses) if part.responses else None)
        items.append(pair_tables.equivalence_table(part.equivalences))
        items.append(tabulate.arm_table(part.block, part.arms, main=False))
    sentences = [line for part in cell.parts for line in part.findings]
    others = tuple(line for part in cell.parts for line in part.others)
    kept = tuple(item for item in items if item is not None)
    notes = tuple(dict.fromkeys(_notes(cell, provenance, study)))
    return Section(_title(cell, several), tuple(sentences), notes, kept, others)


def _declared(study: Study, comparisons: Rows, equivalences: Rows) -> Section | None:
    """The comparisons that the study declared before the run, the missing ones included; None when there are none."""
    pairs = [row for row in comparisons if row["declared"]]
    same = [row for row in equivalences if row["declared"]]
    if not pairs and not same:
        return None
    tables = [pair_tables.comparison_table(pairs), pair_tables.equivalence_table(same)]
    notes = [study.about] if study.about else []
    notes += [f"Missing: {row['missing']}." for row in (*pairs, *same) if row["missing"]]
    notes += [*pair_tables.fewer_seeds(pairs), *pair_tables.fewer_seeds(same)]
    kept = tuple(table for table in tables if table is not None)
    return Section(f"Declared comparisons of the study {study.name}", (), tuple(dict.fromkeys(notes)), kept)


def _of_group(
    logs: Path | None,
    done: Sequence[Computed],
    provenance: Rows,
    study: Study | None,
    several: bool,
    numbers: Iterator[int],
) -> tuple[list[Section], list[Section]]:
    """Sections of one experiment on one set of rows (conditions, headlines, other wordings), and its small print."""
    experiment = done[0].block.experiment
    by_run = [list(cells) for _, cells in itertools.groupby(_cells(done), key=lambda cell: (cell.base, cell.condition))]
    order = {one.name: index for index, one in enumerate(study.conditions)} if study else {}
    by_run.sort(key=lambda cells: order.get(cells[0].condition, -1))
    mains = [_main(cells, experiment) for cells in by_run]
    conditions = {cell.condition for cell in mains}
    found, small = [], []
    if len(conditions) > 1:
        parts = [part for cell in mains for part in cell.parts]
        found.append(conditions_section(f"{next(numbers)}-{experiment}", parts, study))
    for cells, main in zip(by_run, mains, strict=True):
        brief = len(conditions) > 1 and bool(main.condition)
        if brief:
            found.append(_brief(main, provenance, study, several))
        else:
            found.append(_headline(logs, main, provenance, study, next(numbers), several))
        small += _small_print(main, several, rest=not brief)
        if len(cells) > 1:
            name = f"base {main.base}" + (f", condition {main.condition}" if main.condition else "")
            parts = [part for cell in cells for part in cell.parts]
            title = f"Other wordings: {experiment.capitalize()}, {name}"
            found.append(wordings_section(f"{next(numbers)}-{experiment}", title, parts))
    return found, small


def usage_section(stem: str, experiment: str, provenance: Rows, study: Study | None, responses: Rows) -> Section:
    """Is the label used? For an experiment of which a probe was recorded; `responses` are those of its sweeps."""
    order = [one.name for one in study.conditions] if study else []
    found, silent = usage.uses(provenance, experiment, order), usage.unprobed(provenance, experiment)
    caption = (
        f"Effect of swapping the label by training step, on validation rows: {usage.WHAT[experiment]}. One line for "
        "each seed; dotted: the least that counts as use."
    )
    notes = [
        "The probe shows each validation row with its true label and with the opposite trained one; the held-out label "
        "is never asked."
    ]
    notes += [f"No probe during training is recorded for {', '.join(silent)}."] if silent else []
    figure = Figure(f"{stem}-label-use.svg", caption, label_use(found))
    return Section(
        f"Is the label used? {experiment.capitalize()}", tuple(usage.sentences(found, responses)), tuple(notes),
        (figure, usage.table(found)),
    )  # fmt: skip


def make_sections(
    logs: Path | None,
    done: Sequence[Computed],
    provenance: Rows,
    study: Study | None = None,
    probes: Sequence[Probe] = (),
    comparisons: Rows = (),
    equivalences: Rows = (),
    missing: Section | None = None,
) -> list[Section]:
    """Arrange everything that was computed.

    Args:
        logs: What the frame was read from, for the example closings; None when it came packed, without logs.
        done: The blocks of the report with everything computed from them.
        provenance: Of every log.
        study: Says what the conditions are and which comparisons were declared; None without one.
        probes: Axis probes of the bases (`probes.find`).
        comparisons: All comparisons, those that are missing included; needed for a study only.
        equivalences: All equivalence tests, likewise.
        missing: What the study plans and lacks (`progress.section`); it stands before the small print.
    """
    declared = _declared(study, comparisons, equivalences) if study else None
    sections, small = [declared] if declared else [], list[Section]()

    def key(part: Computed) -> list[str]:
        return [part.block.setting[name] for name in GROUP]

    numbers = itertools.count(1)  # of the sections with figures, for the names of their files
    groups = [list(parts) for _, parts in itertools.groupby(sorted(done, key=key), key=key)]
    for parts in groups:
        several = sum(part[0].block.experiment == parts[0].block.experiment for part in groups) > 1
        made, printed_small = _of_group(logs, parts, provenance, study, several, numbers)
        sections += made
        small += printed_small
    for experiment in dict.fromkeys(part.block.experiment for part in done):
        mine = [part for part in done if part.block.experiment == experiment]
        if usage.uses(provenance, experiment):
            swept = [row for part in mine for row in part.responses]
            sections.append(usage_section(f"{next(numbers)}-{experiment}", experiment, provenance, study, swept))
        mine_probes = [probe for probe in probes if probe["experiment"] == experiment]
        if mine_probes:
            sections += probe_sections(f"{next(numbers)}-{experiment}", mine_probes, mine, provenance, study)
    return [*sections, *([missing] if missing else []), *small]
