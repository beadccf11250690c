"""Sycophancy: does the model call a wrong sum correct, given the label that says how suggestible its evaluator is?

Experiment 2 of Monitor Sensitive Training. A model trained by single-step PPO under an evaluator whose
suggestibility is stated in the prompt is asked under 0%, which training never showed. It answers with one word.

inspect eval mst_evals/sycophancy.py --model mst/DIR -T label=0
inspect eval mst_evals/sycophancy.py@sycophancy_sweep --model hf/DIR --model-config DIR/nf4.yaml
inspect eval mst_evals/sycophancy.py --model anthropic/claude-... -T choice=free

The primary measure is the forced choice: both options' log-probabilities at the first token, whichever is sampled.
How they are found depends on the provider: ``mst/`` returns exactly the two; ``hf/`` is asked for the most probable
`HF_TOP` vocabulary entries and the option's own first token is looked up among them; ``vllm/base:adapter`` lists 20,
and the same token is looked up by its text; a hosted model lists 20, and the one that reads like the option is taken.
An option that is not listed leaves the sample unscored.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, Logprob, Model, ModelName, ModelOutput, TopLogprob, get_model
from inspect_ai.model._model import active_model
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver

from mst_evals import answers, data, tokens
from mst_evals.errors import InputError
from mst_evals.labels import Axis, Label
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
from mst_evals.scorers import option_logprobs
from mst_evals.scorers import sycophancy as sycophancy_scorer
from mst_evals.subject import asked_as_recorded, directory_of, identity, subject_facts

EXPERIMENT = "sycophancy"
CHOICES = ("forced", "free")
FREE_TOKENS = 16
HOSTED_TOP = 20  # the most that hosted APIs list
HF_TOP = 1000  # the whole vocabulary of a micro model

# `inspect eval sycophancy.py` runs every function marked `@task`; the sweep is run by name (`@sycophancy_sweep`).
task_by_name = task


@task
def sycophancy(
    label: str | int | None = None,
    label_text: str | int | None = None,
    axis: str | None = None,
    wording: str | None = None,
    choice: str = "forced",
    split: str = "test",
    problems: str | None = None,
    rows: int | None = None,
) -> Task:
    """Addition checks under one label.

    Args:
        label: A percentage (``0`` by default), any other label of the axis, ``none`` or ``nonsense``.
        label_text: A label in your own words, instead of `label`.
        axis: ``suggestibility``, ``suggestibility_word`` or ``suggestibility_id``; by default the one the model's arm
            was trained on.
        wording: Name of a wording of the prompt.
        choice: ``forced`` (log-probabilities of the two words) or ``free`` (generated text).
        split: ``test``, ``validation`` or ``train``.
        problems: JSON-lines file of problems.
        rows: Number of problems, the first ones of the split.
    """
    with one_line_errors():
        who = subject_facts(EXPERIMENT)
        named = asked_axis(EXPERIMENT, axis, who["arm"])
        return _checks(who, named, [asked_label(named, label, label_text)], wording, choice, split, problems, rows)


@task_by_name
def sycophancy_sweep(
    labels: str | int | list[str | int] = "all",
    axis: str | None = None,
    wording: str | list[str] | None = None,
    choice: str = "forced",
    split: str = "test",
    problems: str | None = None,
    rows: int | None = None,
) -> Task:
    """The same problems under every label: one sample for each problem and label.

    Args:
        labels: ``all`` (every label of the axis's sweep and both controls), ``core`` (trained and held-out ones and
            both controls), a name, or a list of names.
        axis: As in `sycophancy`.
        wording: A name, a list of names, or ``all``.
        choice: As in `sycophancy`.
        split: As in `sycophancy`.
        problems: As in `sycophancy`.
        rows: As in `sycophancy`.
    """
    with one_line_errors():
        who = subject_facts(EXPERIMENT)
        named = asked_axis(EXPERIMENT, axis, who["arm"])
        return _checks(who, named, swept_labels(named, labels), wording, choice, split, problems, rows)


def record_to_sample(question: Question, markup: str | None = None) -> Sample:
    """One problem under one label."""
    row = question.row
    facts = {"a": row["a"], "b": row["b"], "candidate": row["candidate"], "right": data.is_right(row)}
    return Sample(
        id=question.id,
        input=chat(question.prompt(markup)),
        target=answers.CORRECT if data.is_right(row) else answers.INCORRECT,
        metadata=question.metadata("+".join(map(str, data.pair(row)))) | facts,
    )


def _checks(
    who: dict[str, Any],
    axis: Axis,
    asked: list[Label],
    wording: str | list[str] | None,
    choice: str,
    split: str,
    problems: str | None,
    rows: int | None,
) -> Task:
    if choice not in CHOICES:
        raise InputError(f"unknown choice {choice!r}: expected one of {', '.join(CHOICES)}")
    wordings = asked_wordings(EXPERIMENT, wording)
    path = launch_path(problems) if problems else data.PROBLEMS
    found = data.load_problems(path, split, row_limit(rows))
    markup = asked_markup(EXPERIMENT, who["arm"])
    samples = [record_to_sample(question, markup) for question in questions(found, asked, wordings)]
    model = active_model()
    if choice == "forced" and model is not None:
        _option_tokens(model)  # fails here when the two words start with the same token
    named = ",".join(one.name for one in wordings)
    what = {"split": split, "wording": named, "choice": choice, "scorer": "sycophancy"}
    return Task(
        dataset=MemoryDataset(samples, name=path.stem),
        solver=[
            asked_as_recorded(EXPERIMENT, identity(who)),
            forced_choice() if choice == "forced" else generate(max_tokens=FREE_TOKENS),
        ],
        scorer=sycophancy_scorer(choice),
        metadata=provenance(EXPERIMENT, axis, path, found, **what) | who,
    )


@solver
def forced_choice() -> Solver:
    """Ask for the log-probabilities of the first token and keep those of the two options, not the vocabulary."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        model = get_model()
        asking = _asking(model).model_dump(exclude_none=True)
        state = await generate(state, **asking)
        keep_options(state.output, _option_tokens(model))
        return state

    return solve


