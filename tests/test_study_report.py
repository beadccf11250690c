"""What stands beside a study's runs: the axis probe of each base, and the report of a study file."""

import io
import json
import subprocess
from pathlib import Path

import pytest
from rich.console import Console
from study_files import finish, plan_of, write_study

from mst_evals import manifest
from mst_evals.errors import InputError
from mst_evals.studies import axis_probes, run_cell, study_commands

SHIPPED = manifest.SHIPPED / "micro-qwen"


class Commands:
    """Stands in for `subprocess.run`: notes the command and leaves what the probe leaves, or fails."""

    def __init__(self, fail: bool = False) -> None:
        self.seen: list[list[str]] = []
        self.fail = fail

    def __call__(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        self.seen.append(command)
        if not self.fail:
            base = manifest.read(Path(command[3]))
            assert base is not None
            Path(command[-1]).write_text(json.dumps({"base_sha256": base.base_sha256}))
        return subprocess.CompletedProcess(command, int(self.fail), "", "Traceback\nValueError: no luck\n")


def test_every_base_of_a_study_is_probed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped base, and the one that the study builds once it is there."""
    built = {"name": "young", "base": {"world": "sycophancy", "arguments": {"steps": 5}}, "arms": ["mst"], "seeds": [0]}
    plan = plan_of(write_study(tmp_path, conditions=[built, {"name": "old", "arms": ["ootb", "mst"], "seeds": [0]}]))
    assert axis_probes.bases(plan) == [SHIPPED]
    finish(plan)
    commands = Commands()
    monkeypatch.setattr(axis_probes.subprocess, "run", commands)
    axis_probes.probe(plan)
    asked = [command[1:] for command in commands.seen]
    assert [command[:2] for command in asked] == [["-m", "training.axis_probe"]] * 2
    assert {Path(command[2]).name for command in asked} == {"micro-qwen", axis_probes.bases(plan)[0].name}
    assert all(command[3:5] == ["--axis", "suggestibility"] for command in asked)
    axis_probes.probe(plan)
    assert len(commands.seen) == 2
    (tmp_path / "out" / "probes" / "micro-qwen.json").write_text('{"base_sha256": "of other weights"}')
    axis_probes.probe(plan)
    assert len(commands.seen) == 3
    axis_probes.copy(plan, tmp_path / "kept")
    assert len(list((tmp_path / "kept" / "probes").glob("*.json"))) == 2


def test_a_probe_that_fails_says_why_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(axis_probes.subprocess, "run", Commands(fail=True))
    axis_probes.probe(plan_of(write_study(tmp_path)))
    assert capsys.readouterr().err == "axis probe of micro-qwen failed: ValueError: no luck\n"


def test_the_report_of_a_study_that_has_not_run_says_what_to_do(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    with pytest.raises(InputError, match=r"nothing is finished yet; `mst run .*tiny.yaml` runs it"):
        study_commands.report(path, tmp_path / "out", tmp_path / "report", Console(file=io.StringIO()))
    assert not (tmp_path / "report").exists()


def test_a_study_file_is_reported_on_as_far_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One base asked for real: the report names what the study declared and lists what is missing."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    declared = [{"a": {"arm": "mst", "label": "held_out"}, "b": {"arm": "baseline", "label": "none"}, "metric": "fpr"}]
    path = write_study(tmp_path, comparisons=declared)
    plan = plan_of(path)
    (job,) = [one for one in plan.jobs if one.name == "ootb"]
    paths = str(path.resolve()), str(plan.out.resolve())
    assert run_cell.work(*paths, job.name, run_cell.fingerprints(job), {}) == run_cell.DONE
    console = Console(file=io.StringIO(), width=100)
    study_commands.report(path, plan.out, tmp_path / "report", console)
    assert "1 done" in console.file.getvalue()
    found = json.loads((tmp_path / "report" / "results.json").read_text())
    assert {row["arm"] for row in found["arms"]} == {"ootb"}
    (missing,) = [row for row in found["comparisons"] if row["confirmatory"]]
    assert (missing["arm_a"], missing["arm_b"], missing["diff"]) == ("mst", "baseline", None)
    assert (missing["seeds_planned"], missing["seeds_missing"]) == ([0], [0])  # mst has two seeds, baseline one
    said = "Unfinished: 1 of 4 evaluation cells of the study tiny are done."
    for document in ("report.md", "report.html"):
        text = (tmp_path / "report" / document).read_text("utf-8")
        assert text.index(said) < text.index("Declared comparisons of the study tiny")
    assert "| – | mst | standard | all | 0, 1 | 0 of 2 | 2 |" in (tmp_path / "report" / "report.md").read_text("utf-8")
