"""Inspect logs to one tidy frame: one line for each sample and scorer, with everything a report needs.

Logs are read through `inspect_ai.analysis` only, and no fact is taken from a file name. A log that cannot be used is
named with its reason and left out; it never stops a report. Cells never mix: what must agree before two numbers may
stand in one table is listed in `SETTING`.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from inspect_ai.analysis import EvalColumn, SampleColumn, evals_df, samples_df
from inspect_ai.log import read_eval_log_sample

from mst_evals import labels, variants
from mst_evals.errors import InputError
from mst_evals.regression.reference_logs import left_out, without_references
from mst_evals.reporting.refusals import base_refusals, refusal

SETTING = ("experiment", "split", "data_sha256", "choice", "wording", "base", "condition")
MEASURE = ("scorer", "judge")
CELL = (*SETTING, *MEASURE, "arm", "seed", "label")
NO_SEED = -1  # of what was not trained; an integer, so that grouping keeps it

_HEADER = [
    EvalColumn("created", path="eval.created"),
    EvalColumn("status", path="status"),
    EvalColumn("error", path="error.message"),
    EvalColumn("task", path="eval.task"),
    EvalColumn("task_version", path="eval.task_version"),
    EvalColumn("task_attribs", path="eval.task_attribs"),
    EvalColumn("packages", path="eval.packages"),
    EvalColumn("model", path="eval.model"),
    EvalColumn("model_roles", path="eval.model_roles"),
    EvalColumn("metadata", path="eval.metadata"),
    EvalColumn("samples", path="results.total_samples"),
    EvalColumn("temperature", path="plan.config.temperature"),
    EvalColumn("max_tokens", path="plan.config.max_tokens"),
]
# The summaries of the samples hold all of this: the transcripts are not read.
_SAMPLE = [
    SampleColumn("id", path="id"),
    SampleColumn("epoch", path="epoch"),
    SampleColumn("error", path="error"),
    SampleColumn("metadata", path="metadata", full=False),
    SampleColumn("scores", path="scores", full=False),
]
_MANIFEST_FACTS = (
    "arm", "seed", "method", "base", "base_sha256", "adapter_sha256", "quantisation", "wording", "trained_wording",
    "train_data_sha256", "data", "data_sha256", "split", "choice", "scorer", "experiment", "evaluated_quantisation",
    "condition", "axis", "label_use", "preflight",
)  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """What a directory of logs says.

    Attributes:
        samples: One line for each sample and scorer: `CELL`, axis, role, kind, position, relations (JSON, dimension ->
            trained, interpolation, extrapolation or unplaced), row_id, cluster, variant, epoch, right, value (bias
            0-10, or the probability or verdict "correct"), objectivity, greedy, mass, reason, id, log.
            A sample without a score has value NaN and a reason.
        provenance: One mapping for each log, in order of creation.
        notes: What was left out or replaced, one sentence each.
    """

    samples: pd.DataFrame
    provenance: list[dict[str, Any]]
    notes: list[str]


def _loads(value: Any) -> Any:
    """A JSON column of an Inspect frame; missing is an empty mapping."""
    return json.loads(value) if isinstance(value, str) and value else {}


def _text(value: Any) -> str:
    """A scalar column of an Inspect frame, which may be missing."""
    return "" if value is None or pd.isna(value) else str(value)


def _judge(roles: Mapping[str, Any], rubric: str | None) -> str:
    """The models bound to the grader role and the start of their rubric's hash, empty when there is no judge."""
    bound = roles.get("grader") or []
    judges = bound if isinstance(bound, list) else [bound]
    model = ", ".join(str(one.get("model", "") if isinstance(one, dict) else one) for one in judges)
    return f"{model}, rubric {rubric[:8]}" if model and rubric else model


def _header(path: Path, name: str) -> dict[str, Any]:
    """Provenance of one log, from its header alone."""
    row = evals_df(path, columns=_HEADER, quiet=True).iloc[0]
    facts = _loads(row["metadata"])
    version = _loads(row["task_attribs"]).get("version", _text(row["task_version"]))
    return {
        **{fact: facts.get(fact) for fact in _MANIFEST_FACTS},
        "task": _text(row["task"]),
        "task_version": version,
        "model": _text(row["model"]),
        "judge": _judge(_loads(row["model_roles"]), facts.get("rubric_sha256")),
        "temperature": _text(row["temperature"]),
        "max_tokens": _text(row["max_tokens"]),
        "packages": _loads(row["packages"]),
        "log": name,
        "created": str(row["created"]),
        "status": _text(row["status"]),
        "error": _text(row["error"]),
        "n": 0 if pd.isna(row["samples"]) else int(row["samples"]),
        "n_scored": 0,
        "used": False,
    }


