"""The JUnit file and the example for GitHub Actions."""

import json
from xml.etree import ElementTree

import yaml
from regression_data import REFERENCES, ROOT, SAVED, copy
from typer.testing import CliRunner

from mst_evals import manifest
from mst_evals.cli import app
from mst_evals.errors import InputError
from mst_evals.regression import junit
from mst_evals.regression.check import Check, summary
from mst_evals.regression.verdicts import Finding, Verdict


def finding(metric, verdict, reason):
    return Finding(metric, "0", verdict, reason, 0.1, 0.2, 0.1, 0.05, 0.15, 0.05, 63, 11, 63)


def test_one_suite_an_adapter_one_case_a_metric(tmp_path):
    found = (
        finding("fpr", Verdict.REGRESSED, "worse by 0.1 (0.05 to 0.15), margin 0.05"),
        finding("accuracy", Verdict.PASS, "identical on all 63 rows"),
        finding("answer-drift", Verdict.NOT_COMPARABLE, '9 of 63 rows of the adapter are "unscored" & <lost>'),
    )
    checks = [
        Check("a", "a.json", Verdict.REGRESSED, "why", found, seconds=1.25),
        Check("b", "", Verdict.NOT_COMPARABLE, "no reference"),
    ]
    path = tmp_path / "junit.xml"
    junit.write(path, checks)
    first, second = ElementTree.parse(path).getroot()
    assert [first.get(name) for name in ("name", "tests", "failures", "errors", "time")] == ["a", "3", "1", "1", "1.2"]
    assert [case.get("name") for case in first] == ["fpr (0)", "accuracy (0)", "answer-drift (0)"]
    assert first[0].find("failure").get("message") == "worse by 0.1 (0.05 to 0.15), margin 0.05"
    assert first[1].find("system-out").text == "PASS: identical on all 63 rows"
    assert first[2].find("error").text == '9 of 63 rows of the adapter are "unscored" & <lost>'
    assert [second.get(name) for name in ("tests", "failures", "errors")] == ["1", "0", "1"]
    assert second[0].find("error").get("message") == "no reference"


def test_a_file_that_cannot_be_written_is_no_regression_and_hides_no_table(tmp_path, monkeypatch):
    """The disk is full when everything was evaluated: the verdicts are printed, and the exit code is not 1."""

    def write_text(path, text):
        raise OSError(28, "No space left on device")

    adapter = copy(SAVED / "sycophancy-mst", tmp_path, quantisation="none")
    monkeypatch.setattr(manifest, "write_text", write_text)
    arguments = ["check", str(adapter), "--against", str(REFERENCES), "--logs", str(tmp_path), "--junit"]
    result = CliRunner().invoke(app, [*arguments, str(tmp_path / "j.xml")])
    assert isinstance(result.exception, InputError)  # which `cli.main` turns into exit code 2
    assert str(result.exception).endswith("j.xml: cannot be written (No space left on device)")
    assert "NOT COMPARABLE" in result.output and "quantisation differs" in " ".join(result.output.split())


def test_a_reason_with_control_characters_is_still_xml(tmp_path):
    """A library's message may be coloured: an escape sequence can stand in no XML file."""
    reason = "\x1b[31mno such file\x1b[0m\x00 at \ud800 \U0001f600\n"
    path = tmp_path / "junit.xml"
    junit.write(path, [Check("a\x07", "", Verdict.NOT_COMPARABLE, reason)])
    (suite,) = ElementTree.parse(path).getroot()
    assert suite.get("name") == "a\ufffd"
    assert suite[0].find("error").text == "\ufffd[31mno such file\ufffd[0m\ufffd at \ufffd \U0001f600\n"


def test_the_summary_names_what_decided():
    found = [finding("fpr", Verdict.REGRESSED, "worse"), finding("accuracy", Verdict.PASS, "fine")]
    assert summary(found, Verdict.REGRESSED) == "fpr (0): worse"
    assert summary(found[1:], Verdict.PASS) == "1 metrics, no loss as large as its margin"


# --- the example for GitHub -------------------------------------------------------------------------------------------


