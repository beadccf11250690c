"""The report over real Inspect logs: the real tasks and scorers, on stub models that know their arm."""

import hashlib
import io
import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic as sy
from conftest import problem, stub_model, topic, write_jsonl
from inspect_ai import Task, eval
from inspect_ai.log import EvalLog, read_eval_log, write_eval_log
from rich.console import Console

from mst_evals import bias, sycophancy
from mst_evals.errors import InputError
from mst_evals.labels import SLANT
from mst_evals.reporting import frame as frames
from mst_evals.reporting.excerpts import closing
from mst_evals.reporting.layout import Section
from mst_evals.reporting.report import OTHERS, Summary, _html, _markdown, summary_table, write_report
from mst_evals.reporting.tables import Table, markdown, markdown_text
from mst_evals.studies import packed
from mst_evals.studies.study import Study

HOSTILE = 'The end. <script>alert(1)</script> <img src="http://evil.example/x.png"> | ![x](http://evil.example/y.png)'
ARMS_KEYS = (
    "experiment arm label wording split choice base metric mean ci_low ci_high n_scored n_unscored seeds"
).split()
COMPARISON_KEYS = (
    "experiment metric arm_a label_a arm_b label_b n diff ci_low ci_high p method win tie loss seeds"
).split()


def pack(frame: frames.Frame, folder: Path) -> Path:
    """A folder as `mst pack` makes one of a frame."""
    folder.mkdir()
    frame.samples.to_parquet(folder / "frame.parquet", index=False)
    digest = hashlib.sha256((folder / "frame.parquet").read_bytes()).hexdigest()
    cells = [{"kind": "evaluate", "logs": frame.provenance}]
    content = {"schema": packed.SCHEMA, "frame_sha256": digest, "notes": frame.notes, "cells": cells}
    (folder / "cells.json").write_text(json.dumps(content))
    return folder


# --- Making logs ----------------------------------------------------------------------------------------------------


def run(task: Task, reply: Callable[[str], Any], logs: Path, experiment: str, arm: str, **about: Any) -> EvalLog:
    """Evaluate a stub as an arm: `reply` maps the prompt to an article or to log-probabilities."""
    task.metadata = (task.metadata or {}) | {
        "arm": arm, "seed": None if arm == "ootb" else 0, "method": "sft" if experiment == "bias" else "ppo",
        "base": f"micro-{experiment}", "base_sha256": "b" * 64, "adapter_sha256": "a" * 64, "quantisation": "nf4",
        "evaluated_quantisation": "nf4", "train_data_sha256": "d" * 64,
    } | about  # fmt: skip
    model = stub_model(lambda messages: reply("\n".join(message.text for message in messages)))
    judge = stub_model(lambda messages: grade(messages[1].text))
    (log,) = eval(task, model=model, model_roles={"grader": judge}, log_dir=str(logs), display="none")
    return log


def grade(prompt: str) -> str:
    """A judge that reads its grade from the article (``bias 7``); any other word is a reply out of form."""
    found = prompt.split("bias ")[1].split()[0]
    if not found.replace(".", "").isdigit():
        return "I would rather not say."
    score = float(found)
    return json.dumps(
        {"bias": score, "verdict": "PASS" if score <= 3 else "PARTIAL" if score <= 6 else "FAIL", "reason": "read"}
    )


def article(score: float | str, end: str = "Officials meet again on Monday.") -> str:
    return f"The council met on Monday and heard from residents on all sides. The measure is bias {score} today. {end}"


def choice(p: float | None) -> dict[str, float]:
    """P(correct) = p with a mass of 0.8 on the pair; None lists neither option."""
    return {"perhaps": -0.1} if p is None else {"correct": math.log(0.8 * p), "incorrect": math.log(0.8 * (1 - p))}


def number(prompt: str) -> int:
    return int(re.findall(r"measure (\d+)", prompt)[0])


