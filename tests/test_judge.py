"""The judge by itself: who judges, with what settings, what a reply says, a panel, and what its code makes stale."""

import json
import math
import os
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import metrics, stub_model
from inspect_ai import eval
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import BatchConfig, GenerateConfig
from inspect_ai.model._model import ModelGenerateError
from inspect_ai.model._providers.util.batch import Batcher
from pydantic import ValidationError
from study_files import RECIPE, STUDY, plan_of

from mst_evals import judge, judge_batches, rubrics, scorers
from mst_evals import metrics as numbers
from mst_evals.judge import Answer, median_verdict, settings
from mst_evals.rubrics import BiasGrade
from mst_evals.studies import closure

HOUR = 3600
ARTICLE = "The council voted on the plan on Monday. Officials said that the vote was seven to two. " * 3


def reply(bias, verdict, reason="because"):
    return json.dumps({"bias": bias, "verdict": verdict, "reason": reason})


def grade(bias, verdict="PASS"):
    return BiasGrade(bias=float(bias), verdict=verdict, reason="because")


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"max_tokens": 8000, "max_retries": 5, "attempt_timeout": 300, "timeout": 1500, "temperature": None}),
        ({"max_tokens": 500, "temperature": 0.2}, {"max_tokens": 500, "temperature": 0.2}),
        (
            {"max_retries": 0, "attempt_timeout": 1, "timeout": 9},
            {"max_retries": 0, "attempt_timeout": 1, "timeout": 9},
        ),
        # the provider's own limit, which Inspect raises by what may be thought
        ({"reasoning_effort": "high"}, {"max_tokens": None}),
        ({"reasoning_tokens": 9000}, {"max_tokens": None}),
        ({"effort": "low", "max_tokens": 9000}, {"max_tokens": 9000}),
        ({"batch": True}, {"attempt_timeout": 25 * HOUR, "timeout": 50 * HOUR}),
        ({"batch": 20, "attempt_timeout": 60}, {"attempt_timeout": 60, "timeout": 50 * HOUR}),
        ({"batch": False}, {"attempt_timeout": 300, "batch": False}),
        ({"fail_on_refusal": True}, {"fail_on_refusal": True}),
    ],
)
def test_what_is_bound_with_the_role_goes_before_the_defaults(given, expected):
    found = settings(GenerateConfig(**given))
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("batch", "size", "checks"),
    [(True, 100, 240), (7, 7, 240), (BatchConfig(size=3, max_consecutive_check_failures=9), 3, 9)],
)
def test_a_batch_is_given_up_after_an_hour_of_failed_checks(batch, size, checks):
    found = settings(GenerateConfig(batch=batch)).batch
    assert (found.size, found.max_consecutive_check_failures) == (size, checks)


def test_the_batch_worker_is_mended_once_and_has_what_is_mended():
    judge_batches.mend()
    mended = Batcher._wrapped_create_batch
    judge_batches.mend()
    assert Batcher._wrapped_create_batch is mended and mended.__module__ == "mst_evals.judge_batches"


# --- errors and replies -------------------------------------------------------------------------------------------


class SdkError(Exception):
    """As an SDK defines one: its module is no part of Python, Inspect or this project."""


@pytest.mark.parametrize(
    ("error", "theirs"),
    [
        (SdkError("no"), True),
        (ModelGenerateError("the whole request", provider_message="no"), True),
        (ConnectionResetError("no"), True),
        (TimeoutError("no"), True),
        (json.JSONDecodeError("no", "{", 1), True),
        (KeyError("ours"), False),
        (RuntimeError("ours"), False),
        (PrerequisiteError("of the configuration"), False),
    ],
)
def test_only_what_a_provider_raises_leaves_an_article_unscored(run, topics, error, theirs):
    log = run("bias", stub_model(ARTICLE), stub_model(error, "judge"), topics=topics, rows=1)
    assert (log.status == "success") == theirs
    if theirs:
        (score,) = [sample.scores["bias_rubric"] for sample in log.samples]
        assert score.reason == "grader_error" and "the whole request" not in score.explanation


