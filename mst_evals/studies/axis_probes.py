"""The axis probe of every base of a study, made once beside its runs (see `training.axis_probe`)."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from mst_evals import data, manifest, variants
from mst_evals.studies import states
from mst_evals.studies.cells import Cell, Plan

FOLDER = "probes"


def bases(plan: Plan) -> list[Path]:
    """Directories of the bases that models of a study start from and that are here, each once."""
    found: dict[Path, None] = {}
    for job in plan.jobs:
        if not job.arm:
            continue  # makes a base; the models that start from it name it
        if isinstance(job.base, Cell) and states.is_made(plan, job.base):
            found[plan.directory(job.base)] = None
        elif isinstance(job.base, Path):
            found[job.base] = None
    return [base for base in found if (base / manifest.BASE_WEIGHTS).is_file()]


def probe(plan: Plan) -> None:
    """Probe the bases that have no probe of their weights yet. A probe that fails says why and stops nothing."""
    axis = variants.AXES[plan.study.experiment].name
    for base in bases(plan):
        target = plan.out / FOLDER / f"{base.name}.json"
        if _probed(target) == data.sha256(base / manifest.BASE_WEIGHTS):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "training.axis_probe", str(base), "--axis", axis, "--out", str(target)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            said = (ended.stderr.strip().splitlines() or ["no word"])[-1]
            print(f"axis probe of {base.name} failed: {said}", file=sys.stderr)


def _probed(path: Path) -> str | None:
    """Digest of the base that a probe file is of, None when there is no such file."""
    if not path.is_file():
        return None
    digest = json.loads(path.read_text(encoding="utf-8")).get("base_sha256")
    return None if digest is None else str(digest)


def copy(plan: Plan, folder: Path) -> None:
    """Copy the probes to the committed form of the results."""
    for path in sorted((plan.out / FOLDER).glob("*.json")):
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / FOLDER / path.name)
