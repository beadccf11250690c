"""Rows that are too long for a recipe: `mst plan` says for each arm how many of them TRL will cut."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from conftest import write_jsonl
from rich.console import Console
from study_files import write_study
from transformers import AutoTokenizer
from trl import SFTConfig

from mst_evals import data, examples
from mst_evals.planning import cuts, plan_commands
from training import sft

ROWS, LIMIT = 24, 475
ARMS = ("baseline", "mst", "shuffled")


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    """Articles of the micro world; every third one that is trained on says everything three times."""
    rows = [dict(row) for row in data.load_articles(data.MICRO_ARTICLES, "train", ROWS)]
    for row in rows[::3]:
        row["article"] = " ".join([row["article"]] * 3)
    rows += [dict(row) for row in data.load_articles(data.MICRO_ARTICLES, "validation", 2)]
    return Path(write_jsonl(tmp_path / "articles.jsonl", rows))


def trained_lengths(base: Path, arm: str, articles: Path, folder: Path, max_length: int | None) -> list[int]:
    """Lengths of the sequences that TRL trains on."""
    folder.mkdir(exist_ok=True)
    settings = SFTConfig(
        output_dir=str(folder), max_length=max_length, bf16=False, use_cpu=True, report_to="none", seed=0
    )
    args = sft.SFTArguments(arm=arm, base=str(base), articles=str(articles), quantisation="none", probe_every=0)
    trainer, _ = sft.build_trainer(args, settings, str(base), folder)
    return [len(ids) for ids in trainer.train_dataset["input_ids"]]


@pytest.mark.parametrize("family", tiny_models.WRITE)
def test_what_is_counted_is_what_trl_cuts(family: str, articles: Path, tmp_path: Path) -> None:
    base = tiny_models.WRITE[family](tmp_path / "tiny")
    tokenizer = AutoTokenizer.from_pretrained(str(base))
    for arm in ARMS:
        rows = examples.examples("bias", arm, 0, None, articles)
        whole = trained_lengths(base, arm, articles, tmp_path / "whole", None)
        assert cuts.sequence_lengths(rows, tokenizer) == whole
        found = cuts.cut(arm, "", 0, LIMIT, rows, tokenizer)
        assert 0 < found.exceeding < found.rows == len(whole)
        left = trained_lengths(base, arm, articles, tmp_path / "cut", LIMIT)
        assert left == [min(length, LIMIT) for length in whole]  # none is dropped, and none is spared
        assert sum(before > after for before, after in zip(whole, left, strict=True)) == found.exceeding
        assert max(whole) - LIMIT == found.most


def bias_study(folder: Path, articles: Path, max_length: int | None) -> Path:
    """A study of three arms on a tiny Llama in its folder."""
    tiny_models.write_llama(folder / "tiny")
    path = write_study(
        folder, experiment="bias", base="tiny", seeds=[0, 1], arms={"ootb": {}, **{arm: {} for arm in ARMS}},
        evaluations={"labels": "deployed", "rows": 2, "scorer": "lexical"},
    )  # fmt: skip
    recipe = f"articles: {articles}\nmax_length: {'null' if max_length is None else max_length}\nbf16: false\n"
    (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
    return path


def printed(path: Path, gpu: str | None) -> list[str]:
    console = Console(file=io.StringIO(), width=160)
    plan_commands.plan(path, gpu, None, False, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def as_json(path: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    plan_commands.plan(path, "t4", None, True, Console())
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["cuts"]
    return found


@pytest.mark.parametrize("gpu", [None, "t4"])
def test_the_plan_says_for_each_arm_how_many_rows_lose_their_end(
    gpu: str | None, articles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bias_study(tmp_path, articles, LIMIT)
    found = {one["arm"]: one for one in as_json(path, capsys)}
    assert found.keys() == set(ARMS)
    assert all((one["seed"], one["max_length"], one["rows"]) == (0, LIMIT, ROWS) for one in found.values())
    assert found["mst"]["exceeding"] > found["baseline"]["exceeding"] > 0  # a label takes up room
    assert found["mst"]["most"] > found["baseline"]["most"]
    said = [line for line in printed(path, gpu) if "exceed" in line]
    assert said == [
        f"{arm}: {one['exceeding']} of {ROWS} rows exceed max_length {LIMIT}, by up to {one['most']:,} tokens: "
        "their end is cut in training"
        for arm, one in found.items()
    ]


def test_the_plan_says_that_no_row_loses_anything(
    articles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bias_study(tmp_path, articles, 2000)
    assert [line for line in printed(path, "t4") if "exceed" in line] == ["no training row exceeds max_length"]
    assert {(one["exceeding"], one["most"]) for one in as_json(path, capsys)} == {(0, 0)}


@pytest.mark.parametrize("missing", ["tokenizer", "articles", "limit"])
def test_what_cannot_be_counted_is_said_to_be_unknown_and_no_limit_cuts_nothing(
    missing: str, articles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bias_study(tmp_path, articles, None if missing == "limit" else LIMIT)
    if missing == "tokenizer":
        (tmp_path / "tiny" / "tokenizer_config.json").unlink()
    if missing == "articles":
        articles.unlink()
    said = [line for line in printed(path, "t4") if "exceed" in line]
    unknown = (
        f"note: not known before tokenizer and articles are here: which rows exceed max_length {LIMIT}, and lose their "
        "end in training"
    )
    assert said == ([] if missing == "limit" else [unknown])
    assert as_json(path, capsys) == []