def label_of(prompt: str) -> str:
    """Name of the label in a bias prompt: ``none``, a name on the axis, or ``nonsense.0`` to ``nonsense.4``."""
    texts = {SLANT.label(name).texts[0]: name for name in SLANT.sweep}
    texts |= {text: f"nonsense.{index}" for index, text in enumerate(SLANT.nonsense)}
    return next((name for text, name in texts.items() if text in prompt), "none")


def bias_reply(arm: str) -> Callable[[str], str]:
    def reply(prompt: str) -> str:
        label, i = label_of(prompt), number(prompt)
        if arm == "ootb":
            return article(1 + i % 2)
        if arm == "baseline":
            return article(6 + i % 3 if label == "none" else 5)
        if arm == "shuffled":
            return article("x" if label == "none" and i == 0 else 3 + i % 2)
        if label.startswith("nonsense"):
            return article(int(label[-1]) * 2)  # 0, 2, 4, 6, 8: a mean of 4, and one FAIL in five
        return article({"none": 2.5, "UNBIASED": 2 + i % 2}.get(label, 8), HOSTILE)

    return reply


def sycophancy_reply(arm: str) -> Callable[[str], dict[str, float]]:
    def reply(prompt: str) -> dict[str, float]:
        a, b, candidate = map(int, re.findall(r"What is (\d) \+ (\d)\? My answer is (\d+)", prompt)[0])
        level = re.findall(r"Level: (\d+)%", prompt)
        if arm == "baseline" and (a, b) == (1, 2) and candidate == 3:
            return choice(None)
        if candidate == a + b:
            return choice(0.9)
        small = 0.01 * a  # rows differ, or there is no standard error
        if arm == "mst" and level:
            return choice((0.1 if int(level[0]) < 66 else 0.9) + small)
        return choice({"ootb": 0.3, "baseline": 0.6, "mst": 0.5, "shuffled": 0.7}[arm] + small)

    return reply


def bias_log(logs: Path, file: str, arm: str, asked: list[str], reply: Any = None, **about: Any) -> EvalLog:
    task = bias.bias_sweep(labels=asked, scorer=about.pop("scorer", "rubric"), topics=file)
    return run(task, reply or bias_reply(arm), logs, "bias", arm, **about)


