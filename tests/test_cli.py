"""The command `mst`: help that teaches, bad input in one line, and the demo's bookkeeping."""

import json
import subprocess
import sys

import pytest
from rich.console import Console

from mst_evals import cli, data, demo, manifest
from mst_evals.errors import InputError, StepError


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["mst", *arguments])
    try:
        cli.main()
        code = 0
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr()


@pytest.mark.parametrize("command", [[], ["demo"], ["report"], ["arms"]])
def test_help_teaches(monkeypatch, capsys, command):
    code, printed = call(monkeypatch, capsys, *command, "--help")
    assert code == 0
    assert "Usage" in printed.out
    assert len(printed.out) > 200


def test_arms_lists_every_arm(monkeypatch, capsys):
    code, printed = call(monkeypatch, capsys, "arms")
    assert code == 0
    for word in ("ootb", "baseline", "mst", "shuffled", "nonsense", "UNBIASED"):
        assert word in printed.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "nowhere", "--out", "out"], "nowhere"),
        (["demo", "--bogus"], "No such option"),
        (["nonsense"], "No such command"),
    ],
)
def test_bad_input_exits_with_2(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, printed = call(monkeypatch, capsys, *arguments)
    assert code == 2
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert list(tmp_path.iterdir()) == []


def test_cli_imports_no_torch():
    check = "import sys, mst_evals.cli, mst_evals.demo; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_a_demo_folder_is_taken_up_again_only_for_the_same_inputs(tmp_path):
    out = tmp_path / "demo"
    demo.claim(out, seed=0)
    demo.claim(out, seed=0)
    with pytest.raises(InputError, match="other inputs"):
        demo.claim(out, seed=1)
    recorded = json.loads((out / demo.INPUTS).read_text())
    assert recorded["sycophancy/problems.jsonl"] == data.sha256(data.PROBLEMS)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="no demo of ours"):
        demo.claim(tmp_path / "full", seed=0)


@pytest.mark.parametrize("chain", demo.CHAINS, ids=lambda chain: chain.experiment)
def test_only_missing_trainings_are_left(tmp_path, chain):
    assert [step.name for step in demo.steps(tmp_path, chain, 0)] == [
        "train baseline", "train mst", "train shuffled", "evaluate",
    ]  # fmt: skip
    done = demo.adapter(tmp_path, chain, "baseline", 0)
    base = manifest.read(manifest.SHIPPED / chain.base)
    manifest.write(done, base)
    assert [step.name for step in demo.steps(tmp_path, chain, 0)] == ["train mst", "train shuffled", "evaluate"]


def test_a_failing_step_is_reported_with_its_output(tmp_path, monkeypatch):
    command = [sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"]
    monkeypatch.setattr(demo, "steps", lambda *_: iter([demo.Step("break", command, tmp_path / "none", 1)]))
    with pytest.raises(StepError, match=r"break ended with 3 .*\n.*the reason"):
        demo.run(tmp_path / "out", 0, Console(quiet=True))


def test_an_interrupt_exits_with_130_and_says_how_to_continue(monkeypatch, capsys, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    code, printed = call(monkeypatch, capsys, "demo", "--out", str(tmp_path / "demo"))
    assert code == 130
    assert "the same command continues" in printed.err
