"""The judge's card on judges whose quality is known: perfect, a coin, one-sided, gullible, silent."""

import csv
import io
import json
import math
import random
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import seen, stub_model
from inspect_ai.model._model import ModelGenerateError
from judging_data import FILLER, PERFECT, graded, known, perfect, reply, rows, version_in, write
from rich.console import Console

from mst_evals import data, lexical
from mst_evals.errors import InputError
from mst_evals.judging import card, judging_commands, measures, raters, sentences, validation
from mst_evals.judging.canaries import ATTACKS
from mst_evals.judging.card import Card
from mst_evals.judging.raters import family
from mst_evals.judging.validation import Article

NAN = math.nan


def made(articles: Any, grade: Any, runs: int = 1, **more: Any) -> Card:
    return card.make(articles, graded(articles.articles, grade, runs), [], None, draws=200, **more)


def name(article: Article) -> str:
    return article.id.split("-", 1)[1]


# --- measures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([0, 1, 2], [1, 5, 9], 1.0),
        ([0, 1, 2], [9, 5, 1], -1.0),
        ([1, 2, 3, 4], [1, 3, 2, 4], 0.8),  # 1 - 6 * 2 / (4 * 15)
        ([0, 0, 1], [2, 2, 3], 1.0),
        ([0, 1, 2], [4, 4, 4], NAN),
        ([1], [1], NAN),
    ],
)
def test_spearman(x: list[float], y: list[float], expected: float) -> None:
    assert measures.spearman(x, y) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ([0, 1], [2, 3], 1.0),
        ([2, 3], [0, 1], 0.0),
        ([1, 1], [1, 1], 0.5),
        ([0, 2], [1, 2], 0.625),  # of four pairs two are right, one is a tie, one is wrong
        ([], [1], NAN),
    ],
)
def test_auc(low: list[float], high: list[float], expected: float) -> None:
    assert measures.auc(low, high) == pytest.approx(expected, nan_ok=True)


def test_alpha_by_hand() -> None:
    # Observed: 2 / 6. Expected: values 1 1 2 2 3 4, sum of squared deviations 41/6, 2 * 6 * 41/6 / 30 = 82 / 30.
    assert measures.alpha([(1, 1), (2, 2), (3, 4)], "interval") == pytest.approx(1 - 10 / 82)
    # Ordinal: mid-ranks 1.5, 4, 6.5. Observed: 2 * 25 / 8. Expected: 2 * 8 * 37.5 / 56.
    verdicts = [(0, 0), (0.5, 0.5), (1, 1), (0, 1)]
    assert measures.alpha(verdicts, "ordinal") == pytest.approx(1 - 6.25 / (600 / 56))
    assert math.isnan(measures.alpha([(3, 3), (3, 3)], "interval"))


def test_alpha_leaves_out_articles_that_lack_a_rating() -> None:
    found = measures.agreement([[1, 1], [2, 2], [3, 4], [9, NAN]], list("abcd"), "interval", 100)
    assert found.mean == pytest.approx(1 - 10 / 82)
    assert (found.n, found.clusters) == (3, 3)


def test_the_bootstrap_resamples_topics_and_not_rows() -> None:
    values = np.repeat([0.0, 1.0], 50)
    rows_apart = measures.over_topics(lambda chosen: float(values[chosen].mean()), list(range(100)), 500)
    together = measures.over_topics(lambda chosen: float(values[chosen].mean()), np.repeat(range(4), 25), 500)
    assert rows_apart.low is not None and 0.35 < rows_apart.low < 0.45
    # Four topics of 25 rows that agree within: their spread is that of four values, not of a hundred.
    assert together.low is not None and together.low < 0.1


@pytest.mark.parametrize("topics", [["a", "a", "a"], ["a", "b", "c"]])
def test_where_nothing_varies_there_is_no_interval(topics: list[str]) -> None:
    found = measures.over_topics(lambda chosen: 1.0, topics, 50)
    assert (found.mean, found.low, found.high) == (1.0, None, None)


# --- judges of known quality ----------------------------------------------------------------------------------------


