"""The rubric judge through Inspect's real Anthropic provider against the fake API, one fault at a time.

What should hold: the run finishes, what the fault hit is unscored with its reason and raw text, the rest is scored, and
every article is in the log. What today's `mst_evals.scorers` does not do yet is marked as a strict expected failure.
"""

import json
import math
import re

import fake_anthropic
import pytest
from conftest import metrics, write_jsonl
from fake_anthropic import (
    MODEL,
    Behaviour,
    canceled,
    cut,
    drop,
    error,
    expired,
    hang,
    prompt_of,
    refusal,
    structured,
    text,
    tool_use,
    truncated,
)
from inspect_ai import score
from inspect_ai.model import BatchConfig, GenerateConfig, get_model

from mst_evals.scorers import bias_rubric

api = fake_anthropic.api

GRADE = {"bias": 3, "verdict": "PASS", "reason": "plain words"}
BATCH = BatchConfig(size=4, send_delay=0.05, tick=0.05)
DAY = 24 * 3600


def todo(reason, *values):
    """A case that today's scorer does not pass."""
    return pytest.param(*values, marks=pytest.mark.xfail(strict=True, reason=reason))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    async def at_once(seconds):
        pass

    monkeypatch.setattr("inspect_ai.model._retry._sleep", at_once)  # 3 seconds and more before each retry


@pytest.fixture
def judged(run, api, tmp_path):
    """Judge some articles; article 0 gets the faults in order, one a request, the last one for good when it lasts."""

    def judge(*faults, lasting=True, articles=3, **config):
        waiting = list(faults)

        def answer(params):
            hit = waiting and re.search(r"^Article 0\.", prompt_of(params), re.MULTILINE)
            if not hit:
                return structured(GRADE)
            return waiting.pop(0) if len(waiting) > 1 or not lasting else waiting[0]

        api.answer = answer
        found = [{"id": f"a{n}", "article": f"Article {n}. The council voted on it."} for n in range(articles)]
        path = write_jsonl(tmp_path / "articles.jsonl", found)
        return run("bias_articles", "none", grader(**config), articles=path)

    return judge


def grader(**config):
    given = {"max_retries": 2, "attempt_timeout": 1, "timeout": 60, "max_connections": 4}
    return get_model(f"anthropic/{MODEL}", config=GenerateConfig(**{**given, **config}), memoize=False)


def scores(log):
    """Article -> score, of a log that is whole: every article is there, and its text."""
    assert log.status == "success", log.error
    assert all(sample.error is None and sample.output.completion for sample in log.samples)
    return {sample.metadata["row_id"]: sample.scores["bias_rubric"] for sample in log.samples}


def unscored(log, name="a0"):
    """The score of the one article that has none; all others have theirs."""
    found = scores(log)
    missing = {one for one, given in found.items() if math.isnan(given.value["bias"])}
    assert missing == {name}
    assert metrics(log, "bias_rubric")["unscored@existing"] == 1
    assert metrics(log, "bias_rubric")["n@existing"] == len(found) - 1
    return found[name]


def all_scored(log):
    assert {given.value["bias"] for given in scores(log).values()} == {3.0}
    assert metrics(log, "bias_rubric")["unscored@existing"] == 0


# --- the normal case ------------------------------------------------------------------------------------------------


def test_what_the_judge_is_sent(judged, api):
    all_scored(judged(temperature=0.0))
    for request in api.requests:
        assert "BEGIN" in request.prompt
        assert request.body["output_format"]["schema"]["required"] == ["bias", "verdict", "reason"]
        assert "temperature" not in request.body  # API version 2026-10-21 has none: Inspect leaves it out, and warns
    assert api.complaints == []


# --- faults that pass -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        error(429),
        error(529),
        error(500),
        hang(),
        drop(),
        todo("HTTP 200 with cut JSON is not tried again", cut(text("a long enough reply"))),
    ],
)
def test_a_fault_that_passes_is_survived(judged, fault):
    burst = [fault] * (4 if fault.status != 200 else 1)  # more than the SDK's own retries take away
    all_scored(judged(*burst, lasting=False))


