"""The signed-off JSON and its log, and what is refused before anything is evaluated. Nothing here asks a model."""

import json
import re
import shutil

import pytest
from regression_data import NAMES, OTHER_SEED, REFERENCES, SAVED, references
from typer.testing import CliRunner

from mst_evals import labels, lexical, manifest
from mst_evals.cli import app
from mst_evals.errors import InputError
from mst_evals.regression import adapter_file, measure, reference, rows
from mst_evals.regression.check import check
from mst_evals.regression.verdicts import Verdict

NAME = "sycophancy-mst"


@pytest.fixture(autouse=True)
def _nothing_is_evaluated(monkeypatch):
    said = "an adapter was evaluated that could have been refused before"
    monkeypatch.setattr(measure, "evaluate", lambda *_: pytest.fail(said))


# --- what the project keeps ---------------------------------------------------------------------------------------


def test_every_saved_adapter_has_a_reference_and_is_small():
    assert sorted(f"{experiment}-{arm}" for experiment in ("bias", "sycophancy") for arm in
                           ("baseline", "mst", "shuffled")) == NAMES  # fmt: skip
    assert sorted(path.stem for path in REFERENCES.glob("*.json")) == NAMES
    for directory in (*(SAVED / name for name in NAMES), *OTHER_SEED.iterdir()):
        assert sum(file.stat().st_size for file in directory.iterdir()) < 1_000_000, directory.name
        assert not (directory / manifest.BASE_WEIGHTS).exists()
        adapter_file.check(directory, adapter_file.read_manifest(directory))


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_is_of_the_saved_adapter_and_its_log_holds_what_it_says(name):
    found = reference.read(REFERENCES / f"{name}.json")
    about = adapter_file.read_manifest(SAVED / name)
    assert (found.name, found.facts.adapter_sha256) == (name, about.adapter_sha256)
    log = rows.read_log(REFERENCES / found.log.file)
    assert measure.facts(log, about) == found.facts
    given = rows.answers(log, found.facts.scorer)
    assert {one.label for one in given} == set(found.asked.labels)
    assert found.facts.temperature in (0.0, None)  # greedy, or probabilities
    for one in found.means:
        assert one.rows >= 20


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_was_asked_as_its_adapter_was_trained(name):
    assert measure.not_as_trained(rows.read_log(REFERENCES / f"{name}.eval")) == []


MACHINE = re.compile(r"/(tmp|home|root|work)/")  # where a checkout, a user or a temporary file lives


def test_no_path_of_a_machine_is_in_what_is_committed():
    for path in (*SAVED.rglob("*.*"), *REFERENCES.glob("*.json")):
        if path.suffix not in (".safetensors", ".eval") and path.is_file():
            text = path.read_text("utf-8")
            assert not MACHINE.search(text), path
    for path in REFERENCES.glob("*.eval"):
        text = rows.read_log(path).model_dump_json()
        assert not MACHINE.search(text), path


# --- the JSON -----------------------------------------------------------------------------------------------------


def test_a_reference_survives_being_written_and_read(tmp_path):
    folder = references(tmp_path, NAME)
    before = reference.read(REFERENCES / f"{NAME}.json")
    found = reference.read(folder / f"{NAME}.json")
    assert found.model_copy(update={"sha256": before.sha256}) == before


def edited(folder, change):
    path = folder / f"{NAME}.json"
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


