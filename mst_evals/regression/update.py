"""`mst check --update`: evaluate an adapter and write the result as its new reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog, write_eval_log

from mst_evals import data, request, variants
from mst_evals.errors import InputError
from mst_evals.judging.second_pass import SCORER
from mst_evals.manifest import Manifest
from mst_evals.regression import adapter_file, comparable, judging, measure, metrics, reference, rows, verdicts
from mst_evals.regression.check import compare_answers
from mst_evals.regression.reference import Asked, Facts, LogFile, Reference
from mst_evals.regression.verdicts import Finding, Verdict


@dataclass(frozen=True)
class Update:
    """A reference that was written.

    Attributes:
        name: Of the adapter.
        path: The reference.
        first: Whether there was none before.
        changes: What changed against the old one, one phrase each.
        findings: The new evaluation against the old one, empty where the two cannot be compared.
    """

    name: str
    path: Path
    first: bool
    changes: tuple[str, ...]
    findings: tuple[Finding, ...]


def update(
    directory: Path, place: Path, logs: Path, margins: Mapping[str, float], given: Mapping[str, object]
) -> Update:
    """Evaluate an adapter and write its reference.

    What is asked is what the old reference says, what is given, or `measure.default_questions`. What cannot end in a
    reference is refused before anything is evaluated, where it can be known.

    Args:
        directory: The adapter.
        place: The reference's file (.json), or the folder in which ``NAME.json`` is written.
        logs: Folder for the log of the evaluation; the reference keeps a copy of it without transcripts.
        margins: Metric -> margin, in place of the old reference's or the default.
        given: Fields of `Asked` that the user gave.

    Raises:
        InputError: The place is none for a reference, the old one cannot be used, the questions are none or have no
            metric, the adapter cannot be evaluated, is not asked as it was trained, too few of its rows are scored to
            compare anything with them, a margin is too small for its judge, or the files cannot be written.
    """
    directory = directory.absolute()
    path = path_of(place, directory.name)
    found = adapter_file.read_manifest(directory)
    adapter_file.check(directory, found)
    old = _old(path)
    asked = old.asked if old else measure.default_questions(found)
    asked = Asked(**asked.model_dump() | {"topics": asked.topics or measure.topics_of(found)} | dict(given))
    _refuse_without_metric(found, asked)
    log = measure.evaluate(directory, found.experiment, asked, logs)
    facts = measure.facts(log, found)
    if other := measure.not_as_trained(log):
        raise InputError(f"{directory.name}: no reference: {'; '.join(other)}")
    columns = _columns(log, facts)
    needs = _judge_needs(directory.name, log, facts, asked.grader, columns, logs)
    if found.experiment == "bias":
        written = rows.answers(log, facts.scorer)
        keep_likelihoods(log, measure.likelihoods(directory, found, facts.axis, asked, written))
    own = _with_enough(directory.name, columns, columns, facts.experiment)
    findings, changes = _against(directory, found, old, path, log, facts) if old else ((), [])
    kept = metrics.margins(found.experiment) | (old.margins if old else {})
    if small := judging.too_small(margins, needs):
        raise InputError(f"{directory.name}: no reference: {'; '.join(small)}")
    changes += judging.widened(kept | dict(margins), needs, max(one.asked for one in columns))
    kept = {name: max(margin, needs.get(name, 0.0)) for name, margin in kept.items()}
    made = _write_pair(
        path,
        log,
        format=reference.FORMAT,
        name=directory.name,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        facts=facts,
        asked=asked,
        margins=kept | {name: margin for name, margin in margins.items() if name in kept},
        means=reference.means(own),
        judge_needs=needs,
        made_with=measure.made_with(),
    )
    return Update(directory.name, path, old is None, (*changes, *_settings(old, made)), findings)


def _with_enough(
    name: str, before: Sequence[metrics.Column], after: Sequence[metrics.Column], experiment: str
) -> tuple[Finding, ...]:
    """Two sides compared. Raises `InputError` where too few rows are scored."""
    found = verdicts.compare_all(before, after, metrics.margins(experiment))
    for one in found:
        if one.verdict == Verdict.NOT_COMPARABLE:
            raise InputError(f"{name}: no reference: {one.metric} ({one.label}): {one.reason}")
    return found


def _judge_needs(
    name: str, log: EvalLog, facts: Facts, grader: str | None, columns: Sequence[metrics.Column], logs: Path
) -> dict[str, float]:
    """Margins that the judge needs, from a second grading of the same articles; none without a judge."""
    if grader is None or facts.scorer != SCORER:
        return {}
    axis, once = variants.axis(facts.experiment, facts.axis), rows.answers(log, facts.scorer)
    again = metrics.columns(facts.experiment, facts.arm, axis, judging.graded_again(once, grader, logs))
    _with_enough(name, columns, again, facts.experiment)
    return judging.needed(columns, again)


def path_of(place: Path, name: str) -> Path:
    """The file that a reference is written to.

    Args:
        place: It (.json), or its folder.
        name: Of the adapter's directory.

    Raises:
        InputError: The place is a file of another name, or a folder lies in the file's place.
    """
    path = place if place.suffix == ".json" else place / f"{name}.json"
    if path.is_dir():
        raise InputError(f"{path}: a folder, expected a reference (JSON) or no such file")
    if place != path and place.exists() and not place.is_dir():
        raise InputError(f"{place}: a file, expected a folder of references or a name that ends in .json")
    return path


def _old(path: Path) -> Reference | None:
    """The reference that is there. One that is broken is no reason to ask something else, so it is refused."""
    if not path.is_file():
        return None
    try:
        return reference.read(path)
    except InputError as error:
        raise InputError(
            f"the old reference cannot be used: {error}; restore it, or remove it to ask the default questions"
        ) from None


def _refuse_without_metric(found: Manifest, asked: Asked) -> None:
    """Raise unless the questions are some, and one of their labels has metrics."""
    measure.prompts_of(found, request.asked_axis(found.experiment, None, found.arm).name, asked)
    headline = metrics.headline(found.experiment, found.arm)
    if not set(headline) & set(asked.labels):
        raise InputError(
            f"labels {', '.join(asked.labels)}: no metric of arm {found.arm!r} is read at any of them, "
            f"expected at least one of {', '.join(headline)}"
        )


def _columns(log: EvalLog, facts: Facts) -> list[metrics.Column]:
    axis = variants.axis(facts.experiment, facts.axis)
    return metrics.columns(facts.experiment, facts.arm, axis, rows.answers(log, facts.scorer))


def _against(
    directory: Path, found: Manifest, old: Reference, path: Path, log: EvalLog, facts: Facts
) -> tuple[tuple[Finding, ...], list[str]]:
    """The new evaluation against the old one, and what changed in words."""
    old_log = rows.read_log(reference.log_path(path, old))
    before, after = rows.answers(old_log, old.facts.scorer), rows.answers(log, facts.scorer)
    changes = comparable.remade(old.facts, facts)
    judged = comparable.other_judgement(old.facts.scorer, before)
    prompts = {answer.id: answer.prompt for answer in after}
    otherwise = [f"it was {one}" for one in measure.not_as_trained(old_log)]
    differ = comparable.differences(old.facts, facts)
    why_not = [*otherwise, *differ, comparable.other_prompts(before, prompts), judged]
    if said := [reason for reason in why_not if reason]:
        return (), [*changes, *(f"not comparable with the old one: {reason}" for reason in said)]
    try:
        return compare_answers(directory, found, old, before, after, old.margins), changes
    except InputError as error:
        return (), [*changes, f"not comparable with the old one: {error}"]


def _settings(old: Reference | None, new: Reference) -> list[str]:
    """What changed in margins, questions and packages."""
    if old is None:
        return []
    return [
        f"{name}: {before.get(key, 'nothing')} -> {after.get(key, 'nothing')}"
        for field in ("margins", "asked", "made_with")
        for before, after in [[side.model_dump()[field] for side in (old, new)]]
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
        for name in [f"{field}.{key}"]
    ]


def keep_likelihoods(log: EvalLog, nats: Mapping[str, float]) -> None:
    """Put what `measure.likelihoods` found into the samples of a log."""
    for sample in log.samples or []:
        sample.metadata[rows.NATS] = nats[str(sample.id)]


def _write_pair(path: Path, log: EvalLog, **fields: Any) -> Reference:
    """Write a reference and the log it keeps: every sample with its prompt, reply and score, without transcripts.

    A transcript repeats prompt and reply and is four fifths of a log's size. Both files are whole under temporary names
    before either takes the place of an old one, so that a full disk leaves the old pair as it was.

    Args:
        path: The JSON file.
        log: The log.
        fields: Of the reference, without `log` and `sha256`.

    Raises:
        InputError: They cannot be written.
    """
    for sample in log.samples or []:
        sample.events, sample.attachments = [], {}
    kept = path.with_suffix(".eval")
    fresh_log, fresh = path.with_name(f".{path.stem}.new.eval"), path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_eval_log(log, str(fresh_log))
        made = reference.sealed(**fields, log=LogFile(file=kept.name, sha256=data.sha256(fresh_log)))
        reference.write(fresh, made)
        fresh_log.replace(kept)
        fresh.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        for one in (fresh_log, fresh):
            one.unlink(missing_ok=True)
    return made
