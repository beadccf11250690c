"""``mst plan``: what a study takes on a GPU, before anything is fetched or run."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mst_evals.corpus import spending
from mst_evals.errors import InputError
from mst_evals.planning import cuts, gpus, workload
from mst_evals.planning.estimate import Estimate, Hours, Judge, Need, estimate
from mst_evals.planning.gpus import GIB
from mst_evals.planning.shapes import counts, lora_parameters
from mst_evals.planning.workload import Case, Range
from mst_evals.studies import checks
from mst_evals.terminal import say

ERROR = (
    "how sure: weights are exact and activations counted (checked on a CPU, docs/ladder.md); what the device takes for "
    "itself, fragments and hours are assumed, and nothing was measured on a GPU"
)


def plan(path: Path, gpu: str | None, gigabytes: float | None, as_json: bool, console: Console) -> int:
    """Print what a study takes: on one GPU part by part, or without one a line for each known GPU.

    Args:
        path: Study file. Neither its base nor its training articles have to be here.
        gpu: A name of `gpus.GPUS`.
        gigabytes: Memory of any other GPU in 10^9 bytes, for which no hours are known.
        as_json: Print JSON instead; sizes in bytes, times in seconds.
        console: Where to print.

    Returns:
        Exit code: 1 when a training or an evaluation does not fit (without a GPU: on none of them), else 0.

    Raises:
        InputError: The study file cannot be used, or the GPU or the shape of a base is not known.
    """
    if gpu is not None and gigabytes is not None:
        raise InputError("--gpu and --memory: found both, expected one of them")
    devices = [gpus.find(gpu)] if gpu is not None else list(gpus.GPUS)
    if gigabytes is not None:
        devices = [gpus.of_memory(gigabytes)]
    study = checks.read(path)
    cases = workload.cases(study, path)
    found = [estimate(study, cases, device) for device in devices]
    if as_json:
        print(json.dumps([as_dict(one) for one in found] if len(found) > 1 else as_dict(found[0]), indent=1))
    elif len(found) == 1:
        print_estimate(cases, found[0], console)
    else:
        print_devices(cases, found, console)
    return 0 if any(one.fits for one in found) else 1


def as_dict(found: Estimate) -> dict[str, object]:
    """An estimate as plain values, with the sums that its parts make."""
    needs = [asdict(need) | {"peak": need.memory.peak, "largest": need.memory.worst} for need in found.needs]
    return asdict(found) | {"needs": needs, "fits": found.fits, "seconds": found.seconds}


def _table(title: str, columns: list[str], left: tuple[str, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD, title=Text(title), title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right")
    return table


def print_devices(cases: list[Case], found: list[Estimate], console: Console) -> None:
    """One line for each device: what is needed at the most, whether it fits, and the hours of the whole study."""
    _print_bases(cases, console)
    columns = ["GPU", "usable", "training", "evaluation", "", "whole study"]
    table = _table(f"{found[0].study}: GiB of memory, one job at a time", columns, ("GPU", ""))
    for one in found:
        verdicts = [need.verdict for need in one.needs]
        verdict = max(verdicts, key=("fits", "tight", "does not fit").index)
        table.add_row(
            one.gpu.name,
            f"{one.gpu.memory / GIB:.1f}",
            _largest([need for need in one.needs if need.what != "evaluation"]),
            _largest([need for need in one.needs if need.what == "evaluation"]),
            verdict,
            span(one.seconds) if one.seconds and one.fits else "-",
        )
    console.print(table)
    for line in cuts.lines(found[0].cuts):
        say(console, line)
    for note in dict.fromkeys(note for case in cases for note in case.notes):
        say(console, f"note: {note}")
    say(console, f"--gpu NAME shows it part by part, and what to change; {ERROR}")


def _largest(needs: list[Need]) -> str:
    return f"{max(need.needed for need in needs) / GIB:.1f}" if needs else "-"


def print_estimate(cases: list[Case], found: Estimate, console: Console) -> None:
    """Everything about one device."""
    say(console, f"{found.study} on {found.gpu.name} ({found.gpu.memory / GIB:.1f} GiB usable), one job at a time")
    _print_bases(cases, console)
    for condition, differences in found.departures.items():
        said = ", ".join(f"{name} {_plain(here)} ({_plain(there)})" for name, (here, there) in differences.items())
        named = f" ({condition})" if condition else ""
        say(console, f"not as in the source{named}: {said or 'nothing'}")
    for line in cuts.lines(found.cuts):
        say(console, line)
    for need in found.needs:
        console.print(_memory_table(need))
        say(console, f"{need.what}: needs {need.needed / GIB:.1f} of {found.gpu.memory / GIB:.1f} GiB: {need.verdict}")
        if need.change:
            say(console, f"  to change: {need.change}")
    if found.hours is None or found.seconds is None:
        say(console, "time: not known for a memory alone; name a GPU")
    else:
        console.print(_hours_table(found.hours))
        say(console, f"whole study, one job at a time: {span(found.seconds)}")
    for line in map(_judge_line, found.judges) if found.judges else ["judge: none; everything is scored here"]:
        say(console, line)
    bases, adapters, logs = (size / GIB for size in (found.disk.bases, found.disk.adapters, found.disk.logs))
    said = f"bases to fetch or build {bases:.1f}, adapters {adapters:.1f}, logs {logs:.1f}"
    say(console, f"disk, GiB: {said}; in all {found.disk.total / GIB:.1f}")
    for note in (*found.notes, ERROR):
        say(console, f"note: {note}")


def _plain(value: object) -> str:
    """A value as YAML writes it; None is an argument that is not set."""
    return "not set" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _print_bases(cases: list[Case], console: Console) -> None:
    for case in cases:
        found, named = counts(case.shape), f" ({case.condition})" if case.condition else ""
        say(
            console,
            f"{case.base}{named}: {found.total:,} parameters, {found.linear:,} of them in the layers that LoRA adapts; "
            f"rank {case.training.rank} makes {lora_parameters(case.shape, case.training.rank):,} more",
        )


def _memory_table(need: Need) -> Table:
    found, named = need.memory, f" ({need.condition})" if need.condition else ""
    table = _table(f"{need.what}{named}", ["when", "part", "GiB"], ("when", "part"))
    for part, size in found.kept.items():
        table.add_row("always", part, f"{size / GIB:.2f}")
    for moment, parts in found.moments.items():
        for part, size in parts.items():
            if size:
                table.add_row(moment + (" (largest)" if moment == found.worst else ""), part, f"{size / GIB:.2f}")
    table.add_row("peak", found.worst, f"{found.peak / GIB:.2f}")
    return table


def _hours_table(found: tuple[Hours, ...]) -> Table:
    columns = ["arm", "models", "training", "evaluation", "samples", "in all"]
    table = _table("time, each and in all", columns, ("arm",))
    for arm in found:
        trained = span(arm.training) if any(arm.training) else "-"
        name = f"{arm.arm} ({arm.condition})" if arm.condition else arm.arm
        table.add_row(name, str(arm.models), trained, span(arm.evaluation), f"{arm.samples:,}", span(arm.total))
    return table


def span(one: Range) -> str:
    """A range of seconds in minutes or hours, two digits each."""
    unit, name = (60, "min") if one[1] < 5400 else (3600, "h")
    low, high = (f"{value / unit:.2g}" if value < 100 * unit else f"{value / unit:,.0f}" for value in one)
    return f"{low} {name}" if low == high else f"{low} to {high} {name}"


def _judge_line(judge: Judge) -> str:
    cost = spending.UNKNOWN
    if judge.usd is not None:
        cost = " to ".join(spending.dollars(one) for one in judge.usd)
    held, later = "while the GPU is held (not in the hours)", "in a second pass (mst judge), half of it with --batch"
    return (
        f"judge {judge.model}: {judge.articles:,} articles, {judge.least.input:,} to {judge.most.input:,} tokens sent, "
        f"{judge.least.output:,} to {judge.most.output:,} back: {cost} (without thinking and asking again); "
        f"{later if judge.later else held}"
    )
