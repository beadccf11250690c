"""One job of a study: build a base, or train a model and ask it what the study asks. Runs in a process of its own.

    python -m mst_evals.studies.run_cell studies/micro-bias.yaml runs/micro-bias mst-seed0

Training and evaluation are processes of their own too, so that neither can touch the other's numbers (bitsandbytes
repacks weights in place at the first evaluation), and a crash of one is only a failed cell. A job makes what is not
there; whatever it makes appears under its final name when it is whole.
"""

import argparse
import ctypes
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from mst_evals import manifest
from mst_evals.errors import InputError, StepError
from mst_evals.studies import cells, checks, locks, packed, states
from mst_evals.studies.cells import Cell, Job, Plan

DONE, FAILED, CHANGED, HELD = "done", "failed", "changed", "held"
_PR_SET_PDEATHSIG = 1  # prctl(2)


def work(study: str, out: str, name: str, what: str, environment: Mapping[str, str]) -> str:
    """Do one job. This is what an engine submits.

    Args:
        study: Absolute path of the study file.
        out: Absolute path of the study's folder.
        name: Name of the job.
        what: Its fingerprints when it was submitted (`fingerprints`).
        environment: Variables for this process and those it starts.

    Returns:
        ``done``; ``failed`` (the cell's record says why); ``held``, when another process is at it; or ``changed``,
        when the inputs are not those of the submission any more.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # submitit would ignore it
    os.environ.update(environment)
    path = Path(study)
    plan = cells.plan(checks.read(path), path, Path(out), only=name)
    (job,) = plan.jobs
    if fingerprints(job) != what:
        print(f"{name}: the inputs changed after the job was submitted; nothing was made")
        return CHANGED
    with locks.held(states.lock_path(plan, job), what) as other:
        if other is not None:
            print(f"{name}: {other} is at it")
            return HELD
        clear(plan, job)
        try:
            if open_cells(plan, job):
                make(plan, job)
                evaluate(plan, job)
        except StepError as error:
            print(f"{name}: {error}")
            return FAILED
    return DONE


def fingerprints(job: Job) -> str:
    """What a job works on, as its lock says it."""
    return " ".join(cell.fingerprint for cell in job.cells)


def open_cells(plan: Plan, job: Job) -> list[Cell]:
    """The cells of a job that are not done."""
    found = states.states(plan, packed.cells(plan.results()))
    return [cell for cell in job.cells if found[cell].name != "done"]


def clear(plan: Plan, job: Job) -> None:
    """Remove what a killed run of the job left half-made: hidden directories beside the final ones."""
    for cell in job.cells:
        final = plan.directory(cell)
        for left in final.parent.glob(f".{final.name}.*"):
            shutil.rmtree(left, ignore_errors=True)


# --- making a base or an adapter ----------------------------------------------------------------------------------


def make(plan: Plan, job: Job) -> None:
    """Build the base or train the adapter of a job unless it is here.

    Raises:
        StepError: The process failed; its record is written.
    """
    cell = job.make
    if cell is None or states.is_made(plan, cell):
        return
    final = plan.directory(cell)
    working = final.with_name(f".{final.name}.{os.getpid()}")  # the name of the directory itself is recorded in it
    began = time.time()
    states.write_record(plan.out, cell, "started", began)
    output = output_path(plan, cell)
    try:
        start(command(plan, job, working / final.name), output)
        made = manifest.read(working / final.name)
        if made is None:
            raise StepError(f"it ended well, but left no {manifest.FILE}")
        (working / final.name).rename(final)
    except StepError as error:
        _fail(plan, cell, began, error)
        raise
    finally:
        shutil.rmtree(working, ignore_errors=True)
    states.write_record(plan.out, cell, "done", began, weights=made.adapter_sha256 or made.base_sha256)


def command(plan: Plan, job: Job, directory: Path) -> list[str]:
    """Module and arguments that make a base or adapter in a directory."""
    if job.needs is None and not job.arm:
        init = ["--init", str(job.base)] if job.base else []
        knobs = [text for name, value in job.arguments.items() for text in (f"--{name}", str(value))]
        return ["training.pretrain", *knobs, *init, "--out", str(directory)]
    base = plan.directory(job.base) if isinstance(job.base, Cell) else job.base
    given = {"arm": job.arm, "seed": job.seed, "output_dir": directory, "base": base}
    given |= {"condition": job.condition} if job.condition else {}
    recipe = checks.recipe_path(plan.study, plan.path)
    arguments = [text for name, value in (given | dict(job.arguments)).items() for text in (f"--{name}", str(value))]
    return [checks.TRAINERS[plan.study.experiment], "--config", str(recipe), *arguments]


def output_path(plan: Plan, cell: Cell) -> Path:
    """Where a cell's process prints to."""
    return plan.out / states.OUTPUT / f"{cell.kind}-{cell.name}.txt"


