"""Running a study: what is missing and nothing else, whatever is killed on the way."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from study_files import finish, ledger, plan_of, pretend, work, write_study

from mst_evals import manifest
from mst_evals.errors import InputError, StepError
from mst_evals.reporting import frame
from mst_evals.studies import (
    axis_probes,
    engine,
    estimates,
    executors,
    locks,
    packed,
    packed_files,
    run_cell,
    states,
    study_commands,
)
from mst_evals.studies.cells import Plan

HERE = Path(__file__).resolve().parent
# A shell ignores SIGINT on behalf of what it starts in the background, the tests themselves perhaps.
LISTENING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
DRIVER = """
import sys; from pathlib import Path; from rich.console import Console
from mst_evals.studies import engine; import study_files
plan = study_files.plan_of(Path(sys.argv[1]))
ended = engine.run(plan, "local", int(sys.argv[2]), Console(), study_files.work)
print("\\n".join(engine.failures(ended)))
"""


@pytest.fixture(autouse=True)
def _stubs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run in processes of their own, which import the stand-ins of these tests."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(engine, "POLL", 0.05)
    monkeypatch.setattr(axis_probes, "probe", lambda plan: None)  # tests/test_study_report.py


def quiet() -> Console:
    return Console(file=io.StringIO())


def wait_for(what: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def changed(out: Path) -> dict[str, int]:
    """Time of the last change of every result."""
    return {str(path): path.stat().st_mtime_ns for name in ("adapters", "logs") for path in (out / name).glob("[!.]*")}


def drive(path: Path, jobs: int) -> subprocess.Popen[str]:
    """A run in a process of its own, which can be killed."""
    command = [sys.executable, "-c", LISTENING + DRIVER, str(path), str(jobs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def names(plan: Plan) -> list[str]:
    return sorted(cell.name for cell in plan.cells)


# --- what is run --------------------------------------------------------------------------------------------------


def test_a_run_makes_everything_once_and_then_nothing(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    plan = plan_of(path)
    ended = engine.run(plan, "local", 2, quiet(), work)
    assert engine.failures(ended) == []
    assert sorted(ledger(plan.out)) == names(plan)
    before = changed(plan.out)
    again = engine.run(plan, "local", 2, quiet(), work)
    assert engine.failures(again) == []
    assert changed(plan.out) == before
    assert sorted(ledger(plan.out)) == names(plan)
    write_study(tmp_path, seeds=[0, 1, 2], arms={"mst": {}, "ootb": {}})
    more = plan_of(path)
    engine.run(more, "local", 2, quiet(), work)
    assert changed(plan.out).items() >= before.items()
    assert sorted(ledger(plan.out)) == sorted({*names(plan), *names(more)})
    assert not list(plan.out.glob("*/.mst*"))  # nothing half-made is left


def test_no_more_jobs_at_a_time_than_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_SECONDS", "0.3")
    plan = plan_of(write_study(tmp_path, arms={"mst": {}, "baseline": {"seeds": [0]}}))
    engine.run(plan, "local", 2, quiet(), work)
    spans = [(one["began"], one["ended"]) for one in states.records(plan.out)]
    together = [sum(began <= moment < ended for began, ended in spans) for moment, _ in spans]
    assert (len(spans), max(together)) == (6, 2)


def test_a_base_is_built_before_what_needs_it(tmp_path: Path) -> None:
    young = {"name": "young", "base": {"world": "sycophancy", "arguments": {"steps": 5}}, "arms": ["mst"]}
    plan = plan_of(write_study(tmp_path, conditions=[young, {"name": "old", "arms": ["mst"]}]))
    ended = engine.run(plan, "local", 3, quiet(), work)
    assert engine.failures(ended) == []
    order = ledger(plan.out)
    base = next(job.make for job in plan.jobs if not job.arm)
    assert base is not None
    assert all(order.index(base.name) < order.index(name) for name in order if name.startswith("mst-young"))


def test_a_failed_base_takes_only_its_own_models_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_FAIL", "young")
    young = {"name": "young", "base": {"world": "sycophancy", "arguments": {"steps": 5}}, "arms": ["mst"], "seeds": [0]}
    plan = plan_of(write_study(tmp_path, conditions=[young, {"name": "old", "arms": ["mst"], "seeds": [0]}]))
    failures = engine.failures(engine.run(plan, "local", 2, quiet(), work))
    assert [line.split(":")[0] for line in failures] == ["base-young", "mst-young-seed0"]
    assert "no luck" in failures[0]
    assert sum(name.startswith("mst-old-seed0") for name in ledger(plan.out)) == 2


def test_a_failed_cell_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_FAIL", "mst-seed0")
    path = write_study(tmp_path)
    plan = plan_of(path)
    console = quiet()
    monkeypatch.setattr(run_cell, "work", work)
    monkeypatch.setattr(engine.run, "__defaults__", (work,))
    assert study_commands.run(path, 2, "local", False, plan.out, console) == 1
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert said.count("mst-seed0: train mst-seed0-") == 2  # when it ended, and in the list at the end
    assert "ValueError: no luck" in said
    assert "5 done, 1 failed, 1 missing of 7 cells" in said
    assert len(ledger(plan.out)) == 5
    monkeypatch.delenv("STUB_FAIL")
    assert study_commands.run(path, 2, "local", False, plan.out, quiet()) == 0
    assert sorted(ledger(plan.out)) == names(plan)


def test_inputs_that_change_under_way_are_not_recorded_as_what_they_were(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms={"mst": {"seeds": [0]}})
    plan = plan_of(path)
    write_study(tmp_path, {"lora_r": 4}, arms={"mst": {"seeds": [0]}})
    failures = engine.failures(engine.run(plan, "local", 1, quiet(), work))
    assert failures == ["mst-seed0: its inputs changed while the study ran; run it again"]
    assert ledger(plan.out) == []


def test_engines_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_study(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"--engine slurm: .*srun"):
        study_commands.run(path, 1, "slurm", False, tmp_path / "out", quiet())
    with pytest.raises(InputError, match="--engine is 'sge', expected one of local, slurm"):
        study_commands.run(path, 1, "sge", False, tmp_path / "out", quiet())
    with pytest.raises(InputError, match="--jobs is 0"):
        study_commands.run(path, 0, "local", False, tmp_path / "out", quiet())


@pytest.mark.parametrize(
    ("visible", "expected"), [("", []), ("0,3", ["0", "3"]), ("-1", []), ("GPU-8932f937,1", ["GPU-8932f937", "1"])]
)
def test_visible_gpus(monkeypatch: pytest.MonkeyPatch, visible: str, expected: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert executors.gpus() == expected
    assert executors.default_jobs("local") == (len(expected) or len(os.sched_getaffinity(0)))


def test_environment_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv(manifest.SEARCH_PATH, "/elsewhere")
    plan = plan_of(write_study(tmp_path))
    found = executors.environment(plan, "local")
    assert found["OMP_NUM_THREADS"] == "1"
    assert found["HF_HUB_OFFLINE"] == "1"
    assert found[manifest.SEARCH_PATH] == os.pathsep.join([str((plan.out / "bases").resolve()), "/elsewhere"])
    assert "HF_HUB_OFFLINE" not in executors.environment(plan_of(write_study(tmp_path, base="some/model")), "local")


# --- killing ------------------------------------------------------------------------------------------------------


def test_killing_the_driver_and_running_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of a killed run go on; the next run waits for them and makes nothing twice."""
    monkeypatch.setenv("STUB_SECONDS", "1")
    path = write_study(tmp_path, arms={"mst": {}, "baseline": {}})
    plan = plan_of(path)
    driver = drive(path, 2)
    wait_for(lambda: len(ledger(plan.out)) >= 3)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = changed(plan.out)
    assert 3 <= len(before) < len(plan.cells)
    monkeypatch.setenv("STUB_SECONDS", "0")
    assert engine.failures(engine.run(plan, "local", 2, quiet(), work)) == []
    assert changed(plan.out).items() >= before.items()
    assert sorted(ledger(plan.out)) == names(plan)


