"""Copy the project's own adapters out of the studies that trained them, small enough to commit.

    python -m mst_evals.regression.save training/adapters RUNS/micro-bias RUNS/micro-sycophancy
    python -m mst_evals.regression.save tests/adapters RUNS/micro-bias RUNS/micro-sycophancy --seed 1 --arms mst

Of every arm the newest training of a seed without a condition is taken. The base is not copied: the manifest finds it
by its digest. Weights of more than `LARGEST` bytes are stored in half precision, which makes them another adapter
with a digest of its own; the manifest says of which.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mst_evals import data, manifest, variants
from mst_evals.errors import InputError
from mst_evals.manifest import Manifest

ARMS = tuple(arm for arm in variants.MAIN if arm != "ootb")
LARGEST = 800_000
# A tokenizer of its own, so that the directory can also be asked through ``hf/`` once its base lies beside it.
FILES = (
    "adapter_config.json", "arguments.yaml", "nf4.yaml", "chat_template.jinja", "tokenizer.json",
    "tokenizer_config.json",
)  # fmt: skip


def newest(runs: Path, arms: Sequence[str], seed: int) -> dict[str, Path]:
    """Arm -> directory of its newest finished training in a study's folder.

    Args:
        runs: The study's folder.
        arms: Names of arms.
        seed: Training seed.

    Raises:
        InputError: An arm has none.
    """
    found: dict[str, Path] = {}
    finished = [file.parent for file in runs.glob(f"adapters/*/{manifest.FILE}")]
    for directory in sorted(finished, key=lambda one: (one / manifest.FILE).stat().st_mtime):
        about = manifest.read(directory)
        if about is not None and about.kind == "adapter" and about.seed == seed and not about.condition:
            found[about.arm] = directory
    for arm in arms:
        if arm not in found:
            raise InputError(f"{runs}: no finished adapter of arm {arm!r}, seed {seed}")
    return {arm: found[arm] for arm in arms}


def copy(source: Path, to: Path) -> Manifest:
    """Copy one adapter, replacing what was there.

    Args:
        source: A directory that training made.
        to: The directory to write.
    """
    about = manifest.read(source)
    assert about is not None
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name in FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, to / name)
    weights = to / manifest.ADAPTER_WEIGHTS
    shutil.copyfile(source / weights.name, weights)
    arguments = dict(about.arguments)
    if weights.stat().st_size > LARGEST:
        _halve(weights)
        arguments["saved_as"] = f"float16 of {about.adapter_sha256}"
    saved = replace(about, adapter_sha256=data.sha256(weights), arguments=arguments)
    manifest.write(to, saved)
    return saved


def _halve(path: Path) -> None:
    """Store the weights of a file in half precision."""
    import torch
    from safetensors.torch import load_file, save_file

    save_file({name: weight.to(torch.float16) for name, weight in load_file(path).items()}, path, {"format": "pt"})


def main(to: Path, studies: Sequence[Path], arms: Sequence[str], seed: int) -> None:
    """Copy some arms of some studies."""
    for runs in studies:
        for arm, source in newest(runs, arms, seed).items():
            about = manifest.read(source)
            assert about is not None
            saved = copy(source, to / f"{about.experiment}-{arm}")
            print(f"{about.experiment}-{arm}: {source.name}, adapter {str(saved.adapter_sha256)[:12]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Copy adapters out of the studies that trained them.")
    parser.add_argument("to", type=Path, help="folder of adapters to write")
    parser.add_argument("studies", type=Path, nargs="+", help="folders of the studies' runs")
    parser.add_argument("--arms", nargs="+", default=ARMS)
    parser.add_argument("--seed", type=int, default=0)
    try:
        main(**vars(parser.parse_args()))
    except InputError as error:
        sys.exit(f"error: {error}")