def _fail(plan: Plan, cell: Cell, began: float, error: StepError) -> None:
    output = output_path(plan, cell).relative_to(plan.out)
    states.write_record(plan.out, cell, "failed", began, error=str(error), output=str(output))


# --- asking -------------------------------------------------------------------------------------------------------


def evaluate(plan: Plan, job: Job) -> None:
    """Ask a model everything that is still to be asked, in one process.

    Raises:
        StepError: A sweep failed; its record is written.
    """
    if not job.sweeps or not open_cells(plan, job):
        return
    (first, *_) = [cell for cell in open_cells(plan, job) if cell.kind == "evaluate"]
    began = time.time()
    arguments = [str(plan.path.resolve()), str(plan.out.resolve()), job.name, fingerprints(job)]
    try:
        start(["mst_evals.studies.evaluate_cell", *arguments], output_path(plan, first))
    except StepError as error:
        left = [cell for cell in open_cells(plan, job) if cell.kind == "evaluate"]
        for cell in left[:1]:
            began = max([began, *(float(one["began"]) for one in states.records(plan.out) if _is(one, cell))])
            output = output_path(plan, first).relative_to(plan.out)
            states.write_record(plan.out, cell, "failed", began, error=str(error), output=str(output))
        raise


def _is(record: Mapping[str, object], cell: Cell) -> bool:
    return (record["kind"], record["fingerprint"]) == (cell.kind, cell.fingerprint)


# --- processes ----------------------------------------------------------------------------------------------------


def start(module: list[str], output: Path) -> None:
    """Run a module with its arguments as a process that ends when this one does, and wait for it.

    Raises:
        StepError: It ended with an error; the message is the last line that it printed.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    launch = [sys.executable, "-m", "mst_evals.studies.run_cell", "--child", str(os.getpid()), *module]
    with output.open("wb") as file:
        process = subprocess.Popen(launch, stdout=file, stderr=subprocess.STDOUT)
        try:
            process.wait()
        except BaseException:
            process.terminate()  # it cleans up behind itself, and is killed if this process is not there to wait
            process.wait()
            raise
    if process.returncode == -signal.SIGINT or process.returncode == 130:
        raise KeyboardInterrupt
    if process.returncode != 0:
        raise StepError(_last_line(output) or f"it ended with {process.returncode}")


def _last_line(output: Path) -> str:
    """The last line of what a process printed, without colours, at most 300 characters."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", output.read_text(encoding="utf-8", errors="replace"))
    lines = [line.strip() for line in re.split(r"[\r\n]", text) if line.strip()]
    return lines[-1].removeprefix("error: ")[:300] if lines else ""


def run_child(parent: int, module: list[str]) -> None:
    """Become a module, and die with the process that started this one (Linux; elsewhere it would live on).

    Without it a training whose job was killed would go on beside its successor.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)
    sys.argv = module
    runpy.run_module(module[0], run_name="__main__", alter_sys=True)


def main() -> int:
    """Command line: one job in the foreground.

    Returns:
        0 when everything of the job is done, 1 when not, 2 when the study file cannot be used.
    """
    parser = argparse.ArgumentParser(prog="python -m mst_evals.studies.run_cell", description="Do one job of a study.")
    parser.add_argument("study", type=Path, help="study file")
    parser.add_argument("out", type=Path, help="folder of the study's runs")
    parser.add_argument("job", help="name of the job, for example mst-seed0")
    asked = parser.parse_args()
    try:
        plan = cells.plan(checks.read(asked.study), asked.study, asked.out, only=asked.job)
        if not plan.jobs:
            raise InputError(f"{asked.study}: job {asked.job!r} is none of this study (`mst status` names them)")
        environment = {"TOKENIZERS_PARALLELISM": "false"}
        paths = str(asked.study.resolve()), str(asked.out.resolve())
        return 0 if work(*paths, asked.job, fingerprints(plan.jobs[0]), environment) == DONE else 1
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        run_child(int(sys.argv[2]), sys.argv[3:])
    else:
        sys.exit(main())
