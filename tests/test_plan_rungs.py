"""The laptop rungs from plan to report, on tiny random bases of the same families: no hub can be reached here."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import yaml
from rich.console import Console

from mst_evals import data, manifest
from mst_evals.planning import plan_commands
from mst_evals.studies import study_commands

CONFIGS = Path(__file__).resolve().parent.parent / "training" / "configs"
FAMILY = {"bias": "llama", "sycophancy": "qwen"}
# What makes a rung end in seconds: fewer rows, steps and tokens. Everything else is the rung's own.
SHORT: dict[str, dict[str, Any]] = {
    "bias": {"rows": 24, "max_steps": 2, "probe_rows": 4},
    "sycophancy": {"rows": 24, "total_steps": 2, "batch_size": 8, "mini_batch_size": 4, "num_ppo_epochs": 1},
}


def shortened(experiment: str, folder: Path) -> Path:
    """A laptop rung with two arms, few rows and a tiny base beside it, under its own name."""
    content = yaml.safe_load((CONFIGS / "studies" / f"laptop-{experiment}.yaml").read_text("utf-8"))
    tiny_models.WRITE[FAMILY[experiment]](folder / "tiny")
    content |= {"base": "tiny", "config": str(CONFIGS / f"{experiment}_paper.yaml"), "results": "packed"}
    content["arms"] = {"ootb": {}, "mst": {}}
    (condition,) = content["conditions"]
    condition |= {"base": "tiny", "arguments": condition["arguments"] | SHORT[experiment]}
    content["evaluations"] |= {"rows": 2} | ({"max_tokens": 120} if experiment == "bias" else {})
    if experiment == "bias":
        content["evaluations"]["data"] = str(data.TOPICS)
    content["comparisons"] = [one for one in content["comparisons"] if one["a"]["arm"] == one["b"]["arm"]]
    assert len(content["comparisons"]) == 2
    path = folder / f"laptop-{experiment}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("experiment", FAMILY)
def test_a_laptop_rung_from_plan_to_report(experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "articles").mkdir(parents=True)
    shutil.copyfile(data.MICRO_ARTICLES, tmp_path / "runs" / "articles" / "articles.jsonl")
    path, console = shortened(experiment, tmp_path), Console(file=io.StringIO(), width=160)
    assert plan_commands.plan(path, "laptop", None, False, console) == 0
    assert study_commands.run(path, 1, "local", False, None, console) == 0
    runs = tmp_path / "runs" / f"laptop-{experiment}"
    (adapter,) = (manifest.read(folder) for folder in (runs / "adapters").iterdir())
    assert adapter is not None
    asked = yaml.safe_load(path.read_text("utf-8"))["conditions"][0]["arguments"]
    assert (adapter.arm, adapter.quantisation, adapter.arguments["dtype"]) == ("mst", "none", "float32")
    checked = [name for name in asked if name in adapter.arguments and name != "optim"]  # recorded as an enumeration
    assert [(name, adapter.arguments[name]) for name in checked] == [(name, asked[name]) for name in checked]
    assert {"rows", "lora_r", "learning_rate"} & set(checked)
    study_commands.report(path, None, tmp_path / "report", console)
    found = json.loads((tmp_path / "report" / "results.json").read_text("utf-8"))
    assert {row["arm"] for row in found["arms"]} == {"ootb", "mst"}
    assert (tmp_path / "report" / "report.html").stat().st_size > 10_000
