"""The whole estimate of a study on a device: what fits, what to change where it does not, hours, judge, disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mst_evals import manifest
from mst_evals.corpus import spending
from mst_evals.corpus.spending import Usage
from mst_evals.planning import advice, costs, memory, workload
from mst_evals.planning.costs import Disk
from mst_evals.planning.cuts import Cut
from mst_evals.planning.gpus import Gpu
from mst_evals.planning.memory import Memory
from mst_evals.planning.settings import Training
from mst_evals.planning.workload import ArmWork, Case, Range
from mst_evals.studies import inputs
from mst_evals.studies.study import Study
from mst_evals.studies.study_file import read_yaml

SOURCE = manifest.SHIPPED.parent / "configs" / "paper.yaml"


@dataclass(frozen=True)
class Need:
    """Memory that trainings or evaluations of one condition need.

    Attributes:
        what: In words.
        base: Name of the base.
        condition: Name of the condition, empty for none.
        memory: By part.
        needed: Bytes, with the started device and fragments.
        verdict: ``fits``, ``tight`` or ``does not fit``.
        change: What to change where it does not simply fit, else empty.
    """

    what: str
    base: str
    condition: str
    memory: Memory
    needed: float
    verdict: str
    change: str


@dataclass(frozen=True)
class Hours:
    """Time of one arm under one condition.

    Attributes:
        arm: Its name.
        condition: Name of the condition, empty for none.
        models: How many are trained; 1 where nothing is.
        training: Seconds of one training; zeros where nothing is trained.
        evaluation: Seconds of all sweeps of one model.
        samples: Of all sweeps of one model.
    """

    arm: str
    condition: str
    models: int
    training: Range
    evaluation: Range
    samples: int

    @property
    def total(self) -> Range:
        """Seconds of all models, one after another."""
        return costs.scale(costs.add(self.training, self.evaluation), self.models)


@dataclass(frozen=True)
class Judge:
    """What one judge is sent, without what it thinks and without asking again.

    Attributes:
        model: Its name.
        articles: How many it reads.
        least: Fewest tokens.
        most: Most tokens.
        usd: Cost of both, None when its price is not known.
        later: Whether it grades in a second pass.
    """

    model: str
    articles: int
    least: Usage
    most: Usage
    usd: Range | None
    later: bool


@dataclass(frozen=True)
class Estimate:
    """A study on a device.

    Attributes:
        study: Name of the study.
        gpu: The device.
        needs: Memory.
        hours: Time, None when the device's speed is not known.
        judges: Empty without one.
        disk: Bytes on disk.
        departures: Where a recipe is not the source's: condition -> name -> (here, source).
        cuts: Rows that training cuts, for each arm where they can be counted.
        notes: What was assumed, and what to mind.
    """

    study: str
    gpu: Gpu
    needs: tuple[Need, ...]
    hours: tuple[Hours, ...] | None
    judges: tuple[Judge, ...]
    disk: Disk
    departures: Mapping[str, Mapping[str, tuple[Any, Any]]]
    cuts: tuple[Cut, ...]
    notes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether nothing is too large."""
        return all(need.verdict != memory.TOO_LARGE for need in self.needs)

    @property
    def seconds(self) -> Range | None:
        """Of everything, one job at a time."""
        return None if self.hours is None else costs.add(*(arm.total for arm in self.hours))


def estimate(study: Study, cases: Sequence[Case], gpu: Gpu) -> Estimate:
    """Estimate a study on a device.

    Args:
        study: A checked study.
        cases: What `workload.cases` made of it.
        gpu: The device.

    Raises:
        InputError: The file of the source's values cannot be read.
    """
    arms = [(case, arm) for case in cases for arm in case.arms]
    timed = gpu.bf16 is not None
    return Estimate(
        study.name,
        gpu,
        tuple(need for case in cases for need in _needs(study, case, gpu)),
        tuple(_hours(study, case, arm, gpu) for case, arm in arms) if timed else None,
        _judges(study, cases),
        costs.disk(cases, workload.reply_tokens(study)),
        {case.condition: departures(case) for case in cases},
        tuple(arm.cut for _, arm in arms if arm.cut is not None),
        tuple(dict.fromkeys([*(note for case in cases for note in case.notes), *_warnings(cases, gpu)])),
    )


def departures(case: Case) -> dict[str, tuple[Any, Any]]:
    """Arguments of a recipe that are not the source's: name -> (here, source); None where one is not set."""
    source = read_yaml(SOURCE)[case.training.experiment]["training"]
    here = {**case.arguments, "base": case.base}
    return {name: (here.get(name), value) for name, value in source.items() if here.get(name) != value}