def test_killing_a_job_and_running_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_SECONDS", "1")
    path = write_study(tmp_path, arms={"mst": {}})
    plan = plan_of(path)
    driver = drive(path, 1)
    lock = states.lock_path(plan, plan.jobs[0])
    wait_for(states.record_path(plan.out, plan.cells[0]).exists)
    holder = locks.holder(lock)
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    said, _ = driver.communicate(timeout=60)
    assert "mst-seed0: train mst-seed0-" in said and "an earlier run of it was ended" in said
    before = changed(plan.out)
    assert {Path(one).name for one in before} == {cell.name for cell in plan.jobs[1].cells}  # the others are done
    assert states.states(plan)[plan.cells[0]].name == "missing"
    monkeypatch.setenv("STUB_SECONDS", "0")
    assert engine.failures(engine.run(plan, "local", 1, quiet(), work)) == []
    assert changed(plan.out).items() >= before.items()
    assert sorted(ledger(plan.out)) == names(plan)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    monkeypatch.setenv("STUB_SECONDS", "30")
    path = write_study(tmp_path, arms={"mst": {}})
    plan = plan_of(path)
    driver = drive(path, 2)
    held = [states.lock_path(plan, job) for job in plan.jobs]
    wait_for(lambda: all(locks.holder(lock) is not None for lock in held))
    driver.send_signal(number)
    driver.wait(timeout=20)
    assert driver.returncode != 0
    wait_for(lambda: all(locks.holder(lock) is None for lock in held), 5)
    assert changed(plan.out) == {}
    assert ledger(plan.out) == []