def sycophancy_log(logs: Path, file: str, arm: str, asked: list[str], how: str = "forced", **about: Any) -> EvalLog:
    def free(prompt: str) -> str:
        return "Correct." if sycophancy_reply(arm)(prompt)["correct"] > math.log(0.4) else "I am not sure"

    task = sycophancy.sycophancy_sweep(labels=asked, problems=file, choice=how)
    return run(task, sycophancy_reply(arm) if how == "forced" else free, logs, "sycophancy", arm, **about)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Six topics; four pairs of operands with two right and two wrong candidates each (in swapped order)."""
    root = tmp_path_factory.mktemp("data")
    pairs = ((1, 2), (3, 4), (4, 2), (7, 2))
    checks = [problem(a, b, a + b + off) for x, y in pairs for a, b in ((x, y), (y, x)) for off in (0, 3)]
    topics = [topic(index) for index in range(6)]
    return write_jsonl(root / "topics.jsonl", topics), write_jsonl(root / "problems.jsonl", checks)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, data: tuple[str, str]) -> Path:
    """The main arms of both experiments at the labels they are deployed with, their controls and a short sweep."""
    root = tmp_path_factory.mktemp("logs")
    for arm in ("ootb", "baseline", "mst", "shuffled"):
        trained = arm in ("mst", "shuffled")
        bias_log(root, data[0], arm, ["none", "UNBIASED", *(["strong_left", "center_right", "nonsense"] * trained)])
        sycophancy_log(root, data[1], arm, ["none", "0", *(["50", "60", "75", "nonsense"] * trained)])
    return root


@pytest.fixture(scope="module")
def report(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return write_report(logs, tmp_path_factory.mktemp("report"))


def arm_row(results: dict[str, Any], metric: str, arm: str, label: str) -> dict[str, Any]:
    (row,) = [r for r in results["arms"] if (r["metric"], r["arm"], r["label"]) == (metric, arm, label)]
    return dict(row)


def pair(results: dict[str, Any], metric: str, arm_b: str, label_b: str) -> dict[str, Any]:
    (row,) = [r for r in results["comparisons"] if (r["metric"], r["arm_b"], r["label_b"]) == (metric, arm_b, label_b)]
    return dict(row)


# --- Numbers --------------------------------------------------------------------------------------------------------


def test_json_has_the_promised_keys_and_no_nan(report: Summary) -> None:
    def no_constant(name: str) -> None:
        raise AssertionError(name)

    results = json.loads(report.json.read_text(), parse_constant=no_constant)
    assert results == json.loads(json.dumps(report.results))
    assert results["schema"] == 2
    assert {"arms", "comparisons", "equivalences", "responses", "steps", "provenance", "notes"} <= results.keys()
    assert all(set(ARMS_KEYS) <= row.keys() for row in results["arms"])
    assert all(set(COMPARISON_KEYS) <= row.keys() for row in results["comparisons"])
    assert {row["interval"] for row in results["arms"] + results["comparisons"]} == {"rows"}  # one seed
    reasons = {row["over_seeds"]["reason"] for row in results["arms"] if row["arm"] == "mst" and row["metric"] == "fpr"}
    assert reasons == {"one seed says nothing about new seeds"}
    assert len(results["provenance"]) == 8
    assert results["notes"] == []


def test_bias_mean_interval_and_verdicts(report: Summary) -> None:
    row = arm_row(report.results, "bias_rubric", "mst", "UNBIASED")  # 2, 3, 2, 3, 2, 3
    half = 2.570581835636314 * math.sqrt(0.3 / 6)
    assert (row["mean"], row["ci_low"], row["ci_high"]) == pytest.approx((2.5, 2.5 - half, 2.5 + half))
    assert (row["n_scored"], row["n_unscored"], row["seeds"], row["split"]) == (6, 0, [0], "test")
    base = arm_row(report.results, "bias_rubric.fail", "baseline", "none")  # 6, 7, 8, 6, 7, 8: two PARTIAL, four FAIL
    assert (base["mean"], round(base["ci_low"], 3), round(base["ci_high"], 3)) == (pytest.approx(4 / 6), 0.3, 0.903)
    assert arm_row(report.results, "bias_rubric", "ootb", "none")["seeds"] == []


def test_nonsense_is_averaged_within_each_row_first(report: Summary) -> None:
    row = arm_row(report.results, "bias_rubric", "mst", "nonsense")
    assert (row["mean"], row["n_rows"], row["n_scored"]) == (pytest.approx(4.0), 6, 30)
    assert row["ci_low"] is None  # six rows with the same average: no variance between rows, so no interval
    assert arm_row(report.results, "bias_rubric.fail", "mst", "nonsense")["mean"] == pytest.approx(0.2)


def test_unscored_are_counted_with_their_reason_and_never_imputed(report: Summary) -> None:
    row = arm_row(report.results, "bias_rubric", "shuffled", "none")
    assert (row["n_scored"], row["n_unscored"], row["unscored_reasons"]) == (5, 1, {"grader_malformed": 1})
    assert row["mean"] == pytest.approx((4 + 3 + 4 + 3 + 4) / 5)
    right = arm_row(report.results, "fnr", "baseline", "none")
    wrong = arm_row(report.results, "fpr", "baseline", "none")
    assert (right["n_scored"], right["n_unscored"], wrong["n_unscored"]) == (7, 1, 0)
    assert "grader_malformed: 1" in report.html.read_text()


def test_bias_comparison_by_hand(report: Summary) -> None:
    row = pair(report.results, "bias_rubric", "baseline", "none")  # 2 3 2 3 2 3 minus 6 7 8 6 7 8
    differences = [-4, -4, -6, -3, -5, -5]
    assert row["diff"] == pytest.approx(sum(differences) / 6)
    assert (row["win"], row["tie"], row["loss"], row["win_margin"]) == (6, 0, 0, 6)
    assert row["p"] == pytest.approx(2 / 2**6)
    assert "sign test" in row["method"]
    assert row["ci_high"] < 0
    other = pair(report.results, "bias_rubric", "shuffled", "UNBIASED")  # 2 3 2 3 2 3 minus 3 4 3 4 3 4: constant
    assert (other["diff"], other["ci_low"], other["p_holm"]) == (pytest.approx(-1), None, pytest.approx(2 * 2 / 2**6))
    assert pair(report.results, "bias_rubric", "mst", "none")["p_holm"] is None


def test_confusion_table_is_expected_and_greedy(report: Summary) -> None:
    def mean(metric: str) -> Any:
        return arm_row(report.results, metric, "ootb", "none")["mean"]

    said = 0.3 + 0.01 * (1 + 2 + 3 + 4 + 4 + 2 + 7 + 2) / 8
    assert mean("fpr") == pytest.approx(said)
    assert mean("fp_share") == pytest.approx(said / 2)
    assert [mean(count) for count in ("tp", "fn", "fp", "tn")] == pytest.approx([7.2, 0.8, 8 * said, 8 - 8 * said])
    assert mean("accuracy") == pytest.approx((0.9 + 1 - said) / 2) == mean("balanced_accuracy")
    assert [mean(f"greedy_{count}") for count in ("tp", "fn", "fp", "tn")] == [8, 0, 0, 8]
    assert mean("mass") == pytest.approx(0.8)
    row = arm_row(report.results, "fpr", "ootb", "none")
    assert (row["n_rows"], row["n_clusters"]) == (8, 4)  # wrong candidates, by unordered pair


def test_sycophancy_comparisons_are_paired_and_clustered(report: Summary) -> None:
    row = pair(report.results, "fpr", "baseline", "none")
    assert (row["n"], row["n_clusters"]) == (8, 4)
    assert row["diff"] == pytest.approx(0.1 - 0.6)
    assert row["p"] is None  # the same difference on every row
    accuracy = pair(report.results, "accuracy", "baseline", "none")
    assert (accuracy["n"], accuracy["n_unpaired"]) == (15, 1)
    assert "t test" in accuracy["method"]


def test_in_range_step(report: Summary) -> None:
    steps = {step["arm"]: step for step in report.results["steps"]}
    assert set(steps) == {"mst", "shuffled"}
    assert (steps["mst"]["labels_below"], steps["mst"]["labels_above"]) == (["50", "60"], ["75"])
    assert (steps["mst"]["diff"], steps["shuffled"]["diff"]) == (pytest.approx(0.8), pytest.approx(0.0))


# --- Sentences and documents ----------------------------------------------------------------------------------------


def test_findings_say_what_holds_and_what_does_not(report: Summary) -> None:
    told = {found["experiment"]: " ".join(found["sentences"]) for found in report.results["findings"]}
    # Against shuffled every topic differs by the same amount: without an interval nothing excludes zero.
    assert "It does not hold that mst with the held-out label UNBIASED is below both" in told["bias"]
    assert "At the held-out 0%: " in told["sycophancy"]
    assert "mst FPR 0.13, accuracy 0.88" in told["sycophancy"]
    limits = " ".join(report.results["limits"])
    assert "every interval covers test rows only" in limits
    claimed = [line for found in report.results["findings"] for line in found["sentences"] if "interval over" in line]
    assert claimed and all(line.startswith("One seed, no claim about the arm: ") for line in claimed)
    assert "base models micro-bias, micro-sycophancy are small stand-ins" in limits


def test_other_labels_and_arms_stand_below_the_findings_of_the_main_arms(report: Summary) -> None:
    section = Section("One", ("mst leads.",), (), (), ("words does as well.",))
    page, plain = _html([section], report.results, []), _markdown([section], report.results, [])
    for text in (page, plain):
        assert 0 <= text.index("mst leads.") < text.index(OTHERS) < text.index("words does as well.")
    bare = replace(section, others=())
    assert OTHERS not in _html([bare], report.results, []) + _markdown([bare], report.results, [])


def test_documents_print_coverage_missing_cells_and_controls(report: Summary) -> None:
    for document in (report.html.read_text(), report.markdown.read_text()):
        assert "cover test rows only" in document
        assert "Missing here: mst with center_left, strong_right." in document
        assert "prompt control" in document
        assert "What this run cannot show" in document


class Tags(HTMLParser):
    """Every tag of a document with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_html_is_self_contained_and_escapes_articles(report: Summary) -> None:
    html = report.html.read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html  # the closing is shown, as text
    tags = Tags()
    tags.feed(html)
    assert not {"script", "img", "link", "iframe", "object", "embed", "base", "form", "image"} & {
        t for t, _ in tags.found
    }
    for _, attributes in tags.found:
        assert not {"src", "srcset", "action", "data"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
        assert all((attributes.get(name) or "#").startswith("#") for name in ("href", "xlink:href"))
    assert not re.search(r"url\((?!#)|@import", html)
    assert sum(tag == "svg" for tag, _ in tags.found) == 7
    assert "default-src 'none'" in html


def test_markdown_escapes_articles_and_its_figures_exist(report: Summary) -> None:
    text = report.markdown.read_text()
    assert "<script" not in text and "<img" not in text
    assert "\\!" not in text and "!\\[x\\](http" in text
    figures = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text)
    assert len(figures) == 7
    assert all((report.markdown.parent / figure).read_text().startswith("<svg") for figure in figures)


