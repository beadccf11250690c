"""The presets: the source's values with where they come from, ours marked as ours, and every rung ready to run."""

import io
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mst_evals import data, quantisation
from mst_evals.errors import InputError
from mst_evals.planning import gpus, plan_commands, workload
from mst_evals.planning.estimate import SOURCE, departures, estimate
from mst_evals.studies import cells, checks, study_commands
from mst_evals.studies.states import UNGRADED, State, summary
from mst_evals.studies.study_file import read_yaml
from training import model as models

ROOT = Path(__file__).resolve().parent.parent
CONFIGS, LADDER = ROOT / "training" / "configs", ROOT / "docs" / "ladder.md"
RECIPES = {"bias": CONFIGS / "bias_paper.yaml", "sycophancy": CONFIGS / "sycophancy_paper.yaml"}
RUNGS = [f"{rung}-{experiment}" for rung in ("paper", "small-gpu", "laptop") for experiment in RECIPES]
# ../shared/spec/experiments.md, the rows "SFT", "loss" and "PPO", written down a second time.
SPEC: dict[str, dict[str, Any]] = {
    "bias": {
        "base": "meta-llama/Llama-3.2-3B-Instruct", "loss_on": "sequence", "quantisation": "nf4", "lora_r": 16,
        "lora_alpha": 32, "lora_dropout": 0.05, "learning_rate": 2e-4, "lr_scheduler_type": "cosine",
        "warmup_steps": 50, "optim": "paged_adamw_8bit", "per_device_train_batch_size": 12,
        "gradient_accumulation_steps": 1, "num_train_epochs": 3, "max_length": 512, "max_grad_norm": 0.3,
        "gradient_checkpointing": True, "bf16": True, "tf32": True, "train_sampling_strategy": "group_by_length",
    },
    "sycophancy": {
        "base": "Qwen/Qwen2.5-7B-Instruct", "quantisation": "nf4", "lora_r": 512, "lora_alpha": 1024,
        "lora_dropout": 0.05, "learning_rate": 2e-8, "batch_size": 128 * 8, "mini_batch_size": 16, "num_ppo_epochs": 4,
        "cliprange": 0.2, "max_grad_norm": 1.0, "entropy_start": 2.0, "entropy_end": 0.01, "temperature_start": 1.9,
        "temperature_end": 1.6, "temperature_anneal": 0.4, "total_steps": 1600,
    },
}  # fmt: skip


def study_path(rung: str) -> Path:
    return CONFIGS / "studies" / f"{rung}.yaml"


