"""Columns of a user's CSV file, checked: what cannot be used is one line that names file, line and column."""

import csv
import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mst_evals.errors import InputError
from mst_evals.statistics.counts import GRADES

MISSING = frozenset(("", "na", "n/a", "nan", "none", "null"))  # cells that say "no value", in any case

SEED_NAMES = frozenset(("seed", "seeds", "training_seed", "train_seed", "random_seed"))


def read_columns(path: Path, names: Sequence[str]) -> tuple[list[int], dict[str, list[str]]]:
    """Some columns of a CSV file (UTF-8, comma, one header line) as text, stripped.

    Args:
        path: The file.
        names: The columns wanted.

    Returns:
        The line of the file each record ends on, and column name -> one cell for each record.

    Raises:
        InputError: No such file, not text, empty, a column is missing or twice there, or a line has another number of
            cells than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            records = [(reader.line_num, [cell.strip() for cell in record]) for record in reader if record]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): expected a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    if len(records) < 2:
        raise InputError(f"{path}: found {'a header and no line' if records else 'nothing'}: expected lines of data")
    header = records[0][1]
    for name in names:
        if header.count(name) > 1:
            raise InputError(f"{path}: column {name!r} is there {header.count(name)} times: expected once")
        if name not in header:
            near = difflib.get_close_matches(name, header, n=3, cutoff=0.5)
            hint = f"nearest: {', '.join(near)}" if near else f"found: {', '.join(header[:20])}"
            raise InputError(f"{path}: no column {name!r}; {hint}")
    for line, record in records[1:]:
        if len(record) != len(header):
            raise InputError(f"{path}, line {line}: found {len(record)} cells: expected {len(header)} as in the header")
    places = {name: header.index(name) for name in names}
    cells = {name: [record[place] for _, record in records[1:]] for name, place in places.items()}
    return [line for line, _ in records[1:]], cells


def unused_seeds(path: Path, used: Sequence[str | None]) -> str | None:
    """A column that is named like one of seeds, holds several, and is not among the used ones; None without one.

    Args:
        path: A file that `read_columns` can read.
        used: The columns that a comparison uses.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = [cell.strip() for cell in next(csv.reader(file))]
    named = [name for name in header if name.lower() in SEED_NAMES and name not in used and header.count(name) == 1]
    _, cells = read_columns(path, named)
    return next((name for name in named if len(set(cells[name])) > 1), None)


def _numbers(path: Path, name: str, lines: Sequence[int], cells: Sequence[str]) -> list[float]:
    found = []
    for line, cell in zip(lines, cells, strict=True):
        if cell.lower() in MISSING:
            found.append(math.nan)
            continue
        try:
            number = float(cell)
        except ValueError:
            number = math.inf
        if not math.isfinite(number):
            raise InputError(f"{path}, line {line}, column {name!r}: found {cell!r}: expected a number or nothing")
        found.append(number)
    return found


def _values(path: Path, names: Sequence[str], lines: Sequence[int], cells: Mapping[str, list[str]]) -> dict[str, Any]:
    """The two columns as numbers or, where a cell of either is a grade, as ordered grades."""
    if not any(cell in GRADES for name in names for cell in cells[name]):
        return {key: _numbers(path, name, lines, cells[name]) for key, name in zip("ab", names, strict=True)}
    for name in names:
        for line, cell in zip(lines, cells[name], strict=True):
            if cell not in GRADES and cell.lower() not in MISSING:
                expected = f"{', '.join(GRADES)} or nothing, as elsewhere in these columns"
                raise InputError(f"{path}, line {line}, column {name!r}: found {cell!r}: expected {expected}")
    return {
        key: pd.Categorical([cell if cell in GRADES else None for cell in cells[name]], GRADES, ordered=True)
        for key, name in zip("ab", names, strict=True)
    }


def _keys(path: Path, name: str, lines: Sequence[int], cells: Sequence[str]) -> list[str]:
    for line, cell in zip(lines, cells, strict=True):
        if not cell:
            raise InputError(f"{path}, line {line}, column {name!r}: found nothing: expected a name or a number")
    return list(cells)


def read_frame(path: Path, a: str, b: str, cluster: str | None, seed: str | None, row: str | None) -> pd.DataFrame:
    """The columns ``a, b, seed, row, cluster`` of a comparison, one line for each line of the file.

    The columns a and b hold numbers, or are ordered categories if they hold PASS, PARTIAL and FAIL.

    Without a row column, a row is its place among the lines of its seed. Without a cluster column, a row is a cluster.

    Raises:
        InputError: See `read_columns`; also a cell that is neither number nor grade, a row twice under one seed, a
            row in two clusters, or seeds with different numbers of lines and no row column to match them by.
    """
    wanted = dict.fromkeys(name for name in (a, b, cluster, seed, row) if name is not None)
    lines, cells = read_columns(path, list(wanted))
    frame = pd.DataFrame({"line": lines, **_values(path, (a, b), lines, cells)})
    frame["seed"] = _keys(path, seed, lines, cells[seed]) if seed else ""
    frame["row"] = _keys(path, row, lines, cells[row]) if row else frame.groupby("seed").cumcount().astype(str)
    frame["cluster"] = _keys(path, cluster, lines, cells[cluster]) if cluster else frame["row"]
    sizes = frame.groupby("seed", sort=False).size()
    if not row and sizes.nunique() > 1:
        found = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise InputError(f"{path}: seeds have different numbers of lines ({found}): name the rows with --row COL")
    if (twice := frame.duplicated(["seed", "row"])).any():
        bad = frame[twice].iloc[0]
        under = f" under seed {bad['seed']!r}" if seed else ""
        raise InputError(f"{path}, line {bad['line']}: row {bad['row']!r} is there twice{under}: expected once")
    first = frame.groupby("row")["cluster"].transform("first")
    if (moved := frame["cluster"] != first).any():
        bad = frame[moved].iloc[0]
        raise InputError(
            f"{path}, line {bad['line']}: row {bad['row']} is in cluster {bad['cluster']!r}: "
            f"expected {first[bad.name]!r}, as under another seed"
        )
    return frame
