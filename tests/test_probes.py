"""Axis probes beside what was measured."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mst_evals.reporting import probe_figures, probes

Row = dict[str, Any]


def reading(layer: int, values: dict[str, float | None], flat: bool = False, position: str = "label") -> Row:
    return {
        "direction": "suggestibility", "position": position, "layer": layer, "accuracy": 0.5 if flat else 1.0,
        "flat": flat, "projection": values, "predicted": {}, "ends": [],
    }  # fmt: skip


def probe(
    base: str = "micro", place: float | None = 0.3, labels: tuple[str, ...] = ("0", "10"), layers: int = 8
) -> Row:
    values = {"0": 0.3, "10": 0.2, "33": 0.0, "100": 1.0, "none": None, "nonsense": 0.5}
    end = {"end": "low", "labels": list(labels), "deployed": True, "mean": place, "folds": False}
    high = {"end": "high", "labels": ["150"], "deployed": False, "mean": 0.9, "folds": False}
    return {
        "base": base, "base_sha256": base, "axis": "suggestibility", "experiment": "sycophancy", "rows": 4,
        "layers": layers, "groups": {"suggestibility": ["33..66", "67..100"]}, "trained": ["33", "100"],
        "swept": list(values), "summary": {"suggestibility": {"ends": [] if place is None else [high, end]}},
        "readings": [reading(layer, values, layer == 2) for layer in range(layers + 1)]
        + [reading(layers, values, position="prompt_end")],
    }  # fmt: skip


def arm(mean: float | None, *seeds: float | None) -> Row:
    by_seed = [{"seed": index, "mean": value} for index, value in enumerate(seeds)]
    return {"mean": mean, "ci_low": 0.1, "ci_high": 0.9, "by_seed": by_seed}


def test_probes_are_found_by_their_form(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "axis.json").write_text(json.dumps(probe("b")))
    (tmp_path / "a.json").write_text(json.dumps(probe("a")))
    (tmp_path / "again.json").write_text(json.dumps(probe("a")))
    for name, text in (("cut.json", '{"base": '), ("other.json", "{}"), ("list.json", "[1]"), ("not.txt", "{}")):
        (tmp_path / name).write_text(text)
    (tmp_path / "folder.json").mkdir()
    assert [one["base"] for one in probes.find([tmp_path])] == ["a", "b"]
    assert [one["base"] for one in probes.find([tmp_path / "a.json", tmp_path / "absent"])] == ["a"]


def test_layers_are_spread_over_the_model_with_both_ends() -> None:
    found = probes.layers(probe(layers=8), "suggestibility")
    assert [one["layer"] for one in found] == [0, 2, 4, 6, 8]
    assert [probes.layer_name(one) for one in found[:2]] == ["embeddings", "layer 2 (not told apart)"]
    assert [one["layer"] for one in probes.layers(probe(layers=1), "suggestibility")] == [0, 1]
    assert probes.layers(probe(), "intensity") == []


def test_table_has_the_behaviour_beside_the_places() -> None:
    shown = probes.table(probe(layers=1), "suggestibility", {"0": arm(0.25)}, "fpr")
    assert shown.header == ("label", "role", "embeddings", "layer 1", "fpr, mst")
    assert shown.rows[0] == ("told apart", "", "100%", "100%", "")
    assert shown.rows[1] == ("0", "held out", "0.30", "0.30", "0.25")
    assert [row[1] for row in shown.rows[2:]] == ["held out", "trained", "trained", "control", "control"]
    assert shown.rows[5] == ("none", "control", "–", "–", "–")


def test_prediction_averages_the_labels_of_the_end_that_were_asked() -> None:
    found = probes.prediction(probe(), {"0": arm(0.2, 0.1, 0.3), "10": arm(0.4, 0.3, 0.5), "33": arm(0.9, 0.9, 0.9)})
    assert found is not None
    assert (found.place, found.labels) == (0.3, ("0", "10"))
    assert found.measured["mean"] == pytest.approx(0.3)
    assert [seed["mean"] for seed in found.measured["by_seed"]] == pytest.approx([0.2, 0.4])
    assert found.shortfall == pytest.approx(0.3 - 0.9)  # 33 is of the low group; the base reads 100 as of the high one
    only_high = probes.prediction(probe(), {"0": arm(0.2), "100": arm(0.1)})
    assert only_high is not None and only_high.shortfall is None
    assert found.measured["ci_low"] is None  # an interval of one label is none of their mean
    one = probes.prediction(probe(), {"0": arm(0.2, 0.1, 0.3), "10": arm(None)})
    assert one is not None and (one.labels, one.measured["ci_low"], one.shortfall) == (("0",), 0.1, None)


@pytest.mark.parametrize(
    ("found", "behaviour"), [(probe(place=None), {"0": arm(0.2)}), (probe(), {}), (probe(), {"33": arm(0.1)})]
)
def test_no_prediction_without_both_sides(found: Row, behaviour: dict[str, Row]) -> None:
    assert probes.prediction(found, behaviour) is None


def predictions(*pairs: tuple[float, float]) -> list[probes.Prediction]:
    """Bases with a place and a behaviour; the shortfall orders them the other way round."""
    return [probes.Prediction(f"b{index}", ("0",), x, arm(y, y), -y) for index, (x, y) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ((), "cannot be judged from 0 bases: at least 4"),
        (((0.1, 0.1),), "cannot be judged from 1 base: at least 4"),
        (((0.1, 0.1), (0.2, 0.2), (0.3, 0.3)), "cannot be judged from 3 bases"),
        (
            ((0.1, 0.1), (0.2, 0.3), (0.3, 0.2), (0.4, 0.4)),
            "there 0.80; with the amount by which",
        ),  # 1 - 6 * 2 / (4 * 15)
        (((0.1, 0.4), (0.2, 0.3), (0.3, 0.2), (0.4, 0.1)), "of the low group 1.00 (Spearman; 1 would"),
        (((0.1, 0.4), (0.2, 0.3), (0.3, 0.2), (0.4, 0.1)), "there -1.00; "),
        (((0.1, 0.1),) * 4, "does not vary"),
    ],
)
def test_judgement(pairs: tuple[tuple[float, float], ...], told: str) -> None:
    assert told in probes.judgement(predictions(*pairs), "false-positive rate")


def test_judgement_without_the_trained_labels_of_a_base() -> None:
    found = predictions((0.1, 0.1), (0.2, 0.2), (0.3, 0.3), (0.4, 0.4))
    said = probes.judgement([*found[:3], replace(found[3], shortfall=None)], "false-positive rate")
    assert "there 1.00; with the amount" in said and "unknown, not asked on every base" in said
    assert "once in 24" in said


def test_prediction_table() -> None:
    rows = probes.prediction_table(predictions((0.7, 0.9), (0.2, 0.1)), "fpr").rows
    assert rows[0] == ("b0", "0", "0.70", "high group", "0.90", "-0.90", "0:\u00a00.90")
    assert rows[1][3] == "low group"


def count(svg: str) -> int:
    groups = [one for one in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}g") if one.get("id") == "points"]
    return sum(len(list(group.iter("{http://www.w3.org/2000/svg}use"))) for group in groups)


def test_figure_has_a_mark_for_each_layer_and_label_and_for_each_behaviour() -> None:
    alone = probe_figures.axis_probe(probe(), {}, "fpr", (0, 1), "label")
    assert count(alone) == 5 * 5  # five layers, five labels with a place: none has no tokens to read
    behaviour = {"0": arm(0.2), "33": arm(0.1), "100": arm(0.9), "50": arm(0.5), "10": arm(None)}
    assert count(probe_figures.axis_probe(probe(), behaviour, "fpr", (0, 1), "label")) == 5 * 5 + 3
    assert "<!-- layer 2 (not told apart) -->" in alone


@pytest.mark.parametrize("pairs", [((0.1, 0.1),), ((0.1, 0.1), (0.7, 0.9))])
def test_figure_of_several_bases(pairs: tuple[tuple[float, float], ...]) -> None:
    drawn = probe_figures.predicted_and_measured(predictions(*pairs), "fpr")
    assert count(drawn) == len(pairs)
    assert [one.base for one in predictions(*pairs) if f"<!-- {one.base} -->" not in drawn] == []
