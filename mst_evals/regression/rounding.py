"""How much does an unchanged adapter move when something else rounds its numbers? The ground of the default margins.

    python -m mst_evals.regression.rounding docs/regression-rounding.json logs/reference training/adapters/*
    python -m mst_evals.regression.rounding h200.json reference adapters/mine --here H200

Each of `SETTINGS` is a process of its own, whose libraries are told to use fewer vector instructions than the processor
has (which is how another processor rounds), other threads, or other batches. Every adapter is evaluated in it and
compared with its reference, row by row. All of them are of the CPU: what a GPU or another machine does is measured on
it, against a reference that was made elsewhere, as the one setting ``--here NAME``. What is written names the digests
of adapters and references: a setting that was measured of others is measured anew.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mst_evals import manifest, variants
from mst_evals.errors import InputError
from mst_evals.regression import adapter_file, measure, metrics, power, reference, rows
from mst_evals.regression.metrics import Column


@dataclass(frozen=True)
class Setting:
    """One way of computing the same.

    Attributes:
        environment: Variables of the process.
        threads: Of torch, None for its own number.
        batch: Prompts in a batch at most.
    """

    environment: dict[str, str]
    threads: int | None = 1
    batch: int = 64


def _instructions(torch: str, onednn: str, mkl: str) -> dict[str, str]:
    """The most that each of the three libraries may use."""
    return {"ATEN_CPU_CAPABILITY": torch, "ONEDNN_MAX_CPU_ISA": onednn, "MKL_ENABLE_INSTRUCTIONS": mkl}


SETTINGS = {
    "two threads": Setting({}, threads=2),
    "batches of 8": Setting({}, batch=8),
    "AVX512 without BF16 or AMX": Setting({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}),
    "AVX2": Setting(_instructions("avx2", "AVX2", "AVX2")),
}
HERE = Setting({}, threads=None)  # this machine as it is


@dataclass(frozen=True)
class Moved:
    """What a setting changed in one metric at one label.

    Attributes:
        adapter: Name of the adapter.
        adapter_sha256: Digest of its weights.
        reference_sha256: Digest of the reference it was compared with.
        metric: The metric.
        label: The label.
        rows: Rows compared.
        changed: Rows whose value changed.
        largest: Largest change of a row.
        loss: Mean loss.
        needed: Margin that passes with `power.POWER`, see `power.passing_margin`.
    """

    adapter: str
    adapter_sha256: str
    reference_sha256: str
    metric: str
    label: str
    rows: int
    changed: int
    largest: float
    loss: float
    needed: float


Identity = tuple[str, str, str]  # name of an adapter, digest of its weights, digest of its reference


def moved(of: Identity, before: Column, after: Column, signed: bool = True) -> Moved:
    """Compare two columns of one metric and label; a drift is not signed."""
    same = [row for row in before.values if row in after.values]
    sign = 1.0 if before.metric.better == "lower" else -1.0
    changes = [sign * (after.values[row] - before.values[row]) for row in same]
    return Moved(
        *of,
        before.metric.name,
        before.label,
        len(same),
        sum(abs(one) > 1e-9 for one in changes),
        round(max(abs(one) for one in changes), 6),
        round(sum(changes) / len(changes), 6),
        round(power.passing_margin(changes, [before.clusters[row] for row in same], signed), 6),
    )


def identity(references: Path, directory: Path) -> tuple[Identity, Path]:
    """What is measured of an adapter, and the file of its reference.

    Raises:
        InputError: The adapter has no manifest, or no reference that can be used.
    """
    about = adapter_file.read_manifest(directory)
    path = reference.find(references, directory.name, about.adapter_sha256)
    return (directory.name, str(about.adapter_sha256), reference.read(path).sha256), path


def one(name: str, references: Path, adapters: list[Path], out: Path) -> None:
    """Evaluate adapters in one setting; the process has its environment already."""
    import torch

    from mst_evals import provider

    setting = SETTINGS.get(name, HERE)
    if setting.threads is not None:
        torch.set_num_threads(setting.threads)
    provider.BATCH_SIZE = setting.batch
    found = []
    with tempfile.TemporaryDirectory() as logs:
        for directory in adapters:
            of, path = identity(references, directory)
            about, signed = adapter_file.read_manifest(directory), reference.read(path)
            log = measure.evaluate(directory, about.experiment, signed.asked, Path(logs))
            axis = variants.axis(about.experiment, signed.facts.axis)
            logged = rows.read_log(reference.log_path(path, signed)), log
            before, after = (rows.answers(one, signed.facts.scorer) for one in logged)
            sides = [metrics.columns(about.experiment, about.arm, axis, side) for side in (before, after)]
            found += [moved(of, *pair) for pair in zip(*sides, strict=True)]
            if about.experiment == "bias":
                now = measure.likelihoods(directory, about, signed.facts.axis, signed.asked, before)
            else:
                now = metrics.choices(after)
            apart = metrics.drift(about.experiment, before, now)
            found += [moved(of, *pair, signed=False) for pair in apart]
    out.write_text(json.dumps([asdict(one) for one in found]), encoding="utf-8")


def main(out: Path, references: Path, adapters: list[Path], here: str | None = None) -> None:
    """Measure every setting that is not in the file yet, or is there of others, and write what was found after each.

    Args:
        out: The file.
        references: Folder of references.
        adapters: Directories.
        here: Name for this machine as it is, in place of `SETTINGS`.

    Raises:
        InputError: The name is one of `SETTINGS`, or an adapter has no reference.
    """
    if here in SETTINGS:
        raise InputError(f"--here {here!r}: the name of another setting, expected one of your own")
    found: dict[str, Any] = json.loads(out.read_text("utf-8")) if out.is_file() else {}
    wanted = {identity(references, directory)[0] for directory in adapters}
    for name, setting in ({here: HERE} if here else SETTINGS).items():
        if measured(found.get(name, [])) == wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "found.json"
            command = [sys.executable, "-m", __spec__.name, "--one", name, str(result), str(references)]
            threads = {} if setting.threads is None else {"OMP_NUM_THREADS": str(setting.threads)}
            environment = os.environ | setting.environment | threads
            subprocess.run([*command, *map(str, adapters)], env=environment, check=True)
            found[name] = json.loads(result.read_text("utf-8"))
        manifest.write_text(out, json.dumps(found, indent=1) + "\n")


def measured(found: Sequence[Mapping[str, Any]]) -> set[Identity]:
    """Which adapters a setting of the file was measured on, against which references."""
    return {(one["adapter"], one.get("adapter_sha256", ""), one.get("reference_sha256", "")) for one in found}


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """What `main` wrote, as the Markdown table of docs/regression.md: the largest over adapters and labels."""
    lines = [f"| setting | {' | '.join(metrics.NAMES)} |", f"|---|{'---|' * len(metrics.NAMES)}"]
    for setting, every in found.items():
        needed = [[one["needed"] for one in every if one["metric"] == name] for name in metrics.NAMES]
        lines.append(f"| {setting} | {' | '.join(f'{max(one):.2g}' if one else '-' for one in needed)} |")
    return "\n".join(lines) + "\n"


def command_line() -> argparse.ArgumentParser:
    """The arguments of the command."""
    parser = argparse.ArgumentParser(description="How much an unchanged adapter moves when something else rounds.")
    parser.add_argument("out", type=Path, help="file of what was found (JSON); settings in it are kept")
    parser.add_argument("references", type=Path, help="folder of references")
    parser.add_argument("adapters", type=Path, nargs="+", help="directories of adapters")
    parser.add_argument("--here", metavar="NAME", help="measure this machine as it is, under a name, and nothing else")
    parser.add_argument("--one", metavar="SETTING", help=argparse.SUPPRESS)  # the process of one setting
    parser.add_argument("--page", type=Path, help="page whose table below <!-- rounding --> is made anew")
    return parser


if __name__ == "__main__":
    given = command_line().parse_args()
    try:
        if given.one:
            one(given.one, given.references, given.adapters, given.out)
        else:
            main(given.out, given.references, given.adapters, given.here)
            made = table(json.loads(given.out.read_text("utf-8")))
            print(made)
            if given.page:
                power.fill(given.page, "rounding", made)
    except InputError as error:
        sys.exit(f"error: {error}")
