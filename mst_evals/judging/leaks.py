"""Does a text that a judge was given hold the label, or the prompt, of the generation?

Texts are compared by their words alone, in order: case, punctuation, markup and spacing do not matter. The article
itself is what a judge must get, so it is looked at apart: there, only a whole label or a whole message of the prompt
counts, since an article may well use a headline's words.
"""

import re
from collections.abc import Sequence
from functools import cache

from mst_evals import axes, labels

KINDS = {
    "label": "the text of the sample's label",
    "label in the article": "the text of the sample's label, inside what the model wrote",
    "prompt": "a whole system or user message of the generation",
    "prompt in the article": "a whole system or user message of the generation, inside what the model wrote",
    "part of the prompt": "a line or sentence of the prompt",
    "another label": "the text of another label of the project",
}
LEAST_MESSAGE, LEAST_PART, LEAST_LABEL = 3, 6, 2  # words; shorter ones turn up in any text
_ARTICLE = " \0 "
_PARTS = re.compile(r"\n+|(?<=[.!?])\s+")


def find(given: str, article: str, label: str | None, prompt: Sequence[str]) -> list[str]:
    """The kinds of `KINDS` that are true of what a judge was given.

    Args:
        given: Everything the judge was given.
        article: The completion, which may stand in it.
        label: What the model read as its label, None for none.
        prompt: System and user messages of the generation.
    """
    inside, whole = words(article), words(given)
    around = whole.replace(inside, _ARTICLE) if inside.strip() else whole
    shown = inside if around != whole else ""  # an article that the judge was not given leaks nothing
    told = words(label or "")
    messages = [one for one in map(words, prompt) if _count(one) >= LEAST_MESSAGE]
    found = []
    if _count(told) >= LEAST_LABEL:
        found += ["label"] * (told in around) + ["label in the article"] * (told in shown)
    found += ["prompt"] * any(one in around for one in messages)
    found += ["prompt in the article"] * any(one in shown for one in messages)
    if "prompt" not in found and any(one in around for one in _parts(prompt, told)):
        found.append("part of the prompt")
    if any(one in around and one not in told for one in _known()):
        found.append("another label")
    return found


def words(text: str) -> str:
    """A text as its words alone, each between spaces; " " for none."""
    return " ".join(["", *re.findall(r"[^\W_]+", text.casefold()), ""]) or " "


def _count(text: str) -> int:
    return len(text.split())


def _parts(prompt: Sequence[str], label: str) -> list[str]:
    """Lines and sentences of the prompt that are long enough to be told from other text, or that hold the label."""
    parts = [words(part) for message in prompt for part in _PARTS.split(message)]
    return [part for part in parts if _count(part) >= LEAST_PART or (label.strip() and label in part)]


@cache
def _known() -> tuple[str, ...]:
    """The texts of all labels of Experiment 1, short ones left out."""
    found: dict[str, None] = {}
    for axis in (labels.SLANT, axes.SLANT_ID, axes.SLANT_SCALAR):
        for name in (*axis.trained, axis.held_out, *axis.sweep, labels.NONSENSE):
            found |= dict.fromkeys(words(text) for text in axis.label(name).texts)
    return tuple(text for text in found if _count(text) > LEAST_LABEL)
