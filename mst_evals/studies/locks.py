"""Who is working on a job, so that two processes never make the same cell and a killed one is seen to be gone.

A lock is a small file that names its holder: host, boot, process and the time that process started; on Slurm also the
job. A holder on this machine is alive while that very process is. One on another machine is alive while Slurm knows
its job, or, without Slurm, while it touches its file every few seconds.
"""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from mst_evals import manifest

BEAT = 10.0  # seconds between two touches
SILENT = 120.0  # seconds without a touch after which a holder elsewhere is taken for dead
LOOK = 5  # seconds between two looks into Slurm's queue, which is one for all users of a cluster


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        host: Name of its machine.
        boot: Identity of that machine's last start.
        pid: Its process; 0 while a Slurm job waits to be started.
        started: Start of that process in clock ticks since boot, which tells it from a later one of the same number.
        slurm: Number of its Slurm job, empty without Slurm.
        what: Fingerprints it works on, one string.
        since: Seconds since the epoch.
    """

    host: str
    boot: str
    pid: int
    started: int
    slurm: str
    what: str
    since: float

    def __str__(self) -> str:
        """For a message."""
        job = f"Slurm job {self.slurm} on " if self.slurm else ""
        return f"{job}{self.host}" + (f", process {self.pid}" if self.pid else "")


def boot() -> str:
    """Identity of this machine's last start, empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def process_start(pid: int) -> int | None:
    """When a process of this machine started, in clock ticks since boot; None when there is no such process.

    Without /proc (not Linux) 0 stands for any process that exists.
    """
    stat = Path(f"/proc/{pid}/stat")
    try:
        # the name in parentheses may hold spaces; the start time is field 22, the state field 3 (man 5 proc)
        fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self").exists():
            return None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return 0
    return None if fields[0] in "ZX" else int(fields[19])


def myself(what: str = "") -> Holder:
    """This process as a holder."""
    started = process_start(os.getpid())
    assert started is not None
    slurm = os.environ.get("SLURM_JOB_ID", "")
    return Holder(socket.gethostname(), boot(), os.getpid(), started, slurm, what, time.time())


def in_slurm_queue(job: str, since: float) -> bool | None:
    """Whether Slurm has a job waiting or running; None when Slurm cannot be asked.

    Args:
        job: Its number.
        since: When it was submitted, in seconds since the epoch: the last look may be older.
    """
    jobs = _slurm_queue(int(time.monotonic() // LOOK))
    if jobs is None:
        return None
    return job in jobs or time.time() - since < 2 * LOOK


@lru_cache(maxsize=1)
def _slurm_queue(look: int) -> frozenset[str] | None:
    """Numbers of the user's jobs in Slurm's queue."""
    if shutil.which("squeue") is None:
        return None
    command = ["squeue", "--noheader", "--user", str(os.getuid()), "--format", "%i"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return frozenset(asked.stdout.split()) if asked.returncode == 0 else None


def read(path: Path) -> Holder | None:
    """The holder that a lock names, None when there is no lock or it cannot be read."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def alive(path: Path, holder: Holder) -> bool:
    """Whether the holder that a lock names is still at work."""
    if holder.pid and holder.boot == boot() and holder.host == socket.gethostname():
        return process_start(holder.pid) == holder.started
    queued = in_slurm_queue(holder.slurm, holder.since) if holder.slurm else None
    if queued is not None:
        return queued
    try:
        return time.time() - path.stat().st_mtime < SILENT
    except OSError:
        return False


def holder(path: Path) -> Holder | None:
    """Who is at work under a lock, None when nobody is."""
    found = read(path)
    return found if found is not None and alive(path, found) else None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from looking at a lock and changing it in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / ".mutex").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def take(path: Path, who: Holder) -> Holder | None:
    """Take a lock, over a dead holder if need be.

    A Slurm job takes over what was noted for it when it was submitted.

    Returns:
        None when it is taken, else the living holder.
    """
    with _alone(path):
        now = holder(path)
        if now is not None and not _same(now, who):
            return now
        manifest.write_text(path, json.dumps(asdict(who)) + "\n")
    return None


def _same(one: Holder, other: Holder) -> bool:
    mine = (one.host, one.boot, one.pid) == (other.host, other.boot, other.pid)
    return mine or bool(one.slurm and one.slurm == other.slurm)


def note_submitted(path: Path, slurm: str, what: str) -> None:
    """Note a Slurm job that waits to be started, unless it has started already."""
    with _alone(path):
        now = read(path)
        if now is None or now.slurm != slurm:
            waiting = replace(myself(what), pid=0, started=0, slurm=slurm)
            manifest.write_text(path, json.dumps(asdict(waiting)) + "\n")


def release(path: Path, who: Holder) -> None:
    """Give a lock back, if it is still ours."""
    with _alone(path):
        now = read(path)
        if now is not None and _same(now, who):
            path.unlink(missing_ok=True)


@contextmanager
def held(path: Path, what: str) -> Iterator[Holder | None]:
    """Hold a lock and touch it while the block runs.

    Yields:
        None when it is held, else the living holder of it: the block must not work then.
    """
    who = myself(what)
    other = take(path, who)
    if other is not None:
        yield other
        return
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            try:
                os.utime(path)
            except OSError:
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield None
    finally:
        ended.set()
        thread.join()
        release(path, who)
