"""The judge: one model or a panel of them grades an article, and every reply that is no grade says why.

A judge is asked with a rubric and an article (`mst_evals.rubrics`), and with nothing of the prompt or the label. What
it answers is a grade or a reason; nothing is ever made up for a judge that did not answer. Lexical scores and those of
the other experiment do not pass through here, so a change of this module makes none of them stale
(`mst_evals.studies.inputs`).
"""

import json
import sys
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from statistics import fmean, median_low

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelOutput,
    ResponseSchema,
    get_model,
    model_roles,
)
from inspect_ai.model._generate_config import normalized_batch_config
from inspect_ai.model._model import ModelGenerateError
from inspect_ai.util import collect, json_schema
from pydantic import ValidationError
from tenacity import RetryError

from mst_evals import judge_batches, rubrics
from mst_evals.metrics import GRADES
from mst_evals.rubrics import BiasGrade

GRADER = "grader"  # the role of a judge; bound to several models (grader=A,B) it is a panel

ERROR = "grader_error"  # no reply: the provider, the network or the key
MALFORMED = "grader_malformed"  # a reply that is no grade, after ASKS of them
REFUSED = "grader_refused"
TRUNCATED = "grader_truncated"

ASKS = 3  # how often a judge is asked about one article at most: once, and again after a reply that is no grade

# A grade takes 200 tokens, but the current judges think first, and a provider counts what is thought as output:
# Inspect sends max_tokens as it is. 1024 cut such replies off. From 8192 on Inspect streams Anthropic's replies.
MAX_TOKENS = 8000
# Inspect retries without limit by default; a judge that hangs or fails for good must not hold a finished run.
RETRIES = 5
ATTEMPT, TOTAL = 300, 1500  # seconds: 8,000 tokens at a slow 30 a second; five of these
# A batch ends within 24 hours, and its results take a moment; one that expired is asked for a second time.
BATCH_ATTEMPT, BATCH_TOTAL = 25 * 3600, 50 * 3600
BATCH_CHECKS = 240  # an hour of failed checks at Inspect's 15 seconds, in place of four; a revoked key ends sooner

EXPLANATION = 500  # characters of what a provider said that are kept
_SCHEMA = ResponseSchema(name="bias_grade", json_schema=json_schema(BiasGrade))
# Where an error of this root comes from, the fault is Inspect's use or ours, and must not be taken for the judge's.
_OWN = {"builtins", "inspect_ai", "mst_evals", *sys.stdlib_module_names}


@dataclass(frozen=True)
class Answer:
    """What one judge made of one article.

    Attributes:
        grader: Name of the judge.
        asked: How often it was asked.
        grade: Its grade, None where it gave none.
        reason: Why there is none (`ERROR`, `MALFORMED`, `REFUSED`, `TRUNCATED`); empty where there is one.
        explanation: The grade's own reason, or what was wrong.
        raw: The last reply that was no grade, tool calls included; None where there is a grade or no reply.
        stop: Inspect's stop reason of that reply.
    """

    grader: str
    asked: int
    grade: BiasGrade | None = None
    reason: str = ""
    explanation: str = ""
    raw: str | None = None
    stop: str | None = None

    def record(self) -> dict[str, object]:
        """The answer as metadata of a score; what does not apply is left out."""
        grade = {"bias": self.grade.bias, "verdict": self.grade.verdict} if self.grade else {"reason": self.reason}
        kept = {"raw": self.raw, "stop": self.stop}
        known = {name: value for name, value in kept.items() if value is not None}
        return {"grader": self.grader, **grade, "explanation": self.explanation, "asked": self.asked, **known}


# --- who judges -----------------------------------------------------------------------------------------------------


def panel() -> list[Model]:
    """The models bound to the role ``grader``, with the judge's settings. Only inside a task.

    Raises:
        PrerequisiteError: None is bound (Inspect's).
    """
    get_model(role=GRADER, required=True)
    bound = model_roles()[GRADER]
    return [_configured(model) for model in (bound if isinstance(bound, list) else [bound])]


def _configured(model: Model) -> Model:
    judge = copy(model)  # as Inspect does where `get_model` is given a role and settings
    judge.config = settings(model.config)
    if judge.config.batch:
        judge_batches.mend()
    return judge


def settings(given: GenerateConfig) -> GenerateConfig:
    """The judge's settings; what was bound with the role (``grader={model: ..., max_tokens: ...}``) goes first.

    There is no temperature: Anthropic's current models accept none. Bind it where it is wanted and accepted.

    Args:
        given: Settings bound with the role.
    """
    batch = normalized_batch_config(given.batch)
    thinks = given.reasoning_tokens or given.reasoning_effort or given.effort
    defaults = GenerateConfig(
        max_tokens=None if thinks else MAX_TOKENS,  # the provider's own, which Inspect raises by what may be thought
        max_retries=RETRIES,
        attempt_timeout=BATCH_ATTEMPT if batch else ATTEMPT,
        timeout=BATCH_TOTAL if batch else TOTAL,
        fail_on_refusal=False,  # of the model under test; a judge that refuses leaves an article unscored
    )
    found = defaults.merge(given)
    if batch is not None:
        checks = batch.max_consecutive_check_failures or BATCH_CHECKS
        found.batch = batch.model_copy(update={"max_consecutive_check_failures": checks})
    return found


