"""References of `mst check` are left out of what searches a folder for logs; named as a file, a log is taken."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import seen, stub_model, topic, write_jsonl
from inspect_ai import eval
from judging_data import reply
from regression_data import REFERENCES
from rich.console import Console

from mst_evals.errors import InputError
from mst_evals.judging import blind, judge_commands, judging_commands, logs
from mst_evals.regression import reference
from mst_evals.regression.reference_logs import without_references
from mst_evals.reporting import frame

NAME = "bias-mst"
LEFT_OUT = "1 log is a reference of mst check: left out (one that is named as a file is not)"


def beside(folder: Path, json_name: str = f"{NAME}.json", **changed: Any) -> Path:
    """A copy of a reference, and its log, under a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = json.loads((REFERENCES / f"{NAME}.json").read_text("utf-8")) | changed
    (folder / json_name).write_text(json.dumps(content), encoding="utf-8")
    return Path(shutil.copy(REFERENCES / f"{NAME}.eval", folder))


@pytest.fixture
def mixed(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A folder with a log of ours and, below it, a reference: folder, log, reference's log."""
    folder = tmp_path / "mixed"
    topics = write_jsonl(tmp_path / "t.jsonl", [topic(number) for number in range(3)])
    (log,) = eval(
        "mst_evals/bias",
        model=stub_model("Officials voted on Monday. " * 9, "writer"),
        task_args={"topics": topics, "scorer": "lexical"},
        display="none",
        log_dir=str(folder),
    )
    return folder, Path(log.location), beside(folder / "reference")


# --- which logs are references --------------------------------------------------------------------------------------


def test_the_projects_own_references_are_all_known() -> None:
    found = sorted(REFERENCES.glob("*.eval"))
    assert len(found) == 6 and without_references(found) == ([], 6)


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ({"bias-mst.json": {}}, False),
        ({"named-otherwise.json": {}}, False),
        ({"bias-mst.json": {"sha256": "edited", "margins": {}}}, False),  # broken already, and not to be broken further
        ({}, True),
        ({"bias-mst.json": {"log": {"file": "another.eval", "sha256": ""}}}, True),
        ({"bias-mst.json": {"log": "bias-mst.eval"}}, True),
    ],
)
def test_a_log_is_a_reference_where_a_reference_names_it(tmp_path: Path, files: dict[str, Any], kept: bool) -> None:
    log = Path(shutil.copy(REFERENCES / f"{NAME}.eval", tmp_path))
    for name, changed in files.items():
        beside(tmp_path, name, **changed)
    assert without_references([log]) == (([log], 0) if kept else ([], 1))


@pytest.mark.parametrize("content", ["{", "[1]", '{"log": {"file": "bias-mst.eval"}}', "\udcff", '"' + "x" * 1_000_001])
def test_other_json_beside_a_log_makes_it_no_reference(tmp_path: Path, content: str) -> None:
    log = Path(shutil.copy(REFERENCES / f"{NAME}.eval", tmp_path))
    (tmp_path / "other.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert without_references([log]) == ([log], 0)


# --- who leaves them out --------------------------------------------------------------------------------------------


def test_a_search_leaves_them_out_and_a_name_does_not(mixed: tuple[Path, Path, Path]) -> None:
    folder, ours, theirs = mixed
    assert logs.log_files([folder]) == logs.LogFiles((ours,), 1)
    assert logs.log_files([folder]).notes == (LEFT_OUT,)
    assert logs.log_files([ours, theirs]) == logs.LogFiles((ours, theirs), 0)
    assert logs.log_files([folder, theirs]) == logs.LogFiles((ours, theirs), 0)
    with pytest.raises(InputError, match=r"found no log, .*; 1 log is a reference of mst check: left out"):
        logs.log_files([theirs.parent])


def test_grades_are_not_written_into_references(
    mixed: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, theirs = mixed
    monkeypatch.chdir(folder.parent)
    before, said, judge = theirs.read_bytes(), io.StringIO(), stub_model(reply(3), "judge")
    monkeypatch.setattr("mst_evals.judging.asking.panel", lambda graders, batch: [judge])
    console = Console(file=said, width=200)
    assert judge_commands.judge_logs([folder], console, ["stub/judge"], yes=True, display="none") == 0
    assert LEFT_OUT in said.getvalue() and "1 logs, 3 articles: 3 to be judged" in said.getvalue()
    assert len(seen(judge)) == 3 and theirs.read_bytes() == before
    assert reference.read(theirs.with_suffix(".json")).name == NAME


def test_audit_blind_and_report_say_that_they_are_left_out(mixed: tuple[Path, Path, Path], tmp_path: Path) -> None:
    folder, ours, theirs = mixed
    said = io.StringIO()
    assert judging_commands.audit([folder], Console(file=said, width=200)) == 0
    assert said.getvalue().splitlines() == [LEFT_OUT, f"{ours.name}: no judge was asked (lexical_bias)"]
    made = blind.export([folder], tmp_path / "blind.csv", 3, 0)
    assert (made.found, made.notes) == (3, (LEFT_OUT,))
    found = frame.read(folder)
    assert {log["log"] for log in found.provenance} == {ours.name} and f"{LEFT_OUT}." in found.notes
    with pytest.raises(InputError, match="1 log is a reference of mst check"):
        frame.read(theirs.parent)
    assert {log["log"] for log in frame.read(theirs).provenance} == {theirs.name}
