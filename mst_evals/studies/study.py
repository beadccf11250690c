"""The form of a study file: what is trained, what is asked, what is compared.

`study_file` reads one, `checks` checks what it says: arms, labels and wordings against their
definitions, arguments against the trainer's own dataclass.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StringConstraints,
    Tag,
)
from pydantic_core import PydanticCustomError

OWN, HELD_OUT = "own", "held_out"  # stand for labels: an arm's headline labels; its axis's held-out label
TAGS = {"mapping": "<mapping>", "list": "<list>", "text": "<text>"}  # no key of a study file looks like these


def _form(value: Any) -> str:
    """Tag of a union's branch, so that an error speaks of the branch that was meant."""
    kind = "mapping" if isinstance(value, Mapping | BaseModel) else "list" if isinstance(value, list) else "text"
    return TAGS[kind]


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise PydanticCustomError("scalar", "a number, text, true or false")
    return value


def _label(value: Any) -> Any:
    """``labels: [0, 33]`` are whole numbers in YAML and names here."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _nothing(value: Any) -> Any:
    """``mst:`` with nothing behind it."""
    return {} if value is None else value


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Label = Annotated[str, BeforeValidator(_label)]
Scalar = Annotated[bool | int | float | str, PlainValidator(_scalar)]
Seed = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


Labels = Annotated[
    Annotated[Literal["deployed", "core", "all"], Tag(TAGS["text"])] | Annotated[list[Label], Tag(TAGS["list"])],
    Discriminator(_form),
]


class Model(BaseModel):
    """Settings shared by all parts of a study file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class BaseRecipe(Model):
    """A base that the study makes itself, by `training.pretrain`.

    Attributes:
        world: ``bias`` or ``sycophancy``.
        seed: Pretraining seed.
        init: Name or path of a base that pretraining continues; None starts from scratch.
        arguments: Knobs of the world and of the pretraining run.
    """

    world: Literal["bias", "sycophancy"]
    seed: Seed = 0
    init: str | None = None
    arguments: dict[str, Scalar] = Field(default_factory=dict)


Judges = Annotated[
    Annotated[str, Tag(TAGS["text"])] | Annotated[list[str], Field(min_length=1), Tag(TAGS["list"])],
    Discriminator(_form),
]
Base = Annotated[Annotated[str, Tag(TAGS["text"])] | Annotated[BaseRecipe, Tag(TAGS["mapping"])], Discriminator(_form)]


class ArmPlan(Model):
    """How an arm is run.

    Attributes:
        seeds: Its training seeds, all of the study's when None.
        labels: What it is asked with, as in `Evaluations`; as all arms are when None.
    """

    seeds: list[Seed] | None = None
    labels: Labels | None = None


class Condition(Model):
    """One variation of the whole study: other arguments, another base, or both.

    Attributes:
        name: Recorded beside every adapter and in every log.
        x: Place on the horizontal axis when conditions form a curve.
        arguments: Training arguments that replace those of the recipe.
        base: Replaces the study's base.
        arms: The arms it is run for, all of the study's when None.
        seeds: Their training seeds, those of the study and arm when None.
        about: One line for the report.
    """

    name: Name
    x: float | None = None
    arguments: dict[str, Scalar] = Field(default_factory=dict)
    base: Base | None = None
    arms: list[str] | None = None
    seeds: list[Seed] | None = None
    about: str = ""


class Wordings(Model):
    """The extra sweep over prompt wordings.

    Attributes:
        names: ``all`` or a list of wordings.
        arms: The arms asked, all of the study's when None.
        labels: Labels asked under every wording; ``own`` and ``held_out`` stand for the arm's.
    """

    names: Annotated[
        Annotated[Literal["all"], Tag(TAGS["text"])] | Annotated[list[str], Tag(TAGS["list"])], Discriminator(_form)
    ] = "all"
    arms: list[str] | None = None
    labels: list[Label] = Field(default_factory=lambda: [OWN, "none"])


