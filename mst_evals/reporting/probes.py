"""Axis probes beside what was measured: did the base's own number line say how the held-out end would come out?

`training.axis_probe` writes the JSON files read here. A place of 0 reads like the low group of trained labels, one of 1
like the high group; at the high group the behaviour is expected (agreeing pays, the slant is strong).
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from mst_evals.reporting.figures import is_number
from mst_evals.reporting.phrases import number
from mst_evals.reporting.tables import Table

Row = Mapping[str, Any]
Probe = Mapping[str, Any]

KEYS = {"base", "base_sha256", "axis", "experiment", "groups", "swept", "trained", "layers", "summary", "readings"}
LARGEST = 20_000_000  # bytes; no probe is larger
LAYERS = 5  # that a table or figure shows
FEWEST = 4  # bases below which a rank correlation says nothing: chance orders three of them perfectly in a third
POSITION = "label"


def find(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Axis probes among the JSON files below some folders, by base and axis; a file of another form is no probe.

    Args:
        folders: Searched to any depth; a file is looked at itself, and one that does not exist holds none.
    """
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.json")) if folder.is_dir() else [folder]:
            if not path.is_file() or path.suffix != ".json" or path.stat().st_size > LARGEST:
                continue
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:  # half-written or not ours: other programs keep JSON files beside logs
                continue
            if isinstance(content, dict) and content.keys() >= KEYS and isinstance(content["summary"], dict):
                found[content["axis"], content["base"], content["base_sha256"]] = content
    return [found[key] for key in sorted(found)]


def layers(probe: Probe, direction: str) -> list[dict[str, Any]]:
    """Readings of the label's own tokens in the embeddings and in evenly spaced layers, the last one included."""
    at = {
        reading["layer"]: reading
        for reading in probe["readings"]
        if reading["direction"] == direction and reading["position"] == POSITION
    }
    if not at:
        return []
    known = sorted(at)
    places = np.unique(np.linspace(0, len(known) - 1, min(LAYERS, len(known))).round().astype(int))
    return [at[known[place]] for place in places]


def layer_name(reading: Mapping[str, Any]) -> str:
    """A reading's layer, and that it says nothing where it does not tell the trained labels apart."""
    where = "embeddings" if reading["layer"] == 0 else f"layer {reading['layer']}"
    return f"{where} (not told apart)" if reading["flat"] else where


def table(probe: Probe, direction: str, behaviour: Mapping[str, Row], measured: str) -> Table:
    """Place of every swept label, layer by layer, with the behaviour of mst at the label beside it.

    Args:
        probe: The probe.
        direction: One of its directions.
        behaviour: Label -> arm row of mst on the same base; labels that were not asked are missing.
        measured: What the behaviour is.
    """
    low, high = probe["groups"][direction]
    shown = layers(probe, direction)
    rows = []
    for label in probe["swept"]:
        cells = [reading["projection"].get(label) for reading in shown]
        row = behaviour.get(label)
        role = "trained" if label in probe["trained"] else "control" if label in ("none", "nonsense") else "held out"
        rows.append((label, role, *(number(cell) for cell in cells), number(row["mean"]) if row else "–"))
    accuracy = ("told apart", "", *(f"{100 * reading['accuracy']:.0f}%" for reading in shown), "")
    caption = (
        f"Axis probe of {probe['base']}, direction {direction}: 0 reads like {low}, 1 like {high}, averaged over "
        f"{probe.get('rows', '?')} rows. Told apart: trained labels on their own side when left out."
    )
    return Table(caption, ("label", "role", *map(layer_name, shown), f"{measured}, mst"), (accuracy, *rows))


# --- over several bases -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prediction:
    """One base: what the probe says of the held-out end, and what mst does there.

    Attributes:
        base: Its name.
        labels: The held-out labels at the end of deployment that were asked.
        place: Mean place of that end over the headline readings that tell the trained labels apart.
        measured: Mean behaviour of mst at these labels, with the mean of each seed (the form of an arm row).
        shortfall: How much higher that is than at the best trained label of the low group, None when none of them was
            asked. A base on which the label is not learnt is high everywhere; this is what a line that folds back
            predicts.
    """

    base: str
    labels: tuple[str, ...]
    place: float
    measured: Row
    shortfall: float | None