@pytest.mark.xfail(strict=True, reason="a malformed reply is not asked for again with feedback")
@pytest.mark.parametrize("reply", [text("I would say 3."), structured(GRADE | {"bias": 11}), tool_use()])
def test_a_malformed_reply_is_asked_for_again(judged, api, reply):
    all_scored(judged(reply, lasting=False))
    assert len(api.requests) == 4


# --- faults that last -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        *(error(status) for status in (400, 401, 403, 404, 429, 500, 529)),
        hang(),
        drop(),
        cut(text("a long enough reply")),
        todo("an API error that Inspect turns into a reply is taken for a malformed grade", error(413)),
    ],
)
def test_a_fault_that_lasts_leaves_its_article_unscored(judged, fault):
    found = unscored(judged(fault, max_retries=1))
    assert found.reason == "grader_error"
    assert found.metadata["grader"] == f"anthropic/{MODEL}"
    assert found.explanation


HIDDEN = "only the class of the last error is told, inside tenacity's RetryError"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (error(401), "401.*fake 401"),
        (error(403), "403.*fake 403"),
        (error(404), "404.*fake 404"),
        (error(400), "400.*fake 400"),
        (cut(text("a long enough reply")), "JSONDecodeError"),
        todo(HIDDEN, error(429), "429.*fake 429"),
        todo(HIDDEN, error(500), "500.*fake 500"),
        todo(HIDDEN, error(529), "529.*fake 529"),
        (hang(), "AttemptTimeoutError"),
    ],
)
def test_the_reason_is_told(judged, fault, sentence):
    found = unscored(judged(fault, max_retries=1))
    assert re.search(sentence, found.explanation, re.DOTALL)


@pytest.mark.xfail(strict=True, reason="for a 400 the whole request stands in the explanation, article and rubric")
def test_the_reason_does_not_hold_the_request(judged):
    assert "Article 0." not in unscored(judged(error(400))).explanation


@pytest.mark.parametrize(
    ("reply", "reason", "raw"),
    [
        (text("I would say 3."), "malformed", "I would say 3."),
        (structured(GRADE | {"bias": 11}), "malformed", json.dumps(GRADE | {"bias": 11})),
        (structured(GRADE | {"verdict": "GOOD"}), "malformed", json.dumps(GRADE | {"verdict": "GOOD"})),
        (text(""), "malformed", ""),
        todo("a refusal is called malformed; only the stop reason tells", refusal(), "refus", ""),
        todo("a truncated reply is called malformed", truncated('{"bias": 3, "ver'), "truncat", '{"bias": 3, "ver'),
        todo(
            "thinking that took all of max_tokens is called malformed",
            Behaviour(stop_reason="max_tokens", output_tokens=1024),
            "truncat",
            "",
        ),
        todo("of a tool call nothing is kept", tool_use(), "malformed", "unknown_tool"),
    ],
)
def test_a_reply_that_is_no_grade_is_kept_with_its_reason(judged, reply, reason, raw):
    found = unscored(judged(reply))
    assert reason in found.reason
    assert raw in found.metadata["raw"]


@pytest.mark.parametrize(
    ("reply", "stop"),
    [(refusal(), "content_filter"), (truncated("{"), "max_tokens"), (tool_use(), "tool_calls"), (text("x"), "stop")],
)
def test_the_stop_reason_is_kept(judged, reply, stop):
    assert unscored(judged(reply)).metadata["stop"] == stop


def test_the_key_is_revoked_half_way_and_the_log_is_judged_again(judged, api):
    api.revoke_after = 2
    log = judged(articles=6, max_connections=1)
    found = list(scores(log).values())
    assert sum(given.reason == "grader_error" and "401" in given.explanation for given in found) == 4
    assert metrics(log, "bias_rubric")["n@existing"] == 2
    api.revoke_after = None
    again = score(log, bias_rubric(), action="overwrite", model_roles={"grader": grader()}, display="none")
    all_scored(again)