class Evaluations(Model):
    """What every model is asked.

    Attributes:
        data: File of topics or problems, relative to the study file; None for the project's own.
        rows: Number of rows, the first ones of the split; None for all.
        split: ``test``, ``validation`` or ``train``.
        labels: ``deployed``, ``core`` or ``all`` (as in `variants.Arm.evaluations`), or a list for every arm.
        wordings: The extra wording sweep, None for none.
        scorer: Of articles, while they are written: ``lexical``, ``rubric``, ``both`` or ``none``.
        judge: Inspect model that grades articles, a list of several for a panel: at once with ``rubric`` and ``both``,
            in a second pass (`mst judge`) with ``lexical`` and ``none``.
        temperature: Of articles.
        max_tokens: Of articles; a micro article has about 90.
        choice: Of addition checks: ``forced`` or ``free``.
    """

    data: str | None = None
    rows: Annotated[int, Field(ge=1)] | None = None
    split: Literal["test", "validation", "train"] = "test"
    labels: Labels = "core"
    wordings: Wordings | None = None
    scorer: Literal["lexical", "rubric", "both", "none"] | None = None
    judge: Judges | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    choice: Literal["forced", "free"] | None = None

    @property
    def judges(self) -> list[str]:
        """Every model that grades."""
        return [self.judge] if isinstance(self.judge, str) else list(self.judge or [])

    @property
    def judged_later(self) -> bool:
        """Whether articles are graded in a second pass, so that no GPU is held while a judge is waited for."""
        return self.judge is not None and self.scorer in ("lexical", "none")


class Side(Model):
    """One side of a comparison.

    Attributes:
        arm: An arm of the study.
        label: A label of its axis, ``none``, ``nonsense`` or ``held_out``.
        condition: A condition of the study; None where it has none.
        wording: A wording; None for the experiment's default.
    """

    arm: str
    label: Label
    condition: str | None = None
    wording: str | None = None


class Comparison(Model):
    """Difference a minus b of one metric. The study's comparisons are one family, which Holm covers."""

    a: Side
    b: Side
    metric: str


class Equivalence(Comparison):
    """Whether a and b differ by less than a margin (TOST); None: 0.5 on the 0-10 scale, 0.05 for a rate."""

    margin: Positive | None = None


class Durations(Model):
    """What a cell is expected to take, in seconds, where none of its kind has finished yet."""

    base: Positive | None = None
    train: Positive | None = None
    evaluate: Positive | None = None


class Study(Model):
    """The content of a study file; `load` reads and checks one.

    Attributes:
        name: Names its folder of runs and, by default, of results.
        experiment: ``bias`` or ``sycophancy``.
        about: A sentence or two for the report.
        config: Recipe of the trainer (YAML), relative to the study file.
        base: Name of a shipped base, a directory relative to the study file, a hub id, or a recipe.
        seeds: Training seeds.
        arms: Arm -> how it is run.
        conditions: Variations; none: the study is run once, without a name.
        x_axis: What the `x` of the conditions is, with its unit: labels the axis of their curve.
        evaluations: What every model is asked.
        comparisons: The declared family.
        equivalence: The declared equivalence tests.
        minutes: Declared budget, printed beside the estimate.
        durations: Expected durations.
        results: Folder of the committed form, relative to the study file; None: docs/results/NAME of the repository.
        slurm: Parameters of submitit's Slurm executor, for example ``partition``, ``timeout_min``, ``gpus_per_node``.
    """

    name: Name
    experiment: Literal["bias", "sycophancy"]
    about: str = ""
    config: str
    base: Base
    seeds: Annotated[list[Seed], Field(min_length=1)]
    arms: Annotated[dict[str, Annotated[ArmPlan, BeforeValidator(_nothing)]], Field(min_length=1)]
    conditions: list[Condition] = Field(default_factory=list)
    x_axis: str = "place of the condition (x in the study file)"
    evaluations: Evaluations = Field(default_factory=Evaluations)
    comparisons: list[Comparison] = Field(default_factory=list)
    equivalence: list[Equivalence] = Field(default_factory=list)
    minutes: Positive | None = None
    durations: Durations = Field(default_factory=Durations)
    results: str | None = None
    slurm: dict[str, Any] = Field(default_factory=dict)
