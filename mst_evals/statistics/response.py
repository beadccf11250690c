"""How behaviour responds along a label axis: one curve of one seed, then its summary over seeds.

A curve is one value (mean bias, false-positive rate) at each place of an axis. Controls have no place and stay out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from mst_evals.statistics import seeds, stats


@dataclass(frozen=True)
class Response:
    """What one seed's curve does.

    Attributes:
        range: Largest minus smallest value, in the unit of the values; None without values.
        flat: Whether the range is below the tolerance.
        monotonicity: Spearman's (1904) rho of value with position, -1 to 1; None when the curve is flat (ranks
            of noise) or has fewer than three places.
        held_out: Value at the held-out label.
        best_trained: Best value at a trained label.
        beyond: By how much the held-out label is better than the best trained one; negative where it falls short.
        uptick: The largest rise going outwards from the trained range: by how much a held-out label beyond it is worse
            than the best place between the two, the nearest trained label included. 0 if none is worse (noise alone
            makes it positive), None where the held-out label lies between trained ones: nothing is extrapolated.
        uptick_at: Position of that label, None where there is no uptick.
        note: Why something is None or not to be read, None when there is nothing to say.
    """

    range: float | None
    flat: bool
    monotonicity: float | None
    held_out: float | None
    best_trained: float | None
    beyond: float | None
    uptick: float | None
    uptick_at: float | None
    note: str | None


@dataclass(frozen=True)
class ResponseSummary:
    """The responses of all seeds: each quantity for every seed, its mean and its t interval over seeds.

    Attributes:
        range: See `Response`.
        monotonicity: Over the seeds whose curve is not flat.
        beyond: See `Response`.
        uptick: See `Response`.
        flat: Number of seeds whose curve is flat.
        seeds: Number of seeds.
    """

    range: seeds.OverSeeds
    monotonicity: seeds.OverSeeds
    beyond: seeds.OverSeeds
    uptick: seeds.OverSeeds
    flat: int
    seeds: int


def _uptick(places: list[tuple[float, float, bool]], held_out: float) -> tuple[float | None, float | None]:
    """Uptick of a curve of (position, badness, trained), for a held-out label at a position, and where it stands."""
    trained = [position for position, _, is_trained in places if is_trained]
    if not trained or min(trained) <= held_out <= max(trained):
        return None, None
    side = -1.0 if held_out < min(trained) else 1.0
    # Outwards from the nearest trained label: that label first, then every held-out label beyond it.
    edge = max(side * position for position in trained)
    tail = sorted((side * position, badness) for position, badness, _ in places if side * position >= edge)
    best, rise, at = tail[0][1], 0.0, None
    for position, badness in tail[1:]:
        if badness - best > rise:
            rise, at = badness - best, side * position
        best = min(best, badness)
    return rise, at


def label_response(
    positions: stats.Floats,
    values: stats.Floats,
    trained: Sequence[bool],
    held_out: int,
    better: stats.Better,
    tolerance: float,
) -> Response:
    """Summarise one seed's curve along a label axis.

    Args:
        positions: Place of each label on the axis, shape (k,).
        values: Behaviour at each label, shape (k,); NaN where it was not measured, and such a label is left out.
        trained: Whether training used the label (or a place in its range), shape (k,).
        held_out: Index of the label that deployment swaps in.
        better: Whether a lower or a higher value is the better one.
        tolerance: Range below which a curve counts as flat, in the unit of the values (0.5 on the 0-10 scale, 0.05 of
            a rate).
    """
    x, y = np.asarray(positions, dtype=np.float64), np.asarray(values, dtype=np.float64)
    sign = 1.0 if better == "lower" else -1.0
    places = [
        (float(at), float(sign * value), bool(is_trained))
        for at, value, is_trained in zip(x, y, trained, strict=True)
        if math.isfinite(value)
    ]
    known = np.isfinite(y)
    if not places:
        return Response(None, False, None, None, None, None, None, None, "no label was measured")
    spread = float(np.ptp(y[known]))
    flat, enough = spread < max(tolerance, stats.EQUAL), len(set(x[known].tolist())) >= 3
    rho = None if flat or not enough else float(scipy_stats.spearmanr(x[known], y[known]).statistic)
    note = None
    if flat:
        note = f"flat: the range {spread:.3g} is below {tolerance:g}, so it has no monotonicity"
    elif not enough:
        note = "fewer than three places on the axis, so it has no monotonicity"
    best = min((badness for _, badness, is_trained in places if is_trained), default=None)
    best_trained = None if best is None else sign * best
    if not known[held_out]:
        return Response(
            spread, flat, rho, None, best_trained, None, None, None, note or "the held-out label was not measured"
        )
    value = float(y[held_out])
    beyond = None if best is None else best - sign * value
    return Response(spread, flat, rho, value, best_trained, beyond, *_uptick(places, float(x[held_out])), note)


def summarise_responses(responses: Sequence[Response], level: float = 0.95) -> ResponseSummary:
    """Every quantity of the seeds' curves with its mean and t interval over seeds (two seeds or more).

    Args:
        responses: One for each seed, in the order of the seeds.
        level: Confidence level.
    """
    positive = (0.0, math.inf)
    return ResponseSummary(
        range=seeds.over_seeds([one.range for one in responses], level, positive),
        monotonicity=seeds.over_seeds([one.monotonicity for one in responses], level, (-1.0, 1.0)),
        beyond=seeds.over_seeds([one.beyond for one in responses], level),
        uptick=seeds.over_seeds([one.uptick for one in responses], level, positive),
        flat=sum(one.flat for one in responses),
        seeds=len(responses),
    )
