"""Evaluate a saved adapter with the project's Inspect tasks, greedily or on probabilities, and say what was asked."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog

from mst_evals import bias, data, lexical, prompts, request, rubrics, variants
from mst_evals.as_trained import DIFFERS
from mst_evals.errors import InputError
from mst_evals.judge import GRADER
from mst_evals.judging.second_pass import SCORER
from mst_evals.manifest import Manifest
from mst_evals.prompts import Messages
from mst_evals.regression import judging, likelihood, metrics
from mst_evals.regression.reference import Asked, Facts
from mst_evals.regression.rows import Answer

GREEDY = 0.0
LOAD = {"bias": data.load_topics, "sycophancy": data.load_problems}
PACKAGES = ("mst-evals", "torch", "transformers", "peft", "bitsandbytes", "inspect-ai")
_SCORERS = {"lexical": "lexical_bias", "rubric": "bias_rubric", "sycophancy": "sycophancy"}  # `-T scorer` -> its name


def default_questions(
    found: Manifest,
    number: int | None = None,
    labels: tuple[str, ...] | None = None,
    max_tokens: int | None = None,
    grader: str | None = None,
) -> Asked:
    """What is asked of an adapter unless a reference says otherwise: the test split in the default wording.

    Args:
        found: Its manifest.
        number: Of rows, None for all of them.
        labels: Names of labels, None for `metrics.default_labels`.
        max_tokens: Of a reply, None for the task's own.
        grader: The judge, None for the lexical proxy.
    """
    known = variants.ARMS[found.experiment].get(found.arm)
    axis = known.axis if known else variants.AXES[found.experiment]
    return Asked(
        labels=labels or metrics.default_labels(found.experiment, found.arm, axis),
        rows=number,
        split="test",
        wording=prompts.DEFAULT_WORDING[found.experiment],
        max_tokens=max_tokens,
        grader=grader,
        topics=topics_of(found),
    )


def topics_of(found: Manifest) -> str | None:
    """Name of the file of topics that the task asks of an adapter unless told otherwise; None for sycophancy."""
    if found.experiment != "bias":
        return None
    path = bias._topics_file(None, {"base": _base(found), "train_data_sha256": found.data_sha256})
    return next(name for name, file in bias.TOPICS.items() if file == path)


def _base(found: Manifest) -> str:
    return Path(found.base).name if found.base.startswith("/") else found.base


def rows_file(found: Manifest, asked: Asked) -> Path:
    """The file of the rows that are asked.

    Raises:
        InputError: The reference names topics that the task does not know.
    """
    if found.experiment != "bias":
        return data.PROBLEMS
    named = asked.topics or topics_of(found)
    if named not in bias.TOPICS:
        raise InputError(f"asked.topics: found {named!r}, expected one of {', '.join(bias.TOPICS)}")
    return bias.TOPICS[named]


def scorer_of(experiment: str, asked: Asked) -> str:
    """Name of the scorer."""
    return _SCORERS["sycophancy" if experiment == "sycophancy" else _bias_scorer(asked)]


def _bias_scorer(asked: Asked) -> str:
    return "rubric" if asked.grader else "lexical"


def judge_sha256(scorer: str) -> str | None:
    """Digest of what the judge of a scorer is made of, today: the rubric, or the proxy's lexicon."""
    return {"bias_rubric": rubrics.rubric_sha256, "lexical_bias": lexical.lexicon_sha256}.get(scorer, lambda: None)()


def training_sha256(found: Manifest) -> str:
    """Digest of what a manifest says about a training: everything but the weights, and the probe that watched it."""
    said = {name: value for name, value in asdict(found).items() if name not in ("adapter_sha256", "label_use")}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def known_before(found: Manifest, reference: Facts, asked: Asked) -> Facts:
    """The facts of an adapter that are known without evaluating it; what is not is taken from its reference.

    Args:
        found: Its manifest.
        reference: The facts of its reference.
        asked: What will be asked.

    Raises:
        InputError: The judge cannot be had, or the file of rows is unknown.
    """
    file, scorer = rows_file(found, asked), scorer_of(found.experiment, asked)
    return reference.model_copy(
        update={
            "experiment": found.experiment,
            "arm": found.arm,
            "base": _base(found),
            "base_sha256": found.base_sha256,
            "quantisation": found.quantisation,
            "data": file.name,
            "data_sha256": data.sha256(file),
            "scorer": scorer,
            "judge": judging.named(judging.bound(asked.grader)) if asked.grader and scorer == SCORER else "",
            "judge_sha256": judge_sha256(scorer),
        }
    )


def arguments(experiment: str, asked: Asked) -> dict[str, Any]:
    """Arguments of the sweep's task."""
    shared = {"labels": list(asked.labels), "rows": asked.rows, "split": asked.split, "wording": asked.wording}
    if experiment == "sycophancy":
        return shared | {"choice": "forced"}
    return shared | {"scorer": _bias_scorer(asked), "temperature": GREEDY, "topics": asked.topics}