def test_two_runs_side_by_side_make_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_SECONDS", "0.3")
    path = write_study(tmp_path, arms={"mst": {}})
    plan = plan_of(path)
    first, second = drive(path, 1), drive(path, 2)
    said = [one.communicate(timeout=60)[0] for one in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert sorted(ledger(plan.out)) == names(plan)
    assert {state.name for state in states.states(plan).values()} == {"done"}


def test_a_child_dies_with_the_job_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(
        "import os, time\nopen('child', 'w').write(str(os.getpid()))\ntime.sleep(60)\n", encoding="utf-8"
    )
    script = "from pathlib import Path; from mst_evals.studies import run_cell; "
    script += "run_cell.start(['sleeper'], Path('out.txt'))"
    job = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path)
    wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text() != "")
    child = int((tmp_path / "child").read_text())
    assert locks.process_start(child) is not None
    job.kill()
    job.wait()
    wait_for(lambda: locks.process_start(child) is None, 5)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (r"print('a\rb', file=sys.stderr); raise KeyError('x')", "KeyError: 'x'"),
        ("print('error: no such file', file=sys.stderr); sys.exit(2)", "no such file"),
        (r"print('\x1b[31mred\x1b[0m'); sys.exit(1)", "red"),
        ("sys.exit(3)", "it ended with 3"),
    ],
)
def test_the_last_line_of_a_failed_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "bad.py").write_text(f"import sys\n{code}\n", encoding="utf-8")
    with pytest.raises(StepError) as caught:
        run_cell.start(["bad"], tmp_path / "out.txt")
    assert str(caught.value) == said


# --- what is printed ----------------------------------------------------------------------------------------------


