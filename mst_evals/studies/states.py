"""How far a study is: the state of every cell, read from what lies on disk, and why.

What a cell left is one directory under its final name, which appears when it is whole, and one record beside it in
``records/``: its inputs, how long it took, and what went wrong. Nothing half-written counts as done.
"""

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mst_evals import manifest
from mst_evals.studies import locks
from mst_evals.studies.cells import Cell, Job, Plan

Name = Literal["done", "running", "failed", "stale", "missing"]
RECORDS, LOCKS, OUTPUT = "records", "locks", "output"
MARK = "cell.json"  # in the folder of a sweep's log: which cell it is, and the weights that were asked
UNGRADED = "its articles are not graded yet (mst judge)"


@dataclass(frozen=True)
class State:
    """State of one cell.

    Attributes:
        name: ``done``, ``running``, ``failed``, ``stale`` or ``missing``.
        why: What is behind it, empty when there is nothing to say.
    """

    name: Name
    why: str = ""


# --- records ------------------------------------------------------------------------------------------------------


def record_path(out: Path, cell: Cell) -> Path:
    """File of a cell's record."""
    return out / RECORDS / f"{cell.kind}-{cell.name}.json"


def write_record(out: Path, cell: Cell, status: str, began: float, **facts: Any) -> None:
    """Write down how a cell ended.

    Args:
        out: Folder of the study.
        cell: The cell.
        status: ``started``, ``done`` or ``failed``.
        began: When work on it began, in seconds since the epoch.
        **facts: For example ``error`` (one line) and ``output`` (file of what was printed, relative to `out`).
    """
    now = time.time()
    content = {
        "kind": cell.kind, "key": cell.key, "fingerprint": cell.fingerprint, "inputs": dict(cell.inputs),
        "status": status, "began": began, "ended": now, "seconds": round(now - began, 1), "machine": machine(), **facts,
    }  # fmt: skip
    manifest.write_text(record_path(out, cell), json.dumps(content, indent=1, sort_keys=True) + "\n")


def machine() -> dict[str, Any]:
    """The processors that numbers were made on, since rounding depends on them, and the threads used."""
    cpu = _lines("model name", [Path("/proc/cpuinfo")])
    found = {"cpu": cpu[0] if cpu else platform.processor(), "cores": os.cpu_count()}
    gpus = _lines("Model", sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")))
    return found | {"threads": os.environ.get("OMP_NUM_THREADS") or "all"} | ({"gpus": gpus} if gpus else {})


def _lines(name: str, files: Sequence[Path]) -> list[str]:
    """Values of the lines ``name : value`` of files of /proc."""
    text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files if file.exists())
    pairs = (line.partition(":") for line in text.splitlines())
    return [value.strip() for key, _, value in pairs if key.strip() == name]