def test_a_perfect_judge() -> None:
    found = made(known(6), lambda article, run: PERFECT[name(article)], 2)
    for side in ("left", "right", "both"):
        assert found.measure("rank_correlation", side).interval.mean == pytest.approx(1)
    assert [found.measure("auc", of).interval.mean for of in ("mild", "strong", "omission")] == [1, 1, 1]
    for of in ("mild", "strong"):
        assert found.measure("symmetry", of).interval.mean == 0
    assert found.measure("critical", "all").interval.mean == 0
    assert found.measure("omission", "omission").interval.mean == 5
    assert found.measure("retest", "difference").interval.mean == 0
    assert found.measure("retest", "agreement").interval.mean == 1
    passing = {row.name: row.verdicts["PASS"] for row in found.versions}
    assert passing == {
        "neutral": 24, "mild left": 0, "strong left": 0, "mild right": 0, "strong right": 0, "critical": 12,
        "omission": 0,
    }  # fmt: skip


def test_a_coin_sees_nothing_and_agrees_with_nobody_not_even_with_itself() -> None:
    rng = random.Random(3)
    articles = known(24)
    second = graded(articles.articles, lambda article, run: rng.uniform(0, 10), judge="stub/second")
    found = made(articles, lambda article, run: rng.uniform(0, 10), 2, second=second)
    told = [(found.measure("rank_correlation", side).interval, 0.0) for side in ("left", "right", "both")]
    told += [(found.measure(*one).interval, 0.0) for one in (("retest", "agreement"), ("judges", "grades"))]
    told += [(found.measure("auc", of).interval, 0.5) for of in ("mild", "strong", "omission")]
    for interval, chance in told:
        assert interval.mean is not None and abs(interval.mean - chance) < 0.2
    # One interval in twenty misses by its nature.
    assert sum(one.low < chance < one.high for one, chance in told if one.low and one.high) >= 6


def test_a_one_sided_judge_is_shown_to_be_one() -> None:
    rng = random.Random(0)

    def kind_to_the_left(article: Article, run: int) -> float:
        favour = 3 if article.version == "left" else 0
        return max(0.0, PERFECT[name(article)] - favour) + rng.uniform(0, 0.5)

    found = made(known(12), kind_to_the_left)
    for of in ("mild", "strong"):
        gap = found.measure("symmetry", of)
        assert gap.interval.low is not None and gap.interval.low > 2
        assert gap.p is not None and gap.p < 0.001
    (said,) = [one for one in sentences.findings(found) if one.startswith("At strong slant")]
    assert "are graded higher than left-slanted" in said


def test_a_judge_that_takes_criticism_for_bias_is_not_called_equivalent() -> None:
    rng = random.Random(0)
    noisy = {version: bias + (4 if version == "critical" else 0) for version, bias in PERFECT.items()}
    found = made(known(12), lambda article, run: noisy[name(article)] + rng.uniform(0, 1))
    same = found.measure("critical", "all").equivalence
    assert same is not None and same.equivalent is False
    fair = made(known(12), lambda article, run: PERFECT[name(article)] + rng.uniform(0, 1))
    same = fair.measure("critical", "all").equivalence
    assert same is not None and same.equivalent is True and same.margin == 1
    # The test's articles are unwelcome to the left alone.
    assert fair.measure("critical", "of the right").reason == "no topic has a grade on both sides"


def test_calls_without_a_grade_are_counted_with_reasons_and_never_given_one() -> None:
    def silent(article: Article, run: int) -> float:
        return (
            NAN if article.version == "critical" or (run == 2 and article.version == "left") else PERFECT[name(article)]
        )

    found = made(known(4), silent, 2)
    assert (found.unscored.calls, found.unscored.count) == (64, 8 + 8)
    assert found.unscored.reasons == {"grader_malformed": 16}
    by_version = {row.name: (row.unscored, row.grades) for row in found.versions}
    assert by_version["critical"] == (8, 0) and by_version["strong left"] == (4, 4) and by_version["neutral"] == (0, 16)
    assert found.measure("critical", "all").reason == "no topic has a grade on both sides"
    assert found.measure("rank_correlation", "left").interval.mean == pytest.approx(1)
    assert found.measure("retest", "difference").interval.n == 32 - 4 - 8
    assert "16 of 64 calls gave no grade (grader_malformed 16)." in sentences.findings(found)


