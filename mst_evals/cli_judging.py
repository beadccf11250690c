"""The commands on judges, `mst judge-card`, `mst blind` and `mst audit`: thin, as in `mst_evals.cli`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(name="judge-card")(judge_card)
    app.command(name="blind")(blind)
    app.command(name="audit")(audit)


def judge_card(
    grader: Annotated[str, typer.Option(help="Any Inspect model, or lexical for the offline proxy.")],
    data: Annotated[Path | None, typer.Option(help="Articles of known slant (.jsonl) or human ratings (.csv).")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the card, or the name of its .md file.")] = None,
    repeat: Annotated[int, typer.Option(help="How often each article is graded.")] = 2,
    second_grader: Annotated[str | None, typer.Option(help="A second judge, for agreement.")] = None,
    generator: Annotated[str | None, typer.Option(help="Model that wrote all articles of --data.")] = None,
    attacked: Annotated[int, typer.Option(help="Articles that each attack is tried on; 0: no attacks.")] = 8,
) -> None:
    """Grade articles whose slant is known, and say how far a judge can be trusted.

    Rank correlation with the intended slant, neutral against slanted, left/right symmetry, fair but critical reports,
    slant by omission, agreement with itself and with another judge, unscored replies, attacks in the text.

    Example: `mst judge-card --grader lexical --out runs/judge-card`
    """
    from mst_evals.judging import judging_commands

    code = judging_commands.judge_card(grader, Console(), data, out, repeat, second_grader, generator, attacked)
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
    rows: Annotated[int | None, typer.Option(help="Articles to grade, the first ones.")] = None,
) -> None:
    """Look for the label or the prompt in every text that a judge was given. Exit code 1 when there is one.

    Example: `mst audit logs --rescore lexical`
    """
    from mst_evals.judging import judging_commands

    raise typer.Exit(judging_commands.audit(logs, Console(), rescore, out, rows))
