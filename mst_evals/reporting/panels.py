"""The figures over prompt wordings, over a study's conditions and over training steps."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mst_evals.labels import LEAST_USE
from mst_evals.reporting import conditions, usage
from mst_evals.reporting.conditions import Shown
from mst_evals.reporting.figures import (
    INK,
    MUTED,
    SEED,
    Row,
    bounds,
    colour,
    is_number,
    marker,
    seed_values,
    short,
    svg,
)
from mst_evals.reporting.usage import Use
from mst_evals.reporting.wordings import AGAINST, Asked

COLUMNS = 4  # of small multiples


# --- wordings -----------------------------------------------------------------------------------------------------


def _differences(axes: Axes, asked: Sequence[Asked], against: str) -> None:
    """Difference of mst to another arm, a line for each wording, with its interval and a dot for each seed."""
    axes.axvline(0, color=INK, linewidth=0.9)
    for place, one in enumerate(asked):
        row = one.differences.get(against)
        if row is None or not is_number(row["diff"]):
            axes.text(0, place, "  not asked", va="center", fontsize=8.5, color=MUTED)
            continue
        dots = [seed["diff"] for seed in row.get("by_seed", []) if is_number(seed["diff"])]
        if (ends := bounds(row)) is not None:
            axes.plot(ends, [place, place], color=colour(against), linewidth=1.8, zorder=2)
        if len(dots) > 1:
            axes.plot(dots, [place + 0.22] * len(dots), ".", color=MUTED, markersize=5, gid="seeds")
        axes.plot(
            [row["diff"]], [place], marker(against), color=colour(against), markersize=8,
            markeredgecolor=INK if one.main else colour(against), zorder=3, gid="points",
        )  # fmt: skip
    axes.set_title(f"mst minus {against}, each at its own label", fontsize=10)


def wording_differences(measures: Sequence[tuple[str, Sequence[Asked]]]) -> str:
    """Differences of mst to baseline and to shuffled, wording by wording; left of zero mst has less.

    Args:
        measures: (label of the value axis, what each wording shows), top to bottom.
    """
    count = max((len(asked) for _, asked in measures), default=0)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(measures), len(AGAINST), squeeze=False, sharey=True, sharex="row")
        for line, (unit, asked) in zip(grid, measures, strict=True):
            for axes, against in zip(line, AGAINST, strict=True):
                _differences(axes, asked, against)
                axes.set_xlabel(f"difference in {unit}")
                axes.set_ylim(len(asked) - 0.4, -0.6)
                axes.tick_params(axis="y", length=0)
            names = [f"{short(one.wording)} (main)" if one.main else short(one.wording) for one in asked]
            line[0].set_yticks(range(len(asked)), names)

    return svg(9.2, (1.1 + 0.42 * count) * len(measures) + 0.1, draw)


# --- conditions ---------------------------------------------------------------------------------------------------


def _condition_rows(
    axes: Axes, points: Sequence[tuple[float, Row]], arm: str, shift: float, joined: bool, upright: bool
) -> None:
    """One arm over the conditions: means with intervals and a dot for each seed."""
    paint = colour(arm)

    def plot(x: Sequence[float], y: Sequence[float], *form: str, **look: object) -> None:
        axes.plot(*((x, y) if upright else (y, x)), *form, color=paint, **look)  # type: ignore[arg-type]

    at = [place + shift for place, _ in points]
    for place, (_, row) in zip(at, points, strict=True):
        if (ends := bounds(row)) is not None:
            plot([place, place], ends, linewidth=1.6, zorder=2)
        if dots := seed_values(row):
            plot([place] * len(dots), dots, "o", zorder=4, gid="seeds", **SEED)
    plot(
        at, [row["mean"] for _, row in points], linestyle="-" if joined else "none", marker=marker(arm), markersize=6.5,
        linewidth=1.7, zorder=3, gid="points",
    )  # fmt: skip


def by_condition(
    experiment: str,
    shown: Sequence[Shown],
    measures: Sequence[tuple[str, str, tuple[float, float]]],
    label: str = "place of the condition",
) -> str:
    """Every arm at its label of deployment: a curve where the conditions have places, else a line for each condition.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        shown: The conditions.
        measures: (metric, label of the value axis, its limits), one panel each.
        label: Label of the axis of the conditions, for a curve.
    """
    curve, arms = conditions.is_curve(shown), conditions.arms_of(experiment, shown)
    xs = {one.x for one in shown if one.x is not None} if curve else range(len(shown))
    places = sorted(map(float, xs))
    gap = min(np.diff(places)) if len(places) > 1 else 1.0

    def draw(figure: Figure) -> None:
        grid = figure.subplots(1, len(measures), squeeze=False, sharey=not curve)[0]
        for axes, (metric, unit, limits) in zip(grid, measures, strict=True):
            for index, arm in enumerate(arms):
                points = conditions.points(shown, arm, metric)
                shift = (0.05 if curve else min(0.16, 0.8 / len(arms))) * gap * (index - (len(arms) - 1) / 2)
                _condition_rows(axes, points, arm, shift, joined=curve, upright=curve)
            if curve:
                axes.set(xlabel=label, ylabel=unit, ylim=limits, xticks=places)
                axes.set_xlim(places[0] - gap / 2, places[-1] + gap / 2)
            else:
                axes.set(xlabel=unit, xlim=limits, ylim=(len(shown) - 0.4, -0.6))
                for place in range(1, len(shown)):
                    axes.axhline(place - 0.5, color="#dddddd", linewidth=0.7, zorder=0)
        if not curve:
            grid[0].set_yticks(places, [short(one.name, 34) for one in shown])
        handles = [
            Line2D([], [], color=colour(arm), marker=marker(arm), markersize=6, label=short(arm)) for arm in arms
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=6)

    height = 4.2 if curve else 1.3 + len(shown) * max(0.42, 0.13 * len(arms))
    return svg(10.2 if len(measures) > 1 or not curve else 7.6, height, draw)


# --- training steps -----------------------------------------------------------------------------------------------


def label_use(found: Sequence[Use]) -> str:
    """Effect of swapping the label by training step: a small plot for each arm, a line for each seed.

    Args:
        found: The probes of one experiment.
    """
    grouped = usage.by_arm(found)
    keys = list(grouped)
    columns = min(COLUMNS, max(1, len(keys)))
    lines = max(1, math.ceil(len(keys) / columns))

    def draw(figure: Figure) -> None:
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        for index, axes in enumerate(grid.flat):
            if index >= len(keys):
                axes.set_axis_off()
                continue
            _small_multiple(axes, usage.title(keys[index], keys), grouped[keys[index]])
            if index + columns >= len(keys):
                axes.tick_params(labelbottom=True)
                axes.set_xlabel("optimiser steps")
        if found:
            least = f"{LEAST_USE[found[0].experiment]:g} expected at least"
            handles = [
                Line2D([], [], color=MUTED, linewidth=1.4, marker=".", label="one seed"),
                Line2D([], [], color=INK, linewidth=1, linestyle=":", label=least),
            ]
            figure.legend(handles=handles, loc="outside upper left", ncols=2)
            figure.supylabel(f"effect of the swap ({found[0].unit})", fontsize=10)

    return svg(2.5 * columns + 0.8 if columns > 1 else 4.6, 0.7 + 2.1 * lines, draw)


def _small_multiple(axes: Axes, name: str, group: Sequence[Use]) -> None:
    axes.axhline(0, color=MUTED, linewidth=0.7)
    axes.axhline(LEAST_USE[group[0].experiment], color=INK, linewidth=1, linestyle=":")
    for use in group:
        axes.plot(
            use.steps, use.effects, color=colour(use.arm), marker=".", markersize=4, linewidth=1.4, alpha=0.85,
            gid="points",
        )  # fmt: skip
    ignored = sum(use.ignored for use in group)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_title(short(name, 30), fontsize=9.5, color=INK, pad=15)  # above the line of the warning
    if ignored:
        text = "label ignored" if ignored == len(group) else f"ignored in {ignored} of {len(group)} seeds"
        axes.text(0, 1.02, text, transform=axes.transAxes, va="bottom", fontsize=8.5, color="#a03000")
