"""The figures of the axis probe: where a base places each label, layer by layer, above what mst does at the label."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mst_evals import variants
from mst_evals.reporting import places, probes
from mst_evals.reporting.curves import groups, shade, ticks
from mst_evals.reporting.figures import MUTED, Row, bounds, colour, is_number, marker, seed_values, short, svg
from mst_evals.reporting.places import Scale
from mst_evals.reporting.probes import Prediction, Probe

# From the embeddings to the last layer, dark to light, each with a marker of its own.
LAYER_COLOURS = ("#00204d", "#414d6b", "#7c7b78", "#b09b5f", "#dcb63c")
LAYER_MARKERS = "osD^v"
# One for each base, from the left.
BASE_MARKERS = "osD^vP<X>"


def _projections(axes: Axes, probe: Probe, direction: str, scale: Scale) -> list[Line2D]:
    """A line for each layer; held-out labels are open marks. Returns the entries of the legend."""
    x, trained = scale.x(), set(probe["trained"])
    on_axis = [slot.label for slot in scale.slots if slot.group == "axis"]
    entries = []
    for reading, paint, form in zip(probes.layers(probe, direction), LAYER_COLOURS, LAYER_MARKERS, strict=False):
        at = {label: value for label in x if is_number(value := reading["projection"].get(label))}
        style = ":" if reading["flat"] else "-"
        line = [label for label in on_axis if label in at]
        axes.plot([x[label] for label in line], [at[label] for label in line], style, color=paint, linewidth=1.4)
        for label, value in at.items():
            face = paint if label in trained else "white"
            axes.plot([x[label]], [value], form, color=paint, markerfacecolor=face, markersize=5.5, gid="points")
        name = probes.layer_name(reading)
        entries += axes.plot([], [], form + style, color=paint, markersize=5.5, label=name)
    for level in (0.0, 1.0):
        axes.axhline(level, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    low, high = probe["groups"][direction]
    axes.set_ylabel(f"place of the label\n(0: {low}, 1: {high})")
    return entries


def _behaviour(axes: Axes, behaviour: Mapping[str, Row], scale: Scale, unit: str, limits: tuple[float, float]) -> None:
    shown = [(slot, behaviour[slot.label]) for slot in scale.slots if slot.label in behaviour]
    paint = colour("mst")
    line = [(slot.x, row["mean"]) for slot, row in shown if slot.group == "axis"]
    axes.plot([x for x, _ in line], [y for _, y in line], color=paint, linewidth=1.6)
    for slot, row in shown:
        if (ends := bounds(row)) is not None:
            axes.plot([slot.x, slot.x], ends, color=paint, linewidth=1.5)
        face = paint if slot.relation == "trained" else "white"
        axes.plot([slot.x], [row["mean"]], marker("mst"), color=paint, markerfacecolor=face, markersize=6, gid="points")
    axes.set_ylim(*limits)
    axes.set_ylabel(unit)


def axis_probe(probe: Probe, behaviour: Mapping[str, Row], unit: str, limits: tuple[float, float], label: str) -> str:
    """Places of the swept labels, a panel for each direction, and below them the behaviour of mst at the same labels.

    Args:
        probe: The probe of one base.
        behaviour: Label -> arm row of mst on the same base; empty leaves the lower panel out.
        unit: Label of the behaviour's axis.
        limits: Of the behaviour's axis.
        label: Label of the horizontal axis.
    """
    there = {name: row for name, row in behaviour.items() if is_number(row["mean"])}
    scale = places.scale(variants.AXES[probe["experiment"]], probe["swept"])
    directions = list(probe["groups"])
    count = len(directions) + bool(there)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
        for index, axes in enumerate(grid):
            shade(axes, scale)
            groups(axes, scale)
            measured = index == len(directions)
            if measured:
                _behaviour(axes, there, scale, unit, limits)
            else:
                entries = _projections(axes, probe, directions[index], scale)
                axes.legend(
                    handles=entries, title=directions[index], alignment="left", loc="upper left",
                    bbox_to_anchor=(1.0, 1.0), fontsize=9,
                )  # fmt: skip
            ticks(axes, scale, named=index == count - 1)
        xs = [slot.x for slot in scale.slots] or [0.0]
        grid[-1].set_xlim(min(xs) - 0.6 * scale.unit, max(xs) + 0.6 * scale.unit)
        grid[-1].set_xlabel(label)

    return svg(11, 1.2 + 2.8 * count, draw)


def predicted_and_measured(predictions: Sequence[Prediction], measured: str) -> str:
    """A point for each base: where it places the held-out end before training, and what mst does there after it.

    Args:
        predictions: One for each base.
        measured: Label of the behaviour's axis.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(0.5, color=MUTED, linewidth=0.8, linestyle=":")
        paint = colour("mst")
        for number, one in enumerate(sorted(predictions, key=lambda one: one.place)):
            row, x = one.measured, one.place
            if (ends := bounds(row)) is not None:
                axes.plot([x, x], ends, color=paint, linewidth=1.5)
            if dots := seed_values(row):
                axes.plot([x] * len(dots), dots, ".", color=MUTED, markersize=5, gid="seeds")
            form = BASE_MARKERS[number % len(BASE_MARKERS)]
            axes.plot([x], [row["mean"]], form, color=paint, markersize=7, gid="points", label=short(one.base))
        axes.margins(0.2)
        axes.set(xlabel="place of the held-out end before training", ylabel=measured)
        # Beside the axes: bases that agree lie on each other, and so would names beside the points.
        axes.legend(
            title="base, in the order of its place", alignment="left", loc="upper left", bbox_to_anchor=(1.0, 1.0),
            fontsize=9,
        )  # fmt: skip

    return svg(9, 4.2, draw)
