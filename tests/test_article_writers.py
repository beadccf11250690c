"""The writer of `mst data articles` in this process: asked as in an evaluation, on tiny random bases."""

import datetime
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from conftest import stub_model, topic, write_jsonl
from inspect_ai.model import Model
from transformers.utils import chat_template_utils

from mst_evals import as_trained, cli, weights
from mst_evals.corpus import article_checks, article_rounds, articles, articles_commands, writers
from mst_evals.corpus.article_checks import Request
from mst_evals.errors import InputError

SHORT = Request(attempts=1, max_tokens=8)
PLAIN = {"top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama base with a dated template, in bfloat16 on disk; its generation settings cut at top_p 0.9."""
    return tiny_models.write_llama(tmp_path_factory.mktemp("bases") / "dated", tiny_models.DATED_TEMPLATE)


@pytest.fixture
def topics(tmp_path: Path) -> Path:
    return Path(write_jsonl(tmp_path / "topics.jsonl", [topic(number, "train") for number in range(2)]))


def on_day(day: int) -> type:
    class Then(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Then":
            return cls(2026, 11, day)

    return Then


def watched(model: Model) -> tuple[list[list[int]], set[str]]:
    """Token ids that the model is asked with, and what its samples are drawn with, as they come."""
    here = weights.loaded(model)
    assert here is not None
    ids: list[list[int]] = []
    drawn: set[str] = set()
    here.module.get_input_embeddings().register_forward_pre_hook(lambda _, given: ids.extend(given[0].tolist()))
    processors = here.module._get_logits_processor

    def note(*args: Any, **more: Any) -> Any:
        found = processors(*args, **more)
        drawn.update(type(one).__name__ for one in found)
        return found

    here.module._get_logits_processor = note
    return ids, drawn


def types(model: Model) -> set[torch.dtype]:
    here = weights.loaded(model)
    assert here is not None
    return {parameter.dtype for parameter in here.module.parameters()}


def test_the_writer_is_asked_as_in_an_evaluation_and_the_same_on_two_days(
    base: Path, topics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(article_checks, "fault", lambda *_: None)  # random weights write random text
    written = []
    for day in (1, 2):
        monkeypatch.setattr(chat_template_utils, "datetime", on_day(day))
        job = articles.plan(f"hf/{base}", topics, tmp_path / str(day), ("train",), SHORT, rows=1)
        ids, drawn = watched(job.model)
        torch.manual_seed(3)
        state, fault, last = articles.work(job, display="none")
        assert (len(state.made.accepted), fault, last) == (1, "", "")
        tokenizer: Any = job.model.api.tokenizer  # type: ignore[attr-defined]
        bos = tokenizer.bos_token_id
        assert ids[0][0] == bos and ids[0].count(bos) == 1
        said = tokenizer.decode(ids[0])
        assert "Today Date: 26 Jul 2024" in said and "2026" not in said and "City council debates measure 0" in said
        assert drawn == {"TemperatureLogitsWarper"}
        summary = json.loads((job.out / "summary.json").read_text("utf-8"))
        assert summary["decoding"] == PLAIN and summary["preflight"]["decoding"]["status"] == as_trained.PASSED
        assert "2026" not in json.dumps(summary["preflight"])
        written.append((job.out / "articles.jsonl").read_bytes())
    assert written[0] == written[1]


def test_a_writer_without_cuda_is_loaded_in_float32_unless_told_otherwise(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert types(writers.ready(f"hf/{base}").model) == {torch.float32}
    other = writers.ready(f"hf/{base}", {"dtype": "bfloat16"})
    assert types(other.model) == {torch.bfloat16} and other.preflight["precision"]["found"].startswith("bfloat16")
    assert writers._loading("hf/x", {"torch_dtype": "auto"}) == {"torch_dtype": "auto"}
    assert writers._loading("vllm/x", {}) == {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert writers._loading("hf/x", {}) == {}


def test_a_reply_is_known_by_what_decides_it(base: Path, topics: Path, tmp_path: Path) -> None:
    def known(model: Any, **arguments: Any) -> str:
        job = articles.plan(model, topics, tmp_path / "out", ("train",), SHORT, 1, arguments)
        return article_rounds.known_as(job, job.topics[0])

    # of a model elsewhere as it always was, or what was paid for would be asked for again
    job = articles.plan(stub_model("x"), topics, tmp_path / "out", ("train",), SHORT, 1)
    said = [message.text for message in article_rounds.prompt(job.topics[0], job.profiles["t0"])]
    asked = json.dumps([said, [SHORT.seed, SHORT.temperature, SHORT.max_tokens], "stub/model"])
    assert article_rounds.known_as(job, job.topics[0]) == hashlib.sha256(asked.encode()).hexdigest()[:16]
    assert known(f"hf/{base}") == known(f"hf/{base}") != known(f"hf/{base}", dtype="bfloat16")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], {}),
        (["dtype=bfloat16", "max-model-len=2048"], {"dtype": "bfloat16", "max_model_len": 2048}),
        (["chat_template=a=b"], {"chat_template": "a=b"}),
    ],
)
def test_model_arguments_of_the_command_line(
    given: list[str], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def make(*_: Any, arguments: dict[str, Any], **__: Any) -> int:
        seen.append(arguments)
        return 0

    monkeypatch.setattr(articles_commands, "make", make)
    options = [word for one in given for word in ("-M", one)]
    monkeypatch.setattr(sys, "argv", ["mst", "data", "articles", "--model", "hf/x", "--out", "out", *options])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0 and seen == [expected]


@pytest.mark.parametrize("given", ["dtype", "x={a"])
def test_a_model_argument_that_is_none_is_one_line(given: str) -> None:
    with pytest.raises(InputError, match=r"^-M '[^\n]*': expected KEY=VALUE[^\n]*$"):
        writers.read_arguments([given])


@pytest.mark.parametrize("name", ["none", "none/none"])
def test_no_model_is_refused_at_once(name: str, topics: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"--model '{name}': it writes nothing"):
        articles.make(name, topics, tmp_path / "out", ("train",), SHORT, display="none")
    assert not (tmp_path / "out").exists()


def test_weights_that_are_not_there_and_an_unknown_argument_are_one_line(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^model hf/[^\n]*nowhere[^\n]*$"):
        writers.ready(f"hf/{tmp_path / 'nowhere'}")
    with pytest.raises(InputError, match=r"^model hf/[^\n]*colour[^\n]*$"):
        writers.ready(f"hf/{base}", {"colour": "red"})