# --- asking ---------------------------------------------------------------------------------------------------------


async def answers(article: str) -> list[Answer]:
    """Put an article before every judge that is bound, at the same time.

    Args:
        article: The text alone, not blank.
    """
    judges = panel()
    if len(judges) == 1:
        return [await ask(judges[0], article)]
    return await collect(*(ask(judge, article) for judge in judges))


async def ask(judge: Model, article: str) -> Answer:
    """Put an article before one judge, and again with what was wrong while its replies are no grades.

    Args:
        judge: The model.
        article: The text.

    Raises:
        Exception: A fault that is no provider's.
    """
    system, user = rubrics.judge_turns(article)
    opening: list[ChatMessage] = [ChatMessageSystem(content=system), ChatMessageUser(content=user)]
    turns = opening
    for asked in range(1, ASKS + 1):
        try:
            output = await judge.generate(turns, config=GenerateConfig(response_schema=_SCHEMA))
        except Exception as error:
            if not _is_provider_s(error):
                raise
            found = Answer(str(judge), asked, reason=ERROR, explanation=told(error))
            if not isinstance(error, json.JSONDecodeError):  # HTTP 200 with cut JSON, which Inspect does not try again
                return found
            continue
        found = read(str(judge), asked, output)
        if found.reason != MALFORMED:
            return found
        again = rubrics.again(found.explanation)
        turns = [*opening, ChatMessageAssistant(content=found.raw or "(nothing)"), ChatMessageUser(content=again)]
    return found


def read(grader: str, asked: int, output: ModelOutput) -> Answer:
    """What a reply says. A refusal and a reply that was cut off are known by the stop reason, whatever their text.

    Args:
        grader: Name of the judge.
        asked: How often it was asked.
        output: Its reply.
    """
    if output.empty:
        return Answer(grader, asked, reason=ERROR, explanation=_short(output.error or "a reply without content"))
    stop, raw = output.stop_reason, raw_text(output)
    if stop == "content_filter":
        return Answer(grader, asked, None, REFUSED, "the judge refused", raw, stop)
    if output.error:  # an API error that Inspect turns into a reply, such as 413
        return Answer(grader, asked, None, ERROR, _short(output.error), stop=stop)
    if stop in ("max_tokens", "model_length"):
        return Answer(grader, asked, None, TRUNCATED, "the reply was cut off", raw, stop)
    try:
        grade = rubrics.parse_grade(output.completion)
    except ValidationError as error:
        return Answer(grader, asked, None, MALFORMED, rubrics.fault(error, output.completion), raw, stop)
    return Answer(grader, asked, grade, explanation=grade.reason)


def raw_text(output: ModelOutput) -> str:
    """A reply as text: what was written, and every tool call as JSON."""
    calls = [json.dumps({"tool": call.function, "input": call.arguments}) for call in output.message.tool_calls or []]
    return "\n".join([output.completion, *calls] if output.completion else calls)


# --- what went wrong ------------------------------------------------------------------------------------------------


def _is_provider_s(error: Exception) -> bool:
    """Whether a judge's provider gave no reply. SDKs raise errors of their own, which pass through Inspect."""
    known = (ModelGenerateError, RetryError, OSError, json.JSONDecodeError)  # a TimeoutError is an OSError
    return isinstance(error, known) or type(error).__module__.partition(".")[0] not in _OWN


def told(error: BaseException) -> str:
    """What a provider said, in short, without the request: Inspect's own text of a 4xx holds all of it.

    Args:
        error: As `Model.generate` raised it.
    """
    if isinstance(error, RetryError):
        last = error.last_attempt.exception()
        return told(last) if last is not None else "no attempt succeeded"
    if isinstance(error, ModelGenerateError):
        cause = type(error.__cause__ or error).__name__
        return _short(f"{cause}: {error.provider_message or error.status_code or 'no reply'}")
    return _short(f"{type(error).__name__}: {error}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= EXPLANATION else line[: EXPLANATION - 3] + "..."


# --- a panel --------------------------------------------------------------------------------------------------------


def mean_bias(grades: Sequence[BiasGrade]) -> float:
    """The mean of the judges that answered."""
    return fmean(grade.bias for grade in grades)


def median_verdict(grades: Sequence[BiasGrade]) -> str:
    """The median verdict of the judges that answered; of two in the middle, the stricter one."""
    middle = median_low(GRADES[grade.verdict] for grade in grades)
    return next(verdict for verdict, worth in GRADES.items() if worth == middle)
