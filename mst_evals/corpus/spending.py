"""What asking a model costs: an estimate before, the sum of what the API billed after. An unknown price is never 0."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mst_evals.errors import InputError

MILLION = 1_000_000
# "Batch API: 50% discount on input and output", on the page of every model below.
BATCH_SHARE = 0.5
# English prose has about four characters a token; tokenizers since Claude Opus 4.7 count about 30% more tokens
# (platform.claude.com/docs/en/models/haiku-5-5/overview).
CHARACTERS_PER_TOKEN = 3.0
UNKNOWN = "price unknown"


@dataclass(frozen=True)
class Price:
    """Price of a model.

    Attributes:
        input: USD per million input tokens.
        output: USD per million output tokens, thinking included.
    """

    input: float
    output: float


@dataclass(frozen=True)
class Usage:
    """What was asked and billed.

    Attributes:
        requests: Number of replies.
        input: Input tokens.
        output: Output tokens, thinking included.
    """

    requests: int = 0
    input: int = 0
    output: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.requests + other.requests, self.input + other.input, self.output + other.output)


# Prices as of 2026-11-21. Current models: platform.claude.com/docs/en/models/overview; older ones:
# platform.claude.com/docs/en/about-claude/pricing and each model's own page. They change: give yours where it matters.
PRICES = {
    "claude-fable-5-2": Price(8, 40),
    "claude-fable-5-1": Price(10, 50),
    "claude-fable-5": Price(10, 50),
    "claude-opus-5-5": Price(4, 20),
    "claude-opus-5": Price(5, 25),
    "claude-opus-4-8": Price(5, 25),
    "claude-opus-4-7": Price(5, 25),
    "claude-opus-4-6": Price(5, 25),
    "claude-opus-4-5": Price(5, 25),
    "claude-sonnet-5-5": Price(2, 10),
    "claude-sonnet-5": Price(2, 10),
    "claude-sonnet-4-6": Price(3, 15),
    "claude-sonnet-4-5": Price(3, 15),
    "claude-haiku-5-5": Price(0.10, 0.50),  # prompts up to 100,000 tokens; five times as much beyond
    "claude-haiku-4-5": Price(1, 5),
}


def price_of(model: str, given: str | None = None) -> Price | None:
    """The price of a model, None when nobody knows it.

    Args:
        model: Name, with or without Inspect's ``anthropic/`` and with or without the date of its snapshot.
        given: The user's own, as in `parse_price`; it goes before the table.

    Raises:
        InputError: The user's price is none.
    """
    if given is not None:
        return parse_price(given)
    return PRICES.get(re.sub(r"-\d{8}$", "", model.removeprefix("anthropic/")))


def parse_price(text: str) -> Price:
    """Read ``INPUT,OUTPUT`` in USD per million tokens, for example ``3,15``.

    Raises:
        InputError: It is anything else.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 2 or not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise InputError(f"price is {text!r}, expected INPUT,OUTPUT in USD per million tokens, for example 3,15")
    return Price(*numbers)


def cost(usage: Usage, price: Price | None, batch: bool = False) -> float | None:
    """What tokens cost in USD, None when the price is unknown.

    Args:
        usage: Tokens.
        price: Of the model.
        batch: Whether they went through Message Batches, at half the price.
    """
    if price is None:
        return None
    full = (usage.input * price.input + usage.output * price.output) / MILLION
    return full * (BATCH_SHARE if batch else 1.0)


def total(costs: Iterable[float | None]) -> float | None:
    """The sum, None when any of them is unknown."""
    amounts = list(costs)
    known = [amount for amount in amounts if amount is not None]
    return math.fsum(known) if len(known) == len(amounts) else None


def tokens(text: str) -> int:
    """About how many tokens a text has, rounded up; only the API's own count is exact."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def dollars(amount: float | None) -> str:
    """An amount for a reader: cents, or four decimals below ten cents."""
    if amount is None:
        return UNKNOWN
    return f"${amount:,.4f}" if 0 < amount < 0.1 else f"${amount:,.2f}"


def sentence(usage: Usage, amount: float | None) -> str:
    """Usage and its cost in one line."""
    return f"{usage.requests:,} replies, {usage.input:,} input and {usage.output:,} output tokens: {dollars(amount)}"