def example():
    """The job and its steps in order, each by its action or the first word of what it runs."""
    (job,) = yaml.safe_load((ROOT / "docs" / "check-adapters.yml").read_text("utf-8"))["jobs"].values()
    return job, job["steps"]


def using(steps, action):
    (found,) = [step for step in steps if step.get("uses", "").startswith(f"{action}@")]
    return found


def running(steps, words):
    (found,) = [step for step in steps if words in step.get("run", "")]
    return found


def test_the_github_example_caches_the_base_and_keeps_the_logs_of_a_failure():
    job, steps = example()
    restored, saved = using(steps, "actions/cache/restore"), using(steps, "actions/cache/save")
    fetched, checked = running(steps, "snapshot_download"), running(steps, "mst check adapters/* --against reference")
    assert restored["with"] == saved["with"] == {"path": ".hf", "key": "bases-${{ steps.bases.outputs.digests }}"}
    assert job["env"]["HF_HOME"].endswith("/.hf") and restored["id"] == "cache"
    # Saved only after a whole download, so not `always()`, and before the check, which may fail.
    order = [steps.index(one) for one in (restored, fetched, saved, checked)]
    assert order == sorted(order)
    assert all(one["if"].startswith("steps.cache.outputs.cache-hit != 'true'") for one in (fetched, saved))
    assert fetched["env"]["HF_TOKEN"] == "${{ secrets.HF_TOKEN }}" and "HF_TOKEN" not in checked["env"]
    kept = using(steps, "actions/upload-artifact")
    assert (kept["if"], kept["with"]["path"]) == ("always()", "runs/check")
    assert "--logs runs/check" in checked["run"] and "--junit runs/check/" in checked["run"]
    assert using(steps, "actions/checkout")["with"]["lfs"] is True


def test_the_github_example_takes_the_cpu_build_of_the_pinned_torch_first():
    _, steps = example()
    pins = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    (pin,) = [line for line in pins if line.startswith("torch==")]
    torch = running(steps, f"pip install {pin} --index-url https://download.pytorch.org/whl/cpu")
    assert steps.index(torch) < steps.index(running(steps, "pip install mst-evals@"))


def test_the_key_of_the_cache_is_that_of_the_bases_alone(tmp_path, monkeypatch):
    """The step itself: references of two bases; a new reference of an old base keeps the key, a new base changes it."""
    step = running(example()[1], "GITHUB_OUTPUT")
    assert (step["id"], step["shell"]) == ("bases", "python")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    folder = tmp_path / "reference"
    folder.mkdir()

    def printed(**bases):
        for name, (base, digest) in bases.items():
            content = {"facts": {"base": base, "base_sha256": digest}, "created": str(sorted(bases))}
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        (tmp_path / "output").unlink(missing_ok=True)
        exec(compile(step["run"], "check-adapters.yml", "exec"), {})
        return dict(line.split("=", 1) for line in (tmp_path / "output").read_text("utf-8").splitlines())

    llama, own = ("meta/llama", "a" * 64), ("own", "b" * 64)
    first = printed(one=llama, two=own)
    assert first == {"digests": f"{'a' * 16}-{'b' * 16}", "names": "meta/llama"}
    assert printed(one=llama) == printed(three=llama) == first
    assert printed(three=("meta/llama", "c" * 64))["digests"] == f"{'a' * 16}-{'b' * 16}-{'c' * 16}"
    assert printed(three=("meta/other", None)) == {
        "digests": f"{'a' * 16}-{'b' * 16}-meta-other", "names": "meta/llama meta/other",
    }  # fmt: skip
    facts = json.loads((REFERENCES / "bias-mst.json").read_text("utf-8"))["facts"]
    assert {"base", "base_sha256"} <= facts.keys()  # what the step reads is what a reference holds


def test_the_bases_that_are_fetched_are_those_of_the_references(monkeypatch):
    step, fetched = running(example()[1], "snapshot_download"), []
    assert step["env"]["NAMES"] == "${{ steps.bases.outputs.names }}" and step["shell"] == "python"
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, ignore_patterns: fetched.append(name))
    for names in ("", "meta/llama meta/other"):
        monkeypatch.setenv("NAMES", names)
        exec(compile(step["run"], "check-adapters.yml", "exec"), {})
    assert fetched == ["meta/llama", "meta/other"]
