"""Run what a study lacks: jobs through submitit, a bounded number at a time, on this machine or on Slurm.

submitit's ``local`` executor starts whatever it is given at once, so this module keeps the queue: it submits a job
when another has ended. What is finished is read from disk (`states`), never from what a job returned, so a
run can be killed at any moment, and another one takes up jobs that are still at work.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import submitit
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mst_evals.studies import estimates, locks, packed, run_cell, states
from mst_evals.studies.cells import Cell, Job, Plan
from mst_evals.studies.executors import deaf_to_ctrl_c, ended_politely, environment, executor, gpus
from mst_evals.studies.states import State

POLL = 0.5  # seconds between two looks at the jobs
Work = Callable[[str, str, str, str, Mapping[str, str]], str]


class Submitted(Protocol):
    """What submitit returns for a job."""

    job_id: str

    def done(self) -> bool:
        """Whether it has ended."""

    def cancel(self, check: bool = True) -> None:
        """End it."""


@dataclass
class Flight:
    """A job of this run that has been submitted."""

    job: Job
    submitted: Submitted
    slot: int
    since: float = field(default_factory=time.time)


@dataclass
class Run:
    """The state of one run.

    Attributes:
        plan: The study.
        jobs: Jobs at a time.
        waiting: Jobs that are still to be submitted, in order.
        found: State of every cell at the last look.
        expected: Expected seconds of every cell.
        flying: Jobs of this run that are at work, by name.
        elsewhere: Names of jobs that another process is at, of this machine or another.
        tried: Names of jobs that this run has submitted.
        changed: Names of jobs whose inputs changed after they were submitted.
        looked: When `found` was read, by the monotonic clock.
    """

    plan: Plan
    jobs: int
    waiting: list[Job]
    found: dict[Cell, State]
    expected: dict[Cell, float]
    flying: dict[str, Flight] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    looked: float = field(default_factory=time.monotonic)

    def lock(self, name: str) -> Path:
        """File of a job's lock."""
        return self.plan.out / states.LOCKS / f"{name}.json"

    def look(self) -> None:
        """Read the state of every cell."""
        self.found, self.looked = look(self.plan), time.monotonic()
        self.expected = estimates.seconds(self.plan)


# --- running ------------------------------------------------------------------------------------------------------


