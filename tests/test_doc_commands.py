"""Commands and times of docs/: what a reader copies word for word is what the command line takes."""

import re
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from mst_evals import cli, data
from mst_evals.corpus import article_rounds, articles
from mst_evals.errors import InputError
from mst_evals.planning import costs, gpus, plan_commands, workload
from mst_evals.planning.costs import Range
from mst_evals.studies import checks, study_commands

ROOT = Path(__file__).resolve().parent.parent
LADDER = (ROOT / "docs" / "ladder.md").read_text("utf-8")
STUDIES = ROOT / "training" / "configs" / "studies"


def commands(text: str, program: str) -> list[list[str]]:
    """Words after a program's name, for every line of the code blocks that calls it."""
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    found = re.findall(rf"^(?:\$ |\w+=\S+ )*{program} (.*)$", blocks, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in found]


@pytest.mark.parametrize("words", commands(LADDER, "mst"), ids=" ".join)
def test_every_mst_command_of_the_ladder_is_one(words: list[str]) -> None:
    command: Any = typer.main.get_command(cli.app)
    path: list[str] = []
    while words and words[0] in getattr(command, "commands", {}):
        path.append(words.pop(0))
        command = command.commands[path[-1]]
    assert path and not hasattr(command, "commands")
    command.make_context(" ".join(path), list(words))  # raises on an unknown option or a missing one
    assert all((ROOT / word).is_file() for word in words if word.startswith("training/"))


def test_the_ladder_fetches_no_weights_twice() -> None:
    """The hub's repositories of these bases hold the same weights in other forms."""
    fetched = {words[1]: words[2:] for words in commands(LADDER, "hf") if words[0] == "download"}
    assert fetched == {
        "HuggingFaceTB/SmolLM2-135M-Instruct": ["--exclude", "onnx/*"],
        "meta-llama/Llama-3.2-3B-Instruct": ["--exclude", "original/*"],
    }


def writing(rung: str, device: str, rows: int | None, dtype: str) -> Range:
    """Seconds of one request for each article, by the formulas for an evaluation; Inspect's hf/ takes 32 at a time."""
    path = STUDIES / f"{rung}.yaml"
    (case,) = workload.cases(checks.read(path), path)
    topics = [row for split in ("train", "validation") for row in data.load_topics(data.TOPICS, split, rows)]
    profiles = articles.assign_profiles(topics, 0)
    asked = [article_rounds.prompt(row, profiles[row["id"]]) for row in topics]
    prompt = workload.of_prompts([[{"role": one.role, "content": one.text} for one in chat] for chat in asked], None)
    planned = replace(case.training, quantisation="none", dtype=dtype)
    return costs.generation(case.shape, planned, gpus.find(device), False, len(topics), prompt, 512, True)


@pytest.mark.parametrize(
    ("rung", "device", "rows", "dtype"),
    [
        ("laptop-bias", "laptop", 700, "float32"),
        ("small-gpu-bias", "t4", None, "float32"),
        ("paper-bias", "a100-40gb", None, "bfloat16"),
    ],
)
def test_the_ladder_says_how_long_the_articles_take(
    rung: str, device: str, rows: int | None, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "BATCH", 32)
    expected = plan_commands.span(writing(rung, device, rows, dtype))
    assert expected.replace(" min", " minutes") in LADDER or expected in LADDER


@pytest.mark.parametrize(
    ("rung", "base"),
    [("laptop-bias", "HuggingFaceTB/SmolLM2-135M-Instruct"), ("paper-bias", "meta-llama/Llama-3.2-3B-Instruct")],
)
def test_a_study_without_its_articles_names_the_command_that_writes_them(
    rung: str, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `mst run`, with --dry-run or without, and `mst status` begin with."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        study_commands.read_plan(STUDIES / f"{rung}.yaml", None)
    expected = f"expected: mst data articles --model hf/{base} --out runs/articles (docs/ladder.md)"
    assert str(caught.value) == f"runs/articles/articles.jsonl: the training articles are not written yet, {expected}"


def test_the_commands_for_vllm_name_the_same_arguments() -> None:
    page = (ROOT / "docs" / "evaluating-adapters.md").read_text("utf-8")
    served = [words for words in commands(page, "inspect") if any(word.startswith("vllm/") for word in words)]
    given = [[after for word, after in pairwise(words) if word == "-M"] for words in served]
    settings = [[re.sub(r"=.*/", "=", one) for one in found] for found in given]  # wherever the adapter lies
    assert len(settings) == 2 and settings[0] == settings[1] and len(settings[0]) == 5
