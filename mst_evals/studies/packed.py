"""Finished cells in compact form, to be committed: what a report needs, without adapters and transcripts.

``frame.parquet`` is the tidy frame of the logs (`frame`), ``study.yaml`` the study file (`packed_files`).
``cells.json`` says of every cell which inputs it was made from, on what, and with which weights, and holds the digests
of both. A study whose cells are packed is done as far as they go, so it may span days and machines.
"""

import hashlib
import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mst_evals import data, manifest, variants
from mst_evals.errors import InputError
from mst_evals.studies import packed_files, states
from mst_evals.studies.cells import Cell, Job, Plan
from mst_evals.studies.packed_files import CELLS, FRAME, SCHEMA, read_list

if TYPE_CHECKING:  # pandas and Inspect take seconds to import, and `mst status` needs the list of cells alone
    import pandas as pd

    from mst_evals.reporting.frame import Frame


@dataclass(frozen=True)
class Packing:
    """What `pack` did.

    Attributes:
        added: Names of the cells that are new.
        kept: Number of cells that were there already.
        dropped: Cells that were there and do not belong to the study as it is now, each with the reason.
        size: Bytes of frame and list.
        study_only: Whether the study file alone was written, beside cells that stay as they were packed.
    """

    added: list[str]
    kept: int
    dropped: list[str]
    size: int
    study_only: bool = False


# --- reading ------------------------------------------------------------------------------------------------------


def cells(folder: Path) -> list[dict[str, Any]]:
    """The cells that a folder holds, none when it does not exist. Raises `InputError` when it is damaged."""
    found = read_list(folder)
    return list(found["cells"]) if found else []


def load(folder: Path) -> "Frame":
    """The frame of a folder, as `frame.read` made it of the logs.

    Raises:
        InputError: There is none, or the two files do not belong together.
    """
    import pandas as pd

    from mst_evals.reporting.frame import Frame

    found = read_list(folder)
    if found is None:
        raise InputError(f"{folder}: no {CELLS}, expected a folder that `mst pack` made")
    path = folder / FRAME
    digest = data.sha256(path)
    if digest != found["frame_sha256"]:
        raise InputError(f"{path}: sha256 is {digest[:12]}..., expected {found['frame_sha256'][:12]}... of {CELLS}")
    logs = [log for cell in found["cells"] for log in cell.get("logs", [])]
    return Frame(pd.read_parquet(path), sorted(logs, key=_created), list(found["notes"]))


def _created(log: Mapping[str, Any]) -> tuple[str, str]:
    return str(log.get("created", "")), str(log["log"])


# --- the logs of a study as it is now -----------------------------------------------------------------------------


def current(plan: Plan) -> list[tuple[Job, Cell]]:
    """The sweeps of a plan whose logs are here, made from the inputs as they are now."""
    return [
        (job, cell)
        for job in plan.jobs
        for here in [states.weights(plan, job)]
        for _, cell in job.sweeps
        if states.is_logged(plan, cell, here)
    ]


def link_current(plan: Plan, folder: Path) -> int:
    """Fill an empty folder with links to the current logs, by the names of their cells; stale logs stay out.

    Returns:
        Number of logs.
    """
    count = 0
    for _, cell in current(plan):
        for log in sorted(plan.directory(cell).glob("*.eval")):
            link = folder / cell.name / log.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(log.resolve())
            count += 1
    return count


def frame(plan: Plan) -> "Frame":
    """The frame of a study as it is now: its current logs, and what is packed of the cells that are not here.

    Raises:
        InputError: Neither is there, or a file is damaged.
    """
    merged, _ = _merge(plan, plan.results())
    if merged is None:
        raise InputError(f"{plan.path}: nothing is finished yet; `mst run {plan.path}` runs it")
    return merged


def _local(plan: Plan) -> "Frame | None":
    """Frame of the current logs alone."""
    from mst_evals.reporting import frame as frames

    with tempfile.TemporaryDirectory() as folder:
        return frames.read(Path(folder)) if link_current(plan, Path(folder)) else None


def _merge(plan: Plan, folder: Path) -> "tuple[Frame | None, list[dict[str, Any]]]":
    """The frame of logs and packed cells together, and the packed cells that it takes."""
    import pandas as pd

    from mst_evals.reporting.frame import Frame

    local = _local(plan)
    here = {cell.name for _, cell in current(plan)}
    taken = [one for one in cells(folder) if _why_not(plan, one) == "" and _name(one) not in here]
    if not any(one["kind"] == "evaluate" for one in taken):
        return local, taken
    earlier = load(folder)
    logs = {log["log"] for one in taken for log in one.get("logs", [])}
    kept = Frame(
        earlier.samples[earlier.samples["log"].isin(logs)],
        [log for log in earlier.provenance if log["log"] in logs],
        earlier.notes,
    )
    parts = [kept] if local is None else [kept, local]
    return Frame(
        _in_order(plan, pd.concat([part.samples for part in parts], ignore_index=True)),
        sorted((log for part in parts for log in part.provenance), key=_created),
        list(dict.fromkeys(note for part in parts for note in part.notes)),
    ), taken


def _in_order(plan: Plan, samples: "pd.DataFrame") -> "pd.DataFrame":
    """Samples in the order in which one reading of all logs has them, so that the day of a cell leaves no trace."""
    place = {name: index for index, name in enumerate(sorted(cell.name for cell in plan.cells))}
    order = samples["log"].map(lambda log: place.get(log.split("/")[0], len(place)))
    return samples.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['key']}-{one['fingerprint'][:8]}"


