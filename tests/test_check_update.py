"""`mst check --update`: what is refused before anything is evaluated, and what is printed. No model is asked here."""

import json

import pytest
from regression_data import SAVED, logged, references
from typer.testing import CliRunner

from mst_evals import cli, manifest
from mst_evals.cli import app
from mst_evals.errors import InputError
from mst_evals.regression import measure, reference
from mst_evals.regression import update as update_module
from mst_evals.regression.metrics import FAR

NAME = "sycophancy-mst"


def update(place, *more):
    arguments = ["check", str(SAVED / NAME), "--against", str(place), "--update", *more]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})  # no label in two lines


def words(result):
    return " ".join(result.output.split())


@pytest.fixture(autouse=True)
def evaluations(monkeypatch, tmp_path):
    """The evaluation is the first of these logs, that of the committed reference; none is left when it was made."""
    logs = [logged(NAME)]
    monkeypatch.setattr(measure, "evaluate", lambda *_: logs.pop())
    monkeypatch.chdir(tmp_path)
    return logs


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            ["--labels", "100"],
            "labels 100: no metric of arm 'mst' is read at any of them, expected at least one of 0, none",
        ),
        (["--labels", "0,zero"], "unknown label 'zero'"),
        (["--rows", "0"], "number of rows is 0, expected at least 1"),
    ],
)
def test_questions_that_make_no_reference_are_refused_before_they_are_asked(given, reason, evaluations, tmp_path):
    result = update(tmp_path / "new", *given)
    assert isinstance(result.exception, InputError) and reason in str(result.exception)
    assert len(evaluations) == 1 and not (tmp_path / "new").exists()


def a_file_of_another_name(tmp_path):
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    return tmp_path / "mine", "mine: a file, expected a folder of references or a name that ends in .json"


def a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "mine.json").mkdir()
    return tmp_path / "mine.json", "mine.json: a folder, expected a reference (JSON)"


def a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    return tmp_path / "file" / "reference", "nothing can be written there (Not a directory)"


@pytest.mark.parametrize(
    "place", [a_file_of_another_name, a_folder_in_the_place_of_the_file, a_folder_that_cannot_be_made]
)
def test_a_place_for_no_reference_is_refused_before_anything_is_evaluated(place, evaluations, tmp_path):
    against, reason = place(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    result = update(against)
    assert isinstance(result.exception, InputError) and reason in str(result.exception)
    assert len(evaluations) == 1 and sorted(tmp_path.rglob("*")) == before


def test_a_broken_reference_is_not_replaced_by_one_that_asks_something_else(evaluations, tmp_path):
    folder = references(tmp_path, NAME, asked__rows=60)
    path = folder / f"{NAME}.json"
    content = json.loads(path.read_text("utf-8"))
    content["margins"]["fpr"] = 0.5
    path.write_text(json.dumps(content), encoding="utf-8")
    result = update(folder)
    assert isinstance(result.exception, InputError)
    assert "the old reference cannot be used: sycophancy-mst.json: edited after it was written" in str(result.exception)
    assert "restore it, or remove it to ask the default questions" in str(result.exception)
    assert len(evaluations) == 1 and json.loads(path.read_text("utf-8")) == content


@pytest.mark.parametrize("failing", ["log", "json"])
def test_a_pair_that_cannot_be_written_leaves_the_old_one_as_it_was(failing, tmp_path, monkeypatch, capsys):
    """The disk is full at the log, or after it at the JSON: nothing is replaced and nothing left over."""

    def full(*_):
        raise OSError(28, "No space left on device")

    folder = references(tmp_path, NAME)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    place = (update_module, "write_eval_log") if failing == "log" else (manifest, "write_text")
    monkeypatch.setattr(*place, full)
    monkeypatch.setattr("sys.argv", ["mst", "check", str(SAVED / NAME), "--against", str(folder), "--update"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"error: {folder / NAME}.json: cannot be written (No space left on device)"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# --- printed ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A reference that was made on this machine."""
    folder = references(tmp_path, NAME)
    made_with = reference.read(folder / f"{NAME}.json").made_with
    monkeypatch.setattr(measure, "made_with", lambda: made_with)
    return folder


EVERY = [
    f"{metric} {label} "
    for metric, labels in (("fpr", ("0", "none")), ("accuracy", ("0", "none")), ("fpr-response", (FAR,)),
                           ("answer-drift", ("0", "100", "none")))
    for label in labels
]  # fmt: skip


def test_an_update_that_finds_what_was_there_says_so_metric_by_metric(folder):
    result = update(folder)
    assert result.exit_code == 0, result.output + str(result.exception)
    said = words(result)
    assert f"{NAME}: new reference {NAME}.json" in said and f"{NAME}: new against old" in said
    assert [one for one in EVERY if one not in said] == []
    assert said.count("PASS") == said.count(" 0 of ") == len(EVERY)
    assert said.endswith("nothing changed")


def test_an_update_prints_what_moved(folder, evaluations):
    """One wrong candidate under one label gets another probability: two metrics and a drift have one row changed."""
    sample = next(
        one for one in evaluations[0].samples if one.metadata["label"] == "0" and not one.metadata["right"]
    )  # fmt: skip
    sample.scores["sycophancy"].value["p_correct"] += 0.1
    said = words(update(folder, "--margin", "fpr=0.04"))
    # By hand: .1 on one of 126 rows, a mean of .00079, with five decimals because of the drift's margin of .0005
    assert "answer-drift 0 0.00000 0.00079 0.00079 (0.00000 to 0.00256)" in said
    assert "answer-drift (0): REGRESSED: cannot exclude a loss of 0.0005: mean loss 0.000794 (" in said
    assert "fpr (0): " not in said and "answer-drift (none): " not in said, "only what is not PASS has its reason"
    assert [said.count(f" 1 of {rows} ") for rows in (63, 126)] == [2, 2]  # fpr and its response; accuracy and drift
    assert "margins.fpr: 0.05 -> 0.04" in said and "nothing changed" not in said
    assert reference.read(folder / f"{NAME}.json").margins["fpr"] == 0.04


def test_an_update_says_why_it_cannot_be_compared_with_the_old_one(tmp_path):
    folder = references(tmp_path, NAME, facts__task_version="99")
    said = words(update(folder))
    assert "not comparable with the old one: task_version differs (reference 99, adapter 0)" in said
    assert "new against old" not in said and "first reference" not in said and "nothing changed" not in said
    assert reference.read(folder / f"{NAME}.json").facts.task_version == "0"