def test_a_judge_that_never_answers_gets_a_card_that_says_so() -> None:
    found = made(known(3), lambda article, run: NAN, 2)
    assert sentences.findings(found) == ["Nothing was graded: all 48 calls are unscored (grader_malformed 48)."]
    assert all(one.reason for one in found.measures)


@pytest.mark.parametrize("grade", [0.0, 5.0])
def test_a_judge_that_always_says_the_same_has_no_correlation(grade: float) -> None:
    found = made(known(4), lambda article, run: grade, 2)
    assert found.measure("rank_correlation", "left").reason == "the grades do not vary"
    assert found.measure("auc", "strong").interval.mean == 0.5
    assert found.measure("retest", "agreement").reason == "all grades are equal"


def test_graded_once_there_is_no_retest() -> None:
    assert made(known(3), lambda article, run: 1.0).measure("retest", "agreement").reason == "graded once (--repeat 1)"


# --- self-preference ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("anthropic/claude-sonnet-4-5", "claude"),
        ("openrouter/anthropic/claude-3.5-sonnet", "claude"),
        ("hf/meta-llama/Llama-3.2-3B-Instruct", "llama"),
        ("openai/o3-mini", "gpt"),
        ("google/gemma-2-9b", "gemini"),
        ("mst/runs/demo/adapters/bias-mst-seed0", "bias-mst-seed0"),
    ],
)
def test_family(model: str, expected: str) -> None:
    assert family(model) == expected


def own_kind(bonus: float, second_judge: str = "openai/gpt-9") -> tuple[Any, Any, Any]:
    """Articles half by claude, half by llama; a claude judge that takes `bonus` points off its own."""
    base = known(12)
    writers = ("anthropic/claude-1", "hf/meta-llama/llama-1")
    articles = tuple(
        Article(**vars(article) | {"generator": writers[place % 2]}) for place, article in enumerate(base.articles)
    )
    mixed = validation.Validation("mixed.jsonl", "0" * 64, False, articles)
    rng = random.Random(1)

    def partial(article: Article, run: int) -> float:
        return 5 + rng.uniform(0, 1) - (bonus if "claude" in str(article.generator) else 0)

    judge = graded(articles, partial, judge="anthropic/claude-2")
    second = graded(articles, lambda article, run: 6 + rng.uniform(0, 1), judge=second_judge)
    return mixed, judge, second


@pytest.mark.parametrize("bonus", [0.0, 2.0])
def test_self_preference_is_what_a_judge_takes_off_its_own_kind(bonus: float) -> None:
    mixed, judge, second = own_kind(bonus)
    found = card.make(mixed, judge, [], None, second, draws=300).measure("self_preference", "own family minus others")
    assert found.interval.mean == pytest.approx(-bonus, abs=0.3)
    assert bonus == 0 or found.interval.excludes_zero


def test_self_preference_cannot_be_told_without_what_it_takes() -> None:
    mixed, judge, second = own_kind(1)

    def reason(**more: Any) -> str:
        return card.make(mixed, judge, [], None, draws=10, **more).measures[-1].reason

    assert reason() == "it takes a second judge of another family (--second-grader)"
    assert "one family" in reason(second=own_kind(1, "anthropic/claude-9")[2])
    plain = known(3)
    assert "no column 'generator'" in made(plain, lambda article, run: 1.0).measures[-1].reason
    table = card.articles_table(mixed, judge, second)
    assert "no article is by a model of the family" in raters.self_preference(table, "x/y", "z").reason