def prompts_of(found: Manifest, axis: str, asked: Asked) -> dict[str, Messages]:
    """What the task would ask today, without asking it: sample id -> prompt.

    Raises:
        InputError: A label, a wording or the split is unknown.
    """
    load, path = LOAD[found.experiment], rows_file(found, asked)
    wording = prompts.wording(found.experiment, asked.wording)
    known = variants.axis(found.experiment, axis)
    listed = request.questions(
        load(path, asked.split, asked.rows), [known.label(name) for name in asked.labels], [wording]
    )
    markup = request.asked_markup(found.experiment, found.arm)
    return {one.id: one.prompt(markup) for one in listed}


def likelihoods(directory: Path, found: Manifest, axis: str, asked: Asked, given: Sequence[Answer]) -> dict[str, float]:
    """Sample id -> nats a token that an adapter gives to answers that exist, see `likelihood`."""
    messages = prompts_of(found, axis, asked)
    nats = likelihood.nats_per_token(directory, found, [(messages[one.id], one.reply) for one in given])
    return dict(zip((one.id for one in given), nats, strict=True))


def evaluate(directory: Path, experiment: str, asked: Asked, logs: Path) -> EvalLog:
    """Evaluate an adapter into a folder of logs.

    It is named from its own folder, so that no log holds a path of this machine. The model is made anew: Inspect
    remembers models by name, and two adapters of one name would be taken for one.

    Args:
        directory: The adapter.
        experiment: Its experiment.
        asked: What is asked.
        logs: Where the log goes.

    Returns:
        The log, with its samples.

    Raises:
        InputError: The evaluation could not be made.
    """
    from inspect_ai import eval
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.model import get_model
    from transformers.utils import logging

    from mst_evals.interrupts import finished
    from mst_evals.studies.evaluate_cell import unattended

    logging.disable_progress_bar()
    directory, logs = directory.resolve(), logs.resolve()
    try:
        with contextlib.chdir(directory.parent):
            made = eval(
                f"mst_evals/{experiment}_sweep",
                task_args=arguments(experiment, asked),
                model=get_model(f"mst/{directory.name}", memoize=False),
                model_roles={GRADER: judging.bound(asked.grader)} if asked.grader else None,
                log_dir=str(logs),
                max_tokens=asked.max_tokens,
                **unattended(),
            )
    except PrerequisiteError as error:
        raise InputError(str(error)) from None
    log = finished(made)
    if log.status != "success":
        raise InputError(f"{directory.name}: {log.error.message if log.error else f'ended with status {log.status}'}")
    return log


def facts(log: EvalLog, found: Manifest) -> Facts:
    """What a log says was evaluated.

    Args:
        log: The log.
        found: Manifest of the adapter.

    Raises:
        InputError: It is no log of an adapter of ours.
    """
    about = log.eval.metadata or {}
    if about.get("experiment") not in variants.EXPERIMENTS or not about.get("adapter_sha256"):
        raise InputError(f"{log.eval.task}: not a log of an adapter of ours")
    scorer = _SCORERS[about["scorer"]]
    bound: Any = (log.eval.model_roles or {}).get(GRADER) or []
    judges = bound if isinstance(bound, list) else [bound]
    names = set(Facts.model_fields) & set(about)
    return Facts(
        **{name: about[name] for name in names - {"scorer"}},
        training_sha256=training_sha256(found),
        task=log.eval.task.rsplit("/", 1)[-1],
        task_version=str(log.eval.task_version),
        scorer=scorer,
        judge=judging.named(judges) if scorer == SCORER else "",
        judge_sha256=about.get("rubric_sha256") or judge_sha256(scorer),
        temperature=log.plan.config.temperature,
        max_tokens=log.eval.model_generate_config.max_tokens or log.plan.config.max_tokens,
    )


def not_as_trained(log: EvalLog) -> list[str]:
    """What the preflight found of an evaluation that makes it another measurement than its training's; one phrase each.

    A report leaves such a log out (`mst_evals.preflight`), and so does a check.
    """
    found = (log.eval.metadata or {}).get("preflight") or {}
    return [
        f"asked with another {check} than in training ({one['found']})"
        for check, one in found.items()
        if one["status"] == DIFFERS
    ]


def versions() -> dict[str, str]:
    """Versions of the packages that an evaluation depends on."""
    return {name: version(name) for name in PACKAGES}


def made_with() -> dict[str, str]:
    """The versions, and what decides how the processor rounds."""
    import torch

    return versions() | {"processor": torch.backends.cpu.get_cpu_capability(), "threads": str(torch.get_num_threads())}
