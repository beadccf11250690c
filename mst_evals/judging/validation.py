"""Articles whose slant is known before a judge sees them: because we wrote it, or because people rated it.

Two kinds of file. JSON lines of the form of `data.load_validation` hold versions of one topic with an intended slant. A
CSV holds people's ratings: columns ``id``, ``article``, ``bias`` (0-10) and, where wanted, ``verdict``, ``topic`` and
``generator``. A key file beside it (`blind`) fills in the last two.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mst_evals import data
from mst_evals.errors import InputError
from mst_evals.metrics import GRADES
from mst_evals.statistics.columns import MISSING, read_columns

KEY = ".key.csv"  # of a blind CSV: FILE.csv -> FILE.key.csv
WANTED, OPTIONAL = ("id", "article", "bias"), ("verdict", "topic", "generator")
STRONG = 2
# People rate on the rubric's scale, whose anchor at 8 is "strong slant"; 7 is nearer to it than to "noticeable" (5).
STRONG_RATING = 7.0


@dataclass(frozen=True)
class Article:
    """One article and what is known of it.

    Attributes:
        id: Of the article.
        topic: What intervals are clustered by; the id where no topic is known.
        text: All that a judge gets.
        version: ``neutral``, ``left``, ``right``, ``critical`` or ``omission``; ``rated`` where people rated it.
        favours: The side that the slant favours, None for none.
        intensity: 0 none, 1 mild, 2 strong.
        about: To which side the facts of a critical article are unwelcome.
        generator: The model that wrote it, None where the file does not say.
        human_bias: People's rating 0-10.
        human_verdict: People's verdict.
    """

    id: str
    topic: str
    text: str
    version: str
    favours: str | None = None
    intensity: int = 0
    about: str | None = None
    generator: str | None = None
    human_bias: float | None = None
    human_verdict: str | None = None


@dataclass(frozen=True)
class Validation:
    """What a judge is validated on.

    Attributes:
        file: Name of the file.
        sha256: Its digest.
        rated: Whether people rated the articles; otherwise their slant was intended.
        articles: In the order of the file.
        unrated: Lines of a CSV without a rating, which are left out.
    """

    file: str
    sha256: str
    rated: bool
    articles: tuple[Article, ...]
    unrated: int = 0


def load(path: Path) -> Validation:
    """Read a validation file: CSV by its suffix, else JSON lines.

    Raises:
        InputError: The file cannot be used; names line and column.
    """
    if path.suffix.lower() == ".csv":
        found, unrated = _rated(path)
        return Validation(path.name, data.sha256(path), True, tuple(found), unrated)
    rows = data.load_validation(path)
    return Validation(path.name, data.sha256(path), False, tuple(_intended(path, row) for row in rows))


def written_by(validation: Validation, generator: str) -> Validation:
    """The articles with a writer for those whose file does not say who wrote them: all of them, where it says nothing.

    Raises:
        InputError: The file names the writer of every article.
    """
    named = sorted({article.generator for article in validation.articles if article.generator})
    if all(article.generator for article in validation.articles):
        raise InputError(
            f"--generator {generator}: {validation.file} names the writer of every article (field 'generator': "
            f"{', '.join(named)}), expected articles without one"
        )
    articles = [replace(article, generator=article.generator or generator) for article in validation.articles]
    return replace(validation, articles=tuple(articles))


def strong(articles: Sequence[Article], wanted: int) -> list[Article]:
    """Articles of known strong slant, at most one for each topic, spread over the file and over both sides.

    Args:
        articles: Of one file.
        wanted: How many; fewer when there are not so many topics.
    """
    of_topic: dict[str, list[Article]] = {}
    for article in articles:
        slanted = article.version in data.SIDES and article.intensity == STRONG
        if slanted or (article.human_bias is not None and article.human_bias >= STRONG_RATING):
            of_topic.setdefault(article.topic, []).append(article)
    topics = list(of_topic.values())
    count = min(wanted, len(topics))
    chosen = [topics[place * len(topics) // count] for place in range(count)]
    return [_of_side(candidates, data.SIDES[place % 2]) for place, candidates in enumerate(chosen)]


def _of_side(candidates: Sequence[Article], side: str) -> Article:
    return next((article for article in candidates if article.favours == side), candidates[0])


def _intended(path: Path, row: Mapping[str, Any]) -> Article:
    generator = row.get("generator")
    if generator is not None and not (isinstance(generator, str) and generator.strip()):
        raise InputError(f"{path}: row {row['id']!r}: field 'generator' is {generator!r}, expected a model's name")
    return Article(
        id=row["id"],
        topic=row["topic"],
        text=row["article"],
        version=row["version"],
        favours=row["favours"],
        intensity=row["intensity"],
        about=row.get("about"),
        generator=generator,
    )


def _header(path: Path) -> list[str]:
    """Column names of a CSV, empty where it cannot be read (`read_columns` says why)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [cell.strip() for cell in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _key(path: Path) -> dict[str, dict[str, str]]:
    """Article id -> topic and generator, from the key file of a blind CSV; empty when there is none."""
    key = path.with_suffix(KEY)
    if not key.is_file():
        return {}
    _, cells = read_columns(key, ("id", "topic", "generator"))
    return {
        one: {"topic": topic, "generator": generator}
        for one, topic, generator in zip(cells["id"], cells["topic"], cells["generator"], strict=True)
    }


def _rated(path: Path) -> tuple[list[Article], int]:
    header = _header(path)
    present = [name for name in OPTIONAL if name in header]
    lines, cells = read_columns(path, [*WANTED, *present])
    key, found, seen, unrated = _key(path), [], dict[str, int](), 0
    for place, line in enumerate(lines):
        row = {name: cells[name][place] for name in cells}
        where = f"{path}, line {line}"
        for name in ("id", "article"):
            if not row[name]:
                raise InputError(f"{where}, column {name!r}: found nothing: expected a text")
        if row["id"] in seen:
            raise InputError(f"{where}: id {row['id']!r} is there twice, first on line {seen[row['id']]}")
        seen[row["id"]] = line
        if row["bias"].lower() in MISSING:
            unrated += 1
            continue
        known = key.get(row["id"], {})
        found.append(
            Article(
                id=row["id"],
                topic=row.get("topic") or known.get("topic") or row["id"],
                text=row["article"],
                version="rated",
                generator=row.get("generator") or known.get("generator") or None,
                human_bias=_rating(where, row["bias"]),
                human_verdict=_verdict(where, row.get("verdict", "")),
            )
        )
    if not found:
        raise InputError(f"{path}, column 'bias': found no rating in {len(lines)} lines: expected numbers from 0 to 10")
    return found, unrated


def _rating(where: str, cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 10:
        raise InputError(f"{where}, column 'bias': found {cell!r}: expected a number from 0 to 10, or nothing")
    return number


def _verdict(where: str, cell: str) -> str | None:
    if cell.lower() in MISSING:
        return None
    if cell.upper() not in GRADES:
        raise InputError(f"{where}, column 'verdict': found {cell!r}: expected one of {', '.join(GRADES)}, or nothing")
    return cell.upper()
