"""Put articles before judges: who they are, what it will cost, and what they said, kept article by article.

Articles of any number of logs are asked about together, so that a batch holds them all. Each run of the project's own
task `bias_articles` leaves a log in the judges' folder (`second_pass.place`), and a sample is in it as soon as it is
judged; the next run reads all of them first.
"""

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai import eval
from inspect_ai._cli.util import parse_model_role_cli_args
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.event import Event
from inspect_ai.log import EvalLog, EvalSample, read_eval_log_samples
from inspect_ai.model import Model, get_model
from pydantic import ValidationError
from rich.text import Text as Markup

from mst_evals import judge, manifest, rubrics
from mst_evals.corpus import spending
from mst_evals.corpus.spending import Price, Usage
from mst_evals.errors import InputError
from mst_evals.interrupts import finished
from mst_evals.judge import GRADER
from mst_evals.judging import second_pass
from mst_evals.judging.second_pass import SCORER, Judged, Wanted

logger = logging.getLogger(__name__)

LEXICAL, LEXICAL_SCORER = "lexical", "lexical_bias"  # the offline proxy in the place of a judge, and its scorer
AT_ONCE = 100  # articles under way where no batch waits for all of them
REPLY = 300  # characters of a grade, about; what a judge thinks before is not known before
FAULT = 100  # characters of what is said to be wrong with a reply, about


# --- who judges -----------------------------------------------------------------------------------------------------


def panel(graders: Sequence[str], batch: bool) -> list[Model]:
    """The judges of some ``--grader`` options.

    Args:
        graders: Each as in ``--model-role grader=...``: a model, several (``A,B``), or ``{model: ..., setting: ...}``.
        batch: Whether all of them work in batch mode.

    Raises:
        InputError: One cannot be had, or none is named.
    """
    if not graders or LEXICAL in graders:
        raise InputError(f"--grader: found {', '.join(graders) or 'none'}, expected the name of an Inspect model")
    found: list[Model] = []
    for given in graders:
        try:
            named = parse_model_role_cli_args((f"{GRADER}={given}",))[GRADER]
            several: list[Any] = named if isinstance(named, list) else [named]
            found += [one if isinstance(one, Model) else get_model(one, memoize=False) for one in several]
        except (PrerequisiteError, ValueError, TypeError) as error:  # a key, a package or a name that is not there
            raise InputError(f"--grader {given}: {_fault(error)}") from None
    for model in found:
        model.config = model.config.model_copy(update={"batch": True} if batch and not model.config.batch else {})
    return found


def _fault(error: Exception) -> str:
    """What Inspect found wrong with a judge, in one line; of a setting without pydantic's frame and address."""
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        first = cause.errors(include_url=False)[0]
        setting = "".join(f"{part}: " for part in first["loc"])
        return setting + first["msg"].removeprefix("Value error, ")
    return " ".join(Markup.from_markup(str(error)).plain.split())


