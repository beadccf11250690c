"""The rubric judge through Inspect's real Anthropic provider against the fake API, one fault at a time.

The run finishes, what the fault hit is unscored with its reason and raw text, the rest is scored, and every article is
in the log.
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
    article_of,
    canceled,
    cut,
    drop,
    error,
    expired,
    hang,
    refusal,
    structured,
    text,
    texts,
    tool_use,
    truncated,
)
from inspect_ai import score
from inspect_ai.model import BatchConfig, GenerateConfig, get_model
from tenacity import wait_none

from mst_evals.judge import ASKS, EXPLANATION
from mst_evals.scorers import bias_rubric

api = fake_anthropic.api

GRADE = {"bias": 3, "verdict": "PASS", "reason": "plain words"}
BATCH = BatchConfig(size=4, send_delay=0.05, tick=0.05)
DAY = 24 * 3600
# What may become of any request of a batch, and what is said of it when it lasts.
ROUTES = ("create", "retrieve", "results")
TROUBLES = {
    "429": (error(429), "429.*fake 429"),
    "500": (error(500), "500.*fake 500"),
    "hang": (hang(), "APITimeoutError"),
    "drop": (drop(), "APIConnectionError"),
}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    async def at_once(seconds):
        pass

    monkeypatch.setattr("inspect_ai.model._retry._sleep", at_once)  # 3 seconds and more before each retry
    monkeypatch.setattr("inspect_ai.model._retry.wait_exponential_jitter", lambda **_: wait_none())  # of a batch's


@pytest.fixture
def judged(run, api, tmp_path):
    """Judge some articles; article 0 gets the faults in order, one a request, the last one for good when it lasts."""

    def judge(*faults, lasting=True, articles=3, **config):
        waiting = list(faults)

        def answer(params):
            hit = waiting and re.search(r"^Article 0\.", article_of(params), re.MULTILINE)
            if not hit:
                return structured(GRADE)
            return waiting.pop(0) if len(waiting) > 1 or not lasting else waiting[0]

        api.answer = answer
        found = [{"id": f"a{n}", "article": f"Article {n}. The council voted on it."} for n in range(articles)]
        path = write_jsonl(tmp_path / "articles.jsonl", found)
        patience = 3 if any(fault.transport == "hang" for fault in faults) else 60  # a busy machine is no fault
        return run("bias_articles", "none", grader(**{"attempt_timeout": patience, **config}), articles=path)

    return judge


def grader(client=None, **config):
    """The judge; `client` holds arguments of the SDK's client."""
    given = {"max_retries": 2, "attempt_timeout": 60, "timeout": 300, "max_connections": 4}
    return get_model(f"anthropic/{MODEL}", config=GenerateConfig(**{**given, **config}), memoize=False, **client or {})


def impatient(trouble):
    """A client that tries nothing again by itself, and does not wait ten minutes for a server that hangs."""
    return {"max_retries": 0, "timeout": 1.0 if trouble == "hang" else 60.0}


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
        cut(text("a long enough reply")),
    ],
)
def test_a_fault_that_passes_is_survived(judged, fault):
    burst = [fault] * (4 if fault.status != 200 else 1)  # more than the SDK's own retries take away
    all_scored(judged(*burst, lasting=False))


@pytest.mark.parametrize("reply", [text("I would say 3."), structured(GRADE | {"bias": 11}), tool_use()])
def test_a_malformed_reply_is_asked_for_again(judged, api, reply):
    all_scored(judged(reply, lasting=False))
    assert len(api.requests) == 4


@pytest.mark.parametrize(
    ("reply", "shown", "wrong"),
    [
        (text("I would say 3."), "I would say 3.", "it is no JSON object alone"),
        (structured(GRADE | {"bias": 11}), json.dumps(GRADE | {"bias": 11}), '"bias": input should be less than'),
        (structured(GRADE | {"article": "me"}), json.dumps(GRADE | {"article": "me"}), "more than the three fields"),
        (tool_use(), '{"tool": "unknown_tool", "input": {"bias": "high"}}', "it has no text"),
        (text(""), "(nothing)", "it has no text"),
    ],
)
def test_a_judge_is_shown_its_own_reply_and_what_was_wrong_and_nothing_else(judged, api, reply, shown, wrong):
    all_scored(judged(reply, lasting=False, articles=1))
    first, second = (request.body for request in api.requests)
    assert (second["system"], second["messages"][0]) == (first["system"], first["messages"][0])
    _, mine, told = second["messages"]
    assert (mine["role"], texts(mine), told["role"]) == ("assistant", shown, "user")
    assert wrong in texts(told) and "\n" not in texts(told)
    assert second.keys() == first.keys()
    assert api.complaints == []


def test_a_judge_is_asked_no_more_than_three_times(judged, api):
    found = unscored(judged(text("No."), articles=2))
    assert (found.reason, found.metadata["asked"], len(api.requests)) == ("grader_malformed", ASKS, ASKS + 1)


@pytest.mark.parametrize("reply", [refusal(), truncated("{"), error(400), error(404)])
def test_what_asking_again_would_not_change_is_asked_once(judged, api, reply):
    assert unscored(judged(reply)).metadata["asked"] == 1
    assert len(api.requests) == 3


