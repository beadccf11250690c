"""`mst data articles` on stub models: what is asked, what is kept and why, and that nothing is asked twice."""

import io
import json
import os
import random
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from conftest import StubAPI, seen, stub_model, topic, write_jsonl
from inspect_ai.log import read_eval_log_sample_summaries
from inspect_ai.model._model import active_model
from rich.console import Console

from mst_evals import data
from mst_evals.corpus import article_rounds, articles_commands, topic_rounds
from mst_evals.corpus.article_checks import Made, Request, fault, judge_replies
from mst_evals.corpus.articles import assign_profiles, make
from mst_evals.errors import InputError, StepError
from mst_evals.labels import PROFILES, SLANT

WORDS = Path(__file__).read_text(encoding="utf-8").split()
SMALL = Request(attempts=1)


def article(number: int, words: int = 100) -> str:
    """Text of its own for each number."""
    rng = random.Random(number)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return " ".join("".join(rng.choices(letters, k=6)) for _ in range(words)).capitalize() + "."


def number_of(prompt: str) -> int:
    """Which topic a prompt is about: `conftest.topic` numbers its headlines."""
    return int("".join(filter(str.isdigit, prompt.split("\n\n")[-1].split("\n")[0])) or -1)


@pytest.fixture
def topics(tmp_path: Path) -> Path:
    rows = [topic(number, "train" if number < 8 else "validation") for number in range(12)]
    return Path(write_jsonl(tmp_path / "topics.jsonl", rows))


def writer(messages: Any) -> str:
    return article(number_of(messages[-1].text))


def test_profiles_are_balanced_seeded_and_depend_on_no_other_split(topics: Path) -> None:
    rows = [row for split in ("train", "validation") for row in data.load_topics(topics, split)]
    found = assign_profiles(rows, 0)
    assert Counter(found[row["id"]] for row in rows if row["split"] == "train") == dict.fromkeys(PROFILES, 2)
    assert found == assign_profiles(rows, 0) != assign_profiles(rows, 1)
    assert {key: found[key] for key in assign_profiles(rows[:8], 0)} == assign_profiles(rows[:8], 0)


def test_every_topic_gets_an_article_under_the_perspective_that_its_label_states(tmp_path: Path, topics: Path) -> None:
    model = stub_model(writer)
    made = make(model, topics, tmp_path / "out", ("train", "validation"), SMALL, display="none")
    rows = data.load_articles(tmp_path / "out" / "articles.jsonl", "train")
    assert len(rows) == 8 and made.counts() == {"accepted": 12}
    for row in rows:
        (perspective,) = SLANT.label(row["profile"]).texts
        (asked,) = [prompt for prompt in seen(model) if f"\n{row['headline']}\n" in prompt]
        assert perspective in asked and row["context"] in asked
        assert "UNBIASED" not in asked
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["profiles"] == dict.fromkeys(sorted(PROFILES), 3) and summary["without_article"] == []


def test_the_writer_is_not_left_behind_as_the_active_model(tmp_path: Path, topics: Path) -> None:
    """A task made outside of eval() would take its facts for those of the model that is asked."""
    make(stub_model(writer), topics, tmp_path / "out", ("train",), SMALL, rows=1, display="none")
    assert active_model() is None


WRITE_SLOWLY = """
import sys
from pathlib import Path
import anyio
from conftest import StubAPI, stub_model
from mst_evals.corpus.articles import make
from test_data_articles import SMALL, number_of, writer

at_once = StubAPI.generate

async def generate(self, input, **rest):
    await anyio.sleep(0 if number_of(input[-1].text) < 4 else 600)
    return await at_once(self, input, **rest)

StubAPI.generate = generate
make(stub_model(writer), Path(sys.argv[1]), Path(sys.argv[2]), ("train",), SMALL, display="none")
"""


