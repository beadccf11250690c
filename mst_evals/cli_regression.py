"""The command `mst check`: thin, as in `mst_evals.cli`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def add_to(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="check")(check)


def check(
    adapters: Annotated[list[Path], typer.Argument(help="Directories of saved adapters.")],
    against: Annotated[Path, typer.Option(help="Reference (JSON), or a folder of them: NAME.json for each adapter.")],
    margin: Annotated[
        list[str] | None,
        typer.Option(help="METRIC=NUMBER: the loss that must be excluded, instead of the reference's."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout instead of tables.")] = False,
    junit: Annotated[Path | None, typer.Option(help="JUnit file to write.")] = None,
    logs: Annotated[Path, typer.Option(help="Folder of the logs of what is evaluated.")] = Path("runs/check"),
    update: Annotated[bool, typer.Option("--update", help="Write new references; print what changed.")] = False,
    grader: Annotated[
        str | None,
        typer.Option(
            help="Judge (any Inspect model; A,B is a panel) of a new reference, else lexical_bias. "
            "A check takes that of its reference: another one is NOT COMPARABLE."
        ),
    ] = None,
    rows: Annotated[int | None, typer.Option(help="With --update: number of rows.")] = None,
    labels: Annotated[str | None, typer.Option(help="With --update: names of labels, with commas.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="With --update: longest reply, in tokens.")] = None,
) -> None:
    """Does a saved adapter still behave as it did? Evaluate it and compare it with its reference, row by row.

    Verdicts: PASS, IMPROVED, REGRESSED, NOT COMPARABLE, each with its reason. An adapter passes when the interval of
    every metric excludes a loss as large as the margin. Exit code 0: all passed; 1: one regressed; 2: otherwise.

    Example: `mst check training/adapters/* --against logs/reference`
    """
    from mst_evals.errors import InputError
    from mst_evals.regression import check_commands

    margins = check_commands.read_margins(margin or [])
    named = tuple(name.strip() for name in labels.split(",")) if labels else None
    asked = {"rows": rows, "labels": named, "max_tokens": max_tokens}
    given: dict[str, object] = {name: value for name, value in asked.items() if value is not None}
    if update:
        if json or junit:
            raise InputError(f"--{'json' if json else 'junit'}: a check writes it, --update prints what changed")
        given |= {"grader": grader} if grader else {}
        raise typer.Exit(check_commands.run_update(adapters, against, logs, margins, given, Console()))
    if given:
        raise InputError(
            f"--{next(iter(given)).replace('_', '-')}: the reference says what is asked; it goes with --update"
        )
    raise typer.Exit(check_commands.run(adapters, against, logs, margins, grader, json, junit, Console()))
