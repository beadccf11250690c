"""The figures against the label: 1e (bias), 2d (false-positive rate and accuracy), for every arm trained with labels.

On the axis: what training used, what lies between and what lies beyond, told apart by shade. Labels
without a place, other words for the held-out label, evaluators too good to be true and controls stand at the right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import blended_transform_factory

from mst_evals.reporting.figures import INK, MUTED, SEED, Row, bounds, colour, drawable, marker, seed_values, short, svg
from mst_evals.reporting.places import Scale, label_of
from mst_evals.reporting.results import axis_of

SHADES = {"trained": "#dbe6f1", "interpolation": "#ffffff", "extrapolation": "#fcefdc"}
MEANING = {"trained": "seen in training", "interpolation": "between trained", "extrapolation": "beyond trained"}
STAR = "#e69f00"
DOTTED = 3  # arms in one panel up to which every seed gets a dot


@dataclass(frozen=True)
class Panel:
    """One plot against the label.

    Attributes:
        title: In plain words.
        unit: Label of the value axis.
        limits: Of the value axis.
        scale: Where the labels stand.
        arms: For each arm the rows of its labels.
        references: Rows drawn as level lines: arms that never saw a label.
        threshold: Value of the label axis that is marked with a dotted line, None for none.
    """

    title: str
    unit: str
    limits: tuple[float, float]
    scale: Scale
    arms: Sequence[Sequence[Row]]
    references: Sequence[Row] = ()
    threshold: float | None = None


# --- background ---------------------------------------------------------------------------------------------------


def shade(axes: Axes, scale: Scale) -> set[str]:
    """Shade by relation to the trained labels, and mark the label of deployment. Returns the relations that occur."""
    seen = set()
    on_axis = [slot for slot in scale.slots if slot.group == "axis"]
    if scale.trained is not None and on_axis:
        low, high = scale.trained
        left, right = (on_axis[index].x + sign * scale.unit / 2 for index, sign in ((0, -1), (-1, 1)))
        spans = [(left, low, "extrapolation"), (low, min(high, right), "trained"), (high, right, "extrapolation")]
    else:
        spans = [(slot.x - 0.5, slot.x + 0.5, slot.relation) for slot in on_axis]
    merged: list[tuple[float, float, str]] = []  # neighbours of one shade are one patch, or a seam shows
    for start, end, relation in spans:
        if merged and merged[-1][1:] == (start, relation):
            merged[-1] = (merged[-1][0], end, relation)
        else:
            merged.append((start, end, relation))
    for start, end, relation in merged:
        if end > start:
            axes.axvspan(start, end, color=SHADES[relation], zorder=0, linewidth=0)
            seen.add(relation)
    bottom = blended_transform_factory(axes.transData, axes.transAxes)
    for slot in scale.slots:
        if slot.deployed:
            axes.plot([slot.x], [0.0], "*", color=STAR, markersize=11, clip_on=False, zorder=5, transform=bottom)
    return seen


def groups(axes: Axes, scale: Scale) -> None:
    """A rule before every group at the right, and its name above."""
    for group in dict.fromkeys(slot.group for slot in scale.slots):
        places = [slot.x for slot in scale.slots if slot.group == group]
        if group == "axis":
            continue
        if places[0] > scale.slots[0].x:
            axes.axvline(places[0] - 0.85 * scale.unit, color=MUTED, linewidth=0.8, linestyle=":")
        axes.text(
            sum(places) / len(places), 1.015, group.replace(" to be true", "\nto be true").replace(" words", "\nwords"),
            transform=blended_transform_factory(axes.transData, axes.transAxes), ha="center", va="bottom", fontsize=8.5,
            color=MUTED,
        )  # fmt: skip


def ticks(axes: Axes, scale: Scale, named: bool) -> None:
    """Names of the labels. On a number scale those that would overlap get a tick and no name."""
    shown, last = [], -np.inf
    important = [slot.x for slot in scale.slots if slot.deployed or slot.x in (scale.trained or ())]
    for slot in scale.slots:
        near = scale.number and slot.group == "axis" and slot.x not in important
        room = 0.75 * scale.unit
        if near and (slot.x - last < room or any(abs(slot.x - place) < room for place in important)):
            shown.append("")
            continue
        shown.append(short(slot.label, 18))
        last = slot.x
    axes.set_xticks([slot.x for slot in scale.slots], shown)
    axes.tick_params(axis="x", labelbottom=named)
    for text, slot in zip(axes.get_xticklabels(), scale.slots, strict=named):  # hidden names are none
        if not (scale.number and slot.group == "axis"):
            text.set(rotation=38, ha="right", rotation_mode="anchor", fontsize=9)
        if slot.deployed:
            text.set_fontweight("bold")


# --- curves -------------------------------------------------------------------------------------------------------


def _curve(axes: Axes, rows: Sequence[Row], scale: Scale, shift: float, seeds: bool) -> None:
    """One arm: a line through the labels on the axis, open marks for all others, intervals and, if wanted, seeds."""
    at = {slot.label: slot for slot in scale.slots}
    shown = sorted((row for row in drawable(rows) if row["label"] in at), key=lambda row: at[row["label"]].x)
    for on_axis in (True, False):
        part = [row for row in shown if (at[row["label"]].group == "axis") == on_axis]
        if not part:
            continue
        paint = colour(part[0]["arm"])
        x = [at[row["label"]].x + shift for row in part]
        axes.plot(
            x, [row["mean"] for row in part], linestyle="-" if on_axis else "none", marker=marker(part[0]["arm"]),
            color=paint, markersize=6, linewidth=1.7, markerfacecolor=paint if on_axis else "white", zorder=3,
            gid="points",
        )  # fmt: skip
        for place, row in zip(x, part, strict=True):
            if (ends := bounds(row)) is not None:
                axes.plot([place, place], ends, color=paint, linewidth=1.5, zorder=2)
            if seeds and (dots := seed_values(row)):
                axes.plot([place] * len(dots), dots, "o", color=paint, zorder=2.5, gid="seeds", **SEED)


def _width(scale: Scale) -> float:
    xs = [slot.x for slot in scale.slots]
    return (max(xs) - min(xs)) / scale.unit + 1 if xs else 1


def _draw(axes: Axes, panel: Panel, named: bool = True) -> set[str]:
    """Draw one panel. Returns the relations to the trained labels that occur."""
    scale, count = panel.scale, len(panel.arms)
    seen = shade(axes, scale)
    groups(axes, scale)
    if panel.threshold is not None and scale.number:
        axes.axvline(panel.threshold, color=INK, linewidth=1.2, linestyle=":")
    for row in panel.references:
        axes.axhline(row["mean"], color=colour(row["arm"]), linewidth=1.2, linestyle=(0, (5, 3)), zorder=1)
    # On a number scale arms stand almost on one another, or a shift would read as another threshold.
    step = min(0.17, 0.7 / max(count, 1)) * scale.unit * (0.25 if scale.number else 1)
    for index, rows in enumerate(panel.arms):
        _curve(axes, rows, scale, step * (index - (count - 1) / 2), seeds=count <= DOTTED)
    ticks(axes, scale, named)
    xs = [slot.x for slot in scale.slots] or [0.0]
    axes.set_xlim(min(xs) - 0.6 * scale.unit, max(xs) + 0.6 * scale.unit)
    axes.set_ylim(*panel.limits)
    axes.set_ylabel(panel.unit)
    # Above the names of the groups, which may take two lines.
    axes.set_title(panel.title, pad=26 if any(slot.group != "axis" for slot in scale.slots) else 8)
    return seen


def _legend(figure: Figure, panels: Sequence[Panel], seen: set[str], columns: int) -> None:
    arms = dict.fromkeys(rows[0]["arm"] for panel in panels for rows in panel.arms if rows)
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=colour(arm), marker=marker(arm), markersize=6, label=short(arm)) for arm in arms
    ]
    lines = {(row["arm"], row["label"]) for panel in panels for row in panel.references}
    handles += [
        Line2D([], [], color=colour(arm), linestyle=(0, (5, 3)), linewidth=1.2, label=f"{short(arm)} (label: {label})")
        for arm, label in sorted(lines)
    ]
    handles += [
        Patch(facecolor=SHADES[relation], edgecolor="#bbbbbb", linewidth=0.6, label=MEANING[relation])
        for relation in SHADES
        if relation in seen
    ]
    if any(slot.deployed for panel in panels for slot in panel.scale.slots):
        star = Line2D([], [], color=STAR, marker="*", markersize=10, linestyle="none", label="held out, deployed")
        handles.append(star)
    thresholds = {panel.threshold for panel in panels if panel.threshold is not None and panel.scale.number}
    handles += [Line2D([], [], color=INK, linestyle=":", label=f"{value:.1f}%: both pay alike") for value in thresholds]
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, columnspacing=1.4, handlelength=1.8)


def stacked(panels: Sequence[Panel], label: str) -> str:
    """Panels below each other over one label axis.

    Args:
        panels: Top to bottom; their scales are the same.
        label: Label of the horizontal axis.
    """

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        seen: set[str] = set()
        for index, (axes, panel) in enumerate(zip(grid, panels, strict=True)):
            seen |= _draw(axes, panel, named=index == len(panels) - 1)
        grid[-1].set_xlabel(label)
        _legend(figure, panels, seen, 4)

    return svg(10.2, 1.6 + 3.2 * len(panels), draw)


def in_a_row(columns: Sequence[Sequence[Panel]], names: Sequence[str]) -> str:
    """Panels beside each other, each with a label axis of its own.

    Args:
        columns: For each label axis its panels, top to bottom; the same measures in each.
        names: Label of the horizontal axis of each column.
    """

    def draw(figure: Figure) -> None:
        widths = [max(3.0, _width(panels[0].scale)) for panels in columns]
        grid = figure.subplots(len(columns[0]), len(columns), squeeze=False, width_ratios=widths)
        seen: set[str] = set()
        for column, (panels, name) in enumerate(zip(columns, names, strict=True)):
            for index, panel in enumerate(panels):
                seen |= _draw(grid[index, column], panel, named=index == len(panels) - 1)
            grid[-1, column].set_xlabel(name)
        _legend(figure, [panel for panels in columns for panel in panels], seen, 4)

    slots = sum(max(3.0, _width(panels[0].scale)) for panels in columns)
    return svg(min(11.0, max(6.4, 0.55 * slots + 1.2 * len(columns))), 1.7 + 2.9 * len(columns[0]), draw)


# --- along a second dimension -------------------------------------------------------------------------------------


def by_place(
    arms: Sequence[Sequence[Row]], experiment: str, dimension: str, unit: str, limits: tuple[float, float], label: str
) -> str | None:
    """A measure against a dimension on which several labels share a place (how much slant, whatever the side).

    Args:
        arms: For each arm the rows of its labels; the arms share a label axis.
        experiment: ``bias`` or ``sycophancy``.
        dimension: Of the axis of the arms.
        unit: Label of the value axis.
        limits: Of the value axis.
        label: Label of the horizontal axis.

    Returns:
        The figure, None when fewer than two places were asked.
    """
    axis = axis_of(experiment, arms[0][0]["arm"]) if arms and arms[0] else None
    names = dict.fromkeys(row["label"] for rows in arms for row in drawable(rows))
    known = {name: label_of(axis, name) for name in names} if axis else {}
    place = {name: one.places[dimension] for name, one in known.items() if one.kind == "label" and one.places}
    if len(set(place.values())) < 2:
        return None
    relation = {value: known[name].relations[dimension] for name, value in place.items()}

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        ticks = sorted(relation)
        half = min(np.diff(ticks)) / 2
        for value in ticks:
            axes.axvspan(value - half, value + half, color=SHADES[relation[value]], zorder=0, linewidth=0)
        for index, rows in enumerate(arms):
            _means(axes, drawable(rows), place, 0.12 * half * (index - (len(arms) - 1) / 2))
        axes.set_xticks(ticks, [_names(value, place) for value in ticks], fontsize=8.5)
        axes.set_xlim(ticks[0] - half, ticks[-1] + half)
        axes.set_ylim(*limits)
        axes.set_ylabel(unit)
        axes.set_xlabel(label)
        panel = Panel("", unit, limits, Scale((), False, 1.0, None, dimension), arms)
        _legend(figure, [panel], set(relation.values()), 5)

    return svg(10.2, 4.4, draw)


def _means(axes: Axes, rows: Sequence[Row], place: Mapping[str, float], shift: float) -> None:
    """One arm: a small mark for each label, a line through their means at each place."""
    there: dict[float, list[float]] = {}
    for row in rows:
        if row["label"] in place:
            there.setdefault(place[row["label"]], []).append(row["mean"])
            paint, x = colour(row["arm"]), place[row["label"]] + shift
            axes.plot(
                [x], [row["mean"]], marker=marker(row["arm"]), color=paint, markersize=5.5, zorder=3, gid="points"
            )
            if (ends := bounds(row)) is not None:
                axes.plot([x, x], ends, color=paint, linewidth=1.4, zorder=2)
    xs = sorted(there)
    axes.plot(
        [x + shift for x in xs], [float(np.mean(there[x])) for x in xs], color=colour(rows[0]["arm"]) if rows else INK,
        linewidth=1.7, zorder=2,
    )  # fmt: skip


def _names(value: float, place: Mapping[str, float]) -> str:
    return "\n".join([f"{value:g}", *(name for name, at in place.items() if at == value)])
