"""`mst data articles` through Inspect's real Anthropic provider against the fake API: it ends, and nothing is lost.

A lasting fault ends a run in one line after a bounded number of requests; the same command then goes on and pays for
nothing twice.
"""

import io
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_anthropic
import pytest
from conftest import topic, write_jsonl
from fake_anthropic import (
    KEY,
    MODEL,
    Behaviour,
    FakeAnthropic,
    cut,
    drop,
    error,
    hang,
    prompt_of,
    refusal,
    text,
    tool_use,
    truncated,
)
from inspect_ai.model import GenerateConfig, get_model
from rich.console import Console
from test_data_articles import article

from mst_evals import judge
from mst_evals.corpus import article_rounds, articles_commands
from mst_evals.corpus.article_checks import Request
from mst_evals.errors import InputError, StepError

api = fake_anthropic.api

TOPICS = 16  # more than PATIENCE, so that a run that stops early is told from one that asks for all
NAME = f"anthropic/{MODEL}"
# A fault that is called lasting ends after so many requests, or a version that retries for ever would never be told.
LASTING = 300

Make = Callable[..., tuple[int, str]]


def number_of(params: dict[str, Any]) -> int:
    """Which topic a request is about."""
    found = re.search(r"debates measure (\d+)$", prompt_of(params), re.MULTILINE)
    assert found is not None
    return int(found[1])


def write(params: dict[str, Any]) -> Behaviour:
    return text(article(number_of(params)))


def lasting(fault: Behaviour, api: FakeAnthropic) -> Callable[[dict[str, Any]], Behaviour]:
    return lambda params: fault if len(api.requests) < LASTING else write(params)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(seconds: float) -> None:
        pass

    monkeypatch.setattr("inspect_ai.model._retry._sleep", at_once)  # 3 seconds and more before each retry


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def make(tmp_path: Path, out: Path, api: FakeAnthropic) -> Make:
    """Run the command; returns its exit code and what it printed."""
    topics = Path(write_jsonl(tmp_path / "topics.jsonl", [topic(number, "train") for number in range(TOPICS)]))
    api.answer = write

    def run(**more: Any) -> tuple[int, str]:
        console = Console(file=(printed := io.StringIO()), width=200)
        request = Request(attempts=more.pop("attempts", 2))
        model, rows = more.pop("model", NAME), more.pop("rows", None)
        given = {"price": None, "yes": True, "display": "none", **more}
        code = articles_commands.make(model, topics, out, ("train",), request, rows, console, **given)
        return code, printed.getvalue()

    return run


def lines(out: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / name).read_text(encoding="utf-8").splitlines()]


