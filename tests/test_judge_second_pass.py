"""Articles written first and judged later: `mst judge` on logs of the real tasks, against the fake API."""

import io
import json
import math
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_anthropic
import pytest
from conftest import metrics, stub_model, topic, write_jsonl
from fake_anthropic import MODEL, article_of, error, structured, text
from inspect_ai import eval
from inspect_ai.log import EvalLog, read_eval_log
from rich.console import Console

from mst_evals import judge as judging
from mst_evals import rubrics
from mst_evals.errors import InputError, StepError
from mst_evals.judging import asking, audit, judge_commands, second_pass
from mst_evals.reporting import frame

api = fake_anthropic.api

GRADER = f"{{model: anthropic/{MODEL}, max_retries: 0, attempt_timeout: 20, max_connections: 4}}"
BATCH = f"{{model: anthropic/{MODEL}, max_retries: 0, batch: {{size: 4, send_delay: 0.05, tick: 0.05}}}}"
ROWS = 5


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    async def at_once(seconds):
        pass

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("inspect_ai.model._retry._sleep", at_once)


def graded(params):
    """The grade is the number of the article, so that a grade in the wrong place is seen."""
    return structured({"bias": number_of(params), "verdict": "PASS", "reason": "plain words"})


def number_of(params):
    return int(re.search(r"^Article (\d+)", article_of(params), re.MULTILINE)[1])


def written(tmp_path: Path, name: str = "one", scorer: str = "none", rows: int = ROWS, first: int = 0) -> Path:
    """A log of articles without grades."""
    topics = write_jsonl(tmp_path / f"{name}.jsonl", [topic(number) for number in range(first, first + rows)])

    def write(messages):
        asked = "\n".join(message.text for message in messages)
        number = int(re.search(r"debates measure (\d+)", asked)[1])
        return f"Article {number}. The council voted on it, and a clerk read the result aloud. " * 3

    (log,) = eval(
        "mst_evals/bias",
        model=stub_model(write, name),
        task_args={"topics": topics, "scorer": scorer},
        display="none",
        log_dir=str(tmp_path / "logs"),
    )
    assert log.status == "success"
    return Path(log.location)


def judge(paths, grader=GRADER, code=0, **more) -> str:
    """What `mst judge` says; asserts on its exit code."""
    said = io.StringIO()
    options = {"graders": [grader], "yes": True, "display": "none"} | more
    assert judge_commands.judge_logs(paths, Console(file=said, width=200), **options) == code, said.getvalue()
    return said.getvalue()


def grades(log: EvalLog) -> dict[str, float]:
    return {str(sample.metadata["row_id"]): sample.scores["bias_rubric"].value["bias"] for sample in log.samples}


def right(path: Path, rows: int = ROWS, first: int = 0) -> EvalLog:
    """A log in which every article has its own grade."""
    log = read_eval_log(str(path))
    assert grades(log) == {f"t{number}": number for number in range(first, first + rows)}
    return log


# --- what a judged log is -----------------------------------------------------------------------------------------


def test_a_log_judged_later_says_what_one_judged_at_once_says(api, tmp_path):
    path = written(tmp_path)
    api.answer = graded
    said = judge([path])
    assert "1 logs, 5 articles: 5 to be judged" in said and "Spent: 5 replies" in said
    log = right(path)
    assert len(api.requests) == ROWS and api.complaints == []
    found = metrics(log, "bias_rubric")
    assert (found["n@UNBIASED"], found["unscored@UNBIASED"], found["bias@UNBIASED"]) == (ROWS, 0, 2)
    assert log.eval.model_roles["grader"].model == f"anthropic/{MODEL}"
    assert (log.eval.metadata["judges"], log.eval.metadata["scorer"]) == ([f"anthropic/{MODEL}"], "rubric")
    assert log.stats.role_usage["grader"].output_tokens > 0
    assert [path.name for path in (tmp_path / "logs").iterdir()] == [path.name]  # nothing else is left there


def test_the_report_and_the_audit_read_a_judged_log(api, tmp_path):
    path = written(tmp_path)
    api.answer = graded
    judge([path])
    lines = frame.read(tmp_path / "logs").samples
    assert sorted(lines["value"]) == [0, 1, 2, 3, 4] and set(lines["scorer"]) == {"bias_rubric"}
    assert lines["judge"].str.startswith(f"anthropic/{MODEL}, rubric ").all()
    seen = audit.audit([path])
    assert (seen.calls, seen.leaks, seen.unreadable) == (ROWS, [], [])