def _why_not(plan: Plan, one: Mapping[str, Any]) -> str:
    """Why a packed cell does not belong to the study as it is now, empty when it does."""
    for job in plan.jobs:
        for cell in job.cells:
            if (cell.kind, cell.key) != (one["kind"], one["key"]):
                continue
            if cell.fingerprint != one["fingerprint"]:
                return f"changed: {states.changes(one['inputs'], cell.inputs)}"
            here = states.weights(plan, job)
            if cell.kind == "evaluate" and here not in (None, one.get("weights")):
                return "its adapter was trained again, with other weights"
            return ""
    return "it is not in the study any more"


# --- packing ------------------------------------------------------------------------------------------------------


def pack(plan: Plan, folder: Path) -> Packing:
    """Write the finished cells of a study in compact form, with what is packed already and still belongs to it.

    Where nothing of the study as it is now is finished, but the folder holds cells of it that older code made, these
    stay as they are and the study file alone is put beside them.

    Args:
        plan: The study as it is now.
        folder: Made when missing.

    Raises:
        InputError: Nothing is finished, or what is packed already is damaged or of another study.
    """
    merged, taken = _merge(plan, folder)
    before = cells(folder)
    if merged is None:
        return _pack_study_alone(plan, folder, before)
    fresh = _fresh(plan, merged.provenance)
    names = {_name(one): one for one in [*taken, *fresh]}
    place = {cell.name: index for index, cell in enumerate(plan.cells)}
    listed = sorted(names.values(), key=lambda one: place[_name(one)])
    buffer = io.BytesIO()
    merged.samples.to_parquet(buffer, index=False, compression="zstd", compression_level=19)
    content = {
        "schema": SCHEMA, "study": plan.study.name, "experiment": plan.study.experiment,
        "frame_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(), "notes": merged.notes, "cells": listed,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{FRAME}"
    temporary.write_bytes(buffer.getvalue())
    temporary.replace(folder / FRAME)
    text = packed_files.write_list(plan, folder, content)
    known = {_name(one) for one in before}
    dropped = [f"{_name(one)}: {_why_not(plan, one)}" for one in before if _name(one) not in names]
    added = [name for name in names if name not in known]
    return Packing(added, len(known & names.keys()), dropped, len(buffer.getvalue()) + len(text.encode()))


def _pack_study_alone(plan: Plan, folder: Path, before: Sequence[Mapping[str, Any]]) -> Packing:
    """Put the study file beside cells that older code made, which stay. Raises `InputError` when there are none."""
    if not before:
        raise InputError(f"{plan.path}: nothing is finished yet, so there is nothing to pack")
    load(folder)  # nothing is added to what is damaged
    packed_files.check_same_study(plan, folder, before)
    text = packed_files.write_list(plan, folder, read_list(folder) or {})
    return Packing([], len(before), [], (folder / FRAME).stat().st_size + len(text.encode()), study_only=True)


def copy_logs(plan: Plan, folder: Path, seed: int) -> int:
    """Copy the current logs of the main arms of one seed, and of what is not trained, below ``logs/`` of a folder.

    Only those in the main wording, a model's first sweep: logs are a hundred times the size of the frame. They lie
    under the names that the frame knows them by. They take the place of what was copied there before, all at once.

    Args:
        plan: The study as it is now.
        folder: Folder of the compact form.
        seed: Training seed.

    Returns:
        Bytes of all of them.
    """
    temporary, size = folder / ".logs", 0
    shutil.rmtree(temporary, ignore_errors=True)  # of a copy that was cut off
    temporary.mkdir(parents=True)
    for job, cell in current(plan):
        if job.arm in variants.MAIN and job.seed in (None, seed) and cell == job.sweeps[0][1]:
            for log in plan.directory(cell).glob("*.eval"):
                copy = temporary / cell.name / log.name
                copy.parent.mkdir(parents=True, exist_ok=True)
                packed_files.copy_log(log, copy)
                size += copy.stat().st_size
    shutil.rmtree(folder / "logs", ignore_errors=True)
    temporary.replace(folder / "logs")
    return size


def _fresh(plan: Plan, provenance: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is to be said of every cell that is here."""
    found = []
    past = {(one["kind"], one["fingerprint"]): one for one in states.records(plan.out) if one["status"] == "done"}
    logged = {cell for _, cell in current(plan)}
    for job in plan.jobs:
        made = [job.make] if job.make is not None and states.is_made(plan, job.make) else []
        for cell in (*made, *(cell for _, cell in job.sweeps if cell in logged)):
            record = past.get((cell.kind, cell.fingerprint), {})
            about = manifest.read(plan.directory(cell)) if cell.kind != "evaluate" else None
            mark = states.mark(plan, cell) if cell.kind == "evaluate" else None
            logs = [dict(log) for log in provenance if str(log["log"]).split("/")[0] == cell.name]
            found.append(
                {
                    "kind": cell.kind, "key": cell.key, "job": job.name, "arm": job.arm, "seed": job.seed,
                    "condition": job.condition, "fingerprint": cell.fingerprint, "inputs": dict(cell.inputs),
                    "weights": (mark or {}).get("weights") or (about and (about.adapter_sha256 or about.base_sha256)),
                    "seconds": record.get("seconds"), "machine": record.get("machine"),
                    "manifest": asdict(about) if about else None, "logs": logs,
                }
            )  # fmt: skip
    return found
