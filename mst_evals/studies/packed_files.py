"""The small files of packed results: the list of cells, and the study file.

`mst pack` keeps the exact text of the study file as ``study.yaml`` and its digest in ``cells.json``, so that a report
of the folder alone has the declared comparisons, the margins and the plan of the study, whatever the code and the study
files of the day say. Paths in it (recipe, data, base) are neither followed nor needed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zipfile_zstd as zipfile  # what Inspect writes its logs with

from mst_evals import data, manifest
from mst_evals.errors import InputError
from mst_evals.studies import asked, study_file
from mst_evals.studies.cells import Plan
from mst_evals.studies.study import Study

FRAME, CELLS, STUDY = "frame.parquet", "cells.json", "study.yaml"
SCHEMA = 1
LEVEL = 9  # of zstd: a higher one takes six times as long for nothing (samples are small)
UNDECLARED = (
    "This folder was packed without its study file, so no comparison here counts as declared before the run: all are "
    "exploratory, whatever Holm covers by default. `mst pack STUDY.yaml --to FOLDER` puts the file beside its results."
)


def copy_log(log: Path, copy: Path) -> None:
    """Copy an Inspect log, with the same content compressed a little further (Inspect writes zstd at a quick level).

    Args:
        log: The log, a zip file.
        copy: Where it goes.
    """
    with zipfile.ZipFile(log) as old, zipfile.ZipFile(copy, "w") as new:
        for part in old.infolist():
            # With the old time, so that the same log gives the same bytes.
            entry = zipfile.ZipInfo(part.filename, part.date_time)
            new.writestr(entry, old.read(part), zipfile.ZIP_ZSTANDARD, LEVEL)


def read_list(folder: Path) -> dict[str, Any] | None:
    """Content of a folder's list of cells, None when there is none.

    Raises:
        InputError: It is none of ours.
    """
    path = folder / CELLS
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise InputError(f"{path}: schema is {schema!r}, expected {SCHEMA}")
    return dict(found)


def write_list(plan: Plan, folder: Path, content: Mapping[str, Any]) -> str:
    """Write the study file, and the list of cells with its digest.

    Returns:
        Text of the list.
    """
    study = plan.path.read_bytes()
    text = json.dumps({**content, "study_sha256": hashlib.sha256(study).hexdigest()}, indent=1, sort_keys=True) + "\n"
    manifest.write_text(folder / STUDY, study.decode("utf-8"))
    manifest.write_text(folder / CELLS, text)
    return text


def study(folder: Path) -> Study | None:
    """The study of a packed folder, None when it was packed without its study file.

    Raises:
        InputError: The file is not the one that was packed, or this version cannot use it.
    """
    path, expected = folder / STUDY, (read_list(folder) or {}).get("study_sha256")
    if expected is None and not path.exists():
        return None
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected the study file that {CELLS} names; `mst pack` writes both")
    digest = data.sha256(path)
    if digest != expected:
        named = f"{expected[:12]}... of {CELLS}" if expected else f"no study file, since {CELLS} names none"
        raise InputError(f"{path}: sha256 is {digest[:12]}..., expected {named}; `mst pack` writes both")
    found = study_file.load(path)
    try:
        for arm in found.arms:
            asked.asked(found, arm)
        for side in (side for one in (*found.comparisons, *found.equivalence) for side in (one.a, one.b)):
            asked.side(found, side)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return found


def check_same_study(plan: Plan, folder: Path, listed: Sequence[Mapping[str, Any]]) -> None:
    """Raise when the study file may not be put beside cells that older code made.

    Args:
        plan: The study as it is now.
        folder: Folder of the cells, named in the error.
        listed: The cells, each of which the study has to plan with the same data and arguments.
    """
    known = {(cell.kind, cell.key): cell.inputs for cell in plan.cells}
    for one in listed:
        inputs = known.get((one["kind"], one["key"]), {})
        differ = [part for part in ("data", "arguments") if one["inputs"].get(part) != inputs.get(part)]
        if differ:
            why = f"has other {' and '.join(differ)} than this study" if inputs else "is not in this study"
            raise InputError(
                f"{plan.path}: nothing is finished yet, and this study file is not that of {folder}, whose cell "
                f"{one['key']} {why}"
            )