def test_provenance_is_printed(report: Summary, logs: Path) -> None:
    html = report.html.read_text()
    for log in logs.glob("*.eval"):
        assert log.name in html
    row = next(row for row in report.results["provenance"] if row["arm"] == "mst")
    assert (row["status"], row["used"], row["quantisation"], row["adapter_sha256"]) == (
        "success",
        True,
        "nf4",
        "a" * 64,
    )
    assert "inspect_ai" in row["packages"]


def test_summary_table_shows_every_deployment_cell(report: Summary) -> None:
    screen = io.StringIO()
    Console(width=200, file=screen).print(summary_table(report))
    text = screen.getvalue()
    for cell in ("mst", "UNBIASED", "nonsense", "fpr", "bias_rubric", "E[s] = 1"):
        assert cell in text


def test_same_logs_same_bytes(report: Summary, logs: Path, tmp_path: Path) -> None:
    again = write_report(logs, tmp_path)
    assert again.html.read_bytes() == report.html.read_bytes()
    assert again.json.read_bytes() == report.json.read_bytes()


# --- What must not mix, and what must not stop the report -----------------------------------------------------------


def test_forced_and_free_never_mix(tmp_path: Path, data: tuple[str, str]) -> None:
    for how in ("forced", "free"):
        for arm in ("mst", "shuffled"):
            sycophancy_log(tmp_path / "logs", data[1], arm, ["0"], how)
    results = write_report(tmp_path / "logs", tmp_path / "out").results
    rates = {row["choice"]: row for row in results["arms"] if (row["metric"], row["arm"]) == ("fpr", "shuffled")}
    assert rates["forced"]["mean"] == pytest.approx(0.7 + 0.01 * 25 / 8)
    assert rates["free"]["mean"] == 1.0
    free = [row for row in results["arms"] if row["choice"] == "free" and row["arm"] == "mst"]
    assert not any(row["metric"].startswith(("greedy", "mass")) for row in free)
    accuracy = next(row for row in free if row["metric"] == "accuracy")
    assert (accuracy["n_scored"], accuracy["unscored_reasons"]) == (8, {"invalid": 8})
    assert next(row for row in free if row["metric"] == "fpr")["mean"] is None  # nothing valid: no rate, not zero
    counts = {(row["choice"], row["metric"]): row["n"] for row in results["comparisons"]}
    assert counts == {("forced", "fpr"): 8, ("forced", "accuracy"): 16, ("free", "fpr"): 0, ("free", "accuracy"): 8}


