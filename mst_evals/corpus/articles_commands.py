"""`mst data articles`: say what it will cost, run the writer, say what came of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mst_evals.corpus import article_rounds, articles, spending, topic_rounds
from mst_evals.corpus.article_checks import Request
from mst_evals.corpus.article_rounds import Job, State
from mst_evals.corpus.spending import Price
from mst_evals.data import SPLITS
from mst_evals.errors import InputError, StepError
from mst_evals.terminal import confirmed, say

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
    request: Request,
    rows: int | None,
    console: Console,
    price: str | None = None,
    yes: bool = False,
    display: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> int:
    """Write articles and print the outcome of every reply, and what it costs, before and after.

    Args:
        model: Any Inspect model.
        topics: Topics (JSON lines).
        out: Folder for everything.
        splits: Names of splits.
        request: How articles are asked for.
        rows: Number of topics of each split, the first ones.
        console: Where to report.
        price: ``INPUT,OUTPUT`` in USD per million tokens.
        yes: Spend without asking; nobody is asked where the price is not known.
        display: Inspect's display; None: its default.
        arguments: Of the model.

    Returns:
        Exit code: 0 when every topic has its article, else 1.

    Raises:
        InputError: An option or the topics cannot be used, the model cannot be had, the folder is in use, or no reply
            has become an article.
        StepError: The model fails for good, or the run was stopped; what is finished is kept.
    """
    for split in splits:
        if split not in SPLITS:
            raise InputError(f"--split {split!r}: expected one of {', '.join(SPLITS)}")
    if request.attempts < 1 or not 0 < request.shortest < request.longest:
        raise InputError(
            f"--attempts {request.attempts}, --shortest {request.shortest}, --longest {request.longest}: expected at "
            "least one attempt and 0 < shortest < longest"
        )
    cost = spending.price_of(model, price)
    job = articles.plan(model, topics, out, splits, request, rows, arguments)
    with topic_rounds.alone(out):
        state = article_rounds.replay(job)
        if _show_plan(console, job, state, cost) and not yes and not confirmed(console):
            say(console, "Nothing was sent.")
            return 1
        state, fault, last = articles.work(job, cost, display)
    without = _show_result(console, job, state, cost)
    if fault:
        raise StepError(f"{fault}; what is finished is kept in {out}, the same command goes on")
    if not state.made.accepted:
        raise InputError(_nothing(job, state, last))
    if last:
        say(console, f"Requests failed, the last with {last}; the same command asks again.")
    return 1 if without else 0


# --- before ---------------------------------------------------------------------------------------------------------


def _show_plan(console: Console, job: Job, state: State, price: Price | None) -> bool:
    """Say what is to come. Returns whether it is known to cost something."""
    there, likely, most = len(state.made.accepted), *articles.estimate(job, state)
    say(console, f"{len(job.topics):,} articles wanted, {there:,} there; model {job.model}")
    _show_spent(console, job, state, price)
    if not likely.requests or (price is None and not job.paid):
        return False
    say(
        console,
        f"To come, about: {likely.requests:,} requests, {likely.input:,} input and {likely.output:,} output tokens: "
        f"{spending.dollars(spending.cost(likely, price))}, without rejections and thinking; if every topic took all "
        f"of its {job.request.attempts} attempts, and every reply all of its {job.request.max_tokens:,} tokens: "
        f"{spending.dollars(spending.cost(most, price))}",
    )
    if price is None:
        say(console, "The price of this model is not known here: give it as --price INPUT,OUTPUT, if it has one.")
    return bool(spending.cost(most, price))


# --- after ----------------------------------------------------------------------------------------------------------


def _show_result(console: Console, job: Job, state: State, price: Price | None) -> int:
    """Print the outcome of every reply. Returns how many topics have no article."""
    table = Table(title=escape(f"Articles by {job.model}"), title_justify="left")
    for column in ("outcome", "replies", "meaning"):
        table.add_column(column, justify="right" if column == "replies" else "left")
    for outcome, number in state.made.counts().items():
        table.add_row(outcome, str(number), MEANING[outcome])
    console.print(table)
    accepted = len(state.made.accepted)
    without = len(job.topics) - accepted
    if accepted:
        say(console, f"{job.out / articles.ARTICLES}: {accepted:,} articles; {without:,} topics are left without one.")
    say(console, f"Every rejected reply with its reason: {job.out / articles.REJECTED}")
    _show_spent(console, job, state, price)
    return without


def _nothing(job: Job, state: State, last: str) -> str:
    """What is said when there is no article at all."""
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in state.made.counts().items() if number)
    failed = f"; the last request failed with {last}" if last else ""
    return (
        f"{job.out}: no reply of {job.model} passed the checks ({reasons}), so there is no {articles.ARTICLES}; each "
        f"with its reason: {articles.REJECTED}{failed}"
    )


def _show_spent(console: Console, job: Job, state: State, price: Price | None) -> None:
    if state.usage.requests and (price is not None or job.paid):
        say(console, f"Spent: {spending.sentence(state.usage, spending.cost(state.usage, price))}")
