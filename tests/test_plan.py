"""`mst plan`: sizes of a study, what to change, what is printed, and every bad input in one line."""

import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from planning_models import CONFIGS, recipe
from rich.console import Console
from study_files import plan_of, write_study

from mst_evals import cli, data
from mst_evals.planning import advice, costs, estimate, gpus, memory, plan_commands, shapes, workload
from mst_evals.planning.gpus import GIB
from mst_evals.planning.settings import Training
from mst_evals.planning.workload import ArmWork, Case, Length
from mst_evals.studies import cells, checks, estimates, states, study_commands

STUDIES = Path(__file__).resolve().parent.parent / "training" / "configs" / "studies"
LLAMA = "meta-llama/Llama-3.2-1B-Instruct"


def printed(path: Path, gpu: str | None = None, gigabytes: float | None = None) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=160)
    code = plan_commands.plan(path, gpu, gigabytes, False, console)
    assert isinstance(console.file, io.StringIO)
    return code, console.file.getvalue()


# --- sizes of a study ---------------------------------------------------------------------------------------------


def test_a_study_is_counted_and_not_guessed_where_its_base_is_here(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    (case,) = workload.cases(checks.read(path), path)
    plan = plan_of(path)
    asked = [(arm.name, arm.runs, arm.trained, sum(arm.samples)) for arm in case.arms]
    assert asked == [("ootb", 1, False, 12), ("baseline", 1, True, 12), ("mst", 2, True, 42)]
    counted = {cell: estimates.samples(plan, job, cell) for job in plan.jobs for _, cell in job.sweeps}
    assert costs.samples([case]) == sum(counted.values())
    for arm in case.arms:
        assert arm.prompt.mean[0] == arm.prompt.mean[1] <= arm.prompt.longest
    assert case.notes == ()


def test_lengths_are_capped_and_summed() -> None:
    one = Length((100.0, 200.0), 300) + Length((10.0, 20.0), 30)
    assert one == Length((110.0, 220.0), 330)
    assert one.capped(150) == Length((110.0, 150), 150)
    assert one.capped(None) == one


def test_what_a_judge_is_sent_grows_with_the_articles() -> None:
    least, most = costs.judged(10, 700)
    assert least.requests == most.requests == 10
    assert 10 * 700 * 0.5 < least.input < most.input
    assert 0 < least.output < most.output


# --- what to change -----------------------------------------------------------------------------------------------


def case_of(experiment: str, **arguments: Any) -> Case:
    """A case on Llama-3.2-1B with rows of 500 tokens."""
    row = Length((400.0, 450.0), 500)
    arm = ArmWork("mst", 1, True, 1000, row, 500, (100,), row)
    planned = recipe(experiment, **arguments)
    return Case("", LLAMA, None, shapes.PUBLISHED[LLAMA], arguments, planned, (arm,))


@pytest.mark.parametrize(
    ("experiment", "arguments", "gigabytes", "said"),
    [
        ("bias", {}, 16, "probe_rows: 16"),
        ("bias", {"probe_every": 0, "gradient_checkpointing": False}, 12, "gradient_checkpointing: true"),
        ("bias", {"probe_every": 0}, 4.2, "per_device_train_batch_size: 4, gradient_accumulation_steps: 2"),
        ("bias", {}, 2, "no batch is small enough"),
        ("sycophancy", {}, 24, "mini_batch_size: 8, gradient_accumulation_steps: 8"),
        ("sycophancy", {"mini_batch_size": 2}, 12, "batch_size: 64"),
    ],
)
def test_the_least_harmful_change_comes_first(
    experiment: str, arguments: dict[str, Any], gigabytes: float, said: str
) -> None:
    case, gpu = case_of(experiment, **arguments), gpus.of_memory(gigabytes)

    def measure(planned: Training) -> memory.Memory:
        found = estimate.training_memory(case, planned, False)
        assert found is not None
        return found

    assert measure(case.training).verdict(gpu) != memory.FITS
    change = advice.change(case.training, gpu, measure)
    assert change.startswith(said)
    assert ("changes the recipe" in change) == (said == "batch_size: 64")


def test_smaller_recipes_keep_the_optimiser_steps() -> None:
    planned = recipe("sycophancy", batch_size=128, mini_batch_size=32, gradient_accumulation_steps=2)
    tried = list(advice.smaller(planned))
    assert [(one.batch, one.accumulation) for one in tried[:5]] == [(16, 4), (8, 8), (4, 16), (2, 32), (1, 64)]
    assert [one.rollout for one in tried[5:]] == []  # a rollout of 128 is twice what an optimiser step takes
    assert advice.changes(planned, replace(planned, batch=16, accumulation=4)) == {
        "mini_batch_size": 16,
        "gradient_accumulation_steps": 4,
    }


# --- the command --------------------------------------------------------------------------------------------------


def test_one_device_part_by_part() -> None:
    code, said = printed(STUDIES / "small-gpu-sycophancy.yaml", "T4")
    assert code == 0
    for words in (
        "small-gpu-sycophancy on T4 (14.6 GiB usable), one job at a time", "1,543,714,304 parameters",
        "not as in the source (qwen-1.5b): base Qwen/Qwen2.5-1.5B-Instruct (Qwen/Qwen2.5-7B-Instruct), lora_r 64 (512)",
        "base weights (NF4)", "GiB: fits", "T4 has no units for bfloat16", "whole study, one job at a time:",
        "judge: none", "disk, GiB:", "nothing was measured on a GPU",
    ):  # fmt: skip
        assert words in said
    assert "to change" not in said


def test_what_does_not_fit_is_said_with_what_to_change() -> None:
    code, said = printed(STUDIES / "paper-bias.yaml", None, 16)
    assert code == 1
    assert "paper-bias on any GPU with 16 GB (14.9 GiB usable)" in said
    assert "GiB: does not fit\n  to change: probe_rows: " in said
    assert "time: not known for a memory alone; name a GPU" in said
    assert "not as in the source: nothing" in said
    assert "judge anthropic/claude-sonnet-4-5: 16,000 articles" in said
    assert "in a second pass (mst judge), half of it with --batch" in said
    assert "tokenizer of meta-llama/Llama-3.2-3B-Instruct is not here" in said


def test_a_judge_that_is_asked_at_once_holds_the_gpu(tmp_path: Path) -> None:
    content = yaml.safe_load((STUDIES / "paper-bias.yaml").read_text("utf-8"))
    content["config"] = str(STUDIES / content["config"])
    content["evaluations"] |= {"scorer": "both", "data": str(STUDIES / content["evaluations"]["data"])}
    path = tmp_path / "at-once.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    _, said = printed(path, "a100-40gb")
    assert "(without thinking and asking again); while the GPU is held (not in the hours)" in said


@pytest.mark.parametrize("gpu", [None, "a100-40gb"])
@pytest.mark.parametrize(("rung", "number"), [("paper", "1,900"), ("laptop", "600")])
def test_the_hours_leave_out_the_writing_of_articles_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rung: str, number: str, gpu: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    said = printed(STUDIES / f"{rung}-bias.yaml", gpu)[1]
    note = f"not in the hours: mst data articles, which writes at least these {number} articles and 200 for validation"
    assert said.count(f"note: {note}") == 1
    (tmp_path / "runs" / "articles").mkdir(parents=True)
    shutil.copyfile(data.MICRO_ARTICLES, tmp_path / "runs" / "articles" / "articles.jsonl")
    assert "not in the hours: mst data articles" not in printed(STUDIES / f"{rung}-bias.yaml", gpu)[1]


def test_every_device_in_a_line() -> None:
    code, said = printed(STUDIES / "paper-sycophancy.yaml")
    assert code == 0
    lines = [line.strip() for line in said.splitlines()]
    for gpu in gpus.GPUS:
        (line,) = [one for one in lines if one.startswith(f"{gpu.name} ") and one[-1] in "-h"]
        assert line.endswith("-" if "does not fit" in line else " h")
        assert ("does not fit" in line) == (gpu.memory < 70 * GIB)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan_commands.plan(STUDIES / "small-gpu-bias.yaml", "a100-40gb", None, True, Console()) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["study"], found["gpu"]["name"], found["fits"]) == ("small-gpu-bias", "A100-40GB", True)
    training, evaluation = found["needs"]
    assert (training["verdict"], evaluation["what"]) == ("fits", "evaluation")
    parts = training["memory"]
    largest = sum(parts["moments"][training["largest"]].values())
    assert training["peak"] == sum(parts["kept"].values()) + largest < training["needed"]
    assert found["departures"]["llama-1b"]["base"] == [LLAMA, "meta-llama/Llama-3.2-3B-Instruct"]
    for end in (0, 1):
        each = [arm["models"] * (arm["training"][end] + arm["evaluation"][end]) for arm in found["hours"]]
        assert found["seconds"][end] == pytest.approx(sum(each))
    assert plan_commands.plan(STUDIES / "small-gpu-bias.yaml", None, None, True, Console()) == 0
    assert [one["gpu"]["name"] for one in json.loads(capsys.readouterr().out)] == [gpu.name for gpu in gpus.GPUS]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [((60, 60), "1 min"), ((30, 90), "0.5 to 1.5 min"), ((600, 5399), "10 to 90 min"), ((720, 7200), "0.2 to 2 h"),
     ((36000, 720000), "10 to 200 h"), ((360000, 3600000), "100 to 1,000 h")],
)  # fmt: skip
def test_spans(seconds: tuple[float, float], said: str) -> None:
    assert plan_commands.span(seconds) == said


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["mst", "plan", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["STUDY", "--gpu", "voodoo"], "--gpu 'voodoo' is not known"),
        (["STUDY", "--gpu", "t4", "--memory", "24"], "--gpu and --memory: found both, expected one of them"),
        (["STUDY", "--memory", "0"], "--memory is 0, expected a number of GB above 0"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    given = [str(STUDIES / "laptop-sycophancy.yaml") if one == "STUDY" else one for one in arguments]
    assert call(monkeypatch, *given) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith(f"error: {said}")
    assert found.err.count("\n") == 1


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("owner/unheard-of", "base 'owner/unheard-of': its shape is not known here"),
        ("gpt", "model_type is 'gpt2', expected one of llama, qwen2"),
    ],
)
def test_a_wrong_model_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], base: str, said: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt" / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    assert call(monkeypatch, str(write_study(tmp_path, base=base)), "--gpu", "t4") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_directory_is_planned_as_it_is(tmp_path: Path) -> None:
    CONFIGS["qwen-tied"].save_pretrained(tmp_path / "mine")
    code, said = printed(write_study(tmp_path, base="mine"), "t4")
    assert code == 0
    parameters = shapes.counts(shapes.of_directory(tmp_path / "mine")).total
    assert f"mine: {parameters:,} parameters" in said
    assert "the tokenizer of mine is not here" in said


