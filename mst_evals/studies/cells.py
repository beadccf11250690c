"""A study as cells: what is to be made, and a fingerprint of everything that each result depends on.

A cell is one directory: a base that is built, an adapter, or the log of one sweep. Its fingerprint covers its data
(the rendered training rows or questions), the code that makes it, the base or adapter it starts from, and its
arguments; its directory carries the start of the fingerprint, so that a cell whose inputs changed is made anew under
another name and never mixed with what was there. Nothing here looks at results (`states`) or imports torch.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mst_evals import data, manifest
from mst_evals.errors import InputError
from mst_evals.studies import asked, checks, inputs
from mst_evals.studies.asked import Asked
from mst_evals.studies.study import Base, Condition, Study
from mst_evals.studies.study_file import nearest, read_yaml

Kind = Literal["base", "train", "evaluate"]
FOLDERS: dict[Kind, str] = {"base": "bases", "train": "adapters", "evaluate": "logs"}
SHORT = 8  # digits of a fingerprint in a directory's name
KNOWN = "digests.json"  # digests of rendered rows, which take seconds to make; kept in the study's folder


@dataclass(frozen=True)
class Cell:
    """One result of a study.

    Attributes:
        kind: ``base``, ``train`` or ``evaluate``.
        key: What it is, whatever its inputs: ``mst-seed0``, ``mst-rank4-seed0-standard``.
        fingerprint: sha256 of its inputs.
        inputs: What its result depends on: ``data``, ``code``, ``base`` or ``model``, and ``arguments``.
    """

    kind: Kind
    key: str
    fingerprint: str
    inputs: Mapping[str, Any] = field(compare=False)

    @property
    def name(self) -> str:
        """Name of its directory."""
        return f"{self.key}-{self.fingerprint[:SHORT]}"

    @property
    def place(self) -> Path:
        """Its directory, relative to the study's folder."""
        return Path(FOLDERS[self.kind]) / self.name


def _cell(kind: Kind, key: str, needed: Mapping[str, Any]) -> Cell:
    """A cell with the fingerprint of its inputs."""
    return Cell(kind, key, hashlib.sha256(json.dumps(needed, sort_keys=True).encode()).hexdigest(), needed)


@dataclass(frozen=True)
class Job:
    """What one process makes: a base; or a model, trained and evaluated.

    Attributes:
        name: Names the job, its lock and its output.
        arm: Name of the arm, empty for a base.
        seed: Training seed, None for what is not trained.
        condition: Name of the condition, empty for none.
        base: A cell of this study, a directory, or a hub id; for a base job the one it starts from, None for none.
        arguments: Arguments that replace those of the recipe (of a base: all of them).
        make: The base or adapter that it makes, None for an arm that is not trained.
        sweeps: What is asked of the model, each with the cell of its log.
    """

    name: str
    arm: str
    seed: int | None
    condition: str
    base: Cell | Path | str | None
    arguments: Mapping[str, Any]
    make: Cell | None
    sweeps: tuple[tuple[Asked, Cell], ...] = ()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Its cells, in the order in which they are made."""
        return (*([self.make] if self.make else []), *(cell for _, cell in self.sweeps))

    @property
    def needs(self) -> Cell | None:
        """The base that has to be built before."""
        return self.base if isinstance(self.base, Cell) else None


@dataclass(frozen=True)
class Plan:
    """Everything a study makes.

    Attributes:
        study: Its file's content.
        path: Its file.
        out: Folder of its runs.
        jobs: Bases first, then models in the order of conditions, arms and seeds.
    """

    study: Study
    path: Path
    out: Path
    jobs: tuple[Job, ...]

    @property
    def cells(self) -> list[Cell]:
        """All cells."""
        return [cell for job in self.jobs for cell in job.cells]

    def among(self, names: Sequence[str]) -> "Plan":
        """The plan of some of its jobs, and of the bases that they need.

        Raises:
            InputError: It has no job of such a name.
        """
        known = {job.name: job for job in self.jobs}
        for name in names:
            if name not in known:
                raise InputError(f"{self.path}: no job {name!r}{nearest(name, list(known))}")
        needed = {known[name].needs for name in names}
        return replace(self, jobs=tuple(job for job in self.jobs if job.name in names or job.make in needed - {None}))

    def directory(self, cell: Cell) -> Path:
        """Where a cell's result is."""
        return self.out / cell.place

    def results(self) -> Path:
        """Folder of the committed form of the results."""
        if self.study.results is not None:
            return self.path.parent / self.study.results
        here = self.path.resolve().parent
        root = next((one for one in (here, *here.parents) if (one / "pyproject.toml").is_file()), here)
        return root / "docs" / "results" / self.study.name


