"""One adapter against its reference: read both, refuse what cannot be compared, evaluate, compare row by row."""

import difflib
import logging
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mst_evals import bases, manifest, variants
from mst_evals.errors import InputError
from mst_evals.judging.second_pass import SCORER
from mst_evals.manifest import Manifest
from mst_evals.regression import adapter_file, comparable, judging, measure, metrics, reference, rows, verdicts
from mst_evals.regression.reference import Reference
from mst_evals.regression.rows import Answer
from mst_evals.regression.verdicts import Finding, Verdict

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
    """What is said of one adapter.

    Attributes:
        adapter: Name of its directory.
        reference: File name of its reference, empty when there is none.
        verdict: The worst of its findings.
        reason: One sentence.
        findings: One for each metric and label; none when it could not be compared.
        notes: What differs that may differ, versions of packages too.
        log: File name of the evaluation's log, empty when nothing was evaluated.
        seconds: What it took.
    """

    adapter: str
    reference: str
    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    log: str = ""
    seconds: float = 0.0


def check(
    directory: Path,
    against: Path,
    logs: Path,
    margins: Mapping[str, float] | None = None,
    grader: str | None = None,
) -> Check:
    """Check an adapter. What is wrong with it or with its reference is a verdict, never an error.

    Nor is a fault that nobody foresaw: it must not end the checks of other adapters, nor pass for a regression. Its
    traceback is logged.

    Args:
        directory: The adapter.
        against: Its reference, or a folder of references.
        logs: Folder for the log of its evaluation.
        margins: Metric -> margin, in place of the reference's own; one of a metric that the adapter has not is refused.
        grader: Judge to bind in place of the reference's own.
    """
    path: Path | None = None
    packages: tuple[str, ...] = ()
    began = time.monotonic()
    directory = directory.absolute()
    try:
        found = adapter_file.read_manifest(directory)
        path = reference.find(against, directory.name, found.adapter_sha256)
        signed = reference.read(path)
        packages = tuple(comparable.other_packages(signed.made_with, measure.versions()))
        made = _compared(directory, found, path, signed, logs, margins or {}, grader, began)
        return replace(made, notes=(*made.notes, *packages))
    except InputError as error:
        reason = " ".join(str(error).split())
    except Exception as error:
        logger.exception(f"{directory.name}: could not be checked")
        reason = f"could not be checked ({adapter_file.said(error)})"
    reason = without_paths(reason, directory.parent, against, manifest.SHIPPED, *bases.named_folders())
    name, seconds = path.name if path else "", time.monotonic() - began
    return Check(directory.name, name, Verdict.NOT_COMPARABLE, reason, notes=packages, seconds=seconds)


def without_paths(text: str, *folders: Path) -> str:
    """A message without the folders of this machine, which have no place in a file that others read."""
    known = {form for one in folders for form in (str(one.absolute()), os.path.realpath(one))} - {"/"}
    for folder in sorted(known, key=len, reverse=True):
        text = text.replace(f"{folder}/", "").replace(folder, Path(folder).name)
    return text


