"""The JUnit file and the example for GitHub Actions."""

from xml.etree import ElementTree

import yaml
from regression_data import ROOT

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


def test_the_github_example_caches_the_base_and_keeps_the_logs_of_a_failure():
    (job,) = yaml.safe_load((ROOT / "docs" / "check-adapters.yml").read_text("utf-8"))["jobs"].values()
    steps = {step.get("uses", "run").split("@")[0]: step for step in job["steps"]}
    restored, saved = steps["actions/cache/restore"], steps["actions/cache/save"]
    assert restored["with"]["path"] == saved["with"]["path"] == ".hf" and job["env"]["HF_HOME"].endswith("/.hf")
    assert saved["if"].startswith("always()")  # an action that caches by itself saves nothing when the check fails
    assert (steps["actions/upload-artifact"]["if"], steps["actions/upload-artifact"]["with"]["path"]) == (
        "always()",
        "runs/check",
    )
    assert any("mst check adapters/* --against reference" in step.get("run", "") for step in job["steps"])
