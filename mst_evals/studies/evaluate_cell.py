"""Ask one model of a study everything that is still to be asked: one loaded base, one log for each sweep.

    python -m mst_evals.studies.evaluate_cell STUDY.yaml OUT JOB FINGERPRINTS

Started by `run_cell`. The working directory is the study's folder, so that no log holds a path of this
machine.
"""

import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mst_evals import manifest, quantisation
from mst_evals.errors import InputError, StepError
from mst_evals.studies import cells, checks, inputs, packed, states
from mst_evals.studies.asked import Asked
from mst_evals.studies.cells import Cell, Job, Plan
from mst_evals.studies.study_file import read_yaml

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog


def subject(plan: Plan, job: Job) -> tuple[str, dict[str, Any]]:
    """Model name and model arguments for Inspect; the name of a directory is relative to the study's folder.

    ``mst/`` asks a base of ours in NF4. Any other base, or one that is trained on without NF4, goes through ``hf/``
    with the trainer's own settings, so that base and adapters are asked alike.
    """
    if job.make is not None:
        return f"mst/{job.make.place}", {}
    base = plan.directory(job.base) if isinstance(job.base, Cell) else job.base
    recipe = read_yaml(checks.recipe_path(plan.study, plan.path)) | dict(job.arguments)
    quantised = str(recipe.get("quantisation", "nf4"))
    if isinstance(base, Path) and (base / manifest.FILE).is_file() and quantised == "nf4":
        return f"mst/{linked_base(plan, base, job.condition)}", {}
    settings = quantisation.inspect_model_config(quantised, str(recipe.get("dtype", "float32")))
    name = linked_base(plan, base, job.condition) if isinstance(base, Path) else base
    return f"hf/{name}", yaml.safe_load(settings)


def linked_base(plan: Plan, base: Path, condition: str) -> Path:
    """A directory in the study's folder that links to the files of a base, so that no log holds another path.

    Its manifest names the condition, which the log takes from there.
    """
    link = Path("asked") / (f"{base.name}-{condition}" if condition else base.name)
    fresh = plan.out / link.with_name(f".{link.name}.{os.getpid()}")
    fresh.mkdir(parents=True)
    for file in base.iterdir():
        if file.is_file() and file.name != manifest.FILE:
            (fresh / file.name).symlink_to(file.resolve())
    found = manifest.read(base)
    if found is not None:
        manifest.write(fresh, replace(found, condition=condition))
    shutil.rmtree(plan.out / link, ignore_errors=True)
    fresh.rename(plan.out / link)
    return link


def task_arguments(plan: Plan, sweep: Asked) -> dict[str, Any]:
    """Arguments of the sweep's task; a file of rows that is the project's own has no path in a log."""
    given, asking = inputs.settings(plan.study), plan.study.evaluations
    rows = os.path.relpath(cells.rows_file(plan.study, plan.path), plan.out) if asking.data is not None else None
    shared = {"labels": list(sweep.labels), "wording": sweep.wording, "rows": asking.rows, "split": asking.split}
    if plan.study.experiment == "sycophancy":
        return shared | {"choice": given["choice"], "problems": rows}
    return shared | {"scorer": given["scorer"], "temperature": given["temperature"], "topics": rows or "micro_topics"}


def unattended() -> dict[str, Any]:
    """Settings of `inspect_ai.eval` for a process that nobody looks at and a model that answers in batches."""
    from mst_evals.provider import BATCH_SIZE

    quiet = {"display": "none", "score_display": False, "log_realtime": False}
    return {"max_connections": BATCH_SIZE, "max_samples": 2 * BATCH_SIZE, **quiet}


def ask(plan: Plan, job: Job, sweep: Asked, cell: Cell) -> str:
    """Make the log of one sweep.

    Returns:
        What its judge left open, empty when the sweep is done.

    Raises:
        StepError: The evaluation did not succeed.
    """
    from inspect_ai import eval

    from mst_evals.interrupts import finished

    final = plan.directory(cell)
    working = final.with_name(f".{final.name}.{os.getpid()}")
    shutil.rmtree(working, ignore_errors=True)
    began = time.time()
    states.write_record(plan.out, cell, "started", began)
    model, model_arguments = subject(plan, job)
    given = inputs.settings(plan.study)
    logs = eval(
        f"mst_evals/{plan.study.experiment}_sweep",
        task_args=task_arguments(plan, sweep),
        model=model,
        model_args=model_arguments,
        model_roles={"grader": given["judge"]} if "judge" in given else None,
        metadata={"study": plan.study.name, "job": job.name, "fingerprint": cell.fingerprint},
        log_dir=str(working),
        max_tokens=given.get("max_tokens"),
        **unattended(),
    )
    log = finished(logs)
    if log.status != "success":
        raise StepError(log.error.message if log.error else f"the evaluation ended with status {log.status}")
    return settle(plan, cell, working, log, began)


