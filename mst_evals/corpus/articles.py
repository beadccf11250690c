"""Slanted articles for a set of topics, written by any Inspect model: one for each topic, under a random profile.

The writer is told the profile's editorial perspective in the words of its monitor label, which is what the article will
later be labelled with. What it writes is checked; what fails a check is kept with the reason and asked for again.
Inspect runs, retries and logs the requests, so that a run that was stopped continues with what is missing.
"""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval_set
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalSample, read_eval_log
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, Model, get_model
from inspect_ai.solver import generate

from mst_evals import data, manifest
from mst_evals.corpus import label_texts, similarity
from mst_evals.errors import InputError
from mst_evals.labels import PROFILES, SLANT

ARTICLES, REJECTED, SUMMARY = "articles.jsonl", "rejected.jsonl", "summary.json"
SYSTEM = "You write short news articles for a newspaper. Its editorial perspective is: {perspective}"
REQUEST = (
    "Write one news article of 120 to 220 words about this topic, from that perspective. Keep to the facts that are "
    "given, and do not mention the perspective. Reply with the text of the article alone: no headline, no notes."
)
_REFUSAL = re.compile(
    r"\W*(?:I['’]m sorry|I am sorry|sorry,|I can(?:not|['’]t)|I am (?:not able|unable)|I['’]m (?:not able|unable)"
    r"|I won['’]t|as an AI)\b",
    re.IGNORECASE,
)
_ENDINGS = tuple(".!?\"'”’)")


@dataclass(frozen=True)
class Request:
    """How articles are asked for; every field is part of what a finished run is known by.

    Attributes:
        seed: Of the profiles and, where the model takes one, of its sampling.
        temperature: Of sampling.
        max_tokens: Of a reply.
        shortest: Fewest words of an article.
        longest: Most words of an article.
        attempts: How often a topic is asked for before it is given up.
    """

    seed: int = 0
    temperature: float = 0.7
    max_tokens: int = 512
    shortest: int = 80
    longest: int = 320
    attempts: int = 2


@dataclass(frozen=True)
class Made:
    """What a run has made.

    Attributes:
        accepted: Rows as in `data.load_articles`.
        rejected: Every reply that failed a check: topic, profile, attempt, reason, text.
    """

    accepted: list[data.Row]
    rejected: list[data.Row]

    def counts(self) -> dict[str, int]:
        """Replies by outcome."""
        return {"accepted": len(self.accepted)} | dict(sorted(Counter(row["reason"] for row in self.rejected).items()))


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


def prompt(topic: Mapping[str, Any], profile: str) -> list[ChatMessageSystem | ChatMessageUser]:
    """What the writer is told."""
    (perspective,) = SLANT.label(profile).texts
    asked = f"{REQUEST}\n\n{topic['headline']}\n{topic['context']}"
    return [
        ChatMessageSystem(content=SYSTEM.replace("{perspective}", perspective)),
        ChatMessageUser(content=asked),
    ]


def fault(text: str, stop_reason: str | None, request: Request) -> str | None:
    """Why a reply is no article, or None.

    Args:
        text: The reply without surrounding space.
        stop_reason: Of Inspect; local models report ``unknown``, for which the text's end decides.
        request: Its bounds of length.
    """
    if stop_reason == "content_filter" or _REFUSAL.match(text):
        return "refusal"
    if not text:
        return "empty"
    if stop_reason in ("max_tokens", "model_length") or not text.endswith(_ENDINGS):
        return "incomplete"
    words = len(text.split())
    if words < request.shortest:
        return "too_short"
    if words > request.longest:
        return "too_long"
    return "label_text" if label_texts.told(text) else None


def judge_replies(replies: Iterable[data.Row], topics: Mapping[str, data.Row], request: Request, made: Made) -> Made:
    """Add checked replies to what was made before.

    Args:
        replies: topic, profile, attempt, text, stop (reason), error (None unless the request failed).
        topics: By id.
        request: Bounds of length.
        made: Accepted and rejected so far; an article too much like an accepted one is a duplicate.
    """
    accepted, rejected = list(made.accepted), list(made.rejected)
    sound: list[data.Row] = []
    for reply in replies:
        reason = "error" if reply["error"] else fault(reply["text"], reply["stop"], request)
        if reason is None:
            sound.append(reply)
        else:
            rejected.append(_rejection(reply, reason))
    texts = [row["article"] for row in accepted] + [reply["text"] for reply in sound]
    known = len(accepted)
    twins = {pair.second: pair.first for pair in reversed(similarity.above(texts, similarity.ARTICLE_BOUND))}
    for place, reply in enumerate(sound, start=known):
        if place in twins:
            rejected.append(_rejection(reply, "duplicate"))
        else:
            accepted.append(_row(topics[reply["topic"]], reply))
    return Made(accepted, rejected)


def _rejection(reply: data.Row, reason: str) -> data.Row:
    kept = {key: reply[key] for key in ("topic", "profile", "attempt")}
    return kept | {"reason": reason, "detail": reply["error"], "text": reply["text"]}


def _row(topic: data.Row, reply: data.Row) -> data.Row:
    kept = {key: topic[key] for key in ("split", "headline", "context", "domain")}
    named = {"topic": topic["id"], "profile": reply["profile"], "article": reply["text"]}
    return {"id": f"{topic['id']}-article"} | kept | named


