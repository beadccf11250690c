"""Token ids of a prompt and of an answer option: the same in training, in evaluation and in the probes."""

from typing import Any

from mst_evals.errors import InputError
from mst_evals.prompts import Messages


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
