"""Where the labels of an arm stand in a plot: on the axis of the arm, or in a group of their own at its right.

A label's place and how it relates to the trained ones come from the arm's `labels.Axis`, never from what a log says of
them, so that old logs and new ones are drawn alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mst_evals import labels
from mst_evals.errors import InputError
from mst_evals.labels import Axis, Label, Relation

Group = Literal["axis", "never seen", "other words", "too good to be true", "own words", "controls"]
GROUPS: tuple[Group, ...] = ("axis", "never seen", "other words", "too good to be true", "own words", "controls")
_OF_KIND: dict[str, Group] = {
    "paraphrase": "other words", "implausible": "too good to be true", "control": "controls", "custom": "own words",
}  # fmt: skip
APART = 0.7  # slots between two groups


@dataclass(frozen=True)
class Slot:
    """One label of a plot.

    Attributes:
        label: Its name.
        x: Its place on the horizontal axis.
        group: ``axis``, or the group it stands in at the right.
        relation: To the trained labels, on the dimension that is drawn.
        deployed: Whether deployment swaps it in.
    """

    label: str
    x: float
    group: Group
    relation: Relation
    deployed: bool


@dataclass(frozen=True)
class Scale:
    """The horizontal axis of a plot against the label.

    Attributes:
        slots: Left to right.
        number: Whether x is the number that the labels show, so that distances mean something.
        unit: Width of a slot in units of x.
        trained: First and last trained number on a number scale, else None.
        dimension: Name of the dimension.
    """

    slots: tuple[Slot, ...]
    number: bool
    unit: float
    trained: tuple[float, float] | None
    dimension: str

    def x(self) -> dict[str, float]:
        """Label -> its place."""
        return {slot.label: slot.x for slot in self.slots}


def label_of(axis: Axis, name: str) -> Label:
    """A label by its name; one that the axis does not have is somebody's own."""
    try:
        return axis.label(name)
    except InputError:
        return Label(name, (), "custom", "custom")


def group_of(label: Label) -> Group:
    """The group of a plot in which a label stands."""
    if label.kind in _OF_KIND:
        return _OF_KIND[label.kind]
    return "axis" if label.places else "never seen"


def _is_number(name: str) -> bool:
    return name.removeprefix("-").isdigit()


def scale(axis: Axis, asked: Iterable[str], dimension: str | None = None) -> Scale:
    """Place the labels that were asked.

    A number scale is used where the labels on the axis are numbers and training used all of those in its range; else
    every label gets a slot of the same width, in the order of the axis.

    Args:
        axis: Of the arms that are drawn together.
        asked: Names of labels, in any order.
        dimension: Of the axis, its first when None.
    """
    along = dimension or axis.dimensions[0]
    order = {name: index for index, name in enumerate((*axis.sweep, *axis.trained, *labels.CONTROLS))}
    found = [label_of(axis, name) for name in sorted(set(asked), key=lambda name: (order.get(name, len(order)), name))]
    on_axis = [label for label in found if group_of(label) == "axis"]
    on_axis.sort(key=lambda label: label.places[along])
    relations = {label.relations[along] for label in on_axis}
    number = bool(on_axis) and all(_is_number(label.name) for label in on_axis) and "interpolation" not in relations
    xs = [label.places[along] if number else float(index) for index, label in enumerate(on_axis)]
    # On a number scale the groups at the right get about as much room as they need for their names.
    unit = max(xs[-1] - xs[0], 1.0) / 14 if number else 1.0
    slots = [
        Slot(label.name, x, "axis", label.relations[along], label.name == axis.held_out)
        for label, x in zip(on_axis, xs, strict=True)
    ]
    at = xs[-1] if xs else -1.0 - APART
    for group in GROUPS[1:]:
        members = [label for label in found if group_of(label) == group]
        at += APART * unit if members else 0.0
        for label in members:
            at += unit
            relation = label.relations.get(along, "unplaced")
            slots.append(Slot(label.name, at, group, relation, label.name == axis.held_out))
    places = [label.places[along] for name in axis.trained if (label := axis.label(name)).places]
    return Scale(tuple(slots), number, unit, (min(places), max(places)) if number and places else None, along)