def records(out: Path) -> list[dict[str, Any]]:
    """All records of a study, the latest last; a file that cannot be read is left out."""
    found = []
    for path in (out / RECORDS).glob("*.json"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and {"kind", "key", "fingerprint", "inputs", "status"} <= content.keys():
            found.append(content)
    return sorted(found, key=lambda one: float(one.get("ended", 0)))


# --- what lies on disk --------------------------------------------------------------------------------------------


def weights(plan: Plan, job: Job) -> str | None:
    """Digest of the weights that a job's sweeps ask, None while they are not here."""
    if job.make is not None:
        found = manifest.read(plan.directory(job.make))
        return found.adapter_sha256 if found else None
    if isinstance(job.base, Cell):
        found = manifest.read(plan.directory(job.base))
        return found.base_sha256 if found else None
    return None  # a base that is no cell is part of the fingerprint


def is_made(plan: Plan, cell: Cell) -> bool:
    """Whether a base or adapter is here and whole."""
    return manifest.read(plan.directory(cell)) is not None


def mark(plan: Plan, cell: Cell) -> dict[str, Any] | None:
    """What the folder of a finished sweep says about itself, None when there is none."""
    try:
        found = json.loads((plan.directory(cell) / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("fingerprint") == cell.fingerprint else None


def is_logged(plan: Plan, cell: Cell, asked: str | None) -> bool:
    """Whether the log of a sweep is here and of these weights (of any, when they are not here to be compared)."""
    found = mark(plan, cell)
    return found is not None and asked in (None, found.get("weights"))


def grading(plan: Plan, cell: Cell) -> str:
    """What is to be said of the grades of a finished sweep, empty for nothing: it is graded, or never will be.

    Articles that are graded later are done when they are written: what `mst judge` puts into a log changes neither
    the inputs of the cell nor its mark.
    """
    named = plan.study.evaluations.judges
    if not plan.study.evaluations.judged_later:
        return ""
    from mst_evals.judging import logs, second_pass  # these import Inspect, which takes seconds

    lacking = 0
    for path in plan.directory(cell).glob("*.eval"):
        header = logs.read_header(path)
        judges = (header.eval.metadata or {}).get("judges")
        if judges is None:
            return UNGRADED
        if judges != named:
            return f"graded by {', '.join(judges)}, expected {', '.join(named)} of the study file"
        graded = [one for one in (header.results.scores if header.results else []) if one.name == second_pass.SCORER]
        metrics = [(name, metric.value) for one in graded for name, metric in one.metrics.items()]
        lacking += sum(int(value) for name, value in metrics if name.startswith("unscored@"))
    return f"{lacking} of its articles have no grade" if lacking else ""


# --- states -------------------------------------------------------------------------------------------------------


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Which inputs differ, for example ``code (training.ppo), arguments (lora_r 8 -> 4)``."""
    parts = []
    for part in ("data", "code", "base", "model", "arguments"):
        before, after = old.get(part), new.get(part)
        if before == after:
            continue
        if part == "arguments" and isinstance(before, dict) and isinstance(after, dict):
            names = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
            shown = [f"{name} {_shown(before.get(name))} -> {_shown(after.get(name))}" for name in names]
            parts.append(f"arguments ({', '.join(shown)})")
        elif part in ("code", "base") and isinstance(before, dict) and isinstance(after, dict):
            names = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
            parts.append(f"{part} ({', '.join(names)})")
        else:
            parts.append("its model was" if part == "model" else part)
    return ", ".join(parts)


def _shown(value: Any) -> str:
    return "default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def states(plan: Plan, packed: Sequence[Mapping[str, Any]] = ()) -> dict[Cell, State]:
    """State of every cell of a plan.

    Args:
        plan: The study as it is now.
        packed: Cells that are committed in compact form (`packed.cells`), which count as done.
    """
    past = records(plan.out)
    found: dict[Cell, State] = {}
    for job in reversed(plan.jobs):  # models before the bases they need
        holder = locks.holder(lock_path(plan, job))
        here = weights(plan, job)
        for _, cell in job.sweeps:
            found[cell] = _sweep_state(plan, cell, here, past, packed, holder)
        if job.make is not None:
            found[job.make] = _made_state(plan, job, found, past, packed, holder)
    return {cell: found[cell] for cell in plan.cells}


def summary(found: Mapping[Cell, State]) -> str:
    """For example ``12 done, 1 running, 3 missing``, or ``12 done (9 not graded yet)``."""
    counts = {name: sum(state.name == name for state in found.values()) for name in get_args(Name)}
    ungraded = sum(state.why == UNGRADED for state in found.values())
    more = {"done": f" ({ungraded} not graded yet: mst judge)"} if ungraded else {}
    parts = [f"{count} {name}{more.get(name, '')}" for name, count in counts.items() if count]
    return ", ".join(parts) or "nothing to do"


def lock_path(plan: Plan, job: Job) -> Path:
    """File of a job's lock."""
    return plan.out / LOCKS / f"{job.name}.json"


def _sweep_state(
    plan: Plan,
    cell: Cell,
    here: str | None,
    past: Sequence[Mapping[str, Any]],
    packed: Sequence[Mapping[str, Any]],
    holder: locks.Holder | None,
) -> State:
    if is_logged(plan, cell, here):
        return State("done", grading(plan, cell))
    same = [one for one in packed if (one["kind"], one["fingerprint"]) == ("evaluate", cell.fingerprint)]
    if any(here in (None, one.get("weights")) for one in same):
        return State("done", "packed")
    if same or mark(plan, cell) is not None:
        return _open(cell, past, packed, holder, "its adapter was trained again, with other weights")
    return _open(cell, past, packed, holder)


def _made_state(
    plan: Plan,
    job: Job,
    found: Mapping[Cell, State],
    past: Sequence[Mapping[str, Any]],
    packed: Sequence[Mapping[str, Any]],
    holder: locks.Holder | None,
) -> State:
    assert job.make is not None
    if is_made(plan, job.make):
        return State("done")
    if job.sweeps:
        rest = [cell for _, cell in job.sweeps]
    else:
        rest = [cell for other in plan.jobs if other.needs == job.make for cell in other.cells]
    if rest and all(found[cell].name == "done" for cell in rest):
        return State("done", "not kept here; everything made from it is there")
    return _open(job.make, past, packed, holder)


def _open(
    cell: Cell,
    past: Sequence[Mapping[str, Any]],
    packed: Sequence[Mapping[str, Any]],
    holder: locks.Holder | None,
    stale: str = "",
) -> State:
    """State of a cell whose result is not there."""
    if holder is not None and cell.fingerprint in holder.what:
        return State("running", str(holder))
    beside = f"; {holder} works on it with older inputs" if holder is not None else ""
    if stale:
        return State("stale", stale + beside)
    own = [one for one in past if (one["kind"], one["fingerprint"]) == (cell.kind, cell.fingerprint)]
    if own and own[-1]["status"] == "failed":
        output = f" ({own[-1]['output']})" if own[-1].get("output") else ""
        return State("failed", f"{own[-1].get('error', '')}{output}")
    older = [one for one in (*packed, *past) if (one["kind"], one["key"]) == (cell.kind, cell.key)]
    older = [one for one in older if one["fingerprint"] != cell.fingerprint and one.get("status", "done") == "done"]
    if older:
        return State("stale", f"changed: {changes(older[-1]['inputs'], cell.inputs)}{beside}")
    if own and own[-1]["status"] == "started":
        return State("missing", f"an earlier run of it was ended{beside}")
    return State("missing", beside.removeprefix("; "))