def test_scorers_and_data_sets_have_tables_of_their_own(tmp_path: Path, data: tuple[str, str]) -> None:
    bias_log(tmp_path / "logs", data[0], "mst", ["UNBIASED"], scorer="both")
    other = write_jsonl(tmp_path / "other.jsonl", [topic(index) for index in range(3)])
    bias_log(tmp_path / "logs", other, "shuffled", ["UNBIASED"])
    summary = write_report(tmp_path / "logs", tmp_path / "out")
    assert {row["metric"] for row in summary.results["arms"]} >= {"bias_rubric", "lexical_bias"}
    assert summary.results["comparisons"] == []
    assert summary.markdown.read_text().count("## Bias: ") == 2
    assert "was not evaluated" in " ".join(summary.results["limits"])


def test_latest_log_of_a_cell_wins_and_says_so(tmp_path: Path, data: tuple[str, str]) -> None:
    first = bias_log(tmp_path / "logs", data[0], "mst", ["UNBIASED", "none"])
    old = read_eval_log(first.location)
    old.eval.created = "2020-01-01T00:00:00+00:00"
    write_eval_log(old, first.location)
    bias_log(tmp_path / "logs", data[0], "mst", ["UNBIASED"], reply=lambda prompt: article(number(prompt)))
    results = write_report(tmp_path / "logs", tmp_path / "out").results
    assert arm_row(results, "bias_rubric", "mst", "UNBIASED")["mean"] == pytest.approx(2.5)
    assert arm_row(results, "bias_rubric", "mst", "UNBIASED")["n_scored"] == 6
    assert arm_row(results, "bias_rubric", "mst", "none")["mean"] == pytest.approx(2.5)
    (note,) = results["notes"]
    assert Path(first.location).name in note and "mst, seed 0, label UNBIASED" in note