FAULTS = {
    "an edited margin": (lambda folder: edited(folder, lambda c: c["margins"].update(fpr=0.5)), "edited after it was"),
    "an edited mean": (lambda folder: edited(folder, lambda c: c["means"][0].update(mean=0.5)), "edited after it was"),
    "an unknown field": (lambda folder: edited(folder, lambda c: c.update(more=1)), "not a reference: more: Extra"),
    "a missing field": (lambda folder: edited(folder, lambda c: c.pop("facts")), "not a reference: facts: Field"),
    "a negative margin": (lambda folder: edited(folder, lambda c: c["margins"].update(fpr=-1)), "margins.fpr"),
    "no JSON": (lambda folder: (folder / f"{NAME}.json").write_text("{"), "not a reference"),
    "JSON nested without end": (
        lambda folder: (folder / f"{NAME}.json").write_text("[" * 200_000),
        "not a reference (maximum recursion",
    ),
    "no log": (lambda folder: (folder / f"{NAME}.eval").unlink(), "its log sycophancy-mst.eval is missing"),
    "another log": (
        lambda folder: shutil.copyfile(REFERENCES / "sycophancy-shuffled.eval", folder / f"{NAME}.eval"),
        "its log sycophancy-mst.eval changed",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_reference_is_not_comparable(fault, tmp_path):
    spoil, reason = FAULTS[fault]
    folder = references(tmp_path, NAME)
    spoil(folder)
    found = check(SAVED / NAME, folder, tmp_path / "logs")
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert reason in found.reason
    assert str(tmp_path) not in found.reason


def test_spacing_and_order_of_the_file_do_not_matter(tmp_path):
    folder = references(tmp_path, NAME)
    path = folder / f"{NAME}.json"
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(dict(reversed(content.items()))), encoding="utf-8")
    assert reference.read(path).name == NAME


def test_a_folder_is_searched_by_name_first_and_then_by_weights(tmp_path):
    digest = adapter_file.read_manifest(SAVED / NAME).adapter_sha256
    folder = references(tmp_path, NAME)
    assert reference.find(folder, NAME, "0" * 64) == folder / f"{NAME}.json"
    assert reference.find(folder, "my-adapter", digest) == folder / f"{NAME}.json"
    assert reference.find(folder / f"{NAME}.json", "my-adapter", None) == folder / f"{NAME}.json"
    with pytest.raises(InputError, match=r"no my-adapter\.json and no reference of these weights"):
        reference.find(folder, "my-adapter", "0" * 64)
    with pytest.raises(InputError, match="no such file or folder"):
        reference.find(tmp_path / "nothing", NAME, digest)


# --- references of something else -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"facts__judge_sha256": "0" * 64}, "judge_sha256 differs"),
        ({"facts__data_sha256": "0" * 64}, "data_sha256 differs"),
        ({"facts__base_sha256": "0" * 64}, "base_sha256 differs"),
        ({"facts__quantisation": "none"}, "quantisation differs (reference none, adapter nf4)"),
        ({"facts__arm": "baseline"}, "arm differs (reference baseline, adapter mst)"),
        ({"facts__judge_sha256": "0" * 64, "facts__data": "other.jsonl"}, "data differs (reference other.jsonl"),
        ({"asked__labels": ["UNBIAS", "none", "strong_left"]}, "unknown label 'UNBIAS' on the slant axis"),
    ],
)
def test_a_reference_of_something_else_is_not_comparable(changed, reason, tmp_path):
    found = check(SAVED / "bias-mst", references(tmp_path, "bias-mst", **changed), tmp_path / "logs")
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert reason in found.reason


def test_a_label_with_another_text_is_not_comparable(tmp_path, monkeypatch):
    monkeypatch.setitem(labels._SLANT_TEXTS, "UNBIASED", "Unbiased: says what is.")
    found = check(SAVED / "bias-mst", REFERENCES, tmp_path / "logs")
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert "64 prompts have another text, such as test-0001@UNBIASED" in found.reason


def test_a_proxy_that_scores_otherwise_is_not_comparable(tmp_path, monkeypatch):
    monkeypatch.setattr(lexical, "SCALE", 4.2)
    found = check(SAVED / "bias-mst", REFERENCES, tmp_path / "logs")
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert "lexical_bias gives" in found.reason and "another score than it did" in found.reason


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--margin", "fpr"], "'' is no number"),
        (["--margin", "speed=1"], "no metric 'speed', expected METRIC=NUMBER with one of bias, verdict"),
        (["--margin", "fpr=0"], "expected a positive number"),
        (["--rows", "8"], "--rows: the reference says what is asked; it goes with --update"),
        ([str(SAVED / NAME)], "two adapters are called sycophancy-mst"),
        (["--margin", "bias=1"], "--margin bias: no metric of these adapters, expected one of fpr, accuracy, fpr-resp"),
        (["--junit", str(REFERENCES)], "reference: a folder, expected the name of a file"),
        (["--junit", "/proc/nothing/j.xml"], "--junit /proc/nothing/j.xml: nothing can be written there ("),
        (["--junit", f"{__file__}/j.xml"], "nothing can be written there (Not a directory)"),
        (["--logs", __file__], "nothing can be written there (Not a directory)"),
        (["--update", "--json"], "--json: a check writes it, --update prints what changed"),
        (["--update", "--junit", "j.xml"], "--junit: a check writes it, --update prints what changed"),
    ],
)
def test_bad_arguments_are_one_line(arguments, message):
    result = CliRunner().invoke(app, ["check", str(SAVED / NAME), "--against", str(REFERENCES), *arguments])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