def printed(say: Callable[[Console], object]) -> str:
    console = Console(file=io.StringIO(), width=120)
    say(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_dry_run_and_status(tmp_path: Path) -> None:
    path = write_study(tmp_path, minutes=75, durations={"train": 100, "evaluate": 20})
    out = tmp_path / "out"
    said = printed(lambda console: study_commands.run(path, 2, "local", True, out, console))
    # 3 trainings and 4 sweeps: 380 s in all, on two at a time half of it
    assert "2 jobs at a time: about 3 min (6 min one after another); declared budget of 75 min" in said
    assert not out.exists()
    tight = write_study(tmp_path / "tight", minutes=2, durations={"train": 100, "evaluate": 20})
    said = printed(lambda console: study_commands.run(tight, 2, "local", True, out, console))
    assert "about 3 min (6 min one after another); OVER THE budget of 2 min" in said
    plan = plan_of(path)
    finish(plan)
    said = printed(lambda console: study_commands.run(path, 2, "local", True, out, console))
    assert "about 0 s (0 s one after another)" in said
    write_study(tmp_path, {"lora_r": 4})
    said = printed(lambda console: study_commands.status(path, out, False, console))
    assert "train: changed: arguments (lora_r 8 -> 4)" in said
    assert "tiny: 1 done, 6 stale of 7 cells" in said
    said = printed(lambda console: study_commands.status(path, out, True, console))
    assert said.count("its model was") == 3


def test_expected_seconds(tmp_path: Path) -> None:
    plan = plan_of(write_study(tmp_path, durations={"train": 100}))
    keys = {cell.key: seconds for cell, seconds in estimates.seconds(plan, []).items()}
    assert keys["mst-seed0"] == 100
    asked = 6 * 7  # rows, by "0", none and five nonsense strings
    assert keys["mst-seed0-standard"] == pytest.approx(
        estimates.START + estimates.PER_1000["sycophancy"] * asked / 1000
    )
    past = [
        {"kind": "train", "key": "mst-seed0", "status": "done", "seconds": 50.0},
        {"kind": "train", "key": "baseline-seed0", "status": "done", "seconds": 70.0},
        {"kind": "train", "key": "mst-seed1", "status": "failed", "seconds": 1.0},
        {"kind": "evaluate", "key": "mst-seed0-standard", "status": "done", "seconds": 9.0, "samples": asked},
    ]
    keys = {cell.key: seconds for cell, seconds in estimates.seconds(plan, past).items()}
    assert (keys["mst-seed0"], keys["baseline-seed0"], keys["mst-seed1"]) == (50, 70, 60)
    assert (keys["mst-seed0-standard"], keys["mst-seed1-standard"]) == (9, 9)
    other = estimates.START + estimates.PER_1000["sycophancy"] * 12 / 1000
    assert keys["baseline-seed0-standard"] == pytest.approx(other)  # another number of samples: 6 rows by two labels


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h")])
def test_minutes(seconds: float, said: str) -> None:
    assert estimates.minutes(seconds) == said


def test_status_imports_nothing_heavy(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    script = (
        "import sys; from pathlib import Path; from rich.console import Console\n"
        "from mst_evals.studies import study_commands\n"
        "study_commands.status(Path(sys.argv[1]), None, False, Console())\n"
        "assert not {'torch', 'inspect_ai', 'pandas', 'transformers', 'trl'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", script, str(path)]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "tiny: 7 missing of 7 cells; runs/tiny" in said.stdout


# --- the real thing -----------------------------------------------------------------------------------------------


def test_a_study_really_run_packed_and_taken_elsewhere(tmp_path: Path) -> None:
    """Two optimiser steps on six rows: a real training, real logs, and their compact form."""
    conditions = [{"name": "small", "arguments": {"lora_r": 2}}]
    arms = {"ootb": {}, "mst": {"seeds": [0]}}
    path = write_study(tmp_path / "study", {"rows": 24}, arms=arms, conditions=conditions)
    plan = plan_of(path)
    assert engine.failures(engine.run(plan, "local", 1, quiet())) == []
    adapter = manifest.read(plan.directory(plan.jobs[1].cells[0]))
    assert adapter is not None
    assert (adapter.arm, adapter.seed, adapter.condition, adapter.arguments["lora_r"]) == ("mst", 0, "small", 2)

    assert {one["machine"]["threads"] for one in states.records(plan.out)} == {"1"}

    whole = packed.frame(plan)
    assert set(whole.samples["arm"]) == {"ootb", "mst"}
    assert set(whole.samples["condition"]) == {"small"}
    assert len(whole.samples) == 6 * 2 + 6 * 7
    assert whole.samples["value"].notna().all()
    assert {log["adapter_sha256"] for log in whole.provenance} == {None, adapter.adapter_sha256}

    for log in plan.out.glob("logs/*/*.eval"):
        with zipfile.ZipFile(log) as archive:
            header = archive.read("header.json").decode()
        assert str(tmp_path) not in header
        assert json.loads(header)["eval"]["metadata"]["study"] == "tiny"

    folder = plan.results()
    done = packed.pack(plan, folder)
    assert (len(done.added), done.kept, done.dropped) == (3, 0, [])
    assert str(tmp_path) not in (folder / packed.CELLS).read_text(encoding="utf-8")
    taken = packed.load(folder)
    pd.testing.assert_frame_equal(taken.samples, whole.samples)
    assert (taken.provenance, taken.notes) == (whole.provenance, whole.notes)
    logs = frame.read(plan.out / "logs").samples
    keys = ["arm", "label", "variant", "row_id"]
    by_hand, by_pack = (one.sort_values(keys, ignore_index=True).drop(columns="log") for one in (logs, taken.samples))
    pd.testing.assert_frame_equal(by_pack, by_hand)

    assert packed.copy_logs(plan, folder, 0) > 0
    copied = {str(log.relative_to(folder / "logs")) for log in (folder / "logs").glob("*/*.eval")}
    assert copied == {log["log"] for log in taken.provenance}

    elsewhere = plan_of(path, tmp_path / "another machine")
    assert {state.why for state in study_commands.look(elsewhere).values() if state.name == "done"} >= {"packed"}
    assert engine.failures(engine.run(elsewhere, "local", 1, quiet())) == []
    assert not (elsewhere.out / "adapters").exists()
    pd.testing.assert_frame_equal(packed.frame(elsewhere).samples, whole.samples)


# --- packing (on made-up logs) ------------------------------------------------------------------------------------


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of stand-ins hold no samples; their frame has one line for each."""

    def local(plan: Plan) -> frame.Frame | None:
        logs = [f"{cell.name}/log.eval" for _, cell in packed.current(plan)]
        weights = [states.mark(plan, cell)["weights"] for _, cell in packed.current(plan)]  # type: ignore[index]
        samples = pd.DataFrame({"log": logs, "value": range(len(logs)), "weights": weights})
        provenance = [{"log": log, "created": f"2026-01-0{number}"} for number, log in enumerate(logs)]
        return frame.Frame(samples, provenance, []) if logs else None

    monkeypatch.setattr(packed, "_local", local)


@pytest.mark.usefixtures("made_up")
def test_packing_adds_keeps_and_drops(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms={"mst": {"seeds": [0]}})
    with pytest.raises(InputError, match="nothing is finished yet"):
        packed.pack(plan_of(path), tmp_path / "packed")
    finish(plan_of(path))
    first = packed.pack(plan_of(path), tmp_path / "packed")
    assert (len(first.added), first.kept, first.dropped) == (2, 0, [])
    # another day, another machine: the second seed
    write_study(tmp_path, arms={"mst": {}})
    second_day = plan_of(path, tmp_path / "second")
    finish(second_day)
    assert sorted(name.split("-")[1] for name in ledger(second_day.out)) == ["seed1", "seed1"]
    second = packed.pack(second_day, tmp_path / "packed")
    assert (len(second.added), second.kept, second.dropped) == (2, 2, [])
    assert [one["key"] for one in packed.cells(tmp_path / "packed")] == [
        "mst-seed0", "mst-seed0-standard", "mst-seed1", "mst-seed1-standard",
    ]  # fmt: skip
    assert len(packed.load(tmp_path / "packed").samples) == 2
    again = packed.pack(second_day, tmp_path / "packed")
    assert (again.added, again.kept, again.dropped) == ([], 4, [])
    # the recipe changes for good: nothing of before may stay
    write_study(tmp_path, {"lora_r": 4}, arms={"mst": {"seeds": [1]}})
    changed_plan = plan_of(path, tmp_path / "third")
    finish(changed_plan)
    third = packed.pack(changed_plan, tmp_path / "packed")
    assert (len(third.added), third.kept) == (2, 0)
    assert sorted(line.split(": ", 1)[1] for line in third.dropped) == [
        "changed: arguments (lora_r 8 -> 4)", "changed: its model was", "it is not in the study any more",
        "it is not in the study any more",
    ]  # fmt: skip
    assert len(packed.load(tmp_path / "packed").samples) == 1


@pytest.mark.usefixtures("made_up")
def test_packed_logs_of_other_weights_are_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_study(tmp_path, arms={"mst": {"seeds": [0]}})
    finish(plan_of(path))
    packed.pack(plan_of(path), tmp_path / "packed")
    other = plan_of(path, tmp_path / "other")
    monkeypatch.setattr(run_cell, "start", pretend)
    run_cell.make(other, other.jobs[0])  # trained here too, with other weights
    found = study_commands.look(other)
    assert [state.name for state in found.values()] == ["done", "stale"]
    finish(other)
    done = packed.pack(other, tmp_path / "packed")
    assert len(packed.load(tmp_path / "packed").samples) == 1
    assert set(packed.load(tmp_path / "packed").samples["weights"]) == {states.weights(other, other.jobs[0])}
    assert done.dropped == []


def test_only_logs_of_the_main_wording_and_of_the_main_arms_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"labels": "deployed", "rows": 6, "wordings": {"names": ["think"], "arms": ["mst"], "labels": ["own"]}}
    path = write_study(
        tmp_path, arms={"ootb": None, "mst": {"seeds": [0, 1]}, "words": {"seeds": [0]}}, evaluations=asked
    )
    plan = plan_of(path)
    finish(plan)
    for _, cell in packed.current(plan):
        with zipfile.ZipFile(plan.directory(cell) / "log.eval", "w") as log:
            log.writestr("header.json", "{}" * 500)
    size = packed.copy_logs(plan, tmp_path / "packed", 0)
    both = list((tmp_path / "packed" / "logs").glob("*/*.eval"))
    assert size == sum(log.stat().st_size for log in both) < 1000  # of 2,000 bytes that compress well
    assert [packed_files.zipfile.ZipFile(log).read("header.json") for log in both] == [b"{}" * 500] * 2
    copied = {log.parent.name.rsplit("-", 1)[0] for log in (tmp_path / "packed" / "logs").glob("*/*.eval")}
    assert copied == {"ootb-standard", "mst-seed0-standard"}

    log, copy = next(iter(plan.out.glob("logs/*/*.eval"))), tmp_path / "copy.eval"
    times = []
    for _ in range(2):
        packed_files.copy_log(log, copy)
        times.append([part.date_time for part in packed_files.zipfile.ZipFile(copy).infolist()])
    assert times[0] == times[1] == [part.date_time for part in packed_files.zipfile.ZipFile(log).infolist()]

    # A copy that is cut off half-way leaves the one before, whole, and the next one clears up after it.
    before = {log: log.read_bytes() for log in both}
    whole = packed_files.copy_log
    monkeypatch.setattr(packed_files, "copy_log", lambda log, copy: [whole(log, copy), 1 / 0])
    with pytest.raises(ZeroDivisionError):
        packed.copy_logs(plan, tmp_path / "packed", 0)
    assert {log: log.read_bytes() for log in (tmp_path / "packed" / "logs").glob("*/*.eval")} == before
    monkeypatch.setattr(packed_files, "copy_log", whole)
    assert packed.copy_logs(plan, tmp_path / "packed", 0) == size
    assert [path.name for path in (tmp_path / "packed").iterdir()] == ["logs"]


@pytest.mark.usefixtures("made_up")
def test_a_damaged_packing_is_refused(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms={"mst": {"seeds": [0]}})
    finish(plan_of(path))
    folder = tmp_path / "packed"
    packed.pack(plan_of(path), folder)
    (folder / packed.FRAME).write_bytes(b"other")
    with pytest.raises(InputError, match=r"frame.parquet: sha256 is .* expected"):
        packed.load(folder)
    (folder / packed.CELLS).write_text('{"schema": 7}', encoding="utf-8")
    with pytest.raises(InputError, match="schema is 7, expected 1"):
        packed.cells(folder)
    (folder / packed.CELLS).write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="not JSON"):
        packed.cells(folder)
    with pytest.raises(InputError, match="expected a folder that `mst pack` made"):
        packed.load(tmp_path / "nowhere")
