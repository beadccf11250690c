"""What a study trains and asks: the seeds of each of its arms, and in which wordings and with which labels."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mst_evals import labels, prompts, variants
from mst_evals.errors import InputError
from mst_evals.studies.study import HELD_OUT, OWN, ArmPlan, Condition, Side, Study


@dataclass(frozen=True)
class Asked:
    """One sweep: every row with every label, in one wording of the prompt."""

    wording: str
    labels: tuple[str, ...]


def names(arm: variants.Arm, given: Iterable[str]) -> tuple[str, ...]:
    """Label names of an arm: ``own`` becomes its headline labels, ``held_out`` that of its axis; no name twice.

    Raises:
        InputError: The arm's axis has no such label.
    """
    found: list[str] = []
    for name in given:
        found += arm.deployed_with if name == OWN else (arm.axis.held_out if name == HELD_OUT else name,)
    return tuple(dict.fromkeys(arm.axis.label(name).name for name in found))


def asked(study: Study, arm_name: str) -> tuple[Asked, ...]:
    """The sweeps of an arm, that in the experiment's default wording first.

    Raises:
        InputError: A label or wording is unknown, or a whole sweep is asked of an arm that has no labels.
    """
    arm, plan = variants.arm(study.experiment, arm_name), study.arms.get(arm_name)
    own = plan.labels if plan is not None else None
    if own in ("core", "all") and not arm.has_labels:
        raise InputError(
            f"labels: found {own!r}, expected a list of labels: it is trained without labels and asked with "
            f"{' and '.join(arm.deployed_with)} unless others are named"
        )
    given = study.evaluations.labels if own is None else own
    default = prompts.DEFAULT_WORDING[study.experiment]
    main = names(arm, given if isinstance(given, list) else [one.label for one in arm.evaluations(asked=given)])
    sweeps = {default: main}
    extra = study.evaluations.wordings
    if extra is not None and arm_name in (extra.arms or study.arms):
        for wording in prompts.WORDINGS[study.experiment] if extra.names == "all" else extra.names:
            known = prompts.wording(study.experiment, wording).name
            sweeps[known] = tuple(dict.fromkeys((*sweeps.get(known, ()), *names(arm, extra.labels))))
    return tuple(Asked(wording, swept) for wording, swept in sweeps.items())


def conditions(study: Study) -> list[Condition]:
    """The conditions of a study; a nameless one where it has none."""
    return list(study.conditions) or [Condition.model_construct(name="")]


def models(study: Study, condition: Condition) -> Iterator[tuple[str, int | None]]:
    """(arm, seed) of everything that a condition trains or asks; the seed is None for what is not trained."""
    for arm in condition.arms or study.arms:
        chosen = study.arms.get(arm, ArmPlan()).seeds or study.seeds
        if variants.arm(study.experiment, arm).assign is None:
            yield arm, None
        else:
            yield from ((arm, seed) for seed in chosen if condition.seeds is None or seed in condition.seeds)


def samples(study: Study, arm_name: str, sweep: Asked, rows: int) -> int:
    """Number of samples that a sweep makes of so many rows; nonsense stands for its five strings."""
    axis = variants.arm(study.experiment, arm_name).axis
    return rows * sum(len(label_texts(axis, name)) for name in sweep.labels)


def label_texts(axis: labels.Axis, name: str) -> tuple[str | None, ...]:
    """What a label shows, one entry for each of its texts; a lone None for no label."""
    return axis.label(name).texts or (None,)


def side(study: Study, one: Side) -> tuple[str, str, str, str]:
    """A side of a comparison as (arm, label name, condition, wording), with everything it leaves open filled in.

    ``own`` is the first of the arm's headline labels here.

    Raises:
        InputError: The arm, label or wording is unknown.
    """
    arm = variants.arm(study.experiment, one.arm)
    label = names(arm, [one.label])[0]
    return arm.name, label, one.condition or "", prompts.wording(study.experiment, one.wording).name
