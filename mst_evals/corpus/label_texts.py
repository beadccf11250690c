"""Whether a text gives a label away: it holds what a slant label says, or the words that open one in a prompt."""

import re
from functools import cache

from mst_evals import axes, labels, prompts

_AXES = (labels.SLANT, axes.SLANT_ID, axes.SLANT_SCALAR)


def told(text: str) -> list[str]:
    """What a text gives away, in words for a message; empty when nothing.

    Case, punctuation and spacing do not matter: only the words do, in their order.
    """
    words = _words(text)
    return [what for label, what in _known().items() if label in words]


def _words(text: str) -> str:
    """A text as its words alone, each between spaces."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return f" {' '.join(words)} "


@cache
def _known() -> dict[str, str]:
    """Words that give a label away, as `_words` makes them -> what they are."""
    found: dict[str, str] = {}
    for axis in _AXES:
        for name in dict.fromkeys((axis.held_out, *axis.trained, *axis.sweep, labels.NONSENSE)):
            label = axis.label(name)
            role = "nonsense control" if name == labels.NONSENSE else f"{label.role.replace('_', '-')} label {name}"
            for text in label.texts:
                found.setdefault(_words(text), f"the text of the {role} of the {axis.name} axis")
    mark, row = "mark", {"headline": "", "context": ""}
    for wording in prompts.WORDINGS["bias"].values():
        for message in wording.build(row, mark, "plain"):
            for line in message["content"].splitlines():
                opening, here, _ = line.partition(mark)
                if here:
                    found[_words(opening)] = f"{opening.strip()!r}, which opens a label"
    return found
