"""What `mst run`, `mst status` and `mst pack` do and print."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mst_evals.errors import InputError
from mst_evals.studies import axis_probes, cells, checks, estimates, executors, packed, states
from mst_evals.studies.cells import Cell, Job, Plan
from mst_evals.studies.states import State

RUNS = Path("runs")
# The state of a job is the first of these that one of its cells is in.
_ORDER = ("failed", "running", "stale", "missing", "done")


def read_plan(path: Path, out: Path | None) -> Plan:
    """The plan of a study file; its runs are in ``runs/NAME`` of the working directory unless `out` says otherwise.

    Raises:
        InputError: The file cannot be used.
    """
    study = checks.read(path)
    return cells.plan(study, path, out if out is not None else RUNS / study.name)


def look(plan: Plan) -> dict[Cell, State]:
    """State of every cell."""
    return states.states(plan, packed.cells(plan.results()))


def run(
    path: Path,
    jobs: int | None,
    engine: str,
    dry_run: bool,
    out: Path | None,
    console: Console,
    only: Sequence[str] = (),
) -> int:
    """Run what a study lacks, or print what that would be; of some jobs alone, if any are named.

    Returns:
        Exit code: 1 when a cell is not done at the end.

    Raises:
        InputError: The study or the engine cannot be used.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs is {jobs}, expected at least 1")
    if engine not in executors.ENGINES:
        raise InputError(f"--engine is {engine!r}, expected one of {', '.join(executors.ENGINES)}")
    plan = read_plan(path, out)
    plan = plan.among(only) if only else plan
    at_once = jobs if jobs is not None else executors.default_jobs(engine)
    if dry_run:
        print_plan(plan, at_once, console)
        return 0
    from mst_evals.studies import engine as running

    before = look(plan)
    expected = estimates.left(plan, before, at_once, estimates.seconds(plan))
    took = _unknown(plan) if expected == estimates.UNKNOWN else f"about {estimates.minutes(expected)}"
    console.print(_line(plan, before, f"{took} on {at_once} at a time"), soft_wrap=True)
    ended = running.run(plan, engine, at_once, console)
    axis_probes.probe(plan)
    failed = running.failures(ended)
    for line in failed:
        console.print(Text(line), soft_wrap=True)
    console.print(_line(plan, ended.found, str(plan.out)), soft_wrap=True)
    return 1 if failed else 0


def _line(plan: Plan, found: Mapping[Cell, State], more: str) -> Text:
    return Text(f"{plan.study.name}: {states.summary(found)} of {len(found)} cells; {more}")


# --- dry run ------------------------------------------------------------------------------------------------------


def print_plan(plan: Plan, at_once: int, console: Console) -> None:
    """Cells by kind, how many are done, and the time that the others are expected to take."""
    found, expected = look(plan), estimates.seconds(plan)
    table = Table(box=SIMPLE_HEAD, title=f"{plan.study.name}: {len(plan.jobs)} jobs", title_justify="left")
    for title in ("cells", "number", "done", "to do", "expected"):
        table.add_column(title, justify="left" if title == "cells" else "right")
    for kind in cells.FOLDERS:
        some = [cell for cell in plan.cells if cell.kind == kind]
        left = [cell for cell in some if found[cell].name != "done"]
        if some:
            numbers = (len(some), len(some) - len(left), len(left))
            table.add_row(kind, *map(str, numbers), estimates.minutes(sum(expected[cell] for cell in left)))
    console.print(table)
    for job in plan.jobs:
        left = [cell for cell in job.cells if found[cell].name != "done"]
        if left:
            text = f"{job.name}: {len(left)} of {len(job.cells)} cells to do, {_seconds(expected, left)}"
            console.print(Text(text), soft_wrap=True)
    total = estimates.left(plan, found, at_once, expected)
    stated = plan.study.minutes
    over = stated is not None and estimates.UNKNOWN > total > 60 * stated
    budget = "" if stated is None else f"; {'OVER THE' if over else 'declared'} budget of {stated:g} min"
    summed = _seconds(expected, [cell for cell in plan.cells if found[cell].name != "done"])
    took = f"about {estimates.minutes(total)} ({summed} one after another)"
    took = _unknown(plan) if total == estimates.UNKNOWN else took
    console.print(Text(f"{at_once} jobs at a time: {took}{budget}"), soft_wrap=True)


def _unknown(plan: Plan) -> str:
    """What is said instead of a time."""
    return (
        "time unknown (what was measured holds for micro bases; no cell like these has finished and the file states no "
        f"durations; mst plan {plan.path} --gpu NAME estimates)"
    )


