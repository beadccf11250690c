"""The arrangement of a report, over frames as `mst pack` keeps them: no logs, several seeds, wordings, conditions."""

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mst_evals import labels, prompts, variants
from mst_evals.reporting import excerpts, results
from mst_evals.reporting import frame as frames
from mst_evals.reporting.frame import NO_SEED, Frame
from mst_evals.reporting.report import write_report
from mst_evals.reporting.sections import make_sections
from mst_evals.studies.study import Condition, Study

Row = dict[str, Any]
ROWS = 4
HOSTILE = '"><script>alert(1)</script>'


# --- Making frames --------------------------------------------------------------------------------------------------


def value(experiment: str, arm: str, label: labels.Label, seed: int, index: int) -> float:
    """What an arm does: mst and its kin follow the label, the others do not; seeds and rows differ a little."""
    follows = variants.arm(experiment, arm).has_labels and arm != "shuffled"
    place = label.places.get("bias" if experiment == "bias" else "suggestibility")
    if experiment == "bias":
        level = 2 + 2 * place if follows and place is not None else 2.5 if follows or arm == "ootb" else 6
        return level + (0.2 + 0.1 * follows) * max(seed, 0) + (0.2 - 0.1 * follows) * (index % 3)
    level = (0.8 if place > 66 else 0.1) if follows and place is not None else 0.5
    return level + 0.03 * max(seed, 0) + 0.02 * (index % 3)


def lines(
    experiment: str, arm: str, asked: Sequence[str], seeds: Sequence[int] = (0, 1), **more: str
) -> list[dict[str, Any]]:
    """Tidy lines of one arm."""
    axis, bias = variants.arm(experiment, arm).axis, experiment == "bias"
    setting = {
        "experiment": experiment, "split": "test", "data_sha256": "d" * 64, "choice": "generate" if bias else "forced",
        "wording": prompts.DEFAULT_WORDING[experiment], "base": "micro", "condition": "",
        "scorer": "lexical_bias" if bias else "choice", "judge": "", "arm": arm, "axis": axis.name,
    } | more  # fmt: skip
    found = []
    for seed in (NO_SEED,) if arm == "ootb" else seeds:
        log = f"{experiment}-{setting['wording']}-{setting['condition']}-{setting['base']}-{arm}-{seed}.eval"
        for name in asked:
            label = axis.label(name)
            for index in range(ROWS):
                score, right = value(experiment, arm, label, seed, index), not bias and index % 2 == 0
                verdict = 1.0 if score <= 3 else 0.5 if score <= 6 else 0.0
                found.append(
                    setting
                    | {
                        "seed": seed, "label": name, "role": label.role, "kind": label.kind,
                        "position": label.position, "relations": json.dumps(dict(label.relations)),
                        "row_id": f"r{index}", "cluster": f"c{index // (1 if bias else 2)}", "variant": "", "epoch": 1,
                        "right": right, "headline": f"Headline {index}", "id": f"{index}-{name}", "log": log,
                        "created": "2026", "value": score, "objectivity": verdict if bias else None,
                        "greedy": None if bias else float(score > 0.5), "mass": None if bias else 0.9, "reason": "",
                    }
                )  # fmt: skip
    return found


def deployed(experiment: str, arms: Sequence[str] = variants.MAIN, **more: str) -> list[dict[str, Any]]:
    """Some arms at the labels they are deployed with, and without a label."""
    return [
        line
        for arm in arms
        for line in lines(
            experiment, arm, list(dict.fromkeys((*variants.arm(experiment, arm).deployed_with, "none"))), **more
        )
    ]


def provenance(frame: pd.DataFrame, probed: bool = False) -> list[Row]:
    found = []
    for log, part in frame.groupby("log", sort=False):
        first = part.iloc[0]
        effects = (0.0, 0.0 if first["arm"] == "shuffled" else 0.3)
        use = [
            {
                "step": step, "label_use/effect": effect, "label_use/low": effect - 0.01, "label_use/high": effect + 1,
                "label_use/rows": 16, "label_use/unit": "nats a token",
            }
            for step, effect in zip((0, 10), effects, strict=True)
        ]  # fmt: skip
        labelled = probed and first["arm"] in ("mst", "shuffled")
        found.append(
            {key: str(first[key]) for key in ("arm", "experiment", "base", "condition", "wording", "split", "choice")}
            | {
                "log": log, "seed": None if first["seed"] == NO_SEED else int(first["seed"]), "used": True, "n": ROWS,
                "n_scored": ROWS, "status": "success", "created": "2026", "base_sha256": str(first["base"]),
                "label_use": use if labelled else [], "packages": {}, "task": "t", "task_version": "1",
            }
        )  # fmt: skip
    return found


