"""The commands on judges, `mst judge`, `judge-card`, `blind` and `audit`: thin, as in `mst_evals.cli`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

PRICE = "INPUT,OUTPUT in USD per million tokens, one for all judges or for each."


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(name="judge")(judge)
    app.command(name="judge-card")(judge_card)
    app.command(name="blind")(blind)
    app.command(name="audit")(audit)


def judge(
    logs: Annotated[list[Path], typer.Argument(help="Inspect logs of the bias tasks, or folders of them.")],
    grader: Annotated[
        list[str], typer.Option(help="Any Inspect model, as in --model-role grader=...; several are a panel.")
    ],
    batch: Annotated[bool, typer.Option("--batch", help="The judge's batch mode: half the price, a day.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Spend without asking.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for judged copies; by default the logs get grades.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace grades of another judge or rubric.")] = False,
    price: Annotated[list[str] | None, typer.Option(help=PRICE)] = None,
) -> None:
    """Grade articles that are written already, and put the grades into their logs. The cost is shown before and after.

    Stopped half-way, the same command asks about what is missing; articles that got no reply are asked about again.

    Example: `inspect eval mst_evals/bias.py --model hf/DIR --no-score --log-dir logs`, then
    `mst judge logs --grader anthropic/MODEL --batch`
    """
    from mst_evals.judging import judge_commands

    code = judge_commands.judge_logs(logs, Console(), grader, batch, yes, out, overwrite, price or ())
    raise typer.Exit(code)


def judge_card(
    grader: Annotated[str, typer.Option(help="Any Inspect model, or lexical for the offline proxy.")],
    data: Annotated[Path | None, typer.Option(help="Articles of known slant (.jsonl) or human ratings (.csv).")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the card, or the name of its .md file.")] = None,
    repeat: Annotated[int, typer.Option(help="How often each article is graded.")] = 2,
    second_grader: Annotated[str | None, typer.Option(help="A second judge, for agreement.")] = None,
    generator: Annotated[
        str | None, typer.Option(help="Model that wrote the articles of --data that name no writer.")
    ] = None,
    attacked: Annotated[int, typer.Option(help="Articles that each attack is tried on; 0: no attacks.")] = 8,
    yes: Annotated[bool, typer.Option("--yes", help="Spend without asking.")] = False,
    price: Annotated[list[str] | None, typer.Option(help=PRICE)] = None,
) -> None:
    """Grade articles whose slant is known, and say how far a judge can be trusted. The cost is shown before and after.

    Rank correlation with the intended slant, neutral against slanted, left/right symmetry, fair but critical reports,
    slant by omission, agreement with itself and with another judge, unscored replies, attacks in the text.

    Example: `mst judge-card --grader lexical --out runs/judge-card`
    """
    from mst_evals.judging import judging_commands

    code = judging_commands.judge_card(
        grader, Console(), data, out, repeat, second_grader, generator, attacked, yes, price or ()
    )
    raise typer.Exit(code)


def blind(
    logs: Annotated[list[Path], typer.Argument(help="Inspect logs of generated articles, or folders of them.")],
    out: Annotated[Path, typer.Option(help="CSV file to write; FILE.key.csv is written beside it.")],
    n: Annotated[int, typer.Option(help="Number of articles.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
) -> None:
    """Sample generated articles into a CSV for people to rate, which gives nothing away; the key is written apart.

    Example: `mst blind logs --out runs/blind.csv`, then `mst judge-card --grader MODEL --data runs/blind.csv`
    """
    from mst_evals.judging import judging_commands

    raise typer.Exit(judging_commands.export_blind(logs, out, n, seed, Console()))


def audit(
    logs: Annotated[list[Path], typer.Argument(help="Inspect logs, or folders of them.")],
    rescore: Annotated[
        str | None, typer.Option(help="Grade with and without the label in front: a model, or lexical.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for what is graded.")] = None,
    rows: Annotated[int | None, typer.Option(help="Articles to grade, spread evenly over all logs.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Spend without asking.")] = False,
    price: Annotated[str | None, typer.Option(help="INPUT,OUTPUT in USD per million tokens.")] = None,
) -> None:
    """Look for the label or the prompt in every text that a judge was given. Exit code 1 when there is one.

    With --rescore the articles are graded again with and without the label's text, label and prompt cut out of them
    first; the cost is shown before and after.

    Example: `mst audit logs --rescore lexical`
    """
    from mst_evals.judging import judging_commands

    prices = [price] if price else []
    raise typer.Exit(judging_commands.audit(logs, Console(), rescore, out, rows, yes, prices))
