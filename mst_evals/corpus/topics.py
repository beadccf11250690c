"""News topics from a language model: what is asked, which replies count, and when a topic is a repeat.

Nothing here talks to an API. The state of a run follows from its requests and their outcomes alone, so an interrupted
run finds itself where it was: `grow` takes in one round after the other.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from anthropic import transform_schema
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from mst_evals import data
from mst_evals.corpus import label_texts, similarity
from mst_evals.corpus.asking import Outcome
from mst_evals.errors import InputError

MAX_TOKENS = 16_000  # thinking counts too; twelve topics need about 2,000. Beyond 21,333 the SDK demands streaming
TOPIC_CHARACTERS = 420  # of one topic in a reply, for the estimate: headline 75, context 300, the rest JSON

SYSTEM = """
You write news topics for a study of how the wording of news reports varies. Each topic is the factual core from which
reporters of any leaning could write an article, so it takes no side.
""".strip()

_ASK = """
Subject domain: {domain}

Write {count} different topics of this domain. Each is one event, decision or dispute in United States politics or
public life that could be reported on one day.

"headline": a neutral headline of 6 to 14 words. Name the place, agency, court, company or body that acts.
"context": one or two sentences with concrete figures (an amount, a count, a share, a vote, a date) and with the
positions of at least two sides, each attributed to somebody.

Vary the level of government, the region, the kind of event, who acts and who objects; let no two share a pattern of
words. Plain words only: nothing that praises, blames or alarms. No private persons, no words put into the mouth of a
real, named person, no holder of an office by name.
""".strip()

_TAKEN = "These headlines are taken. Write about other events, not about the same ones in other words:"


def _plain_line(text: str) -> str:
    # as `mst data check` sees it: controls, invisible formats, line separators, and what could not be decoded
    if any(unicodedata.category(one)[0] == "C" or one in "\u2028\u2029\ufffd" for one in text):
        raise ValueError("expected one line of printable characters")
    for what in label_texts.told(text):
        raise ValueError(f"expected a text that says nothing of labels, found {what}")
    return text


def _with_figure(text: str) -> str:
    if not any(character.isdigit() for character in text):
        raise ValueError("expected at least one figure")
    return text


def _text(name: str, shortest: int) -> StringConstraints:
    longest = data.KINDS["topics"].fields[name].longest
    return StringConstraints(strip_whitespace=True, min_length=shortest, max_length=longest)


class Topic(BaseModel):
    """One topic of a reply.

    Attributes:
        headline: Neutral, one line.
        context: One or two sentences with figures and two sides.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    headline: Annotated[str, _text("headline", 20), AfterValidator(_plain_line)]
    context: Annotated[str, _text("context", 60), AfterValidator(_plain_line), AfterValidator(_with_figure)]


class Reply(BaseModel):
    """A whole reply; its schema is what the API is given (structured outputs)."""

    model_config = ConfigDict(strict=True, extra="forbid")

    topics: list[Topic]


SCHEMA = transform_schema(Reply)


@dataclass(frozen=True)
class Asked:
    """One request for topics.

    Attributes:
        id: Of the request.
        domain: Subject domain.
        count: Number of topics asked for.
    """

    id: str
    domain: str
    count: int


@dataclass(frozen=True)
class Corpus:
    """What a run has so far.

    Attributes:
        topics: Accepted ones, in order: ``headline``, ``context``, ``domain``.
        rejected: Rejected topics and replies, each with ``request``, ``domain``, ``reason`` and ``detail``.
        truncated: Domain -> replies of it that ended at ``max_tokens``.
    """

    topics: tuple[data.Row, ...] = ()
    rejected: tuple[data.Row, ...] = ()
    truncated: Mapping[str, int] = field(default_factory=dict)

    def missing(self, domains: Iterable[str], quota: int) -> dict[str, int]:
        """Domain -> how many topics it still lacks; complete ones are left out."""
        have = Counter(row["domain"] for row in self.topics)
        return {domain: quota - have[domain] for domain in domains if have[domain] < quota}


def domains_of(path: Path) -> list[str]:
    """Subject domains: those of a topics file (``.jsonl``) in order of appearance, else one in each line of a text.

    Raises:
        InputError: The file cannot be read, is empty, names a domain twice, or a name is too long.
    """
    if path.suffix == ".jsonl":
        return list(dict.fromkeys(row["domain"] for row in data.read_rows(path, data.KINDS["topics"].fields)))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    found = [line.strip() for line in lines if line.strip()]
    longest = data.KINDS["topics"].fields["domain"].longest or 0
    seen: dict[str, str] = {}
    for domain in found:
        if len(domain) > longest:
            raise InputError(f"{path}: domain {domain!r:.60} has {len(domain)} characters, expected at most {longest}")
        letters = re.sub(r"[\W_]+", "", domain.casefold())  # `mst data check` wants one spelling, too
        if letters in seen:
            raise InputError(f"{path}: domain {domain!r} occurs twice, first as {seen[letters]!r}")
        seen[letters] = domain
    if not found:
        raise InputError(f"{path}: no domain, expected one in each line")
    return found


def prompt(domain: str, count: int, taken: Sequence[str]) -> str:
    """The user turn: what is wanted, and the headlines that the domain has already."""
    asked = _ASK.replace("{domain}", domain).replace("{count}", str(count))
    return f"{asked}\n\n{_TAKEN}\n" + "\n".join(f"- {headline}" for headline in taken) if taken else asked


