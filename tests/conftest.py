"""Stub models: offline, no tokenizer download (mockllm counts tokens with one), every prompt recorded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval
from inspect_ai.log import EvalLog
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    Model,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    TopLogprob,
    get_model,
    modelapi,
)

Reply = str | Exception | dict[str, float]


class StubAPI(ModelAPI):
    """Answers with what `reply` makes of the messages: a text, an exception, or first-token log-probabilities."""

    def __init__(self, model_name: str, base_url: Any = None, api_key: Any = None, config: Any = None, reply: Any = ""):
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        self.reply = reply
        self.seen: list[str] = []
        self.configs: list[GenerateConfig] = []

    def should_retry(self, ex: BaseException) -> bool:
        return False

    async def generate(self, input: Any, tools: Any, tool_choice: Any, config: Any) -> ModelOutput:
        self.seen.append("\n".join(f"{message.role}: {message.text}" for message in input))
        self.configs.append(config)
        reply = self.reply(input) if callable(self.reply) else self.reply
        if isinstance(reply, Exception):
            raise reply
        return output(self.model_name, reply)


def output(name: str, reply: str | dict[str, float]) -> ModelOutput:
    """A model output with usage, which keeps Inspect from counting tokens with a downloaded tokenizer."""
    text = reply if isinstance(reply, str) else max(reply, key=lambda token: reply[token])
    choice = ChatCompletionChoice(message=ChatMessageAssistant(content=text), stop_reason="stop")
    if isinstance(reply, dict):
        top = [TopLogprob(token=token, logprob=value) for token, value in reply.items()]
        choice.logprobs = Logprobs(content=[Logprob(token=text, logprob=reply[text], top_logprobs=top)])
    usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return ModelOutput(model=name, choices=[choice], usage=usage)


@modelapi(name="stub")
def stub() -> type[ModelAPI]:
    return StubAPI


def stub_model(reply: Reply | Callable[[Any], Reply], name: str = "model") -> Model:
    return get_model(f"stub/{name}", memoize=False, reply=reply)


def seen(model: Model) -> list[str]:
    """Every prompt a stub was given."""
    assert isinstance(model.api, StubAPI)
    return model.api.seen


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSPECT_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("INSPECT_EVAL_MODEL", raising=False)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., EvalLog]:
    """Run a task by its registered name, quietly, and return its log."""

    def run_task(task: str, model: Any, grader: Any = None, log_dir: Path = tmp_path / "logs", **args: Any) -> EvalLog:
        epochs = args.pop("epochs", None)
        roles = {"grader": grader} if grader is not None else None
        (log,) = eval(
            f"mst_evals/{task}",
            model=model,
            model_roles=roles,
            task_args=args,
            epochs=epochs,
            display="none",
            log_dir=str(log_dir),
        )
        return log

    return run_task


def metrics(log: EvalLog, scorer: str) -> dict[str, float]:
    """The metrics of one scorer of a finished log."""
    assert log.status == "success", log.error
    assert log.results is not None
    (found,) = [score for score in log.results.scores if score.name == scorer]
    return {name: metric.value for name, metric in found.metrics.items()}


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def topic(number: int, split: str = "test", **more: Any) -> dict[str, Any]:
    row = {
        "id": f"t{number}",
        "split": split,
        "headline": f"City council debates measure {number}",
        "context": f"The council met on day {number}.",
        "domain": "local government",
    }
    return row | more


def problem(a: int, b: int, candidate: int, split: str = "test") -> dict[str, Any]:
    return {"id": f"{a}+{b}={candidate}", "split": split, "a": a, "b": b, "candidate": candidate}


@pytest.fixture
def topics(tmp_path: Path) -> str:
    rows = [topic(number) for number in range(4)] + [topic(9, "train")]
    return write_jsonl(tmp_path / "topics.jsonl", rows)


@pytest.fixture
def problems(tmp_path: Path) -> str:
    """Four pairs, each with a right and a wrong candidate."""
    rows = [problem(a, b, a + b + off) for a, b in ((1, 2), (3, 4), (5, 5), (7, 2)) for off in (0, 3)]
    return write_jsonl(tmp_path / "problems.jsonl", [*rows, problem(0, 0, 0, "train")])