def test_killed_half_way_no_article_on_disk_is_asked_for_again(tmp_path: Path, topics: Path) -> None:
    out, here = tmp_path / "out", str(Path(__file__).parent)
    running = subprocess.Popen(
        [sys.executable, "-c", WRITE_SLOWLY, str(topics), str(out)], env={**os.environ, "PYTHONPATH": here}
    )
    until = time.time() + 60
    while time.time() < until and _written(out) < 4:
        time.sleep(0.2)
    running.kill()
    running.wait()
    assert _written(out) == 4 and not (out / "articles.jsonl").exists()
    model = stub_model(writer)
    made = make(model, topics, out, ("train",), SMALL, display="none")
    assert made.counts() == {"accepted": 8}
    assert sorted(map(number_of, seen(model))) == [4, 5, 6, 7]


def _written(out: Path) -> int:
    """How many replies lie in the logs of a run, finished or not."""
    return sum(len(_summaries(log)) for log in out.rglob("*.eval"))


def _summaries(log: Path) -> list[Any]:
    try:
        return read_eval_log_sample_summaries(str(log))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # its first bytes are being written
        return []


def test_running_again_asks_nothing_and_another_seed_asks_anew(tmp_path: Path, topics: Path) -> None:
    make(stub_model(writer), topics, tmp_path / "out", ("train",), SMALL, display="none")
    before = (tmp_path / "out" / "articles.jsonl").read_bytes()
    again = stub_model(writer)
    make(again, topics, tmp_path / "out", ("train",), SMALL, display="none")
    assert seen(again) == [] and (tmp_path / "out" / "articles.jsonl").read_bytes() == before
    other = stub_model(writer)
    make(other, topics, tmp_path / "out", ("train",), Request(seed=1, attempts=1), display="none")
    assert len(seen(other)) == 8


def test_a_stopped_run_asks_only_for_what_is_missing(tmp_path: Path, topics: Path) -> None:
    def breaks(messages: Any) -> str | Exception:
        return article(number_of(messages[-1].text)) if number_of(messages[-1].text) < 5 else ConnectionError("gone")

    first = make(stub_model(breaks), topics, tmp_path / "out", ("train",), SMALL, display="none")
    assert first.counts() == {"accepted": 5, "error": 3}
    assert all("gone" in row["detail"] for row in first.rejected)
    model = stub_model(writer)
    second = make(model, topics, tmp_path / "out", ("train",), SMALL, display="none")
    assert second.counts() == {"accepted": 8}
    assert sorted(number_of(prompt) for prompt in seen(model)) == [5, 6, 7]


def test_a_rejected_topic_is_asked_again_and_every_rejection_is_kept(tmp_path: Path, topics: Path) -> None:
    asked: Counter[int] = Counter()

    def moody(messages: Any) -> str:
        number = number_of(messages[-1].text)
        asked[number] += 1
        return (
            "I'm sorry, but I can't write this." if number == 3 or (number == 2 and asked[2] == 1) else article(number)
        )

    made = make(stub_model(moody), topics, tmp_path / "out", ("train",), Request(attempts=2), display="none")
    assert made.counts() == {"accepted": 7, "refusal": 3}
    assert asked[3] == 2 and asked[2] == 2 and asked[1] == 1
    lines = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert [(line["topic"], line["attempt"]) for line in lines] == [("t2", 1), ("t3", 1), ("t3", 2)]
    assert all(line["text"].startswith("I'm sorry") for line in lines)


def test_a_repaired_error_changes_no_other_topic(tmp_path: Path, topics: Path) -> None:
    """An article is never asked for again or replaced because the request of another topic failed beside it."""
    asked: list[int] = []
    down = True

    def moody(messages: Any) -> str | Exception:
        number = number_of(messages[-1].text)
        asked.append(number)
        if number == 0 and down:
            return ConnectionError("down")
        if number == 1 and asked.count(1) == 1:
            return "Too short."
        return article(100 * number + asked.count(number))  # another text each time

    def made() -> Made:
        return make(stub_model(moody), topics, tmp_path / "out", ("train",), Request(), rows=4, display="none")

    first = made()
    assert first.counts() == {"accepted": 3, "error": 1, "too_short": 1}
    down, asked[:] = False, []
    second = made()
    assert asked == [0]
    assert second.accepted[:3] == first.accepted and second.counts() == {"accepted": 4, "too_short": 1}
    asked.clear()
    assert made() == second and asked == []


