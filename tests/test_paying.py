"""What `mst judge-card` and `mst audit --rescore` say of their cost, before and after, and when they ask."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import seen, stub_model
from judging_data import perfect, reply, write
from rich.console import Console

from mst_evals.errors import InputError
from mst_evals.judging import grading, judging_commands, paying
from mst_evals.judging.canaries import ATTACKS
from mst_evals.judging.grading import LEXICAL, Text

TEXTS = [Text(f"a{number}", f"t{number}", f"Article {number}. The council voted on it.") for number in range(3)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every question; the answer is no."""
    found: list[str] = []
    monkeypatch.setattr("rich.prompt.Confirm.ask", lambda question, **more: found.append(question))
    return found


def grade(jobs: list[grading.Job], *prices: str, yes: bool = False) -> tuple[Any, str]:
    said = io.StringIO()
    return paying.grade(Console(file=said, width=200), jobs, prices, yes, "none"), said.getvalue()


def test_the_cost_is_shown_before_and_after_and_what_is_there_costs_nothing(tmp_path: Path, asked: list[str]) -> None:
    judge, second = stub_model(reply(3), "judge"), stub_model(reply(4), "second")

    def jobs() -> list[grading.Job]:
        plans = ((TEXTS, judge, 2), (TEXTS, second, 1), (TEXTS[:1], judge, 1))
        return [grading.plan(texts, who, runs, tmp_path) for texts, who, runs in plans]

    found, said = grade(jobs(), "1,10", "2,20")
    assert found is None and asked == ["Spend it?"] and seen(judge) == seen(second) == []
    lines = said.splitlines()
    assert re.match(r"stub/judge: about 7 replies, [\d,]+ input and 700 output tokens: \$0\.0\d+, without", lines[0])
    assert "at most" in lines[0] and "about 21 replies" in lines[0]
    assert lines[1].startswith("stub/second: about 3 replies") and lines[2].startswith("All judges, about: $0.0")
    assert lines[3:] == ["Nothing was sent."]
    found, said = grade(jobs(), "1,10", "2,20", yes=True)
    assert [len(one.frame) for one in found] == [6, 3, 1] and len(seen(judge)) == 7
    # A stub bills one token in and one out: 7 * 11 and 3 * 22 USD a million.
    assert said.splitlines()[-1] == "Spent: 10 replies, 10 input and 10 output tokens: $0.0001"
    asked.clear()
    found, said = grade(jobs(), "1,10")
    assert [len(one.frame) for one in found] == [6, 3, 1] and (said, asked, len(seen(judge))) == ("", [], 7)


def test_an_unknown_price_is_asked_about_and_a_price_of_nothing_is_not(tmp_path: Path, asked: list[str]) -> None:
    job = grading.plan(TEXTS[:1], stub_model(reply(3), "judge"), 1, tmp_path)
    found, said = grade([job])
    assert found is None and asked == ["Spend it?"] and "price unknown" in said and "give it as --price" in said
    with pytest.raises(InputError, match="found 2 prices for 1 judges"):
        grade([job], "1,2", "3,4")
    found, said = grade([job], "0,0")
    assert found is not None and asked == ["Spend it?"] and "Spent: 1 replies" in said


def test_nobody_is_asked_about_the_proxy_or_a_mock(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"mockllm", "mst", "hf"} <= set(paying.FREE)
    monkeypatch.setattr(paying, "FREE", ("stub",))
    mock = stub_model(reply(3), "judge")
    jobs = [grading.plan(TEXTS[:1], who, 1, tmp_path) for who in (LEXICAL, mock)]
    found, said = grade(jobs)
    assert [len(one.frame) for one in found] == [1, 1] and (said, asked) == ("", [])


def test_the_card_asks_once_for_all_it_will_send(tmp_path: Path, asked: list[str]) -> None:
    said, judge, second = io.StringIO(), stub_model(perfect, "judge"), stub_model(perfect, "second")
    code = judging_commands.judge_card(
        judge, Console(file=said, width=200), write(tmp_path, 2), tmp_path / "out", second_grader=second, attacked=1
    )
    assert code == 1 and asked == ["Spend it?"] and seen(judge) == seen(second) == []
    # 16 articles twice, and every attack with the sham on one of them.
    assert f"stub/judge: about {32 + len(ATTACKS) + 1} replies" in said.getvalue()
    assert "stub/second: about 16 replies" in said.getvalue() and not (tmp_path / "out").exists()


def test_an_audit_that_may_not_spend_still_says_what_it_found(
    run: Any, topics: str, tmp_path: Path, asked: list[str]
) -> None:
    log = run(
        "bias", stub_model("The council voted on the plan, and a clerk read it."), topics=topics, scorer="lexical"
    )
    said, again = io.StringIO(), stub_model(reply(3), "again")
    code = judging_commands.audit(
        [Path(log.location)], Console(file=said, width=200), again, tmp_path / "again", 2, display="none"
    )
    assert code == 0 and asked == ["Spend it?"] and seen(again) == []
    assert "no judge was asked" in said.getvalue() and "stub/again: about 4 replies" in said.getvalue()
    assert said.getvalue().splitlines()[-1] == "Nothing was sent."
