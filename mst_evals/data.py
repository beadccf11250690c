"""Rows and splits: load, validate, hash. A fault names the file, the line and the field.

Files are JSON lines, one object a line. What the rows of each kind of data set hold is stated in `KINDS`, and nowhere
else; what else a data set of ours must keep to is checked by ``mst data check`` (`mst_evals.corpus.checks`).
"""

import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mst_evals.errors import InputError
from mst_evals.labels import PROFILES, TRAINED_SUGGESTIBILITY

Row = dict[str, Any]
SPLITS = ("train", "validation", "test")
_HERE = Path(__file__).resolve().parent
# In a checkout the files lie beside this package. A wheel has them inside it: what lies beside it there under the name
# `datasets` is another project's package.
DATASETS = _HERE / "datasets" if (_HERE / "datasets").is_dir() else _HERE.parent / "datasets"
TOPICS = DATASETS / "bias" / "topics.jsonl"
JUDGE_VALIDATION = DATASETS / "bias" / "judge_validation.jsonl"
MICRO_TOPICS = DATASETS / "bias" / "micro_topics.jsonl"
MICRO_ARTICLES = DATASETS / "bias" / "micro_articles.jsonl"
PROBLEMS = DATASETS / "sycophancy" / "problems.jsonl"

# --- what a row holds ---------------------------------------------------------------------------------------------

SIDES = ("left", "right")
# Most characters of a text. Real ones stay far below: in topics.jsonl headlines go up to about 95 and contexts up to
# about 380; an article of 10,000 characters has some 1,600 words, many times what the prompts ask for.
_ID_LENGTH, _DOMAIN_LENGTH, _HEADLINE_LENGTH, _CONTEXT_LENGTH, _ARTICLE_LENGTH = 100, 50, 150, 600, 10_000


@dataclass(frozen=True)
class Form:
    """What one field must look like.

    Attributes:
        check: Whether a value can be used at all.
        expected: The same in words, for messages.
        longest: Most characters of a text of a data set, None where `check` leaves no room. It holds for data sets that
            are checked as such; a row of a user's own may be longer.
        paragraphs: Whether a text may span several lines.
    """

    check: Callable[[Any], bool]
    expected: str
    longest: int | None = None
    paragraphs: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of data set.

    Attributes:
        name: What it is called.
        fields: Field name -> form; every one of them is required.
        optional: The same for fields that a row may lack.
        apart: Name of what may not stand in two splits -> how it is found in a row.
        others: Whether a row may hold any other field.
    """

    name: str
    fields: Mapping[str, Form]
    optional: Mapping[str, Form] = field(default_factory=dict)
    apart: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    others: bool = False


def _text(longest: int, expected: str = "a non-empty string", paragraphs: bool = False) -> Form:
    return Form(lambda value: isinstance(value, str) and bool(value.strip()), expected, longest, paragraphs)


def _among(*known: str | None) -> Form:
    shown = ", ".join("null" if one is None else one for one in known)
    expected = f"one of {shown}" if len(known) > 1 else shown
    return Form(lambda value: isinstance(value, str | None) and value in known, expected)


def _whole(low: int, high: int) -> Form:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return Form(check, f"a whole number {low}..{high}" if low < high else str(low))


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 10


def _are_facts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) and one.strip() for one in value.values())


def topic_key(row: Mapping[str, Any]) -> str:
    """A topic's identity, its headline without case and spacing: one headline may not stand in two splits."""
    return " ".join(row["headline"].lower().split())


def pair(row: Mapping[str, Any]) -> tuple[int, int]:
    """The unordered pair of operands: the unit that is split, and the cluster of every interval."""
    return (min(row["a"], row["b"]), max(row["a"], row["b"]))


_NULL, _SIDE, _NONE, _SOME = _among(None), _among(*SIDES), _whole(0, 0), _whole(1, 2)
# Judge validation: version -> what goes with it. ``favours`` is the side that a slant favours, ``about`` the side to
# which the facts of a critical article are unwelcome, which nobody should call slanted.
_VERSIONS = {
    "neutral": {"favours": _NULL, "intensity": _NONE, "about": _NULL},
    **{side: {"favours": _among(side), "intensity": _SOME, "about": _NULL} for side in SIDES},
    "critical": {"favours": _NULL, "intensity": _NONE, "about": _SIDE},
    "omission": {"favours": _SIDE, "intensity": _SOME, "about": _NULL},
}
_ID = {"id": _text(_ID_LENGTH)}
_SPLIT = _ID | {"split": _among(*SPLITS)}
_NEWS = {"headline": _text(_HEADLINE_LENGTH), "context": _text(_CONTEXT_LENGTH), "domain": _text(_DOMAIN_LENGTH)}
_FACTS = {"fields": Form(_are_facts, "an object of non-empty strings")}
_TOPIC = {"topic": _text(_ID_LENGTH, "the id of its topic")}
_ARTICLE = {"article": _text(_ARTICLE_LENGTH, paragraphs=True)}
_KNOWN_SLANT = {"version": _among(*_VERSIONS), "favours": _among(*SIDES, None), "intensity": _whole(0, 2)}
_SUM = {"a": _whole(0, 9), "b": _whole(0, 9), "candidate": _whole(0, 18)}
_HEADLINE_APART = {"headline": topic_key}
_TOPIC_APART = _HEADLINE_APART | {"topic": lambda row: row["topic"]}

