"""What a check asks: the file of rows, and whether the adapter is asked as it was trained. No model is asked here."""

import json
import re

import pytest
from inspect_ai.log import write_eval_log
from regression_data import REFERENCES, SAVED, copy, references

from mst_evals import data, tokens
from mst_evals.errors import InputError
from mst_evals.regression import adapter_file, likelihood, measure, reference, rows, update
from mst_evals.regression.check import check
from mst_evals.regression.verdicts import Verdict

NAME = "sycophancy-mst"


def test_the_topics_of_a_base_that_is_not_micro_are_those_of_its_task(tmp_path):
    """The task asks topics.jsonl of it, so the reference, what is known before and the prompts are of that file."""
    directory = copy(SAVED / "bias-mst", tmp_path, base="my-llama", data_sha256="0" * 64)
    about = adapter_file.read_manifest(directory)
    asked = measure.default_questions(about, number=3, labels=("none",))
    assert asked.topics == "topics"
    assert measure.arguments("bias", asked)["topics"] == "topics"
    first = [row["id"] for row in data.load_topics(data.TOPICS, "test", 3)]
    assert list(measure.prompts_of(about, "slant", asked)) == [f"{name}@none" for name in first]
    facts = reference.read(REFERENCES / "bias-mst.json").facts
    known = measure.known_before(about, facts, asked)
    assert (known.data, known.data_sha256) == ("topics.jsonl", data.sha256(data.TOPICS))
    micro = adapter_file.read_manifest(SAVED / "bias-mst")
    assert measure.default_questions(micro).topics == "micro_topics"
    assert measure.default_questions(adapter_file.read_manifest(SAVED / NAME)).topics is None


def test_the_topics_of_a_reference_are_kept_whatever_the_task_would_take(tmp_path):
    """A reference that names no topics was made of what the task takes; one that names a file of a machine is none."""
    micro = adapter_file.read_manifest(SAVED / "bias-mst")
    old = reference.read(REFERENCES / "bias-mst.json").asked
    assert measure.rows_file(micro, old.model_copy(update={"topics": None})) == data.MICRO_TOPICS
    assert measure.rows_file(micro, old.model_copy(update={"topics": "topics"})) == data.TOPICS
    folder = references(tmp_path, "bias-mst", asked__topics="/tmp/topics.jsonl")
    found = check(SAVED / "bias-mst", folder, tmp_path / "logs")
    assert "asked.topics: found '/tmp/topics.jsonl', expected one of topics, micro_topics" in found.reason


def logged(monkeypatch, status, name=NAME):
    """Let the evaluation be that of the reference, with this status of the preflight's precision."""
    log = rows.read_log(REFERENCES / f"{name}.eval")
    finding = {"status": status, "found": "trained float32, evaluated bfloat16"}
    log.eval.metadata["preflight"] = dict(log.eval.metadata["preflight"], precision=finding)
    monkeypatch.setattr(measure, "evaluate", lambda *_: log)
    return log


def test_an_adapter_that_is_asked_otherwise_than_trained_is_not_comparable(tmp_path, monkeypatch):
    logged(monkeypatch, "differs")
    found = check(SAVED / NAME, REFERENCES, tmp_path / "logs")
    reason = "asked with another precision than in training (trained float32, evaluated bfloat16)"
    assert (found.verdict, found.reason) == (Verdict.NOT_COMPARABLE, reason)
    with pytest.raises(InputError, match=re.escape(f"{NAME}: no reference: {reason}")):
        update.update(SAVED / NAME, tmp_path / "new", tmp_path / "logs", {}, {})
    assert not (tmp_path / "new").exists()


def test_the_preflight_of_the_new_evaluation_counts_and_not_that_of_the_reference(tmp_path, monkeypatch):
    folder = references(tmp_path, NAME)
    write_eval_log(logged(monkeypatch, "differs"), str(folder / f"{NAME}.eval"))
    content = json.loads((folder / f"{NAME}.json").read_text("utf-8"))
    content["log"]["sha256"] = data.sha256(folder / f"{NAME}.eval")
    del content["sha256"]
    reference.write(folder / f"{NAME}.json", reference.sealed(**content))
    logged(monkeypatch, "passed")
    assert check(SAVED / NAME, folder, tmp_path / "logs").verdict == Verdict.PASS


def test_likelihoods_do_not_depend_on_the_day(tmp_path):
    """A template that prints the date of the day is asked as one that prints `tokens.DAY`, as ``mst/`` asks it."""
    texts = [([{"role": "user", "content": "Write about the council."}], "The council met on Monday.")]
    found = []
    for name, day in (("dated", "{{ strftime_now('%d %b %Y') }}"), ("fixed", tokens.DAY.strftime("%d %b %Y"))):
        directory = copy(SAVED / "bias-mst", tmp_path / name)
        template = directory / "chat_template.jinja"
        template.write_text(day + template.read_text("utf-8"), encoding="utf-8")
        found.append(likelihood.nats_per_token(directory, adapter_file.read_manifest(directory), texts))
    assert found[0] == found[1] != [0.0]