def params(model: str, asked: Asked, taken: Sequence[str], effort: str | None = None) -> dict[str, Any]:
    """What the Messages API is given for one request. No sampling parameter: API version 2026-10-21 knows none.

    `messages.parse` of the SDK would check the reply too, but raises when it is wrong and takes the usage with it.
    """
    form: dict[str, Any] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    return {
        "model": model.removeprefix("anthropic/"),
        "max_tokens": MAX_TOKENS,
        "system": SYSTEM,
        "messages": [{"role": "user", "content": prompt(asked.domain, asked.count, taken)}],
        "output_config": form | ({"effort": effort} if effort else {}),
    }


def prompt_sha256() -> str:
    """Digest of everything that is the same in every request; a run with other words is another run."""
    fixed = json.dumps([SYSTEM, _ASK, _TAKEN, SCHEMA, MAX_TOKENS], sort_keys=True)
    return hashlib.sha256(fixed.encode()).hexdigest()


def read_reply(asked: Asked, outcome: Outcome) -> tuple[list[Topic], list[data.Row]]:
    """The topics of a reply that have the wanted form, and what was wrong with the rest.

    Returns:
        Topics, and rejections with reason ``errored``, ``expired``, ``canceled``, ``cut``, ``refusal``, ``truncated``
        or ``malformed`` (the whole reply) or ``invalid`` (one topic).
    """
    if outcome.message is None:
        return [], [_rejection(asked, outcome.kind, outcome.detail)]
    blocks = outcome.message["content"]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    stop = outcome.message["stop_reason"]
    if stop == "refusal":
        return [], [_rejection(asked, "refusal", "the model declined", raw=text)]
    if stop in ("max_tokens", "model_context_window_exceeded"):
        return [], [_rejection(asked, "truncated", f"the reply ends at {stop}", raw=text)]
    try:
        found = json.loads(text)
        items = found["topics"] if set(found) == {"topics"} else None
    except (ValueError, TypeError, RecursionError):
        items = None
    if not isinstance(items, list):
        kinds = ", ".join(block["type"] for block in blocks) or "nothing"
        detail = f"expected one JSON object with topics, found {kinds} (stop reason {stop})"
        return [], [_rejection(asked, "malformed", detail, raw=text)]
    topics, rejected = [], []
    for item in items:
        try:
            topics.append(Topic.model_validate(item))
        except ValidationError as error:
            rejected.append(_rejection(asked, "invalid", _first_fault(error), topic=item))
    return topics, rejected


def _rejection(asked: Asked, reason: str, detail: str, **more: Any) -> data.Row:
    return {"request": asked.id, "domain": asked.domain, "reason": reason, "detail": detail} | more


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'topic'}: {first['msg']}"


def grow(
    corpus: Corpus,
    asked: Sequence[Asked],
    outcomes: Mapping[str, Outcome],
    quota: int,
    existing: Sequence[data.Row] = (),
) -> Corpus:
    """Take in one round: of alike topics the first one stays, and no domain gets more than its quota.

    Args:
        corpus: Before the round.
        asked: The round's requests, in order.
        outcomes: Request id -> outcome; all of them.
        quota: Topics of each domain.
        existing: Topics of another file that may not be repeated.
    """
    new: list[tuple[Asked, data.Row]] = []
    rejected = list(corpus.rejected)
    truncated = Counter(corpus.truncated)
    for one in asked:
        topics, faults = read_reply(one, outcomes[one.id])
        new += [(one, {**topic.model_dump(), "domain": one.domain}) for topic in topics]
        truncated[one.domain] += sum(fault["reason"] == "truncated" for fault in faults)
        rejected += faults
    old = [*existing, *corpus.topics]
    repeats = _repeats([row for _, row in new], old)
    kept: list[data.Row] = []
    missing = corpus.missing({one.domain for one in asked}, quota)
    for number, (one, row) in enumerate(new):
        if number in repeats:
            rejected.append(_rejection(one, *repeats[number], topic=row))
        elif not missing.get(one.domain):
            rejected.append(_rejection(one, "surplus", f"the domain has its {quota}", topic=row))
        else:
            missing[one.domain] -= 1
            kept.append(row)
    return Corpus((*corpus.topics, *kept), tuple(rejected), dict(truncated))


def _repeats(new: Sequence[data.Row], old: Sequence[data.Row]) -> dict[int, tuple[str, str]]:
    """Which new topics repeat an old one or an earlier new one that is no repeat itself: index -> reason, detail."""
    alike: dict[int, list[tuple[float, int, data.Row, similarity.Measure]]] = {}
    for measure in similarity.MEASURES["topics"]:
        texts, before = [measure.text(row) for row in new], [measure.text(row) for row in old]
        for pair in similarity.above(texts, measure.bound, before):
            alike.setdefault(pair.first, []).append((pair.similarity, -1, old[pair.second], measure))
        for pair in similarity.above(texts, measure.bound):
            alike.setdefault(pair.second, []).append((pair.similarity, pair.first, new[pair.first], measure))
    taken = {data.topic_key(row) for row in old}
    found: dict[int, tuple[str, str]] = {}
    for number, row in enumerate(new):
        near = [one for one in alike.get(number, ()) if one[1] not in found]
        if data.topic_key(row) in taken:
            found[number] = ("duplicate", "the headline is taken")
        elif near:
            how, _, other, measure = near[0]
            detail = f"{measure.field} {how:.2f} like {other['headline']!r}, expected below {measure.bound}"
            found[number] = ("near_duplicate", detail)
        else:
            taken.add(data.topic_key(row))
    return found
