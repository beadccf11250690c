"""What is asked: the options of a task (``-T name=value``) turned into labels, questions and provenance.

Options arrive from the command line as YAML scalars: ``-T label=0`` is an int, ``-T labels=a,b`` a list,
``-T labels=none`` a string. They are normalised here, once, for both experiments.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser
from rich.markup import escape

from mst_evals import data, labels, prompts, variants
from mst_evals.data import Row
from mst_evals.errors import InputError
from mst_evals.labels import Axis, Label
from mst_evals.prompts import Messages, Wording

_PACKAGE = Path(__file__).resolve().parent
# Inspect imports this module (entry point) before it changes to the folder of the task file.
_LAUNCHED_FROM = Path.cwd()

_TURNS = {"system": ChatMessageSystem, "user": ChatMessageUser}


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a user's bad input into Inspect's one-line error. Inspect prints it as rich markup, hence the escape."""
    try:
        yield
    except InputError as error:
        raise PrerequisiteError(escape(str(error))) from None


def launch_path(name: str | Path) -> Path:
    """A path as the user meant it: relative to the directory the command was launched from.

    ``inspect eval mst_evals/bias.py`` makes a task with the task file's folder as working directory.
    """
    here = Path.cwd()
    return (_LAUNCHED_FROM if here == _PACKAGE else here) / Path(name).expanduser()


def asked_axis(experiment: str, name: str | None, arm: str) -> Axis:
    """The label axis of a task: the one named, else the one that the model's arm was trained on.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        name: What the user named.
        arm: The model's arm; one we do not know has the axis of the main arms.

    Raises:
        InputError: The experiment has no such axis.
    """
    if name is not None:
        return variants.axis(experiment, str(name))
    known = variants.ARMS[experiment].get(arm)
    return known.axis if known else variants.AXES[experiment]


def asked_markup(experiment: str, arm: str) -> str | None:
    """The markup that labels had in training of the model's arm, None (the experiment's default) for an unknown arm."""
    known = variants.ARMS[experiment].get(arm)
    return known.markup if known else None


def asked_wordings(experiment: str, names: str | Sequence[str] | None) -> list[Wording]:
    """The wordings of a task: the default, ``all``, one name or a list of names.

    Raises:
        InputError: A name is unknown or given twice, or the list is empty.
    """
    if names is None:
        return [prompts.wording(experiment)]
    if names == "all":
        return list(prompts.WORDINGS[experiment].values())
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else [str(name) for name in names]
    if not listed or len(set(listed)) < len(listed):
        raise InputError(f"wording must be one or more different names, found {names!r}")
    return [prompts.wording(experiment, name) for name in listed]


def asked_label(axis: Axis, label: str | int | None, label_text: str | int | None) -> Label:
    """The one label a task asks with; the axis's held-out label when nothing is given.

    Raises:
        InputError: The axis has no such label, the text is no single line, or both were given.
    """
    if label_text is None:
        return axis.label(axis.held_out if label is None else str(label))
    if label is not None:
        raise InputError(f"give label or label_text, not both (label={label!r}, label_text={label_text!r})")
    return labels.custom(str(label_text))


def swept_labels(axis: Axis, names: str | int | Sequence[str | int]) -> list[Label]:
    """The labels of a sweep: ``core`` or ``all`` of the axis with both controls; otherwise one name or a list of names.

    Raises:
        InputError: A name is unknown or given twice, or the list is empty.
    """
    if names in ("all", "core"):
        names = (*(axis.sweep if names == "all" else axis.core), *labels.CONTROLS)
    elif isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    elif isinstance(names, int):
        names = [names]
    found = [axis.label(str(name)) for name in names]
    if not found or len({label.texts for label in found}) < len(found):
        raise InputError(f"labels must be one or more different names, found {list(names)!r}")
    return found


def row_limit(rows: Any) -> int | None:
    """The number of rows asked for, None for all of them."""
    if rows is None or (isinstance(rows, int) and not isinstance(rows, bool)):
        return rows
    raise InputError(f"rows is {rows!r}, expected a whole number")


@dataclass(frozen=True)
class Question:
    """One row asked with one label in one wording: what becomes one sample.

    Attributes:
        row: The row.
        label: The label.
        variant: Which of the label's texts; 0 for every label but ``nonsense``.
        wording: The wording, None where no prompt is made.
        several: Whether the task asks in several wordings, so that the sample's id must name this one.
    """

    row: Row
    label: Label
    variant: int = 0
    wording: Wording | None = None
    several: bool = False

    @property
    def id(self) -> str:
        """Sample id: one row has the same prefix under every label, which pairs the samples."""
        variant = f".{self.variant}" if len(self.label.texts) > 1 else ""
        wording = f"~{self.wording.name}" if self.several and self.wording else ""
        return f"{self.row['id']}@{self.label.name}{variant}{wording}"

    @property
    def text(self) -> str | None:
        """What the model reads as its label, None for no label."""
        return self.label.texts[self.variant] if self.label.texts else None

    def prompt(self, markup: str | None) -> Messages:
        """Chat messages, with the label in a markup (the experiment's default when None)."""
        assert self.wording is not None
        return self.wording.build(self.row, self.text, markup)

    def metadata(self, cluster: str) -> dict[str, Any]:
        """The metadata every sample has.

        Args:
            cluster: The unit that intervals are clustered by.
        """
        return {
            "row_id": self.row["id"],
            "cluster": cluster,
            "label": self.label.name,
            "role": self.label.role,
            "kind": self.label.kind,
            "position": self.label.position,
            "places": dict(self.label.places),
            "relations": dict(self.label.relations),
            "wording": self.wording.name if self.wording else None,
            "label_text": self.text,
            "variant": self.variant,
        }


def questions(rows: Sequence[Row], asked: Sequence[Label], wordings: Sequence[Wording]) -> list[Question]:
    """Every row with every label in every wording: a sweep is data, so the pairing across labels is exact."""
    return [
        Question(row, label, variant, wording, len(wordings) > 1)
        for row in rows
        for wording in wordings
        for label in asked
        for variant in range(max(1, len(label.texts)))
    ]


def chat(messages: Messages) -> list[ChatMessage]:
    """Messages of `mst_evals.prompts` as Inspect's."""
    return [_TURNS[message["role"]](content=message["content"]) for message in messages]


def provenance(experiment: str, axis: Axis, path: Path, rows: Sequence[Row], **asked: Any) -> dict[str, Any]:
    """Facts of what is asked, for the metadata of a task. No value holds a path of this machine.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        axis: The label axis.
        path: The data file.
        rows: The rows asked.
        **asked: ``split``, ``wording``, ``choice``, ``scorer``.
    """
    facts = {"experiment": experiment, "axis": axis.name, "data": path.name, "data_sha256": data.sha256(path)}
    return facts | {"n_rows": len(rows)} | asked
