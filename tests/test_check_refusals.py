"""What `mst check` says when one of several adapters cannot be checked, or was asked what has no effect."""

import json
import shutil

import pytest
from regression_data import REFERENCES, ROOT, SAVED, copy, signed
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from mst_evals import data, manifest
from mst_evals.cli import app
from mst_evals.regression import measure
from mst_evals.regression.check import check
from mst_evals.regression.verdicts import Verdict

NAME = "sycophancy-mst"


@pytest.fixture(autouse=True)
def _nothing_is_evaluated(monkeypatch):
    said = "an adapter was evaluated that could have been refused before"
    monkeypatch.setattr(measure, "evaluate", lambda *_: pytest.fail(said))


# --- one of several adapters --------------------------------------------------------------------------------------


def test_a_fault_that_nobody_foresaw_is_no_regression_and_hides_no_other_adapter(tmp_path, monkeypatch, caplog):
    """Exit code 2, a JUnit file with both adapters, and a traceback in the log."""

    def evaluate(*_):
        raise ZeroDivisionError(f"of {tmp_path}")

    monkeypatch.setattr(measure, "evaluate", evaluate)
    second = copy(SAVED / "bias-mst", tmp_path, quantisation="none")
    first, file = copy(SAVED / NAME, tmp_path), tmp_path / "junit.xml"
    arguments = ["check", str(first), str(second), "--against", str(REFERENCES), "--junit", str(file), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert [one["reason"] for one in json.loads(result.stdout)] == [
        f"could not be checked (ZeroDivisionError: of {tmp_path.name})",
        "quantisation differs (reference nf4, adapter none)",
    ]
    assert file.read_text("utf-8").count("<error") == 2
    assert "Traceback" in caplog.text


def test_one_bad_adapter_does_not_hide_the_others(tmp_path):
    """Two adapters, each refused for its own reason; the JSON and the JUnit file name both and hold no path."""
    first = copy(SAVED / NAME, tmp_path)
    weights = first / manifest.ADAPTER_WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1000])
    signed(first)
    second = copy(SAVED / "bias-mst", tmp_path, quantisation="none")
    file = tmp_path / "junit.xml"
    arguments = ["check", str(first), str(second), "--against", str(REFERENCES), "--json", "--junit", str(file)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert [(one["adapter"], one["verdict"]) for one in found] == [
        (NAME, "NOT COMPARABLE"),
        ("bias-mst", "NOT COMPARABLE"),
    ]
    text = file.read_text("utf-8")
    assert text.count("<error") == 2 and text.count('tests="1" failures="0" errors="1"') == 2
    assert str(tmp_path) not in text + result.stdout


# --- bases and margins --------------------------------------------------------------------------------------------


def changed_base(tmp_path, monkeypatch):
    """The base that is shipped, with one weight changed in its place."""
    monkeypatch.setattr(manifest, "SHIPPED", tmp_path / "bases")
    base = tmp_path / "bases" / "micro-qwen"
    shutil.copytree(ROOT / "training" / "models" / "micro-qwen", base)
    path = base / manifest.BASE_WEIGHTS
    weights = load_file(path)
    weights[min(weights)].view(-1)[0] += 1
    save_file(weights, path, {"format": "pt"})
    expected = manifest.read(SAVED / NAME).base_sha256
    return (
        f"micro-qwen has another digest (sha256 {data.sha256(path)[:12]}...), "
        f"so its base 'micro-qwen' (sha256 {expected[:12]}...) is missing"
    )


@pytest.mark.parametrize("place", ["shipped", "named"])
def test_a_base_that_was_changed_in_its_place_is_said_to_be_another_one(place, tmp_path, monkeypatch):
    reason = changed_base(tmp_path, monkeypatch)
    if place == "named":
        monkeypatch.setenv(manifest.SEARCH_PATH, str(manifest.SHIPPED))
        monkeypatch.setattr(manifest, "SHIPPED", tmp_path / "nothing")
    found = check(SAVED / NAME, REFERENCES, tmp_path / "logs")
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert reason in found.reason and str(tmp_path) not in found.reason


def unreadable(directory, monkeypatch):
    """No right to read one adapter's manifest; root has every right, so this cannot be planted on the disk."""
    read = manifest.read

    def refused(asked):
        if asked.name == directory.name:
            raise PermissionError(13, "Permission denied", str(asked / manifest.FILE))
        return read(asked)

    monkeypatch.setattr(manifest, "read", refused)
    return directory, "its manifest.json cannot be read (PermissionError: [Errno 13] Permission denied: "


@pytest.mark.parametrize("margins", [[], ["--margin", "fpr=0.04"]], ids=["no margin", "a margin"])
@pytest.mark.parametrize("fault", ["unreadable", "deep"])
def test_a_manifest_that_cannot_be_read_is_no_regression_and_hides_no_other_adapter(
    fault, margins, tmp_path, monkeypatch
):
    second = copy(SAVED / "bias-mst", tmp_path, quantisation="none")
    if fault == "deep":
        first, reason = copy(SAVED / NAME, tmp_path), "its manifest.json cannot be read (RecursionError: "
        (first / manifest.FILE).write_text("[" * 200_000, encoding="utf-8")
    else:
        first, reason = unreadable(copy(SAVED / NAME, tmp_path), monkeypatch)
    file = tmp_path / "junit.xml"
    arguments = ["check", str(first), str(second), "--against", str(REFERENCES), "--junit", str(file), "--json"]
    result = CliRunner().invoke(app, [*arguments, *margins])
    assert result.exit_code == 2, result.exception
    one, other = (found["reason"] for found in json.loads(result.stdout))
    assert reason in one and other == "quantisation differs (reference nf4, adapter none)"
    assert file.read_text("utf-8").count("<error") == 2
    assert str(tmp_path) not in result.stdout


@pytest.mark.parametrize(
    ("margins", "reason"),
    [
        ({"frp": 0.1}, "margin of 'frp': no metric of this adapter (nearest: fpr), expected one of fpr, accuracy"),
        ({"bias": 0.1}, "margin of 'bias': no metric of this adapter, expected one of fpr, accuracy, fpr-resp"),
        ({"fpr": 0}, "margin of 'fpr' is 0, expected a positive number"),
        ({"fpr": float("nan")}, "margin of 'fpr' is nan, expected a positive number"),
    ],
)
def test_a_margin_without_effect_is_refused_before_anything_is_evaluated(margins, reason, tmp_path):
    found = check(SAVED / NAME, REFERENCES, tmp_path / "logs", margins)
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert reason in found.reason


def test_a_margin_of_one_adapter_is_not_asked_of_another_of_the_call(tmp_path):
    """Both are refused for their quantisation alone; the margin is of one of them."""
    adapters = [copy(SAVED / name, tmp_path, quantisation="none") for name in (NAME, "bias-mst")]
    arguments = ["check", *map(str, adapters), "--against", str(REFERENCES), "--json", "--margin", "fpr=0.04"]
    result = CliRunner().invoke(app, arguments)
    (reason,) = {one["reason"] for one in json.loads(result.stdout)}
    assert reason == "quantisation differs (reference nf4, adapter none)"


def test_a_link_that_leads_to_itself_is_no_traceback(tmp_path):
    (tmp_path / "reference").symlink_to(tmp_path / "reference")
    found = check(SAVED / NAME, tmp_path / "reference", tmp_path / "logs")
    assert (found.verdict, found.reason.split(",")[0]) == (Verdict.NOT_COMPARABLE, "reference: no such file or folder")
