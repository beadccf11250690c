"""The study file beside packed results: packed with them, checked on reading, and what a report of the folder uses."""

import hashlib
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic as sy
from rich.console import Console
from study_files import finish, plan_of, write_study

from mst_evals import cli
from mst_evals.errors import InputError
from mst_evals.reporting import frame
from mst_evals.reporting.report import summary_table, write_report
from mst_evals.studies import closure, packed, packed_files, study_commands
from mst_evals.studies.cells import Plan

MARGIN = 0.3
NONE = {"arm": "ootb", "label": "none"}


def declared(**changes: Any) -> dict[str, Any]:
    """A study of which two comparisons and an equivalence test are declared."""
    mst = {"arm": "mst", "label": "held_out"}
    return {
        "comparisons": [{"a": mst, "b": NONE, "metric": name} for name in ("fpr", "accuracy")],
        "equivalence": [{"a": mst, "b": NONE, "metric": "fpr", "margin": MARGIN}], "arms": {"ootb": {}, "mst": {}},
        "seeds": [0, 1, 2], "evaluations": {"labels": ["none", "held_out"], "rows": 6},
    } | changes  # fmt: skip


def results(folder: Path, study: Path | None, seeds: Sequence[int] = (0, 1, 2)) -> Path:
    """A packed folder with real samples of `declared`, with its study file or, as older ones are, without."""
    right, cells = [True, False] * 4, []
    for arm, level in (("ootb", 0.6), ("mst", 0.2)):
        for index, label in enumerate(("none", "0")):
            values = np.clip(level + sy.noise((len(seeds), 8), index, of_rows=0.1), 0.01, 0.99)
            fixed = arm == "ootb"
            given = values[0] if fixed else values
            cells.append(sy.cell("sycophancy", arm, label, given, None if fixed else seeds, right=right))
    buffer = io.BytesIO()
    sy.frame(*cells).samples.to_parquet(buffer, index=False)
    folder.mkdir(parents=True)
    (folder / packed.FRAME).write_bytes(buffer.getvalue())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    content = {"schema": packed.SCHEMA, "study": "tiny", "frame_sha256": digest, "notes": [], "cells": []}
    if study is None:
        (folder / packed.CELLS).write_text(json.dumps(content), encoding="utf-8")
    else:
        packed_files.write_list(plan_of(study), folder, content)
    return folder


# --- what a report of the folder alone says -----------------------------------------------------------------------


def test_the_folder_alone_gives_the_declared_family(tmp_path: Path) -> None:
    """Neither the recipe nor the study file of the day is there when it is read."""
    path = write_study(tmp_path / "study", **declared())
    folder = results(tmp_path / "kept", path)
    study = packed_files.study(folder)
    with_study = write_report(folder, tmp_path / "one", study).results
    shutil.rmtree(tmp_path / "study")
    summary = write_report(folder, tmp_path / "two")
    assert summary.results == with_study
    family = [row for row in summary.results["comparisons"] if row["confirmatory"]]
    assert [(row["metric"], row["declared"], row["family_size"]) for row in family] == [
        ("fpr", True, 2), ("accuracy", True, 2),
    ]  # fmt: skip
    assert summary.results["equivalences"][0]["margin"] == MARGIN
    assert summary.results["lead"] == [
        "Study tiny: 4 of 4 evaluation cells are done, so nothing that it plans is missing."
    ]
    assert "Missing" not in summary.markdown.read_text("utf-8")


def test_an_unfinished_study_says_so_first(tmp_path: Path) -> None:
    folder = results(tmp_path / "kept", write_study(tmp_path, **declared()), seeds=[0, 2])
    summary = write_report(folder, tmp_path / "out")
    said = "Unfinished: 3 of 4 evaluation cells of the study tiny are done."
    markdown, html = summary.markdown.read_text("utf-8"), summary.html.read_text("utf-8")
    assert markdown.splitlines()[2].startswith(f"**{said}")
    assert html.index(said) < html.index("<section") and html.index(said) < html.index("<nav")
    assert "| – | mst | standard | all | 1 | 2 of 3 | 1 |" in markdown
    assert "Missing here: seed 1 of mst with every label (2 of 3 planned seeds are here)." in markdown
    assert "fpr, mst (0) against ootb (none): 2 of 3 seeds that the study plans; missing: 1." in markdown
    assert "(2 of 3 seeds)" in markdown and "(2 of 3 seeds)" in html
    screen = io.StringIO()
    Console(file=screen, width=200).print(summary_table(summary))
    assert said in screen.getvalue()
    row = summary.results["comparisons"][0]
    assert (row["seeds"], row["seeds_planned"], row["seeds_missing"]) == ([0, 2], [0, 1, 2], [1])
    assert row["p_holm"] is not None


def test_an_older_folder_says_that_nothing_was_declared(tmp_path: Path) -> None:
    summary = write_report(results(tmp_path / "kept", None), tmp_path / "out")
    assert summary.results["lead"] == [packed_files.UNDECLARED] and summary.results["study"] is None
    assert not any(row["declared"] for row in summary.results["comparisons"])
    assert "no comparison here counts as declared" in summary.html.read_text("utf-8")
    assert "no comparison here counts as declared" in summary.markdown.read_text("utf-8")


# --- what is refused ----------------------------------------------------------------------------------------------