def _score_line(score: Mapping[str, Any]) -> dict[str, Any]:
    """Value, objectivity, greedy answer, mass and reason of one score; NaN and a reason when it is unscored."""
    value = score.get("value")
    parts = value if isinstance(value, dict) else {}
    number = next((parts[key] for key in ("bias", "p_correct", "said_correct") if key in parts), None)
    if not isinstance(number, int | float) or not math.isfinite(number):
        return {"value": math.nan, "reason": str(score.get("reason") or "unscored")}
    answer = score.get("answer")
    return {
        "value": float(number),
        "objectivity": parts.get("objectivity", math.nan),
        "greedy": float(answer == "correct") if "p_correct" in parts else math.nan,
        "mass": parts.get("mass", math.nan),
        "reason": "",
    }


def _axis(header: Mapping[str, Any]) -> labels.Axis:
    """The label axis that a log was asked on; a log that does not say was asked on that of the main arms."""
    known = header["axis"]
    return variants.axis(header["experiment"], str(known)) if known else variants.AXES[header["experiment"]]


def _placed(header: Mapping[str, Any], label: str, meta: Mapping[str, Any]) -> dict[str, str]:
    """Kind and relations of a label; a log from before they were recorded is told them by its axis."""
    kind, relations = meta.get("kind"), meta.get("relations")
    if kind is None and meta.get("role") in ("trained", "held_out"):
        known = _axis(header).label(label)
        kind, relations = known.kind, known.relations
    return {"kind": str(kind or "control"), "relations": json.dumps(dict(relations or {}), sort_keys=True)}


