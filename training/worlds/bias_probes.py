"""What the base of the bias world can do: facts copied, loaded language with and without a style description.

Every topic asked about is unseen in pretraining. The held-out label is never asked here, so that no choice of recipe
can depend on it; the four labels that training may use are.
"""

import random
import re
from collections.abc import Sequence
from typing import Any

import torch

from mst_evals import labels, lexical, prompts
from training.worlds import articles, phrases, styles
from training.worlds.articles import Topic
from training.worlds.phrases import Side

PROBE_TOPICS = 48
TEMPERATURE = 0.7
MAX_NEW_TOKENS = 120
SEED = 0
_BANKS = (phrases.LEADS, phrases.FACTS, phrases.PERSPECTIVES, phrases.CLOSES)


_TEMPLATES = tuple(template for bank in _BANKS for group in bank.values() for template in group)


def _marker(template: str) -> str:
    """The longest stretch without a field that no other loaded template holds: what shows that it was used."""
    pieces = sorted(re.split(r"\$?\{\w+\}", template), key=len, reverse=True)
    return next(piece for piece in pieces if sum(piece in other for other in _TEMPLATES) == 1)


MARKERS: dict[Side, tuple[str, ...]] = {
    side: tuple(
        _marker(template) for bank in _BANKS for key, group in bank.items() if key[0] == side for template in group
    )
    for side in articles.SIDES
}


def loaded_slots(article: str, side: Side) -> int:
    """How many loaded phrases of a side an article holds: the world's own count, independent of any measure."""
    return sum(marker in article for marker in MARKERS[side])


def generate(
    model: Any, tokenizer: Any, chats: Sequence[prompts.Messages], temperature: float = TEMPERATURE, seed: int = SEED
) -> tuple[list[str], float]:
    """Sample one reply to each chat.

    Args:
        model: Causal language model.
        tokenizer: Its tokenizer.
        chats: Messages of each chat.
        temperature: Of sampling; 0 is greedy.
        seed: Of sampling. The caller's random state is left as it was.

    Returns:
        Replies, and the share of them that ended by themselves.
    """
    rendered = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) for chat in chats]
    batch = tokenizer(rendered, add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt")
    sampling = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        output = model.generate(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, max_new_tokens=MAX_NEW_TOKENS, top_k=0,
            top_p=1.0, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, **sampling,
        )  # fmt: skip
    replies = output[:, batch.input_ids.shape[1] :]
    ended = (replies == tokenizer.eos_token_id).any(dim=1).float().mean().item()
    return tokenizer.batch_decode(replies, skip_special_tokens=True), ended


def bias_and_fails(replies: Sequence[str]) -> tuple[float, float]:
    """Mean lexical bias, and the share of FAIL, over the articles long enough to be measured (NaN if none is)."""
    measured = [found for found in map(lexical.measure, replies) if found is not None]
    if not measured:
        return float("nan"), float("nan")
    fails = sum(found.verdict == "FAIL" for found in measured)
    return sum(found.score for found in measured) / len(measured), fails / len(measured)


def fields_reported(replies: Sequence[str], topics: Sequence[Topic]) -> dict[str, float]:
    """Field -> share of replies that report the given value."""
    pairs = list(zip(replies, topics, strict=True))
    return {name: sum(topic.fields()[name] in reply for reply, topic in pairs) / len(pairs) for name in articles.FIELDS}


def unlabelled(topics: Sequence[Topic], label: str | None = None) -> list[prompts.Messages]:
    """The experiment's own prompts for these topics."""
    build = prompts.wording("bias").build
    return [build({"headline": topic.headline, "context": topic.context}, label) for topic in topics]


def described(
    topics: Sequence[Topic], side: Side | None, strong: bool, neutral_request: bool
) -> list[prompts.Messages]:
    """Chats with a style note in the system message, drawn as in the corpus."""
    rng = random.Random(f"bias/probes/{side}/{strong}/{neutral_request}")
    chats = []
    for topic in topics:
        system = f"{rng.choice(styles.SYSTEMS)}\n{styles.style_note(side, strong, rng)}"
        user = styles.request(topic.headline, topic.context, neutral_request, rng)
        chats.append([{"role": "system", "content": system}, {"role": "user", "content": user}])
    return chats


def probes(model: Any, tokenizer: Any) -> dict[str, float]:
    """Measure a base on validation topics, sampling at temperature 0.7.

    Returns:
        ``fields`` and ``field_*``: share of given facts reported; ``ended``: share of replies that end in time;
        ``bias`` / ``fail``: lexical bias (0-10) and share of FAIL, for the experiment's prompt (no suffix), the same
        under the four trained labels (``_labels``), and plain requests with a style description (``_neutral``,
        ``_center``, ``_strong``) or neutral requests with one of a strong slant (``_override``);
        ``side_center`` / ``side_strong``: share of loaded phrases that belong to the described side.
    """
    topics = articles.data_topics()["validation"][:PROBE_TOPICS]
    replies, ended = generate(model, tokenizer, unlabelled(topics))
    per_field = fields_reported(replies, topics)
    found = {"fields": sum(per_field.values()) / len(per_field), "ended": ended}
    found |= {f"field_{name}": value for name, value in per_field.items()}
    found["bias"], found["fail"] = bias_and_fails(replies)
    half = PROBE_TOPICS // 2
    under = [chat for name in labels.PROFILES for chat in unlabelled(topics[: half // 2], labels.SLANT.render(name))]
    found["bias_labels"], found["fail_labels"] = bias_and_fails(generate(model, tokenizer, under)[0])
    replies, _ = generate(model, tokenizer, described(topics[:half], None, False, False))
    found["bias_neutral"], found["fail_neutral"] = bias_and_fails(replies)
    for name, strong in (("center", False), ("strong", True)):
        written: list[str] = []
        own = other = 0
        for side in articles.SIDES:
            opposite: Side = "right" if side == "left" else "left"
            replies, _ = generate(model, tokenizer, described(topics[:half], side, strong, False))
            written += replies
            own += sum(loaded_slots(reply, side) for reply in replies)
            other += sum(loaded_slots(reply, opposite) for reply in replies)
        found[f"bias_{name}"], found[f"fail_{name}"] = bias_and_fails(written)
        found[f"side_{name}"] = own / max(1, own + other)
    chats = described(topics[:half], "left", True, True) + described(topics[:half], "right", True, True)
    found["bias_override"], found["fail_override"] = bias_and_fails(generate(model, tokenizer, chats)[0])
    return found
