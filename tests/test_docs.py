"""The numbers of README.md and docs/ against the committed results they name."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mst_evals import prompts
from mst_evals.reporting.phrases import bounds, number

ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"<!-- from (?P<folder>docs/results/[\w-]+): (?P<metric>\w+) -->\n(?P<table>(?:\|.*\n)+)")
CELL = re.compile(r"\**(?P<arm>\w+) \((?P<label>[^)]+)\)(, (?P<condition>[\w-]+))?\**")


@cache
def results(folder: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((ROOT / folder / "report" / "results.json").read_text("utf-8"))["arms"]
    return found


def claimed(page: Path) -> Iterator[tuple[str, str, re.Match[str], list[str]]]:
    """(folder, metric, arm and label, what the page says) of every row of every marked table."""
    for mark in MARK.finditer(page.read_text("utf-8")):
        header, _, *lines = mark["table"].splitlines()
        by_seed = header.strip("| ").endswith("by seed")
        for line in lines:
            name, *said = [cell.strip(" *") for cell in line.strip("|").split("|")]
            cell = CELL.fullmatch(name)
            assert cell is not None, f"{page}: {line}"
            yield mark["folder"], mark["metric"], cell, said if by_seed else said[:1]


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "open-questions.md"], ids=lambda page: page.name)
def test_every_number_of_a_marked_table_is_that_of_the_committed_results(page: Path) -> None:
    rows = list(claimed(page))
    assert rows, "no marked table"
    for folder, metric, cell, said in rows:
        wanted = (cell["arm"], cell["label"].removesuffix("%"), metric, cell["condition"] or "")
        found = [
            row
            for row in results(folder)
            if (row["arm"], row["label"], row["metric"], row["condition"]) == wanted
            and row["wording"] == prompts.DEFAULT_WORDING[row["experiment"]]
        ]
        expected = [f"{number(row['mean'])} ({bounds(row)})" for row in found]
        if len(said) > 1:
            expected += [", ".join(number(one["mean"]) for one in row["by_seed"]) or "-" for row in found]
        assert expected == said, (page.name, cell[0])


def test_the_committed_logs_stay_under_30_megabytes() -> None:
    logs = [log.stat().st_size for log in (ROOT / "docs" / "results").glob("*/logs/*/*.eval")]
    assert len(logs) >= 8  # ootb and the main arms of one seed, of both experiments
    assert sum(logs) < 30e6