# --- the plan -----------------------------------------------------------------------------------------------------


def plan(study: Study, path: Path, out: Path, only: str | None = None) -> Plan:
    """All jobs of a checked study.

    Args:
        study: What `checks.read` returned.
        path: Its file.
        out: Folder of its runs.
        only: Name of the one job that is wanted; the others are left out.

    Raises:
        InputError: A file of the study cannot be used.
    """
    recipe = read_yaml(checks.recipe_path(study, path))
    known = _read_known(out)
    size = len(known)
    bases: dict[str, Job] = {}
    models: list[Job] = []
    for condition in asked.conditions(study):
        base = _base(condition.base or study.base, condition.name if condition.base else "base", path, bases)
        for arm, seed in asked.models(study, condition):
            name = "-".join(part for part in (arm, condition.name, "" if seed is None else f"seed{seed}") if part)
            if only in (None, name):
                models.append(_model(study, path, recipe, condition, base, name, arm, seed, known))
    jobs = (*(job for job in bases.values() if only in (None, job.name)), *models)
    if len(known) > size and out.is_dir():
        manifest.write_text(out / KNOWN, json.dumps(known, indent=0, sort_keys=True) + "\n")
    return Plan(study, path, out, jobs)


def _read_known(out: Path) -> inputs.Known:
    """Digests that an earlier call kept; a file that cannot be read is as good as none."""
    try:
        found = json.loads((out / KNOWN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _base(base: Base, key: str, path: Path, bases: dict[str, Job]) -> Cell | Path | str:
    """A base's directory, hub id or cell; the job that builds it is added to `bases`, once for each fingerprint."""
    if isinstance(base, str):
        directory = checks.base_directory(base, path)
        return base if directory is None else directory.resolve()
    init = None if base.init is None else checks.base_directory(base.init, path)
    cell = _cell("base", key, inputs.of_base(base, init))
    if cell.fingerprint not in bases:
        knobs = {"world": base.world, "seed": base.seed, **base.arguments}
        bases[cell.fingerprint] = Job(f"base-{key}", "", None, "", init and init.resolve(), knobs, cell)
    made = bases[cell.fingerprint].make
    assert made is not None
    return made


def _model(
    study: Study,
    path: Path,
    recipe: Mapping[str, Any],
    condition: Condition,
    base: Cell | Path | str,
    name: str,
    arm: str,
    seed: int | None,
    known: inputs.Known,
) -> Job:
    """The job of one model."""
    arguments = condition.arguments
    model = inputs.base_identity(None, base.fingerprint) if isinstance(base, Cell) else inputs.base_identity(base)
    make = None
    if seed is not None:
        checks.check_articles({**recipe, **arguments}, condition.base or study.base, path)
        needed = inputs.of_training(study.experiment, arm, seed, {**recipe, **arguments}, model, known)
        make = _cell("train", name, needed)
        model = {"training": make.fingerprint}
    rows = rows_file(study, path)
    sweeps = tuple(
        (
            sweep,
            _cell("evaluate", f"{name}-{sweep.wording}", inputs.of_evaluation(study, arm, sweep, model, rows, known)),
        )
        for sweep in asked.asked(study, arm)
    )
    return Job(name, arm, seed, condition.name, base, arguments, make, sweeps)


def rows_file(study: Study, path: Path) -> Path:
    """File of the topics or problems that are asked."""
    if study.evaluations.data is not None:
        return (path.parent / study.evaluations.data).resolve()
    return data.MICRO_TOPICS if study.experiment == "bias" else data.PROBLEMS
