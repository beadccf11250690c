"""The look of the figures, and the figures by arm: each a function from rows of ``results.json`` to an SVG string.

Numbered as in the source: 1c mean bias, 1d verdicts; 2b false-positive rate, 2c accuracy. `curves` has those
against the label (1e, 2d), `panels` those over wordings, conditions, training steps and layers. Colours can
be told apart by the colour-blind, and every arm also has a marker of its own. Text stays 8.5 pt or larger. The files
are the same bytes for the same numbers.
"""

import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mst_evals import labels, variants
from mst_evals.figure_style import INK, MUTED, STYLE

Row = Mapping[str, Any]

# Okabe and Ito for the main arms, Tol's muted scheme for the others; the noisy arms are one hue, darker with the noise.
ARM_COLOURS = {
    "ootb": "#6b6b6b", "baseline": "#d55e00", "shuffled": "#cc79a7", "mst": "#0072b2",
    "least_biased": "#117733", "least_biased_25": "#44aa99", "strongest_subset": "#117733", "arbitrary": "#e69f00",
    "scalar": "#332288", "words": "#332288", "plain": "#56b4e9", "inoculation": "#882255",
    "noisy_10": "#b0ab3d", "noisy_25": "#7d7a1e", "noisy_50": "#474510",
}  # fmt: skip
ARM_MARKERS = {
    "ootb": "s", "baseline": "D", "shuffled": "^", "mst": "o", "least_biased": "<", "least_biased_25": ">",
    "strongest_subset": "<", "arbitrary": "P", "scalar": "X", "words": "X", "plain": "d", "inoculation": "h",
    "noisy_10": "v", "noisy_25": "p", "noisy_50": "H",
}  # fmt: skip
OTHER_COLOURS, OTHER_MARKERS = ("#009e73", "#56b4e9", "#8c6d31", "#aa4499", "#999933", "#ddcc77"), "8<>dPX"
VERDICTS = {
    "pass": ("PASS", "#009e73", "white"),
    "partial": ("PARTIAL", "#f0e442", "black"),
    "fail": ("FAIL", "#7a2e00", "white"),
}
SEED: dict[str, Any] = {"markersize": 3.4, "markerfacecolor": "white", "markeredgewidth": 0.8}  # a seed's dot
GAP = 0.7  # between the main arms and the others, in bars


# --- what every figure needs --------------------------------------------------------------------------------------


def colour(arm: str) -> str:
    """Colour of an arm, the same in every figure."""
    return ARM_COLOURS.get(arm) or OTHER_COLOURS[sum(arm.encode()) % len(OTHER_COLOURS)]


def marker(arm: str) -> str:
    """Marker of an arm, the same in every figure."""
    return ARM_MARKERS.get(arm) or OTHER_MARKERS[sum(arm.encode()) % len(OTHER_MARKERS)]


def short(text: str, limit: int = 28) -> str:
    """A text for beside an axis, cut to a length."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def name(row: Row) -> str:
    """How an arm with a label is written beside a bar."""
    return f"{short(row['arm'])} ({short(row['label'])})"


def is_number(value: float | None) -> bool:
    """Whether a value of a row can be drawn."""
    return value is not None and math.isfinite(value)


def drawable(rows: Iterable[Row]) -> list[Row]:
    """The rows that have a mean."""
    return [row for row in rows if is_number(row["mean"])]


def seed_values(row: Row) -> list[float]:
    """The value of every seed, empty when there is one seed only, which the mean shows already."""
    values = [seed["mean"] for seed in row["by_seed"] if is_number(seed["mean"])]
    return values if len(values) > 1 else []


def bounds(row: Row) -> tuple[float, float] | None:
    """The interval of a row, None when it has none."""
    low, high = row["ci_low"], row["ci_high"]
    return (low, high) if is_number(low) and is_number(high) else None


def svg(width: float, height: float, draw: Callable[[Figure], None]) -> str:
    """Draw a figure of a size in inches and return it as an ``<svg>`` element that loads nothing."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=False, facecolor="white")
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", buffer.getvalue(), flags=re.DOTALL)
    return text[text.index("<svg") :]


# --- one metric by arm --------------------------------------------------------------------------------------------


def _lines(rows: Sequence[Row]) -> list[tuple[float, Row]]:
    """Place (downwards, in bars) of every row: thinner for what is not deployed, a gap before the ablations."""
    placed: list[tuple[float, Row]] = []
    at, main = 0.0, True
    for row in rows:
        if main and row["arm"] not in variants.MAIN and placed:
            at += GAP
        main = row["arm"] in variants.MAIN
        height = 1.0 if row.get("solid", True) else 0.62
        placed.append((at + height / 2, row))
        at += height
    return placed


def _height(rows: Sequence[Row]) -> float:
    """Height of a panel of bars in inches."""
    placed = _lines(rows)
    return 1.0 + 0.33 * (placed[-1][0] + 0.5 if placed else 1)


def _bar(axes: Axes, place: float, row: Row, limit: float, digits: int) -> None:
    """A full bar for the label of deployment, an outlined one for a control, with interval, seeds and the value."""
    solid = row.get("solid", True)
    axes.barh(
        place, row["mean"], height=0.66 if solid else 0.36, color=colour(row["arm"]) if solid else "white",
        edgecolor=colour(row["arm"]), linewidth=1.2, alpha=0.85 if solid else 1, gid="bar",
    )  # fmt: skip
    ends, dots = bounds(row), seed_values(row)
    if ends:
        axes.plot(ends, [place, place], color=INK, linewidth=1.3, solid_capstyle="butt")
        axes.plot(ends, [place, place], "|", color=INK, markersize=6 if solid else 4)
    if dots:
        below = place + (0.2 if solid else 0.0)
        size = 4.2 if solid else 3.2
        axes.plot(
            dots, [below] * len(dots), "o", color="white", markeredgecolor=INK, markeredgewidth=0.7, markersize=size,
            gid="seeds",
        )  # fmt: skip
    end = max(row["mean"], ends[1] if ends else 0.0, *dots, 0.0)
    axes.text(
        end + limit * 0.015, place, f"{row['mean']:.{digits}f}", va="center", fontsize=9.5 if solid else 8.5,
        color=INK if solid else MUTED,
    )  # fmt: skip


