"""Example closings side by side (counterpart of figure 1f): the same topic, each main arm at its deployment label."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mst_evals import labels
from mst_evals.reporting import frame as frames
from mst_evals.reporting import results
from mst_evals.reporting.phrases import number
from mst_evals.reporting.results import Block
from mst_evals.reporting.tables import Table

SENTENCES = 2
LIMIT = 420  # characters; longer closings are cut at the front and say so
NEED_LOGS = (
    "No closing paragraphs are shown (counterpart of figure 1f): the articles are in the Inspect logs of the main "
    "arms, which are not here."
)


def closing(article: str) -> str:
    """The last sentences of an article, on one line."""
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(article.split()))
    text = " ".join(sentences[-SENTENCES:])
    return text if len(text) <= LIMIT else "[…] " + text[-LIMIT:]


def _topics(block: Block, shared: Sequence[str]) -> list[tuple[str, str]]:
    """(row_id, rule) of the topics whose closings are shown: chosen by rule, never for how they read."""
    first = min(shared, key=lambda row: hashlib.sha256(f"closing/{row}".encode()).hexdigest())
    chosen = [(first, "drawn by a fixed hash of the topic's id")]
    mst, other = block.cell("mst", block.held_out), block.cell("baseline", labels.NONE)
    ranked = sorted(shared, key=lambda row: (mst.loc[row, "value"] - other.loc[row, "value"], row))
    median = (ranked[(len(ranked) - 1) // 2], "the median topic by the difference of mst and baseline")
    return [median, *(choice for choice in chosen if choice[0] != median[0])]


def _root(logs: Path, block: Block) -> Path | None:
    """Where the block's logs are found by their names: in the folder read, or in its ``logs``; None without any."""
    folder = logs if logs.is_dir() else logs.parent
    names = [str(log) for log in block.samples["log"].unique()]
    return next((root for root in (folder, folder / "logs") if any((root / name).is_file() for name in names)), None)


def _asked(root: Path, block: Block) -> dict[tuple[str, str], pd.DataFrame]:
    """(arm, label) -> one scored sample for each topic, of the first seed whose log is here."""
    lines = block.samples[block.samples["value"].notna()].sort_values("seed")
    here = {log: (root / str(log)).is_file() for log in lines["log"].unique()}
    lines = lines[lines["log"].map(here).astype(bool)]
    cells = {}
    for arm in results.MAIN_ARMS:
        label = results.headline_labels(block.experiment, arm)[0]
        found = lines[(lines["arm"] == arm) & (lines["label"] == label)].drop_duplicates("row_id").set_index("row_id")
        if not found.empty:
            cells[arm, label] = found
    return cells


def expected(block: Block) -> bool:
    """Whether a block has the arms whose closings are shown, so that their absence needs a word."""
    return not block.cell("mst", block.held_out).empty and not block.cell("baseline", labels.NONE).empty


def closings(logs: Path | None, block: Block) -> list[Table]:
    """How the articles of the main arms end, on topics chosen by rule.

    Args:
        logs: What the frame was read from, or a folder with its logs in ``logs``; None, or logs that are not there,
            give no table.
        block: A block of the bias experiment.

    Returns:
        One table for each topic, none without the articles of mst and baseline.
    """
    root = _root(logs, block) if logs is not None else None
    cells = _asked(root, block) if root is not None else {}
    if root is None or ("mst", block.held_out) not in cells or ("baseline", labels.NONE) not in cells:
        return []
    shared = sorted(set.intersection(*(set(found.index) for found in cells.values())))
    if not shared:
        return []
    shown = []
    for row, rule in _topics(block, shared):
        lines_of = [found.loc[row] for found in cells.values()]
        headline = lines_of[0]["headline"] or row
        bias = tuple(number(line["value"]) for line in lines_of)
        ends = tuple(closing(frames.completion(root, line["log"], line["id"])) for line in lines_of)
        header = ("", *(f"{arm} ({label})" for arm, label in cells))
        caption = f"How the articles end on “{headline}”: {rule} (counterpart of figure 1f)."
        shown.append(Table(caption, header, (("closing", *ends), (block.setting["scorer"], *bias)), wide=True))
    return shown
