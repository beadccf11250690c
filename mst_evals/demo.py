"""The main job on two CPU cores: train, evaluate and report both experiments on the micro worlds.

Each experiment is a chain of steps in processes of their own, one thread each: three trainings, then one process that
evaluates all arms on one loaded base. Every step leaves its result under a final name only when it is whole, so an
interrupted demo continues where it stopped.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mst_evals import data, manifest, variants
from mst_evals.errors import InputError, StepError
from mst_evals.studies import closure

TRAINED = ("baseline", "mst", "shuffled")
EVALUATED = ("ootb", *TRAINED)
CONFIGS = manifest.SHIPPED.parent / "configs"
INPUTS = "inputs.json"  # what the results of a demo folder were made from
# Whatever these import counts as code that an adapter or a score depends on.
ROOTS = ("training.sft", "training.ppo", "mst_evals.bias", "mst_evals.sycophancy", "mst_evals.provider")


@dataclass(frozen=True)
class Chain:
    """One experiment of the demo.

    Attributes:
        experiment: ``bias`` or ``sycophancy``.
        trainer: Module that trains an adapter.
        base: Name of the shipped micro base.
        files: Data files that training and evaluation read.
        rows: Test rows that are asked, None for all.
    """

    experiment: str
    trainer: str
    base: str
    files: tuple[Path, ...]
    rows: int | None

    @property
    def config(self) -> Path:
        """Training configuration of the micro world."""
        return CONFIGS / f"{self.experiment}_micro.yaml"


CHAINS = (
    Chain("bias", "training.sft", "micro-llama", (data.MICRO_ARTICLES, data.MICRO_TOPICS), 100),
    Chain("sycophancy", "training.ppo", "micro-qwen", (data.PROBLEMS,), None),
)


def fingerprint(seed: int) -> dict[str, str]:
    """Digest of everything that a demo's results depend on, by name: code, configurations, data, bases, seed."""
    found = {"seed": str(seed)} | closure.digests(ROOTS, without=())
    for chain in CHAINS:
        base = manifest.SHIPPED / chain.base / manifest.BASE_WEIGHTS
        for path in (chain.config, base, *chain.files):
            found[f"{chain.experiment}/{path.name}"] = data.sha256(path)
    return found


def claim(out: Path, seed: int) -> None:
    """Make the demo's folder, or take up one that was made from the same inputs.

    Raises:
        InputError: The folder holds results of other inputs, which are never mixed.
    """
    current = fingerprint(seed)
    path = out / INPUTS
    if path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        changed = sorted(name for name in current.keys() | earlier.keys() if current.get(name) != earlier.get(name))
        if changed:
            raise InputError(f"{out}: made from other inputs ({', '.join(changed)}); name another --out or remove it")
    elif out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: not empty and no demo of ours; name another --out")
    manifest.write_text(path, json.dumps(current, indent=2, sort_keys=True) + "\n")


def adapter(out: Path, chain: Chain, arm: str, seed: int) -> Path:
    """Where an arm's model is: its adapter directory, or the shipped base for ``ootb``."""
    if arm == "ootb":
        return manifest.SHIPPED / chain.base
    return out / "adapters" / f"{chain.experiment}-{arm}-seed{seed}"


@dataclass(frozen=True)
class Step:
    """One process of a chain; its progress is the number of lines in a file that it appends to."""

    name: str
    command: list[str]
    progress: Path
    total: int


def steps(out: Path, chain: Chain, seed: int) -> Iterator[Step]:
    """The steps of a chain that are still to be done."""
    for arm in TRAINED:
        directory = adapter(out, chain, arm, seed)
        if manifest.read(directory) is None:
            command = [sys.executable, "-m", chain.trainer, "--config", str(chain.config), "--arm", arm]
            command += ["--seed", str(seed), "--output_dir", str(directory)]
            partial = directory.with_name(f".{directory.name}.partial") / "metrics.jsonl"
            yield Step(f"train {arm}", command, partial, planned_steps(chain))
    command = [sys.executable, "-m", "mst_evals.evaluate_demo", chain.experiment, str(out), str(seed)]
    yield Step("evaluate", command, out / f".{chain.experiment}.samples", planned_samples(chain))


def planned_steps(chain: Chain) -> int:
    """Optimiser steps (SFT) or rollouts (PPO) of one training, for the progress bar."""
    import yaml

    config = yaml.safe_load(chain.config.read_text(encoding="utf-8"))
    if "total_steps" in config:
        return int(config["total_steps"])
    return int(-(-config["rows"] // config["per_device_train_batch_size"]) * config["num_train_epochs"]) + 1


def planned_samples(chain: Chain) -> int:
    """Samples of one chain's evaluation, for the progress bar."""
    load = data.load_topics if chain.experiment == "bias" else data.load_problems
    rows = len(load(chain.files[-1], "test", chain.rows))
    axis = variants.AXES[chain.experiment]
    asked = [one.label for arm in EVALUATED for one in variants.arm(chain.experiment, arm).evaluations()]
    return rows * sum(max(1, len(axis.label(name).texts)) for name in asked)


def lines(path: Path) -> int:
    """Number of lines in a file that may not exist yet."""
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def end_step(process: subprocess.Popen[bytes]) -> None:
    """End a step. A terminal's Ctrl-C has reached it too, so it gets time to clean up before it is told to."""
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()


def run_chain(out: Path, chain: Chain, seed: int, progress: Progress, task: TaskID, stop: threading.Event) -> None:
    """Run what is left of a chain, one process after another.

    Raises:
        StepError: A process failed; the message holds the end of what it printed.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    for step in steps(out, chain, seed):
        step.progress.unlink(missing_ok=True)
        if not progress.console.is_terminal:
            progress.console.print(f"{chain.experiment}: {step.name} ({step.total} steps)")
        progress.update(task, description=f"{chain.experiment}: {step.name}", total=step.total, completed=0)
        printed = out / "output" / f"{chain.experiment}-{step.name.replace(' ', '-')}.txt"
        printed.parent.mkdir(parents=True, exist_ok=True)
        with printed.open("wb") as file:
            process = subprocess.Popen(step.command, stdout=file, stderr=subprocess.STDOUT, env=environment)
            while process.poll() is None:
                if stop.wait(0.5):
                    end_step(process)
                    return
                progress.update(task, completed=min(lines(step.progress), step.total))
        if process.returncode != 0:
            end = printed.read_text(encoding="utf-8", errors="replace").strip()[-2000:]
            raise StepError(f"{chain.experiment}: {step.name} ended with {process.returncode} ({printed}):\n{end}")
        step.progress.unlink(missing_ok=True)
        progress.update(task, completed=step.total)
    progress.update(task, description=f"{chain.experiment}: done")


def run(out: Path, seed: int, console: Console) -> float:
    """Run both chains side by side.

    Returns:
        Seconds it took.

    Raises:
        InputError: The folder cannot be used.
        StepError: A step failed.
    """
    claim(out, seed)
    began = time.monotonic()
    stop = threading.Event()
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(len(CHAINS)) as pool:
        futures = [
            pool.submit(run_chain, out, chain, seed, progress, progress.add_task(chain.experiment, total=None), stop)
            for chain in CHAINS
        ]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()  # on an interrupt or a failure the other chain ends too; finished steps stay
    for future in futures:
        future.result()
    return time.monotonic() - began


def inputs_digest(out: Path) -> str:
    """Short digest of a demo folder's inputs, shown in its closing line."""
    return hashlib.sha256((out / INPUTS).read_bytes()).hexdigest()[:12]
