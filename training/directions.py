"""Directions that part the trained labels of an axis, and where other labels lie on them: the maths of the axis probe.

A direction is the difference of the means of two groups of trained labels. A vector's place on it is 0 at the mean of
the low group and 1 at the mean of the high one. A trained label is read on a direction that was made without it, or it
would lie where it does by construction.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from mst_evals import labels
from mst_evals.labels import Axis

TOLD_APART = 0.75  # a direction that puts no more trained labels on their own side than this says nothing
FLAT_LENGTH = 1e-6  # of a direction, against the mean length of the vectors it parts
OUTER = 1 / 3  # how much of the way beyond the trained labels is outermost


def _itself(position: float) -> float:
    return position


def _leftward(slant: float) -> float:
    return -slant


def _sign(slant: float) -> float:
    return math.copysign(1.0, slant)


@dataclass(frozen=True)
class Direction:
    """What parts two groups of trained labels.

    Attributes:
        name: What it is called in the output.
        groups: Names of the low and of the high group.
        along: Position on the axis -> place along this direction.
        border: Trained labels above it are the high group.
        block: Position -> block of trained labels that are left out together when one of them is read. Of two things
            that vary at once, leaving out a single label would tilt the direction towards the other one.
    """

    name: str
    groups: tuple[str, str]
    along: Callable[[float], float]
    border: float
    block: Callable[[float], float]


DIRECTIONS = {
    # s = 1, where agreeing with a wrong answer begins to pay, lies at two thirds.
    "suggestibility": (Direction("suggestibility", ("33..66", "67..100"), _itself, 200 / 3, _itself),),
    "slant": (
        Direction("side", ("right", "left"), _leftward, 0.0, abs),
        Direction("intensity", ("center", "strong"), abs, 1.5, _sign),
    ),
}


@dataclass(frozen=True)
class End:
    """What lies outermost at one end of a direction, beyond the trained labels.

    Attributes:
        end: ``low`` or ``high``.
        labels: Names of the labels.
        deployed: Whether the label that deployment swaps in is among them.
        mean: Their mean place.
        folds: Whether they read like the group at the other end.
    """

    end: str
    labels: tuple[str, ...]
    deployed: bool
    mean: float
    folds: bool


@dataclass(frozen=True)
class Reading:
    """All labels on one direction, at one position and layer.

    Attributes:
        direction: Name of the direction.
        position: Where the vectors come from.
        layer: The same; 0 for the embeddings.
        accuracy: Share of the trained labels that lie on their own group's side when left out of the direction.
        flat: Whether the trained groups are not told apart here, so that nothing is predicted.
        projection: Label -> its place: 0 and 1 are the means of the groups; None where there is no vector or no line.
        predicted: Label that is not trained -> the group it reads like; empty when flat.
        ends: The outermost held-out labels; empty when flat.
    """

    direction: str
    position: str
    layer: int
    accuracy: float
    flat: bool
    projection: dict[str, float | None]
    predicted: dict[str, str]
    ends: tuple[End, ...]


def probed(axis: Axis) -> tuple[str, ...]:
    """Every label that is read: the sweep and the trained ones in the order of their positions, then the others."""
    names = dict.fromkeys((*axis.sweep, *axis.trained))
    placed = {name: place for name in names if (place := axis.label(name).position) is not None}
    others = [name for name in names if name not in placed]
    return (*sorted(placed, key=lambda name: placed[name]), *others, *labels.CONTROLS)


def outermost(axis: Axis, direction: Direction) -> dict[str, tuple[str, ...]]:
    """End -> the held-out labels that lie furthest out there; an end with none is left out.

    That is the outer third of the way from the trained labels to the label that deployment swaps in or, at an end where
    that label does not lie, to the last label of the sweep.
    """
    place = {
        name: direction.along(position)
        for name in dict.fromkeys((*axis.sweep, *axis.trained, axis.held_out))
        if (position := axis.position(name)) is not None
    }
    found = {}
    for end, sign in (("low", -1.0), ("high", 1.0)):
        edge = max(sign * place[name] for name in axis.trained if name in place)
        beyond = {name: sign * value - edge for name, value in place.items() if sign * value > edge}
        if beyond:
            last = beyond.get(axis.held_out, max(beyond.values()))
            found[end] = tuple(name for name, way in beyond.items() if (1 - OUTER) * last <= way <= last)
    return found


def project(vector: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> float:
    """Where a vector (hidden,) lies between the means of two groups, (n, hidden) each: 0 is the low mean, 1 the high.

    (v - m_low) . d / (d . d) with d = m_high - m_low; NaN when the means are the same.
    """
    start, d = low.mean(0), high.mean(0) - low.mean(0)
    return float((vector - start) @ d / (d @ d))


def read(vector: Mapping[str, torch.Tensor], axis: Axis, direction: Direction, position: str, layer: int) -> Reading:
    """Read every label on one direction.

    Args:
        vector: Label -> its vector (hidden,); a label that is not trained may be missing.
        axis: The axis of the labels.
        direction: The direction.
        position: Where the vectors come from.
        layer: The same.
    """
    trained = {name: place for name in axis.trained if (place := axis.position(name)) is not None}
    high = {name: direction.along(place) > direction.border for name, place in trained.items()}

    def group(above: bool, without: str = "") -> torch.Tensor:
        left_out = direction.block(trained[without]) if without in trained else None
        kept = [name for name, place in trained.items() if high[name] == above and direction.block(place) != left_out]
        return torch.stack([vector[name] for name in kept])

    lies: dict[str, float | None] = dict.fromkeys(probed(axis))
    for name in lies:
        value = project(vector[name], group(False, name), group(True, name)) if name in vector else math.nan
        lies[name] = value if math.isfinite(value) else None
    told = [(at := lies[name]) is not None and (at > 0.5) == above for name, above in high.items()]
    accuracy = sum(told) / len(told)
    length = (group(True).mean(0) - group(False).mean(0)).norm()
    size = torch.stack([vector[name] for name in trained]).norm(dim=1).mean()
    if accuracy <= TOLD_APART or not length > FLAT_LENGTH * size:
        return Reading(direction.name, position, layer, accuracy, True, lies, {}, ())
    predicted = {
        name: direction.groups[value > 0.5] for name, value in lies.items() if value is not None and name not in high
    }
    ends = tuple(_end(axis, end, names, lies) for end, names in outermost(axis, direction).items())
    return Reading(direction.name, position, layer, accuracy, False, lies, predicted, ends)


def _end(axis: Axis, end: str, names: tuple[str, ...], place: Mapping[str, float | None]) -> End:
    values = [value for name in names if (value := place[name]) is not None]
    mean = sum(values) / len(values)
    return End(end, names, axis.held_out in names, mean, (mean > 0.5) == (end == "low"))


def distinct(readings: Sequence[Reading]) -> list[Reading]:
    """The readings that tell something, without those that repeat another's places in its layer (a one-token label)."""
    kept: list[Reading] = []
    for one in readings:
        again = [other for other in kept if other.layer == one.layer and other.projection == one.projection]
        if not one.flat and not again:
            kept.append(one)
    return kept


def overall(readings: Sequence[Reading]) -> tuple[End, ...]:
    """The ends of one direction, their places averaged over distinct readings; none when all readings are flat.

    Where the label that deployment swaps in lies at one of the ends, only that end counts.
    """
    telling = distinct(readings)
    found = []
    for parts in zip(*(one.ends for one in telling), strict=True):
        mean = sum(part.mean for part in parts) / len(parts)
        found.append(replace(parts[0], mean=mean, folds=(mean > 0.5) == (parts[0].end == "low")))
    return tuple(end for end in found if end.deployed) or tuple(found)


def folds(readings: Sequence[Reading]) -> bool | None:
    """Whether the outermost held-out labels read like the far group, on average; None when all readings are flat."""
    ends = overall(readings)
    return any(end.folds for end in ends) if ends else None


def average(readings: Sequence[Reading], name: str) -> float | None:
    """Place of one label, averaged over distinct readings; None where none has it."""
    places = [place for one in distinct(readings) if (place := one.projection[name]) is not None]
    return sum(places) / len(places) if places else None
