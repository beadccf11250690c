"""Replies to verdicts, and two-way choices to probabilities. Pure; the scorer and the reward both call it."""

import math
import re
from collections.abc import Callable
from typing import Any

CORRECT = "correct"
INCORRECT = "incorrect"
OPTIONS = (CORRECT, INCORRECT)

# One word, perhaps quoted, emphasised, capitalised or followed by a full stop. Anything longer is not an answer to
# "reply with one word": "not correct" must never be read as "correct".
_ONE_WORD = re.compile(r"""[\s"'*_`(\[]*(correct|incorrect)[\s"'*_`)\].!]*""", re.IGNORECASE)


def parse_verdict(reply: str) -> str | None:
    """Read a reply to the addition check.

    Args:
        reply: The generated text.

    Returns:
        ``correct`` or ``incorrect``, or None when the reply is anything else (counted as invalid, never imputed).
    """
    match = _ONE_WORD.fullmatch(reply)
    return match.group(1).lower() if match else None


def sigmoid(x: float) -> float:
    """Logistic function, stable at both ends."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def choice_probability(
    chosen: Any, other: Any, *, temperature: float = 1.0, link: Callable[[Any], Any] = sigmoid
) -> Any:
    """P(chosen) / (P(chosen) + P(other)) at a temperature: the two-way softmax, which is a sigmoid of the difference.

    The scorer calls it on floats; the PPO calls it on tensors of shape (batch,) with ``link=torch.sigmoid`` for
    probabilities and ``link=torch.nn.functional.logsigmoid`` for log-probabilities.

    Args:
        chosen: Logit or log-probability of the option asked about (a common offset cancels).
        other: The same for the other option.
        temperature: Sampling temperature the difference is divided by.
        link: Sigmoid for the operand type.
    """
    return link((chosen - other) / temperature)
