"""Rows and splits: load, validate, hash. A fault names the file, the line and the field.

Files are JSON lines, one object a line. Three kinds of row exist:

- topic: ``id, split, headline, context, domain`` (optional ``fields``: facts of a micro topic, for probes)
- article: a topic's fields plus ``topic, profile, article``
- problem: ``id, split, a, b, candidate``
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mst_evals.errors import InputError
from mst_evals.labels import PROFILES, TRAINED_SUGGESTIBILITY

Row = dict[str, Any]
SPLITS = ("train", "validation", "test")
DATASETS = Path(__file__).resolve().parent.parent / "datasets"
MICRO_TOPICS = DATASETS / "bias" / "micro_topics.jsonl"
MICRO_ARTICLES = DATASETS / "bias" / "micro_articles.jsonl"
PROBLEMS = DATASETS / "sycophancy" / "problems.jsonl"

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _whole(low: int, high: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 10


_ID: dict[str, tuple[Check, str]] = {
    "id": (_text, "a non-empty string"),
    "split": (SPLITS.__contains__, f"one of {', '.join(SPLITS)}"),
}
_TOPIC = _ID | dict.fromkeys(("headline", "context", "domain"), (_text, "a non-empty string"))
_ARTICLE = _TOPIC | {
    "topic": (_text, "the id of its topic"),
    "profile": (PROFILES.__contains__, f"one of {', '.join(PROFILES)}"),
    "article": (_text, "a non-empty string"),
}
_PROBLEM = _ID | {
    "a": (_whole(0, 9), "a whole number 0..9"),
    "b": (_whole(0, 9), "a whole number 0..9"),
    "candidate": (_whole(0, 18), "a whole number 0..18"),
}
_SCORE = {"id": _ID["id"], "bias": (_score, "a number 0..10")}
_EXISTING = {"id": _ID["id"], "article": _ARTICLE["article"]}


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


def read_rows(path: Path, fields: Mapping[str, tuple[Check, str]]) -> list[Row]:
    """Read a JSON-lines file and check the named fields of every row.

    Args:
        path: The file.
        fields: Field name -> (check, what is expected), every one of them required.

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
        for name, (check, expected) in fields.items():
            if name not in row:
                raise InputError(f"{where}: field {name!r} is missing, expected {expected}")
            if not check(row[name]):
                raise InputError(f"{where}: field {name!r} is {row[name]!r:.80}, expected {expected}")
        if row["id"] in seen:
            raise InputError(f"{where}: id {row['id']!r} occurs twice, first on line {seen[row['id']]}")
        seen[row["id"]] = number
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: no rows")
    return rows


def _disjoint(path: Path, rows: Iterable[Row], key: Callable[[Row], Any], what: str) -> None:
    """Raise when one thing occurs in two splits."""
    split_of: dict[Any, str] = {}
    for row in rows:
        first = split_of.setdefault(key(row), row["split"])
        if first != row["split"]:
            raise InputError(f"{path}: {what} {key(row)!r} is in two splits, {first} and {row['split']}")


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


def topic_key(row: Row) -> str:
    """A topic's identity, its headline without case and spacing: one headline may not stand in two splits."""
    return " ".join(row["headline"].lower().split())


def pair(row: Mapping[str, Any]) -> tuple[int, int]:
    """The unordered pair of operands: the unit that is split, and the cluster of every interval."""
    return (min(row["a"], row["b"]), max(row["a"], row["b"]))


def is_right(row: Mapping[str, Any]) -> bool:
    """Whether the candidate answer of a problem is the sum."""
    return bool(row["candidate"] == row["a"] + row["b"])


def load_topics(path: Path, split: str, limit: int | None = None) -> list[Row]:
    """Topics of a split. Raises `InputError` on any fault of the whole file, so a leak is found from every split."""
    rows = read_rows(path, _TOPIC)
    _disjoint(path, rows, topic_key, "headline")
    return select(path, rows, split, limit)


def load_articles(path: Path, split: str, limit: int | None = None) -> list[Row]:
    """Slanted articles of a split, each with its topic and profile."""
    rows = read_rows(path, _ARTICLE)
    _disjoint(path, rows, topic_key, "headline")
    _disjoint(path, rows, lambda row: row["topic"], "topic")
    return select(path, rows, split, limit)


def load_problems(path: Path, split: str, limit: int | None = None) -> list[Row]:
    """Addition problems of a split; no unordered pair of operands stands in two splits."""
    rows = read_rows(path, _PROBLEM)
    _disjoint(path, rows, pair, "pair")
    return select(path, rows, split, limit)


def load_existing(path: Path) -> list[Row]:
    """Articles that already exist, to be scored as they are: ``id`` and ``article``, any other field kept."""
    return read_rows(path, _EXISTING)


def load_scores(path: Path) -> list[Row]:
    """Bias scores of articles, by a judge or any other measure: ``id`` and ``bias`` (0-10) in each line."""
    return read_rows(path, _SCORE)


def suggestibility(
    row: Mapping[str, Any], seed: int, low: float = TRAINED_SUGGESTIBILITY[0], high: float = TRAINED_SUGGESTIBILITY[1]
) -> float:
    """The evaluator's suggestibility s for one training row: uniform on [low, high], drawn once for each row and seed.

    It depends on nothing else, so all arms of a seed share it; an arm with a narrower range has the same draw, scaled.
    """
    return random.Random(f"suggestibility/{seed}/{row['id']}").uniform(low, high)
