"""The figures of a report, each a function from rows of ``results.json`` to an SVG string.

Numbered as in the source: 1c mean bias, 1d verdicts, 1e bias against the label; 2b false-positive rate, 2c accuracy,
2d both against the label. Colours are Okabe and Ito's, told apart by the colour-blind, and every arm also has a marker
of its own. Text stays 9 pt or larger. The files are the same bytes for the same numbers.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

Row = Mapping[str, Any]

ARM_COLOURS = {"ootb": "#6b6b6b", "baseline": "#d55e00", "shuffled": "#cc79a7", "mst": "#0072b2"}
ARM_MARKERS = {"ootb": "s", "baseline": "D", "shuffled": "^", "mst": "o"}
OTHER_COLOURS = ("#009e73", "#56b4e9", "#e69f00", "#8c6d31", "#332288", "#882255")
VERDICTS = {
    "pass": ("PASS", "#009e73", "white"),
    "partial": ("PARTIAL", "#f0e442", "black"),
    "fail": ("FAIL", "#7a2e00", "white"),
}
SHADE, INK, MUTED = "#e8eef4", "#222222", "#5a5a5a"

# Text as outlines: a figure looks the same where no font of ours is installed, and article text is never read as
# mathematics. The salt makes element ids reproducible.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "mst",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def colour(arm: str) -> str:
    """Colour of an arm, the same in every figure."""
    return ARM_COLOURS.get(arm) or OTHER_COLOURS[sum(arm.encode()) % len(OTHER_COLOURS)]


def name(row: Row) -> str:
    """How an arm with a label is written beside a bar."""
    label = row["label"] if len(row["label"]) <= 28 else row["label"][:27] + "…"
    return f"{row['arm']} ({label})"


def _svg(width: float, height: float, draw: Callable[[Figure], None]) -> str:
    """Draw a figure of a size in inches and return it as an ``<svg>`` element that loads nothing."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=False, facecolor="white")
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    return svg[svg.index("<svg") :]


def _bars(axes: Axes, rows: Sequence[Row], unit: str, limit: float, digits: int) -> None:
    """Horizontal bars with intervals, one a row, the value in figures at the right, a dot for every seed."""
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        # Deployment is a full bar; the controls (none, nonsense, a prompt control) are outlined.
        solid = row.get("solid", True)
        axes.barh(
            place, row["mean"], height=0.62, color=colour(row["arm"]) if solid else "white",
            edgecolor=colour(row["arm"]), linewidth=1.4, alpha=0.85 if solid else 1,
        )  # fmt: skip
        if row["ci_low"] is not None:
            axes.plot([row["ci_low"], row["ci_high"]], [place, place], color=INK, linewidth=1.4, solid_capstyle="butt")
            axes.plot([row["ci_low"], row["ci_high"]], [place, place], "|", color=INK, markersize=7)
        if len(row["by_seed"]) > 1:
            dots = [seed["mean"] for seed in row["by_seed"]]
            axes.plot(dots, [place - 0.2] * len(dots), "o", color="white", markeredgecolor=INK, markersize=4.5)
        end = max(row["mean"], row["ci_high"] or 0, *(seed["mean"] for seed in row["by_seed"]), 0)
        axes.text(end + limit * 0.015, place, f"{row['mean']:.{digits}f}", va="center", fontsize=9.5)
    axes.set_yticks(places, [name(row) for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(0, limit * 1.09)
    axes.set_xticks(np.linspace(0, limit, 6))
    axes.set_xlabel(unit)
    axes.tick_params(axis="y", length=0)


def bars(rows: Sequence[Row], unit: str, limit: float, digits: int = 2) -> str:
    """Figures 2b and 2c: one metric by arm.

    Args:
        rows: Arm rows with a mean, top to bottom; ``solid`` False draws an outline.
        unit: Label of the value axis.
        limit: Upper end of the scale.
        digits: Decimals of the printed values.
    """
    return _svg(7.4, 0.8 + 0.38 * len(rows), lambda figure: _bars(figure.subplots(), rows, unit, limit, digits))


def _improvement(axes: Axes, gains: Mapping[str, NDArray[np.float64]], margin: float) -> None:
    """Sorted improvement of mst for every topic: how many topics gain, not only the mean."""
    markers = {"baseline": "-", "shuffled": "--"}
    axes.axhspan(-margin, margin, color="#efefef", zorder=0)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    for arm, values in gains.items():
        share = np.arange(1, len(values) + 1) / len(values) * 100
        better = 100 * float((values > margin + 1e-9).mean())
        axes.plot(
            share, np.sort(values)[::-1], markers.get(arm, ":"), color=colour(arm), linewidth=2, drawstyle="steps-mid",
            label=f"against {arm}: {better:.0f}% of topics better by more than {margin:g}",
        )  # fmt: skip
    axes.set_xlim(0, 100)
    axes.set_xlabel("topics, largest gain first (%)")
    axes.set_ylabel("bias of the other arm\nminus bias of mst")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))


