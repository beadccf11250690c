"""Grading articles after they were written: which samples of which logs want a grade, and grades put into their logs.

The model that writes holds a GPU; a judge behind an API is waited for. So a log may be written without scores
(`inspect eval --no-score`) and judged later. What a judge said is first kept in logs of its own (`asking`), each
article under a key that tells log, sample and text, so that whatever interrupts the work, no article is judged twice.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai.event import Event
from inspect_ai.log import EvalLog, read_eval_log, recompute_metrics, write_eval_log
from inspect_ai.log._log import EvalMetricDefinition, EvalScorer
from inspect_ai.model import Model, ModelUsage
from inspect_ai.model._model_config import ModelConfig, model_to_model_config
from inspect_ai.scorer import Score

from mst_evals import judge, rubrics
from mst_evals.errors import InputError
from mst_evals.judge import GRADER
from mst_evals.judging import logs
from mst_evals.scorers import nothing_written

SCORER = "bias_rubric"
_METRICS: list[EvalMetricDefinition | dict[str, list[EvalMetricDefinition]]] = [
    EvalMetricDefinition(name="mst_evals/bias_by_label", options={})
]
# Settings of a judge that leave its grades as they are.
_HOW = {
    "max_retries", "timeout", "attempt_timeout", "stream_idle_timeout", "max_connections", "adaptive_connections",
    "batch", "fail_on_refusal",
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """One article that wants a grade: its key and its text."""

    key: str
    text: str


@dataclass(frozen=True)
class Pass:
    """One log that is to be judged.

    Attributes:
        source: The log.
        out: Where it goes: the log itself, or a copy.
        articles: Samples that have a text.
        wanted: Those that want a grade.
        blank: Samples without a text and without a score, which are unscored without asking.
    """

    source: Path
    out: Path
    articles: int
    wanted: tuple[Wanted, ...]
    blank: int

    @property
    def finished(self) -> bool:
        """Whether the log has all its grades already."""
        return not self.wanted and not self.blank and self.source == self.out


@dataclass(frozen=True)
class Judged:
    """A judge's work on one article: the score, and the events that show what it was given and what it cost."""

    score: Score
    events: tuple[Event, ...]


def identity(panel: Sequence[Model | ModelConfig]) -> list[dict[str, Any]]:
    """What tells judges apart: model and settings, without those that only say how it is reached."""
    found = []
    for one in panel:
        known = one if isinstance(one, ModelConfig) else model_to_model_config(one)
        settings = known.config.model_dump(mode="json", exclude=_HOW, exclude_none=True)
        found.append({"model": known.model, "args": known.args, **settings})
    return found


def place(root: Path, panel: Sequence[Model]) -> Path:
    """Folder of what a panel said, which is known by the judges and the rubric."""
    about = json.dumps([identity(panel), rubrics.rubric_sha256()], sort_keys=True)
    return root / hashlib.sha256(about.encode()).hexdigest()[:12]


# --- which articles -----------------------------------------------------------------------------------------------


def plan(
    paths: Sequence[Path], panel: Sequence[Model], out: Path | None, overwrite: bool
) -> tuple[list[Pass], list[str]]:
    """What is to be done with some logs.

    Args:
        paths: Logs.
        panel: The judges.
        out: Folder for judged copies; None: the logs themselves are judged.
        overwrite: Whether grades of other judges, or under another rubric, may be replaced.

    Returns:
        The logs to be judged, and why others are left out, a line each.

    Raises:
        InputError: A log cannot be read, or has grades of other judges that may not be replaced.
    """
    found, notes = [], []
    names = [path.name for path in paths]
    if out is not None and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"--out {out}: found two logs named {twice}, expected different names")
    for path in paths:
        target = out / path.name if out is not None else path
        source = target if target.is_file() else path
        why_not = _no_articles(source, logs.read_header(source))
        if why_not:
            notes.append(f"{path}: left out, {why_not}")
        else:
            found.append(_of_log(source, target, panel, overwrite))
    return found, notes


def _no_articles(path: Path, header: EvalLog) -> str:
    facts = header.eval.metadata or {}
    if facts.get("experiment") != "bias":
        return "it is no log of the bias tasks"
    return (
        "" if header.status == "success" else f"its status is {header.status} (inspect eval-retry {path} finishes it)"
    )


