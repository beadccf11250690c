"""How each arm's behaviour responds along its label axis: per seed first, then over seeds (`response` has the maths).

On every dimension of an axis the labels that stand at one place are averaged (strong_left and strong_right both stand
at bias 2), except that the held-out label keeps its place to itself: it is what deployment uses, and another label
there (center) is left out of the curve and named. Paraphrases, implausible labels and controls are no points of it.

The held-out labels on the held-out label's side of the trained range are also compared one by one with the best trained
place, over seeds and rows. The best place is picked from the same data and for looking best, so this can understate
extrapolation and never overstate it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mst_evals import labels, variants
from mst_evals.reporting import comparisons, matrices, results
from mst_evals.reporting.frame import NO_SEED
from mst_evals.reporting.matrices import Matrix
from mst_evals.reporting.phrases import bounds, number
from mst_evals.reporting.results import Block, Metric
from mst_evals.reporting.tables import Table
from mst_evals.statistics import response, seeds, stats

Row = dict[str, Any]
NO_PLACE = "the held-out label has no place on this axis, so nothing is extrapolated"
FEWEST = 3  # labels with a place that make a sweep


@dataclass(frozen=True)
class Point:
    """One place of a curve.

    Attributes:
        place: On the dimension.
        names: The labels that stand there and were asked.
        relation: To the trained labels.
        matrix: Their mean, by seed and row.
    """

    place: float
    names: tuple[str, ...]
    relation: labels.Relation
    matrix: Matrix


def _axis(block: Block, arm: str) -> labels.Axis:
    """The axis that the arm's samples were asked on."""
    named = block.samples.loc[block.samples["arm"] == arm, "axis"].iloc[0]
    return variants.axis(block.experiment, named) if named else results.axis_of(block.experiment, arm)


def _asked(block: Block, arm: str, axis: labels.Axis) -> list[str]:
    """The labels of the axis that the arm was asked with, in plotting order; no paraphrase, no implausible one."""
    lines = block.by_seed[(block.by_seed["arm"] == arm) & (block.by_seed["kind"] == "label")]
    found = list(dict.fromkeys(lines["label"]))
    order = {name: index for index, name in enumerate((*axis.core, *axis.sweep))}
    place = {name: axis.position(name) for name in found}
    return sorted(found, key=lambda name: (place[name] is None, place[name] or 0.0, order.get(name, 0)))


def _cells(block: Block, arm: str, names: Sequence[str], metric: Metric) -> dict[str, Matrix]:
    """The matrix of each of some labels."""
    return {name: block.matrix(arm, name, metric) for name in names}


def _mean(cells: Mapping[str, Matrix]) -> Matrix:
    """Mean over labels by seed and row; NaN where one of them has no value."""
    first, *others = cells.values()
    for other in others:
        left, right = matrices.aligned(first, other)
        first = replace(left, values=left.values + right.values)
    return replace(first, values=first.values / len(cells))


def _points(block: Block, arm: str, axis: labels.Axis, dimension: str, metric: Metric) -> tuple[list[Point], list[str]]:
    """The places of a curve in order, and the labels left out because they stand where the held-out label does."""
    at: dict[tuple[float, bool], list[str]] = {}
    for name in _asked(block, arm, axis):
        place = axis.label(name).places.get(dimension)
        if place is not None:
            at.setdefault((place, name == axis.held_out), []).append(name)
    own = {place for place, is_held_out in at if is_held_out}
    left_out = [
        name for (place, is_held_out), names in at.items() if place in own and not is_held_out for name in names
    ]
    points = [
        Point(place, tuple(names), axis.label(names[0]).relations[dimension], _mean(_cells(block, arm, names, metric)))
        for (place, is_held_out), names in sorted(at.items())
        if is_held_out or place not in own
    ]
    return points, left_out


