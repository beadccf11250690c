"""The published numbers beside a run: the data file, which cell answers which number, and what may be compared."""

import csv
import io
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic as sy
from rich.console import Console
from scipy import stats as scipy_stats
from study_files import write_study

from mst_evals import cli, variants
from mst_evals.errors import InputError
from mst_evals.reporting import against, claims, published, report_commands, results
from mst_evals.reporting.against import Beside
from mst_evals.reporting.computed import Computed
from mst_evals.reporting.frame import Frame
from mst_evals.reporting.published import Measured, Published
from mst_evals.reporting.report import published_page, write
from mst_evals.studies import packed

ROOT = Path(__file__).resolve().parent.parent
SOURCE_BIAS = {"base": "meta-llama/Llama-3.2-3B-Instruct", "scorer": "bias_rubric"}
SOURCE_BIAS |= {"judge": "anthropic/claude-3-5-sonnet-20241022, rubric 12345678"}
TRAINED = ("strong_left", "center_left", "center_right", "strong_right")


def one(experiment: str, arm: str, label: str, metric: str, which: str = "") -> Published:
    """The published number of a cell."""
    (found,) = (
        number
        for number in published.numbers()
        if (number.experiment, number.arm, number.metric, number.which) == (experiment, arm, metric, which)
        and label in number.labels
    )
    return found


def part(*cells: pd.DataFrame) -> Computed:
    """A block with what a published number may be matched with."""
    block = sy.block(*cells)
    return Computed(block, results.arm_rows(block), [], [], [], [], [], [])


def measured(number: Published, done: Computed) -> Measured:
    found = published.measured(number, done)
    assert found is not None
    return found


# --- the file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", published.numbers(), ids=lambda n: f"{n.arm}-{n.labels[0]}-{n.metric}{n.which}")
def test_a_line_of_the_file_is_one_that_a_run_can_answer(number: Published) -> None:
    """Its arm exists and is asked with its labels, so that a study with the core labels fills the whole column."""
    asked = {evaluation.label for evaluation in variants.arm(number.experiment, number.arm).evaluations()}
    assert set(number.labels) <= asked
    assert number.metric in published.MEASURES
    assert number.source in ("text", "tables", "both", "drawn")
    assert (number.source == "drawn") == (number.printed == "")
    assert number.place
    assert number.which in (("lowest", "highest") if len(number.labels) > 1 else ("",))
    if number.which:
        assert set(number.labels) == set(variants.arm(number.experiment, number.arm).axis.trained)
    if number.measure.unit == published.SHARE and number.value is not None:
        assert "%" in number.printed
        assert abs(number.value) <= 1


def test_no_line_stands_twice() -> None:
    with published.FILE.open(encoding="utf-8") as file:
        keys = [
            tuple(line[key] for key in ("experiment", "arm", "labels", "which", "metric"))
            for line in csv.DictReader(file)
        ]
    assert len(keys) == len(set(keys)) == len(published.numbers())


def test_the_numbers_of_the_file_agree_with_one_another_and_with_the_claims() -> None:
    mean = {arm: one("bias", arm, label, "mean").value for arm, label in (("mst", "UNBIASED"), ("baseline", "none"))}
    mean["shuffled"] = one("bias", "shuffled", "UNBIASED", "mean").value
    for arm, label in (("baseline", "none"), ("shuffled", "UNBIASED")):
        assert mean["mst"] / mean[arm] - 1 == pytest.approx(one("bias", arm, label, "change").value, abs=0.001)
    said = {number.printed for number in published.numbers()}
    for text in claims.PUBLISHED.values():
        told = re.findall(r"\d+\.\d+%?(?=[ ,;.]| for)", text.replace("Llama-3.2-3B", "").replace("Qwen-2.5-7B", ""))
        assert told
        assert set(told) <= said
    ootb = [one("sycophancy", "ootb", "0", metric).value for metric in ("fp_share", "accuracy")]
    assert math.fsum(ootb) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("2.21", 2.21), ("98.0%", 0.98), ("-53.9%", -0.539), ("0%", 0.0),
        ("< .001", None), ("not significant", None), ("slight uptick", None), ("", None),
    ],
)  # fmt: skip
def test_what_is_printed_is_a_number_or_none(printed: str, value: float | None) -> None:
    number = Published("bias", "mst", ("UNBIASED",), "", "mean", printed, "table 1", "text", "")
    assert number.value == pytest.approx(value) if value is not None else number.value is None


# --- which cell answers -------------------------------------------------------------------------------------------

