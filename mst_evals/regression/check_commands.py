"""`mst check`: several adapters, a table or JSON, a JUnit file, an exit code."""

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mst_evals.errors import InputError
from mst_evals.regression import adapter_file, junit, verdicts
from mst_evals.regression.check import Check, check
from mst_evals.regression.metrics import NAMES
from mst_evals.regression.metrics import margins as default_margins
from mst_evals.regression.update import Update, path_of, update
from mst_evals.regression.verdicts import Finding, Verdict

_COLOURS = {Verdict.PASS: "green", Verdict.IMPROVED: "cyan", Verdict.REGRESSED: "red", Verdict.NOT_COMPARABLE: "yellow"}


def read_margins(given: Sequence[str]) -> dict[str, float]:
    """``--margin METRIC=NUMBER`` as a mapping.

    Raises:
        InputError: No such metric, or no positive number.
    """
    margins = {}
    for one in given:
        name, _, text = one.partition("=")
        if name not in NAMES:
            raise InputError(
                f"--margin {one!r}: no metric {name!r}, expected METRIC=NUMBER with one of {', '.join(NAMES)}"
            )
        try:
            margins[name] = float(text)
        except ValueError:
            raise InputError(f"--margin {one!r}: {text!r} is no number") from None
        if not 0 < margins[name] < float("inf"):
            raise InputError(f"--margin {one!r}: expected a positive number")
    return margins


# --- what is refused before the first adapter is evaluated --------------------------------------------------------


def distinct(adapters: Sequence[Path]) -> None:
    """Raise `InputError` for two adapters of one folder name, by which they are told apart."""
    names = [one.absolute().name for one in adapters]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two adapters are called {twice[0]}: expected names that differ")


def _margins_of(directory: Path, margins: Mapping[str, float]) -> dict[str, float]:
    """Those of the margins that are of metrics of an adapter's experiment.

    Of an adapter without a manifest nobody knows it, so they are all its own; the check says what is wrong with it.
    """
    if not margins:
        return {}
    try:
        known = default_margins(adapter_file.read_manifest(directory).experiment)
    except InputError:
        return dict(margins)
    return {name: margin for name, margin in margins.items() if name in known}


def _own_margins(margins: Mapping[str, float], adapters: Sequence[Path]) -> list[dict[str, float]]:
    """The margins of each adapter. Raise for a margin of a metric that none of them has."""
    own = [_margins_of(one, margins) for one in adapters]
    if unused := [name for name in margins if not any(name in one for one in own)]:
        experiments = sorted({adapter_file.read_manifest(one).experiment for one in adapters})
        known = [name for experiment in experiments for name in default_margins(experiment)]
        raise InputError(f"--margin {unused[0]}: no metric of these adapters, expected one of {', '.join(known)}")
    return own


def _writable(folder: Path, option: str) -> None:
    """Raise unless a file can be written into a folder that may not be there yet; nothing is left behind."""
    try:
        there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
        with tempfile.NamedTemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"{option}: nothing can be written there ({error.strerror})") from None


# --- the two commands ---------------------------------------------------------------------------------------------


def run(
    adapters: Sequence[Path],
    against: Path,
    logs: Path,
    margins: Mapping[str, float],
    grader: str | None,
    as_json: bool,
    junit_file: Path | None,
    console: Console,
) -> int:
    """Check adapters against their references.

    Returns:
        0 when all passed or improved, 1 when one regressed, else 2 when one could not be compared.

    Raises:
        InputError: Two adapters have one name, no adapter has the metric of a margin, or logs or the JUnit file cannot
            be written.
    """
    distinct(adapters)
    own = _own_margins(margins, adapters)
    _writable(logs, f"--logs {logs}")
    if junit_file is not None:
        _writable(junit_file.parent, f"--junit {junit_file}")
        if junit_file.is_dir():
            raise InputError(f"--junit {junit_file}: a folder, expected the name of a file")
    found = []
    for directory, mine in zip(adapters, own, strict=True):
        if not as_json:
            console.print(f"{directory.name} ...", highlight=False)
        found.append(check(directory, against, logs, mine, grader))
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2, allow_nan=False))
    else:
        for one in found:
            if one.findings:
                console.print(findings_table(one.adapter, one.findings))
        console.print(summary_table(found))
        console.print(f"Logs: inspect view --log-dir {logs}", highlight=False)
    if junit_file is not None:  # last, so that what was found is on the screen whatever becomes of the file
        junit.write(junit_file, found)
    return verdicts.exit_code(one.verdict for one in found)