def _bars(axes: Axes, rows: Sequence[Row], unit: str, limit: float, digits: int) -> None:
    """Horizontal bars in the order of the rows, the main arms parted from the ablations."""
    placed = _lines(rows)
    for place, row in placed:
        _bar(axes, place, row, limit, digits)
    axes.set_yticks([place for place, _ in placed], [_beside(row) for _, row in placed])
    for text, (_, row) in zip(axes.get_yticklabels(), placed, strict=True):
        if not row.get("solid", True):
            text.set(fontsize=8.5, color=MUTED)
    breaks = [
        (placed[i][0] + placed[i + 1][0]) / 2
        for i in range(len(placed) - 1)
        if placed[i][1]["arm"] in variants.MAIN and placed[i + 1][1]["arm"] not in variants.MAIN
    ]
    for place in breaks:
        axes.axhline(place, color=MUTED, linewidth=0.8, linestyle=":")
    bottom = placed[-1][0] + 0.6 if placed else 1.0
    axes.set_ylim(bottom, -0.1)
    axes.set_xlim(0, limit * 1.09)
    axes.set_xticks(np.linspace(0, limit, 6))
    axes.set_xlabel(unit)
    axes.tick_params(axis="y", length=0)


def _beside(row: Row) -> str:
    """Name beside a bar; a control stands under its arm and needs no name of an arm."""
    if row.get("solid", True):
        return name(row)
    said = {labels.NONE: "no label", labels.NONSENSE: "nonsense label"}
    return f"{short(row['arm'])}, {said.get(row['label'], short(row['label']))}"


def bars(rows: Sequence[Row], unit: str, limit: float, digits: int = 2) -> str:
    """Figures 2b and 2c: one metric by arm.

    Args:
        rows: Arm rows, top to bottom; ``solid`` False draws an outline, and rows without a mean are left out.
        unit: Label of the value axis.
        limit: Upper end of the scale.
        digits: Decimals of the printed values.
    """
    shown = drawable(rows)
    return svg(8.2, _height(shown), lambda figure: _bars(figure.subplots(), shown, unit, limit, digits))


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
            label=f"against {arm}: {better:.0f}% of topics\nbetter by more than {margin:g}",
        )  # fmt: skip
    axes.set_xlim(0, 100)
    axes.set_xlabel("topics, largest gain first (%)")
    axes.set_ylabel("bias of the other arm\nminus bias of mst")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))


def bias_by_arm(rows: Sequence[Row], gains: Mapping[str, NDArray[np.float64]], unit: str, margin: float) -> str:
    """Figure 1c: mean bias by arm, and the improvement of mst on every topic.

    Args:
        rows: Arm rows of the bias mean; rows without a mean are left out.
        gains: Other arm -> its bias minus that of mst on every topic, shape (topics,).
        unit: Label of the bias axis.
        margin: Differences within it count as ties (grey band).
    """
    shown = drawable(rows)
    there = {arm: values[np.isfinite(values)] for arm, values in gains.items()}
    there = {arm: values for arm, values in there.items() if len(values)}
    height = max(3.6, _height(shown))

    def draw(figure: Figure) -> None:
        if not there:
            _bars(figure.subplots(), shown, unit, 10, 2)
            return
        # The curve beside a long list of arms keeps its own height.
        grid = figure.add_gridspec(2, 2, width_ratios=(1.45, 1), height_ratios=(3.5, max(height - 3.5, 0.01)))
        _bars(figure.add_subplot(grid[:, 0]), shown, unit, 10, 2)
        _improvement(figure.add_subplot(grid[0, 1] if height > 4.5 else grid[:, 1]), there, margin)

    return svg(11 if there else 8.2, height, draw)


def verdicts(shares: Sequence[tuple[Row, Mapping[str, float | None]]]) -> str:
    """Figure 1d: PASS, PARTIAL and FAIL shares as stacked bars.

    Args:
        shares: (a row that names arm and label, verdict -> share 0..1), top to bottom.
    """
    shown = [(row, parts) for row, parts in shares if all(is_number(parts[key]) for key in VERDICTS)]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        placed = _lines([{**row, "solid": True} for row, _ in shown])
        for (place, _), (_, parts) in zip(placed, shown, strict=True):
            left = 0.0
            for key, (_, fill, ink) in VERDICTS.items():
                width = 100 * float(parts[key] or 0)
                axes.barh(place, width, left=left, height=0.7, color=fill, edgecolor="white", linewidth=0.8, gid="bar")
                if width >= 5:
                    axes.text(
                        left + width / 2, place, f"{width:.0f}", ha="center", va="center", color=ink, fontsize=9.5
                    )
                left += width
        axes.set_yticks([place for place, _ in placed], [name(row) for row, _ in shown])
        axes.set_xlim(0, 100)
        axes.set_ylim(placed[-1][0] + 0.6 if placed else 1.0, -0.1)
        axes.set_xlabel("share of articles (%)")
        axes.tick_params(axis="y", length=0)
        for title, fill, _ in VERDICTS.values():
            axes.bar(0, 0, color=fill, label=title)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2)

    return svg(8.2, _height([{**row, "solid": True} for row, _ in shown]) + 0.3, draw)
