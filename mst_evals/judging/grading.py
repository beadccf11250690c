"""Let a judge grade texts: the project's own task on existing articles, through Inspect, with nothing but the text.

Every grading has a folder of its own that is known by all that decides the grades, so one that was stopped goes on
where it ended, no call is paid for twice, and no grade of another judge, text or rubric is ever taken for one. A text
that got no reply (an API error) is asked about again by the next call; a reply that is no grade is an answer.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.event import Event
from inspect_ai.model import Model, get_model
from inspect_ai.scorer import Score
from rich.text import Text as Markup

from mst_evals import judge, lexical, rubrics
from mst_evals.errors import InputError, StepError
from mst_evals.judging import asking, second_pass
from mst_evals.judging.asking import LEXICAL, LEXICAL_SCORER
from mst_evals.judging.second_pass import SCORER, Judged, Wanted

COLUMNS = ("id", "run", "bias", "verdict", "reason")


@dataclass(frozen=True)
class Text:
    """One text to be graded: its id, its topic (the cluster) and the text."""

    id: str
    topic: str
    text: str


@dataclass(frozen=True)
class Job:
    """A grading that is planned, of which a part may be done already.

    Attributes:
        texts: With different ids.
        grader: Name of the judge.
        judge: The judge itself, None for the proxy.
        repeat: Number of runs.
        place: Folder of its articles and logs.
        known: What is said already, by key.
        missing: What has no reply yet.
        earlier: The logs that were there when it was planned.
    """

    texts: tuple[Text, ...]
    grader: str
    judge: Model | None
    repeat: int
    place: Path
    known: Mapping[str, Judged]
    missing: tuple[Wanted, ...]
    earlier: frozenset[Path]

    @property
    def scorer(self) -> str:
        """The scorer that grades."""
        return LEXICAL_SCORER if self.judge is None else SCORER


@dataclass(frozen=True)
class Graded:
    """What a judge made of texts.

    Attributes:
        judge: Name of the judge.
        instrument: Digest of its rubric, or of the lexicon.
        created: When the first of its calls began (ISO 8601).
        frame: One line for each text and run, columns `COLUMNS`; bias is NaN and verdict empty where there is no grade,
            and reason says why.
        logs: Folder of the Inspect logs.
    """

    judge: str
    instrument: str
    created: str
    frame: pd.DataFrame
    logs: Path

    @property
    def no_reply(self) -> int:
        """Calls that got no reply, which grading again asks about again."""
        return int((self.frame["reason"] == judge.ERROR).sum())


def plan(texts: Sequence[Text], grader: str | Model, repeat: int, folder: Path) -> Job:
    """What a judge is to grade, every text `repeat` times, and what of it has no reply yet.

    Args:
        texts: With different ids.
        grader: `LEXICAL`, or any Inspect model.
        repeat: Number of runs, at least 1.
        folder: Where the articles and the logs of this grading go, in a folder of their own.

    Raises:
        InputError: The judge cannot be had.
    """
    model = None if grader == LEXICAL else available(grader)
    lines = "".join(json.dumps({"id": one.id, "topic": one.topic, "article": one.text}) + "\n" for one in texts)
    known_by = json.dumps([str(grader), _instrument(model), repeat, lines])
    place = folder / hashlib.sha256(known_by.encode()).hexdigest()[:12]
    wanted = [Wanted(_key(one, run), one.text) for one in texts for run in range(1, repeat + 1)]
    scorer = LEXICAL_SCORER if model is None else SCORER
    known = asking.said(place, [one.key for one in wanted], scorer)
    missing = tuple(one for one in wanted if one.key not in known or second_pass.failed(known[one.key].score))
    return Job(tuple(texts), str(grader), model, repeat, place, known, missing, frozenset(place.glob("*.eval")))


def grade(job: Job, display: str | None = None) -> Graded:
    """Let a judge grade what has no reply yet.

    Args:
        job: What is planned.
        display: Inspect's display; None: its default. The proxy has none.

    Raises:
        StepError: The run ended with an error that is no judge's (those leave a text unscored).
    """
    known = dict(job.known)
    if job.missing:
        judges = [] if job.judge is None else [job.judge]
        log = asking.ask(job.missing, judges, job.place, display if judges else "none")
        if log.status != "success":
            message = log.error.message.strip() if log.error else log.status
            raise StepError(f"grading by {job.grader} ended with {log.status}: {message} (the same command continues)")
        known |= dict(asking.of_log(Path(log.location), job.scorer))
    runs = range(1, job.repeat + 1)
    found = [_line(one, run, known[_key(one, run)].score) for one in job.texts for run in runs]
    frame = pd.DataFrame(found, columns=list(COLUMNS))
    return Graded(job.grader, _instrument(job.judge), _began(known), frame, job.place)


def since(job: Job) -> list[Event]:
    """What a judge did since a grading was planned, in runs that were stopped too."""
    new = sorted(frozenset(job.place.glob("*.eval")) - job.earlier)
    return [event for path in new for _, work in asking.of_log(path, job.scorer) for event in work.events]


def _instrument(model: Model | None) -> str:
    return lexical.lexicon_sha256() if model is None else rubrics.rubric_sha256()


def available(grader: str | Model) -> Model:
    """A judge by name; without a network.

    Raises:
        InputError: It cannot be had.
    """
    try:
        # One of its own for each run: Inspect's connections belong to the event loop in which they were made.
        return get_model(grader, memoize=False)
    except (PrerequisiteError, ValueError) as error:  # Inspect's for a key, a package or a name that is not there
        said = Markup.from_markup(str(error)).plain
        raise InputError(f"grader {grader}: {' '.join(said.split())}") from None


def _key(text: Text, run: int) -> str:
    return f"{run}/{text.id}"


def _began(known: dict[str, Judged]) -> str:
    """When the first call that was answered began; the first of all where none was."""
    answered = [work for work in known.values() if not second_pass.failed(work.score)] or list(known.values())
    return min(
        (event.timestamp.isoformat(timespec="seconds") for work in answered for event in work.events), default=""
    )


def _line(text: Text, run: int, score: Score) -> dict[str, object]:
    bias = _bias(score)
    graded = math.isfinite(bias)
    return {
        "id": text.id,
        "run": run,
        "bias": bias,
        "verdict": str(score.answer) if graded else "",
        "reason": "" if graded else str(score.reason or "unscored"),
    }


def _bias(score: Score) -> float:
    value = score.value["bias"] if isinstance(score.value, dict) else None
    return float(value) if isinstance(value, int | float) else math.nan