def _compared(
    directory: Path,
    found: Manifest,
    path: Path,
    signed: Reference,
    logs: Path,
    margins: Mapping[str, float],
    grader: str | None,
    began: float,
) -> Check:
    """The check of an adapter whose reference is in order. Raises `InputError` where the two cannot be compared."""
    asked = signed.asked.model_copy(update={"grader": grader}) if grader else signed.asked
    _refuse(
        [
            *comparable.differences(signed.facts, measure.known_before(found, signed.facts, asked)),
            *_wrong_margins(signed, margins),
            *_judge(signed, margins),
        ]
    )
    adapter_file.check(directory, found)
    old_log = rows.read_log(reference.log_path(path, signed))
    _refuse(f"its reference was {one}; make it anew with --update" for one in measure.not_as_trained(old_log))
    before = rows.answers(old_log, signed.facts.scorer)
    today_asked = measure.prompts_of(found, signed.facts.axis, asked)
    prompts = {name: rows.prompt(messages) for name, messages in today_asked.items()}
    _refuse([comparable.other_prompts(before, prompts), comparable.other_judgement(signed.facts.scorer, before)])
    log = measure.evaluate(directory, found.experiment, asked, logs)
    now = measure.facts(log, found)
    after = rows.answers(log, now.scorer)
    prompts = {answer.id: answer.prompt for answer in after}
    differ = [*comparable.differences(signed.facts, now), comparable.other_prompts(before, prompts)]
    _refuse([*differ, *measure.not_as_trained(log)])
    findings = compare_answers(directory, found, signed, before, after, {**signed.margins, **margins})
    verdict = verdicts.worst(one.verdict for one in findings)
    return Check(
        directory.name,
        path.name,
        verdict,
        summary(findings, verdict),
        findings,
        tuple(comparable.remade(signed.facts, now)),
        Path(log.location).name,
        time.monotonic() - began,
    )


def _wrong_margins(signed: Reference, margins: Mapping[str, float]) -> Iterable[str]:
    """Margins that would have no effect, with the names that come nearest, and those that are no positive number."""
    for name, margin in margins.items():
        if name not in signed.margins:
            near = difflib.get_close_matches(name, signed.margins)
            meant = f" (nearest: {', '.join(near)})" if near else ""
            yield f"margin of {name!r}: no metric of this adapter{meant}, expected one of {', '.join(signed.margins)}"
        elif not 0 < margin < math.inf:
            yield f"margin of {name!r} is {margin:g}, expected a positive number"


def _judge(signed: Reference, margins: Mapping[str, float]) -> list[str]:
    """Why a judge's reference cannot be used with some margins: its judge would fail an adapter that did not change."""
    if signed.facts.scorer != SCORER:
        return []
    if not signed.judge_needs:
        return ["the reference does not say how far its judge repeats its grades; make it anew with --update"]
    return judging.too_small({**signed.margins, **margins}, signed.judge_needs)


def compare_answers(
    directory: Path,
    found: Manifest,
    signed: Reference,
    before: Sequence[Answer],
    after: Sequence[Answer],
    margins: Mapping[str, float],
) -> tuple[Finding, ...]:
    """Every metric of two evaluations and, where both say that they are of one training, how far the answers moved.

    Args:
        directory: The adapter.
        found: Its manifest.
        signed: The reference.
        before: The reference's answers.
        after: The adapter's answers to the same questions.
        margins: Metric -> margin.

    Raises:
        InputError: A metric of the reference was not measured now, or has no margin.
    """
    axis = variants.axis(found.experiment, signed.facts.axis)
    then, today = (metrics.columns(found.experiment, found.arm, axis, side) for side in (before, after))
    findings = verdicts.compare_all(then, today, margins)
    if measure.training_sha256(found) != signed.facts.training_sha256:
        return findings
    if found.experiment == "bias":
        now = measure.likelihoods(directory, found, signed.facts.axis, signed.asked, before)
    else:
        now = metrics.choices(after)
    sides = list(zip(*metrics.drift(found.experiment, before, now), strict=True))
    return findings + verdicts.compare_all(sides[0], sides[1], margins)


def _refuse(reasons: Iterable[str | None]) -> None:
    """Raise when there is any reason."""
    said = [reason for reason in reasons if reason]
    if said:
        raise InputError("; ".join(said))


def summary(findings: Iterable[Finding], verdict: Verdict) -> str:
    """One sentence on an adapter: the findings that decided it."""
    deciding = [one for one in findings if one.verdict == verdict]
    if verdict == Verdict.PASS:
        return f"{len(deciding)} metrics, no loss as large as its margin"
    return "; ".join(f"{one.metric} ({one.label}): {one.reason}" for one in deciding)