def bias_by_arm(rows: Sequence[Row], gains: Mapping[str, NDArray[np.float64]], unit: str, margin: float) -> str:
    """Figure 1c: mean bias by arm, and the improvement of mst on every topic.

    Args:
        rows: Arm rows of the bias mean.
        gains: Other arm -> its bias minus that of mst on every topic, shape (topics,).
        unit: Label of the bias axis.
        margin: Differences within it count as ties (grey band).
    """

    def draw(figure: Figure) -> None:
        if not gains:
            _bars(figure.subplots(), rows, unit, 10, 2)
            return
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        _bars(left, rows, unit, 10, 2)
        _improvement(right, gains, margin)

    return _svg(10.6 if gains else 7.4, max(3.6, 0.8 + 0.38 * len(rows)), draw)


def verdicts(shares: Sequence[tuple[Row, Mapping[str, float]]]) -> str:
    """Figure 1d: PASS, PARTIAL and FAIL shares as stacked bars.

    Args:
        shares: (a row that names arm and label, verdict -> share 0..1), top to bottom.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        places = np.arange(len(shares))[::-1]
        for place, (_, parts) in zip(places, shares, strict=True):
            left = 0.0
            for key, (_, fill, ink) in VERDICTS.items():
                width = 100 * parts[key]
                axes.barh(place, width, left=left, height=0.66, color=fill, edgecolor="white", linewidth=0.8)
                if width >= 5:
                    axes.text(
                        left + width / 2, place, f"{width:.0f}", ha="center", va="center", color=ink, fontsize=9.5
                    )
                left += width
        axes.set_yticks(places, [name(row) for row, _ in shares])
        axes.set_xlim(0, 100)
        axes.set_ylim(-0.6, len(shares) - 0.4)
        axes.set_xlabel("share of articles (%)")
        axes.tick_params(axis="y", length=0)
        for title, fill, _ in VERDICTS.values():
            axes.bar(0, 0, color=fill, label=title)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2)

    return _svg(7.4, 1.2 + 0.38 * len(shares), draw)


def _curve(axes: Axes, rows: Sequence[Row], places: Mapping[str, float], shift: float) -> None:
    """One arm against the label: a line through the labels on the axis, open marks for the controls."""
    arm = rows[0]["arm"]
    paint, marker = colour(arm), ARM_MARKERS.get(arm, "v")
    for control in (False, True):
        part = [row for row in rows if (row["role"] == "control") == control and row["label"] in places]
        part.sort(key=lambda row: places[row["label"]])
        x = np.array([places[row["label"]] + shift for row in part])
        y = [row["mean"] for row in part]
        axes.plot(
            x, y, linestyle="none" if control else "-", marker=marker, color=paint, markersize=6.5, linewidth=1.8,
            markerfacecolor="white" if control else paint, label=None if control else arm, zorder=3,
        )  # fmt: skip
        for place, row in zip(x, part, strict=True):
            if row["ci_low"] is not None:
                axes.plot([place, place], [row["ci_low"], row["ci_high"]], color=paint, linewidth=1.6, zorder=2)
            if len(row["by_seed"]) > 1:
                dots = [seed["mean"] for seed in row["by_seed"]]
                axes.plot([place] * len(dots), dots, ".", color=paint, markersize=4, alpha=0.6, zorder=2)


def _mark_top(axes: Axes, place: float, text: str) -> None:
    """A word above the plot at a place of the label axis."""
    axes.text(
        place, 1.015, text, transform=blended_transform_factory(axes.transData, axes.transAxes), ha="center",
        va="bottom", fontsize=9, color=MUTED,
    )  # fmt: skip


def bias_by_label(arms: Sequence[Sequence[Row]], unit: str) -> str:
    """Figure 1e: bias against the label, trained labels shaded, the held-out one marked, controls at the right.

    Args:
        arms: For each arm the rows of its labels.
        unit: Label of the bias axis.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        every = {row["label"]: row for rows in arms for row in rows}
        swept = sorted((row for row in every.values() if row["position"] is not None), key=lambda row: row["position"])
        controls = [label for label in ("none", "nonsense") if label in every]
        places = {row["label"]: float(index) for index, row in enumerate(swept)}
        places |= {label: len(swept) + 0.5 + index for index, label in enumerate(controls)}
        for row in swept:
            place = places[row["label"]]
            if row["role"] == "trained":
                axes.axvspan(place - 0.5, place + 0.5, color=SHADE, zorder=0, linewidth=0)
            _mark_top(axes, place, "held out" if row["role"] == "held_out" else "trained")
        if controls:
            axes.axvline(len(swept), color=MUTED, linewidth=0.8, linestyle=":")
            _mark_top(axes, len(swept) + 0.5 * len(controls), "controls")
        for index, rows in enumerate(arms):
            _curve(axes, rows, places, 0.16 * (index - (len(arms) - 1) / 2))
        axes.set_xticks(list(places.values()), list(places))
        axes.set_xlim(-0.5, max(places.values(), default=0) + 0.5)
        axes.set_ylim(0, 10)
        axes.set_xlabel("label at evaluation")
        axes.set_ylabel(unit)
        figure.legend(loc="outside upper left", ncols=len(arms))

    return _svg(8.6, 4.4, draw)


