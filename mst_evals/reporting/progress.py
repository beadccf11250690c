"""How much of a study its frame holds: the planned evaluations that are missing, and the seeds that a study plans.

An evaluation is one model (an arm, a seed, a condition) asked in one wording; it is one cell of the study. Whether it
is there is read off the samples alone, so a report says the same of a study's logs and of its packed results.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd

from mst_evals import variants
from mst_evals.reporting.frame import NO_SEED
from mst_evals.reporting.layout import Section
from mst_evals.reporting.results import EXISTING, Block
from mst_evals.reporting.tables import Table
from mst_evals.studies import asked
from mst_evals.studies.study import Study

Side = tuple[str, str]  # arm and condition
DEFAULT_CHOICE = {"bias": "generate", "sycophancy": "forced"}


@dataclass(frozen=True)
class Evaluation:
    """One model asked in one wording.

    Attributes:
        condition: Name of the condition, empty for none.
        arm: Name of the arm.
        seed: Training seed, None for what is not trained.
        wording: Wording of the prompt.
        labels: What it is asked with.
    """

    condition: str
    arm: str
    seed: int | None
    wording: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    Attributes:
        study: Name of the study.
        planned: All its evaluations.
        missing: Those that are not there in full, each with the labels that it lacks.
    """

    study: str
    planned: tuple[Evaluation, ...]
    missing: tuple[Evaluation, ...]

    @property
    def title(self) -> str:
        """Title of the section that lists what is missing."""
        return f"Missing cells of the study {self.study}"

    @property
    def sentence(self) -> str:
        """What a report begins with."""
        count = f"{len(self.planned) - len(self.missing)} of {len(self.planned)} evaluation cells"
        if not self.missing:
            return f"Study {self.study}: {count} are done, so nothing that it plans is missing."
        return (
            f"Unfinished: {count} of the study {self.study} are done. The others stand under "
            f'"{self.title}"; what rests on fewer seeds than planned is marked.'
        )

    def facts(self) -> dict[str, Any]:
        """The same for ``results.json``."""
        return {
            "name": self.study, "evaluations": len(self.planned), "done": len(self.planned) - len(self.missing),
            "missing": [asdict(one) for one in self.missing],
        }  # fmt: skip


def setting(study: Study) -> dict[str, str]:
    """What all evaluations of a study have in common, by the names of `frame.SETTING`."""
    choice = study.evaluations.choice or DEFAULT_CHOICE[study.experiment]
    return {"experiment": study.experiment, "split": study.evaluations.split, "choice": choice}


def planned(study: Study) -> list[Evaluation]:
    """The evaluations of a study, in the order in which they are made."""
    return [
        Evaluation(condition.name, arm, seed, sweep.wording, sweep.labels)
        for condition in asked.conditions(study)
        for arm, seed in asked.models(study, condition)
        for sweep in asked.asked(study, arm)
    ]


def progress(study: Study, samples: pd.DataFrame) -> Progress:
    """How far a study is, by the samples of a frame; a sample that was not scored was asked all the same."""
    mine = samples
    for name, value in setting(study).items():
        mine = mine[mine[name] == value]
    keys = ["condition", "arm", "seed", "wording", "label"]
    there = set(mine[keys].drop_duplicates().itertuples(index=False, name=None))
    missing, all_planned = [], planned(study)
    for one in all_planned:
        seed = NO_SEED if one.seed is None else one.seed
        lacking = tuple(name for name in one.labels if (one.condition, one.arm, seed, one.wording, name) not in there)
        if lacking:
            missing.append(replace(one, labels=lacking))
    return Progress(study.name, tuple(all_planned), tuple(missing))


def seeds(study: Study, condition: str) -> dict[str, tuple[int, ...]]:
    """Arm -> training seeds that a study plans for it under a condition; none for what is not trained."""
    found: dict[str, list[int]] = {}
    for one in asked.conditions(study):
        if one.name == condition:
            for arm, seed in asked.models(study, one):
                found.setdefault(arm, []).extend([] if seed is None else [seed])
    return {arm: tuple(each) for arm, each in found.items()}


def of_setting(study: Study | None, found: Mapping[str, str]) -> Study | None:
    """The study, when a setting is one that it asks in."""
    return study if study and setting(study).items() <= found.items() else None


def common_seeds(study: Study, a: Side, b: Side) -> tuple[int, ...] | None:
    """The seeds over which a study plans a difference, None when it does not plan both sides.

    What is not trained stands against every seed of the other side.
    """
    sides = [seeds(study, condition).get(arm) for arm, condition in (a, b)]
    if sides[0] is None or sides[1] is None:
        return None
    if not sides[0] or not sides[1]:
        return sides[0] or sides[1]
    return tuple(seed for seed in sides[0] if seed in sides[1])


def seed_facts(study: Study | None, a: Side, b: Side, scored: Collection[int]) -> dict[str, Any]:
    """What a row of ``results.json`` says of the seeds of a difference.

    Args:
        study: The study; None: nothing is planned.
        a: One side.
        b: The other.
        scored: The seeds that both sides have values of.
    """
    plan = common_seeds(study, a, b) if study else None
    lacking = [seed for seed in plan or () if seed not in scored]
    return {"seeds_planned": None if plan is None else list(plan), "seeds_missing": lacking}


