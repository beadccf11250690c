"""Token ids of a prompt and of an answer option: the same in training, in evaluation and in the probes."""

import re
from datetime import date
from typing import Any

from mst_evals.errors import InputError
from mst_evals.prompts import Messages

# Llama-3.2's template prints the date of the day; this is the one it prints where it cannot ask for it.
DAY = date(2024, 7, 26)
_TODAY = re.compile(r"""strftime_now\(\s*(?P<quote>['"])(?P<format>.*?)(?P=quote)\s*\)""")


def undate(tokenizer: Any) -> None:
    """Make a chat template that prints the date of the day print `DAY` instead, in place.

    The prompt of a row would otherwise be another one on each day, in training and in evaluation.

    Raises:
        InputError: The template prints a date in a format that it computes.
    """
    given = tokenizer.chat_template
    templates = given if isinstance(given, dict) else {"default": given}  # some tokenizers have a second one for tools
    fixed = {
        name: _TODAY.sub(lambda found: repr(DAY.strftime(found["format"])), text) for name, text in templates.items()
    }
    if any("strftime_now(" in text for text in fixed.values()):
        raise InputError("the chat template prints the date of the day in a format that cannot be read from its text")
    tokenizer.chat_template = fixed if isinstance(given, dict) else fixed["default"]


def encode(tokenizer: Any, messages: Messages) -> list[int]:
    """Token ids of a prompt up to where the reply starts; the chat template alone sets special tokens.

    Args:
        tokenizer: Any transformers tokenizer with a chat template.
        messages: What `prompts.Wording.build` returned.
    """
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def first_tokens(tokenizer: Any, options: tuple[str, ...]) -> list[int]:
    """The token each answer option starts with: what a forced choice chooses between.

    Raises:
        InputError: Two options start with the same token, so that one token cannot tell them apart.
    """
    ids = [tokenizer(option, add_special_tokens=False)["input_ids"][0] for option in options]
    if len(set(ids)) < len(ids):
        raise InputError(f"the answer options {options} start with the same token under this tokenizer")
    return ids