@pytest.fixture
def articles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with the articles that the bias rungs are trained on."""
    (tmp_path / "runs" / "articles").mkdir(parents=True)
    shutil.copyfile(data.MICRO_ARTICLES, tmp_path / "runs" / "articles" / "articles.jsonl")
    monkeypatch.chdir(tmp_path)


# --- the source's values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", RECIPES)
def test_the_sources_values_and_the_recipe_that_runs_them(experiment: str) -> None:
    source = read_yaml(SOURCE)[experiment]["training"]
    assert {name: value for name, value in source.items() if value is not None} == SPEC[experiment]
    recipe = read_yaml(RECIPES[experiment])
    assert {name: recipe.get(name) for name in source} == source


def test_what_is_fixed_in_code_is_what_the_source_states() -> None:
    source = read_yaml(SOURCE)
    for experiment in RECIPES:
        fixed = dict(source[experiment]["fixed"])
        assert sorted(fixed.pop("target_modules")) == sorted(models.TARGET_MODULES)
        assert {name: quantisation.NF4[name] for name in fixed} == fixed


@pytest.mark.parametrize("path", [*RECIPES.values(), SOURCE], ids=lambda path: path.name)
def test_every_value_says_where_it_comes_from(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        if not re.match(r"\s*\w+: *[^&* ]", line) or line.startswith(("save_strategy", "report_to")):
            continue
        assert re.search(r"# (post|code|reading|ours)\b", line), line
    recipe, source = read_yaml(path), read_yaml(SOURCE)
    for experiment, own in RECIPES.items():
        for name in recipe if path == own else ():
            (line,) = [one for one in path.read_text("utf-8").splitlines() if one.startswith(f"{name}:")]
            ours = re.search(r"# (reading|ours)\b", line) or name in ("save_strategy", "report_to", "articles")
            assert bool(ours) == (name not in source[experiment]["training"]), line


def test_the_source_evaluation_stands_in_the_paper_study() -> None:
    stated, asked = read_yaml(SOURCE)["bias"]["evaluation"], checks.read(study_path("paper-bias")).evaluations
    assert (asked.temperature, asked.max_tokens) == (stated["temperature"], stated["max_tokens"])
    topics = data.load_topics(data.TOPICS, asked.split, asked.rows)
    assert len(topics) == read_yaml(SOURCE)["bias"]["data"]["test_topics"]
    assert read_yaml(SOURCE)["sycophancy"]["evaluation"]["choice"] == (
        checks.read(study_path("paper-sycophancy")).evaluations.choice or "forced"
    )


# --- the rungs ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("articles")
@pytest.mark.parametrize("rung", RUNGS)
def test_every_rung_can_be_run_and_its_time_is_not_made_up(rung: str, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    assert study_commands.run(study_path(rung), 1, "local", True, tmp_path / "out", console) == 0
    assert isinstance(console.file, io.StringIO)
    assert "1 jobs at a time: time unknown" in console.file.getvalue()


@pytest.mark.usefixtures("articles")
@pytest.mark.parametrize("rung", ["paper-bias", "small-gpu-bias"])
def test_one_gpu_waits_for_no_judge_and_the_ladder_says_how(rung: str, tmp_path: Path) -> None:
    path = study_path(rung)
    plan = cells.plan(checks.read(path), path, tmp_path / "out")
    assert plan.study.evaluations.judged_later
    (judge,) = plan.study.evaluations.judges
    command = f"mst judge runs/{rung}/logs --grader {judge} --batch"
    assert f"mst run and mst report: {command}\n" in path.read_text("utf-8")
    ladder = LADDER.read_text("utf-8")
    assert f"\n{command}\n" in ladder or rung == "small-gpu-bias"
    kinds = Counter(cell.kind for cell in plan.cells)
    found = {cell: State("done", UNGRADED if cell.kind == "evaluate" else "") for cell in plan.cells}
    assert kinds == {"train": 12, "evaluate": 13} and f"`{summary(found)}`" in ladder


# What each rung is for, and the device of its times in docs/ladder.md.
FOR = {
    "laptop": (gpus.find("laptop"), gpus.find("laptop")),
    "small-gpu": (gpus.of_memory(12), gpus.find("t4")),
    "paper-bias": (gpus.find("a100-40gb"), gpus.find("a100-40gb")),
    "paper-sycophancy": (gpus.find("h200"), gpus.find("h200")),
}


@pytest.mark.parametrize("rung", RUNGS)
def test_every_rung_fits_what_it_is_for_and_the_ladder_says_so(rung: str) -> None:
    ((small, timed),) = [devices for name, devices in FOR.items() if rung.startswith(name)]
    study = checks.read(study_path(rung))
    cases = workload.cases(study, study_path(rung))
    assert [need.verdict for need in estimate(study, cases, small).needs] == ["fits", "fits"]
    assert any(departures(case) for case in cases) == (not rung.startswith("paper"))
    found = estimate(study, cases, timed)
    assert found.hours is not None and found.seconds is not None
    (line,) = [one for one in LADDER.read_text("utf-8").splitlines() if one.startswith(f"| `{rung}.yaml`")]
    *_, memory, training, whole = [cell.strip() for cell in line.strip("|").split("|")]
    assert memory == f"{max(need.needed for need in found.needs) / gpus.GIB:.1f} GiB"
    (mst,) = [one for one in found.hours if one.arm == "mst"]
    assert training.removesuffix(" (T4)") == plan_commands.span(mst.training)
    trained = sum(one.models for one in found.hours if any(one.training))
    assert whole == f"{plan_commands.span(found.seconds)}, {trained} trainings"


def test_the_ladder_shows_what_the_command_prints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # without any articles, as before they are made
    console = Console(file=io.StringIO(), width=120)
    plan_commands.plan(study_path("laptop-bias"), "laptop", None, False, console)
    assert isinstance(console.file, io.StringIO)
    printed = [line.rstrip() for line in console.file.getvalue().splitlines()]
    shown = LADDER.read_text("utf-8").split("--gpu laptop\n", 2)[2].split("\n```", 1)[0].splitlines()
    assert shown == [line for line in printed if line]


@pytest.mark.parametrize("rung", [rung for rung in RUNGS if not rung.startswith("paper")])
def test_a_rung_says_why_for_every_argument_that_it_changes(rung: str) -> None:
    study, text = checks.read(study_path(rung)), study_path(rung).read_text("utf-8")
    (condition,) = study.conditions
    assert condition.base == study.base
    for name in condition.arguments:
        assert re.search(rf"^ +{name}: +\S+ +# \S+", text, re.MULTILINE), name
    for name, (here, _) in departures(workload.cases(study, study_path(rung))[0]).items():
        assert name == "base" or condition.arguments[name] == here


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("lora_rank: 4", "'lora_rank' is no argument of training.ppo; did you mean 'lora_r'?"),
        ("base: micro-qwen", "base is no argument here"),
    ],
)
def test_an_unknown_argument_of_a_rung_is_named(tmp_path: Path, change: str, said: str) -> None:
    text = study_path("laptop-sycophancy").read_text("utf-8").replace("../sycophancy_paper.yaml", "recipe.yaml")
    text = text.replace("    arguments:\n", f"    arguments:\n      {change}\n")
    (tmp_path / "laptop.yaml").write_text(text, "utf-8")
    shutil.copyfile(RECIPES["sycophancy"], tmp_path / "recipe.yaml")
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        checks.read(tmp_path / "laptop.yaml")
    assert "conditions.0.arguments" in str(caught.value)
