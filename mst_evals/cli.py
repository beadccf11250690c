"""The command `mst`: the one module that may import everything. Bad input is one line on stderr and exit code 2."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from mst_evals import cli_data, cli_judging, cli_regression, variants
from mst_evals.errors import InputError, StepError

app = typer.Typer(
    name="mst",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Train, evaluate and report Monitor Sensitive Training (MST).

    Single evaluations run through Inspect: `inspect eval mst_evals/bias.py --model mst/DIR -T scorer=lexical`.

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
    from mst_evals.reporting.report import summary_table, write_report

    console = Console()
    seconds = job.run(out, seed, console)
    results = write_report(out / "logs", out / "report")
    console.print(summary_table(results))
    console.print(f"Report: {out / 'report' / 'report.html'}   Logs: inspect view --log-dir {out / 'logs'}")
    console.print(f"Training and evaluation took {seconds / 60:.1f} minutes; inputs {job.inputs_digest(out)}.")


@app.command()
def report(
    logs: Annotated[
        Path | None,
        typer.Argument(help="Folder of Inspect logs (.eval), folder that `mst pack` made, or study file (YAML)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of report.html, report.md, results.json and figures.")
    ] = None,
    runs: Annotated[Path | None, typer.Option(help="Of a study: its folder of runs; default: runs/NAME.")] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="published: every published number stands beside what this run has in its place. "
            "Another run (its logs, or the folder that `mst pack` made of it): how far the two agree."
        ),
    ] = None,
) -> None:
    """Turn Inspect logs into a self-contained report: tables, paired comparisons, figures, provenance.

    A study file brings its declared family of comparisons, and what is finished of it. `--against published` alone
    prints the published numbers with an empty column. `--against OTHER` says of every number whether another run, the
    same study made again say, agrees.

    Example: `mst report runs/demo/logs --out runs/demo/report --against published`
    """
    from mst_evals.reporting import report_commands

    report_commands.report(logs, runs, out, against, Console())


@app.command(name="run")
def run_study(
    study: Annotated[Path, typer.Argument(help="Study file (YAML).")],
    jobs: Annotated[
        int | None, typer.Option(help="Jobs at a time; default: one a GPU, else one a core; on Slurm 64.")
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or slurm (parameters: `slurm:` in the study file).")] = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan with the expected time.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of adapters and logs; default: runs/NAME.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="This job alone (--dry-run names them) and the base it needs; repeatable.")
    ] = None,
) -> None:
    """Train and evaluate what a study lacks: bases, arms x seeds x conditions, and every sweep.

    Interrupt it as you like: the same command continues. What is finished is never made again; a cell whose data,
    code, base or arguments changed is made anew under another name. Exit code 1 when a cell failed.

    Example: `mst run training/configs/studies/micro-bias.yaml --dry-run`
    """
    from mst_evals.studies import study_commands

    raise typer.Exit(study_commands.run(study, jobs, engine, dry_run, out, Console(), only or ()))


@app.command()
def plan(
    study: Annotated[Path, typer.Argument(help="Study file (YAML). Its base and articles need not be here.")],
    gpu: Annotated[str | None, typer.Option(help="A GPU, or laptop; default: a line for each known one.")] = None,
    memory: Annotated[float | None, typer.Option(help="GB of any other GPU; hours are then unknown.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout, in bytes and seconds.")] = False,
) -> None:
    """Say what a study takes on a GPU: memory part by part, hours, a judge's tokens and cost, disk.

    Where something does not fit it says what to change. Exit code 1 when nothing fits. Nothing is fetched or run.

    Example: `mst plan training/configs/studies/paper-bias.yaml --gpu a100-40gb`
    """
    from mst_evals.planning import plan_commands

    raise typer.Exit(plan_commands.plan(study, gpu, memory, json, Console()))


@app.command()
def status(
    study: Annotated[Path, typer.Argument(help="Study file (YAML).")],
    out: Annotated[Path | None, typer.Option(help="Folder of adapters and logs; default: runs/NAME.")] = None,
    cells: Annotated[bool, typer.Option("--cells", help="A line for each cell instead of each job.")] = False,
) -> None:
    """Say how far a study is: what is done, running, failed, stale or missing, and why."""
    from mst_evals.studies import study_commands

    study_commands.status(study, out, cells, Console())


@app.command()
def pack(
    study: Annotated[Path, typer.Argument(help="Study file (YAML).")],
    to: Annotated[Path | None, typer.Option(help="Folder of the result; default: docs/results/NAME.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of adapters and logs; default: runs/NAME.")] = None,
    logs_of_seed: Annotated[
        int | None, typer.Option(help="Copy the main arms' logs of this seed in the main wording, too.")
    ] = None,
) -> None:
    """Write the finished cells of a study in a form small enough to commit: frame.parquet, cells.json, study.yaml.

    Packed cells count as done, so a study may go on tomorrow or on another machine. Cells that do not belong to the
    study any more are dropped, each with the reason.
    """
    from mst_evals.studies import study_commands

    study_commands.pack(study, to, out, logs_of_seed, Console())


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


@app.command()
def compare(
    file: Annotated[Path, typer.Argument(help="CSV file with one header line.")],
    a: Annotated[str, typer.Option(help="Column a; every difference is a minus b.")],
    b: Annotated[str, typer.Option(help="Column b.")],
    cluster: Annotated[str | None, typer.Option(help="Column of the cluster; without it rows are independent.")] = None,
    seed: Annotated[str | None, typer.Option(help="Column of the training seed; adds the interval over seeds.")] = None,
    row: Annotated[str | None, typer.Option(help="Column of the row, to match seeds; otherwise by order.")] = None,
    margin: Annotated[float, typer.Option(help="Of win rate and equivalence, in the unit of the columns.")] = 0.5,
    better: Annotated[Literal["lower", "higher"], typer.Option(help="What counts as a win of a.")] = "lower",
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout instead of a table.")] = False,
) -> None:
    """Compare two columns of any CSV file: difference, exact tests, equivalence, what the design could have seen.

    Columns of PASS, PARTIAL and FAIL are compared by their order alone, with the exact sign test.

    Example: `mst compare scores.csv --a mst --b baseline --cluster topic --seed seed --row row_id`
    """
    from mst_evals.statistics.compare import as_json, compare_columns, comparison_table

    found = compare_columns(file, a, b, cluster, seed, row, margin, better)
    if json:
        print(as_json(found))
    else:
        Console().print(comparison_table(found))


@app.command()
def probe_axis(
    base: Annotated[str, typer.Argument(help="Base model: a directory, the name of a shipped base, or a hub id.")],
    axis: Annotated[str, typer.Option(help="suggestibility or slant.")],
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    rows: Annotated[int, typer.Option(help="Validation rows to average over.")] = 16,
    wording: Annotated[str | None, typer.Option(help="Wording of the prompt.")] = None,
) -> None:
    """Before any training: where does a base place the held-out labels among the trained ones?

    It predicts whether what is learnt at the trained labels can carry on. It reads held-out labels, a declared
    exception: report a base that was chosen by it beside an unchosen pretraining seed.

    Example: `mst probe-axis micro-qwen --axis suggestibility --out runs/axis.json`
    """
    from training import axis_probe

    console = Console()
    found = axis_probe.probe(base, axis, rows, wording)
    for direction in found["groups"]:
        console.print(axis_probe.table(found, direction))
    console.print(found["sentence"], found["exception"], sep="\n", highlight=False)
    if out is not None:
        axis_probe.write(found, out)
        console.print(f"Every layer: {out}")


cli_judging.add_to(app)
cli_regression.add_to(app)
app.add_typer(cli_data.app, name="data")

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