def test_planning_imports_nothing_heavy() -> None:
    script = (
        "import sys; from pathlib import Path; from rich.console import Console\n"
        "from mst_evals.planning.plan_commands import plan\n"
        "assert plan(Path(sys.argv[1]), 'h200', None, False, Console()) == 0\n"
        "assert not {'torch', 'inspect_ai', 'pandas', 'transformers', 'trl'} & sys.modules.keys()"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(STUDIES / "paper-sycophancy.yaml")], check=True, capture_output=True
    )


# --- times of a dry run -------------------------------------------------------------------------------------------


def test_a_time_that_nobody_knows_is_said_to_be_unknown(tmp_path: Path) -> None:
    path = write_study(tmp_path, base="owner/name")
    plan = plan_of(path)
    assert set(estimates.seconds(plan, []).values()) == {estimates.UNKNOWN}
    assert estimates.left(plan, study_commands.look(plan), 2, estimates.seconds(plan, [])) == estimates.UNKNOWN
    console = Console(file=io.StringIO(), width=200)
    study_commands.run(path, 2, "local", True, tmp_path / "out", console)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "2 jobs at a time: time unknown (what was measured holds for micro bases" in said
    assert "inf" not in said


MICRO = ["micro-bias", "micro-sycophancy", "sycophancy-noise", "bias-base-curve", "sycophancy-ablations"]