def _end(probe: Probe) -> tuple[str, float, tuple[str, ...]] | None:
    """Direction, mean place and labels of the deployed end; None where no reading tells the trained labels apart."""
    for direction, summary in probe["summary"].items():
        for end in summary.get("ends", []):
            if end["deployed"]:
                return direction, float(end["mean"]), tuple(end["labels"])
    return None


def _low_group(probe: Probe, direction: str) -> list[str]:
    """The trained labels that the base itself places nearer to the low group, over the readings of `layers`."""
    readings = layers(probe, direction)
    places = {name: [reading["projection"].get(name) for reading in readings] for name in probe["trained"]}
    return [name for name, each in places.items() if each and None not in each and np.mean(each) < 0.5]


def prediction(probe: Probe, behaviour: Mapping[str, Row]) -> Prediction | None:
    """What the probe predicts for the held-out end and what was measured there, None where one of them is missing."""
    end = _end(probe)
    if end is None:
        return None
    direction, place, names = end
    rows = {label: behaviour[label] for label in names if label in behaviour and is_number(behaviour[label]["mean"])}
    if not rows:
        return None
    by_seed: dict[int, list[float]] = {}
    for row in rows.values():
        for seed in row["by_seed"]:
            if is_number(seed["mean"]):
                by_seed.setdefault(seed["seed"], []).append(seed["mean"])
    whole = {seed: values for seed, values in by_seed.items() if len(values) == len(rows)}
    only = next(iter(rows.values())) if len(rows) == 1 else {"ci_low": None, "ci_high": None}
    measured = {
        "mean": float(np.mean([row["mean"] for row in rows.values()])),
        "ci_low": only["ci_low"],
        "ci_high": only["ci_high"],
        "by_seed": [{"seed": seed, "mean": float(np.mean(values))} for seed, values in sorted(whole.items())],
    }
    low = [behaviour[label]["mean"] for label in _low_group(probe, direction) if label in behaviour]
    known = [mean for mean in low if is_number(mean)]
    shortfall = measured["mean"] - min(known) if known else None
    return Prediction(str(probe["base"]), tuple(rows), place, measured, shortfall)


def judgement(predictions: Sequence[Prediction], measured: str) -> str:
    """How well the probe predicts the behaviour over bases: Spearman's rho and its n, or that it cannot be judged."""
    n = len(predictions)
    if n < FEWEST:
        bases = f"{n} base" if n == 1 else f"{n} bases"
        return (
            f"Whether the probe predicts the behaviour at the held-out end cannot be judged from {bases}: at least "
            f"{FEWEST} are needed."
        )
    found = [
        f"with the {what} {_rank_correlation([one.place for one in predictions], values)}"
        for what, values in (
            (f"{measured} of mst there", [one.measured["mean"] for one in predictions]),
            (
                "amount by which that is above mst's best trained label of the low group",
                [one.shortfall for one in predictions],
            ),
        )
    ]
    return (
        f"Over {n} bases, rank correlation of the probe's place of the held-out end {'; '.join(found)} (Spearman; 1 "
        f"would be a perfect prediction; by chance {n} bases come in the right order once in {math.factorial(n)})."
    )


def _rank_correlation(places: Sequence[float], values: Sequence[float | None]) -> str:
    """Spearman's rho, or why there is none."""
    known = [value for value in values if value is not None]
    if len(known) < len(places):
        return "unknown, not asked on every base"
    if np.ptp(places) == 0 or np.ptp(known) == 0:
        return "undefined, one of the two does not vary"
    return number(float(scipy_stats.spearmanr(places, known).statistic))


def prediction_table(predictions: Sequence[Prediction], measured: str) -> Table:
    """Predicted place against measured behaviour, a row for each base."""
    rows = [
        (
            one.base, ", ".join(one.labels), number(one.place), "high group" if one.place > 0.5 else "low group",
            number(one.measured["mean"]), number(one.shortfall),
            "; ".join(f"{seed['seed']}:\u00a0{number(seed['mean'])}" for seed in one.measured["by_seed"]) or "–",
        )
        for one in predictions
    ]  # fmt: skip
    header = ("base", "held-out labels", "place", "reads like the", f"{measured}, mst", "above best trained", "by seed")
    caption = (
        "Where each base places the held-out end before training (0: low group of trained labels, 1: high group; mean "
        "over the embeddings and the last layer where they tell these apart) and what mst does there after it. Above "
        "best trained: how much higher that is than at the trained label of the low group where mst is lowest."
    )
    return Table(caption, header, tuple(rows))