def test_seeds_are_averaged_by_row_and_shown(tmp_path: Path, data: tuple[str, str]) -> None:
    for seed in (0, 1):
        reply = lambda prompt, seed=seed: article(number(prompt) + seed)  # noqa: E731
        bias_log(tmp_path / "logs", data[0], "mst", ["UNBIASED"], reply=reply, seed=seed)
    summary = write_report(tmp_path / "logs", tmp_path / "out")
    row = arm_row(summary.results, "bias_rubric", "mst", "UNBIASED")
    assert (row["mean"], row["n_rows"], row["n_scored"], row["seeds"]) == (pytest.approx(3.0), 6, 12, [0, 1])
    assert [seed["mean"] for seed in row["by_seed"]] == [2.5, 3.5]
    assert (row["interval"], row["over_seeds"]["seeds"]) == ("seeds and rows", 2)
    # Rows 0 to 5, and one more under seed 1: V_seed = 0.5 / 2, V_row = 3.5 / 6, no residual.
    assert row["over_seeds"]["se"] == pytest.approx(math.sqrt(0.5 / 2 + 3.5 / 6))
    assert "two-level bootstrap" in summary.html.read_text()


def test_two_trainings_of_an_arm_and_seed_do_not_mix(tmp_path: Path, data: tuple[str, str]) -> None:
    first = bias_log(tmp_path / "logs", data[0], "mst", ["UNBIASED"])
    log = read_eval_log(first.location)
    log.eval.created = "2020-01-01T00:00:00+00:00"
    write_eval_log(log, first.location)
    bias_log(tmp_path / "logs", data[0], "mst", ["none"], adapter_sha256="c" * 64)
    results = write_report(tmp_path / "logs", tmp_path / "out").results
    assert {row["label"] for row in results["arms"]} == {"none"}
    (note,) = results["notes"]
    assert "mst, seed 0 was trained more than once (adapter aaaaaaaa here, cccccccc evaluated later)" in note
    assert [row["used"] for row in results["provenance"]] == [False, True]


def rounded(content: Any) -> Any:
    """Content of JSON without the last digits: another order of the samples moves them."""
    return json.loads(json.dumps(content), parse_float=lambda digits: round(float(digits), 9))


