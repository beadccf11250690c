"""``mst data topics``: topics for every domain from an Anthropic model; what it will cost first, what it did cost last.

Beside the state of the run (`topic_rounds`) the folder gets ``rejected.jsonl`` and ``summary.json`` after every round,
and ``topics.jsonl`` at the end.
"""

import json
import math
import secrets
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mst_evals import data, manifest
from mst_evals.corpus import asking, batches, spending, splits, topic_rounds, topics
from mst_evals.corpus.spending import Price, Usage
from mst_evals.corpus.topic_rounds import Run, Settings
from mst_evals.corpus.topics import Corpus
from mst_evals.errors import InputError
from mst_evals.terminal import confirmed, say

PER_DOMAIN = 46  # 50 domains make 2,300
PER_REQUEST = 12


def make_topics(
    console: Console,
    out: Path,
    model: str,
    domains: Path | None = None,
    per_domain: int = PER_DOMAIN,
    per_request: int = PER_REQUEST,
    batch: bool = True,
    yes: bool = False,
    price: str | None = None,
    existing: Path | None = None,
    effort: str | None = None,
    seed: int = 0,
    poll: float = 30.0,
) -> int | None:
    """Make a topics file; the same call goes on where an earlier one ended, and pays for no finished request again.

    Args:
        console: Where to report.
        out: Folder for everything.
        model: An Anthropic model, with or without ``anthropic/``.
        domains: File of domains (`topics.domains_of`); those of the shipped topics by default.
        per_domain: Topics of each domain.
        per_request: Topics asked for at a time.
        batch: Message Batches, at half the price and within 24 hours; otherwise one by one.
        yes: Spend without asking.
        price: ``INPUT,OUTPUT`` in USD per million tokens.
        existing: A topics file whose topics may not be repeated.
        effort: ``low`` ... ``max``, where the model takes it; thinking is billed as output.
        seed: Of the splits.
        poll: Seconds between two looks at a batch.

    Returns:
        None when every domain has its topics, 1 when some lack or nothing was to be spent.

    Raises:
        InputError: Bad input, or the folder holds a run with other settings or one that is under way.
        StepError: The API or the way to it failed; what is finished is kept.
    """
    if per_domain < 1 or per_request < 1:
        raise InputError(f"topics per domain and request are {per_domain} and {per_request}, expected at least 1 each")
    cost = spending.price_of(model, price)
    wanted = Settings(
        model=model.removeprefix("anthropic/"),
        domains=topics.domains_of(domains or data.TOPICS),
        per_domain=per_domain,
        per_request=per_request,
        effort=effort,
        existing_sha256=data.sha256(existing) if existing else None,
        prompt_sha256=topics.prompt_sha256(),
        token=secrets.token_hex(6),
    )
    old = data.read_rows(existing, data.KINDS["topics"].fields) if existing else []
    with topic_rounds.alone(out):
        run = Run(out, topic_rounds.settle(out, wanted), old, batch, poll)
        corpus, _ = topic_rounds.replay(run)
        given_up: dict[str, str] = {}
        if run.lacking(corpus):
            _show_plan(console, run, corpus, cost)
            if not yes and not confirmed(console):
                say(console, "Nothing was sent.")
                return 1
            given_up = _work(console, run, cost)
            corpus, _ = topic_rounds.replay(run)
        return _finish(console, run, corpus, cost, seed, given_up)


# --- before ---------------------------------------------------------------------------------------------------------


def estimate(run: Run, corpus: Corpus) -> tuple[Usage, Usage]:
    """What is still to come: as expected without rejections and thinking, and if every reply were as long as it may be.

    Args:
        run: The run.
        corpus: What it has.
    """
    requests = given = written = 0
    for domain, lacking in run.lacking(corpus).items():
        times = math.ceil(lacking / run.settings.per_request)
        taken = run.taken(corpus, domain)
        fixed = spending.tokens(topics.SYSTEM + topics.prompt(domain, run.settings.per_request, taken))
        # each request names the headlines of those before it: on average half of what is lacking, 75 characters each
        growing = spending.tokens("x" * 75) * lacking // 2
        requests += times
        given += times * (fixed + growing)
        written += lacking * spending.tokens("x" * topics.TOPIC_CHARACTERS)
    return Usage(requests, given, written), Usage(requests, given, requests * topics.MAX_TOKENS)


