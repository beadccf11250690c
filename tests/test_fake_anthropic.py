"""The fake Anthropic server, seen through the real SDK: each behaviour is what the SDK takes it for."""

import json

import anthropic
import fake_anthropic
import pytest
from fake_anthropic import (
    MODEL,
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

api = fake_anthropic.api

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def ask(client, prompt="hello", **more):
    return client.messages.create(model=MODEL, max_tokens=50, messages=[{"role": "user", "content": prompt}], **more)


def batch_of(*prompts):
    return [
        {
            "custom_id": f"id-{number}",
            "params": {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": prompt}]},
        }
        for number, prompt in enumerate(prompts)
    ]


def test_text_and_recorded_request(api):
    api.script(text("hello back", output_tokens=7))
    reply = ask(anthropic.Anthropic(), system="be brief")
    assert (reply.content[0].text, reply.stop_reason, reply.usage.output_tokens) == ("hello back", "end_turn", 7)
    (request,) = api.requests
    assert (request.path, request.prompt, request.body["system"]) == ("/v1/messages", "hello", "be brief")
    assert request.headers["anthropic-version"]


def test_structured_reply_is_parsed_by_the_sdk(api):
    api.script(structured({"n": 3}))
    form = {"format": {"type": "json_schema", "schema": SCHEMA}}
    reply = ask(anthropic.Anthropic(), output_config=form)
    assert json.loads(reply.content[0].text) == {"n": 3}
    assert api.requests[0].body["output_config"] == form


@pytest.mark.parametrize("status", [429, 500, 529])
def test_passing_errors_are_retried_by_the_sdk(api, status):
    api.fault("messages", error(status), error(status))
    assert ask(anthropic.Anthropic()).content[0].text == "ok"
    assert len(api.requests) == 3
    assert len(api.paid) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.OverloadedError),
    ],
)
def test_lasting_errors_have_the_sdks_types(api, status, kind):
    api.script(error(status))
    with pytest.raises(kind) as found:
        ask(anthropic.Anthropic(max_retries=1))
    assert f"fake {status}" in str(found.value)
    assert api.paid == []


def test_a_wrong_or_revoked_key_is_401(api):
    with pytest.raises(anthropic.AuthenticationError):
        ask(anthropic.Anthropic(api_key="other"))
    api.revoke_after = 2
    assert ask(anthropic.Anthropic()).content[0].text == "ok"
    with pytest.raises(anthropic.AuthenticationError):
        ask(anthropic.Anthropic())


def test_hang_drop_and_cut(api):
    client = anthropic.Anthropic(max_retries=0, timeout=0.2)
    api.script(hang())
    with pytest.raises(anthropic.APITimeoutError):
        ask(client)
    api.script(drop())
    with pytest.raises(anthropic.APIConnectionError):
        ask(client)
    api.script(cut(text("a long enough reply")))
    with pytest.raises(json.JSONDecodeError):
        ask(client)
    assert len(api.paid) == 2  # the dropped and the cut one were made


def test_stop_reasons(api):
    client = anthropic.Anthropic()
    api.script(refusal(), tool_use(), truncated('{"n": '))
    assert (ask(client).stop_reason, ask(client).stop_reason) == ("refusal", "tool_use")
    last = ask(client)
    assert (last.stop_reason, last.content[0].text) == ("max_tokens", '{"n": ')


@pytest.mark.parametrize("extra", [{"temperature": 1.0}, {"top_p": 0.9}, {"stream": True}, {"custom_id": "x"}])
def test_it_refuses_what_the_api_refuses(api, extra):
    with pytest.raises(anthropic.BadRequestError):
        ask(anthropic.Anthropic(), extra_body=extra)
    assert len(api.complaints) == 1


def test_partial_batch(api):
    answers = {"a": text("A"), "b": error(500), "c": expired(), "d": canceled(), "e": text("E")}
    api.answer = lambda params: answers[prompt_of(params)]
    api.polls = 2
    batches = anthropic.Anthropic().messages.batches
    created = batches.create(requests=batch_of(*"abcde"))
    states = [batches.retrieve(created.id) for _ in range(3)]
    assert [state.processing_status for state in states] == ["in_progress", "in_progress", "ended"]
    counts = states[-1].request_counts
    assert (counts.succeeded, counts.errored, counts.expired, counts.canceled, counts.processing) == (2, 1, 1, 1, 0)
    results = {line.custom_id: line.result for line in batches.results(created.id)}
    assert [results[f"id-{n}"].type for n in range(5)] == ["succeeded", "errored", "expired", "canceled", "succeeded"]
    assert results["id-4"].message.content[0].text == "E"
    assert results["id-1"].error.error.type == "api_error"
    assert [batch.id for batch in batches.list()] == [created.id]
    assert len(api.paid) == 2


def test_batch_faults_by_route(api):
    client = anthropic.Anthropic(max_retries=0)
    api.polls = 0
    api.fault("create", error(529), drop())
    for kind in (anthropic.OverloadedError, anthropic.APIConnectionError):
        with pytest.raises(kind):
            client.messages.batches.create(requests=batch_of("a"))
    (made,) = client.messages.batches.list()  # the dropped one exists
    api.fault("results", cut())
    with pytest.raises(json.JSONDecodeError):
        list(client.messages.batches.results(made.id))
    assert len(list(client.messages.batches.results(made.id))) == 1
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve("msgbatch_unknown")


def test_repeated_custom_ids_are_refused(api):
    with pytest.raises(anthropic.BadRequestError, match="unique"):
        anthropic.Anthropic().messages.batches.create(requests=batch_of("a") * 2)
    assert api.batches == {}