def _responses(
    points: Sequence[Point], axis: labels.Axis, alone: Matrix | None, metric: Metric, every: Sequence[int]
) -> list[response.Response]:
    """The response of every seed. `alone` is the held-out label's matrix where it has no place on the dimension."""
    assert metric.better is not None
    tolerance = comparisons.margin_of(metric)
    held_out = next((index for index, point in enumerate(points) if axis.held_out in point.names), None)
    found = []
    for seed in every:
        values = [_value(point.matrix, seed, metric) for point in points]
        places, trained = [point.place for point in points], [point.relation == "trained" for point in points]
        if held_out is not None:
            found.append(response.label_response(places, values, trained, held_out, metric.better, tolerance))
            continue
        # Without a place the held-out label is no point of the curve; it is still compared with the best trained one.
        one = response.label_response(
            [*places, 0.0], [*values, np.nan], [*trained, False], len(places), metric.better, tolerance
        )
        found.append(_unplaced(one, None if alone is None else _value(alone, seed, metric), metric.better))
    return found


def _unplaced(one: response.Response, value: float | None, better: stats.Better) -> response.Response:
    """A response with the value of a held-out label that has no place."""
    if value is None or not np.isfinite(value):
        return one
    sign = 1.0 if better == "lower" else -1.0
    beyond = None if one.best_trained is None else sign * (one.best_trained - value)
    note = f"{one.note}; " if one.flat else ""
    return replace(one, held_out=value, beyond=beyond, note=note + NO_PLACE)


def _value(matrix: Matrix, seed: int, metric: Metric) -> float:
    """The metric of one seed, NaN where it has none."""
    if seed not in matrix.seeds and not matrix.fixed:
        return float("nan")
    place = 0 if matrix.fixed else matrix.seeds.index(seed)
    value = matrices.by_seed(matrix, metric.kind)[place]
    return float("nan") if value is None else value


# --- the held-out range against the best trained place ------------------------------------------------------------


def _beyond_points(points: Sequence[Point], axis: labels.Axis) -> list[Point]:
    """The held-out places on the held-out label's side of the trained range, from the nearest outwards."""
    own = next((point for point in points if axis.held_out in point.names), None)
    trained = [point.place for point in points if point.relation == "trained"]
    if own is None or not trained or own.relation != "extrapolation":
        return []
    if own.place < min(trained):
        return [point for point in reversed(points) if point.place < min(trained)]
    return [point for point in points if point.place > max(trained)]


def _neighbours_asked(points: Sequence[Point], own: Point, axis: labels.Axis, dimension: str) -> bool:
    """Whether the trained places on either side of a label between them were asked: the best one is likely there."""
    trained = [place for name in axis.trained if (place := axis.label(name).places.get(dimension)) is not None]
    below, above = [place for place in trained if place < own.place], [place for place in trained if place > own.place]
    return {max(below), min(above)} <= {point.place for point in points}


def _against_best(points: Sequence[Point], others: Sequence[Mapping[str, Matrix]], metric: Metric) -> list[Row]:
    """Each of some places minus the best trained place, over seeds and rows, positive where it is worse.

    Args:
        points: The curve.
        others: The labels at each place that is compared, with their matrices.
        metric: What is compared.
    """
    trained = [point for point in points if point.relation == "trained"]
    sign = 1.0 if metric.better == "lower" else -1.0
    means = [
        sign * mean if (mean := matrices.summary_mean(point.matrix, metric.kind)) is not None else np.inf
        for point in trained
    ]
    if not trained or not np.isfinite(min(means)):
        return []
    best = trained[int(np.argmin(means))]
    found = []
    for cells in others:
        worse, facts = _shortfall(_mean(cells), best.matrix, metric)
        each = zip(worse.seeds, matrices.by_seed(worse, metric.kind), strict=False)
        apart = {name: _shortfall(one, best.matrix, metric, resample=False)[1] for name, one in cells.items()}
        found.append(
            {
                "label": ", ".join(cells), "best_trained": list(best.names), "worse_by": facts["mean"],
                **{key: facts[key] for key in ("ci_low", "ci_high", "interval", "over_rows", "over_seeds")},
                "seeds": [seed for seed in worse.seeds if seed != NO_SEED],
                "by_seed": [{"seed": seed, "worse_by": value} for seed, value in each if seed != NO_SEED],
                "each_label": [
                    {"label": name, "worse_by": own["mean"], "ci_low": own["ci_low"], "ci_high": own["ci_high"]}
                    for name, own in apart.items() if len(apart) > 1
                ],
            }
        )  # fmt: skip
    return found


