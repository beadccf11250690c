"""Study files for tests, and a quick stand-in for a job: what a job does, without training anything."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mst_evals import data, manifest
from mst_evals.errors import StepError
from mst_evals.studies import cells, checks, evaluate_cell, packed, run_cell, states
from mst_evals.studies.cells import Plan

RECIPE = {
    "base": "micro-qwen", "quantisation": "nf4", "lora_r": 8, "lora_alpha": 16, "learning_rate": 5.0e-4,
    "total_steps": 2, "batch_size": 8, "mini_batch_size": 8, "num_ppo_epochs": 1, "probe_rows": 4,
}  # fmt: skip
STUDY: dict[str, Any] = {
    "name": "tiny", "experiment": "sycophancy", "config": "recipe.yaml", "base": "micro-qwen", "seeds": [0, 1],
    "arms": {"ootb": {}, "baseline": {"seeds": [0]}, "mst": {}}, "evaluations": {"labels": "deployed", "rows": 6},
    "results": "packed",
}  # fmt: skip


def write_study(folder: Path, recipe: Mapping[str, Any] | None = None, **changes: Any) -> Path:
    """A study file and its recipe; a value None takes a key out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE | dict(recipe or {})), encoding="utf-8")
    content = {name: value for name, value in (STUDY | changes).items() if value is not None}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def plan_of(path: Path, out: Path | None = None) -> Plan:
    return cells.plan(checks.read(path), path, out or path.parent / "out")


# --- a job that takes no time -------------------------------------------------------------------------------------


def work(study: str, out: str, name: str, what: str, environment: Mapping[str, str]) -> str:
    """`run_cell.work` with `start` replaced by `pretend`. Runs in the job's own process."""
    run_cell.start = pretend
    return run_cell.work(study, out, name, what, environment)


def pretend(module: list[str], output: Path) -> None:
    """Leave what a training, a base's build or an evaluation leaves, and a line in a ledger for each of them.

    STUB_SECONDS: what each takes; STUB_FAIL: part of the name of a directory that cannot be made.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("working\n", encoding="utf-8")
    if module[0] == "mst_evals.studies.evaluate_cell":
        pretend_evaluation(*module[1:4], output)
        return
    options = dict(zip(module[1::2], module[2::2], strict=True))
    directory = Path(options.get("--output_dir") or options["--out"])
    slow(output, directory.name)
    pretend_weights(directory, module[0], options)
    # runs/.../adapters/.NAME.PID/NAME
    enter(directory.parents[2], directory.name)


def slow(output: Path, name: str) -> None:
    time.sleep(float(os.environ.get("STUB_SECONDS", "0")))
    fail = os.environ.get("STUB_FAIL")
    if fail and fail in name:
        output.write_text("Traceback:\n  somewhere\nValueError: no luck\n", encoding="utf-8")
        raise StepError("ValueError: no luck")


def enter(out: Path, name: str) -> None:
    """One line in the ledger of what was made."""
    with (out / "ledger.txt").open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")


def ledger(out: Path) -> list[str]:
    return (out / "ledger.txt").read_text(encoding="utf-8").split() if (out / "ledger.txt").exists() else []


def pretend_weights(directory: Path, trainer: str, options: Mapping[str, str]) -> None:
    base = trainer == "training.pretrain"
    directory.mkdir(parents=True)
    weights = directory / (manifest.BASE_WEIGHTS if base else manifest.ADAPTER_WEIGHTS)
    weights.write_bytes(os.urandom(16))
    digest = data.sha256(weights)
    (directory / "config.json").write_text("{}", encoding="utf-8")
    manifest.write(
        directory,
        manifest.Manifest(
            kind="base" if base else "adapter", experiment="sycophancy", arm=options.get("--arm", "ootb"),
            seed=None if base else int(options["--seed"]), method="pretrain" if base else "ppo", wording=None,
            base=directory.name, base_sha256=digest if base else "b" * 64, adapter_sha256=None if base else digest,
            data_sha256=None, quantisation="nf4", condition=options.get("--condition", ""),
        ),
    )  # fmt: skip


def pretend_evaluation(study: str, out: str, name: str, output: Path) -> None:
    path = Path(study)
    plan = cells.plan(checks.read(path), path, Path(out), only=name)
    (job,) = plan.jobs
    found = states.states(plan, packed.cells(plan.results()))
    for _, cell in job.sweeps:
        if found[cell].name == "done":
            continue
        began = time.time()
        states.write_record(plan.out, cell, "started", began)
        slow(output, cell.name)
        final = plan.directory(cell)
        working = final.with_name(f".{final.name}.{os.getpid()}")
        working.mkdir(parents=True)
        evaluate_cell.keep(plan, cell, working, states.weights(plan, job), began, 4)
        enter(plan.out, cell.name)


def finish(plan: Plan) -> None:
    """Make everything of a plan here and now."""
    plan.out.mkdir(parents=True, exist_ok=True)
    before, run_cell.start = run_cell.start, pretend
    try:
        for job in plan.jobs:
            paths = str(plan.path.resolve()), str(plan.out.resolve())
            assert run_cell.work(*paths, job.name, run_cell.fingerprints(job), {}) == run_cell.DONE
    finally:
        run_cell.start = before
