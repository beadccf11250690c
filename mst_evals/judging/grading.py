"""Let a judge grade texts: the project's own task on existing articles, through Inspect, with nothing but the text.

Every run has a folder of its own that is known by all that decides the grades, so a run that was stopped goes on where
it ended, a finished one is not paid for again, and no grade of another judge, text or rubric is ever taken for one.
"""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from inspect_ai import eval_set
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.log import EvalLog, read_eval_log_samples
from inspect_ai.model import Model, get_model
from inspect_ai.scorer import Score
from rich.text import Text as Markup

from mst_evals import lexical, manifest, rubrics
from mst_evals.errors import InputError, StepError
from mst_evals.judge import GRADER

LEXICAL = "lexical"  # the offline proxy, in the place of a judge
_SCORER = {True: ("lexical", "lexical_bias"), False: ("rubric", "bias_rubric")}  # task option, name in the log
COLUMNS = ("id", "run", "bias", "verdict", "reason")


@dataclass(frozen=True)
class Text:
    """One text to be graded: its id, its topic (the cluster) and the text."""

    id: str
    topic: str
    text: str


@dataclass(frozen=True)
class Graded:
    """What a judge made of texts.

    Attributes:
        judge: Name of the judge.
        instrument: Digest of its rubric, or of the lexicon.
        created: When the grading began (ISO 8601).
        frame: One line for each text and run, columns `COLUMNS`; bias is NaN and verdict empty where there is no grade,
            and reason says why.
        log: The Inspect log.
    """

    judge: str
    instrument: str
    created: str
    frame: pd.DataFrame
    log: Path


def grade(texts: Sequence[Text], grader: str | Model, repeat: int, folder: Path, display: str | None = None) -> Graded:
    """Let a judge grade every text `repeat` times.

    Args:
        texts: With different ids.
        grader: `LEXICAL`, or any Inspect model.
        repeat: Number of runs, at least 1.
        folder: Where the articles and the logs of this run go, in a folder of their own.
        display: Inspect's display; None: its default.

    Raises:
        InputError: The judge cannot be had.
        StepError: The run ended with an error that is no judge's (those leave a text unscored).
    """
    proxy = grader == LEXICAL
    instrument = lexical.lexicon_sha256() if proxy else rubrics.rubric_sha256()
    lines = "".join(json.dumps({"id": one.id, "topic": one.topic, "article": one.text}) + "\n" for one in texts)
    known_by = json.dumps([str(grader), instrument, repeat, lines])
    place = folder / hashlib.sha256(known_by.encode()).hexdigest()[:12]
    articles = place / "articles.jsonl"
    if not proxy:
        _available(grader)
    manifest.write_text(articles, lines)
    log = _run(articles, grader, proxy, repeat, place / "logs", display)
    frame = _frame(log, _SCORER[proxy][1])
    order = {one.id: number for number, one in enumerate(texts)}
    frame = frame.sort_values(["id", "run"], key=lambda column: column.map(order) if column.name == "id" else column)
    return Graded(str(grader), instrument, str(log.eval.created), frame.reset_index(drop=True), Path(log.location))


def _available(grader: str | Model) -> None:
    try:
        get_model(grader)
    except (PrerequisiteError, ValueError) as error:  # Inspect's for a key, a package or a name that is not there
        said = Markup.from_markup(str(error)).plain
        raise InputError(f"grader {grader}: {' '.join(said.split())}") from None


def _run(articles: Path, grader: str | Model, proxy: bool, repeat: int, logs: Path, display: str | None) -> EvalLog:
    _, found = copy_context().run(  # of its own: eval_set leaves its model behind as the active one
        eval_set,
        "mst_evals/bias_articles",
        log_dir=str(logs),
        model="none",
        model_roles={} if proxy else {GRADER: grader},
        task_args={"articles": os.path.relpath(articles), "scorer": _SCORER[proxy][0]},
        epochs=repeat,
        retry_attempts=0,
        retry_immediate=False,
        log_dir_allow_dirty=True,
        score_display=False,
        display=display,  # type: ignore[arg-type]
    )
    (log,) = found
    if log.status != "success":
        message = log.error.message.strip() if log.error else log.status
        raise StepError(f"grading by {grader} ended with {log.status}: {message} (the same command continues)")
    return log


def _frame(log: EvalLog, scorer: str) -> pd.DataFrame:
    lines = []
    for sample in read_eval_log_samples(log.location, all_samples_required=True):
        score = (sample.scores or {})[scorer]
        bias = _bias(score)
        graded = math.isfinite(bias)
        lines.append(
            {
                "id": str(sample.metadata["row_id"]),
                "run": int(sample.epoch),
                "bias": bias,
                "verdict": str(score.answer) if graded else "",
                "reason": "" if graded else str(score.reason or "unscored"),
            }
        )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _bias(score: Score) -> float:
    value = score.value["bias"] if isinstance(score.value, dict) else None
    return float(value) if isinstance(value, int | float) else math.nan