def _of_log(source: Path, target: Path, panel: Sequence[Model], overwrite: bool) -> Pass:
    log = read(source)
    known = _judges(log)
    same = known == identity(panel) and (log.eval.metadata or {}).get("rubric_sha256") == rubrics.rubric_sha256()
    scored = any(SCORER in (sample.scores or {}) for sample in log.samples or [])
    if scored and not same and not overwrite and source == target:
        who = ", ".join(one["model"] for one in known) or "a judge that it does not name"
        raise InputError(
            f"{source}: was judged by {who}, with other settings or another rubric: expected --overwrite, which "
            "replaces these grades, or --out FOLDER, which leaves them"
        )
    wanted, articles, blank = [], 0, 0
    for sample in log.samples or []:
        text = sample.output.completion
        if sample.error is not None:
            continue
        given = (sample.scores or {}).get(SCORER) if same else None
        articles += bool(text.strip())
        blank += not text.strip() and given is None
        if text.strip() and (given is None or failed(given)):
            wanted.append(Wanted(key(log, sample.id, sample.epoch, text), text))
    return Pass(source, target, articles, tuple(wanted), blank)


def read(path: Path) -> EvalLog:
    """A log with its samples.

    Raises:
        InputError: It is none.
    """
    try:
        return read_eval_log(str(path))
    except Exception as error:  # a damaged archive surfaces as many types
        raise InputError(f"{path}: cannot be read as an Inspect log ({type(error).__name__}: {error!s:.120})") from None


def _judges(log: EvalLog) -> list[dict[str, Any]]:
    bound = (log.eval.model_roles or {}).get(GRADER)
    return identity(bound if isinstance(bound, list) else [bound]) if bound else []


def key(log: EvalLog, sample: str | int, epoch: int, text: str) -> str:
    """What an article is known by, wherever its log is moved or copied to."""
    about = json.dumps([log.eval.eval_id, str(sample), epoch, text])
    return hashlib.sha256(about.encode()).hexdigest()[:24]


def failed(score: Score) -> bool:
    """Whether a judge gave no reply, so that asking again may help. A reply that is no grade is an answer."""
    judges = (score.metadata or {}).get("judges") or []
    return judge.ERROR in (score.reason, *(one.get("reason") for one in judges))


# --- grades into their logs ---------------------------------------------------------------------------------------


def complete(one: Pass, known: Mapping[str, Judged]) -> bool:
    """Whether every article of a log that wants a grade has been put before the judge."""
    return all(wanted.key in known for wanted in one.wanted)


def write(one: Pass, known: Mapping[str, Judged], panel: Sequence[Model]) -> EvalLog:
    """Put the grades into a log, with the events that show what the judge was given, and write it in one step.

    Whatever else the log holds stays: articles, other scores, the events of earlier judges.

    Args:
        one: A log that is `complete`.
        known: Key -> a judge's work.
        panel: The judges.

    Returns:
        The log as it was written.
    """
    log = read(one.source)
    spent: list[ModelUsage] = []
    for sample in log.samples or []:
        text = sample.output.completion
        if sample.error is not None:
            continue
        done = known.get(key(log, sample.id, sample.epoch, text))
        if not text.strip():
            sample.scores = {**(sample.scores or {}), SCORER: nothing_written()}
        elif done is not None:
            there = {event.uuid for event in sample.events}
            new = [event for event in done.events if event.uuid not in there]
            sample.scores = {**(sample.scores or {}), SCORER: done.score}
            sample.events = [*sample.events, *new]
            spent += list(usage(new))
    _note(log, panel, spent)
    recompute_metrics(log)
    one.out.parent.mkdir(parents=True, exist_ok=True)
    fresh = one.out.with_name(f".{one.out.name}.{os.getpid()}")
    try:
        write_eval_log(log, str(fresh), format="json" if one.out.suffix == ".json" else "eval")
        fresh.replace(one.out)
    finally:
        fresh.unlink(missing_ok=True)
    return log


def _note(log: EvalLog, panel: Sequence[Model], spent: Sequence[ModelUsage]) -> None:
    """Say in the header who judged, by which rubric, and what it took: what a log that was judged at once says."""
    configs = [model_to_model_config(model) for model in panel]
    roles = dict(log.eval.model_roles or {})
    log.eval.model_roles = {**roles, GRADER: configs if len(configs) > 1 else configs[0]}
    names = {name for sample in log.samples or [] for name in sample.scores or {}}
    facts = dict(log.eval.metadata or {})
    log.eval.metadata = facts | {
        "scorer": "both" if "lexical_bias" in names else "rubric",
        "rubric_sha256": rubrics.rubric_sha256(),
        "judges": [config.model for config in configs],
    }
    others = [one for one in log.eval.scorers or [] if one.name in names - {SCORER}]
    log.eval.scorers = [*others, EvalScorer(name=SCORER, options={}, metrics=_METRICS)]
    if spent:
        taken = dict(log.stats.role_usage)
        log.stats.role_usage = {**taken, GRADER: sum(spent, taken.get(GRADER, ModelUsage()))}


def usage(events: Sequence[Event]) -> Iterator[ModelUsage]:
    """Tokens of every reply among some events."""
    for event in events:
        if event.event == "model" and event.output.usage is not None:
            yield event.output.usage
