"""Copies of the project's saved adapters and references with one thing changed, for the tests of `mst check`."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from inspect_ai.log import EvalLog, write_eval_log
from safetensors.torch import load_file, save_file

from mst_evals import data, manifest
from mst_evals.regression import reference, rows
from mst_evals.regression.metrics import Column, Metric

ROOT = Path(__file__).resolve().parent.parent
SAVED = ROOT / "training" / "adapters"
OTHER_SEED = ROOT / "tests" / "adapters"
REFERENCES = ROOT / "logs" / "reference"
NAMES = sorted(path.name for path in SAVED.iterdir() if path.is_dir())

Weights = dict[str, torch.Tensor]


def copy(source: Path, to: Path, **changed: Any) -> Path:
    """A copy of an adapter under a folder, with some fields of its manifest changed."""
    directory = to / source.name
    shutil.copytree(source, directory)
    found = manifest.read(directory)
    assert found is not None
    manifest.write(directory, replace(found, **changed))
    return directory


def signed(directory: Path) -> Path:
    """The same adapter with a manifest that describes the weights that lie there now."""
    found = manifest.read(directory)
    assert found is not None
    digest = data.sha256(directory / manifest.ADAPTER_WEIGHTS)
    manifest.write(directory, replace(found, adapter_sha256=digest))
    return directory


def reweighted(source: Path, to: Path, change: Callable[[Weights], Weights]) -> Path:
    """A copy of an adapter with other weights, whose manifest describes them."""
    directory = copy(source, to)
    path = directory / manifest.ADAPTER_WEIGHTS
    save_file({name: one.contiguous() for name, one in change(load_file(path)).items()}, path)
    return signed(directory)


def noisy(weights: Weights, seed: int = 0, share: float = 0.1) -> Weights:
    """Noise of each tensor's own standard deviation on a share of its numbers."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, weight in weights.items():
        hit = torch.rand(weight.shape, generator=generator) < share
        noise = torch.randn(weight.shape, generator=generator) * weight.float().std()
        found[name] = (weight.float() + hit * noise).to(weight.dtype)
    return found


def references(to: Path, name: str, **changed: Any) -> Path:
    """A folder with one adapter's reference, sealed anew after some of its fields were changed.

    A field with a dot (``facts__judge``) is one level down.
    """
    folder = to / "reference"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(REFERENCES / f"{name}.eval", folder / f"{name}.eval")
    content = json.loads((REFERENCES / f"{name}.json").read_text("utf-8"))
    for field, value in changed.items():
        *parents, last = field.split("__")
        place = content
        for parent in parents:
            place = place[parent]
        place[last] = value
    del content["sha256"]
    reference.write(folder / f"{name}.json", reference.sealed(**content))
    return folder


def logged(name: str, change: Callable[[EvalLog], object] = lambda log: None) -> EvalLog:
    """The log of a reference, with something changed in it."""
    log = rows.read_log(REFERENCES / f"{name}.eval")
    change(log)
    return log


def with_log(folder: Path, name: str, log: EvalLog) -> Path:
    """The folder of `references` with another log in the reference, sealed anew."""
    write_eval_log(log, str(folder / f"{name}.eval"))
    content = json.loads((folder / f"{name}.json").read_text("utf-8"))
    content["log"]["sha256"] = data.sha256(folder / f"{name}.eval")
    del content["sha256"]
    reference.write(folder / f"{name}.json", reference.sealed(**content))
    return folder


def first_rows(number: int, label: str) -> Callable[[EvalLog], None]:
    """Leave the first rows under one label in a log, which is what a check of so many rows asks."""

    def change(log: EvalLog) -> None:
        asked = [one for one in log.samples or [] if one.metadata["label"] == label]
        log.samples = asked[:number]

    return change


def light(to: Path, name: str, number: int = 60, label: str = "none") -> Path:
    """A folder with a reference that asks a few rows under one label: quick to check."""
    folder = references(to, name, asked__rows=number, asked__labels=[label])
    return with_log(folder, name, logged(name, first_rows(number, label)))


def column(metric: Metric, values: list[float], size: int = 1, unscored: int = 0, label: str = "0") -> Column:
    """A column of rows ``r0``, ``r1``, ... in clusters of some size."""
    named = {f"r{index}": value for index, value in enumerate(values)}
    clusters = {row: f"c{index // size}" for index, row in enumerate(named)}
    return Column(metric, label, named, clusters, len(values) + unscored, unscored)
