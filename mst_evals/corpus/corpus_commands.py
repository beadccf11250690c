"""What the commands `mst data ...` do; `mst_evals.cli` holds their options."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mst_evals.corpus import checks, lines, repeats
from mst_evals.corpus.lines import Fault
from mst_evals.errors import InputError
from mst_evals.terminal import say

REJECTED = "rejected.jsonl"  # what the making of a data set left out, beside it: no data set


def check(paths: Sequence[Path], console: Console) -> int:
    """Check data sets and print every fault: ``FILE:LINE: field: found ..., expected ...``.

    Args:
        paths: Files and folders; a folder means every JSON-lines file below it that is a data set. Those of no known
            kind are named and left out, unless the folder's card lists them.
        console: Where faults and a line for each file go.

    Returns:
        0 when there are no faults, 1 when there are.

    Raises:
        InputError: Something cannot be read at all. All that can be is checked and printed before.
    """
    unreadable: list[str] = []
    found: list[checks.Checked] = []
    faults: list[Fault] = []
    for path in dict.fromkeys(paths):
        try:
            inside, missing, left_out = _below(path) if path.is_dir() else ([checks.checked(path)], [], [])
        except InputError as error:
            unreadable.append(str(error))
            continue
        known = {one.path.resolve() for one in found}
        found += [one for one in inside if one.path.resolve() not in known]
        faults += missing
        for reason in left_out:
            say(console, f"left out: {reason}")
    faults += [fault for one in found for fault in one.faults]
    faults += repeats.across([(one.path, one.kind, one.sound) for one in found if one.kind is not None])
    for fault in faults:
        say(console, str(fault))
    for one in found:
        count = sum(fault.file == one.path for fault in faults)
        kind = one.kind.name if one.kind else "no data set"
        counted = f"{count:,} fault{'s' * (count > 1)}" if count else "no fault"
        say(console, f"{one.path}: {kind}, {one.rows:,} rows, {counted}")
    if unreadable:
        raise InputError("; ".join(unreadable))
    return 1 if faults else 0


def _below(folder: Path) -> tuple[list[checks.Checked], list[Fault], list[str]]:
    """Data sets below a folder, faults of the folder, and why files were left out.

    Raises:
        InputError: A file that the card lists is none, or there is no data set at all.
    """
    card = lines.card(folder)
    listed = card[1] if card is not None else {}
    found, left_out = [], []
    for path in sorted(folder.rglob("*.jsonl")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.name == REJECTED:
            left_out.append(f"{path}: what was rejected")
            continue
        try:
            found.append(checks.checked(path))
        except InputError as error:
            if path.resolve() in listed:
                raise
            left_out.append(str(error))
    missing = list(lines.missing_files(folder))
    if not found and not missing:
        raise InputError(f"{folder}: found no data set, expected JSON-lines files (*.jsonl) below it")
    return found, missing, left_out
