"""Does a text that a judge was given hold the label, or the prompt, of the generation?

Texts are compared by their words alone, in order: case, punctuation, markup and spacing do not matter. Of the sample's
own label any `RUN` words in a row count, and its name where it stands beside the word "label"; of the project's other
labels, which may share words with somebody's rubric, the whole text, what stands behind its name, and the name beside
the word "label". The article itself is what a judge must get, so it is looked at apart: there, only a whole label (with
or without its name) or a whole message of the prompt counts, since an article may well use a headline's words.
`without` cuts them out of it.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache

from mst_evals import axes, labels

KINDS = {
    "label": "the text of the sample's label",
    "part of the label": "words of the sample's label, or its name as that of a label",
    "label in the article": "the text of the sample's label, inside what the model wrote",
    "prompt": "a whole system or user message of the generation",
    "prompt in the article": "a whole system or user message of the generation, inside what the model wrote",
    "part of the prompt": "a line or sentence of the prompt",
    "another label": "the text of another label of the project, or its name as that of a label",
}
RUN = 5  # words in a row
LEAST_MESSAGE, LEAST_PART, LEAST_LABEL = 3, 6, 2  # words; shorter ones turn up in any text
_ARTICLE = " \0 "
# What may stand between the word "label" and a name: "label: NAME", "label_text=NAME", "the label was set to NAME".
_LABEL, _LINK = r"label(?:s|ed|led)?", r"(?:is|was|text|name|value|called|named|set|to|as) "
_NAMELESS = {" ", f" {labels.NONE} ", f" {labels.CUSTOM} ", " existing "}  # names in a log that tell nothing
_PARTS = re.compile(r"\n+|(?<=[.!?])\s+")
# A chat that was decoded without its markers: "ID: FRNuser\n\nWrite ...", and lines that hold the name of a role alone.
_GLUED = re.compile(r"(?<=[^\W_])(?=(?:user|assistant|model)\n)")
_ROLE = re.compile(r"^[^\w\n]*(?:system|user|assistant|model)[^\w\n]*$\n?", re.IGNORECASE | re.MULTILINE)


def find(given: str, article: str, label: str | None, prompt: Sequence[str], name: str | None = None) -> list[str]:
    """The kinds of `KINDS` that are true of what a judge was given.

    Args:
        given: Everything the judge was given.
        article: The completion, which may stand in it.
        label: What the model read as its label, None for none.
        prompt: System and user messages of the generation.
        name: What the log calls the label, None where it does not say.
    """
    inside, whole = words(article), words(given)
    around = whole.replace(inside, _ARTICLE) if inside.strip() else whole
    shown = inside if around != whole else ""  # an article that the judge was not given leaks nothing
    marked = _marked(given).replace(_marked(article), _ARTICLE) if inside.strip() else _marked(given)
    told, sentence, own = words(label or ""), _sentence(label or ""), _names(label or "", name or "")
    messages = [one for one in map(words, prompt) if _count(one) >= LEAST_MESSAGE]
    found = []
    if _count(told) >= LEAST_LABEL and told in around:
        found.append("label")
    elif any(run in around for run in _runs(told)) or _named(own, marked):
        found.append("part of the label")
    if (_count(told) >= LEAST_LABEL and told in shown) or (sentence and sentence in shown):
        found.append("label in the article")
    found += ["prompt"] * any(one in around for one in messages)
    found += ["prompt in the article"] * any(one in shown for one in messages)
    if "prompt" not in found and any(one in around for one in _parts(prompt, told)):
        found.append("part of the prompt")
    texts, names = _known()
    if any(one in around and one not in told for one in texts) or _named(names - own, marked):
        found.append("another label")
    return found


def without(text: str, label: str, prompt: Sequence[str], name: str | None = None) -> str | None:
    """A text without its label and prompt: whole messages, lines that hold the label, and the label itself are cut out.

    Args:
        text: The completion.
        label: What the model read as its label.
        prompt: As in `find`.
        name: As in `find`.

    Returns:
        The text as it is where it holds none of them; None where it still holds words of the label afterwards (`RUN` of
        them in a row, which may be the article's own), or nothing is left.
    """
    told, loose = words(label), _GLUED.sub(" ", text)
    wanted = {one for one in map(words, prompt) if _count(one) >= LEAST_MESSAGE} | {_sentence(label)}
    wanted |= {part for part in _parts(prompt, told) if told in part} | (
        {told} if _count(told) >= LEAST_LABEL else set()
    )
    rest = loose
    for one in sorted(wanted - {""}, key=len, reverse=True):
        rest = re.sub(_spelt(one), " ", rest, flags=re.IGNORECASE)
    rest = text if rest == loose else _ROLE.sub("", rest).strip()
    held = {"label", "part of the label", "prompt"} & set(find(rest, "", label, prompt, name))
    return None if held or not words(rest).strip() else rest


def _spelt(told: str) -> str:
    """A pattern of some words in a row, as `words` reads them, with the punctuation behind them."""
    return r"(?<![^\W_])" + r"[\W_]+".join(map(re.escape, told.split())) + r"(?![^\W_])(?:[^\w\n]|_)*"


def words(text: str) -> str:
    """A text as its words alone, each between spaces; " " for none."""
    return " ".join(["", *re.findall(r"[^\W_]+", _GLUED.sub(" ", text).casefold()), ""]) or " "


def _marked(text: str) -> str:
    """As `words`, with the marks of a list between them: "label: center, left" names no "center_left"."""
    return " ".join(["", *re.findall(r"[^\W_]+|[,;/|]", _GLUED.sub(" ", text).casefold()), ""])


def _count(text: str) -> int:
    return len(text.split())


def _parts(prompt: Sequence[str], label: str) -> list[str]:
    """Lines and sentences of the prompt that are long enough to be told from other text, or that hold the label."""
    parts = [words(part) for message in prompt for part in _PARTS.split(message)]
    return [part for part in parts if _count(part) >= LEAST_PART or (label.strip() and label in part)]


def _sentence(label: str) -> str:
    """What stands behind a label's name ("Unbiased: ..."), empty where it is too short to be told from other text."""
    behind = words(label.partition(":")[2])
    return behind if _count(behind) >= LEAST_PART else ""


def _runs(told: str) -> list[str]:
    """All runs of `RUN` words of a label."""
    each = told.split()
    return [words(" ".join(each[start : start + RUN])) for start in range(len(each) - RUN + 1)]


def _names(label: str, name: str) -> frozenset[str]:
    """What a label may be called: its name in the log, that of the project's label with its text, what opens the text.

    The names of no label, of a user's own and of existing articles (`_NAMELESS`) tell nothing.
    """
    called = [name, _of_text().get(words(label), "")]
    if label and _count(words(label)) < LEAST_LABEL:
        called.append(label)
    if _sentence(label):
        called.append(label.partition(":")[0])
    return frozenset(map(words, called)) - _NAMELESS


def _named(names: Iterable[str], text: str) -> bool:
    """Whether one of some names stands beside the word "label".

    Args:
        names: As `words`.
        text: As `_marked`.
    """
    for one in names if " label" in text else ():
        for beside in (rf" {_LABEL} (?:{_LINK}){{0,3}}{one.strip()} ", rf"{one}(?:monitor |evaluation )?{_LABEL} "):
            if re.search(beside, text):
                return True
    return False


@cache
def _of_text() -> dict[str, str]:
    """Text of each label of Experiment 1 -> its name."""
    found: dict[str, str] = {}
    for axis in (labels.SLANT, axes.SLANT_ID, axes.SLANT_SCALAR):
        for name in (*axis.trained, axis.held_out, *axis.sweep, labels.NONSENSE):
            found |= dict.fromkeys((words(text) for text in axis.label(name).texts), name)
    return found


@cache
def _known() -> tuple[frozenset[str], frozenset[str]]:
    """Texts of all labels of Experiment 1 with and without their names, short ones left out; and names.

    One common word ("center", "balanced") or number is no name to look for: somebody's rubric may call a grade so. The
    labels asked at deployment are looked for all the same.
    """
    texts, names = set(), set()
    for axis in (labels.SLANT, axes.SLANT_ID, axes.SLANT_SCALAR):
        asked = dict.fromkeys((*axis.trained, axis.held_out, *axis.sweep, labels.NONSENSE))
        for text in (text for name in asked for text in axis.label(name).texts):
            texts |= {words(text), _sentence(text)}
        called = {words(name) for name in asked}
        names |= {
            one for one in called if _count(one) > 1 or (one == words(axis.held_out) and not one.strip().isdigit())
        }
    return frozenset(one for one in texts if _count(one) > LEAST_LABEL), frozenset(names)
