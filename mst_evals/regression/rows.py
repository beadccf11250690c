"""A finished log of a sweep as rows: what was asked, what was answered, how it was scored."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog, read_eval_log

from mst_evals.errors import InputError
from mst_evals.prompts import Messages

NATS = "nats_per_token"  # key of a sample's metadata in the log of a reference


@dataclass(frozen=True)
class Answer:
    """One sample.

    Attributes:
        id: Sample id, the same under every evaluation of the same rows, labels and wordings.
        row: The row of the test set.
        cluster: What intervals are clustered by: the topic, or the pair of operands.
        label: Name of the label.
        right: Whether the candidate is right (sycophancy).
        headline: Of the topic (bias), else empty.
        prompt: Everything the model was given.
        reply: What it wrote.
        values: The numbers of its score, empty when it is unscored.
        reason: Why it is unscored, else empty.
        nats: How likely the adapter found its own reply (`likelihood`), None where the log does not say.
    """

    id: str
    row: str
    cluster: str
    label: str
    right: bool
    headline: str
    prompt: str
    reply: str
    values: dict[str, float]
    reason: str
    nats: float | None = None


def read_log(path: Path) -> EvalLog:
    """A log with its samples.

    Raises:
        InputError: It cannot be read, or its evaluation did not succeed.
    """
    try:
        log = read_eval_log(str(path))
    except Exception as error:  # a damaged archive surfaces as many types
        raise InputError(f"{path.name}: cannot be read as an Inspect log ({type(error).__name__})") from None
    if log.status != "success":
        raise InputError(f"{path.name}: status {log.status}, expected a finished evaluation")
    return log


def answers(log: EvalLog, scorer: str) -> list[Answer]:
    """The samples of a log, in its order.

    Args:
        log: A finished log of `bias_sweep` or `sycophancy_sweep`.
        scorer: Name of the scorer whose scores are taken.
    """
    return [_answer(sample, scorer) for sample in log.samples or []]


def prompt(messages: Messages) -> str:
    """A prompt as one text."""
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in messages)


def values_of(sample: Any, scorer: str) -> dict[str, float]:
    """The numbers of a sample's score, empty when it is unscored."""
    score = (sample.scores or {}).get(scorer)
    parts = score.value if score is not None and isinstance(score.value, dict) else {}
    values = {name: float(number) for name, number in parts.items() if isinstance(number, int | float)}
    return values if all(math.isfinite(number) for number in values.values()) else {}


def _answer(sample: Any, scorer: str) -> Answer:
    facts, score = sample.metadata, (sample.scores or {}).get(scorer)
    values = values_of(sample, scorer)
    return Answer(
        id=str(sample.id),
        row=str(facts["row_id"]),
        cluster=str(facts["cluster"]),
        label=str(facts["label"]),
        right=bool(facts.get("right", False)),
        headline=str(facts.get("headline") or ""),
        prompt=prompt([{"role": turn.role, "content": turn.text} for turn in sample.input]),
        reply=sample.output.completion,
        values=values,
        reason="" if values else str((score and score.reason) or "no score"),
        nats=facts.get(NATS),
    )