@pytest.mark.parametrize("name", MICRO)
def test_a_shipped_study_fits_its_budget_on_two_cores(name: str, tmp_path: Path) -> None:
    """All of it from nothing, by the times measured on a quiet machine."""
    path = STUDIES / f"{name}.yaml"
    plan = cells.plan(checks.read(path), path, tmp_path)
    expected = estimates.seconds(plan, [])
    nothing = dict.fromkeys(plan.cells, states.State("missing", ""))
    assert plan.study.minutes is not None and plan.study.minutes <= 75
    assert estimates.left(plan, nothing, 2, expected) <= 60 * plan.study.minutes


def test_rows_that_an_arm_leaves_out_are_not_waited_for(tmp_path: Path) -> None:
    path = STUDIES / "micro-bias.yaml"
    plan = cells.plan(checks.read(path), path, tmp_path)
    expected = {cell.key: seconds for cell, seconds in estimates.seconds(plan, []).items() if cell.kind == "train"}
    whole, quarter = expected["mst-seed0"], expected["least_biased_25-seed0"]
    assert whole == estimates.TRAIN["bias"]
    assert quarter == pytest.approx(estimates.START + (whole - estimates.START) / 4, rel=0.01)


def test_what_a_study_states_or_has_done_is_known_for_any_base(tmp_path: Path) -> None:
    plan = plan_of(write_study(tmp_path, base="owner/name", durations={"train": 100}))
    past = [{"kind": "evaluate", "key": "mst-seed0-standard", "status": "done", "seconds": 9.0, "samples": 42}]
    keys = {cell.key: seconds for cell, seconds in estimates.seconds(plan, past).items()}
    assert (keys["mst-seed1"], keys["mst-seed0-standard"], keys["mst-seed1-standard"]) == (100, 9, 9)
    assert keys["baseline-seed0-standard"] == estimates.UNKNOWN


def test_a_base_that_a_study_builds_is_micro(tmp_path: Path) -> None:
    recipe_of_base = yaml.safe_load("{world: sycophancy, seed: 3, arguments: {steps: 10}}")
    plan = plan_of(write_study(tmp_path, base=recipe_of_base))
    assert estimates.UNKNOWN not in estimates.seconds(plan, []).values()