def summary(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return found


def assert_whole(out: Path, api: FakeAnthropic, lost: int = 0) -> None:
    """Every topic has its article, no request was malformed, and only replies that got lost were paid for twice."""
    found = lines(out, "articles.jsonl")
    assert [row["topic"] for row in found] == [f"t{number}" for number in range(TOPICS)]
    assert [row["article"] for row in found] == [article(number) for number in range(TOPICS)]
    assert api.complaints == []
    paid = Counter(number_of(params) for params in api.paid)
    assert set(paid) == set(range(TOPICS)) and paid.total() == TOPICS + lost


# --- the normal case ------------------------------------------------------------------------------------------------


def test_cost_before_and_after(make: Make, out: Path, api: FakeAnthropic) -> None:
    code, printed = make(price="2,10")
    assert code == 0
    assert_whole(out, api)
    # as the fake bills: a quarter of the characters of the request, and of the reply
    given = sum(len(json.dumps(params)) // 4 for params in api.paid)
    written = sum(len(article(number)) // 4 for number in range(TOPICS))
    found = summary(out)
    assert (found["replies"], found["input_tokens"], found["output_tokens"]) == (TOPICS, given, written)
    assert found["usd"] == pytest.approx((given * 2 + written * 10) / 1e6)
    said = printed.splitlines()
    before, after = (next(line for line in said if line.startswith(start)) for start in ("To come", "Spent"))
    assert said.index(before) < said.index(after)
    # 350 output tokens each: 1,050 characters, three a token; at most two attempts of 512
    assert f"{TOPICS} requests" in before and f"{TOPICS * 350:,} output tokens: $0.0" in before
    assert "2 attempts, and every reply all of its 512 tokens: $0.1" in before  # 16 x 2 x 512 x $10 / 1 M = $0.16, and
    assert f"{TOPICS} replies, {given:,} input and {written:,} output tokens: $" in after
    _, again = make(price="2,10")
    assert "To come" not in again and after in again and len(api.requests) == TOPICS


def test_an_unknown_price_is_said_and_nobody_is_asked(make: Make, out: Path) -> None:
    code, printed = make(yes=False)
    assert code == 0 and "price unknown" in printed and "--price INPUT,OUTPUT" in printed
    assert summary(out)["usd"] is None


@pytest.mark.parametrize("answer", ["n", None])
def test_nothing_is_spent_without_a_yes(
    make: Make, out: Path, api: FakeAnthropic, monkeypatch: pytest.MonkeyPatch, answer: str | None
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("" if answer is None else f"{answer}\n"))
    if answer is None:
        with pytest.raises(InputError, match="add --yes"):
            make(price="2,10", yes=False)
    else:
        code, printed = make(price="2,10", yes=False)
        assert code == 1 and "Nothing was sent." in printed
    assert api.requests == [] and not (out / "articles.jsonl").exists()


def test_limits_are_those_of_a_judge_and_a_model_in_this_process_has_no_timeout(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = get_model(NAME, config=GenerateConfig(max_retries=1), memoize=False)
    assert article_rounds.limits(model) == GenerateConfig(
        max_retries=1, timeout=judge.TOTAL, attempt_timeout=judge.ATTEMPT
    )
    assert article_rounds.limits(get_model(NAME, memoize=False)).max_retries == judge.RETRIES
    monkeypatch.setattr(article_rounds, "IN_PROCESS", ("anthropic",))
    assert article_rounds.limits(model) == GenerateConfig(max_retries=judge.RETRIES)


# --- faults that pass -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "lost"), [(error(429), 0), (error(529), 0), (error(500), 0), (drop(), 4), (cut(), 4)]
)  # fmt: skip
def test_a_fault_that_passes_is_survived(
    make: Make, out: Path, api: FakeAnthropic, fault: Behaviour, lost: int
) -> None:
    api.fault("messages", *[fault] * 4)  # more than the SDK's own retries take away
    code, _ = make()
    assert code == 0
    assert_whole(out, api, lost)


def test_a_request_that_hangs_is_given_up_and_sent_again(
    make: Make, out: Path, api: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "ATTEMPT", 8)
    api.fault("messages", hang())
    started = time.monotonic()
    assert make(rows=3)[0] == 0
    assert time.monotonic() - started < 55  # the fake lets go after 60 seconds
    assert len(lines(out, "articles.jsonl")) == 3


# --- faults that last -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 429, 529])
def test_a_fault_that_lasts_ends_the_run_and_the_same_command_goes_on(
    make: Make, out: Path, api: FakeAnthropic, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(judge, "RETRIES", 1)
    monkeypatch.setattr(article_rounds, "PATIENCE", 4)
    api.answer = lasting(error(status), api)
    with pytest.raises(StepError, match=f"requests in a row failed, the last with .*fake {status}.*goes on"):
        make()
    # at most all topics, each TRIES times, each of these by Inspect 1 + RETRIES times, and by the SDK three times
    assert article_rounds.PATIENCE <= len(api.requests) <= TOPICS * article_rounds.TRIES * (1 + judge.RETRIES) * 3
    assert not (out / "articles.jsonl").exists() and len(summary(out)["without_article"]) == TOPICS
    assert {row["reason"] for row in lines(out, "rejected.jsonl")} == {"error"}
    api.answer = write
    assert make()[0] == 0
    assert_whole(out, api)
    assert lines(out, "rejected.jsonl") == []


def test_a_key_that_is_revoked_half_way_loses_nothing(make: Make, out: Path, api: FakeAnthropic) -> None:
    api.revoke_after = 5
    with pytest.raises(StepError, match="invalid x-api-key"):
        make()
    kept = lines(out, "articles.jsonl")
    assert len(kept) == 5 == len(api.paid)
    api.revoke_after = None
    assert make()[0] == 0
    assert_whole(out, api)
    assert all(row in lines(out, "articles.jsonl") for row in kept)


def test_one_request_that_fails_for_good_stops_no_other(make: Make, out: Path, api: FakeAnthropic) -> None:
    api.answer = lambda params: error(400, "no such thing") if number_of(params) == 3 else write(params)
    code, printed = make()
    assert code == 1 and "Requests failed, the last with BadRequestError: " in printed and "no such thing" in printed
    assert summary(out)["outcomes"] == {"accepted": TOPICS - 1, "error": 1}
    api.answer = write
    assert make()[0] == 0
    assert_whole(out, api)


def test_a_wrong_key_is_one_line(make: Make, api: FakeAnthropic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", f"not-{KEY}")
    with pytest.raises(StepError, match=r"\A[^\n]*AuthenticationError: [^\n]*invalid x-api-key[^\n]*\Z"):
        make()
    assert api.paid == []


# --- replies that are no articles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (refusal(), "refusal"),
        (truncated(article(1)), "incomplete"),
        (tool_use(), "empty"),
        (text(""), "empty"),
        (text("Too short."), "too_short"),
    ],
)
def test_a_reply_that_is_no_article_is_asked_again_and_kept(
    make: Make, out: Path, api: FakeAnthropic, reply: Behaviour, reason: str
) -> None:
    api.answer = lambda params: reply if number_of(params) == 3 else write(params)
    code, _ = make(attempts=2)
    assert code == 1
    assert summary(out)["outcomes"] == {"accepted": TOPICS - 1, reason: 2}
    assert [(row["topic"], row["attempt"]) for row in lines(out, "rejected.jsonl")] == [("t3", 1), ("t3", 2)]
    assert len(api.paid) == TOPICS + 1
    make(attempts=2)
    assert len(api.paid) == TOPICS + 1  # given up is given up