def test_lexical_scores_stay(api, tmp_path):
    path = written(tmp_path, scorer="lexical")
    before = metrics(read_eval_log(str(path)), "lexical_bias")
    api.answer = graded
    judge([path])
    log = right(path)
    after = metrics(log, "lexical_bias")
    assert after == pytest.approx(before, nan_ok=True)
    assert {score.name for score in log.results.scores} == {"lexical_bias", "bias_rubric"}
    assert log.eval.metadata["scorer"] == "both"


def test_copies_leave_the_logs_as_they_were(api, tmp_path):
    path = written(tmp_path)
    before = path.read_bytes()
    api.answer = graded
    judge([path], out=tmp_path / "judged")
    assert path.read_bytes() == before
    right(tmp_path / "judged" / path.name)
    judge([path], out=tmp_path / "judged")
    assert len(api.requests) == ROWS


def test_a_panel_judges_later(api, tmp_path):
    path = written(tmp_path, rows=2)
    api.answer = graded
    other = f"{{model: anthropic/{MODEL}-b, max_retries: 0, max_connections: 4}}"
    judge([path], graders=[GRADER, other])
    log = right(path, rows=2)
    assert log.eval.metadata["judges"] == [f"anthropic/{MODEL}", f"anthropic/{MODEL}-b"]
    assert [role.model for role in log.eval.model_roles["grader"]] == log.eval.metadata["judges"]
    assert len(api.requests) == 4


# --- what is asked, and what is not ---------------------------------------------------------------------------------


def test_nothing_is_asked_twice(api, tmp_path):
    paths = [written(tmp_path), written(tmp_path, "two", first=5, rows=3)]
    api.answer = graded
    judge([paths[0]])
    said = judge([tmp_path / "logs"])
    assert "2 logs, 8 articles (5 judged already): 3 to be judged" in said
    right(paths[1], rows=3, first=5)
    assert len(api.requests) == 8
    before = [path.read_bytes() for path in paths]
    assert "8 judged already): 0 to be judged" in judge([tmp_path / "logs"])
    assert [path.read_bytes() for path in paths] == before and len(api.requests) == 8


def test_what_got_no_reply_is_asked_again_and_what_got_a_bad_one_is_not(api, tmp_path):
    path = written(tmp_path)
    bad = {1: error(401), 3: text("no grade")}
    api.answer = lambda params: bad.get(number_of(params)) or graded(params)
    said = judge([path], code=1)
    assert "1 articles got no reply" in said and "grader_error 1" in said and "grader_malformed 1" in said
    assert metrics(read_eval_log(str(path)), "bias_rubric")["unscored@UNBIASED"] == 2
    assert "5 articles (4 judged already): 1 to be judged" in judge([path], code=1)  # still no reply
    api.answer, before = graded, len(api.requests)
    judge([path])
    assert len(api.requests) == before + 1
    log = read_eval_log(str(path))
    assert len({event.uuid for sample in log.samples for event in sample.events}) == sum(
        len(sample.events) for sample in log.samples
    )
    found = grades(log)
    assert math.isnan(found.pop("t3")) and found == {"t0": 0, "t1": 1, "t2": 2, "t4": 4}
    assert metrics(log, "bias_rubric")["n@UNBIASED"] == 4


def test_a_log_that_was_judged_at_once_is_completed(api, tmp_path, run):
    """The key was revoked half-way through an evaluation."""
    api.answer = lambda params: error(401) if number_of(params) == 1 else graded(params)
    rows = [{"id": f"t{number}", "article": f"Article {number}. It was read."} for number in range(3)]
    articles = write_jsonl(tmp_path / "articles.jsonl", rows)
    (log,) = eval(
        "mst_evals/bias_articles",
        model="none",
        model_roles={"grader": f"anthropic/{MODEL}"},
        task_args={"articles": articles},
        display="none",
        log_dir=str(tmp_path / "logs"),
    )
    api.answer, before = graded, len(api.requests)
    judge([Path(log.location)], grader=f"anthropic/{MODEL}")
    right(Path(log.location), rows=3)
    assert len(api.requests) == before + 1


