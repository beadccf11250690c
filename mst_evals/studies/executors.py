"""Where and how jobs run: submitit's executors, how many at a time, the variables and signals of their processes."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import submitit

from mst_evals import manifest
from mst_evals.errors import InputError
from mst_evals.studies import cells
from mst_evals.studies.cells import Plan

ENGINES = ("local", "slurm")
SLURM_AT_ONCE = 64  # jobs in Slurm's queue at a time, unless --jobs says otherwise
LOCAL_MINUTES = 7 * 24 * 60  # submitit ends a local job after two minutes unless it is told otherwise
SLURM_MINUTES = 24 * 60  # unless the study says otherwise
# glibc keeps freed memory instead of handing it back: activations of the same sizes are wanted again at every step, and
# fetching their pages anew took 8 % of a PPO step on a CPU. 32 MiB is the largest threshold that glibc accepts.
KEEP_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
_GENERIC = {"timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "nodes", "tasks_per_node"}


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [one.strip() for one in visible.split(",") if one.strip() not in ("", "-1")]
    return sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))


def default_jobs(engine: str) -> int:
    """Jobs at a time: one for each GPU, else one for each core; on Slurm many, since Slurm has a queue of its own."""
    return SLURM_AT_ONCE if engine == "slurm" else len(gpus()) or len(os.sched_getaffinity(0))


def executor(plan: Plan, engine: str) -> submitit.AutoExecutor:
    """Submitit's executor.

    Raises:
        InputError: There is no Slurm here, or the study names a parameter that it does not have.
    """
    # a folder for each run: submitit names a local job's files by its process, whose number may come again
    folder = plan.out / "jobs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    try:
        made = submitit.AutoExecutor(folder=folder, cluster=engine)
    except RuntimeError as error:
        raise InputError(f"--engine {engine}: {error}") from None
    if engine == "local":
        made.update_parameters(timeout_min=LOCAL_MINUTES)
        return made
    given = {name if name in _GENERIC else f"slurm_{name}": value for name, value in plan.study.slurm.items()}
    try:
        made.update_parameters(**{"timeout_min": SLURM_MINUTES, **given})
    except (NameError, ValueError, TypeError, AssertionError) as error:
        raise InputError(f"{plan.path}: slurm: {' '.join(str(error).split())[:300]}") from None
    return made


def environment(plan: Plan, engine: str) -> dict[str, str]:
    """Variables for the processes of a job.

    One thread a process on a CPU, unless the user says otherwise: several jobs share the cores, and results would
    depend on the number of jobs through rounding.
    """
    found = {"TOKENIZERS_PARALLELISM": "false"}
    if engine == "slurm" or not gpus():
        found["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
        found |= KEEP_FREED_MEMORY
    found[manifest.SEARCH_PATH] = os.pathsep.join(
        one for one in (str((plan.out / cells.FOLDERS["base"]).resolve()), os.environ.get(manifest.SEARCH_PATH)) if one
    )
    if not any(isinstance(job.base, str) for job in plan.jobs):
        found["HF_HUB_OFFLINE"] = "1"  # everything is here
    return found


@contextmanager
def ended_politely() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started here ignore SIGINT: a terminal's Ctrl-C is for the run, which ends its jobs in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