def _warnings(cases: Sequence[Case], gpu: Gpu) -> list[str]:
    found = []
    if gpu.cpu:
        found.append("on a processor `mst run` starts a job a core: name --jobs 1 and set OMP_NUM_THREADS to the cores")
    if gpu.cpu and any(case.training.quantisation == "nf4" for case in cases):
        found.append(
            f"NF4 computes in bfloat16, which a CPU without AVX-512 BF16 does {costs.EMULATED:g} times more slowly "
            "than float32 (measured): quantisation: none"
        )
    if not gpu.cpu and not gpu.bfloat16:
        found.append(f"{gpu.name} has no units for bfloat16, in which NF4 computes: hours are those of float32")
    if not gpu.bfloat16 and any(case.training.tf32 for case in cases):
        found.append(f"tf32: true is refused on {gpu.name}; set it to false")
    return found


# --- memory -------------------------------------------------------------------------------------------------------


def training_memory(case: Case, planned: Training, cpu: bool) -> Memory | None:
    """Memory of the trainings of a case under a recipe, None when nothing is trained."""
    trained = [arm for arm in case.arms if arm.trained]
    if not trained:
        return None
    longest = max(arm.row.longest for arm in trained)
    if planned.experiment == "sycophancy":
        return memory.ppo(case.shape, planned, longest, cpu)
    return memory.sft(case.shape, planned, longest, max(arm.probed for arm in trained), cpu)


def evaluation_memory(study: Study, case: Case) -> Memory:
    """Memory of the evaluations of a case. A base that is not ours is asked in float32 (`evaluate_cell.subject`)."""
    prompt, reply = max(arm.prompt.longest for arm in case.arms), workload.reply_tokens(study)
    adapted = any(arm.trained for arm in case.arms)
    planned = case.training if all(arm.trained for arm in case.arms) else replace(case.training, dtype="float32")
    return memory.evaluation(case.shape, planned, adapted, costs.BATCH, prompt, reply)


def _needs(study: Study, case: Case, gpu: Gpu) -> Iterator[Need]:
    trained, asked = training_memory(case, case.training, gpu.cpu), evaluation_memory(study, case)
    if trained is not None:
        names = "training " + ", ".join(arm.name for arm in case.arms if arm.trained)

        def measure(planned: Training) -> Memory:
            found = training_memory(case, planned, gpu.cpu)
            assert found is not None
            return found

        yield _need(names, case, trained, gpu, lambda: advice.change(case.training, gpu, measure))
    yield _need("evaluation", case, asked, gpu, lambda: "fewer tokens (max_tokens), a smaller base or a larger GPU")


def _need(what: str, case: Case, found: Memory, gpu: Gpu, change: Callable[[], str]) -> Need:
    verdict = found.verdict(gpu)
    said = "" if verdict == memory.FITS else change()
    return Need(what, case.base, case.condition, found, found.needed(gpu), verdict, said)


# --- hours and judge ----------------------------------------------------------------------------------------------


def _hours(study: Study, case: Case, arm: ArmWork, gpu: Gpu) -> Hours:
    training = training_seconds(case, arm, gpu)
    return Hours(
        arm.name, case.condition, arm.runs, training, evaluation_seconds(study, case, arm, gpu), sum(arm.samples)
    )


def training_seconds(case: Case, arm: ArmWork, gpu: Gpu) -> Range:
    """Time of one training of an arm; (0, 0) where nothing is trained."""
    if not arm.trained:
        return 0.0, 0.0
    if case.training.experiment == "sycophancy":
        return costs.add(costs.START, costs.ppo(case.shape, case.training, gpu, arm.row))
    return costs.add(costs.START, costs.sft(case.shape, case.training, gpu, arm.rows, arm.row, bool(arm.probed)))


def evaluation_seconds(study: Study, case: Case, arm: ArmWork, gpu: Gpu) -> Range:
    """Time of all sweeps of one model of an arm, in one process."""
    settings, found = inputs.settings(study), [costs.START]
    shape, planned = case.shape, case.training
    for number in arm.samples:
        if settings.get("choice") == "forced":
            found.append(costs.choices(shape, planned, gpu, arm.trained, number, arm.prompt))
        else:
            limit, sampled = workload.reply_tokens(study), settings.get("temperature", 0) > 0
            found.append(costs.generation(shape, planned, gpu, arm.trained, number, arm.prompt, limit, sampled))
    return costs.add(*found)


def _judges(study: Study, cases: Sequence[Case]) -> tuple[Judge, ...]:
    number = costs.samples(cases)
    least, most = costs.judged(number, workload.reply_tokens(study))
    found = []
    for model in study.evaluations.judges:
        price = spending.price_of(model)
        usd = (spending.cost(least, price) or 0.0, spending.cost(most, price) or 0.0) if price is not None else None
        found.append(Judge(model, number, least, most, usd, study.evaluations.judged_later))
    return tuple(found)