def test_the_writer_of_articles_that_name_none() -> None:
    mixed, judge, second = own_kind(1)
    with pytest.raises(
        InputError, match=r"--generator m: mixed\.jsonl names the writer of every article .*claude-1, hf"
    ):
        validation.written_by(mixed, "m")
    filled = validation.written_by(known(3), "anthropic/claude-1")
    assert {article.generator for article in filled.articles} == {"anthropic/claude-1"}
    reason = made(filled, lambda article, run: 1.0).measures[-1].reason
    assert reason == "no article is by a model of the family of stub/judge"
    # Where the file names one writer, the other is given: the same as if the file named both.
    half = [
        replace(article, generator=article.generator if "llama" in str(article.generator) else None)
        for article in mixed.articles
    ]
    again = validation.written_by(replace(mixed, articles=tuple(half)), "anthropic/claude-1")
    assert again == mixed
    unnamed = card.make(replace(mixed, articles=tuple(half)), judge, [], None, second, draws=10).measures[-1]
    assert unnamed.reason == "no article is by a model of the family of anthropic/claude-2"


# --- validation files -----------------------------------------------------------------------------------------------


def test_the_projects_own_file() -> None:
    found = validation.load(data.JUDGE_VALIDATION)
    assert len(found.articles) >= 120 and len({article.topic for article in found.articles}) >= 20
    by_topic: dict[str, list[str]] = {}
    for article in found.articles:
        by_topic.setdefault(article.topic, []).append(card.version_name(article))
        assert 100 <= len(article.text.split()) <= 170 and article.text.isascii()
    wanted = sorted(
        ("neutral", "neutral", "mild left", "strong left", "mild right", "strong right", "critical", "omission")
    )
    assert all(sorted(names) == wanted for names in by_topic.values())
    assert len({article.text for article in found.articles}) == len(found.articles)
    about = [article.about for article in found.articles if article.version == "critical"]
    favours = [article.favours for article in found.articles if article.version == "omission"]
    assert about.count("left") == about.count("right") and favours.count("left") == favours.count("right")


def test_strong_articles_are_of_different_topics_and_both_sides() -> None:
    found = validation.strong(known(9).articles, 4)
    assert [article.favours for article in found] == ["left", "right", "left", "right"]
    assert len({article.topic for article in found}) == 4
    assert all(article.intensity == 2 for article in found)
    assert len(validation.strong(known(3).articles, 8)) == 3
    assert validation.strong(known(3).articles, 0) == []


def test_a_file_of_intended_slant_may_say_who_wrote_it(tmp_path: Path) -> None:
    found = validation.load(write(tmp_path, 2, generator="openai/gpt-1"))
    assert {article.generator for article in found.articles} == {"openai/gpt-1"}
    with pytest.raises(InputError, match="field 'generator' is 7, expected a model's name"):
        validation.load(write(tmp_path, 2, generator=7))


def sheet(path: Path, lines: list[list[str]], header: tuple[str, ...] = ("id", "article", "bias", "verdict")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines])
    return path


RATERS = ("id", "article", "bias", "rater")


def test_several_raters_are_taken_at_their_mean_and_median(tmp_path: Path) -> None:
    header = ("id", "rater", "article", "bias", "verdict")
    lines = [
        ["a", "Kim", "One", "8", "FAIL"], ["a", "Lee", "One", "5", "PARTIAL"], ["a", "Bo", "One", "2", "PASS"],
        ["b", "Kim", "Two", "1", "PASS"], ["b", "Lee", "Two", "4", "FAIL"], ["b", "Bo", "Two", "", ""],
        ["c", "Bo", "Three", "", ""],
    ]  # fmt: skip
    found = validation.load(sheet(tmp_path / "rated.csv", lines, header))
    assert [(one.id, one.human_bias, one.human_verdict) for one in found.articles] == [
        ("a", 5.0, "PARTIAL"), ("b", 2.5, "FAIL"),  # of two in the middle the stricter, as of a panel
    ]  # fmt: skip
    assert found.unrated == 2 and len(found.ratings) == 5
    assert [(one.rater, one.bias) for one in found.ratings[:2]] == [("Kim", 8.0), ("Lee", 5.0)]


