"""`mst data articles`: run the writer and say what came of it."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mst_evals.corpus import articles
from mst_evals.data import SPLITS
from mst_evals.errors import InputError

MEANING = {
    "accepted": "written to articles.jsonl",
    "error": "the request failed",
    "refusal": "the model declined",
    "empty": "no text",
    "incomplete": "cut off, or without an end",
    "too_short": "fewer words than --shortest",
    "too_long": "more words than --longest",
    "label_text": "repeats the text of a label",
    "duplicate": "too much like an accepted article",
}


def make(
    model: str,
    topics: Path,
    out: Path,
    splits: Sequence[str],
    request: articles.Request,
    rows: int | None,
    console: Console,
) -> int:
    """Write articles and print the outcome of every reply.

    Returns:
        Exit code: 0 when every topic has its article, else 1.

    Raises:
        InputError: An option or the topics cannot be used, or the model cannot be had.
    """
    for split in splits:
        if split not in SPLITS:
            raise InputError(f"--split {split!r}: expected one of {', '.join(SPLITS)}")
    if request.attempts < 1 or not 0 < request.shortest < request.longest:
        raise InputError(
            f"--attempts {request.attempts}, --shortest {request.shortest}, --longest {request.longest}: expected at "
            "least one attempt and 0 < shortest < longest"
        )
    made = articles.make(model, topics, out, splits, request, rows)
    table = Table(title=f"Articles by {model}", title_justify="left")
    for column in ("outcome", "replies", "meaning"):
        table.add_column(column, justify="right" if column == "replies" else "left")
    for outcome, number in made.counts().items():
        table.add_row(outcome, str(number), MEANING[outcome])
    console.print(table)
    without = len({row["topic"] for row in made.rejected} - {row["topic"] for row in made.accepted})
    console.print(f"{out / articles.ARTICLES}: {len(made.accepted)} articles; {without} topics are left without one.")
    console.print(f"Every rejected reply with its reason: {out / articles.REJECTED}")
    return 1 if without else 0
