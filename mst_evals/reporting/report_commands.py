"""What `mst report` does and prints."""

import sys
from pathlib import Path

from rich.console import Console

from mst_evals.errors import InputError
from mst_evals.reporting.report import PUBLISHED, published_page, summary_table, write_published, write_report


def report(source: Path | None, runs: Path | None, out: Path | None, against: str | None, console: Console) -> None:
    """Write the report of some logs or of a study; without either the empty table of the published numbers.

    Args:
        source: Folder of Inspect logs or of packed results, or a study file; None: only with `against`.
        runs: Of a study: its folder of runs.
        out: Folder of the report; None: the empty table goes to stdout as Markdown.
        against: ``published``, another run (see `write_report`), or None.
        console: Gets the closing summary.

    Raises:
        InputError: An option is missing or unknown, or there is nothing to report on.
    """
    if against not in (None, PUBLISHED) and not Path(str(against)).exists():
        raise InputError(
            f"--against is {against!r}, expected {PUBLISHED} or another run: its logs, or its packed folder"
        )
    if source is None:
        _empty(out, against, console)
        return
    if out is None:
        raise InputError("--out is missing, expected the folder of the report")
    if source.suffix in (".yaml", ".yml"):
        from mst_evals.studies import study_commands

        study_commands.report(source, runs, out, console, beside=against)
        return
    console.print(summary_table(write_report(source, out, beside=against)))
    console.print(f"Report: {out / 'report.html'}")


def _empty(out: Path | None, against: str | None, console: Console) -> None:
    """The published numbers beside an empty column."""
    if against != PUBLISHED:
        raise InputError(
            "LOGS is missing, expected a folder of Inspect logs (.eval), one that `mst pack` made, or a study file"
        )
    if out is None:
        sys.stdout.write(published_page())
    else:
        console.print(f"The published numbers, without a run: {write_published(out)}")