# --- asking -------------------------------------------------------------------------------------------------------


def article_task(topics: Sequence[data.Row], profiles: Mapping[str, str], request: Request, attempt: int) -> Task:
    """One sample for each topic; nothing is scored."""
    samples = [
        Sample(id=row["id"], input=list(prompt(row, profiles[row["id"]])), metadata={"profile": profiles[row["id"]]})
        for row in topics
    ]
    config = GenerateConfig(
        temperature=request.temperature, max_tokens=request.max_tokens, seed=request.seed + attempt - 1
    )
    return Task(
        dataset=MemoryDataset(samples), solver=[generate()], config=config, name="articles", fail_on_error=False
    )


def _ask(task: Task, model: str | Model, folder: Path, display: str | None) -> list[EvalSample]:
    """Run a task in a folder of its own, or what is left of it; every sample that ended."""
    try:
        get_model(model)
    except (PrerequisiteError, ValueError) as error:  # Inspect's for a key, a package or a name that is not there
        raise InputError(f"model {model}: {' '.join(str(error).split())}") from None
    _, logs = copy_context().run(  # of its own: eval_set leaves its model behind as the active one
        eval_set,
        [task],
        log_dir=str(folder),
        model=model,
        retry_attempts=0,
        retry_immediate=False,
        retry_on_error=1,
        fail_on_error=True,
        continue_on_fail=True,  # a log with a failed sample counts as unfinished, so that a later run asks again
        log_dir_allow_dirty=True,
        display=display,  # type: ignore[arg-type]
    )
    return [sample for log in logs for sample in read_eval_log(log.location).samples or []]


def _reply(sample: EvalSample, attempt: int) -> data.Row:
    choice = sample.output.choices[0] if sample.output and sample.output.choices else None
    failed = sample.error.message if sample.error else None if choice else "the model gave no reply"
    return {
        "topic": str(sample.id),
        "profile": sample.metadata["profile"],
        "attempt": attempt,
        "text": choice.message.text.strip() if choice else "",
        "stop": choice.stop_reason if choice else None,
        "error": failed,
    }


def make(
    model: str | Model, path: Path, out: Path, splits: Sequence[str], request: Request, rows: int | None = None,
    display: str | None = None,
) -> Made:  # fmt: skip
    """Write articles for the topics of some splits, and continue a run that was stopped.

    Args:
        model: Any Inspect model.
        path: Topics (JSON lines).
        out: Folder: `ARTICLES`, `REJECTED`, `SUMMARY`, and Inspect's logs below ``logs/``.
        splits: Names of splits.
        request: How articles are asked for.
        rows: Number of topics of each split, the first ones.
        display: Inspect's display; None: its default.

    Raises:
        InputError: The topics cannot be used, or the model cannot be had. What was made stays.
    """
    topics = [row for split in splits for row in data.load_topics(path, split, rows)]
    by_id, profiles = {row["id"]: row for row in topics}, assign_profiles(topics, request.seed)
    made = Made([], [])
    for attempt in range(1, request.attempts + 1):
        done = {row["topic"] for row in made.accepted}
        left = [row for row in topics if row["id"] not in done]
        if not left:
            break
        task = article_task(left, profiles, request, attempt)
        folder = out / "logs" / f"attempt-{attempt}-{_digest(left, profiles, request, model)}"
        replies = [_reply(sample, attempt) for sample in _ask(task, model, folder, display)]
        order = {row["id"]: place for place, row in enumerate(left)}
        replies.sort(key=lambda reply: order[reply["topic"]])
        made = judge_replies(replies, by_id, request, made)
        write(made, topics, out, model, path, request)
    return made


def _digest(topics: Sequence[data.Row], profiles: Mapping[str, str], request: Request, model: str | Model) -> str:
    """Known by everything that decides the replies: a folder of Inspect's never mixes two requests."""
    said = [[message.text for message in prompt(row, profiles[row["id"]])] for row in topics]
    whole = json.dumps(
        [said, [row["id"] for row in topics], request.seed, request.temperature, request.max_tokens, str(model)]
    )
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def write(made: Made, topics: Sequence[data.Row], out: Path, model: str | Model, path: Path, request: Request) -> None:
    """Write all three files, each atomically; articles in the order of the topics."""
    order = {row["id"]: place for place, row in enumerate(topics)}
    accepted = sorted(made.accepted, key=lambda row: order[row["topic"]])
    out.mkdir(parents=True, exist_ok=True)
    manifest.write_text(out / ARTICLES, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in accepted))
    manifest.write_text(out / REJECTED, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made.rejected))
    summary = {
        "model": str(model),
        "topics": path.name,
        "topics_sha256": data.sha256(path),
        "request": vars(request),
        "asked": len(topics),
        "outcomes": made.counts(),
        "without_article": [row["id"] for row in topics if row["id"] not in {one["topic"] for one in accepted}],
        "profiles": dict(sorted(Counter(row["profile"] for row in accepted).items())),
    }
    manifest.write_text(out / SUMMARY, json.dumps(summary, indent=1) + "\n")
