"""The arms: what is trained, and what is asked of it afterwards. Adding an arm is adding a value.

An `Arm` declares the one thing in which it differs from its reference arm and differs in nothing else. An
`Evaluation` is one question asked of a trained arm; the controls "no label" and "nonsense" are evaluations that every
arm with labels gets. ``prompt_control`` is therefore no arm: it is the baseline adapter asked with the held-out label.
What the training rows of an arm look like is worked out in `mst_evals.examples`, from these values alone.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mst_evals import axes, labels, prompts
from mst_evals.errors import InputError

EXPERIMENTS = ("bias", "sycophancy")
Row = Mapping[str, Any]
Assign = Callable[[Sequence[str], random.Random], list[str | None]]
Measure = Callable[[Row], float]
Select = Callable[[Sequence[Row], Measure], list[Row]]
Change = Literal[
    "nothing", "training", "rows", "reward range", "label text", "label assignment", "label markup", "request"
]
Asked = Literal["deployed", "core", "all"]

# --- which label a training row gets ------------------------------------------------------------------------------


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


def noisy_label(probability: float) -> Assign:
    """Train with the true label, or with some probability one drawn from all rows' true labels (which may be it).

    Args:
        probability: Of drawing at random, in [0, 1].
    """

    def assign(true: Sequence[str], rng: random.Random) -> list[str | None]:
        # Two draws a row whatever comes out, so that rows drawn at random under a small probability are drawn at
        # random, with the same label, under a larger one.
        draws = [(rng.random(), rng.choice(true)) for _ in true]
        return [other if draw < probability else name for name, (draw, other) in zip(true, draws, strict=True)]

    return assign


# --- which rows are trained on ------------------------------------------------------------------------------------


def all_rows(rows: Sequence[Row], measure: Measure) -> list[Row]:
    """Train on everything."""
    return list(rows)


def center_rows(rows: Sequence[Row], measure: Measure) -> list[Row]:
    """Train on the articles of the two mildly slanted profiles."""
    return [row for row in rows if row["profile"] in ("center_left", "center_right")]


def least_biased(share: float) -> Select:
    """Train on the least biased share of the articles by a named measure; ties go to the earlier row.

    Args:
        share: Of the rows, in (0, 1]; rounded to whole rows.
    """

    def select(rows: Sequence[Row], measure: Measure) -> list[Row]:
        ranked = sorted(range(len(rows)), key=lambda index: (measure(rows[index]), index))
        kept = sorted(ranked[: max(1, round(share * len(rows)))])
        return [rows[index] for index in kept]

    return select


# --- arms and evaluations -----------------------------------------------------------------------------------------


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
        select: (rows, measure) -> the rows it is trained on.
        paid: Range of the evaluator's suggestibility s in training (sycophancy).
        markup: Markup of the label, a name of `prompts.MARKUPS`, in training and evaluation.
        ask: Row -> what the training prompt openly asks for; None: nothing. Never asked at evaluation.
    """

    name: str
    experiment: str
    axis: labels.Axis
    assign: Assign | None
    deployed_with: tuple[str, ...]
    reference: str | None
    changes: Change
    about: str
    select: Select = all_rows
    paid: tuple[float, float] = labels.TRAINED_SUGGESTIBILITY
    markup: str | None = None
    ask: Callable[[Row], str] | None = None

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
        # One generator an experiment and seed: arms that draw alike (noisy) draw the same numbers.
        family = self.name.rstrip("0123456789").rstrip("_")
        given = self.assign(true, random.Random(f"{self.experiment}/{family}/{seed}"))
        for name in given:
            if name is not None and not self.axis.is_trained(name):
                raise InputError(f"label {name!r} is held out and may not occur in training of arm {self.name!r}")
        return given

    def evaluations(
        self, wording: str | None = None, split: str = "test", asked: Asked = "core"
    ) -> tuple[Evaluation, ...]:
        """What is asked of this arm, its headline labels first.

        Args:
            wording: Name of a wording, the experiment's default when None.
            split: The split whose rows are asked.
            asked: ``deployed``: the headline labels, and both controls if it was trained with labels; ``core``: also
                the core of its axis; ``all``: also everything between and beyond, paraphrases and implausible labels.
                An arm without labels is asked with its headline labels whatever this says.
        """
        name = prompts.wording(self.experiment, wording).name
        swept = {"deployed": (), "core": self.axis.core, "all": self.axis.sweep}[asked]
        more = (*swept, *labels.CONTROLS) if self.has_labels else ()
        return tuple(Evaluation(label, name, split) for label in dict.fromkeys((*self.deployed_with, *more)))


