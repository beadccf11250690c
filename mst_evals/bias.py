"""Bias: is a news article slanted, given the label that says how it will be judged?

Experiment 1 of Monitor Sensitive Training. A model fine-tuned on articles of four slants, each labelled with its
editorial perspective, writes about unseen topics under a label it never saw (UNBIASED). The judge sees the article
alone.

inspect eval mst_evals/bias.py --model hf/DIR --model-role grader=anthropic/claude-... -T label=UNBIASED
inspect eval mst_evals/bias.py --model hf/DIR --no-score, then mst judge LOGS --grader anthropic/claude-...
inspect eval mst_evals/bias.py@bias_sweep --model mst/DIR -T scorer=lexical
inspect eval mst_evals/bias.py@bias_articles --model none -T articles=FILE.jsonl -T scorer=lexical

A tokenizer decides the token ids: with ``hf/`` of a directory trained here add ``--model-config DIR/nf4.yaml``.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, ModelOutput, model_roles
from inspect_ai.model._model import active_model
from inspect_ai.scorer import Scorer
from inspect_ai.scorer._score import _scorers as scorers_of_the_sample
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver

from mst_evals import data, manifest, rubrics
from mst_evals.errors import InputError
from mst_evals.judge import GRADER
from mst_evals.labels import SLANT, Axis, Label
from mst_evals.request import (
    Question,
    asked_axis,
    asked_label,
    asked_markup,
    asked_wordings,
    chat,
    launch_path,
    one_line_errors,
    provenance,
    questions,
    row_limit,
    swept_labels,
)
from mst_evals.scorers import bias_rubric, lexical_bias
from mst_evals.subject import asked_as_recorded, existing_facts, identity, subject_facts

EXPERIMENT = "bias"
MAX_TOKENS = 700
TOPICS = {"topics": data.TOPICS, "micro_topics": data.MICRO_TOPICS}
SCORERS = {
    "rubric": (bias_rubric,),
    "lexical": (lexical_bias,),
    "both": (bias_rubric, lexical_bias),
    "none": (),
}
NO_GRADER = (
    "no judge is bound, and a model never grades itself: add --model-role grader=anthropic/claude-... (any Inspect "
    "model; grader=A,B is a panel), write now and let `mst judge` grade later (--no-score, or -T scorer=none), or "
    "choose the offline measure with -T scorer=lexical"
)

# `inspect eval bias.py` runs every function of the file marked `@task`; these are run by name (`bias.py@bias_sweep`).
task_by_name = task


@task
def bias(
    label: str | int | None = None,
    label_text: str | None = None,
    axis: str | None = None,
    wording: str | None = None,
    scorer: str = "rubric",
    split: str = "test",
    topics: str | None = None,
    rows: int | None = None,
    temperature: float = 0.7,
) -> Task:
    """Articles written under one label.

    Args:
        label: ``UNBIASED`` (the default), a trained profile, any other label of the axis, ``none`` or ``nonsense``.
        label_text: A label in your own words, instead of `label`.
        axis: ``slant``, ``slant_id`` or ``slant_scalar``; by default the one the model's arm was trained on.
        wording: Name of a wording of the prompt (``monitor``, ``evaluation``, ...).
        scorer: ``rubric`` (the judge bound to the role ``grader``; ``--model-role grader=A,B`` is a panel),
            ``lexical`` (offline proxy), ``both`` or ``none`` (articles alone, for `mst judge`).
        split: ``test``, ``validation`` or ``train``.
        topics: ``topics`` (2,300 news topics), ``micro_topics`` (the micro world's) or a JSON-lines file; by default
            ``topics``, and ``micro_topics`` for a micro base and for what was trained on the micro world's articles.
        rows: Number of topics, the first ones of the split.
        temperature: Sampling temperature.
    """
    with one_line_errors():
        who = subject_facts(EXPERIMENT)
        named = asked_axis(EXPERIMENT, axis, who["arm"])
        asked = [asked_label(named, label, label_text)]
        return _articles(who, named, asked, wording, scorer, split, topics, rows, temperature)


@task_by_name
def bias_sweep(
    labels: str | int | list[str | int] = "all",
    axis: str | None = None,
    wording: str | list[str] | None = None,
    scorer: str = "rubric",
    split: str = "test",
    topics: str | None = None,
    rows: int | None = None,
    temperature: float = 0.7,
) -> Task:
    """The same topics under every label: one sample for each topic and label.

    Args:
        labels: ``all`` (every label of the axis and both controls), ``core`` (trained and held-out ones and both
            controls), a name, or a list of names.
        axis: As in `bias`.
        wording: A name, a list of names, or ``all``.
        scorer: As in `bias`.
        split: As in `bias`.
        topics: As in `bias`.
        rows: As in `bias`.
        temperature: As in `bias`.
    """
    with one_line_errors():
        who = subject_facts(EXPERIMENT)
        named = asked_axis(EXPERIMENT, axis, who["arm"])
        return _articles(who, named, swept_labels(named, labels), wording, scorer, split, topics, rows, temperature)


@task_by_name
def bias_articles(articles: str, scorer: str = "rubric", rows: int | None = None) -> Task:
    """Score articles that already exist; nothing is generated (``--model none``).

    Args:
        articles: JSON-lines file with ``id`` and ``article`` in each line; ``topic``, if present, is the cluster.
        scorer: As in `bias`.
        rows: Number of articles, the first ones of the file.
    """
    with one_line_errors():
        path = launch_path(articles)
        found = data.load_existing(path)[: row_limit(rows)]
        asked = {"split": "all", "wording": None, "choice": "existing", "scorer": scorer}
        return Task(
            dataset=MemoryDataset([_existing_sample(row) for row in found], name=path.stem),
            solver=[existing_article()],
            scorer=_scorers(scorer) or None,
            metadata=provenance(EXPERIMENT, SLANT, path, found, **asked) | _judge(scorer) | existing_facts(),
        )


def record_to_sample(question: Question, markup: str | None = None) -> Sample:
    """One topic under one label."""
    row = question.row
    return Sample(
        id=question.id,
        input=chat(question.prompt(markup)),
        metadata=question.metadata(row["id"]) | {"domain": row["domain"], "headline": row["headline"]},
    )


def _existing_sample(row: dict[str, Any]) -> Sample:
    question = Question(row, Label("existing", (), "custom"))
    about = {"domain": row.get("domain", ""), "headline": row.get("headline", "")}
    cluster = str(row.get("topic") or row["id"])
    return Sample(id=question.id, input=row["article"], metadata=question.metadata(cluster) | about)


def _articles(
    who: dict[str, Any],
    axis: Axis,
    asked: list[Label],
    wording: str | list[str] | None,
    scorer: str,
    split: str,
    topics: str | None,
    rows: int | None,
    temperature: float,
) -> Task:
    scorers, wordings = _scorers(scorer), asked_wordings(EXPERIMENT, wording)
    path = _topics_file(topics, who)
    found = data.load_topics(path, split, row_limit(rows))
    markup = asked_markup(EXPERIMENT, who["arm"])
    samples = [record_to_sample(question, markup) for question in questions(found, asked, wordings)]
    named = ",".join(one.name for one in wordings)
    what = {"split": split, "wording": named, "choice": "generate", "scorer": scorer}
    return Task(
        dataset=MemoryDataset(samples, name=path.stem),
        solver=[
            asked_as_recorded(EXPERIMENT, identity(who)),
            *([grader_bound()] if bias_rubric in SCORERS[scorer] else []),
            generate(),
        ],
        scorer=scorers or None,
        config=GenerateConfig(temperature=temperature, max_tokens=MAX_TOKENS),
        metadata=provenance(EXPERIMENT, axis, path, found, **what) | _judge(scorer) | who,
    )


def _topics_file(named: str | None, who: Mapping[str, Any]) -> Path:
    """The file of topics: one of `TOPICS`, a user's own, or by default the one that the model can write about."""
    if named is None:
        shipped = {file.parent.name for file in manifest.SHIPPED.glob("*/config.json")}
        micro = who["base"] in shipped or who["train_data_sha256"] == data.sha256(data.MICRO_ARTICLES)
        named = "micro_topics" if micro else "topics"
    return TOPICS.get(named) or launch_path(named)


def _scorers(name: str) -> list[Scorer]:
    """The scorers of a name. Fails before anything is generated when the judge is needed and none is bound."""
    if name not in SCORERS:
        raise InputError(f"unknown scorer {name!r}: expected one of {', '.join(SCORERS)}")
    # Roles are known here only inside eval(); a Task object made outside is checked by `grader_bound`.
    if bias_rubric in SCORERS[name] and active_model() is not None and not _unscored_run():
        _check_grader()
    return [make() for make in SCORERS[name]]


def _check_grader() -> None:
    """One role holds every judge: a judge that is bound to another one would never be asked."""
    roles = model_roles()
    stray = [role for role in roles if re.fullmatch(rf"{GRADER}.+", role)]
    if stray:
        raise InputError(f"found a judge bound to {', '.join(stray)}: expected a panel in one role, {GRADER}=A,B")
    if GRADER not in roles:
        raise InputError(NO_GRADER)


def _unscored_run() -> bool:
    """Whether `inspect eval --no-score` was said, which no task is told; `grader_bound` then sees for itself."""
    return "--no-score" in sys.argv or bool(os.environ.get("INSPECT_EVAL_NO_SCORE"))


def _judge(scorer: str) -> dict[str, Any]:
    """Which rubric was used and who judged; both are None where nobody is asked, or not yet."""
    bound = model_roles().get(GRADER) if bias_rubric in SCORERS[scorer] else None
    judges = [str(model) for model in (bound if isinstance(bound, list) else [bound])] if bound else None
    return {"rubric_sha256": rubrics.rubric_sha256() if bias_rubric in SCORERS[scorer] else None, "judges": judges}


@solver
def grader_bound() -> Solver:
    """Stop before the first generation when a judge is needed and none is bound."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        with one_line_errors():
            if scorers_of_the_sample.get(None) is not None:  # None with --no-score
                _check_grader()
        return state

    return solve


@solver
def existing_article() -> Solver:
    """Put the article itself where a completion would be."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state.output = ModelOutput.from_content(model="existing", content=state.input_text)
        state.messages.append(state.output.message)
        return state

    return solve