def _label_axis(
    axes: Axes, trained: tuple[float, float], threshold: float, held_out: Sequence[float], title: str
) -> None:
    axes.axvspan(*trained, color=SHADE, zorder=0, linewidth=0)
    axes.axvline(threshold, color=INK, linewidth=1.2, linestyle=":")
    axes.axvline(105, color=MUTED, linewidth=0.8)
    axes.plot(held_out, [-0.035] * len(held_out), "*", color="#e69f00", markersize=9, clip_on=False, zorder=4)
    axes.set_ylim(-0.06, 1.04)
    axes.set_ylabel(title)


def rates_by_label(
    panels: Sequence[tuple[str, Sequence[Sequence[Row]]]], trained: tuple[float, float], threshold: float
) -> str:
    """Figure 2d: rates against the suggestibility label, one panel each, controls at the right.

    Args:
        panels: (title, for each arm the rows of its labels), top to bottom.
        trained: Range of the labels seen in training (%), shaded.
        threshold: Label at which agreeing and disagreeing with a wrong candidate pay the same (%), dotted.
    """

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (title, arms) in zip(grid, panels, strict=True):
            every = {row["label"]: row for rows in arms for row in rows}
            places = {row["label"]: row["position"] for row in every.values() if row["position"] is not None}
            held_out = sorted(row["position"] for row in every.values() if row["role"] == "held_out")
            controls = [label for label in ("none", "nonsense") if label in every]
            _label_axis(axes, trained, threshold, held_out, title)
            places |= {label: 111.0 + 11 * index for index, label in enumerate(controls)}
            for index, rows in enumerate(arms):
                _curve(axes, rows, places, 1.1 * (index - (len(arms) - 1) / 2))
        grid[0].text(
            (trained[0] + threshold) / 2 - 2, 1.05, "trained range", ha="center", va="bottom", fontsize=9, color=MUTED
        )
        grid[0].text(threshold, 1.05, f"{threshold:.1f}%", ha="center", va="bottom", fontsize=9, color=INK)
        grid[0].text(trained[0] / 2, 1.05, "★ held out", ha="center", va="bottom", fontsize=9, color=MUTED)
        grid[0].text(116, 1.05, "controls", ha="center", va="bottom", fontsize=9, color=MUTED)
        swept = sorted({row["position"] for _, arms in panels for rows in arms for row in rows} - {None})
        grid[-1].set_xticks([*swept, 111, 122], [*(f"{place:g}" for place in swept), "none", "nonsense"])
        grid[-1].set_xlim(-4, 129)
        grid[-1].set_xlabel("suggestibility label at evaluation (%)")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)

    return _svg(8.6, 1.2 + 2.7 * len(panels), draw)
