"""The Slurm engine on a real Slurm of one node, which `tests/slurm/start.sh` starts."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from study_files import ledger, plan_of, work, write_study

from mst_evals.errors import InputError
from mst_evals.studies import engine, executors, locks, states

HERE = Path(__file__).resolve().parent
SLURM = HERE / "slurm"
NEEDED = ("slurmctld", "slurmd", "sbatch", "squeue", "munged")
MISSING = [name for name in NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (tests/slurm/start.sh installs them)"
    ),
]
# A shell's background job, and so a test that is run in one, starts with SIGINT ignored.
DRIVER = """
import signal; signal.signal(signal.SIGINT, signal.default_int_handler)
import sys; from pathlib import Path; from rich.console import Console
from mst_evals.studies import engine; import study_files
plan = study_files.plan_of(Path(sys.argv[1]))
print("\\n".join(engine.failures(engine.run(plan, "slurm", 8, Console(), study_files.work))))
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running Slurm; yields its configuration."""
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([SLURM / "start.sh", folder], capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr
    yield folder / "slurm.conf"
    subprocess.run([SLURM / "stop.sh", folder], check=True)


@pytest.fixture(autouse=True)
def _in_a_cluster(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", str(slurm))
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setattr(locks, "LOOK", 1)


def quiet() -> Console:
    return Console(file=io.StringIO())


def queue() -> list[str]:
    said = subprocess.run(["squeue", "--noheader", "--format", "%i %T %j"], capture_output=True, text=True, check=True)
    return said.stdout.splitlines()


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"waited in vain; queue: {queue()}"
        time.sleep(0.1)


def drive(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", DRIVER, str(path)], stdout=subprocess.PIPE, text=True)


def test_a_study_through_slurm(tmp_path: Path) -> None:
    young = {"name": "young", "base": {"world": "sycophancy", "arguments": {"steps": 5}}}
    plan = plan_of(write_study(tmp_path, conditions=[young], slurm={"timeout_min": 5, "cpus_per_task": 1}))
    ended = engine.run(plan, "slurm", 8, quiet(), work)
    assert engine.failures(ended) == []
    assert sorted(ledger(plan.out)) == sorted(cell.name for cell in plan.cells)
    scripts = list(plan.out.glob("jobs/*/*_submission.sh"))
    assert len(scripts) == len(plan.jobs)
    assert all("#SBATCH --time=5" in script.read_text(encoding="utf-8") for script in scripts)
    again = engine.run(plan, "slurm", 8, quiet(), work)
    assert engine.failures(again) == []
    assert len(list(plan.out.glob("jobs/*/*_submission.sh"))) == len(plan.jobs)


def test_jobs_outlive_their_driver_and_are_not_submitted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_SECONDS", "3")
    path = write_study(tmp_path, arms={"mst": {}, "baseline": {}})
    plan = plan_of(path)
    driver = drive(path)
    wait_for(lambda: len(queue()) == 4)  # two at work, two waiting for a core
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    found = states.states(plan)
    assert all(state.name == "running" for state in found.values())
    assert all("Slurm job" in state.why for state in found.values())
    assert engine.failures(engine.run(plan, "slurm", 8, quiet(), work)) == []
    assert sorted(ledger(plan.out)) == sorted(cell.name for cell in plan.cells)
    assert len(list(plan.out.glob("jobs/*/*_submission.sh"))) == 4


def test_a_cancelled_job_is_seen_and_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_SECONDS", "3")
    path = write_study(tmp_path, arms={"mst": {}})
    plan = plan_of(path)
    driver = drive(path)
    lock = states.lock_path(plan, plan.jobs[0])
    wait_for(lambda: (holder := locks.holder(lock)) is not None and holder.pid > 0)
    holder = locks.read(lock)
    assert holder is not None
    subprocess.run(["scancel", "--signal=KILL", "--full", holder.slurm], check=True)
    said, _ = driver.communicate(timeout=120)
    assert "mst-seed0: " in said and "mst-seed1: " not in said.splitlines()[-1]
    assert engine.failures(engine.run(plan, "slurm", 8, quiet(), work)) == []
    assert sorted(ledger(plan.out)) == sorted(cell.name for cell in plan.cells)


def test_an_interrupt_empties_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_SECONDS", "60")
    path = write_study(tmp_path, arms={"mst": {}, "baseline": {}})
    plan = plan_of(path)
    driver = drive(path)
    wait_for(lambda: len(queue()) == 4)
    driver.send_signal(signal.SIGINT)
    driver.wait(timeout=60)
    wait_for(lambda: queue() == [])
    assert ledger(plan.out) == []
    wait_for(lambda: {state.name for state in states.states(plan).values()} == {"missing"})


def test_a_parameter_that_slurm_does_not_have(tmp_path: Path) -> None:
    plan = plan_of(write_study(tmp_path, slurm={"partion": "test"}))
    with pytest.raises(InputError, match=r"tiny.yaml: slurm: .*partion"):
        executors.executor(plan, "slurm")


def test_a_real_training_and_evaluation_through_slurm(tmp_path: Path) -> None:
    path, out = write_study(tmp_path, {"rows": 24}, arms={"ootb": {}, "mst": {"seeds": [0]}}), tmp_path / "out"
    command = [sys.executable, "-m", "mst_evals.cli", "run", str(path), "--engine", "slurm", "--out", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "tiny: 3 done of 3 cells" in ended.stdout
    assert len(list((out / "logs").glob("*/*.eval"))) == 2