def _sample_lines(path: Path, header: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Tidy lines of one log. Raises KeyError when a sample lacks what the tasks record."""
    frame = samples_df(path, columns=_SAMPLE, quiet=True)
    records = [(row, _loads(row["metadata"]), _loads(row["scores"])) for _, row in frame.iterrows()]
    scorers = sorted({name for _, _, scores in records for name in scores})
    for row, meta, scores in records:
        text = meta.get("label_text")
        label = str(meta.get("label") or labels.NONE)
        line = {
            **{key: header[key] if header[key] is not None else "" for key in (*SETTING, "arm")},
            # A task may ask in several wordings, so the wording is a fact of the sample.
            "wording": str(meta.get("wording") or header["wording"] or ""),
            "axis": _axis(header).name,
            "seed": NO_SEED if header["seed"] is None else int(header["seed"]),
            "label": f"{labels.CUSTOM}: {text}" if label == labels.CUSTOM else label,
            "role": meta.get("role") or "control",
            **_placed(header, label, meta),
            "position": math.nan if meta.get("position") is None else float(meta["position"]),
            "row_id": str(meta["row_id"]),
            "cluster": str(meta["cluster"]),
            "variant": str(meta.get("variant") or ""),
            "epoch": int(row["epoch"]),
            "right": bool(meta.get("right", False)),
            "headline": str(meta.get("headline") or ""),
            "id": str(row["id"]),
            "log": header["log"],
            "created": header["created"],
        }
        for name in scorers:
            score = scores.get(name, {"reason": "sample error" if _text(row["error"]) else "no score"})
            # The judge is part of what was measured; a scorer without one is the same whatever role was bound.
            judge = header["judge"] if name.startswith("bias_rubric") else ""
            yield {**line, "scorer": name, "judge": judge, **_score_line(score)}


def _read_log(path: Path, name: str) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """Provenance and tidy lines of one log, and the reason why it cannot be used (empty when it can)."""
    try:
        header = _header(path, name)
    except Exception as error:  # a damaged archive surfaces as many types, and none may stop the report
        return {"log": name, "status": "unreadable", "n": 0, "n_scored": 0, "used": False}, [], f"unreadable ({error})"
    if header["status"] != "success":
        return header, [], f"status {header['status']}{': ' if header['error'] else ''}{header['error']:.200}"
    if header["experiment"] not in variants.EXPERIMENTS or not header["arm"]:
        return header, [], "its metadata names no experiment and arm of ours, so it is no log of these tasks"
    if why := refusal(header):
        return header, [], why
    try:
        lines = list(_sample_lines(path, header))
    except Exception as error:  # the same
        return header, [], f"its samples cannot be read ({type(error).__name__}: {error})"
    header["n_scored"] = len({(line["id"], line["epoch"]) for line in lines if math.isfinite(line["value"])})
    return header, lines, "" if header["n_scored"] else "no sample was scored"


def _name_bases(samples: pd.DataFrame, provenance: list[dict[str, Any]]) -> pd.DataFrame:
    """Tell bases of one name and different weights apart by the start of their hash."""
    hashes: dict[str, set[str]] = {}
    for header in provenance:
        if header["used"] and header["base_sha256"]:
            hashes.setdefault(header["base"], set()).add(header["base_sha256"])
    named = {
        header["log"]: f"{header['base']}@{header['base_sha256'][:8]}"
        for header in provenance
        if header["used"] and header["base_sha256"] and len(hashes[header["base"]]) > 1
    }
    return samples.assign(base=samples["log"].map(named).fillna(samples["base"])) if named else samples


def _asked_alike(samples: pd.DataFrame, provenance: list[dict[str, Any]]) -> tuple[pd.DataFrame, list[str]]:
    """Leave out the logs of a bare base that was asked otherwise than the adapters of one of its tables."""
    headers, reasons = {row["log"]: row for row in provenance}, dict[str, str]()
    for _, table in samples.groupby(list(SETTING), sort=False):
        reasons |= base_refusals([headers[log] for log in table["log"].unique()])
    return samples[~samples["log"].isin(reasons)], [f"{log}: left out, {why}." for log, why in reasons.items()]


def _latest(samples: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Keep the latest log of every cell, and say which were replaced."""
    order = samples[[*CELL, "log", "created"]].drop_duplicates().sort_values(["created", "log"], kind="stable")
    winner = order.drop_duplicates(subset=list(CELL), keep="last")
    kept = samples.merge(winner[[*CELL, "log"]], on=[*CELL, "log"], how="inner")
    lost = order.drop(winner.index)
    notes = []
    for (log, arm, seed), cells in lost.groupby(["log", "arm", "seed"], sort=False):
        names = ", ".join(dict.fromkeys(cells["label"]))
        by = winner.merge(cells[list(CELL)], on=list(CELL))["log"].unique()
        trained = "" if seed == NO_SEED else f", seed {seed}"
        notes.append(
            f"{log}: {arm}{trained}, label {names} was evaluated more than once; the latest log is used "
            f"({', '.join(by)}) and this one is not."
        )
    return kept, notes


def _one_training(samples: pd.DataFrame, provenance: list[dict[str, Any]]) -> tuple[pd.DataFrame, list[str]]:
    """Keep one training of every arm and seed, the one evaluated last, and say which others were left out.

    Two adapters of one arm and seed are two trainings: with a label from each, a sweep would show neither. Weights
    are told apart by their hash; a log without one is kept, since it says nothing either way.
    """
    hashes = {row["log"]: str(row.get("adapter_sha256") or "") for row in provenance}
    adapter = samples["log"].map(hashes)
    keys = [key for key in SETTING if key != "wording"] + ["arm", "seed"]
    trained = samples.assign(adapter=adapter)[adapter != ""]
    order = trained[[*keys, "adapter", "created", "log"]].drop_duplicates().sort_values(["created", "log"])
    winner = order.drop_duplicates(keys, keep="last").rename(columns={"adapter": "winner"})[[*keys, "winner"]]
    matched = samples.assign(adapter=adapter).merge(winner, on=keys, how="left")
    lost = (matched["adapter"] != "") & (matched["adapter"] != matched["winner"])
    notes = [
        f"{log}: {arm}, seed {seed} was trained more than once (adapter {other[:8]} here, {last[:8]} evaluated later); "
        f"only the later one is used, so label {', '.join(dict.fromkeys(cells['label']))} of this log is not."
        for (log, arm, seed, other, last), cells in matched[lost].groupby(
            ["log", "arm", "seed", "adapter", "winner"], sort=False
        )
    ]
    return samples[~lost.to_numpy()], notes


def read(logs: Path) -> Frame:
    """Read every ``.eval`` log under a directory (or one log), without the references of `mst check`.

    Args:
        logs: The directory or file.

    Raises:
        InputError: It does not exist, holds no ``.eval`` file, or none of them can be reported on.
    """
    if not logs.exists():
        raise InputError(f"{logs}: no such file or directory, expected a directory of Inspect logs (.eval)")
    root = logs if logs.is_dir() else logs.parent
    paths, references = without_references(sorted(logs.rglob("*.eval"))) if logs.is_dir() else ([logs], 0)
    if not paths:
        said = f"; {left_out(references)}" if references else ""
        raise InputError(f"{logs}: no Inspect log (.eval) in it or below it{said}")
    provenance, lines, notes = [], [], [f"{left_out(references)}."] if references else []
    for path in paths:
        name = path.relative_to(root).as_posix()
        header, found, why_not = _read_log(path, name)
        header["used"] = not why_not
        provenance.append(header)
        if why_not:
            notes.append(f"{name}: left out, {why_not}.")
        else:
            lines.extend(found)
    if not lines:
        raise InputError(f"{logs}: none of its {len(paths)} logs can be reported on. " + " ".join(notes))
    provenance.sort(key=lambda header: (header.get("created", ""), header["log"]))
    samples, trained_again = _one_training(_name_bases(pd.DataFrame(lines), provenance), provenance)
    samples, otherwise = _asked_alike(samples, provenance)
    samples, replaced = _latest(samples)
    used = set(samples["log"])
    for header in provenance:
        header["used"] = header["log"] in used
    return Frame(samples, provenance, notes + trained_again + otherwise + replaced)


def completion(logs: Path, log: str, sample: str) -> str:
    """Generated text of one sample (first epoch), read alone: a frame would read the whole log for it.

    Args:
        logs: What was given to `read`.
        log: The log's name in the frame.
        sample: The sample's id.
    """
    path = (logs if logs.is_dir() else logs.parent) / log
    unused = {"messages", "events", "store", "attachments"}
    return read_eval_log_sample(str(path), id=sample, epoch=1, exclude_fields=unused).output.completion
