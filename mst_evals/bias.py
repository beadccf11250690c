"""Bias: is a news article slanted, given the label that says how it will be judged?

Experiment 1 of Monitor Sensitive Training. A model fine-tuned on articles of four slants, each labelled with its
editorial perspective, writes about unseen topics under a label it never saw (UNBIASED). The judge sees the article
alone.

inspect eval mst_evals/bias.py --model hf/DIR --model-role grader=anthropic/claude-... -T label=UNBIASED
inspect eval mst_evals/bias.py@bias_sweep --model mst/DIR -T scorer=lexical
inspect eval mst_evals/bias.py@bias_articles --model none -T articles=FILE.jsonl -T scorer=lexical

A tokenizer decides the token ids: with ``hf/`` of a directory trained here add ``--model-config DIR/nf4.yaml``.
"""

from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, ModelOutput, model_roles
from inspect_ai.model._model import active_model
from inspect_ai.scorer import Scorer
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver

from mst_evals import data, rubrics
from mst_evals.errors import InputError
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
from mst_evals.scorers import GRADER, bias_rubric, lexical_bias
from mst_evals.subject import existing_facts, subject_facts

EXPERIMENT = "bias"
MAX_TOKENS = 700
SCORERS = {"rubric": (bias_rubric,), "lexical": (lexical_bias,), "both": (bias_rubric, lexical_bias)}
NO_GRADER = (
    "no judge is bound, and a model never grades itself: add --model-role grader=anthropic/claude-... (any Inspect "
    "model) or choose the offline measure with -T scorer=lexical"
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
        scorer: ``rubric`` (a judge bound to the role ``grader``), ``lexical`` (offline proxy) or ``both``.
        split: ``test``, ``validation`` or ``train``.
        topics: JSON-lines file of topics.
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
            scorer=_scorers(scorer),
            metadata=provenance(EXPERIMENT, SLANT, path, found, **asked) | _rubric(scorer) | existing_facts(),
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
    path = launch_path(topics) if topics else data.MICRO_TOPICS
    found = data.load_topics(path, split, row_limit(rows))
    markup = asked_markup(EXPERIMENT, who["arm"])
    samples = [record_to_sample(question, markup) for question in questions(found, asked, wordings)]
    named = ",".join(one.name for one in wordings)
    what = {"split": split, "wording": named, "choice": "generate", "scorer": scorer}
    return Task(
        dataset=MemoryDataset(samples, name=path.stem),
        solver=[*([grader_bound()] if bias_rubric in SCORERS[scorer] else []), generate()],
        scorer=scorers,
        config=GenerateConfig(temperature=temperature, max_tokens=MAX_TOKENS),
        metadata=provenance(EXPERIMENT, axis, path, found, **what) | _rubric(scorer) | who,
    )


def _scorers(name: str) -> list[Scorer]:
    """The scorers of a name. Fails before anything is generated when the judge is needed and none is bound."""
    if name not in SCORERS:
        raise InputError(f"unknown scorer {name!r}: expected one of {', '.join(SCORERS)}")
    # Roles are known here only inside eval(); a Task object made outside is checked by `grader_bound`.
    if bias_rubric in SCORERS[name] and active_model() is not None and GRADER not in model_roles():
        raise InputError(NO_GRADER)
    return [make() for make in SCORERS[name]]


def _rubric(scorer: str) -> dict[str, Any]:
    return {"rubric_sha256": rubrics.rubric_sha256() if bias_rubric in SCORERS[scorer] else None}


@solver
def grader_bound() -> Solver:
    """Stop before the first generation when no judge is bound."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        with one_line_errors():
            if GRADER not in model_roles():
                raise InputError(NO_GRADER)
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
