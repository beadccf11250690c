"""Grading texts through Inspect: what is asked, and what a second call asks after a judge was down. Fake API."""

import json
import re
from datetime import datetime
from pathlib import Path

import fake_anthropic
import pytest
from conftest import seen, stub_model
from fake_anthropic import MODEL, article_of, error, structured, text
from inspect_ai.model._model import ModelGenerateError
from judging_data import reply

from mst_evals import rubrics
from mst_evals.errors import StepError
from mst_evals.judging import grading
from mst_evals.judging.grading import Graded, Text

api = fake_anthropic.api

JUDGE = f"anthropic/{MODEL}"
TEXTS = [Text(f"a/{number}", f"t{number}", f"Article {number}. The council voted on it.") for number in range(3)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    async def at_once(seconds):
        pass

    monkeypatch.setattr("inspect_ai.model._retry._sleep", at_once)


def graded(params):
    """The grade is the number of the article, so that a grade in the wrong place is seen."""
    return structured({"bias": number_of(params), "verdict": "PASS", "reason": "plain words"})


def number_of(params) -> int:
    return int(re.search(r"^Article (\d+)", article_of(params), re.MULTILINE)[1])


def grade(folder: Path, repeat: int = 1, grader=JUDGE, texts=TEXTS) -> Graded:
    return grading.grade(grading.plan(texts, grader, repeat, folder), "none")


def table(found: Graded) -> list[tuple]:
    """(id, run, grade or reason) of each line."""
    lines = found.frame.itertuples(index=False)
    return [(line.id, line.run, line.reason or line.bias) for line in lines]


def test_after_a_wrong_key_the_same_call_asks_all_of_it_again(api, tmp_path):
    api.answer = lambda params: error(401)
    found = grade(tmp_path)
    assert [line[2] for line in table(found)] == ["grader_error"] * 3 and found.no_reply == 3
    api.answer, before = graded, len(api.requests)
    found = grade(tmp_path)
    assert table(found) == [("a/0", 1, 0), ("a/1", 1, 1), ("a/2", 1, 2)] and found.no_reply == 0
    assert len(api.requests) == before + 3
    assert grade(tmp_path).frame.equals(found.frame) and len(api.requests) == before + 3


def test_only_what_got_no_reply_is_asked_again_and_a_bad_reply_is_an_answer(api, tmp_path):
    bad = {0: text("no grade"), 2: error(529)}
    api.answer = lambda params: bad.get(number_of(params)) or graded(params)
    assert table(grade(tmp_path, repeat=2)) == [
        ("a/0", 1, "grader_malformed"), ("a/0", 2, "grader_malformed"), ("a/1", 1, 1), ("a/1", 2, 1),
        ("a/2", 1, "grader_error"), ("a/2", 2, "grader_error"),
    ]  # fmt: skip
    api.answer, before = graded, len(api.requests)
    found = grade(tmp_path, repeat=2)
    assert [line[2] for line in table(found)] == ["grader_malformed"] * 2 + [1, 1, 2, 2]
    assert [number_of(request.body) for request in api.requests[before:]] == [2, 2]


def test_one_run_of_two_got_no_reply(tmp_path):
    """Each run of an article is known by itself: the one that was graded keeps its grade."""
    answers = iter([reply(4), fake_down(), reply(7)])
    judge = stub_model(lambda messages: next(answers), "judge")
    first = grade(tmp_path, 2, judge, TEXTS[:1])
    assert sorted(map(str, first.frame["bias"])) == ["4.0", "nan"]
    again = grade(tmp_path, 2, judge, TEXTS[:1])
    kept = int(first.frame.loc[first.frame["bias"] == 4, "run"].iloc[0])
    assert table(again) == [("a/0", run, 4 if run == kept else 7) for run in (1, 2)] and len(seen(judge)) == 3


def fake_down() -> Exception:
    return ModelGenerateError("500", provider_message="down")


def test_the_day_is_that_of_the_first_answer(tmp_path):
    down = True
    judge = stub_model(lambda messages: fake_down() if down else reply(5), "judge")
    failed = grade(tmp_path, 1, judge)
    down = False
    found = grade(tmp_path, 1, judge)
    assert datetime.fromisoformat(failed.created) <= datetime.fromisoformat(found.created)
    assert grade(tmp_path, 1, judge).created == found.created


def test_an_error_of_our_own_ends_it_and_keeps_what_is_graded(api, tmp_path, monkeypatch):
    api.answer = graded
    real = rubrics.parse_grade

    def broken(said):
        if json.loads(said)["bias"] == 2:
            raise KeyError("ours")
        return real(said)

    monkeypatch.setattr("mst_evals.rubrics.parse_grade", broken)
    monkeypatch.setattr("mst_evals.judging.asking.AT_ONCE", 1)  # one after another, the broken one last
    with pytest.raises(StepError, match="the same command continues"):
        grade(tmp_path)
    monkeypatch.setattr("mst_evals.rubrics.parse_grade", real)
    before = len(api.requests)
    assert [line[2] for line in table(grade(tmp_path))] == [0, 1, 2]
    assert [number_of(request.body) for request in api.requests[before:]] == [2]


def test_the_proxy_asks_nobody_and_is_run_once(api, tmp_path):
    texts = [Text(one.id, one.topic, f"{one.text} " * 9) for one in TEXTS]  # the proxy takes no shorter ones
    first = grade(tmp_path, grader=grading.LEXICAL, texts=texts)
    assert first.frame["bias"].notna().all() and api.requests == []
    logs = sorted(first.logs.glob("*.eval"))
    assert len(logs) == 1
    assert grade(tmp_path, grader=grading.LEXICAL, texts=texts).frame.equals(first.frame)
    assert sorted(first.logs.glob("*.eval")) == logs