def missing_cells(
    block: Block,
    planned: Mapping[str, Sequence[str]] | None = None,
    seeds: Mapping[str, Sequence[int]] | None = None,
) -> list[str]:
    """Evaluations that are planned and that the block lacks, or has nothing scored of, one sentence or more an arm.

    Args:
        block: The block.
        planned: Arm -> labels that a study asks it with; None: the core of every arm that is here, and the main arms.
        seeds: Arm -> training seeds that a study plans for it; None: no seed is known to be missing.
    """
    if block.setting["choice"] == EXISTING:
        return []
    present = {(arm, label) for arm, label in zip(block.rows["arm"], block.rows["label"], strict=True)}
    if planned is None:
        here = dict.fromkeys((*variants.MAIN, *(arm for arm in block.arms if arm in variants.ARMS[block.experiment])))
        known = {arm: variants.arm(block.experiment, arm).evaluations() for arm in here}
        planned = {arm: [evaluation.label for evaluation in asked] for arm, asked in known.items()}
    notes = []
    for arm, labels_asked in planned.items():
        absent = [label for label in labels_asked if (arm, label) not in present]
        if absent:
            notes.append(f"Missing here: {arm} with {', '.join(absent)}.")
        there = [label for label in labels_asked if (arm, label) in present]
        notes += _missing_seeds(block, arm, there, (seeds or {}).get(arm, ()), len(labels_asked))
    return notes


def _missing_seeds(
    block: Block, arm: str, labels_there: Sequence[str], planned: Sequence[int], asked: int
) -> Iterator[str]:
    """The seeds of which nothing is scored at labels of which something is, one sentence for labels that agree."""
    lines = block.by_seed[block.by_seed["arm"] == arm]
    absent: dict[tuple[int, ...], list[str]] = {}
    for label in labels_there:
        scored = set(lines.loc[lines["label"] == label, "seed"])
        absent.setdefault(tuple(seed for seed in planned if seed not in scored), []).append(label)
    for lacking, names in absent.items():
        if lacking:
            here = f"{len(planned) - len(lacking)} of {len(planned)} planned seeds"
            which = f"{'seed' if len(lacking) == 1 else 'seeds'} {', '.join(map(str, lacking))}"
            label = "every label" if len(names) == asked > 1 else ", ".join(names)
            yield f"Missing here: {which} of {arm} with {label} ({here} are here)."


# --- as a section -------------------------------------------------------------------------------------------------


def _grouped(found: Progress) -> list[tuple[str, str, list[str], str, list[int]]]:
    """Condition, arm, wordings, labels and missing seeds: alike ones in one line."""
    whole = {replace(one, labels=()): one.labels for one in found.planned}
    by_seed: dict[tuple[str, str, str, str], list[int]] = {}
    for one in found.missing:
        labels = "all" if whole[replace(one, labels=())] == one.labels else ", ".join(one.labels)
        by_seed.setdefault((one.condition, one.arm, one.wording, labels), []).extend(
            [] if one.seed is None else [one.seed]
        )
    lines: dict[tuple[str, str, str, tuple[int, ...]], list[str]] = {}
    for (condition, arm, wording, labels), lacking in by_seed.items():
        lines.setdefault((condition, arm, labels, tuple(lacking)), []).append(wording)
    return [(key[0], key[1], wordings, key[2], list(key[3])) for key, wordings in lines.items()]


def section(found: Progress, study: Study) -> Section | None:
    """What is missing, arm by arm; None when nothing is."""
    if not found.missing:
        return None
    lines = []
    for condition, arm, wordings, labels, lacking in _grouped(found):
        plan = seeds(study, condition)[arm]
        here = f"{len(plan) - len(lacking)} of {len(plan)}" if plan else "not trained"
        count = len(wordings) * max(len(lacking), 1)
        each = ", ".join(map(str, lacking)) or "–"
        lines.append((condition or "–", arm, ", ".join(wordings), labels, each, here, str(count)))
    header = ("condition", "arm", "wording", "labels", "seeds missing", "seeds in full", "cells")
    caption = (
        "Evaluations that the study plans and that are not here. One cell is one model asked in one wording. Labels: "
        "those that are missing; all: nothing of the cell is here."
    )
    said = f"{len(found.missing)} of {len(found.planned)} evaluation cells are missing."
    return Section(found.title, (said,), (), (Table(caption, header, tuple(lines)),))


def of_planned(row: Mapping[str, Any]) -> str:
    """``2 of 5 seeds`` for a difference over fewer seeds than the study plans, else empty."""
    lacking, plan = row.get("seeds_missing") or (), row.get("seeds_planned") or ()
    if row.get("missing") is not None:
        return ""  # the row says so in full
    return f"{len(plan) - len(lacking)} of {len(plan)} seeds" if lacking else ""