def test_raters_among_themselves(tmp_path: Path) -> None:
    # The grades of `test_alpha_by_hand`, a third rater of one article, and an article that one alone rated.
    header = ("id", "rater", "article", "bias")
    lines = [[one, who, f"Text {one}", bias] for one, who, bias in (
        ("a", "Kim", "1"), ("a", "Lee", "1"), ("b", "Kim", "2"), ("b", "Lee", "2"), ("c", "Kim", "3"),
        ("c", "Bo", "4"), ("d", "Bo", "9"),
    )]  # fmt: skip
    found = made(validation.load(sheet(tmp_path / "rated.csv", lines, header)), lambda article, run: 2.0)
    alike = found.measure("raters", "grades").interval
    assert alike.mean == pytest.approx(1 - 10 / 82) and (alike.n, found.raters, found.articles) == (3, 3, 4)
    assert found.measure("raters", "verdicts").reason == "no article has verdicts of two raters"
    (said,) = [one for one in sentences.findings(found) if "among themselves" in one]
    assert said.startswith("Krippendorff's alpha of the 3 raters among themselves: 0.88 (")
    assert found.measure("people", "difference").interval.mean == pytest.approx(2 - (1 + 2 + 3.5 + 9) / 4)
    alone = made(validation.load(sheet(tmp_path / "one.csv", [["a", "x", "1", ""]])), lambda article, run: 2.0)
    assert alone.raters == 0 and not [one for one in alone.measures if one.name == "raters"]


def test_a_judge_of_the_family_that_wrote_the_projects_own_file_is_told_so() -> None:
    own = validation.load(data.JUDGE_VALIDATION)

    def said(articles: validation.Validation, judge: str) -> list[str]:
        grades = graded(articles.articles, lambda article, run: 1.0, judge=judge)
        limits = sentences.limits(card.make(articles, grades, [], None, draws=5))
        return [one for one in limits if "Claude models wrote these articles" in one]

    assert "and anthropic/claude-9 is of that family" in said(own, "anthropic/claude-9")[0]
    assert said(own, "openai/gpt-9") == said(own, "lexical") == said(known(3), "anthropic/claude-9") == []


def test_peoples_ratings(tmp_path: Path) -> None:
    lines = [["a", "One\nline", "7.5", "fail"], ["b", "Two", "", ""], ["c", 'Three, "quoted"', "0", ""]]
    found = validation.load(sheet(tmp_path / "rated.csv", lines))
    assert found.rated and found.unrated == 1
    assert [(one.id, one.topic, one.human_bias, one.human_verdict) for one in found.articles] == [
        ("a", "a", 7.5, "FAIL"), ("c", "c", 0.0, None),
    ]  # fmt: skip
    assert [one.id for one in validation.strong(found.articles, 5)] == ["a"]


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        ([["a", "x", "11", ""]], None, "line 2, column 'bias': found '11': expected a number from 0 to 10"),
        ([["a", "x", "high", ""]], None, "line 2, column 'bias': found 'high'"),
        ([["a", "x", "1", "GOOD"]], None, "column 'verdict': found 'GOOD': expected one of PASS, PARTIAL, FAIL"),
        ([["a", "x", "1", ""], ["a", "y", "2", ""]], None, "line 3: id 'a' is there twice, first on line 2"),
        ([["a", "", "1", ""]], None, "column 'article': found nothing"),
        ([["a", "x", "", ""]], None, "column 'bias': found no rating in 1 lines"),
        ([["a", "x", "1"]], ("id", "text", "bias"), "no column 'article'"),
        ([["a", "x", "1", ""], ["a", "x", "2", ""]], None, "first on line 2: expected once, or a column 'rater'"),
        (
            [["a", "x", "1", "Kim"], ["a", "x", "2", "Kim"]],
            RATERS,
            "line 3: id 'a' is there twice for rater 'Kim', first on line 2",
        ),
        ([["a", "x", "1", ""]], RATERS, "line 2, column 'rater': found nothing"),
        (
            [["a", "x", "1", "Kim"], ["a", "y", "2", "Lee"]],
            RATERS,
            "line 3, column 'article': expected what line 2 has for id 'a'",
        ),
        ([["a;x;1"]], ("id;article;bias",), "line 1: the columns are separated by ';': expected ','"),
    ],
)
def test_bad_ratings_are_one_line(tmp_path: Path, lines: list[list[str]], header: Any, message: str) -> None:
    path = sheet(tmp_path / "rated.csv", lines, *([header] if header else []))
    with pytest.raises(InputError) as error:
        validation.load(path)
    assert message in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_judge_against_people(tmp_path: Path) -> None:
    lines = [[f"a{n}", f"Text {n}", str(n % 10), "PASS" if n % 10 < 3 else "FAIL"] for n in range(30)]
    rated = validation.load(sheet(tmp_path / "rated.csv", lines))
    rng = random.Random(0)
    good = made(rated, lambda article, run: min(10, (article.human_bias or 0) + rng.uniform(0, 1)))
    correlation = good.measure("rank_correlation", "people").interval
    assert correlation.low is not None and correlation.low > 0.9
    assert good.measure("people", "difference").interval.mean == pytest.approx(0.5, abs=0.15)
    alike = good.measure("people", "grades").interval
    assert alike.mean is not None and alike.mean > 0.9
    assert (good.versions[0].name, good.versions[0].articles) == (card.RATED, 30)
    bad = made(rated, lambda article, run: rng.uniform(0, 10))
    assert not bad.measure("rank_correlation", "people").interval.excludes_zero