def test_an_article_that_comes_late_takes_no_place_of_one_that_is_there(tmp_path: Path, topics: Path) -> None:
    """Topic 0 comes before topic 1, but its article after; both are the same text."""
    down = True

    def same(messages: Any) -> str | Exception:
        return ConnectionError("down") if number_of(messages[-1].text) == 0 and down else article(1)

    first = make(stub_model(same), topics, tmp_path / "out", ("train",), SMALL, rows=2, display="none")
    down = False
    second = make(stub_model(same), topics, tmp_path / "out", ("train",), SMALL, rows=2, display="none")
    assert [row["topic"] for row in first.accepted] == ["t1"] and second.accepted == first.accepted
    assert [(row["topic"], row["reason"]) for row in second.rejected] == [("t0", "duplicate")]


def test_more_topics_and_other_bounds_ask_only_for_what_is_missing(tmp_path: Path, topics: Path) -> None:
    out = tmp_path / "out"
    make(stub_model(writer), topics, out, ("train",), Request(longest=99, attempts=1), display="none")
    more = stub_model(writer)
    made = make(more, topics, out, ("train", "validation"), Request(attempts=2), display="none")
    assert made.counts() == {"accepted": 12}  # those of 100 words are no longer too long
    assert sorted(number_of(prompt) for prompt in seen(more)) == [8, 9, 10, 11]
    stricter = stub_model(lambda messages: article(number_of(messages[-1].text), 110))
    made = make(stricter, topics, out, ("train",), Request(shortest=105), display="none")
    assert made.counts() == {"accepted": 8, "too_short": 8}
    assert {row["attempt"] for row in made.rejected} == {1} and len(seen(stricter)) == 8


def test_each_attempt_samples_with_a_seed_of_its_own(tmp_path: Path, topics: Path) -> None:
    model = stub_model("Too short.")
    request = Request(seed=5, attempts=3, temperature=0.5)
    made = make(model, topics, tmp_path / "out", ("train",), request, rows=1, display="none")
    assert [(row["attempt"], row["reason"]) for row in made.rejected] == [(n, "too_short") for n in (1, 2, 3)]
    assert isinstance(model.api, StubAPI)
    assert [config.seed for config in model.api.configs] == [5, 6, 7]
    assert {(config.temperature, config.max_tokens) for config in model.api.configs} == {(0.5, 512)}
    assert seen(model) == seen(model)[:1] * 3
    again = stub_model(writer)
    assert make(again, topics, tmp_path / "out", ("train",), request, rows=1, display="none") == made
    assert seen(again) == []  # given up is given up


