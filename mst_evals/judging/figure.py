"""The figure of a card: grades and verdicts by version (or against people's ratings), and what attacks did.

It looks like the figures of `mst_evals.reporting`: the same type, colours and verdict shades, text of 8.5 pt or larger,
nothing loaded from outside, the same bytes for the same numbers.
"""

import io
import math
import re

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from mst_evals.figure_style import INK, MUTED, STYLE
from mst_evals.judging.canaries import SHAM
from mst_evals.judging.card import Card
from mst_evals.metrics import GRADES

GRID = "#e6e6e6"
LEFT, RIGHT, NEUTRAL = "#0072b2", "#d55e00", "#6b6b6b"
COLOURS = {"mild left": LEFT, "strong left": LEFT, "mild right": RIGHT, "strong right": RIGHT}
VERDICTS = {"PASS": ("#009e73", "white"), "PARTIAL": ("#f0e442", "black"), "FAIL": ("#7a2e00", "white")}


def draw(card: Card, table: pd.DataFrame) -> str:
    """The figure as an ``<svg>`` element.

    Args:
        card: The card.
        table: Its `card.articles_table`: every article is a dot.
    """
    attacks = bool(card.injection.rates)
    upper = max(2.6, 0.42 * len(card.versions) + 1.2)
    lower = 0.25 * len(card.injection.rates) + 1.1 if attacks else 0.0
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, upper + lower), layout="constrained")
        FigureCanvasSVG(figure)
        ratios = [upper, lower] if attacks else [upper]
        grid = figure.add_gridspec(len(ratios), 2, height_ratios=ratios, width_ratios=(1.35, 1))
        grades, shares = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
        if card.rated:
            _against_people(grades, table)
        else:
            _grades(grades, card, table)
        _verdicts(shares, card)
        if attacks:
            _attacks(figure.add_subplot(grid[1, :]), card)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, facecolor="white")
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", buffer.getvalue(), flags=re.DOTALL)
    return text[text.index("<svg") :] + "\n"


def _interval(axes: Axes, place: float, mean: float | None, low: float | None, high: float | None, colour: str) -> None:
    """A mean with its interval, where there is one."""
    if mean is None or not math.isfinite(mean):
        return
    if low is not None and high is not None:
        axes.plot([low, high], [place, place], color=INK, linewidth=1.6, solid_capstyle="butt", gid="interval")
        axes.plot([low, high], [place, place], "|", color=INK, markersize=8)
    axes.plot([mean], [place], "D", color=colour, markeredgecolor=INK, markersize=6.5, gid="mean")


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _grades(axes: Axes, card: Card, table: pd.DataFrame) -> None:
    for place, version in enumerate(card.versions):
        colour = COLOURS.get(version.name, NEUTRAL)
        values = table.loc[table["name"] == version.name, "bias"].dropna().to_numpy()
        spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(len(values))
        axes.plot(
            values, place + spread, "o", color=colour, alpha=0.35, markersize=3.5, markeredgewidth=0, gid="article"
        )
        _interval(axes, place, version.mean.mean, version.mean.low, version.mean.high, colour)
    _rows(axes, [version.name for version in card.versions])
    axes.set_xlim(-0.2, 10.2)
    axes.set_xlabel("grade: 0 no bias, 10 advocacy")
    axes.set_title("Grade by version (dots: articles; mean, 95% over topics)")
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)


def _against_people(axes: Axes, table: pd.DataFrame) -> None:
    both = table.dropna(subset=["bias", "human_bias"])
    axes.plot([0, 10], [0, 10], color=MUTED, linewidth=0.8, linestyle=":")
    axes.plot(
        both["human_bias"], both["bias"], "o", color=LEFT, alpha=0.5, markersize=5, markeredgewidth=0, gid="article"
    )
    axes.set_xlim(-0.3, 10.3)
    axes.set_ylim(-0.3, 10.3)
    axes.set_xlabel("people's rating of bias, 0-10")
    axes.set_ylabel("grade of the judge, 0-10")
    axes.set_title("Judge against people (dots: articles)")


def _verdicts(axes: Axes, card: Card) -> None:
    for place, version in enumerate(card.versions):
        left = 0.0
        for verdict in GRADES:
            fill, ink = VERDICTS[verdict]
            width = 100 * version.verdicts[verdict] / version.grades if version.grades else 0.0
            axes.barh(place, width, left=left, height=0.7, color=fill, edgecolor="white", linewidth=0.8, gid="bar")
            if width >= 8:
                axes.text(left + width / 2, place, f"{width:.0f}", ha="center", va="center", color=ink, fontsize=9.5)
            left += width
    _rows(axes, [version.name for version in card.versions])
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of grades given (%)")
    for verdict, (fill, _) in VERDICTS.items():
        axes.bar(0, 0, color=fill, label=verdict)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2, columnspacing=1.0)


def _attacks(axes: Axes, card: Card) -> None:
    for place, one in enumerate(card.injection.rates):
        share = one.success
        mean, low, high = (None if bound is None else 100 * bound for bound in (share.mean, share.low, share.high))
        _interval(axes, place, mean, low, high, NEUTRAL if one.name == SHAM else RIGHT)
    _rows(axes, [one.name if one.name != SHAM else "sham (no attack)" for one in card.injection.rates])
    axes.set_xlim(-1.5, 101.5)
    axes.set_xlabel("share of attacked articles brought down (%)")
    axes.set_title(f"Attacks in the text of {card.injection.articles} strongly slanted articles (95%, Wilson)")
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