# --- what it costs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """What one judge will take.

    Attributes:
        judge: Its name.
        likely: As expected, where it does not think and every first reply is a grade.
        most: If every article were asked about as often as it may be (`judge.ASKS`), and every reply were as long as it
            may be; what is asked again holds the reply that was no grade.
        price: None where it is not known.
        batch: Whether it works in batch mode.
    """

    judge: str
    likely: Usage
    most: Usage
    price: Price | None
    batch: bool


def each(prices: Sequence[str], judges: int) -> list[str | None]:
    """The price of each of so many judges, None where none is given.

    Args:
        prices: ``INPUT,OUTPUT`` in USD per million tokens: none, one for all, or one for each judge.
        judges: Their number.

    Raises:
        InputError: The number of prices fits neither.
    """
    if len(prices) not in (0, 1, judges):
        raise InputError(f"--price: found {len(prices)} prices for {judges} judges, expected one, or one for each")
    return [*prices] * judges if len(prices) == 1 else [*prices] or [None] * judges


def estimates(wanted: Sequence[Wanted], judges: Sequence[Model], prices: Sequence[str]) -> list[Estimate]:
    """What each judge will take.

    Args:
        wanted: Articles.
        judges: The panel.
        prices: See `each`.

    Raises:
        InputError: A price is none, or see `each`.
    """
    given = each(prices, len(judges))
    frame = spending.tokens("".join(rubrics.judge_turns("")))
    again = spending.tokens(rubrics.again("x" * FAULT))
    number, sent = len(wanted), sum(frame + spending.tokens(one.text) for one in wanted)
    found = []
    for model, price in zip(judges, given, strict=True):
        settings = judge.settings(model.config)
        longest = settings.max_tokens or model.api.max_tokens_for_config(settings) or judge.MAX_TOKENS
        likely = Usage(number, sent, number * spending.tokens("x" * REPLY))
        asks = number * judge.ASKS
        most = Usage(asks, sent * judge.ASKS + (asks - number) * (longest + again), asks * longest)
        known = spending.price_of(str(model), price)
        found.append(Estimate(str(model), likely, most, known, bool(model.config.batch)))
    return found


def spent(events: Iterable[Event], asked: Sequence[Estimate]) -> tuple[Usage, float | None]:
    """What the replies among some events took, and what that costs.

    Args:
        events: Of judges.
        asked: The judges with their prices.
    """
    of_model = {one.judge: one for one in asked}
    used: dict[str, Usage] = {}
    for event in events:
        if event.event == "model" and event.output.usage is not None:
            taken = event.output.usage
            given = taken.input_tokens + (taken.input_tokens_cache_write or 0) + (taken.input_tokens_cache_read or 0)
            used[event.model] = used.get(event.model, Usage()) + Usage(1, given, taken.output_tokens)
    costs = [spending.cost(usage, of_model[name].price, of_model[name].batch) for name, usage in used.items()]
    return sum(used.values(), Usage()), spending.total(costs)


# --- asking ---------------------------------------------------------------------------------------------------------


def ask(wanted: Sequence[Wanted], judges: Sequence[Model], place: Path, display: str | None = None) -> EvalLog:
    """Put articles before the judges. Their log is in `place`, whatever becomes of the run.

    Args:
        wanted: Articles.
        judges: The panel; nobody, for the offline proxy.
        place: The judges' folder.
        display: Inspect's display; None: its default.

    Raises:
        KeyboardInterrupt: The run was interrupted.
    """
    rows = {one.key: one.text for one in wanted}
    articles = place / "articles.jsonl"
    manifest.write_text(articles, "".join(json.dumps({"id": key, "article": rows[key]}) + "\n" for key in rows))
    logs = copy_context().run(  # of its own: eval leaves its model behind as the active one
        eval,
        "mst_evals/bias_articles",
        model="none",
        model_roles={GRADER: list(judges)} if judges else {},
        task_args={"articles": os.path.relpath(articles), "scorer": "rubric" if judges else LEXICAL},
        log_dir=str(place),
        log_buffer=1 if judges else None,  # what was paid is on disk at once
        max_samples=len(rows) if any(model.config.batch for model in judges) else min(len(rows), AT_ONCE),
        score_display=False,
        display=display,  # type: ignore[arg-type]
    )
    return finished(logs)


def said(place: Path, keys: Iterable[str], scorer: str = SCORER) -> dict[str, Judged]:
    """What judges said in all runs so far, the last word on each article.

    Args:
        place: The judges' folder.
        keys: Articles that are of interest.
        scorer: Whose scores.
    """
    wanted, found = set(keys), dict[str, Judged]()
    for path in sorted(place.glob("*.eval")) if wanted else []:
        for row, work in of_log(path, scorer):
            known = found.get(row)
            if row in wanted and (known is None or second_pass.failed(known.score)):
                found[row] = work
    return found


def of_log(path: Path, scorer: str = SCORER) -> Iterable[tuple[str, Judged]]:
    """Key and judges' work of every article in a log of `ask`, finished or not."""
    try:
        for sample in read_eval_log_samples(str(path), all_samples_required=False, resolve_attachments=True):
            score = (sample.scores or {}).get(scorer)
            if score is not None:
                yield str(sample.metadata["row_id"]), Judged(score, _scoring(sample))
    except Exception as error:  # a log that a kill left without a single sample surfaces as many types
        logger.warning(f"{path.name}: not read to its end ({type(error).__name__}); what it lacks is asked for again")


def _scoring(sample: EvalSample) -> tuple[Event, ...]:
    """The events of a sample's scoring, as a tree of their own."""
    inside: set[str | None] = set()
    found: list[Any] = []
    for event in sample.events:
        if event.event == "span_begin" and (event.name == "scorers" or event.parent_id in inside):
            top = event.parent_id not in inside
            inside.add(event.id)
            found.append(event.model_copy(update={"parent_id": None}) if top else event)
        elif event.span_id in inside:
            found.append(event)
    return tuple(found)


def replies(known: Mapping[str, Judged]) -> Iterable[Event]:
    """Every event of some judges' work."""
    return (event for work in known.values() for event in work.events)