def _show_plan(console: Console, run: Run, corpus: Corpus, price: Price | None) -> None:
    wanted = len(run.settings.domains) * run.settings.per_domain
    shape = f"{len(run.settings.domains)} domains x {run.settings.per_domain}"
    say(console, f"{wanted:,} topics wanted ({shape}), {len(corpus.topics):,} there; model {run.settings.model}")
    _show_spent(console, run, price)
    if under_way := batches.under_way(run.out):
        say(console, f"{under_way:,} requests are under way in a batch that is paid for.")
    likely, most = estimate(run, corpus)
    how = "Message Batches, half the price" if run.batch else "one by one, full price"
    say(
        console,
        f"To come, about: {likely.requests:,} requests, {likely.input:,} input and {likely.output:,} output tokens: "
        f"{spending.dollars(spending.cost(likely, price, run.batch))} ({how}), without rejections and thinking; "
        f"if every reply took all of its {topics.MAX_TOKENS:,} tokens: "
        f"{spending.dollars(spending.cost(most, price, run.batch))}",
    )
    if price is None:
        say(console, "The price of this model is not known here: give it as --price INPUT,OUTPUT.")


# --- during ---------------------------------------------------------------------------------------------------------


def _work(console: Console, run: Run, price: Price | None) -> dict[str, str]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with asking.one_line(run.out), Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def report(text: str, done: int | None, total: int | None) -> None:
            progress.update(task, description=escape(text), completed=done or 0, total=total)

        return topic_rounds.work(run, asking.client(), report, lambda corpus: _write_state(run, corpus, price))


def _write_state(run: Run, corpus: Corpus, price: Price | None) -> None:
    """What a reader may want to know between two rounds."""
    manifest.write_text(run.out / "rejected.jsonl", _lines(corpus.rejected, ascii_only=True))  # see `asking.keep`
    spent, cut = topic_rounds.usage(run.out)
    summary = {
        "model": run.settings.model,
        "wanted": len(run.settings.domains) * run.settings.per_domain,
        "topics": len(corpus.topics),
        "lacking": run.lacking(corpus),
        "rejected": dict(Counter(row["reason"] for row in corpus.rejected).most_common()),
        "replies": {"plain": spent[False].requests, "batch": spent[True].requests, "cut": cut},
        "input_tokens": spent[False].input + spent[True].input,
        "output_tokens": spent[False].output + spent[True].output,
        "usd": _spent(spent, price),
    }
    manifest.write_text(run.out / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")


def _lines(rows: Iterable[data.Row], ascii_only: bool = False) -> str:
    return "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)


def _spent(spent: dict[bool, Usage], price: Price | None) -> float | None:
    return spending.total(spending.cost(used, price, batch) for batch, used in spent.items())


# --- after ----------------------------------------------------------------------------------------------------------


def rows_of(run: Run, corpus: Corpus, seed: int) -> list[data.Row]:
    """The topics as rows of a data set: ordered by domain, with id and split."""
    place = {domain: number for number, domain in enumerate(run.settings.domains)}
    ordered = sorted(corpus.topics, key=lambda row: place[row["domain"]])  # stable: accepted first comes first
    found = splits.assign(ordered, seed)
    return [
        {"id": f"topic-{number:05d}", "split": split, **row}
        for number, (row, split) in enumerate(zip(ordered, found, strict=True), start=1)
    ]


def _finish(
    console: Console, run: Run, corpus: Corpus, price: Price | None, seed: int, given_up: dict[str, str]
) -> int | None:
    rows = rows_of(run, corpus, seed)
    if rows:
        manifest.write_text(run.out / "topics.jsonl", _lines(rows))
    _write_state(run, corpus, price)
    sizes = Counter(row["split"] for row in rows)
    shown = ", ".join(f"{sizes[split]:,} {split}" for split in data.SPLITS)
    say(console, f"{len(rows):,} topics ({shown}): {run.out / 'topics.jsonl'}")
    reasons = Counter(row["reason"] for row in corpus.rejected)
    if reasons:
        counted = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        say(console, f"Rejected: {counted}: {run.out / 'rejected.jsonl'}")
    _show_spent(console, run, price)
    lacking = run.lacking(corpus)
    if not lacking:
        return None
    first = next(iter(lacking))
    why = f", {first!r}: {given_up[first]}" if first in given_up else ""
    number = sum(lacking.values())
    say(console, f"{number:,} topics lack in {len(lacking)} domains{why}; the same command asks again")
    return 1


def _show_spent(console: Console, run: Run, price: Price | None) -> None:
    spent, cut = topic_rounds.usage(run.out)
    used = spent[False] + spent[True]
    if used.requests or cut:
        unknown = f"; {cut} replies arrived cut, their usage is not known" if cut else ""
        say(console, f"Spent: {spending.sentence(used, _spent(spent, price))}{unknown}")