def _shortfall(matrix: Matrix, best: Matrix, metric: Metric, resample: bool = True) -> tuple[Matrix, Row]:
    """Values minus the best trained ones, positive where they are worse, and their summary."""
    apart = matrices.difference(matrix, best)
    worse = replace(apart, values=apart.values if metric.better == "lower" else -apart.values)
    return worse, matrices.summary(worse, metric.kind, comparisons.difference_bounds(metric), resample=resample)


# --- rows ---------------------------------------------------------------------------------------------------------


def _over(found: seeds.OverSeeds, every: Sequence[int]) -> Row:
    each = [{"seed": seed, "value": value} for seed, value in zip(every, found.values, strict=True) if seed != NO_SEED]
    return {"mean": found.mean, "ci_low": found.low, "ci_high": found.high, "by_seed": each}


def _place_rows(points: Sequence[Point], metric: Metric) -> list[Row]:
    """The curve itself: each place with its headline interval."""
    found = []
    for point in points:
        facts = matrices.summary(point.matrix, metric.kind, metric.bounds, resample=False)
        each = zip(point.matrix.seeds, matrices.by_seed(point.matrix, metric.kind), strict=False)
        found.append(
            {
                "place": point.place, "labels": list(point.names), "relation": point.relation, "mean": facts["mean"],
                "ci_low": facts["ci_low"], "ci_high": facts["ci_high"], "interval": facts["interval"],
                "by_seed": [{"seed": seed, "mean": mean} for seed, mean in each if seed != NO_SEED],
            }
        )  # fmt: skip
    return found


def _row(block: Block, arm: str, axis: labels.Axis, dimension: str, metric: Metric) -> Row | None:
    """The response of one arm on one dimension, None where fewer than `FEWEST` places were asked."""
    points, left_out = _points(block, arm, axis, dimension, metric)
    if len(points) < FEWEST:
        return None
    asked = _asked(block, arm, axis)
    alone = block.matrix(arm, axis.held_out, metric) if axis.held_out in asked else None
    every = sorted({seed for point in points for seed in point.matrix.seeds}) or [NO_SEED]
    each = _responses(points, axis, alone, metric, every)
    summary = response.summarise_responses(each)
    own = next((point for point in points if axis.held_out in point.names), None)
    outside = [_cells(block, arm, point.names, metric) for point in _beyond_points(points, axis)]
    if own is None and alone is not None:
        outside = [{axis.held_out: alone}]
    elif own is not None and own.relation == "interpolation" and _neighbours_asked(points, own, axis, dimension):
        outside = [{axis.held_out: own.matrix}]
    return {
        **results.identity(block), "arm": arm, "metric": metric.name, "better": metric.better, "axis": axis.name,
        "dimension": dimension, "held_out": axis.held_out, "held_out_relation": own.relation if own else "unplaced",
        "seeds": [seed for seed in every if seed != NO_SEED], "flat": summary.flat, "n_seeds": summary.seeds,
        "tolerance": comparisons.margin_of(metric), "places": _place_rows(points, metric), "left_out": left_out,
        "unplaced": [name for name in asked if axis.position(name) is None],
        **{name: _over(getattr(summary, name), every) for name in ("range", "monotonicity", "beyond", "uptick")},
        "notes": list(dict.fromkeys(one.note for one in each if one.note)),
        "each": [asdict(one) | {"seed": seed} for seed, one in zip(every, each, strict=True) if seed != NO_SEED],
        "against_best_trained": _against_best(points, outside, metric), **results.measure(block),
    }  # fmt: skip


