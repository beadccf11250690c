"""The signed-off reference of an adapter: a small JSON file beside the Inspect log of its evaluation.

The JSON says what was asked, of what, and with which margins; the log holds every row. Both are bound by digests: the
JSON names that of the log, and its own stands in its last field, so that an edited number is found. No value in it is a
path of a machine.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mst_evals import data, manifest
from mst_evals.errors import InputError
from mst_evals.regression.verdicts import Finding

FORMAT = 1
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Facts(_Strict):
    """What was evaluated, on what, by whom. Where two of these differ, `comparable.differences` says what it means.

    Attributes:
        experiment: ``bias`` or ``sycophancy``.
        arm: What the adapter was trained as.
        seed: Training seed.
        adapter_sha256: Digest of its weights.
        base: Name of its base model.
        base_sha256: Digest of the base's weights (`bases.digest`), None where training could not tell it.
        quantisation: What it was trained with.
        evaluated_quantisation: What it was asked with.
        trained_wording: Wording of the prompt in training.
        train_data_sha256: Digest of its training data.
        training_sha256: Digest of everything its manifest says about its training (`measure.training_sha256`).
        task: Name of the Inspect task.
        task_version: Its version.
        axis: The label axis.
        data: Name of the file of rows.
        data_sha256: Its digest.
        scorer: Name of the scorer.
        judge: The judge models with the settings they were bound with (`judging.named`), empty without one.
        judge_sha256: Digest of the judge's rubric, or of the lexical proxy's lexicon; None where there is neither.
        temperature: Of generation, None where nothing is sampled.
        max_tokens: Of a reply, None where it is one token.
    """

    experiment: Literal["bias", "sycophancy"]
    arm: str
    seed: int | None
    adapter_sha256: str
    base: str
    base_sha256: str | None
    quantisation: str
    evaluated_quantisation: str | None
    trained_wording: str | None
    train_data_sha256: str | None
    training_sha256: str
    task: str
    task_version: str
    axis: str
    data: str
    data_sha256: str
    scorer: str
    judge: str
    judge_sha256: str | None
    temperature: float | None
    max_tokens: int | None


class Asked(_Strict):
    """What a check repeats: the arguments of the sweep.

    Attributes:
        labels: Names of labels.
        rows: Number of rows, the first ones of the split; None for all of them.
        split: The split.
        wording: The wording of the prompt.
        max_tokens: Of a reply, None for the task's own.
        grader: The judge to bind, as in ``--model-role grader=...``; None for the measures that need none.
        topics: Name of the file of topics (`bias.TOPICS`), None for the one that the task takes by itself.
    """

    labels: tuple[str, ...]
    rows: int | None
    split: str
    wording: str
    max_tokens: int | None
    grader: str | None
    topics: str | None = None


class Mean(_Strict):
    """The mean of one metric at one label, for a reader; a check takes the rows of the log."""

    metric: str
    label: str
    mean: float
    rows: int
    clusters: int


class LogFile(_Strict):
    """The log beside the JSON."""

    file: str
    sha256: str


class Reference(_Strict):
    """See the module.

    Attributes:
        format: Version of this form.
        name: Of the adapter's directory.
        created: When it was made (UTC, to the second).
        facts: What was evaluated.
        asked: What was asked.
        margins: Metric -> the loss that a check must exclude.
        means: What was found.
        judge_needs: Metric -> the margin that an unchanged adapter needs because its judge, asked twice about the
            same articles, gives other grades (`judging.needed`); empty without a judge.
        made_with: Versions of packages, and the processor's vector instructions.
        log: The log.
        sha256: Digest of everything above.
    """

    format: Literal[1]
    name: str
    created: str
    facts: Facts
    asked: Asked
    margins: dict[str, _Positive]
    means: tuple[Mean, ...]
    judge_needs: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}
    made_with: dict[str, str]
    log: LogFile
    sha256: str


def digest(content: dict[str, Any]) -> str:
    """Digest of a reference's content, its field ``sha256`` left out; spacing and order of the file do not matter."""
    signed = {name: value for name, value in content.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(signed, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def sealed(**fields: Any) -> Reference:
    """A reference with its own digest filled in."""
    content = Reference(**fields, sha256="").model_dump(mode="json")
    return Reference(**content | {"sha256": digest(content)})


def write(path: Path, reference: Reference) -> None:
    """Write a reference atomically."""
    text = json.dumps(reference.model_dump(mode="json"), indent=1, ensure_ascii=False)
    manifest.write_text(path, text + "\n")


def read(path: Path) -> Reference:
    """Read a reference and its log's digest.

    Raises:
        InputError: It is no reference, was edited after it was written, or its log is missing or another one.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = Reference.model_validate(content)
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror}), expected a reference (JSON)") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "content"
        raise InputError(f"{path.name}: not a reference: {field}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:  # no JSON, or JSON nested without end
        raise InputError(f"{path.name}: not a reference ({error})") from None
    if digest(content) != found.sha256:
        raise InputError(f"{path.name}: edited after it was written: its content has not the digest in `sha256`")
    log = log_path(path, found)
    if not log.is_file():
        raise InputError(f"{path.name}: its log {found.log.file} is missing")
    if data.sha256(log) != found.log.sha256:
        raise InputError(f"{path.name}: its log {found.log.file} changed after the reference was written")
    return found


def log_path(path: Path, reference: Reference) -> Path:
    """Where the log of a reference is: beside it."""
    return path.parent / Path(reference.log.file).name


def means(findings: tuple[Finding, ...]) -> tuple[Mean, ...]:
    """The means of what was measured, from its comparison with itself."""
    return tuple(
        Mean(metric=one.metric, label=one.label, mean=round(one.after, 6), rows=one.rows, clusters=one.clusters)
        for one in findings
        if one.after is not None
    )


def find(place: Path, adapter: str, adapter_sha256: str | None) -> Path:
    """The reference of an adapter: the file itself or, in a folder, ``NAME.json``, else the one of the same weights.

    The name comes first: under the name of one arm the weights of another must not find their own reference.

    Args:
        place: File or folder.
        adapter: Name of the adapter's directory.
        adapter_sha256: Digest of its weights.

    Raises:
        InputError: There is none.
    """
    if place.is_file():
        return place
    if not place.is_dir():
        raise InputError(f"{place}: no such file or folder, expected a reference (JSON) or a folder of references")
    named = place / f"{adapter}.json"
    if named.is_file():
        return named
    for path in sorted(place.glob("*.json")):
        try:
            if read(path).facts.adapter_sha256 == adapter_sha256:
                return path
        except InputError:
            continue  # another adapter's reference is not this one's fault
    raise InputError(f"{place}: no {adapter}.json and no reference of these weights; make one with --update")
