"""Command lines: bad input is one line on stderr and exit code 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PPO = ["training.ppo", "--output_dir", "run"]
CONFIG = str(Path(__file__).parent.parent / "training" / "configs" / "bias_micro.yaml")
SFT = ["training.sft", "--output_dir", "run"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*PPO, "--arm", "nope"], "unknown arm 'nope'"),
        ([*PPO, "--config", "missing.yaml", "--arm", "mst"], "missing.yaml: cannot be read"),
        ([*PPO, "--config", "unknown_key.yaml", "--arm", "mst"], "lerning_rate"),
        ([*SFT, "--config", CONFIG, "--arm", "mst", "--articles", "broken.jsonl"], "broken.jsonl:1: not JSON"),
    ],
)
def test_modules_exit_with_2(tmp_path, arguments, message):
    (tmp_path / "unknown_key.yaml").write_text("lerning_rate: 1.0\n")
    (tmp_path / "broken.jsonl").write_text("{\n")
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