def asked_weights(log: "EvalLog") -> str | None:
    """Digest of the weights that a log's model had."""
    facts = log.eval.metadata or {}
    return facts.get("adapter_sha256") or facts.get("base_sha256")


def keep(plan: Plan, cell: Cell, working: Path, weights: str | None, began: float, samples: int) -> None:
    """Mark a finished log and give it its final name. One that was made from other weights is moved to ``replaced/``.

    Args:
        plan: The study.
        cell: The sweep.
        working: Folder of the log, which may have its final name already.
        weights: Digest of the weights that were asked.
        began: When it began, in seconds since the epoch.
        samples: Number of samples.
    """
    about = {"fingerprint": cell.fingerprint, "key": cell.key, "weights": weights}
    manifest.write_text(working / states.MARK, json.dumps(about, indent=1) + "\n")
    name_finally(plan, cell, working)
    states.write_record(plan.out, cell, "done", began, weights=weights, samples=samples)


def name_finally(plan: Plan, cell: Cell, working: Path) -> None:
    """Give the folder of a log its final name; another one of that name is moved to ``replaced/``."""
    final = plan.directory(cell)
    if working == final:
        return
    if final.exists():
        aside = plan.out / "replaced" / f"{cell.name}-{time.time_ns()}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        final.rename(aside)
    working.rename(final)


# --- a judge that gave no reply -----------------------------------------------------------------------------------


def settle(plan: Plan, cell: Cell, working: Path, log: "EvalLog", began: float) -> str:
    """Keep a log as done, or without its mark when a judge gave no reply, so that its articles are not lost.

    Returns:
        What the judge left open, empty when the sweep is done.
    """
    from mst_evals.judging.second_pass import SCORER, failed

    scores = [(sample.scores or {}).get(SCORER) for sample in log.samples or []]
    silent = [score for score in scores if score is not None and failed(score)]
    if not silent:
        keep(plan, cell, working, asked_weights(log), began, log.results.total_samples if log.results else 0)
        return ""
    name_finally(plan, cell, working)
    why = f"{len(silent)} of {len(scores)} articles got no reply of a judge ({silent[0].explanation or ''!s:.150})"
    states.write_record(plan.out, cell, "failed", began, error=f"{why}; they are kept: `mst run` asks the judge again")
    return why


def judge_again(plan: Plan, job: Job, cell: Cell) -> str | None:
    """Put before the judge what it gave no reply to in an earlier run; nothing is written anew.

    Returns:
        What is still open, empty when the sweep is done, None when there is no such log.

    Raises:
        StepError: The judging ended before its end.
    """
    files = sorted(plan.directory(cell).glob("*.eval"))
    if "judge" not in inputs.settings(plan.study) or len(files) != 1 or states.mark(plan, cell) is not None:
        return None
    from rich.console import Console

    from mst_evals.judging import judge_commands, second_pass

    log = second_pass.read(files[0])
    mine = (log.eval.metadata or {}).get("fingerprint") == cell.fingerprint
    if not mine or states.weights(plan, job) not in (None, asked_weights(log)):
        return None
    began = time.time()
    states.write_record(plan.out, cell, "started", began)
    judges, work = plan.study.evaluations.judges, plan.out / "judge"
    judge_commands.judge_logs(files, Console(), judges, yes=True, display="none", work=work)
    return settle(plan, cell, plan.directory(cell), second_pass.read(files[0]), began)


def main(study: str, out: str, name: str, what: str) -> int:
    """Ask what is still to be asked of one job's model.

    Returns:
        0 when all logs are there, 1 when one failed, 2 when the inputs are not those of `what` any more.

    Raises:
        StepError: An evaluation did not succeed, or, when all are written, a judge gave no reply to an article.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    path = Path(study)
    plan = cells.plan(checks.read(path), path, Path(out), only=name)
    (job,) = plan.jobs
    if " ".join(cell.fingerprint for cell in job.cells) != what:
        raise InputError(f"{name}: the inputs changed while it was running; run the study again")
    found = states.states(plan, packed.cells(plan.results()))
    os.chdir(plan.out)
    left: list[str] = []
    for sweep, cell in job.sweeps:
        if found[cell].name != "done":
            again = judge_again(plan, job, cell)
            left += filter(None, [ask(plan, job, sweep, cell) if again is None else again])
    if left:
        raise StepError(f"{left[0]}; they are kept: `mst run` asks the judge again")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (InputError, StepError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