def _seconds(expected: Mapping[Cell, float], some: list[Cell]) -> str:
    return estimates.minutes(sum(expected[cell] for cell in some))


# --- status -------------------------------------------------------------------------------------------------------


def status(path: Path, out: Path | None, every: bool, console: Console) -> None:
    """Print how far a study is: a line for each job, or for each cell, with the reason, and a summary.

    Raises:
        InputError: The study file cannot be used.
    """
    plan = read_plan(path, out)
    found = look(plan)
    table = Table(box=SIMPLE_HEAD)
    for title in ("cell" if every else "job", "state", "done", "why"):
        table.add_column(title, justify="right" if title == "done" else "left", overflow="fold")
    for job in plan.jobs:
        for row in _cell_rows(job, found) if every else [_job_row(job, found)]:
            table.add_row(*(Text(text) for text in row))
    console.print(table)
    console.print(_line(plan, found, str(plan.out)), soft_wrap=True)


def _cell_rows(job: Job, found: Mapping[Cell, State]) -> list[tuple[str, str, str, str]]:
    return [(f"{cell.kind} {cell.name}", found[cell].name, "", found[cell].why) for cell in job.cells]


def _job_row(job: Job, found: Mapping[Cell, State]) -> tuple[str, str, str, str]:
    state = min((found[cell] for cell in job.cells), key=lambda one: _ORDER.index(one.name))
    done = sum(found[cell].name == "done" for cell in job.cells)
    cell = next(cell for cell in job.cells if found[cell] == state)
    why = f"{cell.kind}: {state.why}" if state.why else ""
    return job.name, state.name, f"{done}/{len(job.cells)}", why


# --- report -------------------------------------------------------------------------------------------------------


def report(path: Path, runs: Path | None, out: Path, console: Console, beside: str | None = None) -> None:
    """Report on a study as far as it is: its current logs, and what is packed of the cells that are not here.

    Args:
        path: Study file.
        runs: Folder of its runs.
        out: Folder of the report.
        console: Gets the closing summary.
        beside: What the study stands beside, see `report.write_report`.

    Raises:
        InputError: The study file cannot be used, or nothing of it is finished.
    """
    from mst_evals.reporting.report import summary_table, write

    plan = read_plan(path, runs)
    found = look(plan)
    logs = next((folder / "logs" for folder in (plan.out, plan.results()) if (folder / "logs").is_dir()), None)
    probed = [plan.out / axis_probes.FOLDER, plan.results()]
    summary = write(packed.frame(plan), logs, out, plan.study, probed, beside=beside)
    console.print(summary_table(summary))
    console.print(_line(plan, found, f"report: {summary.html}"), soft_wrap=True)


# --- packing ------------------------------------------------------------------------------------------------------


def pack(path: Path, to: Path | None, out: Path | None, logs_of_seed: int | None, console: Console) -> None:
    """Write a study's finished cells in compact form, and say what came in and what fell out.

    Args:
        path: Study file.
        to: Folder of the result, that of the study when None.
        out: Folder of the runs.
        logs_of_seed: Copy the logs of the main arms of this seed, too.
        console: Gets the lines.

    Raises:
        InputError: The study file cannot be used, nothing is finished, or what is packed already is damaged.
    """
    plan = read_plan(path, out)
    folder = to if to is not None else plan.results()
    done = packed.pack(plan, folder)
    axis_probes.copy(plan, folder)
    for line in done.dropped:
        console.print(Text(f"dropped {line}"), soft_wrap=True)
    now = look(plan).values()
    missing, ungraded = (sum(one.name != "done" for one in now), sum(one.why == states.UNGRADED for one in now))
    if ungraded:
        said = f"cells without grades of the study's judge: {ungraded}; mst judge {plan.out / 'logs'}, then pack again"
        console.print(Text(f"{folder}: {said}"), soft_wrap=True)
    if done.study_only:
        said = "nothing new is finished; the study file was put beside its cells, which stay as older code made them"
        console.print(Text(f"{folder}: {said}"), soft_wrap=True)
    counts = f"{len(done.added)} cells added, {done.kept} kept, {len(done.dropped)} dropped, {missing} not done yet"
    console.print(Text(f"{folder}: {counts}; {done.size / 2**20:.1f} MB"), soft_wrap=True)
    if logs_of_seed is not None:
        size = packed.copy_logs(plan, folder, logs_of_seed)
        console.print(
            Text(f"{folder / 'logs'}: main arms of seed {logs_of_seed}; {size / 2**20:.1f} MB"), soft_wrap=True
        )