_KINDS = (
    Kind("topics", _SPLIT | _NEWS, apart=_HEADLINE_APART),
    Kind("micro topics", _SPLIT | _NEWS | _FACTS, apart=_HEADLINE_APART),  # with the facts they are made from
    Kind("articles", _SPLIT | _NEWS | _TOPIC | {"profile": _among(*PROFILES)} | _ARTICLE, apart=_TOPIC_APART),
    Kind("judge validation", _ID | _TOPIC | _NEWS | _KNOWN_SLANT | _ARTICLE, {"about": _among(*SIDES, None)}),
    Kind("problems", _SPLIT | _SUM, apart={"pair": pair}),
    Kind("existing articles", _ID | _ARTICLE, others=True),
    Kind("scores", _ID | {"bias": Form(_is_score, "a number 0..10")}, others=True),
)
KINDS = {kind.name: kind for kind in _KINDS}


def slant_fault(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """What contradicts a row's ``version`` in the judge validation set: (field, what is expected there), or None.

    Args:
        row: Its fields have their forms already.
    """
    for name, form in _VERSIONS[row["version"]].items():
        if not form.check(row.get(name)):
            return name, f"{form.expected} in version {row['version']}"
    return None


# --- files --------------------------------------------------------------------------------------------------------


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes.

    Raises:
        InputError: The file does not exist.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_rows(path: Path, fields: Mapping[str, Form]) -> list[Row]:
    """Read a JSON-lines file and check the named fields of every row.

    Args:
        path: The file.
        fields: Field name -> form, every one of them required.

    Raises:
        InputError: The file is missing, empty or not UTF-8, a line is no JSON object, a field is missing or wrong,
            or an id occurs twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start})") from None
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{where}: not JSON ({error.msg} at column {error.colno})") from None
        if not isinstance(row, dict):
            raise InputError(f"{where}: found {type(row).__name__}, expected a JSON object")
        for name, form in fields.items():
            if name not in row:
                raise InputError(f"{where}: field {name!r} is missing, expected {form.expected}")
            if not form.check(row[name]):
                raise InputError(f"{where}: field {name!r} is {row[name]!r:.80}, expected {form.expected}")
        if row["id"] in seen:
            raise InputError(f"{where}: id {row['id']!r} occurs twice, first on line {seen[row['id']]}")
        seen[row["id"]] = number
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: no rows")
    return rows


def _read_apart(path: Path, kind: Kind) -> list[Row]:
    """Rows of a file. Raises when a thing that may not stand in two splits does."""
    rows = read_rows(path, kind.fields)
    for what, key in kind.apart.items():
        split_of: dict[Any, str] = {}
        for row in rows:
            first = split_of.setdefault(key(row), row["split"])
            if first != row["split"]:
                raise InputError(f"{path}: {what} {key(row)!r} is in two splits, {first} and {row['split']}")
    return rows


def select(path: Path, rows: list[Row], split: str, limit: int | None = None) -> list[Row]:
    """The first `limit` rows of a split (all of them by default), in file order.

    Raises:
        InputError: The split is unknown or has no rows, or the limit is not positive.
    """
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
    if limit is not None and limit < 1:
        raise InputError(f"number of rows is {limit}, expected at least 1")
    chosen = [row for row in rows if row["split"] == split]
    if not chosen:
        raise InputError(f"{path}: split {split!r} has no rows")
    return chosen[:limit]


def is_right(row: Mapping[str, Any]) -> bool:
    """Whether the candidate answer of a problem is the sum."""
    return bool(row["candidate"] == row["a"] + row["b"])


def load_topics(path: Path, split: str, limit: int | None = None) -> list[Row]:
    """Topics of a split. Raises `InputError` on any fault of the whole file, so a leak is found from every split."""
    return select(path, _read_apart(path, KINDS["topics"]), split, limit)


def load_articles(path: Path, split: str, limit: int | None = None) -> list[Row]:
    """Slanted articles of a split, each with its topic and profile."""
    return select(path, _read_apart(path, KINDS["articles"]), split, limit)


def load_problems(path: Path, split: str, limit: int | None = None) -> list[Row]:
    """Addition problems of a split; no unordered pair of operands stands in two splits."""
    return select(path, _read_apart(path, KINDS["problems"]), split, limit)


def load_validation(path: Path) -> list[Row]:
    """Articles of known slant, to check a judge with.

    Raises:
        InputError: As in `read_rows`, or a row contradicts itself (`slant_fault`).
    """
    rows = read_rows(path, KINDS["judge validation"].fields)
    for row in rows:
        if fault := slant_fault(row):
            name, expected = fault
            raise InputError(f"{path}: row {row['id']!r}: field {name!r} is {row.get(name)!r}, expected {expected}")
    return rows


def load_existing(path: Path) -> list[Row]:
    """Articles that already exist, to be scored as they are: ``id`` and ``article``, any other field kept."""
    return read_rows(path, KINDS["existing articles"].fields)


def load_scores(path: Path) -> list[Row]:
    """Bias scores of articles, by a judge or any other measure: ``id`` and ``bias`` (0-10) in each line."""
    return read_rows(path, KINDS["scores"].fields)


def suggestibility(
    row: Mapping[str, Any], seed: int, low: float = TRAINED_SUGGESTIBILITY[0], high: float = TRAINED_SUGGESTIBILITY[1]
) -> float:
    """The evaluator's suggestibility s for one training row: uniform on [low, high], drawn once for each row and seed.

    It depends on nothing else, so all arms of a seed share it; an arm with a narrower range has the same draw, scaled.
    """
    return random.Random(f"suggestibility/{seed}/{row['id']}").uniform(low, high)