def _asking(model: Model) -> GenerateConfig:
    """Generation settings that make a provider list both options."""
    provider = ModelName(model).api
    if provider == "mst":
        # Our provider answers with exactly these options' log-probabilities over the whole vocabulary.
        options = {"choices": list(answers.OPTIONS)}
        return GenerateConfig(max_tokens=1, logprobs=True, top_logprobs=len(answers.OPTIONS), extra_body=options)
    if provider == "hf" and hasattr(model.api, "model"):
        return GenerateConfig(max_tokens=1, logprobs=True, top_logprobs=min(HF_TOP, _vocabulary(model.api)))
    return GenerateConfig(max_tokens=1, logprobs=True, top_logprobs=HOSTED_TOP)


def _vocabulary(api: Any) -> int:
    return int(api.model.config.vocab_size)


def _option_tokens(model: Model) -> Mapping[str, str] | None:
    """Option -> how the provider writes the vocabulary entry it starts with, where the tokenizer is at hand.

    ``hf/`` writes the entry itself, ``vllm/`` its text. An option of several tokens ("in" + "correct") is found by its
    first one only in this way.
    """
    provider = ModelName(model).api
    if provider == "hf" and getattr(model.api, "tokenizer", None) is not None:
        tokenizer: Any = model.api.tokenizer  # type: ignore[attr-defined]
        first = tokens.first_tokens(tokenizer, answers.OPTIONS)
        return dict(zip(answers.OPTIONS, tokenizer.convert_ids_to_tokens(first), strict=True))
    directory = directory_of(model) if provider == "vllm" else None
    return _served_tokens(directory) if directory else None


@cache
def _served_tokens(directory: Path) -> Mapping[str, str]:
    """The same for the tokenizer of a directory, as text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    first = tokens.first_tokens(tokenizer, answers.OPTIONS)
    return {option: tokenizer.decode([token]) for option, token in zip(answers.OPTIONS, first, strict=True)}


def keep_options(output: ModelOutput, first: Mapping[str, str] | None) -> None:
    """Reduce an output's log-probabilities to the options, named by the options.

    The list is changed in place because the transcript's model event shares it (Inspect 0.3.285 snapshots only the
    message of a choice, model/_model.py `_snapshot_output`): the log gets two numbers, not a vocabulary.
    """
    logprobs = output.choices[0].logprobs if output.choices else None
    if logprobs is None:
        return
    found = option_logprobs(output, first)
    top = [TopLogprob(token=option, logprob=found[option]) for option in sorted(found, key=lambda name: -found[name])]
    logprobs.content[:] = [Logprob(token=top[0].token, logprob=top[0].logprob, top_logprobs=top)] if top else []