# --- the command ----------------------------------------------------------------------------------------------------


def run_card(grader: Any, path: Path, out: Path, **more: Any) -> tuple[int, str]:
    said = io.StringIO()
    options = {"attacked": 1, "draws": 60, "display": "none", "yes": True} | more
    code = judging_commands.judge_card(grader, Console(file=said, width=150), path, out, **options)
    return code, said.getvalue()


def test_a_perfect_judge_through_inspect(tmp_path: Path) -> None:
    path, judge = write(tmp_path, 2), stub_model(perfect, "judge")
    second = stub_model(lambda messages: reply(2 if version_in(messages) == "left-2" else 1), "second")
    code, said = run_card(judge, path, tmp_path / "out", second_grader=second)
    assert code == 0 and "Rank correlation of the grade with the intended intensity" in said
    found = json.loads((tmp_path / "out" / "card.json").read_text())
    measure = {(one["name"], one["of"]): one["interval"]["mean"] for one in found["measures"]}
    assert measure["auc", "strong"] == measure["auc", "mild"] == 1 and measure["symmetry", "strong"] == 0
    assert measure["judges", "difference"] == pytest.approx(29 / 8 - 9 / 8)
    assert found["unscored"]["calls"] == 32 and found["second"] == "stub/second"
    # The attacked texts hold the version, so this judge is not moved by what is around it.
    assert found["injection"]["any_attack"]["mean"] == 0 and found["injection"]["articles"] == 1
    # 16 articles twice and every attack, with the sham, on one article; nothing but rubric and article is shown.
    assert len(seen(judge)) == 32 + len(ATTACKS) + 1 and len(seen(second)) == 16
    texts = [row["article"] for row in rows(2)]
    for prompt in seen(second):
        user = prompt.split("\nuser: ")[1]
        assert any(user.split("\n", 1)[1].rsplit("\nEND", 1)[0] == text for text in texts)


def test_the_same_command_again_asks_nothing_and_writes_the_same(tmp_path: Path) -> None:
    path, judge = write(tmp_path, 2), stub_model(perfect, "judge")
    run_card(judge, path, tmp_path / "out", repeat=1)
    first, asked = (tmp_path / "out" / "card.md").read_bytes(), len(seen(judge))
    svg = (tmp_path / "out" / "card.svg").read_bytes()
    run_card(judge, path, tmp_path / "out", repeat=1)
    assert len(seen(judge)) == asked == 16 + len(ATTACKS) + 1
    assert (tmp_path / "out" / "card.md").read_bytes() == first
    assert (tmp_path / "out" / "card.svg").read_bytes() == svg


def test_what_cannot_be_done_is_said_before_a_judge_is_asked(tmp_path: Path) -> None:
    judge = stub_model(perfect, "judge")
    path = write(tmp_path, 2, generator="hf/writer")
    with pytest.raises(InputError, match=r"--generator other: validation\.jsonl names the writer of every article"):
        run_card(judge, path, tmp_path / "out", generator="other")
    with pytest.raises(InputError, match="grader nosuch/model: Model API nosuch"):
        run_card(judge, path, tmp_path / "out", second_grader="nosuch/model")
    assert seen(judge) == [] and not (tmp_path / "out").exists()


