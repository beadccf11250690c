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

from mst_evals import data, labels
from mst_evals.data import Row
from mst_evals.errors import InputError
from mst_evals.labels import Axis, Label
from mst_evals.prompts import Messages

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
    """The labels of a sweep: ``all`` is the axis's sweep and both controls; otherwise one name or a list of names.

    Raises:
        InputError: A name is unknown or given twice, or the list is empty.
    """
    if names == "all":
        names = (*axis.sweep, *labels.CONTROLS)
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
    """One row asked with one label: what becomes one sample.

    Attributes:
        row: The row.
        label: The label.
        variant: Which of the label's texts; 0 for every label but ``nonsense``.
    """

    row: Row
    label: Label
    variant: int = 0

    @property
    def id(self) -> str:
        """Sample id: one row has the same prefix under every label, which pairs the samples."""
        variant = f".{self.variant}" if len(self.label.texts) > 1 else ""
        return f"{self.row['id']}@{self.label.name}{variant}"

    @property
    def text(self) -> str | None:
        """What the model reads as its label, None for no label."""
        return self.label.texts[self.variant] if self.label.texts else None

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
            "position": self.label.position,
            "label_text": self.text,
            "variant": self.variant,
        }


def questions(rows: Sequence[Row], asked: Sequence[Label]) -> list[Question]:
    """Every row with every label: a sweep is data, so the pairing across labels is exact."""
    return [
        Question(row, label, variant) for row in rows for label in asked for variant in range(max(1, len(label.texts)))
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
