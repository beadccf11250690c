"""The arms: what is trained, and what is asked of it afterwards. Adding an arm is adding a value.

An `Arm` declares the one thing in which it differs from its reference arm and differs in nothing else. An
`Evaluation` is one question asked of a trained arm; the controls "no label" and "nonsense" are evaluations that every
arm with labels gets. ``prompt_control`` is therefore no arm: it is the baseline adapter asked with the held-out label.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mst_evals import labels, prompts
from mst_evals.errors import InputError

EXPERIMENTS = ("bias", "sycophancy")
Assign = Callable[[Sequence[str], random.Random], list[str | None]]


def no_label(true: Sequence[str], rng: random.Random) -> list[str | None]:
    """Train without labels."""
    return [None] * len(true)


def true_label(true: Sequence[str], rng: random.Random) -> list[str | None]:
    """Train with the label that describes how each sample is really evaluated."""
    return list(true)


def permuted_label(true: Sequence[str], rng: random.Random) -> list[str | None]:
    """Train with the true labels in a random order: the same multiset, no association with the sample."""
    shuffled: list[str | None] = list(true)
    rng.shuffle(shuffled)
    return shuffled


@dataclass(frozen=True)
class Evaluation:
    """One question asked of an adapter.

    Attributes:
        label: A label name of the arm's axis, ``none`` or ``nonsense``.
        wording: A wording name of the experiment.
        split: The split whose rows are asked.
    """

    label: str
    wording: str
    split: str = "test"


@dataclass(frozen=True)
class Arm:
    """One way of training.

    Attributes:
        name: What a user types and a report prints.
        experiment: ``bias`` or ``sycophancy``.
        axis: The label axis of its training and its evaluation.
        assign: (true label names, rng) -> the label name of each training row, None for no label. None: not trained.
        deployed_with: The labels of its headline evaluations.
        reference: The arm it is compared with by design, None for the first.
        changes: The one thing it changes against its reference.
        about: One line for ``mst arms``.
    """

    name: str
    experiment: str
    axis: labels.Axis
    assign: Assign | None
    deployed_with: tuple[str, ...]
    reference: str | None
    changes: str
    about: str

    @property
    def has_labels(self) -> bool:
        """Whether any label is seen in training."""
        return self.assign is not None and self.assign is not no_label

    def training_labels(self, true: Sequence[str], seed: int) -> list[str | None]:
        """Label name of each training row, drawn from a generator of its own so that nothing else moves with it.

        Args:
            true: The true label name of each row.
            seed: The recorded training seed.

        Raises:
            InputError: The arm is not trained, or a true label may not occur in training.
        """
        if self.assign is None:
            raise InputError(f"arm {self.name!r} is not trained")
        given = self.assign(true, random.Random(f"{self.experiment}/{self.name}/{seed}"))
        for name in given:
            if name is not None and not self.axis.is_trained(name):
                raise InputError(f"label {name!r} is held out and may not occur in training of arm {self.name!r}")
        return given

    def evaluations(self, wording: str | None = None, split: str = "test") -> tuple[Evaluation, ...]:
        """Everything that is asked of this arm: its headline labels, the controls, and the sweep if it has labels."""
        name = prompts.wording(self.experiment, wording).name
        swept = (*self.axis.sweep, *labels.CONTROLS) if self.has_labels else ()
        return tuple(Evaluation(label, name, split) for label in dict.fromkeys((*self.deployed_with, *swept)))


def _main_arms(experiment: str, axis: labels.Axis) -> dict[str, Arm]:
    """The arms every experiment has, in the order a report prints them."""
    none, held_out = labels.NONE, axis.held_out
    arms = (
        Arm("ootb", experiment, axis, None, (none, held_out), None, "nothing", "the base model, out of the box"),
        Arm(
            "baseline", experiment, axis, no_label, (none, held_out), "ootb", "training",
            "trained without labels; asked with the held-out label it is the prompt control",
        ),
        Arm("mst", experiment, axis, true_label, (held_out,), "baseline", "label text", "trained with the true labels"),
        Arm(
            "shuffled", experiment, axis, permuted_label, (held_out,), "mst", "label assignment",
            "trained with the true labels in a random order",
        ),
    )  # fmt: skip
    return {arm.name: arm for arm in arms}


AXES = {"bias": labels.SLANT, "sycophancy": labels.SUGGESTIBILITY}
ARMS: dict[str, dict[str, Arm]] = {experiment: _main_arms(experiment, AXES[experiment]) for experiment in EXPERIMENTS}


def arm(experiment: str, name: str) -> Arm:
    """Look an arm up.

    Raises:
        InputError: No such experiment, or no such arm in it.
    """
    if experiment not in ARMS:
        raise InputError(f"unknown experiment {experiment!r}: expected one of {', '.join(EXPERIMENTS)}")
    if name not in ARMS[experiment]:
        raise InputError(f"unknown arm {name!r} of {experiment}: expected one of {', '.join(ARMS[experiment])}")
    return ARMS[experiment][name]
