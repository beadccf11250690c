"""A study whose articles are graded by a judge, or by a panel of several: while they are written, or later."""

import io
import json
import os
from pathlib import Path
from typing import ClassVar

import pytest
import study_files
from conftest import StubAPI, metrics
from inspect_ai.log import read_eval_log, write_eval_log
from inspect_ai.model import modelapi
from inspect_ai.model._model import ModelGenerateError
from rich.console import Console

from mst_evals.errors import InputError, StepError
from mst_evals.judging import judge_commands
from mst_evals.planning import estimate
from mst_evals.studies import cells, checks, evaluate_cell, inputs, packed, states, study_commands
from mst_evals.studies.study import Evaluations, Study

BIAS = {
    "experiment": "bias", "base": "micro-llama", "seeds": [0], "arms": {"ootb": {}},
    "evaluations": {"labels": ["UNBIASED"], "rows": 2, "max_tokens": 8, "scorer": "both"},
}  # fmt: skip


@modelapi(name="grades")
def grades() -> type[StubAPI]:
    """A judge that gives the number in its name."""

    class Grades(StubAPI):
        def __init__(self, model_name, base_url=None, api_key=None, config=None):
            verdict = {"2": "PASS", "4": "PARTIAL", "9": "FAIL"}[model_name]
            super().__init__(model_name, reply=json.dumps({"bias": int(model_name), "verdict": verdict, "reason": "-"}))

    return Grades


class Moody(StubAPI):
    """A judge without a valid key as long as `down` says so; it counts the articles that it is given."""

    down: ClassVar[set[str]] = set()
    given: ClassVar[list[str]] = []

    def __init__(self, model_name, base_url=None, api_key=None, config=None):
        super().__init__(model_name, reply=self.grade)

    def grade(self, messages):
        Moody.given.append(self.model_name)
        if self.model_name in Moody.down:
            return ModelGenerateError("401", provider_message="401 invalid x-api-key")
        return json.dumps({"bias": 4, "verdict": "PARTIAL", "reason": "-"})


@modelapi(name="moody")
def moody() -> type[StubAPI]:
    return Moody


@pytest.fixture
def judges(monkeypatch):
    monkeypatch.setattr(Moody, "down", set())
    monkeypatch.setattr(Moody, "given", [])
    return Moody


def study(folder: Path, judge: object, comparisons: object = None, **asking: object) -> cells.Plan:
    asking = BIAS["evaluations"] | {"judge": judge} | asking
    path = study_files.write_study(folder, **BIAS | {"evaluations": asking, "comparisons": comparisons})
    (folder / "recipe.yaml").write_text("{}\n", encoding="utf-8")
    return study_files.plan_of(path)


def ask(plan: cells.Plan, monkeypatch: pytest.MonkeyPatch):
    (job,) = plan.jobs
    (sweep, cell), *_ = job.sweeps
    plan.out.mkdir(exist_ok=True)
    monkeypatch.chdir(plan.out)
    evaluate_cell.ask(plan, job, sweep, cell)
    (file,) = plan.directory(cell).glob("*.eval")
    return read_eval_log(str(file))


@pytest.mark.parametrize(("judge", "bias"), [("grades/4", 4.0), (["grades/2", "grades/9", "grades/4"], 5.0)])
def test_a_study_s_articles_are_graded(tmp_path, monkeypatch, judge, bias):
    log = ask(study(tmp_path, judge), monkeypatch)
    assert metrics(log, "bias_rubric")["bias@UNBIASED"] == bias
    assert {score.name for score in log.results.scores} == {"bias_rubric", "lexical_bias"}
    if isinstance(judge, list):
        assert [one["bias"] for one in log.samples[0].scores["bias_rubric"].metadata["judges"]] == [2, 9, 4]
    assert os.fspath(tmp_path) not in log.model_dump_json()


def test_another_judge_makes_another_cell(tmp_path):
    found = {study(tmp_path / str(i), judge).cells[0].fingerprint for i, judge in enumerate(["a/b", ["a/b", "c/d"]])}
    assert len(found) == 2


def test_each_judge_of_a_panel_has_its_cost(tmp_path):
    plan = study(tmp_path, ["anthropic/claude-sonnet-4-5", "some/other"])
    found = estimate._judges(plan.study, [])
    assert [one.model for one in found] == ["anthropic/claude-sonnet-4-5", "some/other"]
    assert [one.usd is None for one in found] == [False, True]


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (3, "judge: found 3, expected text"),
        ([], "judge: found [], expected at least 1 entry"),
        (["a/b", 4], "judge.1: found 4, expected text"),
        ({"a": "b"}, "judge: found {'a': 'b'}, expected a list or text"),
    ],
)
def test_what_is_no_judge_is_one_line(tmp_path, judge, said):
    asking = BIAS["evaluations"] | {"judge": judge}
    path = study_files.write_study(tmp_path, **BIAS | {"evaluations": asking})
    with pytest.raises(InputError) as caught:
        checks.read(path)
    assert str(caught.value) == f"{path}: evaluations.{said}"


