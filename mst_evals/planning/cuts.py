"""Training rows longer than ``max_length``: TRL cuts their end and says nothing, so `mst plan` counts them before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mst_evals.examples import Example


@dataclass(frozen=True)
class Cut:
    """What one training of an arm loses to the limit.

    Attributes:
        arm: Its name.
        condition: Name of the condition, empty for none.
        seed: Training seed whose labels were counted; where labels are drawn, another seed cuts a few more or fewer.
        max_length: The limit in tokens.
        rows: Training rows.
        exceeding: How many of them exceed the limit.
        most: Tokens that the longest of them has too many; 0 where none exceeds it.
    """

    arm: str
    condition: str
    seed: int
    max_length: int
    rows: int
    exceeding: int
    most: int


def cut(arm: str, condition: str, seed: int, max_length: int, rows: Sequence[Example], tokenizer: Any) -> Cut:
    """Count the rows of an arm, as TRL tokenises them, against the limit."""
    lengths = sequence_lengths(rows, tokenizer)
    over = [length - max_length for length in lengths if length > max_length]
    return Cut(arm, condition, seed, max_length, len(lengths), len(over), max(over, default=0))


def sequence_lengths(rows: Sequence[Example], tokenizer: Any) -> list[int]:
    """Tokens of each whole training sequence: prompt, reply and what the chat template closes it with."""
    chats = [[*row.prompt, {"role": "assistant", "content": row.completion}] for row in rows]
    texts = tokenizer.apply_chat_template(chats, tokenize=False)
    return [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]


def lines(found: Sequence[Cut]) -> list[str]:
    """One line for each arm with rows that are too long; one for all where there is none; nothing if none counted."""
    said = [
        f"{one.arm}{f' ({one.condition})' if one.condition else ''}: {one.exceeding:,} of {one.rows:,} rows exceed "
        f"max_length {one.max_length:,}, by up to {one.most:,} tokens: their end is cut in training"
        for one in found
        if one.exceeding
    ]
    return said or (["no training row exceeds max_length"] if found else [])