def run_update(
    adapters: Sequence[Path],
    against: Path,
    logs: Path,
    margins: Mapping[str, float],
    given: Mapping[str, object],
    console: Console,
) -> int:
    """Write new references and print what changed.

    Returns:
        0.

    Raises:
        InputError: An adapter cannot be evaluated, several adapters would be written to one file, no adapter has the
            metric of a margin, or logs or references cannot be written.
    """
    distinct(adapters)
    own = _own_margins(margins, adapters)
    if len(adapters) > 1 and against.suffix == ".json":
        raise InputError(f"{against}: one file for {len(adapters)} references, expected a folder")
    _writable(logs, f"--logs {logs}")
    for directory in adapters:
        _writable(path_of(against, directory.absolute().name).parent, f"--against {against}")
    for directory, mine in zip(adapters, own, strict=True):
        print_update(update(directory, against, logs, mine, given), console)
    return 0


def print_update(done: Update, console: Console) -> None:
    """What an update changed."""
    what = "first reference" if done.first else "new reference"
    console.print(f"{done.name}: {what} {done.path.name}", highlight=False)
    for change in done.changes:
        console.print(f"  {change}", highlight=False, markup=False)
    if done.findings:
        console.print(findings_table(f"{done.name}: new against old", done.findings))
        for one in done.findings:
            if one.verdict != Verdict.PASS:
                console.print(f"  {one.line}", highlight=False, markup=False)
        if not done.changes and not any(one.changed for one in done.findings):
            console.print("  nothing changed")


# --- tables -------------------------------------------------------------------------------------------------------


def _number(value: float | None, margin: float) -> str:
    """A number with three decimals, or as many more as show a fiftieth of the margin: drifts are small."""
    return "-" if value is None else f"{value:.{max(3, math.ceil(math.log10(50 / margin)))}f}"


def _verdict(verdict: Verdict) -> str:
    return f"[{_COLOURS[verdict]}]{verdict.value}[/]"


def findings_table(title: str, found: Sequence[Finding]) -> Table:
    """One line for each metric and label."""
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("metric", "label", "before", "now", "loss (95%)", "margin", "changed", "verdict"):
        table.add_column(column, overflow="fold", no_wrap=column in ("metric", "verdict"))
    for one in found:
        before, now, loss, low, high = (
            _number(value, one.margin) for value in (one.before, one.after, one.loss, one.low, one.high)
        )
        interval = "" if one.low is None else f" ({low} to {high})"
        table.add_row(
            one.metric, one.label, before, now, f"{loss}{interval}", f"{one.margin:g}",
            f"{one.changed} of {one.rows}", _verdict(one.verdict),
        )  # fmt: skip
    return table


def summary_table(found: Sequence[Check]) -> Table:
    """One line for each adapter."""
    table = Table(title="Saved adapters against their references", title_justify="left", box=SIMPLE_HEAD)
    for column in ("adapter", "verdict", "reason", "seconds"):
        table.add_column(column, overflow="fold", no_wrap=column in ("adapter", "verdict"))
    for one in found:
        said = "\n".join([one.reason, *(f"changed: {note}" for note in one.notes)])
        table.add_row(escape(one.adapter), _verdict(one.verdict), escape(said), f"{one.seconds:.0f}")
    return table
