"""Slanted articles for a set of topics, written by any Inspect model: one for each topic, under a random profile.

The writer is told the profile's editorial perspective in the words of its monitor label, which is what the article will
later be labelled with. What it writes is checked; what fails a check is kept with the reason and asked for again.
Inspect sends and logs the requests; a run that was stopped continues with what is missing (`article_rounds`).
"""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inspect_ai.model import Model

from mst_evals import data, manifest
from mst_evals.corpus import article_rounds, spending, writers
from mst_evals.corpus.article_checks import Made, Request
from mst_evals.corpus.article_rounds import Job, State
from mst_evals.corpus.spending import Price, Usage
from mst_evals.errors import StepError
from mst_evals.labels import PROFILES

ARTICLES, REJECTED, SUMMARY = "articles.jsonl", "rejected.jsonl", "summary.json"
CHARACTERS = 1050  # of an article, about: 170 words, the middle of what is asked for


def assign_profiles(topics: Sequence[data.Row], seed: int) -> dict[str, str]:
    """Topic id -> profile: at random, and as balanced within each split as its size allows."""
    found: dict[str, str] = {}
    for split in dict.fromkeys(row["split"] for row in topics):
        ids = [row["id"] for row in topics if row["split"] == split]
        rng = random.Random(f"profiles/{seed}/{split}")
        profiles = [PROFILES[place % len(PROFILES)] for place in range(len(ids))]
        rng.shuffle(profiles)
        found |= dict(zip(ids, profiles, strict=True))
    return found


def plan(
    model: str | Model, path: Path, out: Path, splits: Sequence[str], request: Request, rows: int | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Job:  # fmt: skip
    """What is to be asked for.

    Args:
        model: Any Inspect model.
        path: Topics (JSON lines).
        out: Folder: `ARTICLES`, `REJECTED`, `SUMMARY`, and Inspect's logs below ``logs/``.
        splits: Names of splits.
        request: How articles are asked for.
        rows: Number of topics of each split, the first ones.
        arguments: Of the model.

    Raises:
        InputError: The topics cannot be used, or the model cannot be had.
    """
    topics = [row for split in splits for row in data.load_topics(path, split, rows)]
    return Job(writers.ready(model, arguments), path, out, topics, assign_profiles(topics, request.seed), request)


def estimate(job: Job, state: State) -> tuple[Usage, Usage]:
    """What is still to come: as expected without rejections and thinking, and if all were as long and often as may be.

    Args:
        job: What is asked for.
        state: What its folder has.
    """
    likely, most = Usage(), Usage()
    for row in state.waiting(job):
        said = article_rounds.prompt(row, job.profiles[row["id"]])
        given = spending.tokens("".join(message.text for message in said))
        times = job.request.attempts - state.replies.get(row["id"], 0)
        likely += Usage(1, given, min(job.request.max_tokens, spending.tokens("x" * CHARACTERS)))
        most += Usage(times, times * given, times * job.request.max_tokens)
    return likely, most


def work(job: Job, price: Price | None = None, display: str | None = None) -> tuple[State, str, str]:
    """Ask in rounds until every topic has its article or is given up, and write the files after each.

    Args:
        job: What is asked for; replies that its folder has are not asked for again.
        price: Of the writer, for the summary.
        display: Inspect's display; None: its default.

    Returns:
        What the folder has; why the work ended before its end, else empty; the last error, empty without one.
    """
    state, fault, last = article_rounds.replay(job), "", ""
    for _ in range(job.request.attempts):
        if not (left := state.waiting(job)):
            break
        before = sum(state.replies.values())
        ended = article_rounds.ask(job, left, state, display)
        state, fault, last = article_rounds.replay(job), ended.fault, ended.failures.last or last
        if fault or sum(state.replies.values()) == before:  # nothing came: asking again at once brings nothing either
            break
        write(job, state, price)
    write(job, state, price)
    return state, fault, last


def make(
    model: str | Model, path: Path, out: Path, splits: Sequence[str], request: Request, rows: int | None = None,
    display: str | None = None,
) -> Made:  # fmt: skip
    """Write articles for the topics of some splits, and continue a run that was stopped; see `plan` and `work`.

    Raises:
        InputError: The topics cannot be used, or the model cannot be had. What was made stays.
        StepError: The model fails for good, or the run was stopped. What was made stays.
    """
    state, fault, _ = work(plan(model, path, out, splits, request, rows), display=display)
    if fault:
        raise StepError(fault)
    return state.made


def write(job: Job, state: State, price: Price | None) -> None:
    """Write all three files, each atomically; articles in the order of the topics, and no file without any."""
    made, out = state.made, job.out
    order = {row["id"]: place for place, row in enumerate(job.topics)}
    accepted = sorted(made.accepted, key=lambda row: order[row["topic"]])
    out.mkdir(parents=True, exist_ok=True)
    if accepted:
        manifest.write_text(out / ARTICLES, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in accepted))
    else:  # an empty file would be no data set, and one of another request not what was asked for
        (out / ARTICLES).unlink(missing_ok=True)
    manifest.write_text(out / REJECTED, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made.rejected))
    summary = {
        "model": str(job.model),
        "topics": job.path.name,
        "topics_sha256": data.sha256(job.path),
        "request": vars(job.request),
        "model_args": dict(job.writer.arguments),
        "decoding": job.writer.decoding,
        "preflight": dict(job.writer.preflight),
        "asked": len(job.topics),
        "outcomes": made.counts(),
        "without_article": [row["id"] for row in job.topics if row["id"] not in {one["topic"] for one in accepted}],
        "profiles": dict(sorted(Counter(row["profile"] for row in accepted).items())),
        "replies": state.usage.requests,
        "input_tokens": state.usage.input,
        "output_tokens": state.usage.output,
        "usd": spending.cost(state.usage, price),
    }
    manifest.write_text(out / SUMMARY, json.dumps(summary, indent=1, default=str) + "\n")