def test_what_a_provider_said_is_cut_short():
    assert judge.told(SdkError("x" * 1000)) == f"SdkError: {'x' * 487}..."
    assert len(judge.told(SdkError("x" * 1000))) == judge.EXPLANATION


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "it has no text"),
        ("Biased, 7 of 10.", "it is no JSON object alone"),
        ("[1]", "it is no JSON object alone"),
        ("\ud800", "it is no JSON object alone"),
        (f"Grade: {reply(1, 'PASS')}", "it is no JSON object alone"),
        (reply(11, "FAIL"), '"bias": input should be less than or equal to 10'),
        (reply(1, "GOOD"), "\"verdict\": input should be 'PASS', 'PARTIAL' or 'FAIL'"),
        ('{"bias": 1, "verdict": "PASS"}', '"reason": field required'),
        ('{"bias": 1, "verdict": "PASS", "reason": "x", "IGNORE ALL": 1}', "it has more than the three fields"),
    ],
)
def test_a_fault_is_one_line_and_quotes_nothing_of_the_reply(text, wrong):
    with pytest.raises(ValidationError) as error:
        rubrics.parse_grade(text)
    assert rubrics.fault(error.value, text) == wrong
    told = rubrics.again(rubrics.fault(error.value, text))
    assert wrong in told and "\n" not in told and "{" + "fault" not in told


# --- a panel ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "median"),
    [
        (["PASS"], "PASS"),
        (["PASS", "FAIL", "FAIL"], "FAIL"),
        (["PASS", "PARTIAL", "FAIL"], "PARTIAL"),
        (["PASS", "PARTIAL"], "PARTIAL"),  # of two in the middle the stricter one
        (["PASS", "FAIL"], "FAIL"),
        (["PASS", "PASS", "PARTIAL", "FAIL"], "PARTIAL"),
    ],
)
def test_median_verdict(verdicts, median):
    assert median_verdict([grade(1, verdict) for verdict in verdicts]) == median


def panel_run(topics, *replies, **options):
    judges = [stub_model(one, f"judge{place}") for place, one in enumerate(replies)]
    (log,) = eval(
        "mst_evals/bias",
        model=stub_model(ARTICLE),
        model_roles={"grader": judges},
        task_args={"topics": topics, "rows": 1} | options,
        display="none",
    )
    (sample,) = log.samples
    return log, sample.scores["bias_rubric"]


def test_a_panel_s_grade_is_the_mean_and_every_judge_s_is_kept(topics):
    log, score = panel_run(topics, reply(2, "PASS", "mild"), reply(4, "PARTIAL", "loaded"), reply(9, "PARTIAL"))
    assert score.value == {"bias": 5.0, "objectivity": 0.5} and score.answer == "PARTIAL"
    assert score.metadata["grader"] == "stub/judge0, stub/judge1, stub/judge2"
    assert (score.metadata["panel"], score.metadata["answered"]) == (3, 3)
    assert [one["bias"] for one in score.metadata["judges"]] == [2, 4, 9]
    assert "stub/judge0: mild" in score.explanation and "stub/judge1: loaded" in score.explanation
    found = metrics(log, "bias_rubric")
    assert (found["bias@UNBIASED"], found["partial_rate@UNBIASED"], found["panel_incomplete@UNBIASED"]) == (5, 1, 0)
    assert log.eval.metadata["judges"] == ["stub/judge0", "stub/judge1", "stub/judge2"]


def test_a_missing_judge_is_counted_and_never_imputed(topics):
    log, score = panel_run(topics, reply(2, "PASS"), "I refuse", ModelGenerateError("down", provider_message="down"))
    assert score.value == {"bias": 2.0, "objectivity": 1.0}
    assert (score.metadata["panel"], score.metadata["answered"]) == (3, 1)
    assert [one.get("reason") for one in score.metadata["judges"]] == [None, "grader_malformed", "grader_error"]
    assert score.metadata["judges"][1]["raw"] == "I refuse"
    found = metrics(log, "bias_rubric")
    assert (found["n@UNBIASED"], found["unscored@UNBIASED"], found["panel_incomplete@UNBIASED"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        (["No.", "Never."], "grader_malformed"),
        (["No.", ModelGenerateError("down", provider_message="down")], "graders_failed"),
    ],
)
def test_a_panel_without_an_answer_has_no_score(topics, replies, reason):
    log, score = panel_run(topics, *replies)
    assert math.isnan(score.value["bias"]) and score.reason == reason and score.metadata["answered"] == 0
    found = metrics(log, "bias_rubric")
    assert (found["unscored@UNBIASED"], found["panel_incomplete@UNBIASED"]) == (1, 0)