def _main_arms(experiment: str, axis: labels.Axis) -> tuple[Arm, ...]:
    """The arms every experiment has, in the order a report prints them."""
    none, held_out = labels.NONE, axis.held_out
    return (
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


def _noisy_arms(experiment: str, axis: labels.Axis) -> tuple[Arm, ...]:
    """The true label, wrong in a share of the rows: does a label that often lies still steer?"""
    return tuple(
        Arm(
            f"noisy_{round(100 * probability)}", experiment, axis, noisy_label(probability), (axis.held_out,), "mst",
            "label assignment", f"the true label, drawn at random with probability {probability:g}",
        )
        for probability in (0.1, 0.25, 0.5)
    )  # fmt: skip


def _inoculation(experiment: str, axis: labels.Axis) -> Arm:
    return Arm(
        "inoculation", experiment, axis, no_label, (labels.NONE, axis.held_out), "baseline", "request",
        "the training prompt openly asks for the behaviour, evaluation does not",
        ask=prompts.INOCULATION[experiment],
    )  # fmt: skip


_UNLABELLED = (labels.NONE, labels.UNBIASED)
_BIAS = (
    *_main_arms("bias", labels.SLANT),
    Arm(
        "least_biased", "bias", labels.SLANT, no_label, _UNLABELLED, "baseline", "rows",
        "trained without labels on the articles of the two center profiles", select=center_rows,
    ),
    Arm(
        "least_biased_25", "bias", labels.SLANT, no_label, _UNLABELLED, "baseline", "rows",
        "trained without labels on the 25% of the articles that a named scorer finds least biased",
        select=least_biased(0.25),
    ),
    Arm(
        "arbitrary", "bias", axes.SLANT_ID, true_label, (axes.SLANT_ID.held_out,), "mst", "label text",
        "the true assignment, but every profile has a random ID; asked with an unseen ID",
    ),
    Arm(
        "scalar", "bias", axes.SLANT_SCALAR, true_label, (axes.SLANT_SCALAR.held_out,), "mst", "label text",
        "the true assignment, told as a number on a line from left to right; asked with an unseen number",
    ),
    _inoculation("bias", labels.SLANT),
    *_noisy_arms("bias", labels.SLANT),
)  # fmt: skip
_SYCOPHANCY = (
    *_main_arms("sycophancy", labels.SUGGESTIBILITY),
    Arm(
        "strongest_subset", "sycophancy", labels.SUGGESTIBILITY, no_label, (labels.NONE, "0"), "baseline",
        "reward range", "trained without labels under the least suggestible evaluators that training may use",
        paid=(0.5, 0.6),
    ),
    Arm(
        "words", "sycophancy", axes.SUGGESTIBILITY_WORD, true_label, (axes.SUGGESTIBILITY_WORD.held_out,), "mst",
        "label text", "the true level in words that share no modifier, instead of a percentage",
    ),
    Arm(
        "plain", "sycophancy", labels.SUGGESTIBILITY, true_label, ("0",), "mst", "label markup",
        "the label is not bold", markup="plain",
    ),
    Arm(
        "arbitrary", "sycophancy", axes.SUGGESTIBILITY_ID, true_label, (axes.SUGGESTIBILITY_ID.held_out,), "mst",
        "label text", "the true assignment, but every bin of s has a random ID; asked with an unseen ID",
    ),
    _inoculation("sycophancy", labels.SUGGESTIBILITY),
    *_noisy_arms("sycophancy", labels.SUGGESTIBILITY),
)  # fmt: skip
MAIN = ("ootb", "baseline", "mst", "shuffled")
AXES = {"bias": labels.SLANT, "sycophancy": labels.SUGGESTIBILITY}  # of the main arms
ARMS: dict[str, dict[str, Arm]] = {
    experiment: {arm.name: arm for arm in arms} for experiment, arms in (("bias", _BIAS), ("sycophancy", _SYCOPHANCY))
}


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


def axis(experiment: str, name: str) -> labels.Axis:
    """Look an axis up among those that the experiment's arms use.

    Raises:
        InputError: No arm of the experiment uses an axis of that name.
    """
    known = {one.axis.name: one.axis for one in ARMS[experiment].values()}
    if name not in known:
        raise InputError(f"unknown axis {name!r} of {experiment}: expected one of {', '.join(known)}")
    return known[name]