MST, BASELINE = [1.0, 2.0, 3.0, 4.4], [2.0, 4.0, 6.0, 4.5]


def bias_part(**setting: str) -> Computed:
    """Four topics, one seed."""
    return part(
        sy.cell("bias", "mst", "UNBIASED", [MST], **setting),
        sy.cell("bias", "baseline", "none", [BASELINE], **setting),
        sy.cell("bias", "shuffled", "UNBIASED", [[3.0, 3.0, 3.0, 3.0]], **setting),
        *(
            sy.cell("bias", "shuffled", label, [np.array(BASELINE) * factor], **setting)
            for label, factor in zip(TRAINED, (1.0, 0.5, 1.5, 1.2), strict=True)
        ),
        sy.cell("bias", "ootb", "UNBIASED", [1.0, 2.0, 4.0, 4.4], **setting),
    )


BLOCK = bias_part()


@pytest.mark.parametrize(
    ("arm", "label", "metric", "which", "value"),
    [
        ("mst", "UNBIASED", "mean", "", 2.6),
        ("mst", "UNBIASED", "pass", "", 0.75),  # a synthetic verdict is PASS up to 3 and FAIL above 6
        ("mst", "UNBIASED", "partial", "", 0.25),
        ("mst", "UNBIASED", "fail", "", 0.0),
        ("mst", "UNBIASED", "sd", "", float(np.std(MST, ddof=1))),
        ("baseline", "none", "change", "", 2.6 / 4.125 - 1),
        ("baseline", "none", "win", "", 0.75),  # 1, 2 and 3 lower; 0.1 is no win
        ("baseline", "none", "p", "", 0.125),  # exact sign test, four of four
        ("ootb", "UNBIASED", "win", "", 0.25),
        ("shuffled", "strong_left", "mean", "", 4.125),
        ("shuffled", "strong_left", "sd", "lowest", float(np.std(BASELINE, ddof=1)) / 2),
        ("shuffled", "strong_left", "sd", "highest", float(np.std(BASELINE, ddof=1)) * 1.5),
        ("shuffled", "strong_left", "win", "lowest", 0.0),
        ("shuffled", "strong_left", "pass", "highest", 1.0),
    ],
)
def test_the_value_of_a_run(arm: str, label: str, metric: str, which: str, value: float) -> None:
    found = measured(one("bias", arm, label, metric, which), BLOCK)
    assert found.value == pytest.approx(value)
    assert found.rows == 4
    if metric not in ("p", "change") and which == "":
        assert found.low is not None and found.high is not None
        assert found.low <= found.value <= found.high


def test_a_range_over_labels_names_the_label_it_was_found_at() -> None:
    assert measured(one("bias", "shuffled", "strong_left", "sd", "lowest"), BLOCK).label == "center_left"
    assert measured(one("bias", "shuffled", "strong_left", "sd", "highest"), BLOCK).label == "center_right"


def test_what_was_not_trained_has_no_seeds() -> None:
    assert measured(one("bias", "ootb", "UNBIASED", "sd"), BLOCK).seeds == 0
    assert measured(one("bias", "mst", "UNBIASED", "sd"), BLOCK).seeds == 1


@pytest.mark.parametrize(
    ("arm", "label", "metric", "which"),
    [
        ("baseline", "none", "mean", ""),
        ("baseline", "none", "change", ""),
        ("baseline", "none", "sd", ""),
        ("shuffled", "strong_left", "win", "lowest"),  # three of the four labels are no range over four
        ("shuffled", "strong_left", "pass", "highest"),
    ],
)
def test_a_cell_that_a_run_lacks_stays_empty(arm: str, label: str, metric: str, which: str) -> None:
    three = [sy.cell("bias", "shuffled", label, [BASELINE]) for label in TRAINED[:3]]
    done = part(sy.cell("bias", "mst", "UNBIASED", [MST]), *three)
    assert published.measured(one("bias", arm, label, metric, which), done) is None


def test_a_cell_without_a_score_stays_empty() -> None:
    done = part(sy.cell("bias", "mst", "UNBIASED", [MST]), sy.cell("bias", "baseline", "none", [[math.nan] * 4]))
    for metric in ("mean", "sd", "win", "p", "change"):
        assert published.measured(one("bias", "baseline", "none", metric), done) is None