def response_rows(block: Block) -> list[Row]:
    """The label-response summary of every arm that was swept, for each primary metric and dimension of its axis.

    Args:
        block: The block; articles from elsewhere have no labels and give nothing.

    Returns:
        Rows of ``results.json``: `places` (the curve), `range`, `monotonicity`, `beyond` and `uptick` (each with the
        value of every seed, their mean and t interval over seeds, these rows; see `response.Response`), `flat` (seeds
        whose curve is flat) and `against_best_trained` (see the module; `each_label` has the labels of a place apart).
    """
    if block.setting["choice"] == results.EXISTING:
        return []
    found = []
    for arm in block.arms:
        axis = _axis(block, arm)
        rows = [_row(block, arm, axis, dimension, metric) for metric in block.primary for dimension in axis.dimensions]
        found += [row for row in rows if row is not None]
    return found


# --- the table ----------------------------------------------------------------------------------------------------


def _cell(facts: Mapping[str, Any]) -> str:
    """A mean with its interval over seeds; of one seed the value alone."""
    if facts["mean"] is None:
        return "–"
    return number(facts["mean"]) if facts["ci_low"] is None else f"{number(facts['mean'])} ({bounds(facts)})"


def _uptick(row: Mapping[str, Any]) -> str:
    """The uptick, and at which place every seed has its own."""
    at = [number(None) if one["uptick_at"] is None else f"{one['uptick_at']:.3g}" for one in row["each"]]
    return _cell(row["uptick"]) + (f"; at {', '.join(at)}" if set(at) - {number(None)} else "")


def response_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One line for each arm, metric and dimension."""
    lines = []
    for row in rows:
        trained = [name for place in row["places"] if place["relation"] == "trained" for name in place["labels"]]
        untrained = [place for place in row["places"] if place["relation"] != "trained"]
        shape = f"flat in {row['flat']} of {row['n_seeds']}" if row["flat"] else _cell(row["monotonicity"])
        if row["flat"] and row["flat"] < row["n_seeds"]:
            shape += f"; otherwise {_cell(row['monotonicity'])}"
        named = [
            ", ".join(name for place in untrained if place["relation"] == relation for name in place["labels"])
            for relation in ("interpolation", "extrapolation")
        ]
        lines.append(
            (
                row["arm"], row["metric"], row["dimension"], f"{row['held_out']} ({row['held_out_relation']})",
                _cell(row["range"]), shape, _cell(row["beyond"]), _uptick(row), _span(trained),
                *(part or "–" for part in named), ", ".join(map(str, row["seeds"])) or "–",
            )
        )  # fmt: skip
    header = (
        "arm", "metric", "dimension", "held-out label", "range used", "monotonicity", "beyond best trained", "uptick",
        "trained", "interpolation", "extrapolation", "seeds",
    )  # fmt: skip
    caption = (
        "Response to the label, computed for each seed and then over seeds (mean, 95% t interval over seeds, these "
        "rows; one seed has none). Range: largest minus smallest value along the dimension. Monotonicity: Spearman's "
        "rank correlation with the place; a curve whose range is below the tolerance (0.5 on the 0-10 scale, 0.05 of a "
        "rate) is flat and has none. Beyond: by how much the held-out label is better than the best trained place, "
        "negative where it falls short. Uptick: the largest rise going outwards from the trained range, by how much a "
        "held-out label is worse than the best place between the two, and at which place in each seed; it cannot be "
        "below 0 and noise alone makes it positive, so read it beside that of shuffled. Labels at one place are "
        "averaged."
    )
    if left_out := sorted({name for row in rows for name in row["left_out"]}):
        caption += f" Not in it, since it stands where the held-out label does: {', '.join(left_out)}."
    return Table(caption, header, tuple(lines))


def _span(names: Sequence[str]) -> str:
    """Some labels, all of them when few, otherwise the first and the last."""
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} … {names[-1]} ({len(names)} labels)"