def run(plan: Plan, engine: str, jobs: int, console: Console, work: Work = run_cell.work) -> Run:
    """Make everything that is not done.

    Args:
        plan: The study.
        engine: ``local`` or ``slurm``.
        jobs: Jobs at a time.
        console: Gets the progress.
        work: What a job does; the default unless a test does something quicker.

    Returns:
        How it ended; `failures` puts it in words.

    Raises:
        InputError: The engine cannot be used.
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    submit = executor(plan, engine)
    found = look(plan)
    now = Run(plan, jobs, [job for job in plan.jobs if _open(job, found)], found, estimates.seconds(plan))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress, ended_politely():
        task = progress.add_task(plan.study.name, total=len(found))
        try:
            while now.waiting or now.flying or now.elsewhere:
                _settle(now, console)
                _submit_ready(now, lambda job, slot: _submit(plan, job, slot, submit, work, engine))
                progress.update(task, completed=_count(now.found, "done"), description=_description(now))
                time.sleep(POLL)
        except BaseException:
            _end(now, engine)
            raise
    now.look()
    return now


def look(plan: Plan) -> dict[Cell, State]:
    """The state of every cell now."""
    return states.states(plan, packed.cells(plan.results()))


def _count(found: Mapping[Cell, State], name: str) -> int:
    return sum(state.name == name for state in found.values())


def _open(job: Job, found: Mapping[Cell, State]) -> bool:
    return any(found[cell].name != "done" for cell in job.cells)


def _settle(now: Run, console: Console) -> None:
    """Take note of jobs that have ended, here or elsewhere."""
    ended = [flight for flight in now.flying.values() if _has_ended(flight)]
    gone = {name for name in now.elsewhere if locks.holder(now.lock(name)) is None}
    if not ended and not gone:
        return
    now.elsewhere -= gone
    now.look()
    for flight in ended:
        del now.flying[flight.job.name]
        returned = _returned(flight.submitted)
        if returned == run_cell.HELD:  # another run was quicker; should it give up, the job is ours again
            now.elsewhere.add(flight.job.name)
            now.tried.discard(flight.job.name)
        else:
            if returned == run_cell.CHANGED:
                now.changed.add(flight.job.name)
            _say_ended(now, flight.job, console)
    for job in now.plan.jobs:
        if job.name in gone and _open(job, now.found) and job.name not in now.tried:
            now.waiting.insert(0, job)
        elif job.name in gone:
            _say_ended(now, job, console)


def _has_ended(flight: Flight) -> bool:
    """Whether a job of ours has ended. For Slurm its queue is asked: there may be no accounting for submitit to ask."""
    job = flight.submitted
    if not isinstance(job, submitit.SlurmJob):
        return job.done()
    return job.paths.result_pickle.exists() or locks.in_slurm_queue(str(job.job_id), flight.since) is False


def _returned(job: Any) -> str:
    """What the function of an ended job returned, empty when it was killed or raised."""
    if not job.paths.result_pickle.exists():
        return ""
    try:
        return str(job.result())
    except Exception:  # whatever it raised has been printed to its own log
        return ""


def _submit_ready(now: Run, submit: Callable[[Job, int], Submitted]) -> None:
    """Submit waiting jobs whose base is there, as many as fit."""
    for job in list(now.waiting):
        if len(now.flying) + _beside(now) >= now.jobs:
            return
        if job.needs is not None and now.found[job.needs].name != "done":
            if _hopeless(now, job):
                now.waiting.remove(job)
            continue
        now.waiting.remove(job)
        if locks.holder(now.lock(job.name)) is not None:
            now.elsewhere.add(job.name)
            continue
        slot = min(set(range(now.jobs)) - {flight.slot for flight in now.flying.values()})
        now.flying[job.name] = Flight(job, submit(job, slot), slot)
        now.tried.add(job.name)


def _beside(now: Run) -> int:
    """Number of jobs of other runs on this machine, for example of one that was killed; they take up its cores."""
    holders = [locks.holder(now.lock(name)) for name in now.elsewhere]
    return sum(one is not None and one.host == socket.gethostname() for one in holders)


def _hopeless(now: Run, job: Job) -> bool:
    """Whether the base that a job needs is not going to come in this run."""
    (maker,) = [one for one in now.plan.jobs if one.make == job.needs]
    busy = maker.name in now.flying or maker.name in now.elsewhere or maker in now.waiting
    return not busy


def _submit(plan: Plan, job: Job, slot: int, submit: submitit.AutoExecutor, work: Work, engine: str) -> Submitted:
    """Hand one job to submitit."""
    what = run_cell.fingerprints(job)
    settings = environment(plan, engine)
    if engine == "slurm":
        submit.update_parameters(name=f"{plan.study.name}:{job.name}"[:60])
    elif gpus():  # submitit hides all GPUs from a local job; each gets one of ours
        settings["CUDA_VISIBLE_DEVICES"] = gpus()[slot % len(gpus())]
    paths = str(plan.path.resolve()), str(plan.out.resolve())
    with deaf_to_ctrl_c():
        submitted: Submitted = submit.submit(work, *paths, job.name, what, settings)
    if engine == "slurm":
        locks.note_submitted(states.lock_path(plan, job), str(submitted.job_id), what)
    return submitted


def _end(now: Run, engine: str) -> None:
    """End the jobs of this run, which clean up behind themselves; jobs in Slurm's queue are taken out of it."""
    jobs = [flight.submitted for flight in now.flying.values()]
    if engine == "slurm":
        for job in jobs:
            with suppress(Exception):
                job.cancel(check=False)
        return
    for _ in range(5):  # again and again, since a job that is just starting does not listen yet
        for job in jobs:
            if not job.done():
                with suppress(ProcessLookupError):
                    os.kill(int(job.job_id), signal.SIGTERM)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            if all(job.done() for job in jobs):
                return
            time.sleep(0.05)


# --- words --------------------------------------------------------------------------------------------------------


def _description(now: Run) -> str:
    running, failed = len(now.flying) + len(now.elsewhere), _count(now.found, "failed")
    left = estimates.left(now.plan, now.found, now.jobs, now.expected) - (time.monotonic() - now.looked)
    parts = [f"{running} running", *([f"{failed} failed"] if failed else [])]
    return f"{now.plan.study.name}: {', '.join(parts)}, about {estimates.minutes(max(0.0, left))} left"


def _say_ended(now: Run, job: Job, console: Console) -> None:
    """One plain line for a job that has ended, where no progress bar is shown."""
    if console.is_terminal:
        return
    done, total = _count(now.found, "done"), len(now.found)
    left = estimates.left(now.plan, now.found, now.jobs, now.expected)
    line = f"{job.name}: {_trouble(now, job) or 'done'} ({done} of {total} cells, {estimates.minutes(left)} left)"
    console.print(line, highlight=False, soft_wrap=True, markup=False)


def _trouble(now: Run, job: Job) -> str:
    """What is wrong with a job that has ended, empty when it is done."""
    bad = [cell for cell in job.cells if now.found[cell].name != "done"]
    if not bad:
        return ""
    if job.name in now.changed:
        return "its inputs changed while the study ran; run it again"
    cell = next((cell for cell in bad if now.found[cell].name == "failed"), bad[0])
    state = now.found[cell]
    return f"{cell.kind} {cell.name} {state.name}{f': {state.why}' if state.why else ''}"


def failures(now: Run) -> list[str]:
    """One line for each job of which a cell is not done after a run."""
    return [f"{job.name}: {trouble}" for job in now.plan.jobs if (trouble := _trouble(now, job))]
