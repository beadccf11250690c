"""A study whose articles are graded by a judge, or by a panel of several."""

import json
import os
from pathlib import Path

import pytest
import study_files
from conftest import StubAPI, metrics
from inspect_ai.log import read_eval_log
from inspect_ai.model import modelapi

from mst_evals.errors import InputError
from mst_evals.planning import estimate
from mst_evals.studies import cells, checks, evaluate_cell

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


def study(folder: Path, judge: object) -> cells.Plan:
    asking = BIAS["evaluations"] | {"judge": judge}
    path = study_files.write_study(folder, **BIAS | {"evaluations": asking})
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