def packed(folder: Path, found: list[dict[str, Any]], probed: bool = False) -> Path:
    """A folder as `mst pack` makes it."""
    frame, buffer = pd.DataFrame(found), io.BytesIO()
    frame.to_parquet(buffer, index=False)
    folder.mkdir()
    (folder / "frame.parquet").write_bytes(buffer.getvalue())
    cell = {"kind": "evaluate", "logs": provenance(frame, probed)}
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    content = {"schema": 1, "frame_sha256": digest, "notes": [], "cells": [cell]}
    (folder / "cells.json").write_text(json.dumps(content))
    return folder


def titles(folder: Path, study: Study | None = None) -> tuple[list[str], str]:
    """Titles of the report's sections, and its Markdown."""
    text = write_report(folder, folder / "out", study).markdown.read_text()
    return [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")], text


def study(*conditions: Condition, **more: Any) -> Study:
    return Study(
        name="try", experiment="bias", config="c.yaml", base="micro", seeds=[0, 1], arms={"mst": {}},
        conditions=list(conditions), **more,
    )  # fmt: skip


# --- Arrangement ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Main arms over their core labels, two other arms, another wording, a probe of the label's use, an axis probe."""
    found = deployed("bias")
    for arm in ("mst", "shuffled", "noisy_10", "scalar"):
        known = variants.arm("bias", arm)
        found += lines("bias", arm, [one.label for one in known.evaluations() if one.label not in ("none",)])
        found += lines("bias", arm, ["none"]) if arm not in variants.MAIN else []
    found = [dict(line) for line in {json.dumps(line, sort_keys=True): line for line in found}.values()]
    found += deployed("bias", ("baseline", "mst", "shuffled"), wording="neutral")
    folder = packed(tmp_path_factory.mktemp("whole") / "packed", found, probed=True)
    place = dict.fromkeys(labels.SLANT.core, 0.5)
    reading = {
        "direction": "intensity", "position": "label", "layer": 0, "accuracy": 1.0, "flat": False, "projection": place,
        "predicted": {}, "ends": [],
    }  # fmt: skip
    end = {"end": "low", "labels": ["UNBIASED"], "deployed": True, "mean": 0.2, "folds": False}
    probe = {
        "base": "micro", "base_sha256": "micro", "axis": "slant", "experiment": "bias", "layers": 1, "rows": 2,
        "groups": {"intensity": ["center", "strong"]}, "trained": list(labels.PROFILES),
        "swept": list(labels.SLANT.core), "summary": {"intensity": {"ends": [end]}}, "readings": [reading],
        "sentence": "The probe's sentence.", "exception": "A declared exception.",
    }  # fmt: skip
    (folder / "axis.json").write_text(json.dumps(probe))
    return folder


def test_sections_come_in_reading_order(whole: Path) -> None:
    found, text = titles(whole)
    assert found == [
        "Bias: split test, base micro, wording monitor, generate",
        "Other wordings: Bias, base micro",
        "Is the label used? Bias",
        "Axis probe: Bias, before any training",
        "Small print of Bias: split test, base micro, wording monitor, generate",
        "What this run cannot show",
        "Provenance",
    ]
    for sentence in (
        "difference survives every wording", "Not asked here: balanced, evaluation, factual, reporter.",
        "Warning: shuffled ends with a label channel that is ignored in 2 of 2 seeds", "The probe's sentence.",
        "the range used in its sweep, of which noise alone makes some, is lexical_bias ",
        "A declared exception.", "cannot be judged from 1 base",
        "No probe during training is recorded for scalar, noisy_10.",
        excerpts.NEED_LOGS,
    ):  # fmt: skip
        assert sentence in text


def test_figures_of_the_source_and_of_the_extensions_are_there(whole: Path) -> None:
    write_report(whole, whole / "out")
    assert sorted(path.name for path in (whole / "out" / "figures").iterdir()) == [
        "1-bias-lexical-bias-1c.svg", "1-bias-lexical-bias-1d.svg", "1-bias-lexical-bias-1e-axes.svg",
        "1-bias-lexical-bias-1e-bias.svg", "1-bias-lexical-bias-1e-others.svg", "1-bias-lexical-bias-1e.svg",
        "2-bias-wordings.svg", "3-bias-label-use.svg", "4-bias-axis-probe-1.svg",
    ]  # fmt: skip
    html = (whole / "out" / "report.html").read_text()
    assert html.count("<svg") == 9
    assert all(f'href="#s{index}"' in html and f'id="s{index}"' in html for index in range(1, 6))


def test_sycophancy_has_its_figures(tmp_path: Path) -> None:
    found = deployed("sycophancy")
    for arm in ("mst", "plain", "words"):
        asked = [one.label for one in variants.arm("sycophancy", arm).evaluations()]
        asked = [label for label in asked if arm != "mst" or label not in ("0", "none")]
        found += lines("sycophancy", arm, asked)
    folder = packed(tmp_path / "packed", found)
    found_titles, _ = titles(folder)
    assert found_titles[0] == "Sycophancy: split test, base micro, wording standard, forced"
    assert sorted(path.name for path in (folder / "out" / "figures").iterdir()) == [
        f"1-sycophancy-choice-{name}.svg" for name in ("2b", "2c", "2d-axes", "2d-others", "2d")
    ]


def test_conditions_come_first_and_keep_the_order_of_the_study(tmp_path: Path) -> None:
    found = [line for name in ("a", "b") for line in deployed("bias", ("baseline", "mst"), condition=name, base=name)]
    trained = ("strong_left", "center_left", "center_right", "strong_right")
    found += [line for name in ("a", "b") for line in lines("bias", "mst", trained, condition=name, base=name)]
    folder = packed(tmp_path / "packed", found)
    compared = [
        {
            "a": {"arm": "mst", "label": "held_out", "condition": name},
            "b": {"arm": "baseline", "label": "none", "condition": name},
            "metric": "lexical_bias",
        }
        for name in ("a", "c")
    ]
    given = study(
        Condition(name="b", x=1.0, about="one"), Condition(name="a", x=2.0), comparisons=compared, about="Why."
    )
    found_titles, text = titles(folder, given)
    assert found_titles[:4] == [
        "Declared comparisons of the study try",
        "Conditions: bias, study try",
        "Bias: split test, base b, wording monitor, generate, condition b",
        "Bias: split test, base a, wording monitor, generate, condition a",
    ]
    assert "- Why." in text and "Missing: mst with UNBIASED (condition c" in text and "- b: one" in text
    assert [title.split(", ")[-1] for title in found_titles if title.startswith("Small print")] == [
        "condition b", "condition a",
    ]  # fmt: skip
    assert text.count("bootstrap") >= len(("a", "b"))
    assert text.count("Response to the label, computed for each seed") == len(("a", "b"))
    assert text.count("| mst | lexical_bias | bias | UNBIASED") == len(("a", "b"))
    assert [path.name for path in (folder / "out" / "figures").iterdir()] == ["1-bias-conditions.svg"]


def test_a_single_condition_is_told_in_full(tmp_path: Path) -> None:
    folder = packed(tmp_path / "packed", deployed("bias", condition="only"))
    found, _ = titles(folder)
    assert found[0] == "Bias: split test, base micro, wording monitor, generate, condition only"
    assert not any(title.startswith("Conditions") for title in found)
    assert (folder / "out" / "figures" / "1-bias-lexical-bias-1c.svg").is_file()


def test_without_the_main_wording_the_fullest_one_leads(tmp_path: Path) -> None:
    found = deployed("bias", ("mst",), wording="balanced") + deployed("bias", wording="reporter")
    found_titles, text = titles(packed(tmp_path / "packed", found))
    assert found_titles[0] == "Bias: split test, base micro, wording reporter, generate"
    assert "the comparison was made" not in text and "this comparison was made in 1 of 2 wordings" in text


def test_two_bases_have_a_section_each(tmp_path: Path) -> None:
    found = deployed("bias", base="one") + deployed("bias", base="two")
    found_titles, _ = titles(packed(tmp_path / "packed", found))
    assert [title for title in found_titles if title.startswith("Bias")] == [
        "Bias: split test, base one, wording monitor, generate",
        "Bias: split test, base two, wording monitor, generate",
    ]


def test_hostile_names_are_text(tmp_path: Path) -> None:
    found = [
        line for name in ("a", HOSTILE) for line in deployed("bias", condition=name, wording=HOSTILE, base=HOSTILE)
    ]
    folder = packed(tmp_path / "packed", found, probed=True)
    summary = write_report(folder, tmp_path / "out")
    assert "<script" not in summary.html.read_text()
    assert "<script" not in summary.markdown.read_text()
    assert "&lt;script&gt;" in summary.html.read_text()
    assert all("<script" not in path.read_text() for path in (tmp_path / "out" / "figures").iterdir())


def test_nothing_makes_no_section() -> None:
    assert make_sections(None, [], []) == []


# --- Closings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [".", "logs"])
def test_closings_need_the_logs_and_are_found_beside_the_frame(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pd.DataFrame(deployed("bias"))
    (block,) = results.blocks(Frame(found, provenance(found), []))
    assert excerpts.closings(None, block) == excerpts.closings(tmp_path, block) == []
    assert excerpts.expected(block)
    read = []
    monkeypatch.setattr(frames, "completion", lambda root, log, name: read.append((root, log)) or f"One. Two. {name}.")
    for log in found["log"].unique():
        if not log.endswith("-0.eval"):  # only those of seed 1, and of the base, are here
            (tmp_path / place).mkdir(exist_ok=True)
            (tmp_path / place / log).touch()
    median, drawn = excerpts.closings(tmp_path, block)
    assert median.header == ("", "ootb (none)", "baseline (none)", "mst (UNBIASED)", "shuffled (UNBIASED)")
    assert "the median topic" in median.caption and "fixed hash" in drawn.caption
    assert median.rows[0][0] == "closing" and median.rows[0][3].startswith("Two. ")
    assert {root for root, _ in read} == {tmp_path / place}
    assert not any(log.endswith("-0.eval") for _, log in read)