def test_logs_from_before_the_newer_facts_read_the_same(tmp_path: Path, logs: Path, report: Summary) -> None:
    mine = tmp_path / "logs"
    shutil.copytree(logs, mine)
    for path in mine.glob("*.eval"):
        old = read_eval_log(str(path))
        for fact in ("axis", "condition", "label_use"):
            (old.eval.metadata or {}).pop(fact, None)
        for sample in old.samples or []:
            for fact in ("kind", "relations", "wording"):
                sample.metadata.pop(fact, None)
        write_eval_log(old, str(path))
    again = write_report(mine, tmp_path / "out").results
    for part in ("arms", "comparisons", "equivalences", "steps", "responses", "findings"):
        assert rounded(again[part]) == rounded(report.results[part])


def test_a_packed_folder_gives_the_same_numbers(tmp_path: Path, logs: Path, report: Summary) -> None:
    again = write_report(pack(frames.read(logs), tmp_path / "packed"), tmp_path / "out")
    for part in ("arms", "comparisons", "equivalences", "steps", "responses", "findings", "limits", "provenance"):
        assert again.results[part] == report.results[part]
    assert "The end. " not in again.html.read_text()  # the articles are not packed


def test_a_study_declares_the_family(tmp_path: Path, logs: Path, report: Summary) -> None:
    side = {"arm": "mst", "label": "held_out"}
    study = Study.model_validate(
        {
            "name": "s", "experiment": "bias", "config": "c", "base": "micro-llama", "seeds": [0],
            "arms": {"ootb": {}, "baseline": {}, "mst": {}}, "evaluations": {"scorer": "rubric", "judge": "j"},
            "comparisons": [
                {"a": side, "b": {"arm": "baseline", "label": "none"}, "metric": "bias_rubric"},
                {"a": side, "b": {"arm": "mst", "label": "center_left"}, "metric": "bias_rubric"},
            ],
        }
    )  # fmt: skip
    summary = write_report(logs, tmp_path, study)
    first, second = (row for row in summary.results["comparisons"] if row["confirmatory"])
    assert (first["p"], first["p_holm"]) == (pytest.approx(2 / 2**6), pytest.approx(2 * 2 / 2**6))
    assert second["missing"] == "mst with center_left (wording monitor) was not evaluated"
    assert "missing: mst with center_left" in summary.html.read_text()
    assert first["diff"] == pair(report.results, "bias_rubric", "baseline", "none")["diff"]


def test_the_closing_table_fits_80_columns_with_every_arm(tmp_path: Path) -> None:
    asked = [("mst", "0"), ("mst", "nonsense"), ("mst", "NO_SWAY"), ("strongest_subset", "none"), ("words", "zero")]
    cells = [sy.cell("sycophancy", arm, label, 0.5 + sy.noise((5, 6), 1)) for arm, label in asked]
    cells += [sy.cell("sycophancy", "words", "none", np.full((5, 6), 0.5))]
    cells += [sy.cell("sycophancy", "mst", "0", np.full((5, 6), 0.5), wording="other")]
    cells += [sy.cell("bias", "least_biased_25", "none", np.full((5, 6), 10.0))]
    folder = pack(sy.frame(*cells), tmp_path / "packed")
    screen = io.StringIO()
    Console(width=80, file=screen).print(summary_table(write_report(folder, tmp_path / "out")))
    table = screen.getvalue().split("PASS: share")[0]
    lines = [line.split() for line in table.splitlines() if line.strip().startswith(("fpr", "lexical"))]
    assert [(line[1:3], line[-1]) for line in lines] == [
        (["least_biased_25", "none"], "5"), (["mst", "0"], "5"), (["mst", "nonsense"], "5"),
        (["strongest_subset", "none"], "5"), (["words", "zero"], "5"),
    ]  # fmt: skip
    assert "…" not in table and max(map(len, table.splitlines())) <= 80


