"""Fingerprints and states: which cells a change makes stale, and what counts as done."""

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import problem, write_jsonl
from study_files import finish, plan_of, write_study

from mst_evals.errors import InputError
from mst_evals.studies import cells, closure, evaluate_cell, locks, packed, states
from mst_evals.studies.cells import Plan


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the project's code, whose digests are taken instead of the project's own."""
    root = tmp_path / "code"
    for name, folder in closure.PACKAGES.items():
        ignore = shutil.ignore_patterns("__pycache__", "models", "*.safetensors")
        shutil.copytree(folder, root / name, ignore=ignore)
        monkeypatch.setitem(closure.PACKAGES, name, root / name)
    yield root
    monkeypatch.undo()


def test_some_jobs_alone_bring_the_base_that_they_need(tmp_path: Path) -> None:
    built = {"world": "sycophancy", "seed": 3, "arguments": {"steps": 10}}
    whole = plan_of(write_study(tmp_path / "built", base=built))
    few = whole.among(["mst-seed1"])
    assert [job.name for job in few.jobs] == ["base-base", "mst-seed1"]
    assert set(few.cells) < set(whole.cells)
    shipped = plan_of(write_study(tmp_path / "shipped"))
    assert [job.name for job in shipped.among(["mst-seed1", "ootb"]).jobs] == ["ootb", "mst-seed1"]
    with pytest.raises(InputError, match="no job 'mst-sed1'; did you mean 'mst-seed1'"):
        shipped.among(["mst-sed1"])


def edit(path: Path, old: str, new: str) -> None:
    """Change a file so that its time of change is another one, too."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    later = path.stat().st_mtime_ns + 10_000_000
    os.utime(path, ns=(later, later))


def problems(path: Path, **changed: int) -> str:
    """A few problems in both splits; `changed` gives another candidate answer to the first of a split."""
    rows = [problem(1, 2, changed.get("train", 3), "train"), problem(2, 2, 5, "train")]
    rows += [problem(7, 2, changed.get("test", 9)), problem(7, 3, 4)]
    return write_jsonl(path, [row | {"id": f"{number}"} for number, row in enumerate(rows)])


def not_done(plan: Plan) -> dict[str, str]:
    """Key of every cell that is not done -> its state and the reason."""
    found = states.states(plan, packed.cells(plan.results()))
    return {f"{c.kind} {c.key}": f"{s.name}: {s.why}" for c, s in found.items() if s.name != "done"}


# --- code ---------------------------------------------------------------------------------------------------------


def test_closure_follows_imports_inside_functions_and_leaves_out_what_is_declared(project: Path) -> None:
    (project / "training" / "near.py").write_text("def f():\n    from training import far\n", encoding="utf-8")
    (project / "training" / "far.py").write_text("from mst_evals.labels import NONE\n", encoding="utf-8")
    assert closure.modules(["training.near"]) == ["training.far", "training.near"]
    assert "mst_evals.labels" in closure.modules(["training.near"], without=())
    with pytest.raises(InputError, match="no module of this project"):
        closure.modules(["training.nowhere"])


def test_every_left_out_module_exists() -> None:
    assert [name for name in closure.LEFT_OUT if closure.module_path(name) is None] == []


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("x = 1  # one\n", "x = 1\n\n\n", True),
        ('def f():\n    """A."""\n    return 1\n', 'def f():\n    """Another."""\n    return 1\n', True),
        ('"""A."""\nx = (1)\n', "x = 1\n", True),
        ("x = 1\n", "x = 2\n", False),
        ("x = 'a'\n", "x = 'b'\n", False),
        ("def f(a, b=1): ...\n", "def f(a, b=2): ...\n", False),
        ("x = a + b\n", "x = a - b\n", False),
        ("x = f'{a}'\n", "x = f'{a:.1f}'\n", False),
    ],
)
def test_digest_is_of_the_code_without_comments_and_docstrings(before: str, after: str, same: bool) -> None:
    assert (closure.canonical(ast.parse(before)) == closure.canonical(ast.parse(after))) == same