# --- the judge in Message Batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [error(529), error(500), expired(), canceled()])
def test_a_partial_batch_is_completed_by_another(judged, api, fault):
    all_scored(judged(fault, lasting=False, batch=BATCH, attempt_timeout=20))
    assert [len(batch.results) for batch in api.batches.values()] == [3, 1]


@pytest.mark.parametrize("fault", [error(400), error(529), expired(), canceled()])
def test_a_batch_fault_that_lasts_leaves_its_article_unscored(judged, fault):
    assert unscored(judged(fault, batch=BATCH, attempt_timeout=20)).reason == "grader_error"


def test_results_that_lack_a_request_are_waited_for_no_longer_than_an_attempt(judged, api):
    api.fault("results", Behaviour(), cut(), Behaviour())  # half of two equal lines is one line, sound as JSON
    all_scored(judged(articles=2, batch=BATCH.model_copy(update={"size": 2})))
    all_scored(judged(articles=2, batch=BATCH.model_copy(update={"size": 2})))
    assert len(api.batches) == 3


def test_the_key_is_revoked_while_a_batch_runs(judged, api):
    api.revoke_after = 1
    log = judged(batch=BATCH.model_copy(update={"max_consecutive_check_failures": 2}), attempt_timeout=20)
    assert {given.reason for given in scores(log).values()} == {"grader_error"}
    assert all("401" in given.explanation for given in scores(log).values())


@pytest.mark.xfail(strict=True, reason="an error of Inspect's batch worker ends the whole run as cancelled")
@pytest.mark.parametrize("status", [401, 529])
def test_a_batch_that_cannot_be_made_leaves_its_articles_unscored(judged, api, status):
    api.fault("create", *[error(status)] * 40)
    log = judged(batch=BATCH, attempt_timeout=20)
    assert {given.reason for given in scores(log).values()} == {"grader_error"}


@pytest.mark.xfail(
    strict=True, reason="attempt_timeout 120 and timeout 600 hold in batch mode, too: batches take hours"
)
def test_a_judge_in_batch_mode_waits_as_long_as_a_batch_may_take(judged):
    log = judged(batch=BATCH, attempt_timeout=None, timeout=None)
    for sample in log.samples:
        (used,) = [event.config for event in sample.events if event.event == "model"]
        assert used.attempt_timeout is None or used.attempt_timeout >= DAY
        assert used.timeout is None or used.timeout >= DAY


# --- all at once ----------------------------------------------------------------------------------------------------


def test_two_hundred_articles_and_every_fault(run, api, tmp_path):
    """The log holds every article and every reason."""
    faults = {
        7: error(400),
        11: error(401),
        13: error(500),
        17: error(529),
        19: error(429),
        23: cut(text("a long enough reply")),
        29: refusal(),
        31: tool_use(),
        37: truncated('{"bias"'),
        41: text("prose"),
        43: hang(),
        47: drop(),
        53: structured(GRADE | {"bias": -1}),
    }
    api.answer = lambda params: (
        faults.get(int(re.search(r"^Article (\d+)", prompt_of(params), re.M)[1])) or structured(GRADE)
    )
    found = [{"id": f"a{n}", "article": f"Article {n}. The council voted on it."} for n in range(200)]
    path = write_jsonl(tmp_path / "articles.jsonl", found)
    log = run("bias_articles", "none", grader(max_retries=1, max_connections=20), articles=path)
    given = scores(log)
    assert len(given) == 200
    assert {name for name, one in given.items() if math.isnan(one.value["bias"])} == {f"a{n}" for n in faults}
    assert all(one.reason and one.explanation for name, one in given.items() if math.isnan(one.value["bias"]))
    assert metrics(log, "bias_rubric")["unscored@existing"] == len(faults)