# --- faults that last -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        *(error(status) for status in (400, 401, 403, 404, 429, 500, 529)),
        hang(),
        drop(),
        cut(text("a long enough reply")),
        error(413),
    ],
)
def test_a_fault_that_lasts_leaves_its_article_unscored(judged, fault):
    found = unscored(judged(fault, max_retries=1))
    assert found.reason == "grader_error"
    assert found.metadata["grader"] == f"anthropic/{MODEL}"
    assert found.explanation


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (error(401), "401.*fake 401"),
        (error(403), "403.*fake 403"),
        (error(404), "404.*fake 404"),
        (error(400), "400.*fake 400"),
        (error(413), "413.*fake 413"),
        (cut(text("a long enough reply")), "JSONDecodeError"),
        (error(429), "429.*fake 429"),
        (error(500), "500.*fake 500"),
        (error(529), "529.*fake 529"),
        (hang(), "AttemptTimeoutError"),
    ],
)
def test_the_reason_is_told(judged, fault, sentence):
    found = unscored(judged(fault, max_retries=1))
    assert re.search(sentence, found.explanation, re.DOTALL)


@pytest.mark.parametrize("status", [400, 401, 413, 429])
def test_the_reason_does_not_hold_the_request(judged, status):
    found = unscored(judged(error(status), max_retries=0))
    assert "Article 0." not in json.dumps([found.explanation, found.metadata]) and len(found.explanation) <= EXPLANATION


@pytest.mark.parametrize(
    ("reply", "reason", "raw"),
    [
        (text("I would say 3."), "malformed", "I would say 3."),
        (structured(GRADE | {"bias": 11}), "malformed", json.dumps(GRADE | {"bias": 11})),
        (structured(GRADE | {"verdict": "GOOD"}), "malformed", json.dumps(GRADE | {"verdict": "GOOD"})),
        (text(""), "malformed", ""),
        (refusal(), "refused", ""),
        (text(json.dumps(GRADE), "refusal"), "refused", json.dumps(GRADE)),  # the stop reason says it, not the text
        (truncated('{"bias": 3, "ver'), "truncated", '{"bias": 3, "ver'),
        (truncated(json.dumps(GRADE)), "truncated", json.dumps(GRADE)),
        (Behaviour(stop_reason="max_tokens", output_tokens=8000), "truncated", ""),  # all of it was thought
        (tool_use(), "malformed", "unknown_tool"),
    ],
)
def test_a_reply_that_is_no_grade_is_kept_with_its_reason(judged, reply, reason, raw):
    found = unscored(judged(reply))
    assert found.reason == f"grader_{reason}"
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


@pytest.mark.parametrize("route", ["create", "retrieve", "results"])
def test_an_overloaded_api_half_way_through_a_batch_is_survived(judged, api, route):
    api.fault(route, *[error(529)] * 4)  # more than the SDK's own retries take away
    all_scored(judged(batch=BATCH, attempt_timeout=60))
    assert [len(batch.results) for batch in api.batches.values()] == [3]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("route", ROUTES)
def test_trouble_on_a_route_of_batches_that_passes_is_survived(judged, api, route, trouble):
    api.fault(route, TROUBLES[trouble][0])
    all_scored(judged(batch=BATCH, attempt_timeout=60, client=impatient(trouble)))
    assert not api.faults[route]
    # The API knows no idempotency keys: where the answer is lost, the batch is made, and billed, a second time.
    made = 2 if (route, trouble) == ("create", "drop") else 1
    assert [len(batch.results) for batch in api.batches.values()] == [3] * made


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("route", ROUTES)
def test_trouble_on_a_route_of_batches_that_lasts_leaves_articles_unscored(judged, api, route, trouble):
    fault, said = TROUBLES[trouble]
    api.fault(route, *[fault] * 40)
    checks = BATCH.model_copy(update={"max_consecutive_check_failures": 2})
    log = judged(batch=checks, attempt_timeout=60, max_retries=0, client=impatient(trouble))
    assert {given.reason for given in scores(log).values()} == {"grader_error"}
    assert all(re.search(said, given.explanation) for given in scores(log).values()), scores(log)
    assert api.faults[route]


def test_results_that_lack_a_request_are_asked_for_again_at_once(judged, api):
    api.fault("results", Behaviour(), cut(), Behaviour())  # half of two equal lines is one line, sound as JSON
    all_scored(judged(articles=2, batch=BATCH.model_copy(update={"size": 2}), attempt_timeout=60))
    all_scored(judged(articles=2, batch=BATCH.model_copy(update={"size": 2}), attempt_timeout=60))
    assert len(api.batches) == 3


def test_the_key_is_revoked_while_a_batch_runs(judged, api):
    api.revoke_after = 1
    log = judged(batch=BATCH.model_copy(update={"max_consecutive_check_failures": 2}), attempt_timeout=20)
    assert {given.reason for given in scores(log).values()} == {"grader_error"}
    assert all("401" in given.explanation for given in scores(log).values())


@pytest.mark.parametrize("status", [401, 529])
def test_a_batch_that_cannot_be_made_leaves_its_articles_unscored(judged, api, status):
    api.fault("create", *[error(status)] * 40)
    log = judged(batch=BATCH, attempt_timeout=20)
    assert {given.reason for given in scores(log).values()} == {"grader_error"}
    assert all(f"fake {status}" in given.explanation for given in scores(log).values())
    api.faults.clear()
    all_scored(judged(batch=BATCH, attempt_timeout=20))  # the worker is as good as new


def test_a_malformed_reply_in_a_batch_is_asked_for_again_in_another(judged, api):
    all_scored(judged(text("No."), lasting=False, batch=BATCH, attempt_timeout=20))
    assert [len(batch.results) for batch in api.batches.values()] == [3, 1]


def test_a_judge_in_batch_mode_waits_as_long_as_a_batch_may_take(judged):
    log = judged(batch=BATCH, attempt_timeout=None, timeout=None)
    for sample in log.samples:
        (used,) = [event.config for event in sample.events if event.event == "model"]
        assert used.attempt_timeout >= DAY + 3600
        assert used.timeout >= 2 * DAY  # one that expired is asked for again