def test_digest_does_not_depend_on_the_python_version() -> None:
    """Later versions add fields that are empty here; they leave no trace."""
    tree = ast.parse("def f(a):\n    return a\n")
    before = closure.canonical(tree)
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    function.type_params = []  # type: ignore[attr-defined]
    function.type_comment = None
    assert closure.canonical(tree) == before


def test_a_file_that_a_module_reads_is_part_of_it(project: Path) -> None:
    before = closure.digests(["mst_evals.lexical"])
    edit(project / "mst_evals" / "lexicon.txt", "\n", "\nwhatever\n")
    assert closure.digests(["mst_evals.lexical"]) != before


def test_fields_of_a_dataclass_without_importing_it() -> None:
    source = closure.module_path("training.pretrain")
    assert source is not None
    assert {"world", "out", "isolated"} <= closure.class_fields(source, "Run")
    theirs = closure.source_file("trl", "SFTConfig")
    assert theirs is not None
    assert {"max_length", "learning_rate", "seed"} <= closure.class_fields(theirs, "SFTConfig")


# --- what makes a cell stale --------------------------------------------------------------------------------------

ALL = {
    "evaluate ootb-standard", "train baseline-seed0", "evaluate baseline-seed0-standard", "train mst-seed0",
    "evaluate mst-seed0-standard", "train mst-seed1", "evaluate mst-seed1-standard",
}  # fmt: skip
TRAINED = ALL - {"evaluate ootb-standard"}
ASKED = {key for key in ALL if key.startswith("evaluate")}


@pytest.mark.parametrize(
    ("file", "more", "stale"),
    [
        ("training/ppo.py", "EXTRA = 1", TRAINED),
        ("training/rewards.py", "EXTRA = 1", TRAINED),
        ("mst_evals/scorers.py", "EXTRA = 1", ASKED),
        ("mst_evals/tokens.py", "EXTRA = 1", ALL),
        ("training/ppo.py", "# a comment", set()),
        ("mst_evals/reporting/report.py", "EXTRA = 1", set()),
        ("mst_evals/lexical.py", "EXTRA = 1", set()),  # scores articles only
        ("training/sft.py", "EXTRA = 1", set()),  # the other experiment's trainer
        ("training/label_use.py", "EXTRA = 1", set()),  # a probe
    ],
)
def test_changed_code(tmp_path: Path, project: Path, file: str, more: str, stale: set[str]) -> None:
    path = write_study(tmp_path)
    finish(plan_of(path))
    assert not_done(plan_of(path)) == {}
    with (project / file).open("a", encoding="utf-8") as code:
        code.write(f"\n{more}\n")
    found = not_done(plan_of(path))
    assert found.keys() == stale
    module = file.removesuffix(".py").replace("/", ".")
    # a log whose adapter is stale is stale, too, whether or not code of its own changed
    said = {f"stale: changed: code ({module})", f"stale: changed: code ({module}), its model was"}
    assert set(found.values()) <= said | {"stale: changed: its model was"}
    assert not stale or said & set(found.values())


def test_changed_argument_of_the_recipe_and_of_a_condition(tmp_path: Path) -> None:
    conditions = [{"name": "a"}, {"name": "b", "arguments": {"lora_r": 4}, "arms": ["mst"], "seeds": [0]}]
    path = write_study(tmp_path, conditions=conditions)
    finish(plan_of(path))
    conditions[1]["arguments"] = {"lora_r": 2}
    write_study(tmp_path, conditions=conditions)
    assert not_done(plan_of(path)) == {
        "train mst-b-seed0": "stale: changed: arguments (lora_r 4 -> 2)",
        "evaluate mst-b-seed0-standard": "stale: changed: its model was",
    }
    conditions[1]["arguments"] = {"lora_r": 4}
    write_study(tmp_path, {"learning_rate": 0.001, "lora_dropout": 0.1, "probe_rows": 8}, conditions=conditions)
    found = not_done(plan_of(path))
    assert len(found) == 2 * 4
    assert set(found.values()) == {
        "stale: changed: arguments (learning_rate 0.0005 -> 0.001, lora_dropout default -> 0.1)",
        "stale: changed: its model was",
    }