def test_nothing_more_is_sent_after_so_many_failures_in_a_row(
    tmp_path: Path, topics: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(article_rounds, "PATIENCE", 3)
    model = stub_model(lambda messages: ConnectionError("gone"))
    model.config.max_connections = 1  # two samples under way
    with pytest.raises(StepError, match="requests in a row failed, the last with ConnectionError: gone"):
        make(model, topics, tmp_path / "out", ("train",), Request(attempts=3), display="none")
    assert 3 <= len(seen(model)) <= 4
    lines = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert 1 <= len(lines) <= 3 and {line["reason"] for line in lines} == {"error"}
    assert len(json.loads((tmp_path / "out" / "summary.json").read_text())["without_article"]) == 8


def test_without_a_single_article_there_is_no_file_of_them_and_the_command_says_why(
    tmp_path: Path, topics: Path
) -> None:
    out, console = tmp_path / "out", Console(file=io.StringIO(), width=160)
    make(stub_model(writer), topics, out, ("train",), SMALL, display="none")

    def run(reply: str | Exception) -> None:
        model: Any = stub_model(lambda messages: reply)
        request = Request(seed=1, attempts=2)  # another request, so the articles that are there are not its own
        articles_commands.make(model, topics, out, ("train",), request, 3, console, "1,2", yes=True, display="none")

    with pytest.raises(
        InputError, match=r"^[^\n]*no reply [^\n]*\(error 3\), so there is no articles.jsonl[^\n]*gone$"
    ):
        run(ConnectionError("gone"))
    with pytest.raises(InputError, match=r"^[^\n]*no reply of stub/model passed the checks \(too_short 6\)[^\n]*$"):
        run("Too short.")
    assert not (out / "articles.jsonl").exists()
    assert len((out / "rejected.jsonl").read_text("utf-8").splitlines()) == 6
    assert "articles.jsonl:" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_second_run_in_the_folder_is_refused(tmp_path: Path, topics: Path) -> None:
    with topic_rounds.alone(tmp_path / "out"), pytest.raises(InputError, match="another run is at work"):
        model: Any = stub_model(writer)
        articles_commands.make(model, topics, tmp_path / "out", ("train",), SMALL, None, Console(quiet=True), "1,2")


@pytest.mark.parametrize(
    ("text", "stop", "reason"),
    [
        (article(1), "stop", None),
        (article(1), "unknown", None),
        (article(1)[:-1] + ' end."', "unknown", None),
        ("", "stop", "empty"),
        ("I’m unable to help with that request.", "stop", "refusal"),
        (article(1), "content_filter", "refusal"),
        (article(1), "max_tokens", "incomplete"),
        (article(1)[:-1], "unknown", "incomplete"),
        (article(1, 79), "stop", "too_short"),
        (article(1, 321), "stop", "too_long"),
        (f"{article(1)} {SLANT.label(SLANT.held_out).texts[0]}.", "stop", "label_text"),
        (f"{article(1)} {SLANT.label('strong_left').texts[0].upper()}.", "stop", "label_text"),
    ],
)
def test_checks_of_a_reply(text: str, stop: str, reason: str | None) -> None:
    assert fault(text, stop, Request()) == reason


def test_an_article_like_an_accepted_one_is_a_duplicate_and_the_first_stays() -> None:
    same = article(1)
    replies = [
        {"topic": f"t{n}", "profile": "center_left", "attempt": 1, "text": text, "stop": "stop", "error": None}
        for n, text in enumerate([same, article(2), same + " Again it is so."])
    ]
    rows = {f"t{n}": topic(n) for n in range(3)}
    made = judge_replies(replies, rows, Request(), Made([], []))
    assert [row["topic"] for row in made.accepted] == ["t0", "t1"]
    assert [(row["topic"], row["reason"]) for row in made.rejected] == [("t2", "duplicate")]
    later = judge_replies([replies[2]], rows, Request(), Made(made.accepted, []))
    assert len(later.accepted) == 2 and later.rejected[0]["reason"] == "duplicate"


@pytest.mark.parametrize(
    ("splits", "request_", "expected"),
    [
        (("training",), SMALL, "--split 'training': expected one of train"),
        (("train",), Request(attempts=0), "at least one attempt"),
        (("train",), Request(shortest=9, longest=9), "0 < shortest < longest"),
    ],
)
def test_bad_options_are_one_line(topics: Path, tmp_path: Path, splits: Any, request_: Request, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        articles_commands.make("stub/x", topics, tmp_path / "out", splits, request_, None, Console(quiet=True))
    assert not (tmp_path / "out").exists()


def test_a_model_that_cannot_be_had_is_one_line(topics: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        make("nowhere/x", topics, tmp_path / "out", ("train",), SMALL, display="none")
