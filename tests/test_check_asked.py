"""What a check asks: the file of rows, and whether the adapter is asked as it was trained. No model is asked here."""

import json
import re

import pytest
from regression_data import REFERENCES, SAVED, copy, first_rows, light, logged, references, with_log
from typer.testing import CliRunner

from mst_evals import data, tokens
from mst_evals.cli import app
from mst_evals.errors import InputError
from mst_evals.regression import adapter_file, likelihood, measure, plugin, reference, update
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


def in_another_precision(log):
    finding = {"status": "differs", "found": "trained float32, evaluated bfloat16"}
    log.eval.metadata["preflight"] = dict(log.eval.metadata["preflight"], precision=finding)


def test_an_adapter_that_is_asked_otherwise_than_trained_is_not_comparable(tmp_path, monkeypatch):
    log = logged(NAME, in_another_precision)
    monkeypatch.setattr(measure, "evaluate", lambda *_: log)
    found = check(SAVED / NAME, REFERENCES, tmp_path / "logs")
    reason = "asked with another precision than in training (trained float32, evaluated bfloat16)"
    assert (found.verdict, found.reason) == (Verdict.NOT_COMPARABLE, reason)
    with pytest.raises(InputError, match=re.escape(f"{NAME}: no reference: {reason}")):
        update.update(SAVED / NAME, tmp_path / "new", tmp_path / "logs", {}, {})
    assert not (tmp_path / "new").exists()


def test_a_reference_that_was_asked_otherwise_than_trained_is_refused_before_anything_is_evaluated(
    tmp_path, monkeypatch
):
    """A sound evaluation passed against it without a word; `--update` makes it anew and compares nothing with it."""
    folder = with_log(references(tmp_path, NAME), NAME, logged(NAME, in_another_precision))
    monkeypatch.setattr(measure, "evaluate", lambda *_: pytest.fail("the reference alone could have told"))
    found = check(SAVED / NAME, folder, tmp_path / "logs")
    said = "asked with another precision than in training (trained float32, evaluated bfloat16)"
    assert (found.verdict, found.reason) == (
        Verdict.NOT_COMPARABLE,
        f"its reference was {said}; make it anew with --update",
    )
    monkeypatch.setattr(measure, "evaluate", lambda *_: logged(NAME))
    made = update.update(SAVED / NAME, folder, tmp_path / "logs", {}, {})
    assert f"not comparable with the old one: it was {said}" in made.changes and made.findings == ()
    assert check(SAVED / NAME, folder, tmp_path / "logs").verdict == Verdict.PASS


def test_other_versions_of_packages_are_named_whatever_is_found(tmp_path, monkeypatch):
    """One note with those that differ; the processor and its threads are no packages."""
    made_with = reference.read(REFERENCES / f"{NAME}.json").made_with
    folder = references(tmp_path, NAME, made_with=made_with | {"torch": "1.0", "threads": "96", "processor": "ARM"})
    monkeypatch.setattr(measure, "evaluate", lambda *_: logged(NAME))
    now = {name: made_with[name] for name in measure.versions()}
    monkeypatch.setattr(measure, "versions", lambda: now | {"peft": "9.9"})
    note = f"packages: torch 1.0 -> {now['torch']}, peft {now['peft']} -> 9.9"
    found = check(SAVED / NAME, folder, tmp_path / "logs")
    assert (found.verdict, found.notes) == (Verdict.PASS, (note,))
    refused = check(copy(SAVED / NAME, tmp_path, quantisation="none"), folder, tmp_path / "logs")
    assert (refused.verdict, refused.notes) == (Verdict.NOT_COMPARABLE, (note,))
    assert f"changed: {note}" in plugin.lines(found)
    command = ["check", str(SAVED / NAME), "--against", str(folder), "--logs", str(tmp_path / "logs")]
    printed = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert f"changed: {note}" in " ".join(printed.output.split())
    assert json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)[0]["notes"] == [note]


# --- what is found only when the evaluation is there ------------------------------------------------------------------


def unscored(log):
    for sample in log.samples[:4]:
        sample.scores = {}


FOUND_LATE = {
    "task version": (
        lambda log: setattr(log.eval, "task_version", 7),
        "task_version differs (reference 0, adapter 7)",
    ),
    "quantisation": (
        lambda log: log.eval.metadata.update(evaluated_quantisation="int8"),
        "evaluated_quantisation differs (reference nf4, adapter int8)",
    ),
    "longest reply": (
        lambda log: setattr(log.eval.model_generate_config, "max_tokens", 9),
        "max_tokens differs (reference None, adapter 9)",
    ),
    "too many unscored": (unscored, "4 of 60 rows of the adapter are unscored, expected at most 5%"),
    "a sample is missing": (first_rows(59, "none"), "other rows or labels are asked: 1 are missing and 0 new"),
}


@pytest.mark.parametrize("fault", FOUND_LATE)
def test_what_an_evaluation_alone_can_show_makes_it_not_comparable(fault, tmp_path, monkeypatch):
    """The evaluation is that of the reference but for the one thing; without it it passes (below)."""
    change, reason = FOUND_LATE[fault]
    log = logged(NAME, first_rows(60, "none"))
    change(log)
    monkeypatch.setattr(measure, "evaluate", lambda *_: log)
    found = check(SAVED / NAME, light(tmp_path, NAME), tmp_path / "logs")
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert reason in found.reason


@pytest.mark.parametrize(("number", "verdict"), [(60, Verdict.PASS), (24, Verdict.NOT_COMPARABLE)])
def test_too_few_rows_are_not_comparable(number, verdict, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "evaluate", lambda *_: logged(NAME, first_rows(number, "none")))
    found = check(SAVED / NAME, light(tmp_path, NAME, number), tmp_path / "logs")
    assert found.verdict == verdict
    few = "fpr (none): 11 rows in 7 clusters are scored on both sides, expected at least 20 in 8"
    assert (few in found.reason) == (verdict != Verdict.PASS)


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
