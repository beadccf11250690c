"""A run beside the same study made again: what is equal, what differs, what only one has."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic as sy
from test_report import pack
from typer.testing import CliRunner

from mst_evals.cli import app
from mst_evals.errors import InputError
from mst_evals.reporting import repeated, results
from mst_evals.reporting.computed import Computed
from mst_evals.reporting.frame import Frame
from mst_evals.reporting.layout import Section
from mst_evals.reporting.report import write
from mst_evals.reporting.tables import Table

SHAPE = (3, 20)


def values(level: float, seed: int = 1) -> np.ndarray:
    """Bias scores of three seeds on twenty rows."""
    return level + sy.noise(SHAPE, seed)


def run(**levels: np.ndarray) -> Frame:
    """A run of arms, each at the label it is deployed with."""
    names = {"mst": "UNBIASED", "baseline": "none", "shuffled": "UNBIASED"}
    return sy.frame(*(sy.cell("bias", arm, names[arm], found) for arm, found in levels.items()))


def sections(this: Frame, other: Frame) -> tuple[list[Section], list[dict[str, Any]]]:
    done = [Computed(block, [], [], [], [], [], [], []) for block in results.blocks(this)]
    return repeated.sections(done, this.provenance, list(results.blocks(other)), other.provenance)


def header(arm: str, seed: int, digest: str) -> dict[str, Any]:
    return {"experiment": "bias", "condition": "", "arm": arm, "seed": seed, "adapter_sha256": digest}


def test_the_same_numbers_are_equal_and_no_difference_is_counted() -> None:
    one = run(mst=values(3), baseline=values(5))
    (section,), rows = sections(one, one)
    assert section.findings[:2] == (
        "Both runs have 2 numbers (a measure of an arm under a label). The two intervals overlap in 2 of the 2 that "
        "have both.",
        "Of 120 values of a row under a seed 120 are equal within 1e-06; the largest difference is 0.",
    )
    assert not any("leave zero out" in line or "Only" in line for line in section.findings)
    assert [(row["arm"], row["overlap"], row["largest"]) for row in rows] == [("mst", True, 0.0), ("baseline", True, 0)]


def test_float32_dust_is_equal_and_more_is_not() -> None:
    dust, more = np.zeros(SHAPE), np.zeros(SHAPE)
    dust[0, 0], more[1, 2] = 0.9e-6, 1.1e-6
    (section,), rows = sections(run(mst=values(3)), run(mst=values(3) + dust + more))
    assert (
        "Of 60 values of a row under a seed 59 are equal within 1e-06; the largest difference is 1.1e-06"
        in (section.findings[1])
    )
    assert rows[0]["equal"] == 59


def test_intervals_apart_are_named_and_the_difference_has_its_sign() -> None:
    (section,), rows = sections(run(mst=values(3), baseline=values(5)), run(mst=values(7, 2), baseline=values(5)))
    assert section.findings[0].endswith(
        "The two intervals overlap in 1 of the 2 that have both; apart: mst (UNBIASED) lexical_bias, main wording."
    )
    assert section.findings[2] == ("Of 1 differences with an interval (equal numbers left aside) 1 leave zero out.")
    (apart,) = (row for row in rows if row["arm"] == "mst")
    assert apart["difference"]["mean"] == pytest.approx((values(3) - values(7, 2)).mean())
    assert apart["difference"]["ci_high"] < 0
    assert apart["overlap"] is False
    (table,) = section.items
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["mst (UNBIASED)", "baseline (none)"]
    assert {row[2] for row in table.rows} == {"main wording"}


def test_only_shared_rows_and_seeds_are_subtracted() -> None:
    other = sy.frame(sy.cell("bias", "mst", "UNBIASED", values(3)[1:, :12], seeds=[1, 2]))
    _, (row,) = sections(run(mst=values(3)), other)
    assert (row["values"], row["equal"]) == (24, 24)


def test_without_a_common_seed_no_value_is_compared() -> None:
    other = sy.frame(sy.cell("bias", "mst", "UNBIASED", values(3), seeds=[7, 8, 9]))
    (section,), (row,) = sections(run(mst=values(3)), other)
    assert (row["values"], row["largest"]) == (0, None)
    assert row["difference"]["mean"] == pytest.approx(0)
    assert not any("values of a row" in line for line in section.findings)


def test_what_only_one_run_has_is_named() -> None:
    other = sy.frame(
        sy.cell("bias", "mst", "UNBIASED", values(3)),
        sy.cell("bias", "mst", "strong_left", values(9)),
        sy.cell("bias", "mst", "UNBIASED", values(3), wording="evaluation"),
    )
    (section,), _ = sections(run(mst=values(3), shuffled=values(4)), other)
    assert "Only this run has: shuffled (UNBIASED), main wording." in section.findings
    theirs = "Only the other run has: mst (UNBIASED), wording evaluation; mst (strong_left), main wording."
    assert theirs in section.findings


def test_runs_without_a_common_number_say_so() -> None:
    other = sy.frame(sy.cell("bias", "mst", "UNBIASED", values(3), data_sha256="e" * 64))
    (section,), rows = sections(run(mst=values(3)), other)
    assert section.findings[0] == "The runs have no number in common."
    assert (section.items, rows) == ((), [])


def test_adapters_are_compared_by_their_digests() -> None:
    frame = run(mst=values(3))
    # Of seed 3 the other run has logs of two adapters: that is not the same.
    this = replace(frame, provenance=[header("mst", seed, name) for seed, name in enumerate("abcd")])
    theirs = [header("mst", 0, "a"), header("mst", 1, "x"), header("mst", 3, "d"), header("mst", 3, "e")]
    (section,), _ = sections(this, replace(frame, provenance=[*theirs, header("baseline", 0, "a")]))
    assert section.findings[-1] == (
        "Of 3 adapters that both runs trained (by condition, arm and seed) 1 are equal to the byte."
    )


def test_the_command_puts_it_first_and_into_results(tmp_path: Path) -> None:
    this, other = pack(run(mst=values(3)), tmp_path / "this"), pack(run(mst=values(3.01)), tmp_path / "other")
    done = CliRunner().invoke(app, ["report", str(this), "--out", str(tmp_path / "out"), "--against", str(other)])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert re.findall(r"^## (.*)$", text, re.M)[0] == "Bias: beside the other run"
    summary = write(run(mst=values(3)), None, tmp_path / "again", beside=str(other))
    (row,) = summary.results["repeated"]
    assert row["difference"]["mean"] == pytest.approx(-0.01)


def test_a_folder_without_logs_is_one_line(tmp_path: Path) -> None:
    this = pack(run(mst=values(3)), tmp_path / "this")
    (tmp_path / "empty").mkdir()
    arguments = ["report", str(this), "--out", str(tmp_path / "out"), "--against", str(tmp_path / "empty")]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, InputError)
    assert str(tmp_path / "empty") in str(done.exception)
    assert not (tmp_path / "out").exists()