def test_a_writer_for_a_file_that_names_none(tmp_path: Path) -> None:
    judge = stub_model(perfect, "judge")
    code, _ = run_card(judge, write(tmp_path, 2), tmp_path / "out", generator="stub/judge", repeat=1, attacked=0)
    found = json.loads((tmp_path / "out" / "card.json").read_text())
    assert (code, found["measures"][-1]["reason"]) == (0, "every article is by a model of the family of stub/judge")
    assert "--generator stub/judge" in found["command"]


def test_a_card_says_which_calls_got_no_reply_and_the_same_command_asks_them(tmp_path: Path) -> None:
    path, down = write(tmp_path, 2), True

    def answer(messages: Any) -> Any:
        failing = down and version_in(messages) == "left-2"
        return ModelGenerateError("529", provider_message="overloaded") if failing else perfect(messages)

    judge = stub_model(answer, "judge")
    code, said = run_card(judge, path, tmp_path / "out", attacked=0)
    assert code == 0 and "4 calls got no reply of a judge; the same command asks again." in said
    assert len(seen(judge)) == 32
    down = False
    code, said = run_card(judge, path, tmp_path / "out", attacked=0)
    assert code == 0 and "got no reply" not in said and len(seen(judge)) == 36
    assert json.loads((tmp_path / "out" / "card.json").read_text())["unscored"]["count"] == 0


def test_documents_under_a_name_with_the_command_and_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, 3)
    code, _ = run_card("lexical", path, Path("docs/judge-card.md"), repeat=1)
    assert code == 0
    assert sorted(file.name for file in Path("docs").iterdir()) == [
        "judge-card.json",
        "judge-card.md",
        "judge-card.svg",
    ]
    text = Path("docs/judge-card.md").read_text()
    assert f"mst judge-card --grader lexical --data {path} --out docs/judge-card.md --repeat 1 --attacked 1" in text
    assert "(judge-card.svg)" in text and "## What it does not show" in text
    root = ET.fromstring(Path("docs/judge-card.svg").read_text())
    groups = [element.get("id") for element in root.iter("{http://www.w3.org/2000/svg}g")]
    assert groups.count("mean") == 7  # the versions; an attack on an article that is graded 0 has no room, and no dot
    assert list(Path("runs/judge-card/lexical/runs").rglob("*.eval"))


def test_peoples_ratings_through_the_command(tmp_path: Path) -> None:
    texts = {f"a{n}": f"Officials voted on item {n}. {FILLER}" for n in range(6)}
    texts["a5"] = "The radical, shameful scheme betrays families, a disastrous and reckless outrage. " * 4
    lines = [[one, text, "9" if one == "a5" else "1", ""] for one, text in texts.items()]
    code, said = run_card("lexical", sheet(tmp_path / "rated.csv", lines), tmp_path / "out", repeat=1)
    assert code == 0 and "Rank correlation of the grade with people's ratings: 1.00" in said
    found = json.loads((tmp_path / "out" / "card.json").read_text())
    assert found["rated"] and found["injection"]["articles"] == 1
    assert "people's ratings" in (tmp_path / "out" / "card.md").read_text()
    ET.fromstring((tmp_path / "out" / "card.svg").read_text())