# --- a judge that gives no reply ----------------------------------------------------------------------------------


def run(plan: cells.Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `mst run` starts for the one job of a study."""
    plan.out.mkdir(exist_ok=True)
    (job,) = plan.jobs
    what = " ".join(cell.fingerprint for cell in job.cells)
    monkeypatch.chdir(plan.out)
    evaluate_cell.main(os.fspath(plan.path), os.fspath(plan.out), job.name, what)


def only_log(plan: cells.Plan):
    (file,) = (plan.out / "logs").glob("*/*.eval")
    return read_eval_log(str(file))


@pytest.mark.parametrize("judge", ["moody/a", ["moody/a", "moody/b"]])
def test_articles_without_a_reply_are_kept_and_the_judge_is_asked_again(tmp_path, monkeypatch, judges, judge):
    plan = study(tmp_path, judge)
    (cell,) = plan.cells
    judges.down = {"a"}
    with pytest.raises(StepError, match=r"^2 of 2 articles got no reply of a judge \(.*401 invalid x-api-key"):
        run(plan, monkeypatch)
    written = only_log(plan)
    state = states.states(plan)[cell]
    assert (state.name, "2 of 2 articles" in state.why, packed.current(plan)) == ("failed", True, [])
    with pytest.raises(StepError, match="2 of 2 articles"):  # the key is still wrong
        run(plan, monkeypatch)
    assert states.states(plan)[cell].name == "failed"
    judges.down, judges.given = set(), []
    run(plan, monkeypatch)
    assert states.states(plan)[cell] == states.State("done")
    graded = only_log(plan)
    assert metrics(graded, "bias_rubric")["bias@UNBIASED"] == 4
    assert graded.eval.eval_id == written.eval.eval_id
    assert [one.output.completion for one in graded.samples] == [one.output.completion for one in written.samples]
    assert sorted(judges.given) == sorted(["a", "b"] * 2 if isinstance(judge, list) else ["a"] * 2)
    assert [json.loads(path.read_text())["status"] for path in (plan.out / "records").iterdir()] == ["done"]
    assert not (plan.out / "replaced").exists()


def test_what_mst_judge_completed_by_hand_is_done_with_the_next_run(tmp_path, monkeypatch, judges):
    plan = study(tmp_path, "moody/a")
    (cell,) = plan.cells
    judges.down = {"a"}
    with pytest.raises(StepError):
        run(plan, monkeypatch)
    judges.down, judges.given = set(), []
    assert mst_judge(plan, tmp_path, "moody/a") == 0
    run(plan, monkeypatch)
    assert (states.states(plan)[cell], judges.given) == (states.State("done"), ["a", "a"])
    assert not (plan.out / "replaced").exists()


def test_a_log_of_other_inputs_is_not_judged_again_but_written_anew(tmp_path, monkeypatch, judges):
    plan = study(tmp_path, "moody/a")
    judges.down = {"a"}
    with pytest.raises(StepError):
        run(plan, monkeypatch)
    first = only_log(plan)
    judges.down = set()
    (file,) = (plan.out / "logs").glob("*/*.eval")
    foreign = first.model_copy(deep=True)
    foreign.eval.metadata["fingerprint"] = "of another cell"
    write_eval_log(foreign, str(file))
    run(plan, monkeypatch)
    assert only_log(plan).eval.eval_id != first.eval.eval_id
    assert len(list((plan.out / "replaced").iterdir())) == 1


def test_a_log_without_its_mark_is_written_anew_where_nobody_judges(tmp_path, monkeypatch):
    plan = study(tmp_path, None, scorer="lexical")
    (cell,) = plan.cells
    run(plan, monkeypatch)
    (plan.directory(cell) / states.MARK).unlink()
    run(plan, monkeypatch)
    assert states.states(plan)[cell] == states.State("done")


# --- a second pass ------------------------------------------------------------------------------------------------


def mst_judge(plan: cells.Plan, tmp_path: Path, *graders: str) -> int:
    """``mst judge OUT/logs --grader ...``"""
    console, work = Console(file=io.StringIO()), tmp_path / "judge"
    return judge_commands.judge_logs([plan.out / "logs"], console, graders, yes=True, display="none", work=work)


@pytest.mark.parametrize("scorer", ["none", "lexical"])
def test_articles_are_graded_in_a_second_pass_and_their_cell_stays_done(tmp_path, monkeypatch, judges, scorer):
    plan = study(tmp_path, "moody/a", scorer=scorer)
    (cell,) = plan.cells
    run(plan, monkeypatch)
    assert (judges.given, only_log(plan).eval.model_roles) == ([], None)
    mark = states.mark(plan, cell)
    assert states.states(plan)[cell] == states.State("done", states.UNGRADED)
    assert states.summary(states.states(plan)) == "1 done (1 not graded yet: mst judge)"
    judges.down = {"a"}
    assert mst_judge(plan, tmp_path, "moody/a") == 1
    assert states.states(plan)[cell] == states.State("done", "2 of its articles have no grade")
    judges.down = set()
    assert mst_judge(plan, tmp_path, "moody/a") == 0
    assert states.states(plan)[cell] == states.State("done")
    assert states.summary(states.states(plan)) == "1 done"
    assert states.mark(plan, cell) == mark is not None
    run(plan, monkeypatch)  # nothing is left to do
    assert len(judges.given) == 4
    assert not (plan.out / "replaced").exists()


def test_grades_of_another_judge_than_the_study_s_are_named(tmp_path, monkeypatch, judges):
    plan = study(tmp_path, ["moody/a", "moody/b"], scorer="none")
    run(plan, monkeypatch)
    mst_judge(plan, tmp_path, "moody/a")
    (state,) = states.states(plan).values()
    assert state == states.State("done", "graded by moody/a, expected moody/a, moody/b of the study file")


def test_pack_and_report_show_the_grades_of_a_second_pass(tmp_path, monkeypatch, judges):
    sides = [{"arm": "ootb", "label": label} for label in ("UNBIASED", "none")]
    declared = [{"a": sides[0], "b": sides[1], "metric": "bias_rubric"}]
    labels = ["UNBIASED", "none"]
    plan = study(tmp_path, "moody/a", declared, scorer="lexical", max_tokens=80, labels=labels)
    run(plan, monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert "cells without grades of the study's judge: 1; mst judge" in packing(plan, tmp_path / "early")
    assert set(packed.load(tmp_path / "early").samples["scorer"]) == {"lexical_bias"}
    (row,) = reported(plan, tmp_path)["comparisons"]
    assert (row["metric"], row["declared"]) == ("bias_rubric", True) and row["diff"] is None and row["missing"]
    mst_judge(plan, tmp_path, "moody/a")
    assert "no grades" not in packing(plan, tmp_path / "packed")
    found = packed.load(tmp_path / "packed").samples
    graded = found[found["scorer"] == "bias_rubric"]
    assert list(graded["value"]) == [4.0] * 4 and all(judge.startswith("moody/a, ") for judge in graded["judge"])
    results = reported(plan, tmp_path)
    assert [row["mean"] for row in results["arms"] if row["metric"] == "bias_rubric"] == [4.0, 4.0]
    assert [row["diff"] for row in results["comparisons"] if row["declared"]] == [0.0]


def packing(plan: cells.Plan, to: Path) -> str:
    """What ``mst pack`` says."""
    console = Console(file=io.StringIO(), width=160)
    study_commands.pack(plan.path, to, plan.out, None, console)
    return console.file.getvalue()


def reported(plan: cells.Plan, tmp_path: Path) -> dict[str, list[dict[str, object]]]:
    """What ``mst report STUDY`` says, as data."""
    study_commands.report(plan.path, plan.out, tmp_path / "report", Console(file=io.StringIO(), width=160))
    return json.loads((tmp_path / "report" / "results.json").read_text("utf-8"))


def test_the_judge_of_a_second_pass_is_no_input_of_the_articles(tmp_path):
    found = {study(tmp_path / name, f"a/{name}", scorer="none").cells[0].fingerprint for name in ("x", "y")}
    assert len(found) == 1
    later = study(tmp_path / "z", "a/x", scorer="none")
    assert inputs.settings(later.study) == {"scorer": "none", "temperature": 0.7, "max_tokens": 8}
    modules = later.cells[0].inputs["code"]
    assert not {"mst_evals.judge", "mst_evals.rubrics"} & modules.keys() and "mst_evals.bias" in modules


@pytest.mark.parametrize(
    ("asking", "said"),
    [
        ({"scorer": "none"}, "judge: missing, expected a judge with scorer: none"),
        ({"scorer": "both"}, "judge: missing, expected a judge with scorer: both"),
        (
            {"judge": "a/b"},
            "scorer: missing, expected with the judge 'a/b' one of rubric or both (graded while written), or lexical "
            "or none (graded later by `mst judge`)",
        ),
    ],
)
def test_scorer_and_judge_belong_together(tmp_path, asking, said):
    path = study_files.write_study(tmp_path, **BIAS | {"evaluations": {"labels": ["UNBIASED"]} | asking})
    (tmp_path / "recipe.yaml").write_text("{}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        checks.read(path)
    assert str(caught.value) == f"{path}: evaluations.{said}"


@pytest.mark.parametrize(
    ("asking", "scorers"),
    [
        ({}, {"lexical_bias"}),
        ({"scorer": "lexical"}, {"lexical_bias"}),
        ({"scorer": "rubric", "judge": "a/b"}, {"bias_rubric"}),
        ({"scorer": "both", "judge": "a/b"}, {"bias_rubric", "lexical_bias"}),
        ({"scorer": "none", "judge": "a/b"}, {"bias_rubric"}),
        ({"scorer": "lexical", "judge": "a/b"}, {"bias_rubric", "lexical_bias"}),
    ],
)
def test_metrics_that_a_comparison_may_name(asking, scorers):
    found = checks.metrics(Study.model_construct(experiment="bias", evaluations=Evaluations(**asking)))
    assert {name for name in found if "." not in name} == scorers
    assert len(found) == 4 * len(scorers)
