"""What an Inspect log holds of a generation and its grading: the completion, the prompt, and what judges were given."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai.log import (
    EvalLog,
    EvalSample,
    read_eval_log,
    read_eval_log_sample_summaries,
    read_eval_log_samples_by_id,
)

from mst_evals.errors import InputError
from mst_evals.judge import GRADER
from mst_evals.regression.reference_logs import left_out, without_references

# Scorers that ask no model; any other is taken to have asked one.
JUDGE_FREE = frozenset(
    ("lexical_bias", "sycophancy", "match", "includes", "exact", "f1", "pattern", "answer", "choice", "math")
)
# Where scorers note in a score's metadata what they gave their judge (Inspect's own model_graded_qa: "grading").
RECORDED = ("grading", "judge_prompt", "grader_prompt", "judge_messages")
NOT_ASKED = ("empty_completion",)  # reasons of ours for which no judge is asked
AT_ONCE = 50  # samples that are read together


@dataclass(frozen=True)
class Sample:
    """One sample of a log.

    Attributes:
        log: Name of the log.
        id: Of the sample.
        epoch: From 1.
        facts: Its metadata.
        completion: What the model wrote, or the existing article.
        prompt: System and user messages of the generation.
        given: What each call to a judge was given, every message joined.
        unseen: Scorers that may have asked a judge without leaving what it was given.
        scores: Scorer -> value and verdict, as the log has them.
    """

    log: str
    id: str
    epoch: int
    facts: Mapping[str, Any]
    completion: str
    prompt: tuple[str, ...]
    given: tuple[str, ...]
    unseen: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Any]]

    @property
    def label_text(self) -> str | None:
        """What the model read as its label: ours, or a ``label`` of several words in a log of somebody else."""
        if "label_text" in self.facts:
            return str(self.facts["label_text"]) if self.facts["label_text"] else None
        text = str(self.facts.get("label") or "")
        return text if len(text.split()) > 1 else None

    @property
    def label_name(self) -> str | None:
        """What the log calls the label."""
        return str(self.facts["label"]) if self.facts.get("label") else None

    @property
    def topic(self) -> str:
        """What intervals are clustered by."""
        return str(self.facts.get("cluster") or self.facts.get("row_id") or self.id)


@dataclass(frozen=True)
class LogFiles:
    """Logs that were named or found, each once, and how many references of `mst check` a search left out."""

    files: tuple[Path, ...]
    references: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said about it: a line, or none."""
        return (left_out(self.references),) if self.references else ()


def log_files(paths: Sequence[Path]) -> LogFiles:
    """Logs by name, and every ``.eval`` file below folders, without the references of `mst check`.

    Grades written into a reference would break it, and its articles are no run's results. One that is named as a file
    is taken.

    Raises:
        InputError: There is no such file, or no log in a folder.
    """
    found: list[Path] = []
    references: set[Path] = set()
    for path in paths:
        if path.is_dir():
            inside = sorted(path.rglob("*.eval"))
            kept, _ = without_references(inside)
            if not kept:
                said = f"; {left_out(len(inside))}" if inside else ""
                raise InputError(f"{path}: found no log, expected Inspect logs (*.eval) below it{said}")
            found += kept
            references |= set(inside) - set(kept)
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path}: no such file, expected an Inspect log or a folder of them")
    if not found:
        raise InputError("found no log, expected the names of Inspect logs")
    return LogFiles(tuple(dict.fromkeys(found)), len(references - set(found)))


def read_header(path: Path) -> EvalLog:
    """A log without its samples.

    Raises:
        InputError: It is no log.
    """
    try:
        return read_eval_log(path, header_only=True)
    except Exception as error:  # a damaged archive surfaces as many types
        raise InputError(f"{path}: cannot be read as an Inspect log ({type(error).__name__}: {error!s:.120})") from None


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of a log, one after another, with the texts that Inspect stores apart put back.

    Raises:
        InputError: It is no log, or a sample cannot be read.
    """
    try:
        for sample in _read(path):
            yield _sample(path.name, sample)
    except Exception as error:  # the same
        raise InputError(f"{path}: its samples cannot be read ({type(error).__name__}: {error!s:.120})") from None


def _read(path: Path) -> Iterator[EvalSample]:
    """The samples that a log has, in the order of its data set.

    Inspect's `read_eval_log_samples` starts an event loop and reads the directory of the archive for each sample, which
    on a busy machine takes most of a second.
    """
    order = {one: place for place, one in enumerate(read_header(path).eval.dataset.sample_ids or [])}
    summaries = dict.fromkeys((one.id, one.epoch) for one in read_eval_log_sample_summaries(path))
    there = sorted(summaries, key=lambda one: (order.get(one[0], len(order)), one[1]))
    for start in range(0, len(there), AT_ONCE):
        yield from read_eval_log_samples_by_id(path, there[start : start + AT_ONCE], resolve_attachments=True)


def _sample(log: str, sample: EvalSample) -> Sample:
    completion = sample.output.completion if sample.output else ""
    calls = _calls(sample)
    scores = sample.scores or {}
    named = {name for name, _ in calls}
    unseen = []
    for name, score in scores.items():
        noted = _flat({key: (score.metadata or {}).get(key) for key in RECORDED})
        if noted and name not in named:
            calls.append((name, noted))
        elif name not in JUDGE_FREE and not named & {name, None} and score.reason not in NOT_ASKED:
            unseen.append(name)
    return Sample(
        log=log,
        id=str(sample.id),
        epoch=int(sample.epoch),
        facts=sample.metadata,
        completion=completion,
        prompt=_prompt(sample, completion),
        given=tuple(text for _, text in calls),
        unseen=tuple(unseen),
        scores={name: {"value": score.value, "answer": score.answer} for name, score in scores.items()},
    )


def _prompt(sample: EvalSample, completion: str) -> tuple[str, ...]:
    """System and user messages of the generation. An existing article is its own input and no prompt."""
    first = [sample.input] if isinstance(sample.input, str) else [message.text for message in sample.input]
    later = [message.text for message in sample.messages if message.role in ("system", "user")]
    return tuple(
        text for text in dict.fromkeys([*first, *later]) if text.strip() and text.strip() != completion.strip()
    )


def _calls(sample: EvalSample) -> list[tuple[str | None, str]]:
    """Scorer (None where the transcript does not say) and text of every call to a judge.

    A judge is the model bound to the role ``grader`` (or ``grader...`` in a panel), and any model asked by a scorer.
    """
    spans: dict[str, Any] = {event.id: event for event in sample.events if event.event == "span_begin"}
    found: list[tuple[str | None, str]] = []
    for event in sample.events:
        if event.event != "model":
            continue
        scorer, scoring = None, False
        span = spans.get(event.span_id or "")
        while span is not None:
            if span.type == "scorer":
                scorer = scorer or span.name.rsplit("/", 1)[-1]
            scoring = scoring or span.type == "scorer" or span.name == "scorers"
            span = spans.get(span.parent_id or "")
        if scoring or (event.role or "").startswith(GRADER):
            found.append((scorer, "\n\n".join(message.text for message in event.input)))
    return found


def _flat(value: Any) -> str:
    """Every text inside a value, joined; empty for none."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n".join(filter(None, map(_flat, value.values())))
    if isinstance(value, list | tuple):
        return "\n".join(filter(None, map(_flat, value)))
    return _flat(value.text) if hasattr(value, "text") else ""
