"""Which Inspect logs are references of `mst check`: what reads or changes all logs of a folder leaves them out.

Only the standard library is used, so that whoever looks for logs can ask.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LARGEST = 1_000_000  # bytes; a reference has a few thousand, while a log that was written as JSON may have any number
_FIELDS = {"format", "facts", "margins", "log", "sha256"}  # of `reference.Reference`; no other file here has them all


def without_references(found: Sequence[Path]) -> tuple[list[Path], int]:
    """Logs that are no references, and the number of those that are.

    A log is one when a reference beside it names it. One that was edited since counts as well: `mst check` says so, and
    nothing else may change it further.

    Args:
        found: Logs that a search has found.
    """
    named = {folder: _named(folder) for folder in {path.parent for path in found}}
    kept = [path for path in found if path.name not in named[path.parent]]
    return kept, len(found) - len(kept)


def left_out(number: int) -> str:
    """What is said where references were left out."""
    what = "1 log is a reference" if number == 1 else f"{number} logs are references"
    return f"{what} of mst check: left out (one that is named as a file is not)"


def _named(folder: Path) -> set[str]:
    """Names of the logs that the references of a folder name."""
    contents = map(_content, sorted(folder.glob("*.json")))
    return {Path(str(one["log"]["file"])).name for one in contents if _is_reference(one)}


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.stat().st_size <= LARGEST else None
    except (OSError, ValueError):  # no JSON: whatever it is, it is no reference
        return None


def _is_reference(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and content.keys() >= _FIELDS
        and isinstance(content["log"], dict)
        and "file" in content["log"]
    )
