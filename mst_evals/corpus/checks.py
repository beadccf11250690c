"""Whether a file is a sound data set: every fault, each with its line and field, not only the first.

Which kind a file is follows from the fields of its rows. What its fields must look like is stated in
`mst_evals.data.KINDS`; here is what else a data set of ours keeps to.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mst_evals import data
from mst_evals.corpus import label_texts, lines, repeats
from mst_evals.corpus.lines import Fault, Line, shown
from mst_evals.data import Form, Kind
from mst_evals.errors import InputError

_ALIKE = 0.6  # share of the fields of a row and of a kind that both have, from which on the row is taken for that kind
_READ_BY_MODELS = ("headline", "context", "article")
# Unicode categories that are no text: controls, invisible formats (zero width, direction), lone surrogates, private
# use, line and paragraph separators. U+FFFD stands for what could not be decoded.
_NO_TEXT = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_UNDECODED = "\ufffd"


@dataclass(frozen=True)
class Checked:
    """A data set that was looked at.

    Attributes:
        path: The file.
        kind: What it is, None when no line of it holds a row.
        rows: Number of rows.
        sound: The rows whose fields all have the right forms.
        faults: All faults, by line.
    """

    path: Path
    kind: Kind | None
    rows: int
    sound: tuple[Line, ...]
    faults: tuple[Fault, ...]


def faults(path: Path) -> list[Fault]:
    """All faults of a data set, by line; empty when there are none.

    Raises:
        InputError: The file cannot be read, is empty, or holds rows of no kind that is known.
    """
    return list(checked(path).faults)


def checked(path: Path) -> Checked:
    """A data set and all of its faults. Raises as `faults` does."""
    found, wrong = lines.read(path)
    if not found and not wrong:
        raise InputError(f"{path}: no rows")
    if not found:
        return Checked(path, None, 0, (), tuple(wrong))
    kind = kind_of([line.row for line in found])
    if kind is None:
        known = "; ".join(f"{one.name} ({', '.join(one.fields)})" for one in data.KINDS.values())
        fields = ", ".join(map(shown, found[0].row)) or "no fields"
        raise InputError(f"{path}: found rows with {fields}, expected one of: {known}")
    sound = []
    for line in found:
        of_fields = [
            fault
            for name, form in _forms(kind).items()
            for fault in _field_faults(path, line, name, form, name in kind.optional)
        ]
        if not of_fields:
            sound.append(line)
        wrong += [*of_fields, *_text_faults(path, line, kind)]
    wrong += lines.card_faults(path)
    wrong += _once(path, sound)
    wrong += _slants(path, kind, sound)
    wrong += repeats.within(path, kind, sound)
    return Checked(path, kind, len(found), tuple(sound), tuple(sorted(wrong, key=lambda fault: fault.line)))


def kind_of(rows: Sequence[Mapping[str, Any]]) -> Kind | None:
    """The kind of data set that rows are most like by their fields, None when they are like none.

    Args:
        rows: At least one.
    """

    def alike(kind: Kind) -> float:
        wanted = kind.fields.keys()
        shares = [len(wanted & row.keys()) / len(wanted | (row.keys() - kind.optional.keys())) for row in rows]
        return sum(shares) / len(rows)

    best = max(data.KINDS.values(), key=alike)
    if alike(best) >= _ALIKE:
        return best
    # kinds with any other fields beside their own
    return next((kind for kind in data.KINDS.values() if kind.others and kind.fields.keys() <= rows[0].keys()), None)


# --- a row's fields -----------------------------------------------------------------------------------------------


def _forms(kind: Kind) -> dict[str, Form]:
    """The forms of all fields that a kind knows."""
    return {**kind.fields, **kind.optional}


def _field_faults(path: Path, line: Line, name: str, form: Form, optional: bool) -> Iterator[Fault]:
    """Where a field does not have its form. A fault here keeps a row out of the checks that need the field."""
    if name not in line.row:
        if not optional:
            yield Fault(path, line.number, name, "nothing", form.expected)
    elif not form.check(line.row[name]):
        yield Fault(path, line.number, name, shown(line.row[name]), form.expected)


def _text_faults(path: Path, line: Line, kind: Kind) -> Iterator[Fault]:
    """What is wrong with a row whose fields can be read all the same."""
    forms = _forms(kind)
    for name, value in line.row.items():
        if name not in forms and not kind.others:
            yield Fault(path, line.number, shown(name)[1:-1], "a field of this name", f"one of {', '.join(forms)}")
        elif name in forms:
            inside = value.items() if isinstance(value, dict) else ()
            for field, text in ((name, value), *((f"{name}.{key}", one) for key, one in inside)):
                if isinstance(text, str):
                    for found, expected in _wrong_text(text, forms[name]):
                        yield Fault(path, line.number, field, found, expected)
        if name in _READ_BY_MODELS and isinstance(value, str):
            for what in label_texts.told(value):
                yield Fault(path, line.number, name, what, "a text that says nothing of labels")


def _wrong_text(text: str, form: Form) -> Iterator[tuple[str, str]]:
    """What is wrong with a text: (what is found, what is expected)."""
    if form.longest is not None and len(text) > form.longest:
        yield f"{len(text):,} characters", f"at most {form.longest:,}"
    allowed = "\n" if form.paragraphs else ""
    strange = [
        (place, one)
        for place, one in enumerate(text, start=1)
        if one == _UNDECODED or (unicodedata.category(one) in _NO_TEXT and one not in allowed)
    ]
    if strange:
        place, one = strange[0]
        called = unicodedata.name(one, "a control character")
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        yield f"U+{ord(one):04X} ({called}) at character {place}{more}", "printable characters"
    if text != text.strip() and text.strip():
        yield f"spaces around {shown(text)}", "none"


# --- a file's rows together ---------------------------------------------------------------------------------------


def _once(path: Path, sound: Sequence[Line]) -> Iterator[Fault]:
    """Ids that occur twice, and domains that are spelled in two ways."""
    ids: dict[str, int] = {}
    domains: dict[str, tuple[str, int]] = {}
    for line in sound:
        name = line.row["id"]
        if ids.setdefault(name, line.number) != line.number:
            yield Fault(path, line.number, "id", f"{shown(name)}, as on line {ids[name]}", "each id once")
        if "domain" in line.row:
            domain = str(line.row["domain"])
            first, number = domains.setdefault(re.sub(r"[\W_]+", "", domain.casefold()), (domain, line.number))
            if domain != first:
                yield Fault(path, line.number, "domain", shown(domain), f"{shown(first)} as on line {number}")


def _slants(path: Path, kind: Kind, sound: Sequence[Line]) -> Iterator[Fault]:
    """Rows of the judge validation set that contradict themselves."""
    if "version" in kind.fields:
        for line in sound:
            fault = data.slant_fault(line.row)
            if fault is not None:
                name, expected = fault
                yield Fault(path, line.number, name, shown(line.row.get(name)), expected)