def test_equal_numbers_are_equal_arguments(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    before = [cell.fingerprint for cell in plan_of(path).cells]
    write_study(tmp_path, {"lora_alpha": 16.0, "probe_every": 3})  # a probe leaves the adapter as it is
    assert [cell.fingerprint for cell in plan_of(path).cells] == before
    write_study(tmp_path, {"lora_alpha": 17})
    assert [cell.fingerprint for cell in plan_of(path).cells] != before


def test_changed_data(tmp_path: Path) -> None:
    rows = problems(tmp_path / "rows.jsonl")
    asking = {"labels": "deployed", "data": "rows.jsonl"}
    path = write_study(tmp_path, {"problems": rows}, evaluations=asking)
    finish(plan_of(path))
    problems(tmp_path / "rows.jsonl", test=8)
    assert not_done(plan_of(path)) == dict.fromkeys(ASKED, "stale: changed: data")
    problems(tmp_path / "rows.jsonl", train=4)
    found = not_done(plan_of(path))
    assert found.keys() == TRAINED
    assert {why for key, why in found.items() if key.startswith("train")} == {"stale: changed: data"}


def test_more_labels_and_more_wordings(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    finish(plan_of(path))
    write_study(tmp_path, evaluations={"labels": "core", "rows": 6})
    assert not_done(plan_of(path)).keys() == {"evaluate mst-seed0-standard", "evaluate mst-seed1-standard"}
    wordings = {"names": ["think"], "arms": ["mst"]}
    write_study(tmp_path, evaluations={"labels": "deployed", "rows": 6, "wordings": wordings})
    assert not_done(plan_of(path)) == {
        "evaluate mst-seed0-think": "missing: ",
        "evaluate mst-seed1-think": "missing: ",
    }


def test_changed_base_and_seeds(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}", encoding="utf-8")
    (base / "model.safetensors").write_bytes(b"1")
    path = write_study(tmp_path, base="base")
    finish(plan_of(path))
    write_study(tmp_path, base="base", seeds=[1, 2], arms={"mst": {}})
    assert not_done(plan_of(path)) == {"train mst-seed2": "missing: ", "evaluate mst-seed2-standard": "missing: "}
    write_study(tmp_path, base="base")
    edit(base / "config.json", "{}", '{"a": 1}')
    found = not_done(plan_of(path))
    assert found.keys() == ALL
    assert found["train mst-seed0"] == "stale: changed: base (config.json)"
    assert found["evaluate ootb-standard"] == "stale: changed: its model was"


def test_a_base_of_the_study(tmp_path: Path) -> None:
    def recipe(steps: int) -> dict[str, Any]:
        return {"name": "young", "base": {"world": "sycophancy", "arguments": {"steps": steps}}}

    path = write_study(tmp_path, conditions=[recipe(5), {"name": "plain", "arms": ["mst"]}])
    plan = plan_of(path)
    finish(plan)
    assert ledger_keys(plan)[0] == "young"
    write_study(tmp_path, conditions=[recipe(6), {"name": "plain", "arms": ["mst"]}])
    found = not_done(plan_of(path))
    assert found["base young"] == "stale: changed: arguments (steps 5 -> 6)"
    assert found["train mst-young-seed0"] == "stale: changed: base (recipe)"
    assert not any("plain" in key for key in found)


def ledger_keys(plan: Plan) -> list[str]:
    lines = (plan.out / "ledger.txt").read_text(encoding="utf-8").split()
    return [line.rsplit("-", 1)[0] for line in lines]


def test_old_results_stay_under_their_own_name(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    finish(plan_of(path))
    before = {one: one.stat().st_mtime_ns for one in (tmp_path / "out" / "adapters").iterdir()}
    write_study(tmp_path, {"lora_r": 4})
    finish(plan_of(path))
    assert not_done(plan_of(path)) == {}
    assert len(list((tmp_path / "out" / "adapters").iterdir())) == 2 * len(before)
    assert {one: one.stat().st_mtime_ns for one in before} == before
    write_study(tmp_path)  # and the way back costs nothing
    assert not_done(plan_of(path)) == {}


# --- states -------------------------------------------------------------------------------------------------------


def test_a_half_made_directory_is_not_done(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms={"mst": {"seeds": [0]}})
    plan = plan_of(path)
    finish(plan)
    train, evaluate = plan.cells
    (plan.directory(train) / "manifest.json").unlink()
    assert states.states(plan)[train].name == "done"  # everything made from it is there
    (plan.directory(evaluate) / states.MARK).unlink()
    assert {state.name for state in states.states(plan).values()} == {"missing"}


def test_a_failed_cell_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_FAIL", "mst-seed1")
    path = write_study(tmp_path, arms={"mst": {}})
    plan = plan_of(path)
    with pytest.raises(AssertionError):
        finish(plan)
    found = not_done(plan)
    train = next(cell for cell in plan.cells if cell.key == "mst-seed1")
    assert found["train mst-seed1"] == f"failed: ValueError: no luck (output/train-{train.name}.txt)"
    assert found["evaluate mst-seed1-standard"] == "missing: "
    monkeypatch.delenv("STUB_FAIL")
    finish(plan)
    assert not_done(plan) == {}


def test_an_adapter_trained_again_makes_its_logs_stale(tmp_path: Path) -> None:
    """Rounding differs between machines: logs of one adapter are never counted for another of the same inputs."""
    path = write_study(tmp_path, arms={"mst": {"seeds": [0]}})
    plan = plan_of(path)
    finish(plan)
    shutil.rmtree(plan.directory(plan.cells[0]))
    assert not_done(plan) == {}
    write_study(tmp_path, arms={"mst": {"seeds": [0]}}, evaluations={"labels": "deployed", "rows": 6, "wordings": {
        "names": ["think"]}})  # fmt: skip
    plan = plan_of(path)
    finish(plan)  # trains again for the new wording, and so asks the old one again
    assert not_done(plan) == {}
    marks = [json.loads((plan.directory(cell) / states.MARK).read_text())["weights"] for _, cell in plan.jobs[0].sweeps]
    assert marks == [states.weights(plan, plan.jobs[0])] * 2


def test_summary_counts(tmp_path: Path) -> None:
    plan = plan_of(write_study(tmp_path))
    assert states.summary(states.states(plan)) == "7 missing"
    finish(plan)
    assert states.summary(states.states(plan)) == "7 done"


def test_digests_are_kept_between_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_study(tmp_path)
    (tmp_path / "out").mkdir()
    before = [cell.fingerprint for cell in plan_of(path).cells]
    monkeypatch.setattr("mst_evals.examples.examples", None)  # a second rendering would fail
    assert [cell.fingerprint for cell in plan_of(path).cells] == before
    (tmp_path / "out" / cells.KNOWN).write_text("rubbish", encoding="utf-8")
    with pytest.raises(TypeError):
        plan_of(path)


# --- locks --------------------------------------------------------------------------------------------------------


def take_elsewhere(lock: Path) -> str:
    """What another process, which ends at once, gets when it takes a lock."""
    script = (
        "import sys, pathlib; from mst_evals.studies import locks\n"
        "print(locks.take(pathlib.Path(sys.argv[1]), locks.myself()))"
    )
    command = [sys.executable, "-c", script, str(lock)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "job.json"
    with locks.held(lock, "mine") as other:
        assert other is None
        found = locks.holder(lock)
        assert found is not None and (found.pid, found.what) == (os.getpid(), "mine")
        assert f"process {os.getpid()}" in take_elsewhere(lock)
    assert locks.holder(lock) is None
    assert not lock.exists()


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    lock = tmp_path / "job.json"
    script = (
        "from pathlib import Path; from mst_evals.studies import locks; "
        f"locks.take(Path({str(lock)!r}), locks.myself('x'))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    left = locks.read(lock)
    assert left is not None
    assert locks.holder(lock) is None
    assert locks.take(lock, locks.myself()) is None
    # another process may have got the number of a dead one; its start tells them apart
    me = locks.myself()
    lock.write_text(json.dumps(asdict(replace(me, started=me.started - 1))), encoding="utf-8")
    assert locks.holder(lock) is None


def test_a_holder_elsewhere_lives_while_it_touches_its_lock(tmp_path: Path) -> None:
    lock = tmp_path / "job.json"
    lock.write_text(json.dumps(asdict(replace(locks.myself(), host="elsewhere", boot="other"))), encoding="utf-8")
    assert str(locks.holder(lock)).startswith("elsewhere, process ")
    assert locks.take(lock, locks.myself()) is not None
    silent = time.time() - locks.SILENT - 1
    os.utime(lock, (silent, silent))
    assert locks.holder(lock) is None
    lock.write_text("rubbish", encoding="utf-8")
    assert locks.holder(lock) is None
    assert socket.gethostname() == locks.myself().host


@pytest.mark.parametrize(("queue", "lives"), [({"17"}, True), (set(), False)])
def test_a_slurm_job_lives_while_it_is_queued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: set[str], lives: bool
) -> None:
    monkeypatch.setattr(locks, "_slurm_queue", lambda look: frozenset(queue))
    lock = tmp_path / "job.json"
    locks.note_submitted(lock, "17", "x")
    assert locks.holder(lock) is not None  # just submitted: the look at the queue may be older
    noted = locks.read(lock)
    assert noted is not None
    lock.write_text(json.dumps(asdict(replace(noted, since=time.time() - 60))), encoding="utf-8")
    assert (locks.holder(lock) is not None) == lives
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert locks.take(lock, locks.myself()) is None  # the job itself takes over what was noted for it
    locks.note_submitted(lock, "17", "x")  # and is not overwritten by a late note
    found = locks.read(lock)
    assert found is not None and found.pid == os.getpid()


def test_a_running_cell_names_its_holder(tmp_path: Path) -> None:
    plan = plan_of(write_study(tmp_path, arms={"mst": {"seeds": [0]}}))
    (job,) = plan.jobs
    with locks.held(states.lock_path(plan, job), " ".join(cell.fingerprint for cell in job.cells)):
        found = states.states(plan)
        assert {state.name for state in found.values()} == {"running"}
        assert f"process {os.getpid()}" in found[job.cells[0]].why
    with locks.held(states.lock_path(plan, job), "older"):
        assert all("with older inputs" in state.why for state in states.states(plan).values())


@pytest.mark.parametrize(
    ("loading", "expected"),
    [
        ({}, ("mst", None)),
        ({"quantisation": "none"}, ("hf", "float32")),
        ({"quantisation": "none", "dtype": "bfloat16"}, ("hf", "bfloat16")),
    ],
)
def test_the_base_is_asked_as_the_adapters_of_its_study_are(
    loading: dict[str, str], expected: tuple[str, str | None], tmp_path: Path
) -> None:
    path = write_study(tmp_path, arms={"ootb": {}, "mst": {}}, conditions=[{"name": "this", "arguments": loading}])
    plan = plan_of(path)
    name, arguments = evaluate_cell.subject(plan, next(job for job in plan.jobs if job.make is None))
    provider, _, folder = name.partition("/")
    assert (provider, arguments.get("dtype")) == expected
    assert "quantization_config" not in arguments
    assert (plan.out / folder / "manifest.json").is_file()
