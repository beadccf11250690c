"""Which replies become articles: bounds of length, refusals, cut and repeated texts, labels given away; pure.

A reply that fails is kept with its reason. What was accepted stays accepted: a later reply never takes its place.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mst_evals import data
from mst_evals.corpus import label_texts, similarity

_REFUSAL = re.compile(
    r"\W*(?:I['’]m sorry|I am sorry|sorry,|I can(?:not|['’]t)|I am (?:not able|unable)|I['’]m (?:not able|unable)"
    r"|I won['’]t|as an AI)\b",
    re.IGNORECASE,
)
_ENDINGS = tuple(".!?\"'”’)")


@dataclass(frozen=True)
class Request:
    """How articles are asked for.

    A reply is known by its topic's prompt, `seed`, `temperature`, `max_tokens` and the model; the other fields say what
    becomes of it, and may change between two runs in a folder.

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
        rejected: Every reply that failed a check: topic, profile, attempt, reason, text; and every request that failed,
            until its topic is asked again.
    """

    accepted: list[data.Row]
    rejected: list[data.Row]

    def counts(self) -> dict[str, int]:
        """Replies by outcome."""
        return {"accepted": len(self.accepted)} | dict(sorted(Counter(row["reason"] for row in self.rejected).items()))


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
    """Add checked replies to what was made before. A topic that has its article keeps it.

    Args:
        replies: topic, profile, attempt, text, stop (reason), error (None unless the request failed); of a topic one.
        topics: By id.
        request: Bounds of length.
        made: Accepted and rejected so far; an article too much like an accepted one is a duplicate.
    """
    done = {row["topic"] for row in made.accepted}
    replies = [reply for reply in replies if reply["topic"] not in done]
    again = {reply["topic"] for reply in replies}
    accepted = list(made.accepted)
    rejected = [row for row in made.rejected if row["reason"] != "error" or row["topic"] not in again]
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
