"""`inspect eval mst_evals/bias.py --model ... --model-role grader=anthropic/...` as it is typed, against the fake API.

Topics of the project's own file, and faults: the log holds every article and every reason. All 200 topics and every
fault there is take minutes and are marked slow; 24 topics with one fault of each kind are not.
"""

import json
import math
import re
from collections import Counter
from pathlib import Path

import fake_anthropic
import inspect_ai.model._providers.anthropic  # noqa: F401  (else loaded within the first attempt, against its time)
import pytest
from click.testing import CliRunner
from conftest import StubAPI, metrics
from fake_anthropic import (
    MODEL,
    Behaviour,
    article_of,
    cut,
    drop,
    error,
    hang,
    refusal,
    structured,
    text,
    tool_use,
    truncated,
)
from inspect_ai._cli.eval import eval_command
from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log
from inspect_ai.model import modelapi

from mst_evals import data

api = fake_anthropic.api

ROOT = Path(__file__).resolve().parent.parent
GRADE = {"bias": 3, "verdict": "PASS", "reason": "plain words"}
# What becomes of a topic, for good, and the reason that the log must give.
FAULTS = [
    (error(400), "grader_error", "400"),
    (error(401), "grader_error", "401"),
    (error(403), "grader_error", "403"),
    (error(404), "grader_error", "404"),
    (error(413), "grader_error", "413"),
    (error(429), "grader_error", "429"),
    (error(500), "grader_error", "500"),
    (error(529), "grader_error", "529"),
    (cut(text("a long enough reply")), "grader_error", "JSONDecodeError"),
    (hang(), "grader_error", "AttemptTimeoutError"),
    (drop(), "grader_error", "APIConnectionError"),
    (refusal(), "grader_refused", "refused"),
    (truncated('{"bias"'), "grader_truncated", "cut off"),
    (Behaviour(stop_reason="max_tokens", output_tokens=8000), "grader_truncated", "cut off"),
    (tool_use(), "grader_malformed", "no text"),
    (text("prose"), "grader_malformed", "no JSON object"),
    (text(""), "grader_malformed", "no text"),
    (structured(GRADE | {"bias": -1}), "grader_malformed", "greater than or equal to 0"),
    (structured(GRADE | {"bias": 11}), "grader_malformed", "less than or equal to 10"),
    (structured(GRADE | {"verdict": "GOOD"}), "grader_malformed", "verdict"),
    (structured({"bias": 3}), "grader_malformed", "verdict"),
]
# One for each way in which a reply can be missing, and one for each reason of a reply that is no grade.
KINDS = ("401", "529", "JSONDecodeError", "AttemptTimeoutError", "APIConnectionError", "refused", "cut off", "no JSON")
QUICK = [next(fault for fault in FAULTS if fault[2].startswith(kind)) for kind in KINDS]


@modelapi(name="writer")
def writer() -> type[StubAPI]:
    """Writes about the number of the topic it was asked for."""

    class Writer(StubAPI):
        def __init__(self, model_name, base_url=None, api_key=None, config=None):
            rows = data.load_topics(data.TOPICS, "test", 200)
            numbers = {row["headline"]: number for number, row in enumerate(rows)}

            def write(messages):
                asked = "\n".join(message.text for message in messages)
                (number,) = [number for headline, number in numbers.items() if headline in asked]
                return f"Article {number}. The council voted on it, and a clerk read the result aloud."

            super().__init__(model_name, base_url, api_key, config, write)

    return Writer


@pytest.fixture(autouse=True)
def _in_the_repository_without_waiting(monkeypatch):
    async def at_once(seconds):
        pass

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("inspect_ai.model._retry._sleep", at_once)


def typed(logs: Path, *words: str) -> EvalLog:
    """The log of an `inspect eval` command."""
    command = ["mst_evals/bias.py", "--log-dir", str(logs), "--display", "none", *words]
    said = CliRunner().invoke(eval_command, command, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    (log,) = list_eval_logs(str(logs))
    return read_eval_log(log)


# The quick one waits once for the server that hangs; Inspect and the SDK try nothing again.
IMPATIENT = "max_retries: 0, attempt_timeout: 6, model_args: {max_retries: 0}"
PATIENT = "max_retries: 1, attempt_timeout: 30"


@pytest.mark.parametrize(
    ("topics", "faults", "every", "settings"),
    [
        pytest.param(24, QUICK, 3, IMPATIENT, id="24"),
        pytest.param(200, FAULTS, 8, PATIENT, id="200", marks=pytest.mark.slow),
    ],
)
def test_every_topic_is_scored_or_says_why_not(api, tmp_path, topics, faults, every, settings):
    planned = {every * place + every // 2: fault for place, fault in enumerate(faults)}

    def answer(params):
        number = int(re.match(r"BEGIN \w+\nArticle (\d+)\.", article_of(params))[1])
        return planned[number][0] if number in planned else structured(GRADE)

    api.answer = answer
    role = f"grader={{model: anthropic/{MODEL}, {settings}, max_connections: 10}}"
    words = ["--model", "writer/one", "--model-role", role, "-T", f"topics={data.TOPICS}", "-T", f"rows={topics}"]
    words += ["--max-samples", str(min(40, topics // 2))]
    log = typed(tmp_path / "logs", *words)
    found = metrics(log, "bias_rubric")
    assert (found["n@UNBIASED"], found["unscored@UNBIASED"]) == (topics - len(faults), len(faults))
    by_number = {
        int(re.match(r"Article (\d+)", sample.output.completion)[1]): sample.scores["bias_rubric"]
        for sample in log.samples
    }
    assert sorted(by_number) == list(range(topics))
    for number, score in by_number.items():
        assert math.isnan(score.value["bias"]) == (number in planned)
    for number, (_, reason, said) in planned.items():
        score = by_number[number]
        assert (score.reason, said in score.explanation) == (reason, True), score.explanation
        assert "raw" in score.metadata or reason == "grader_error"
    counted = Counter(score.reason for score in by_number.values() if score.reason)
    assert counted == Counter(reason for _, reason, _ in faults)
    assert api.complaints == []


def test_as_it_is_typed_in_the_readme(api, tmp_path):
    api.script(structured(GRADE))
    role = f"grader=anthropic/{MODEL}"
    words = ["--model", "writer/one", "--model-role", role, "-T", f"topics={data.TOPICS}", "-T", "rows=3"]
    log = typed(tmp_path / "logs", *words)
    assert metrics(log, "bias_rubric")["bias@UNBIASED"] == 3
    assert log.eval.metadata["judges"] == [f"anthropic/{MODEL}"]
    assert all(request.body["max_tokens"] == 8000 and "stream" in request.body for request in api.requests)
    assert json.loads(json.dumps(log.eval.metadata))["rubric_sha256"]


def test_articles_are_written_without_a_judge(api, tmp_path):
    words = ["--model", "writer/one", "--no-score", "-T", f"topics={data.TOPICS}", "-T", "rows=3"]
    # `typed` starts no process, so the words are put where a process would have them
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["inspect", "eval", *words])
        log = typed(tmp_path / "logs", *words)
    assert log.status == "success" and len(log.samples) == 3
    assert all(sample.output.completion and not sample.scores for sample in log.samples)
    assert api.requests == []
