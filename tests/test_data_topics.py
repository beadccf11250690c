"""`mst data topics` through the real SDK against the fake API: it finishes, or says in one line why it did not.

The fake writer answers each request with topics of invented words, so that none is like another.
"""

import io
import json
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter

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
from rich.console import Console

from mst_evals import data, manifest
from mst_evals.corpus import asking, batches, checks, topic_rounds, topics
from mst_evals.corpus.topics_commands import make_topics
from mst_evals.errors import InputError, StepError
from mst_evals.labels import SLANT

api = fake_anthropic.api

DOMAINS = ("taxes", "water", "schools")


class Writer:
    """Writes as many topics as it is asked for, each of words that nobody used before."""

    def __init__(self):
        self.random = random.Random(0)
        self.asked = []

    def __call__(self, params):
        domain, count = wanted(params)
        self.asked.append((domain, count))
        return structured({"topics": [self.topic() for _ in range(count)]})

    def words(self, number):
        return " ".join("".join(self.random.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(number))

    def topic(self):
        return {
            "headline": f"City {self.words(6)}",
            "context": f"It costs {self.random.randrange(99)}: {self.words(20)}.",
        }


def wanted(params):
    """Domain and number of topics that a request asks for."""
    prompt = prompt_of(params)
    domain = re.search(r"^Subject domain: (.*)$", prompt, re.MULTILINE)[1]
    return domain, int(re.search(r"^Write (\d+) different topics", prompt, re.MULTILINE)[1])


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(batches, "FIRST_WAIT", 0.01)


@pytest.fixture
def make(tmp_path, api):
    """Run the command with small numbers; returns its exit code and what it printed."""
    domains = tmp_path / "domains.txt"
    domains.write_text("\n".join(DOMAINS), encoding="utf-8")
    api.answer = Writer()

    def run(**more):
        console = Console(file=io.StringIO(), width=200)
        given = {"out": tmp_path / "out", "model": MODEL, "domains": domains, "per_domain": 5, "per_request": 3}
        code = make_topics(console, **{**given, "yes": True, "poll": 0.001, **more})
        return code, console.file.getvalue()

    return run


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def rows(out, name="topics.jsonl"):
    return [json.loads(line) for line in (out / name).read_text(encoding="utf-8").splitlines()]


def summary(out):
    return json.loads((out / "summary.json").read_text(encoding="utf-8"))


def assert_whole(out, api, per_domain=5):
    """The file is complete and sound, no request was malformed, and none was paid for twice."""
    found = rows(out)
    assert Counter(row["domain"] for row in found) == dict.fromkeys(DOMAINS, per_domain)
    assert checks.faults(out / "topics.jsonl") == []
    assert api.complaints == []
    paid = Counter(json.dumps(params, sort_keys=True) for params in api.paid)
    assert max(paid.values()) == 1


# --- the normal case ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [True, False])
def test_every_domain_gets_its_topics(make, out, api, batch):
    code, printed = make(batch=batch)
    assert code is None
    assert_whole(out, api)
    assert [wanted(params) for params in api.paid[:3]] == [(domain, 3) for domain in DOMAINS] or not batch
    assert Counter(wanted(params)[1] for params in api.paid) == {3: 3, 2: 3}
    assert len(api.batches) == (2 if batch else 0)
    assert Counter(row["split"] for row in rows(out)) == {"train": 13, "validation": 1, "test": 1}
    assert rows(out, "rejected.jsonl") == []
    assert "15 topics (13 train, 1 validation, 1 test)" in printed


def test_requests_ask_for_structure_and_name_what_is_taken(make, out, api):
    make()
    first, second = api.paid[0], api.paid[3]
    assert first["output_config"]["format"]["schema"]["properties"].keys() == {"topics"}
    assert first["model"] == MODEL
    taken = [row["headline"] for row in rows(out) if row["domain"] == "taxes"][:3]
    assert all(f"- {headline}" in prompt_of(second) for headline in taken)
    assert not any(headline in prompt_of(first) for headline in taken)


@pytest.mark.parametrize("batch", [True, False])
def test_cost_before_and_after(make, out, api, batch):
    _, printed = make(batch=batch, price="2,10")
    usage = [json.loads(path.read_text())["message"]["usage"] for path in (out / "outcomes").iterdir()]
    given, written = sum(one["input_tokens"] for one in usage), sum(one["output_tokens"] for one in usage)
    found = summary(out)
    assert (found["input_tokens"], found["output_tokens"]) == (given, written)
    assert found["usd"] == pytest.approx((given * 2 + written * 10) / 1e6 * (0.5 if batch else 1))
    lines = printed.splitlines()
    before, after = (next(line for line in lines if line.startswith(start)) for start in ("To come", "Spent"))
    assert lines.index(before) < lines.index(after)
    assert "6 requests" in before
    assert "$" in before
    assert f"{given:,} input and {written:,} output tokens: $" in after


def test_an_unknown_price_is_said(make, out):
    _, printed = make()
    assert "price unknown" in printed
    assert "--price" in printed
    assert summary(out)["usd"] is None


def test_a_finished_run_asks_nothing_again(make, out, api):
    make()
    before = (out / "topics.jsonl").read_bytes(), len(api.requests)
    assert make()[0] is None
    assert ((out / "topics.jsonl").read_bytes(), len(api.requests)) == before


# --- spending is agreed to ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "sent"), [("n\n", False), ("\n", False), ("y\n", True)])
def test_nothing_is_sent_without_a_yes(make, api, monkeypatch, answer, sent):
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    code, printed = make(yes=False)
    assert (code is None, bool(api.requests)) == (sent, sent)
    assert ("Nothing was sent." in printed) != sent


def test_nobody_to_ask(make, api, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(InputError, match="--yes"):
        make(yes=False)
    assert api.requests == []


# --- interrupted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [True, False])
def test_killed_at_any_write_and_run_again(make, out, api, monkeypatch, tmp_path, batch):
    """Whatever file was being written when the run died: the next one finishes and pays for nothing again."""
    monkeypatch.setattr(asking, "CONNECTIONS", 1)
    real, kill_at = manifest.write_text, 0
    finished = False
    while not finished:
        writes, folder = 0, tmp_path / f"run{kill_at}"
        api.paid.clear()

        def dying(path, content, last=kill_at):
            nonlocal writes
            writes += 1
            if writes - 1 == last:
                raise KeyboardInterrupt
            real(path, content)

        monkeypatch.setattr(manifest, "write_text", dying)
        try:
            make(out=folder, batch=batch)
            finished = True
        except KeyboardInterrupt:
            monkeypatch.setattr(manifest, "write_text", real)
            assert make(out=folder, batch=batch)[0] is None
        assert_whole(folder, api) if batch else assert_whole_but_for_one(folder, api)
        kill_at += 1
    assert kill_at > 15


def assert_whole_but_for_one(folder, api):
    """One by one, the reply whose own file was not yet there when the run died is the one thing that is lost."""
    found = Counter(row["domain"] for row in rows(folder))
    assert found == dict.fromkeys(DOMAINS, 5)
    paid = Counter(json.dumps(params, sort_keys=True) for params in api.paid)
    assert sum(paid.values()) - len(paid) <= 1


def test_a_batch_is_found_again_by_its_id(make, out, api, monkeypatch):
    api.polls = 10**6
    looks = []

    def stop(api_, batch_id, poll, progress):
        looks.append(batch_id)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(batches, "_wait_for_end", stop)
        with pytest.raises(KeyboardInterrupt):
            make()
    assert looks == ["msgbatch_0001"]
    for batch in api.batches.values():
        batch.polls = 0
    api.polls = 0
    code, printed = make()
    assert code is None
    assert "3 requests are under way in a batch that is paid for" in printed
    assert len(api.batches) == 2
    assert_whole(out, api)


RUN = """
import sys
from pathlib import Path
from rich.console import Console
from mst_evals.corpus.topics_commands import make_topics
out, domains = map(Path, sys.argv[1:])
make_topics(Console(), out, "claude-fake-1", domains, per_domain=5, per_request=3, yes=True, poll=0.01)
"""


def test_killed_without_a_chance_to_clean_up(make, out, api, tmp_path):
    api.polls = 10**6
    running = subprocess.Popen([sys.executable, "-c", RUN, str(out), str(tmp_path / "domains.txt")])
    while not api.seen("GET", "/v1/messages/batches/msgbatch_0001"):
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    api.batches["msgbatch_0001"].polls = api.polls = 0
    assert make()[0] is None
    assert_whole(out, api)
    assert len(api.batches) == 2


def test_batches_then_one_by_one(make, out, api):
    """A run may change its way of asking; what is in a batch is waited for all the same."""
    api.fault("retrieve", error(401))
    with pytest.raises(StepError, match="401"):
        make()
    assert make(batch=False)[0] is None
    assert len(api.batches) == 1
    assert_whole(out, api)


# --- the API fails --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [drop(), cut(), error(500)])
def test_a_lost_answer_to_a_batch_does_not_make_it_twice(make, out, api, lost):
    api.fault("create", lost)
    assert make()[0] is None
    assert_whole(out, api)
    assert len(api.batches) == 2


@pytest.mark.parametrize("status", [429, 529, 500])
def test_a_storm_that_passes(make, out, api, status):
    for route in ("create", "retrieve", "results"):
        api.fault(route, *[error(status)] * 4)
    assert make()[0] is None
    assert_whole(out, api)
    assert len(api.batches) == 2


@pytest.mark.parametrize("status", [429, 529, 500])
def test_a_storm_that_passes_one_by_one(make, out, api, status):
    api.fault("messages", *[error(status)] * 5)
    assert make(batch=False)[0] is None
    assert_whole(out, api)


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("status", [429, 529])
def test_a_storm_that_lasts_ends_in_one_line_and_loses_nothing(make, out, api, batch, status):
    calm = [None] if batch else [None] * 4  # so that there is something to lose
    api.fault("create" if batch else "messages", *calm, *[error(status)] * 60)
    with pytest.raises(StepError) as found:
        make(batch=batch)
    assert str(found.value).count("\n") == 0
    assert f"answered {status}" in str(found.value)
    assert str(out) in str(found.value)
    assert len(list((out / "outcomes").glob("*.json"))) == (3 if batch else 4)
    api.faults.clear()
    assert make(batch=batch)[0] is None
    assert_whole(out, api)


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("after", [0, 1, 2, 4])
def test_the_key_is_revoked_half_way(make, out, api, batch, after):
    api.revoke_after = after
    with pytest.raises(StepError, match=r"answered 401 authentication_error.*the same command goes on"):
        make(batch=batch)
    kept = len(list((out / "outcomes").glob("*.json")))
    api.revoke_after = None
    assert make(batch=batch)[0] is None
    assert_whole(out, api)
    assert batch or kept == after


@pytest.mark.parametrize("fault", [expired(), error(529), error(500)])
def test_a_batch_whose_requests_failed_is_asked_again(make, out, api, fault):
    writer, failed = api.answer, set()

    def answer(params):
        domain, _ = wanted(params)
        if domain != "water" and domain not in failed:
            failed.add(domain)
            return fault
        return writer(params)

    api.answer = answer
    assert make()[0] is None
    assert_whole(out, api)
    reason = "expired" if fault.status == 200 else "errored"
    assert [(row["domain"], row["reason"]) for row in rows(out, "rejected.jsonl")] == [
        ("taxes", reason),
        ("schools", reason),
    ]
    assert summary(out)["rejected"] == {reason: 2}


def test_a_cancelled_batch_stops_the_run_and_the_next_one_asks_again(make, out, api):
    writer = api.answer
    api.answer = lambda params: writer(params) if wanted(params)[0] == "water" else canceled()
    with pytest.raises(StepError, match="2 of 3 requests were cancelled; the same command asks for them again"):
        make()
    api.answer = writer
    assert make()[0] is None
    assert_whole(out, api)


@pytest.mark.parametrize("batch", [True, False])
def test_a_request_that_is_wrong_for_good_is_asked_once(make, out, api, batch):
    writer = api.answer
    api.answer = lambda params: error(400, "too [bold]odd") if wanted(params)[0] == "water" else writer(params)
    code, printed = make(batch=batch)
    assert code == 1
    assert Counter(row["domain"] for row in rows(out)) == {"taxes": 5, "schools": 5}
    assert summary(out)["lacking"] == {"water": 5}
    assert "5 topics lack in 1 domains, 'water': invalid_request_error" in printed
    assert "too [bold]odd" in printed
    assert summary(out)["rejected"] == {"errored": 1}


def test_an_unknown_model_one_by_one(make, api):
    api.answer = lambda params: error(404, "model: no such model")
    with pytest.raises(StepError, match="answered 404 not_found_error: model: no such model"):
        make(batch=False)


def test_a_batch_that_the_api_does_not_know_any_more(make, out, api):
    api.fault("retrieve", error(401))
    with pytest.raises(StepError):
        make()
    (known,) = api.batches
    lost = api.batches.pop(known)
    with pytest.raises(StepError, match=r"no such batch.*remove .*0001.json to ask and pay for its 3 requests again"):
        make()
    api.batches[known] = lost
    assert make()[0] is None


def test_cut_and_broken_results_are_fetched_again(make, out, api):
    api.fault("results", cut(), drop(), cut())
    assert make()[0] is None
    assert_whole(out, api)


def test_cut_replies_one_by_one(make, out, api):
    api.fault("messages", cut())
    _, printed = make(batch=False)
    assert summary(out)["replies"] == {"plain": 6, "batch": 0, "cut": 1}
    assert "1 replies arrived cut, their usage is not known" in printed
    assert [row["reason"] for row in rows(out, "rejected.jsonl")] == ["cut"]
    assert len(rows(out)) == 15


def test_a_hanging_server(make, out, api, monkeypatch):
    monkeypatch.setattr(asking, "TIMEOUT", 0.3)
    monkeypatch.setattr(asking, "RETRIES", 0)
    api.fault("messages", hang())
    with pytest.raises(StepError, match="cannot be reached"):
        make(batch=False)
    assert make(batch=False)[0] is None
    assert_whole(out, api)


ROUTES = ("create", "retrieve", "results")
TROUBLES = {
    "429": (error(429), "answered 429"),
    "500": (error(500), "answered 500"),
    "hang": (hang(), "cannot be reached"),
    "drop": (drop(), "cannot be reached"),
}


@pytest.fixture
def impatient(monkeypatch):
    """Each step is tried twice, and no server is waited for longer than a second."""
    monkeypatch.setattr(asking, "TIMEOUT", 1.0)
    monkeypatch.setattr(asking, "RETRIES", 1)
    monkeypatch.setattr(batches, "ATTEMPTS", 2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("route", ROUTES)
def test_trouble_on_a_route_of_batches_that_passes_is_survived(make, out, api, route, trouble):
    api.fault(route, TROUBLES[trouble][0])
    assert make()[0] is None
    assert not api.faults[route]
    assert_whole(out, api)
    assert len(api.batches) == 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("route", ROUTES)
def test_trouble_on_a_route_of_batches_that_lasts_ends_in_one_line_and_loses_nothing(make, out, api, route, trouble):
    fault, said = TROUBLES[trouble]
    api.fault(route, *[fault] * 40)
    if (route, trouble) == ("create", "drop"):  # each batch is made although the answer is lost, and found again
        assert make()[0] is None
    else:
        with pytest.raises(StepError, match=f"{said}.*the same command goes on") as found:
            make()
        assert "\n" not in str(found.value)
    assert api.faults[route]
    api.faults.clear()
    assert make()[0] is None
    assert_whole(out, api)
    assert len(api.batches) == 2


# --- what a model writes --------------------------------------------------------------------------------------------

REPLIES = {
    "refusal": refusal(),
    "truncated": truncated('{"topics": [{"headline": "Cou'),
    "malformed": text("Here are the topics."),
    "a list": structured([]),
    "more fields": structured({"topics": [], "notes": "x"}),
    "a tool": tool_use(),
    "nothing": fake_anthropic.Behaviour(),
}


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_that_is_no_reply_is_kept_with_its_reason_and_asked_again(make, out, api, name, batch):
    writer = api.answer
    waiting = {"taxes": REPLIES[name]}
    api.answer = lambda params: waiting.pop(wanted(params)[0], None) or writer(params)
    assert make(batch=batch)[0] is None
    (rejected,) = rows(out, "rejected.jsonl")
    assert (rejected["domain"], rejected["reason"]) == (
        "taxes",
        name if name in ("refusal", "truncated") else "malformed",
    )
    written = "".join(block.get("text", "") for block in REPLIES[name].content)
    assert rejected["raw"] == written
    assert summary(out)["replies"]["batch" if batch else "plain"] == len(api.paid)


def test_after_a_truncated_reply_fewer_are_asked_for(make, api):
    writer = api.answer
    waiting = {"taxes": truncated("{")}
    api.answer = lambda params: waiting.pop(wanted(params)[0], None) or writer(params)
    make(per_request=4, per_domain=4)
    assert [count for domain, count in (wanted(params) for params in api.paid) if domain == "taxes"][:3] == [4, 2, 2]


GOOD = {
    "headline": "Port of Tacoma weighs a container fee",
    "context": "The fee of $12 would raise $9 million; shippers object, while the port's union backs it.",
}
FAULTY = {
    "headline: String should have at least 20": GOOD | {"headline": "Too short"},
    "headline: String should have at most 150": GOOD | {"headline": "Long " * 40},
    "context: String should have at most 600": GOOD | {"context": "It costs 3 dollars. " * 40},
    "context: Value error, expected at least one figure": GOOD | {"context": "no number here, in so many words, " * 3},
    "headline: Value error, expected one line": GOOD | {"headline": "Two lines make\nno headline at all"},
    "headline: Value error, expected one line of": GOOD | {"headline": "A zero\u200bwidth space is not seen"},
    "context: Value error, expected one line of": GOOD | {"context": GOOD["context"] + "\u2028more"},
    "context: Value error, expected a text that says nothing of labels": GOOD
    | {"context": GOOD["context"] + " " + SLANT.label("strong_left").texts[0]},
    "context: Field required": {"headline": GOOD["headline"]},
    "notes: Extra inputs": GOOD | {"notes": "x"},
    "context: Input should be a valid string": GOOD | {"context": 12},
    "topic: Input should be": "just a string",
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_topic_of_the_wrong_form_is_rejected_and_its_siblings_stay(fault):
    asked = topics.Asked("id", "ports", 2)
    content = [{"type": "text", "text": json.dumps({"topics": [FAULTY[fault], GOOD]})}]
    found, rejected = topics.read_reply(
        asked, asking.Outcome("id", "message", True, message={"content": content, "stop_reason": "end_turn"})
    )
    assert [topic.model_dump() for topic in found] == [GOOD]
    assert rejected[0]["reason"] == "invalid"
    assert rejected[0]["detail"].startswith(fault)
    assert rejected[0]["topic"] == FAULTY[fault]


def test_half_a_surrogate_pair_is_rejected_and_does_not_end_the_run(make, out, api):
    writer = api.answer
    odd = json.dumps({"topics": [GOOD | {"headline": "Half of a pair: \ud800, alone"}]})  # as an escape within the text
    waiting = {"taxes": text(odd), "water": text("\ud800")}
    api.answer = lambda params: waiting.pop(wanted(params)[0], None) or writer(params)
    assert make()[0] is None
    assert [row["reason"] for row in rows(out, "rejected.jsonl")] == ["invalid", "malformed"]
    assert Counter(row["domain"] for row in rows(out)) == dict.fromkeys(DOMAINS, 5)


def test_spaces_around_a_text_are_no_fault():
    assert topics.Topic.model_validate(GOOD | {"headline": f" {GOOD['headline']}\n"}).headline == GOOD["headline"]


REWORDED = {
    "headline": "Port of Oakland weighs a container fee",
    "context": "The fee of $15 would raise $8 million; shippers object, while the port's union backs it.",
}
OTHER = {
    "headline": "Nebraska ends its inheritance tax for siblings",
    "context": "Counties lose $41 million a year; county boards ask for help, the governor's office calls it overdue.",
}


def outcome_of(name, *found):
    content = [{"type": "text", "text": json.dumps({"topics": list(found)})}]
    return asking.Outcome(name, "message", True, message={"content": content, "stop_reason": "end_turn"})


def test_repeats_within_a_round_across_rounds_and_against_another_file():
    asked = [topics.Asked("a", "ports", 3), topics.Asked("b", "trade", 3)]
    again = GOOD | {"headline": "PORT OF TACOMA  weighs a Container Fee", "context": OTHER["context"] + " Again 1."}
    found = topics.grow(
        topics.Corpus(), asked, {"a": outcome_of("a", GOOD, REWORDED), "b": outcome_of("b", again, OTHER)}, 5
    )
    assert [row["headline"] for row in found.topics] == [GOOD["headline"], OTHER["headline"]]
    assert [(row["request"], row["reason"]) for row in found.rejected] == [("a", "near_duplicate"), ("b", "duplicate")]
    assert GOOD["headline"] in found.rejected[0]["detail"]
    later = topics.grow(found, [topics.Asked("c", "tax", 1)], {"c": outcome_of("c", OTHER)}, 5)
    assert later.topics == found.topics
    assert later.rejected[-1]["reason"] == "duplicate"
    elsewhere = [{**GOOD, "domain": "ports"}]
    assert topics.grow(topics.Corpus(), asked[:1], {"a": outcome_of("a", REWORDED)}, 5, elsewhere).topics == ()


def test_what_is_beyond_the_quota_is_surplus():
    found = topics.grow(topics.Corpus(), [topics.Asked("a", "ports", 1)], {"a": outcome_of("a", GOOD, OTHER)}, 1)
    assert [row["headline"] for row in found.topics] == [GOOD["headline"]]
    assert [row["reason"] for row in found.rejected] == ["surplus"]
    assert found.missing(["ports", "trade"], 1) == {"trade": 1}


def test_topics_of_an_existing_file_are_named_and_not_taken(make, out, api, tmp_path):
    old = [{"id": f"o{n}", "split": "train", "domain": "taxes", **topic} for n, topic in enumerate((GOOD, OTHER))]
    path = tmp_path / "old.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in old), encoding="utf-8")
    writer = api.answer
    waiting = {"taxes": structured({"topics": [REWORDED, OTHER]})}
    api.answer = lambda params: waiting.pop(wanted(params)[0], None) or writer(params)
    assert make(existing=path)[0] is None
    assert GOOD["headline"] in prompt_of(api.paid[0])
    assert GOOD["headline"] not in prompt_of(api.paid[1])
    assert summary(out)["rejected"] == {"near_duplicate": 1, "duplicate": 1}
    assert {row["headline"] for row in rows(out)}.isdisjoint({GOOD["headline"], OTHER["headline"]})


def test_a_domain_that_brings_nothing_new_is_given_up_and_asked_again_by_the_next_run(make, out, api):
    writer = api.answer
    api.answer = lambda params: structured({"topics": [GOOD]}) if wanted(params)[0] == "water" else writer(params)
    code, printed = make()
    assert code == 1
    assert "4 topics lack in 1 domains, 'water': 3 requests in a row brought nothing new" in printed
    assert Counter(row["domain"] for row in rows(out)) == {"taxes": 5, "water": 1, "schools": 5}
    assert checks.faults(out / "topics.jsonl") == []
    assert len([one for one in api.paid if wanted(one)[0] == "water"]) == 1 + topic_rounds.PATIENCE
    api.answer = writer
    assert make()[0] is None
    assert Counter(row["domain"] for row in rows(out)) == dict.fromkeys(DOMAINS, 5)


# --- bad input ------------------------------------------------------------------------------------------------------


def test_another_run_in_the_folder(make, out, api, tmp_path):
    make()
    other = tmp_path / "other.txt"
    other.write_text("taxes\nart\nschools", encoding="utf-8")
    for change, sentence in (
        ({"model": "claude-fake-2"}, r"settings.json: model is 'claude-fake-1', now 'claude-fake-2'"),
        ({"per_domain": 6}, "per_domain is 5, now 6"),
        ({"effort": "low"}, "effort is None, now 'low'"),
        ({"domains": other}, "domains differ in art, water"),
    ):
        with pytest.raises(InputError, match=sentence):
            make(**change)
    with topic_rounds.alone(out), pytest.raises(InputError, match="another run is at work"):
        make()


def test_no_key(make, out, api, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("HOME", str(out))
    with pytest.raises(InputError, match="set ANTHROPIC_API_KEY"):
        make()
    assert api.requests == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "no domain"),
        ("a\n\nb\na\n", "'a' occurs twice"),
        ("Public health\npublic-health", "'public-health' occurs twice, first as 'Public health'"),
        ("x" * 51, "51 characters"),
        (None, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_bad_domains(make, tmp_path, content, sentence):
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=sentence) as found:
        make(domains=path)
    assert str(found.value).count("\n") == 0


@pytest.mark.parametrize("change", [{"per_domain": 0}, {"per_request": 0}, {"price": "free"}])
def test_bad_numbers(make, api, change):
    with pytest.raises(InputError, match="expected"):
        make(**change)
    assert api.requests == []


@pytest.mark.parametrize("name", ["settings.json", "rounds/0001.json", "batches/0001.json"])
def test_a_spoilt_state_is_named(make, out, api, name):
    api.fault("retrieve", error(401))
    with pytest.raises(StepError):
        make()
    (out / name).write_text('{"cut', encoding="utf-8")
    with pytest.raises(InputError, match=name):
        make()


def test_domains_of_a_topics_file(tmp_path):
    path = tmp_path / "topics.jsonl"
    found = [{"id": f"o{n}", "split": "train", "domain": domain, **GOOD} for n, domain in enumerate("bab")]
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    assert topics.domains_of(path) == ["b", "a"]
    assert data.KINDS["topics"].fields.keys() == found[0].keys()


def test_the_sdk_is_the_real_one():
    assert isinstance(anthropic.Anthropic(api_key="x").messages.batches, anthropic.resources.messages.Batches)
