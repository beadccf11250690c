"""A data set's lines and bytes: faults that show before a row's fields are looked at, and the digests of its card."""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mst_evals.data import Row, sha256
from mst_evals.errors import InputError

CARD = "README.md"
_LISTED = re.compile(r"^([0-9a-f]{64})[ \t]+\*?(\S+\.jsonl)[ \t]*$", re.MULTILINE)  # as sha256sum writes it


@dataclass(frozen=True)
class Fault:
    """One fault of a data set.

    Attributes:
        file: The file.
        line: Number of its line, from 1; 1 as well for what concerns the whole file.
        field: Name of the field, ``line`` for a line that holds no row, ``sha256`` or ``file`` for the whole file.
        found: What is there.
        expected: What should be.
    """

    file: Path
    line: int
    field: str
    found: str
    expected: str

    def __str__(self) -> str:
        """The fault in one line."""
        return f"{self.file}:{self.line}: {self.field}: found {self.found}, expected {self.expected}"


@dataclass(frozen=True)
class Line:
    """A row and the number of its line, from 1."""

    number: int
    row: Row


def shown(value: Any, longest: int = 80) -> str:
    """A value as a message shows it: in ASCII, on one line, cut when it is long."""
    text = ascii(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def read(path: Path) -> tuple[list[Line], list[Fault]]:
    """The rows of a JSON-lines file, and what is wrong with its lines.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    faults = []
    if content.startswith(codecs.BOM_UTF8):
        faults.append(Fault(path, 1, "line", "a byte order mark", "UTF-8 without one"))
        content = content.removeprefix(codecs.BOM_UTF8)
    raw = content.split(b"\n")
    if not raw[-1]:
        raw.pop()  # what follows the last line end
    windows = [number for number, line in enumerate(raw, start=1) if line.endswith(b"\r")]
    if windows:
        found = f"line ends of Windows, CRLF, on {len(windows)} of {len(raw)} lines"
        faults.append(Fault(path, windows[0], "line", found, "LF alone"))
    rows = []
    for number, line in enumerate(raw, start=1):
        row, wrong = _row(path, number, line.removesuffix(b"\r"))
        faults += wrong
        if row is not None:
            rows.append(Line(number, row))
    return rows, faults


def _row(path: Path, number: int, line: bytes) -> tuple[Row | None, list[Fault]]:
    """The object in a line, None when there is none."""
    expected = "a JSON object"
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, [Fault(path, number, "line", f"a byte that is not UTF-8 at byte {error.start + 1}", "UTF-8")]
    if not text.strip():
        return None, [Fault(path, number, "line", "an empty line", expected)]
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                twice.append(key)
            found[key] = value
        return found

    try:
        row = json.loads(text, object_pairs_hook=once, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return None, [Fault(path, number, "line", f"no JSON ({error.msg} at column {error.colno})", expected)]
    except (ValueError, RecursionError) as error:  # NaN, a number of thousands of digits, thousands of brackets
        return None, [Fault(path, number, "line", f"no JSON ({error})", expected)]
    if not isinstance(row, dict):
        return None, [Fault(path, number, "line", f"a JSON {type(row).__name__}", expected)]
    return row, [Fault(path, number, key, "the field more than once", "it once") for key in twice]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


# --- the card -----------------------------------------------------------------------------------------------------


def card(path: Path) -> tuple[Path, dict[Path, str]] | None:
    """The digests that hold for a file or folder: the nearest README.md, in it or above, that lists any data set's.

    Returns:
        The card, and the absolute path of every file it lists -> its sha256; None when there is no such card.
    """
    path = path.resolve()
    for folder in (path, *path.parents) if path.is_dir() else path.parents:
        readme = folder / CARD
        if readme.is_file():
            lines = _LISTED.findall(readme.read_text(encoding="utf-8", errors="replace"))
            if lines:
                return readme, {folder / name: digest for digest, name in lines}
    return None


def card_faults(path: Path) -> Iterator[Fault]:
    """Where a file is not the one that its card lists; nothing when no card lists any data set."""
    found = card(path)
    if found is not None:
        readme, listed = found
        digest, wanted = sha256(path), listed.get(path.resolve())
        if wanted is None:
            yield Fault(path, 1, "sha256", f"{digest}, not listed", f"this line in {readme}")
        elif digest != wanted:
            yield Fault(path, 1, "sha256", digest, f"{wanted} as in {readme}")


def missing_files(folder: Path) -> Iterator[Fault]:
    """Files below a folder that its card lists and that are not there."""
    found = card(folder)
    if found is not None:
        readme, listed = found
        for path, digest in listed.items():
            if path.is_relative_to(folder.resolve()) and not path.is_file():
                yield Fault(path, 1, "file", "none", f"the one of sha256 {digest} as in {readme}")
