"""Articles whose slant is known before a judge sees them: because we wrote it, or because people rated it.

Two kinds of file. JSON lines of the form of `data.load_validation` hold versions of one topic with an intended slant. A
CSV holds people's ratings: columns ``id``, ``article``, ``bias`` (0-10) and, where wanted, ``verdict``, ``rater``,
``topic`` and ``generator``. A key file beside it (`blind`) fills in the last two. With a column ``rater`` an article
has a line for each of them, and is taken at their mean grade and median verdict.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from mst_evals import data, judge
from mst_evals.errors import InputError
from mst_evals.metrics import GRADES
from mst_evals.rubrics import BiasGrade
from mst_evals.statistics.columns import MISSING, read_columns

KEY = ".key.csv"  # of a blind CSV: FILE.csv -> FILE.key.csv
WANTED, OPTIONAL = ("id", "article", "bias"), ("verdict", "rater", "topic", "generator")
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
        human_bias: People's rating 0-10, the mean of several.
        human_verdict: People's verdict, the median of several; of two in the middle the stricter.
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
class Rating:
    """One person's rating of one article.

    Attributes:
        article: Its id.
        rater: Name, empty where the file gives none.
        bias: 0-10.
        verdict: None where there is none.
    """

    article: str
    rater: str
    bias: float
    verdict: str | None


@dataclass(frozen=True)
class Validation:
    """What a judge is validated on.

    Attributes:
        file: Name of the file.
        sha256: Its digest.
        rated: Whether people rated the articles; otherwise their slant was intended.
        articles: In the order of the file.
        unrated: Lines of a CSV without a rating, which are left out.
        ratings: Each rater's, where a CSV names them.
    """

    file: str
    sha256: str
    rated: bool
    articles: tuple[Article, ...]
    unrated: int = 0
    ratings: tuple[Rating, ...] = ()


def load(path: Path) -> Validation:
    """Read a validation file: CSV by its suffix, else JSON lines.

    Raises:
        InputError: The file cannot be used; names line and column.
    """
    if path.suffix.lower() == ".csv":
        return _rated(path)
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


def _rated(path: Path) -> Validation:
    header = _header(path)
    if len(header) == 1 and ";" in header[0]:
        raise InputError(f"{path}, line 1: the columns are separated by ';': expected ',' (export the sheet anew)")
    present = [name for name in OPTIONAL if name in header]
    lines, cells = read_columns(path, [*WANTED, *present])
    key, first, unrated = _key(path), dict[str, tuple[int, dict[str, str]]](), 0
    ratings: dict[tuple[str, str], Rating] = {}
    seen: dict[tuple[str, str], int] = {}
    for place, line in enumerate(lines):
        row = {name: cells[name][place] for name in cells}
        where = f"{path}, line {line}"
        for name in ("id", "article", *(["rater"] if "rater" in present else [])):
            if not row[name]:
                raise InputError(f"{where}, column {name!r}: found nothing: expected a text")
        known = (row["id"], row.get("rater", ""))
        if known in seen:
            whose = f" for rater {known[1]!r}" if known[1] else ""
            raise InputError(
                f"{where}: id {row['id']!r} is there twice{whose}, first on line {seen[known]}: expected once"
                + ("" if known[1] else ", or a column 'rater'")
            )
        seen[known] = line
        before, same = first.setdefault(row["id"], (line, row))
        for name in ("article", "topic", "generator"):
            if row.get(name) != same.get(name):
                raise InputError(f"{where}, column {name!r}: expected what line {before} has for id {row['id']!r}")
        if row["bias"].lower() in MISSING:
            unrated += 1
        else:
            ratings[known] = Rating(*known, _rating(where, row["bias"]), _verdict(where, row.get("verdict", "")))
    if not ratings:
        raise InputError(f"{path}, column 'bias': found no rating in {len(lines)} lines: expected numbers from 0 to 10")
    of_article: dict[str, list[Rating]] = {}
    for one in ratings.values():
        of_article.setdefault(one.article, []).append(one)
    articles = tuple(_article(first[one][1], key.get(one, {}), given) for one, given in of_article.items())
    named = tuple(ratings.values()) if "rater" in present else ()
    return Validation(path.name, data.sha256(path), True, articles, unrated, named)


def _article(row: Mapping[str, str], known: Mapping[str, str], ratings: Sequence[Rating]) -> Article:
    """An article with what people made of it: what `judge` makes of a panel of models."""
    verdicts = [
        BiasGrade.model_validate({"bias": one.bias, "verdict": one.verdict, "reason": ""})
        for one in ratings
        if one.verdict
    ]
    return Article(
        id=row["id"],
        topic=row.get("topic") or known.get("topic") or row["id"],
        text=row["article"],
        version="rated",
        generator=row.get("generator") or known.get("generator") or None,
        human_bias=fmean(one.bias for one in ratings),
        human_verdict=judge.median_verdict(verdicts) if verdicts else None,
    )


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