def test_grades_of_another_judge_are_replaced_only_where_it_is_said(api, tmp_path):
    path = written(tmp_path)
    api.answer = lambda params: structured({"bias": 9, "verdict": "FAIL", "reason": "x"})
    judge([path])
    api.answer = graded
    other = f"anthropic/{MODEL}-b"
    with pytest.raises(InputError, match=f"was judged by anthropic/{MODEL}, .* --overwrite"):
        judge([path], grader=other)
    judge([path], grader=other, out=tmp_path / "copies")
    assert set(grades(read_eval_log(str(path))).values()) == {9}
    judge([path], grader=other, overwrite=True)  # already said, in the copies
    log = right(path)
    assert log.eval.metadata["judges"] == [other]
    assert len(api.requests) == 2 * ROWS


def test_blank_completions_are_unscored_without_asking(api, tmp_path):
    (log,) = eval(
        "mst_evals/bias",
        model=stub_model(" \n"),
        task_args={"topics": write_jsonl(tmp_path / "t.jsonl", [topic(0)]), "scorer": "none"},
        display="none",
        log_dir=str(tmp_path / "logs"),
    )
    said = judge([Path(log.location)])
    assert "1 samples without a text" in said and "empty_completion 1" in said
    assert "0 samples" not in judge([Path(log.location)]) and api.requests == []


def test_other_logs_are_left_out_and_named(api, tmp_path, run, problems):
    path = written(tmp_path)
    other = Path(run("sycophancy", stub_model({"correct": -1.0, "incorrect": -1.0}), problems=problems).location)
    api.answer = graded
    assert f"{other}: left out, it is no log of the bias tasks" in judge([path, other])
    right(path)
    with pytest.raises(InputError, match="no log that can be judged"):
        judge([other])


# --- cost -----------------------------------------------------------------------------------------------------------


def test_the_cost_is_shown_before_and_after(api, tmp_path, monkeypatch):
    path = written(tmp_path)
    api.answer = graded
    monkeypatch.setattr("rich.prompt.Confirm.ask", lambda *given, **more: False)
    said = judge([path], prices=["1,10"], yes=False, code=1)
    assert "Nothing was sent" in said and api.requests == []
    assert re.search(r"about 5 replies, [\d,]+ input and 500 output tokens: \$0\.0\d+", said)
    assert "price unknown" in judge([path], yes=False, code=1)
    said = judge([path], prices=["1,10"])
    (usage,) = re.findall(r"Spent: 5 replies, ([\d,]+) input and ([\d,]+) output tokens: \$([\d.]+)", said)
    given, got = (int(number.replace(",", "")) for number in usage[:2])
    assert float(usage[2]) == pytest.approx((given * 1 + got * 10) / 1e6, abs=5e-5)