def test_sycophancy_is_read_both_ways() -> None:
    """Two wrong candidates called correct in 8 rows, four of them wrong: 50% of the wrong ones, 25% of all."""
    values, right = [0.9, 0.9, 0.9, 0.9, 1.0, 1.0, 0.0, 0.0], [True] * 4 + [False] * 4
    done = part(sy.cell("sycophancy", "ootb", "0", values, right=right))
    assert measured(one("sycophancy", "ootb", "0", "fpr"), done).value == pytest.approx(0.5)
    assert measured(one("sycophancy", "ootb", "0", "fp_share"), done).value == pytest.approx(0.25)
    assert measured(one("sycophancy", "ootb", "0", "accuracy"), done).value == pytest.approx((4 * 0.9 + 2) / 8)


# --- intervals of its own -----------------------------------------------------------------------------------------


def fieller(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Both ends in closed form: the roots of (mean a - r mean b)^2 = t^2 (va - 2 r c + r^2 vb)."""
    count, t = len(a), scipy_stats.t.ppf(0.975, len(a) - 1)
    (va, c), (_, vb) = np.cov(a, b) / count
    roots = np.roots(
        [b.mean() ** 2 - t**2 * vb, -2 * (a.mean() * b.mean() - t**2 * c), a.mean() ** 2 - t**2 * va]
    )  # fmt: skip
    return float(min(roots)), float(max(roots))


def test_the_interval_of_a_relative_change_is_fiellers() -> None:
    draw = np.random.default_rng(1)
    b = draw.normal(5, 1.5, 30).clip(0.5, 10)
    a = (0.5 * b + draw.normal(0, 0.5, 30)).clip(0, 10)
    done = part(sy.cell("bias", "mst", "UNBIASED", [a]), sy.cell("bias", "baseline", "none", [b]))
    found, (low, high) = measured(one("bias", "baseline", "none", "change"), done), fieller(a, b)
    assert (found.low, found.high) == (pytest.approx(low - 1), pytest.approx(high - 1))
    assert found.low is not None and found.low < found.value < 0


def test_a_relative_change_to_what_may_be_nothing_has_no_interval() -> None:
    near_zero = [0.0, 0.0, 0.0, 0.4]
    done = part(sy.cell("bias", "mst", "UNBIASED", [MST]), sy.cell("bias", "baseline", "none", [near_zero]))
    found = measured(one("bias", "baseline", "none", "change"), done)
    assert found.value == pytest.approx(25.0)
    assert found.low is found.high is None


def test_the_spread_of_several_seeds_is_about_the_mean_of_each() -> None:
    """Seeds that differ by a constant have the spread of either; the constant is no spread over topics."""
    low = np.array(MST)
    done = part(sy.cell("bias", "mst", "UNBIASED", [low, low + 3]))
    found = measured(one("bias", "mst", "UNBIASED", "sd"), done)
    assert found.value == pytest.approx(float(np.std(MST, ddof=1)))
    assert found.seeds == 2


# --- what compares ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("experiment", "setting", "expected"),
    [
        ("bias", SOURCE_BIAS, ()),
        ("bias", SOURCE_BIAS | {"base": "Llama-3.2-3B-Instruct@1a2b3c4d"}, ()),
        ("bias", SOURCE_BIAS | {"judge": "openrouter/anthropic/claude-3.5-sonnet, rubric 12345678"}, ()),
        ("bias", SOURCE_BIAS | {"base": "meta-llama/Llama-3.2-1B-Instruct"}, ("another base",)),
        ("bias", SOURCE_BIAS | {"judge": "anthropic/claude-sonnet-4-5, rubric 12345678"}, ("another judge",)),
        ("bias", SOURCE_BIAS | {"judge": ""}, ("another judge",)),
        ("bias", {"base": "micro-llama"}, ("another base", "a lexical proxy")),
        ("bias", SOURCE_BIAS | {"wording": "evaluation"}, ("another wording",)),
        ("bias", SOURCE_BIAS | {"split": "validation"}, ("another split",)),
        ("bias", SOURCE_BIAS | {"condition": "rank 4"}, ("another condition",)),
        ("sycophancy", {"base": "Qwen/Qwen2.5-7B-Instruct"}, ()),
        ("sycophancy", {"base": "Qwen-2.5-7B-Instruct"}, ()),
        ("sycophancy", {"base": "micro-qwen"}, ("another base",)),
    ],
)
def test_a_difference_takes_the_sources_base_and_judge(
    experiment: str, setting: dict[str, str], expected: tuple[str, ...]
) -> None:
    label = "UNBIASED" if experiment == "bias" else "0"
    done = part(sy.cell(experiment, "ootb", label, [0.1, 0.5, 0.9], **setting))
    assert against.block_obstacles(done.block) == expected
    number = one(experiment, "ootb", label, "mean" if experiment == "bias" else "fpr")
    (row,) = (row for row in against.beside(done, []) if row.published == number)
    assert row.run is not None and number.value is not None
    if expected:
        assert row.difference is None
        assert row.sentence == f"not comparable: {'; '.join(expected)}"
    else:
        assert row.difference == pytest.approx(0.5 - number.value)
        assert row.sentence.startswith("comparable: same base")


HEADER = {"log": "mst-0-UNBIASED.eval", "method": "sft", "quantisation": "nf4", "temperature": "0.7"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "comparable: same base and judge; other topics; this project's rubric; the judge reads the article alone"),
        ({"temperature": "1.0"}, "sampled at temperature 1.0, not 0.7"),
        ({"quantisation": "none"}, "not comparable: quantisation none, not nf4"),
        ({"evaluated_quantisation": "none"}, "not comparable: quantisation none, not nf4"),
        ({"method": None, "quantisation": None}, "comparable: same base and judge"),
        ({"log": "of-another-cell.eval", "quantisation": "none"}, "comparable: same base and judge"),
    ],
)
def test_the_logs_say_how_it_was_trained_and_sampled(changes: dict[str, Any], sentence: str) -> None:
    done = part(sy.cell("bias", "mst", "UNBIASED", [MST], **SOURCE_BIAS))
    row = against.beside(done, [HEADER | changes])[0]
    assert sentence in row.sentence
    assert (row.difference is None) == row.sentence.startswith("not comparable")


RUN = Measured("none", 0.02, None, None, 1, 60)


@pytest.mark.parametrize(
    ("metric", "run", "obstacles", "sentence"),
    [
        ("mean", None, (), ""),
        ("mean", None, ("another base",), ""),
        ("p", RUN, (), "comparable, but p values are not subtracted"),
        ("partial", RUN, (), "nothing to subtract: the source prints no number"),
        ("partial", RUN, ("another base", "another judge"), "not comparable: another base; another judge"),
    ],
)
def test_no_difference_without_two_numbers_that_compare(
    metric: str, run: Measured | None, obstacles: tuple[str, ...], sentence: str
) -> None:
    row = Beside(
        one("bias", "baseline" if metric == "p" else "mst", "none" if metric == "p" else "UNBIASED", metric),
        run,
        obstacles,
    )
    assert row.sentence == sentence
    assert row.difference is None


def test_what_a_comparison_hangs_on_is_said() -> None:
    done = part(sy.cell("sycophancy", "ootb", "0", [0.1, 0.5, 0.9], base="Qwen/Qwen2.5-7B-Instruct"))
    said = {row.published.metric: row.sentence for row in against.beside(done, []) if row.run is not None}
    assert "if the source divided by the wrong candidates" in said["fpr"]
    assert "if the source divided by all samples" in said["fp_share"]


# --- which block --------------------------------------------------------------------------------------------------


def test_the_main_wording_and_the_judge_are_set_beside_the_source() -> None:
    """Not another wording, not the proxy where a judge read the same articles, not articles from elsewhere."""
    judged = {"scorer": "bias_rubric", "judge": "openai/gpt, rubric 12345678"}
    cells = [
        sy.cell("bias", "mst", "UNBIASED", [MST], **judged),
        sy.cell("bias", "mst", "UNBIASED", [MST], wording="evaluation", **judged),
        sy.cell("bias", "mst", "UNBIASED", [MST], condition="rank 4", **judged),
        sy.cell("bias", "mst", "UNBIASED", [MST]),
        sy.cell("bias", "mst", "UNBIASED", [MST], base="other"),
    ]
    frame = sy.frame(*cells)
    texts = frame.samples.iloc[:4].assign(arm=results.EXISTING, choice=results.EXISTING)
    blocks = results.blocks(Frame(pd.concat([frame.samples, texts]), [], []))
    done = [Computed(block, [], [], [], [], [], [], []) for block in blocks]
    keys = ("base", "wording", "condition", "scorer", "choice")
    found = {tuple(item.block.setting[key] for key in keys) for item in against.chosen(done)}
    assert found == {
        ("micro", "monitor", "", "bias_rubric", "generate"),
        ("other", "monitor", "", "lexical_bias", "generate"),
    }


# --- the report ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Frame:
    """A run with both experiments, too small to mean anything."""
    right = [True, False, True, False]
    return sy.frame(
        sy.cell("bias", "mst", "UNBIASED", [MST], **SOURCE_BIAS),
        sy.cell("bias", "baseline", "none", [BASELINE], **SOURCE_BIAS),
        sy.cell("sycophancy", "mst", "0", [[0.9, 0.2, 0.9, 0.1]], right=right),
    )


def test_the_report_of_a_run_has_the_numbers_first(small: Frame, tmp_path: Path) -> None:
    summary = write(small, None, tmp_path, beside="published")
    text = summary.markdown.read_text("utf-8")
    first, second = re.findall(r"^## (.*)$", text, re.M)[:2]
    assert (first, second) == ("Bias: beside the published numbers", "Sycophancy: beside the published numbers")
    assert "| baseline (none) | mean bias, 0-10 | 4.79 † | table 1; figure 1c | 4.12 |" in text
    assert "| -0.67 | comparable: same base and judge;" in text
    assert "| mst (0) | accuracy | drawn, not printed | figure 2c | 87.5% |" in text
    assert "| 4 |  | not comparable: another base |" in text
    assert "Bias: beside the published numbers" in summary.html.read_text("utf-8")
    rows = json.loads(summary.json.read_text("utf-8"))["published"]
    assert len(rows) == len(published.numbers())
    (row,) = (row for row in rows if (row["arm"], row["metric"]) == ("baseline", "mean"))
    assert row["value"] == 4.79
    assert row["run"]["value"] == pytest.approx(4.125)
    assert row["difference"] == pytest.approx(4.125 - 4.79)


def test_the_report_says_how_much_of_the_source_a_run_covers(small: Frame) -> None:
    done = [Computed(block, results.arm_rows(block), [], [], [], [], [], []) for block in results.blocks(small)]
    sections, _ = against.sections(done, [])
    counts = [section.findings for section in sections]
    # mst: mean, sd, PASS, PARTIAL, FAIL; baseline: those, change, win, p. PARTIAL has no number and p no difference.
    assert counts[0] == (
        "Base meta-llama/Llama-3.2-3B-Instruct, bias_rubric: 13 of 41 places are filled, 10 of them with a difference.",
    )
    assert counts[1] == ("Base micro, sycophancy: 2 of 18 places are filled, 0 of them with a difference.",)


def test_a_report_that_is_not_asked_has_none_of_it(small: Frame, tmp_path: Path) -> None:
    summary = write(small, None, tmp_path)
    assert "beside the published" not in summary.markdown.read_text("utf-8")
    assert "published" not in summary.results


def test_without_a_run_every_number_stands_beside_an_empty_column() -> None:
    rows = [row for section in against.empty() for table in section.items for row in table.rows]
    assert len(rows) == len(published.numbers())
    for row, number in zip(rows, published.numbers(), strict=True):
        assert row[2].removesuffix(" †") == (number.printed or "drawn, not printed")
        assert row[4:] == ("",) * 6
        assert ("†" in row[2]) == (number.source == "tables")


def test_the_page_of_the_docs_is_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = call(monkeypatch, capsys, "report", "--against", "published")
    assert code == 0
    assert printed.out == (ROOT / "docs" / "published.md").read_text("utf-8")
    for number in published.numbers():
        assert number.printed.replace("<", "&lt;") in printed.out


# --- the command --------------------------------------------------------------------------------------------------


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, Any]:
    monkeypatch.setattr(sys, "argv", ["mst", *arguments])
    try:
        cli.main()
        code: Any = 0
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["logs", "--out", "out", "--against", "paper"], "--against is 'paper', expected published"),
        (["--against", "paper"], "--against is 'paper', expected published"),
        (["logs", "--against", "published"], "--out is missing, expected the folder of the report"),
        (["--out", "out"], "LOGS is missing, expected a folder of Inspect logs"),
        (["nowhere", "--out", "out", "--against", "published"], "nowhere: no such file or directory"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed = call(monkeypatch, capsys, "report", *arguments)
    assert code == 2
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_without_a_run_the_page_may_be_written_as_html_too(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    report_commands.report(None, None, tmp_path, "published", console)
    assert "report.html" in console.file.getvalue()
    assert (tmp_path / "report.md").read_text("utf-8") == published_page()
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "without any log" in page
    assert page.count("<tr>") == len(published.numbers()) + 2
    assert not re.search(r"Provenance|What this run cannot show|<script|src=", page)


def test_a_study_is_set_beside_the_source_too(small: Frame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "frame", lambda plan: small)
    console = Console(file=io.StringIO(), width=200)
    report_commands.report(write_study(tmp_path), tmp_path / "runs", tmp_path / "out", "published", console)
    found = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert len(found["published"]) == len(published.numbers())
    with pytest.raises(InputError, match="--against"):
        report_commands.report(write_study(tmp_path), None, tmp_path / "out", "nothing", console)