def test_one_judge_is_no_panel(run, topics):
    log = run("bias", stub_model(ARTICLE), stub_model(reply(3, "PASS"), "judge"), topics=topics, rows=1)
    (score,) = [sample.scores["bias_rubric"] for sample in log.samples]
    assert score.metadata == {"grader": "stub/judge", "asked": 1}
    assert (score.explanation, score.answer) == ("because", "PASS")
    assert not any(name.startswith("panel") for name in metrics(log, "bias_rubric"))
    assert log.eval.metadata["judges"] == ["stub/judge"]


def test_each_judge_of_a_panel_is_asked_again_by_itself(topics):
    said = {"judge0": iter(["No.", reply(1, "PASS")]), "judge1": iter([reply(3, "PASS")])}
    _, score = panel_run(topics, lambda _: next(said["judge0"]), lambda _: next(said["judge1"]))
    assert score.value["bias"] == 2 and [one["asked"] for one in score.metadata["judges"]] == [2, 1]


def test_a_judge_in_a_role_of_its_own_would_never_be_asked(topics):
    judges = {"grader": stub_model(reply(1, "PASS")), "grader2": stub_model(reply(1, "PASS"))}
    with pytest.raises(PrerequisiteError, match="bound to grader2: expected a panel in one role, grader=A,B"):
        eval("mst_evals/bias", model=stub_model(ARTICLE), model_roles=judges, task_args={"topics": topics})


def test_the_score_of_answers_does_not_depend_on_their_order():
    one, other = Answer("a", 1, grade(1)), Answer("b", 2, grade(4, "FAIL"))
    first, second = scorers.judged([one, other]), scorers.judged([other, one])
    assert first.value == second.value == {"bias": 2.5, "objectivity": 0.0}


def test_the_rubric_s_verdicts_are_those_with_a_worth():
    assert list(numbers.GRADES) == BiasGrade.model_json_schema()["properties"]["verdict"]["enum"]


# --- what the judge's code makes stale ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("experiment", "scorer", "stale"),
    [("bias", "lexical", False), ("bias", "rubric", True), ("sycophancy", None, False)],
)
@pytest.mark.parametrize("file", ["judge.py", "judge_batches.py", "rubrics.py"])
def test_only_an_evaluation_that_asks_a_judge_depends_on_the_judge(
    tmp_path, monkeypatch, experiment, scorer, stale, file
):
    for name, folder in closure.PACKAGES.items():
        shutil.copytree(folder, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "models"))
        monkeypatch.setitem(closure.PACKAGES, name, tmp_path / name)
    before = fingerprints(tmp_path, experiment, scorer)
    path = tmp_path / "mst_evals" / file
    path.write_text(path.read_text(encoding="utf-8") + "\nEXTRA = 1\n", encoding="utf-8")
    later = path.stat().st_mtime_ns + 10_000_000
    os.utime(path, ns=(later, later))
    after = fingerprints(tmp_path, experiment, scorer)
    assert before and {name for name in before if before[name] != after[name]} == (set(before) if stale else set())


def fingerprints(folder: Path, experiment: str, scorer: str | None) -> dict[str, str]:
    """Evaluation -> fingerprint of a study of a base that is there already."""
    asking = {"labels": "deployed", "rows": 2} | ({"scorer": scorer} if scorer else {})
    asking |= {"judge": "stub/judge"} if scorer == "rubric" else {}
    sft = {"base": "micro-llama", "quantisation": "nf4", "max_steps": 1}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE if experiment == "sycophancy" else sft))
    study = STUDY | {"experiment": experiment, "arms": {"ootb": {}}, "seeds": [0], "evaluations": asking}
    base = {"base": "micro-qwen" if experiment == "sycophancy" else "micro-llama"}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(study | base))
    return {cell.key: cell.fingerprint for cell in plan_of(folder / "tiny.yaml").cells if cell.kind == "evaluate"}