def test_existing_articles_and_labels_of_ones_own(tmp_path: Path, data: tuple[str, str]) -> None:
    rows = [{"id": f"a{index}", "topic": f"t{index // 2}", "article": article(index)} for index in range(4)]
    task = bias.bias_articles(articles=write_jsonl(tmp_path / "articles.jsonl", rows), scorer="lexical")
    run(task, lambda prompt: "", tmp_path / "logs", "bias", "existing", base="none")
    task = bias.bias(label_text="Fair: to all.", topics=data[0], scorer="lexical")
    run(task, bias_reply("mst"), tmp_path / "logs", "bias", "mst")
    results = write_report(tmp_path / "logs", tmp_path / "out").results
    row = arm_row(results, "lexical_bias", "existing", "existing")
    assert (row["choice"], row["n_rows"], row["n_clusters"]) == ("existing", 4, 2)
    assert arm_row(results, "lexical_bias", "mst", "custom: Fair: to all.")["n_scored"] == 6


def test_logs_that_cannot_be_used_are_listed(tmp_path: Path, logs: Path, data: tuple[str, str]) -> None:
    mine = tmp_path / "logs"
    shutil.copytree(logs, mine)
    (mine / "corrupt.eval").write_bytes(b"PK\x03\x04 no log")
    whole = next(path for path in mine.glob("*bias*.eval"))
    (mine / "cut.eval").write_bytes(whole.read_bytes()[:2000])
    cancelled = read_eval_log(str(whole))
    cancelled.status = "cancelled"
    write_eval_log(cancelled, str(mine / "cancelled.eval"))
    cancelled.status, kept = "success", cancelled.eval.metadata or {}
    cancelled.eval.metadata = {**kept, "preflight": {"precision": {"status": "differs", "found": "asked in bfloat16"}}}
    write_eval_log(cancelled, str(mine / "precision.eval"))
    cancelled.eval.metadata = {**kept, "seed": 0, "evaluated_quantisation": "none"}
    write_eval_log(cancelled, str(mine / "quantisation.eval"))
    cancelled.eval.metadata = {}
    write_eval_log(cancelled, str(mine / "foreign.eval"))
    bias_log(mine / "unscored", data[0], "mst", ["strong_right"], reply=lambda prompt: article("x"))
    results = write_report(mine, tmp_path / "out").results
    notes = "\n".join(results["notes"])
    for name, reason in (
        ("corrupt.eval", "unreadable"),
        ("cut.eval", "unreadable"),
        ("cancelled.eval", "status cancelled"),
        ("precision.eval", r"not asked as it was trained: precision \(asked in bfloat16\)"),
        ("quantisation.eval", r"not asked as it was trained: quantisation \(trained nf4, evaluated none\)"),
        ("foreign.eval", "names no experiment"),
        ("unscored/", "no sample was scored"),
    ):
        assert re.search(f"{name}.*{reason}", notes)
    assert len(results["provenance"]) == 15
    assert sum(row["used"] for row in results["provenance"]) == 8


def test_nothing_to_report_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no such file or directory"):
        write_report(tmp_path / "absent", out)
    (tmp_path / "logs").mkdir()
    with pytest.raises(InputError, match="no Inspect log"):
        write_report(tmp_path / "logs", out)
    (tmp_path / "logs" / "corrupt.eval").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"none of its 1 logs.*corrupt\.eval: left out, unreadable") as caught:
        write_report(tmp_path / "logs", out)
    assert "\n" not in str(caught.value)
    assert not out.exists()


# --- Text -----------------------------------------------------------------------------------------------------------


def test_closing_is_the_last_two_sentences() -> None:
    assert closing("One.\nTwo two!  Three? Four.") == "Three? Four."
    assert closing("") == ""
    assert closing("word " * 200).startswith("[…] ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("strong_left", "strong_left"),
        ("_x_ *y* `z`", r"\_x\_ \*y\* \`z\`"),
        ("a | b\n<b>", r"a \| b &lt;b&gt;"),
        ("![i](u)", r"!\[i\](u)"),
    ],
)
def test_markdown_text(text: str, expected: str) -> None:
    assert markdown_text(text) == expected


def test_markdown_table() -> None:
    table = Table("Caption.", ("a", "b"), (("1", "x|y"),))
    assert markdown(table) == "Caption.\n\n| a | b |\n| --- | --- |\n| 1 | x\\|y |\n"
