"""What may stand in a data set once only, and in one split only: within a file and across files."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mst_evals.corpus.lines import Fault, Line, shown
from mst_evals.corpus.similarity import MEASURES, Measure, Pair, above
from mst_evals.data import Kind, topic_key

Files = Sequence[tuple[Path, Kind, Sequence[Line]]]


def within(path: Path, kind: Kind, lines: Sequence[Line]) -> Iterator[Fault]:
    """Repetitions and leaks in a file.

    Args:
        path: The file.
        kind: What it is.
        lines: Its rows; all their fields have the right forms.
    """
    yield from _leaks(path, kind, lines)
    measures = MEASURES.get(kind.name, ())
    for measure in measures:
        yield from _near(path, measure, lines)
    if not measures and kind.apart.get("headline") is topic_key:
        yield from _twice(path, lines)


def _leaks(path: Path, kind: Kind, lines: Sequence[Line]) -> Iterator[Fault]:
    for what, key in kind.apart.items():
        first: dict[Any, Line] = {}
        for line in lines:
            other = first.setdefault(key(line.row), line)
            if other.row["split"] != line.row["split"]:
                found = (
                    f"{line.row['split']!r} for the {what} {shown(key(line.row))}, "
                    f"which is in {other.row['split']!r} on line {other.number}"
                )
                yield Fault(path, line.number, "split", found, f"one split for each {what}")


def _twice(path: Path, lines: Sequence[Line]) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for line in lines:
        number = first.setdefault(topic_key(line.row), line.number)
        if number != line.number:
            yield Fault(path, line.number, "headline", f"that of line {number}", "each headline once")


def _near(path: Path, measure: Measure, lines: Sequence[Line]) -> Iterator[Fault]:
    """One fault for each row that is too much like an earlier one: like which, and whether that is in another split."""
    worst: dict[int, Pair] = {}
    for pair in above([measure.text(line.row) for line in lines], measure.bound):  # the most alike first
        worst.setdefault(pair.second, pair)
    for number in sorted(worst):
        pair = worst[number]
        one, other = lines[pair.first], lines[pair.second]
        splits = [line.row.get("split") for line in (one, other)]
        leak = "" if splits[0] == splits[1] else f", a leak from {splits[0]!r} to {splits[1]!r}"
        found = f"similarity {pair.similarity:.3f} to line {one.number} ({shown(one.row['id'])}){leak}"
        yield Fault(path, other.number, measure.field, found, f"less than {measure.bound}")


def across(files: Files) -> Iterator[Fault]:
    """Leaks and contradictions between files: a headline in two splits, the id of one topic with another's headline.

    Args:
        files: Path, kind and rows of each; all fields have the right forms.
    """
    splits: dict[str, tuple[Path, Line]] = {}
    topics: dict[str, dict[str, tuple[Path, int]]] = {}  # id -> headline -> where
    for path, kind, lines in files:
        for line in lines:
            if "headline" in kind.apart:
                key = topic_key(line.row)
                where, first = splits.setdefault(key, (path, line))
                if where != path and first.row["split"] != line.row["split"]:
                    found = (
                        f"{line.row['split']!r} for the headline {shown(key)}, "
                        f"which is in {first.row['split']!r} in {where}:{first.number}"
                    )
                    yield Fault(path, line.number, "split", found, "one split for each headline")
                if "topic" not in kind.fields:
                    topics.setdefault(line.row["id"], {}).setdefault(key, (path, line.number))
    ids = {key: name for name, headlines in topics.items() for key in headlines}
    for path, kind, lines in files:
        if "topic" in kind.fields:
            for line in lines:
                yield from _foreign(path, line, topics, ids)


def _foreign(
    path: Path, line: Line, topics: Mapping[str, Mapping[str, tuple[Path, int]]], ids: Mapping[str, str]
) -> Iterator[Fault]:
    """Whether a row names another topic than the one its headline is of; topics that are in no file are let be."""
    name, key = line.row["topic"], topic_key(line.row)
    if name in topics and key not in topics[name]:
        where, number = next(iter(topics[name].values()))
        found = f"{shown(name)}, which has another headline in {where}:{number}"
        yield Fault(path, line.number, "topic", found, "the id of the topic with this headline")
    elif name not in topics and key in ids:
        yield Fault(path, line.number, "topic", shown(name), f"{shown(ids[key])}, the topic with this headline")