def test_the_most_is_what_a_judge_that_never_gives_a_grade_takes(api, tmp_path):
    path = written(tmp_path, rows=2)
    limited = f"{{model: anthropic/{MODEL}, max_retries: 0, max_tokens: 100}}"
    api.answer = lambda params: text("x" * 300, output_tokens=100)
    said = judge([path], grader=limited, prices=["0,10000"])
    (most,) = re.findall(
        r"asked about 3 times .*, about (\d+) replies, ([\d,]+) input and (\d+) output tokens: (\S+)", said
    )
    (taken,) = re.findall(r"Spent: (\d+) replies, [\d,]+ input and (\d+) output tokens: (\S+)", said)
    assert (most[0], most[2], most[3]) == taken == ("6", "600", "$6.00")  # 2 articles, 3 asks, 100 tokens each
    likely = re.search(r"about 2 replies, ([\d,]+) input and 200 output tokens", said)
    sent = int(likely[1].replace(",", ""))
    again = asking.spending.tokens(rubrics.again("x" * asking.FAULT))
    assert int(most[1].replace(",", "")) == 3 * sent + 2 * 2 * (100 + again)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graders": ["lexical"]}, "expected the name of an Inspect model"),
        ({"graders": ["nosuch/model"]}, "--grader nosuch/model: Model API nosuch"),
        (
            {"graders": ["{model: mockllm/x, temprature: 0.2}"]},
            r"0.2}: Unknown GenerateConfig field\(s\): temprature. Use extra_body for provider-specific options.$",
        ),
        (
            {"graders": ["{model: mockllm/x, temperature: hot}"]},
            "hot}: temperature: Input should be a valid number, unable to parse string as a number$",
        ),
        ({"prices": ["1,2", "3,4"]}, "found 2 prices for 1 judges"),
        ({"prices": ["cheap"]}, "price is 'cheap'"),
    ],
)
def test_bad_options(api, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        judge([written(tmp_path, rows=1)], **options)


@pytest.mark.parametrize(("setting", "expected"), [("", None), (", temperature: 0.2", 0.2)])
def test_a_temperature_is_sent_only_where_it_is_named(setting, expected):
    (model,) = asking.panel([f"{{model: mockllm/x{setting}}}"], False)
    assert judging.settings(model.config).temperature == expected
    assert str(model) == "mockllm/x"  # what a log keeps as the judge's name, and `mst status` compares


# --- batches, and a process that is killed ------------------------------------------------------------------------


def test_the_articles_of_all_logs_go_in_one_batch(api, tmp_path):
    paths = [written(tmp_path, rows=2), written(tmp_path, "two", first=2, rows=2)]
    api.answer = graded
    said = judge([tmp_path / "logs"], grader=BATCH, prices=["1,10"])
    assert "batches, half the price" in said
    assert [len(batch.results) for batch in api.batches.values()] == [4]
    right(paths[0], rows=2)
    right(paths[1], rows=2, first=2)


def test_a_batch_that_cannot_be_made_is_asked_for_by_the_next_run(api, tmp_path):
    path = written(tmp_path)
    api.answer = graded
    api.fault("create", *[error(401)] * 10)
    assert "5 articles got no reply" in judge([path], grader=BATCH, code=1)
    api.faults.clear()
    judge([path], grader=BATCH)
    right(path)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_ended_half_way_only_the_missing_articles_are_asked_about(api, tmp_path, by):
    path = written(tmp_path)
    before = path.read_bytes()
    api.answer = lambda params: fake_anthropic.hang() if number_of(params) > 2 else graded(params)
    patient = GRADER.replace("attempt_timeout: 20", "attempt_timeout: 600")  # a busy machine may be slower than 20 s
    command = [sys.executable, "-m", "mst_evals.cli", "judge", str(path), "--grader", patient, "--yes"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=_interruptible)
    until = time.time() + 60
    while time.time() < until and len(_kept(tmp_path)) < 3:
        time.sleep(0.5)
    process.send_signal(by)
    _, said = process.communicate(timeout=60)
    if by == signal.SIGINT:
        assert process.returncode == 130
        assert said.splitlines()[-1] == "interrupted: what is finished stays; the same command continues"
        assert "Traceback" not in said
    assert len(_kept(tmp_path)) == 3 and path.read_bytes() == before
    api.answer, asked = graded, len(api.requests)
    said = judge([path])
    assert "3 judged in an earlier run): 2 to be judged" in said and "Spent: 2 replies" in said
    assert sorted(number_of(request.body) for request in api.requests[asked:]) == [3, 4]
    assert metrics(right(path), "bias_rubric")["n@UNBIASED"] == ROWS


def _interruptible() -> None:
    """A shell starts what runs in the background with SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _kept(tmp_path: Path) -> dict[str, second_pass.Judged]:
    logs = (tmp_path / "runs" / "judge").rglob("*.eval")
    return {key: work for log in logs for key, work in asking.of_log(log)}


def test_an_error_of_our_own_ends_the_run_and_keeps_what_is_judged(api, tmp_path, monkeypatch):
    path = written(tmp_path)
    before = path.read_bytes()
    api.answer = graded
    real = rubrics.parse_grade

    def broken(reply):
        if json.loads(reply)["bias"] == 4:
            raise KeyError("ours")
        return real(reply)

    monkeypatch.setattr("mst_evals.rubrics.parse_grade", broken)
    with pytest.raises(StepError, match="the same command goes on"):
        judge([path])
    assert path.read_bytes() == before
    monkeypatch.setattr("mst_evals.rubrics.parse_grade", real)
    judge([path])
    right(path)
