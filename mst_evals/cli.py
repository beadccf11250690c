"""The command `mst`: the one module that may import everything. Bad input is one line on stderr and exit code 2."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mst_evals import variants
from mst_evals.errors import InputError, StepError

app = typer.Typer(
    name="mst",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Train, evaluate and report Monitor Sensitive Training (MST).

    Single evaluations run through Inspect: `inspect eval mst_evals/bias.py --model hf/DIR -T scorer=lexical`.

    Single trainings run as modules: `python -m training.sft --help`, `python -m training.ppo --help`.
    """,
)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of adapters, logs and report.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(help="Training seed of every arm.")] = 0,
) -> None:
    """Train and evaluate the main arms of both experiments on the micro worlds, and write a report.

    About ten minutes on two CPU cores; no key, GPU or network is needed. Interrupt it as you like: running it
    again continues with what is missing.

    Afterwards open `OUT/report/report.html`, or browse the logs with `inspect view --log-dir OUT/logs`.
    """
    from mst_evals import demo as job
    from mst_evals.report import summary_table, write_report

    console = Console()
    seconds = job.run(out, seed, console)
    results = write_report(out / "logs", out / "report")
    console.print(summary_table(results))
    console.print(f"Report: {out / 'report' / 'report.html'}   Logs: inspect view --log-dir {out / 'logs'}")
    console.print(f"Training and evaluation took {seconds / 60:.1f} minutes; inputs {job.inputs_digest(out)}.")


@app.command()
def report(
    logs: Annotated[Path, typer.Argument(help="Folder of Inspect logs (.eval), searched with its subfolders.")],
    out: Annotated[Path, typer.Option(help="Folder of report.html, report.md, results.json and figures.")],
) -> None:
    """Turn Inspect logs into a self-contained report: tables, paired comparisons, figures, provenance.

    Example: `mst report runs/demo/logs --out runs/demo/report`
    """
    from mst_evals.report import summary_table, write_report

    console = Console()
    console.print(summary_table(write_report(logs, out)))
    console.print(f"Report: {out / 'report.html'}")


@app.command()
def arms() -> None:
    """List the arms of both experiments: what each one changes, and what it is asked.

    An arm is a way of training; it differs from its reference in the one thing named under "changes". The controls
    "none" (no label) and "nonsense" are asked of every arm that was trained with labels.
    """
    console = Console()
    for experiment in variants.EXPERIMENTS:
        table = Table(title=f"{experiment} (labels: {variants.AXES[experiment].accepts})", title_justify="left")
        for column in ("arm", "reference", "changes", "evaluated with", "about"):
            table.add_column(column, overflow="fold")
        for arm in variants.ARMS[experiment].values():
            asked = ", ".join(one.label for one in arm.evaluations())
            table.add_row(arm.name, arm.reference or "-", arm.changes, asked, arm.about)
        console.print(table)


INTERRUPTED = 130


def main() -> None:
    """Entry point: turns bad input into one line and exit code 2, an interrupt into exit code 130."""
    try:
        code = app(standalone_mode=False)  # an exit code where typer ended the command itself, else None
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except StepError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        # click's own errors (an unknown option, a missing argument) know their exit code
        if not hasattr(error, "exit_code"):
            raise
        error.show()  # type: ignore[attr-defined]
        sys.exit(error.exit_code)
    if code == INTERRUPTED:
        print("interrupted: what is finished stays; the same command continues", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
