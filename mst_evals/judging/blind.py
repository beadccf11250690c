"""Generated articles for people to rate, without a trace of how they came about.

The CSV holds new ids, the articles in random order, and empty columns for the ratings; a key file apart says which
article is which. The source validated its judge on such a sample. With the ratings filled in the CSV is what
`validation.load` reads.
"""

import csv
import io
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mst_evals import manifest
from mst_evals.errors import InputError
from mst_evals.judging import leaks, logs
from mst_evals.judging.validation import KEY

COLUMNS = ("id", "article", "bias", "verdict")
KEY_COLUMNS = ("id", "log", "sample", "epoch", "topic", "arm", "seed", "label", "generator", "scores")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        found: Articles in the logs.
        written: Articles in the CSV.
        key: The key file.
        telling: Articles in the CSV that hold the text of their label or a message of their prompt.
        notes: What was left out, a line each.
    """

    found: int
    written: int
    key: Path
    telling: int
    notes: tuple[str, ...] = ()


def export(paths: Sequence[Path], out: Path, n: int, seed: int) -> Exported:
    """Write a random sample of the articles of some logs, and its key.

    Args:
        paths: Inspect logs or folders of them.
        out: The CSV to write; what is there is never overwritten, since people may have rated it.
        n: Number of articles.
        seed: Of the sample and its order.

    Raises:
        InputError: A log cannot be read, there are too few articles, or a file is in the way.
    """
    key = out.with_suffix(KEY)
    for file in (out, key):
        if file.exists():
            raise InputError(f"{file}: is there already, and may hold ratings: expected a new name")
    if out.suffix != ".csv" or n < 1:
        raise InputError(f"--out {out}, --n {n}: expected the name of a CSV file and at least 1")
    searched = logs.log_files(paths)
    found = [pair for path in searched.files for pair in _articles(path)]
    if len(found) < n:
        raise InputError(f"--n {n}: found {len(found)} generated articles in the logs: expected at least {n}")
    chosen = random.Random(f"blind/{seed}").sample(found, n)
    width = len(str(n))
    names = [f"article-{place:0{width}d}" for place in range(1, n + 1)]
    rated = [[name, sample.completion, "", ""] for name, (sample, _) in zip(names, chosen, strict=True)]
    keys = [
        [name, *(made[column] for column in KEY_COLUMNS[1:])] for name, (_, made) in zip(names, chosen, strict=True)
    ]
    manifest.write_text(key, _csv(KEY_COLUMNS, keys))
    manifest.write_text(out, _csv(COLUMNS, rated))
    telling = sum(_tells(sample) for sample, _ in chosen)
    return Exported(len(found), n, key, telling, searched.notes)


def _articles(path: Path) -> list[tuple[logs.Sample, dict[str, Any]]]:
    """Samples of a log with what the key says of them. Existing articles were written by no model of the log."""
    header = logs.read_header(path).eval
    facts = header.metadata or {}
    if facts.get("experiment", "bias") != "bias" or facts.get("arm") == "existing":
        raise InputError(f"{path}: holds no generated articles, expected a log of the tasks bias or bias_sweep")
    return [
        (
            sample,
            {
                "log": sample.log, "sample": sample.id, "epoch": sample.epoch, "topic": sample.topic,
                "arm": facts.get("arm", ""), "seed": facts.get("seed", ""), "label": sample.facts.get("label", ""),
                "generator": header.model, "scores": json.dumps(sample.scores, sort_keys=True),
            },
        )
        for sample in sorted(logs.read_samples(path), key=lambda one: (one.id, one.epoch))
        if sample.completion.strip()
    ]  # fmt: skip


def _tells(sample: logs.Sample) -> bool:
    return bool(leaks.find(sample.completion, sample.completion, sample.label_text, sample.prompt))


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return buffer.getvalue()