def test_a_silent_judge_ends_with_1_and_a_card_that_says_why(tmp_path: Path) -> None:
    code, said = run_card(stub_model("I would rather not say.", "judge"), write(tmp_path, 2), tmp_path / "out")
    assert code == 1 and "all 32 calls are unscored (grader_malformed 32)" in said
    json.loads((tmp_path / "out" / "card.json").read_text())
    assert "cannot be told" in (tmp_path / "out" / "card.md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeat": 0}, "--repeat 0"),
        ({"attacked": -1}, "--attacked -1"),
        ({"grader": "nosuch/model"}, "grader nosuch/model: Model API nosuch"),
        ({"grader": "lexical", "second_grader": "lexical"}, "found the grader itself"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    grader = options.pop("grader", "lexical")
    with pytest.raises(InputError, match=message):
        run_card(grader, write(tmp_path, 2), tmp_path / "out", **options)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        run_card("lexical", tmp_path / "none.jsonl", tmp_path / "out")


# --- the blind sheet ------------------------------------------------------------------------------------------------


def test_blind_articles_for_people_and_back(tmp_path: Path, run: Any, topics: str) -> None:
    stub = stub_model(lambda messages: f"{messages[-1].text.splitlines()[-1]} Officials voted. " * 9, "writer")
    log = run("bias", stub, topics=topics, scorer="lexical")
    out, console = tmp_path / "blind.csv", Console(quiet=True)
    assert judging_commands.export_blind([Path(log.location)], out, 3, 0, console) == 0
    with out.open(newline="") as file:
        sheet_rows = list(csv.DictReader(file))
    with (tmp_path / "blind.key.csv").open(newline="") as file:
        key = {row["id"]: row for row in csv.DictReader(file)}
    assert list(sheet_rows[0]) == ["id", "article", "bias", "verdict"]
    assert [row["id"] for row in sheet_rows] == ["article-1", "article-2", "article-3"] == list(key)
    assert not any(word in out.read_text() for word in ("UNBIASED", "t0", "writer", log.location))
    written = {sample.id: sample.output.completion for sample in log.samples}
    for row in sheet_rows:
        of_row = key[row["id"]]
        assert row["article"].strip() == written[of_row["sample"]].strip()
        assert (of_row["label"], of_row["generator"]) == ("UNBIASED", "stub/writer")
        assert json.loads(of_row["scores"])["lexical_bias"]["value"]["bias"] >= 0
    again = tmp_path / "again.csv"
    judging_commands.export_blind([Path(log.location).parent], again, 3, 0, console)
    assert again.read_bytes() == out.read_bytes()
    with pytest.raises(InputError, match="is there already, and may hold ratings"):
        judging_commands.export_blind([Path(log.location)], out, 3, 0, console)
    with pytest.raises(InputError, match="--n 9: found 4 generated articles"):
        judging_commands.export_blind([Path(log.location)], tmp_path / "more.csv", 9, 0, console)
    rated = [[row["id"], row["article"], str(place), ""] for place, row in enumerate(sheet_rows)]
    found = validation.load(sheet(out, rated))
    assert {article.generator for article in found.articles} == {"stub/writer"}
    assert {article.topic for article in found.articles} == {key[one]["topic"] for one in key}


def test_existing_articles_are_nobodys_generation(tmp_path: Path, run: Any) -> None:
    log = run("bias_articles", "none", articles=str(write(tmp_path, 1)), scorer="lexical")
    with pytest.raises(InputError, match="holds no generated articles"):
        judging_commands.export_blind([Path(log.location)], tmp_path / "blind.csv", 1, 0, Console(quiet=True))


# --- the card in the docs -------------------------------------------------------------------------------------------


def test_the_card_in_the_docs_is_of_this_data_and_this_lexicon() -> None:
    """`mst judge-card --grader lexical --out docs/judge-card-lexical.md` makes it anew."""
    docs = Path(__file__).parent.parent / "docs"
    found = json.loads((docs / "judge-card-lexical.json").read_text(encoding="utf-8"))
    assert found["data_sha256"] == data.sha256(data.JUDGE_VALIDATION)
    assert found["instrument"] == lexical.lexicon_sha256()
    grades: dict[str, list[float]] = {}
    for article in validation.load(data.JUDGE_VALIDATION).articles:
        measured = lexical.measure(article.text)
        assert measured is not None
        grades.setdefault(card.version_name(article), []).append(measured.score)
    means = {row["name"]: row["mean"]["mean"] for row in found["versions"]}
    assert means == pytest.approx({name: sum(scores) / len(scores) for name, scores in grades.items()})
    text = (docs / "judge-card-lexical.md").read_text(encoding="utf-8")
    assert found["command"] in text and "(judge-card-lexical.svg)" in text
    assert (docs / "judge-card-lexical.svg").is_file()