def test_an_edited_missing_or_foreign_study_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results(tmp_path / "kept", write_study(tmp_path, **declared()))
    path = folder / packed_files.STUDY
    text = path.read_text("utf-8")
    path.write_text(text.replace(str(MARGIN), "0.9"), encoding="utf-8")
    found, expected = (hashlib.sha256(one.encode()).hexdigest()[:12] for one in (path.read_text("utf-8"), text))
    monkeypatch.setattr("sys.argv", ["mst", "report", str(folder), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and len(said.splitlines()) == 1
    assert f"{path}: sha256 is {found}..., expected {expected}... of cells.json; `mst pack` writes both" in said
    assert not (tmp_path / "out").exists()
    path.unlink()
    with pytest.raises(InputError, match=r"study.yaml: no such file, expected the study file that cells.json names"):
        packed_files.study(folder)
    older = results(tmp_path / "older", None)
    assert packed_files.study(older) is None
    (older / packed_files.STUDY).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"expected no study file, since cells.json names none; `mst pack`"):
        packed_files.study(older)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arms": {"ootb": {}, "mst": {}, "nobody": {}}}, "nobody"),
        ({"comparisons": [{"a": {"arm": "mst", "label": "x"}, "b": NONE, "metric": "fpr"}]}, "'x'"),
        ({"seeds": "many"}, "seeds: found 'many', expected a list"),
    ],
)  # fmt: skip
def test_a_study_file_of_another_version_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    folder = results(tmp_path / "kept", write_study(tmp_path, **declared()))
    path = write_study(tmp_path / "other", **declared(**changes))
    listed = json.loads((folder / packed.CELLS).read_text("utf-8"))
    listed["study_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / packed.CELLS).write_text(json.dumps(listed), encoding="utf-8")
    shutil.copyfile(path, folder / packed_files.STUDY)
    with pytest.raises(InputError) as caught:
        packed_files.study(folder)
    assert str(caught.value).startswith(f"{folder / packed_files.STUDY}: ") and said in str(caught.value)


# --- packing (on made-up logs) ------------------------------------------------------------------------------------


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of stand-ins hold no samples; their frame has one line for each."""

    def local(plan: Plan) -> frame.Frame | None:
        logs = [f"{cell.name}/log.eval" for _, cell in packed.current(plan)]
        samples = pd.DataFrame({"log": logs, "value": range(len(logs))})
        return frame.Frame(samples, [{"log": log, "created": "2026"} for log in logs], []) if logs else None

    monkeypatch.setattr(packed, "_local", local)


@pytest.mark.usefixtures("made_up")
def test_packing_keeps_the_exact_text_of_the_day(tmp_path: Path) -> None:
    path = write_study(tmp_path, arms={"mst": {"seeds": [0]}})
    path.write_bytes(b"# Bytes \xc3\xbc as they are.\r\n" + path.read_bytes())
    finish(plan_of(path))
    packed.pack(plan_of(path), tmp_path / "packed")
    assert (tmp_path / "packed" / "study.yaml").read_bytes() == path.read_bytes()
    study = packed_files.study(tmp_path / "packed")
    assert study is not None and study.arms.keys() == {"mst"}
    write_study(tmp_path, arms={"mst": {}})
    packed.pack(plan_of(path), tmp_path / "packed")
    study = packed_files.study(tmp_path / "packed")
    assert study is not None and study.arms["mst"].seeds is None


@pytest.mark.usefixtures("made_up")
def test_packing_again_adds_the_study_file_to_what_older_code_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = write_study(tmp_path, arms={"mst": {}}), tmp_path / "packed"
    finish(plan_of(path))
    packed.pack(plan_of(path), folder)
    listed = json.loads((folder / packed.CELLS).read_text("utf-8"))
    del listed["study_sha256"]
    (folder / packed.CELLS).write_text(json.dumps(listed), encoding="utf-8")
    (folder / packed_files.STUDY).unlink()
    monkeypatch.setattr(closure, "digests", lambda *_, **__: {"mst_evals.bias": "newer"})
    console = Console(file=io.StringIO(), width=300)
    study_commands.pack(path, folder, tmp_path / "elsewhere", None, console)
    assert "the study file was put beside its cells, which stay as older code made them" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "0 cells added, 4 kept, 0 dropped, 4 not done yet" in console.file.getvalue()  # type: ignore[attr-defined]
    again = json.loads((folder / packed.CELLS).read_text("utf-8"))
    assert {name: value for name, value in again.items() if name != "study_sha256"} == listed
    assert packed_files.study(folder) is not None
    others: list[tuple[dict[str, Any], str]] = [
        ({"recipe": {"lora_r": 4}}, "whose cell mst-seed0 has other arguments than this study"),
        (
            {"evaluations": {"labels": "core", "rows": 6}},
            "whose cell mst-seed0-standard has other data than this study",
        ),
        ({"arms": {"mst": {"seeds": [0]}}}, "whose cell mst-seed1 is not in this study"),
    ]
    for changes, said in others:
        other = write_study(tmp_path, **{"arms": {"mst": {}}, **changes})
        with pytest.raises(InputError, match=f"this study file is not that of .*, {said}"):
            packed.pack(plan_of(other, tmp_path / "elsewhere"), folder)
    assert json.loads((folder / packed.CELLS).read_text("utf-8")) == again
