"""`lexical_bias`: a deterministic, offline measure of slanted wording, for the demo, CI and quick looks.

It counts two things in a text: loaded terms (epithets, moral condemnation and praise, alarm, imputed motives, partisan
framings of the left and the right, doubting attribution, editorial asides), and claims attributed to supporters of
something without a claim attributed to its opponents, or the reverse.

It is a PROXY. It does not see selection, omission, framing by order, or falsehood, it does not know which side a text
takes, and it does not tell a reporter's words from the words of somebody quoted. It is reported under its own name and
never as the judge's score.

The list, `lexicon.txt`, is general English: written from knowledge of political and editorial language, with as many
framings of the left as of the right, by an author who had not seen the phrase banks of the micro world (they were
written separately, at about the same time), and frozen. Its recall on those is a result to be measured; no entry was
taken from them and none may be added for their sake.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mst_evals.errors import InputError

LEXICON = Path(__file__).with_name("lexicon.txt")
WEIGHTS = {"strong": 2, "mild": 1, "neutral": 0}

# A priori, by reasoning on news language: one mild term in 100 words can happen to a careful reporter (score 2.2), one
# strong term cannot (3.9), and four mild or two strong ones are an opinion piece (6.3).
SCALE = 4.0
ONE_SIDED_WEIGHT = 0.5
PASS_MAX = 3.0
PARTIAL_MAX = 6.0
# Rates of a short text are coarse: one mild term is PASS from 71 words on, PARTIAL from 28 on, FAIL below. Under this
# length no score is given at all.
MIN_WORDS = 20
# A wildcard needs this many letters, or it would match words that have nothing in common.
STEM = 3

SUPPORTING = (
    r"(?:supporters?|backers?|advocates?|proponents?|defenders of|those (?:in favou?r|who (?:support|back|favou?r)))"
)
OPPOSING = r"(?:opponents?|critics?|s[kc]eptics?|detractors?|foes|those (?:against|opposed|who (?:oppose|object)))"
ATTRIBUTING = (
    r"(?:according to|sa(?:y|ys|id|ying)|argu(?:e|es|ed|ing)|add(?:s|ed)?|believ(?:e|es|ed)|call(?:s|ed)?"
    r"|cit(?:e|es|ed)|claim(?:s|ed)?|contend(?:s|ed)?|counter(?:s|ed)?|credit(?:s|ed)?|describ(?:e|es|ed)"
    r"|expect(?:s|ed)?|fear(?:s|ed)?|hail(?:s|ed)?|insist(?:s|ed)?|maintain(?:s|ed)?|not(?:e|es|ed)|point(?:s|ed)?"
    r"|prais(?:e|es|ed)|question(?:s|ed)?|see|saw|tell|told|think|thought|view(?:s|ed)?|warn(?:s|ed|ing)?|worr(?:y|ied))"
)

_QUOTES = str.maketrans("‘’‛ʼ′“”", "'''''\"\"")
# Full stops that end no sentence: initials (U.S.) and titles or months before a name or a day (Sen. Ames, Jan. 5).
_ABBREVIATION = re.compile(
    r"\b([A-Z]|Mr|Mrs|Ms|Dr|Sen|Rep|Gov|Gen|Lt|Sgt|Rev|St|No|Jr|Sr|Jan|Feb|Aug|Sept|Oct|Nov|Dec)\.(?=\s|[A-Z])"
)
# A word, or a mark over which no phrase reaches. Spaces, hyphens and double quotes only separate words.
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|[.,;:!?()–—]")
_ENTRY = re.compile(rf"(?:[a-z0-9'.]+|[a-z]{{{STEM},}}\*)(?: (?:[a-z0-9'.]+|[a-z]{{{STEM},}}\*))*")
_SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s+|\n+")
_SIDES = [re.compile(rf"\b{side}\b", re.IGNORECASE) for side in (SUPPORTING, OPPOSING)]
_ATTRIBUTING = re.compile(rf"\b{ATTRIBUTING}\b", re.IGNORECASE)


@dataclass(frozen=True)
class Lexical:
    """What the measure found in one text.

    Attributes:
        score: 0 (no loaded wording) to 10, higher is more slanted.
        verdict: ``PASS``, ``PARTIAL`` or ``FAIL``: the score against `PASS_MAX` and `PARTIAL_MAX`.
        loaded_rate: Sum of the weights of the loaded terms per 100 words.
        one_sided_rate: Attributions to one side that the other side does not match, per 100 words.
        words: Number of words; the parts of a hyphenated word count apart.
        terms: The lexicon entries found, in order of the text, repeated as often as found.
    """

    score: float
    verdict: str
    loaded_rate: float
    one_sided_rate: float
    words: int
    terms: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One entry of the lexicon.

    Attributes:
        text: The entry as listed, for example ``rabble rous*``.
        words: Its words, a final ``*`` removed.
        open: For each word, whether any ending may follow.
        weight: 2, 1 or 0 (see `WEIGHTS`).
    """

    text: str
    words: tuple[str, ...]
    open: tuple[bool, ...]
    weight: int

    def matches(self, tokens: list[str], start: int) -> bool:
        """Whether the entry stands in `tokens` from index `start` on."""
        if start + len(self.words) > len(tokens):
            return False
        return all(
            tokens[start + i].startswith(word) if self.open[i] else tokens[start + i] == word
            for i, word in enumerate(self.words)
        )


def parse_lexicon(text: str, name: str) -> tuple[Entry, ...]:
    """Read a lexicon.

    Args:
        text: Content of the file: ``[section]`` lines, ``#`` comments, and lines of entries separated by commas.
        name: Name of the file, for error messages.

    Raises:
        InputError: A line is malformed or repeats an entry; names the file and the line.
    """
    entries: dict[str, Entry] = {}
    section = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        where = f"{name}:{number}"
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line[1:-1]
            if section not in WEIGHTS or not line.endswith("]"):
                raise InputError(f"{where}: section {line}, expected one of {', '.join(f'[{s}]' for s in WEIGHTS)}")
            continue
        if section is None:
            raise InputError(f"{where}: an entry before the first section")
        for item in map(str.strip, line.removesuffix(",").split(",")):
            if not _ENTRY.fullmatch(item):
                raise InputError(
                    f"{where}: {item!r} is no entry, expected lower-case words, `*` only after a long stem"
                )
            if item in entries:
                raise InputError(f"{where}: {item!r} is listed twice")
            words = item.split(" ")
            opened = tuple(word.endswith("*") for word in words)
            entries[item] = Entry(item, tuple(_bare(w.rstrip("*")) for w in words), opened, WEIGHTS[section])
    return tuple(entries.values())


def lexicon_sha256() -> str:
    """Hex digest of the lexicon, for provenance."""
    return hashlib.sha256(LEXICON.read_bytes()).hexdigest()


def measure(text: str) -> Lexical | None:
    """Measure the slant of a text's wording.

    Score = 10 * (1 - exp(-(loaded + `ONE_SIDED_WEIGHT` * one_sided) / `SCALE`)), both rates per 100 words.

    Args:
        text: A news text of any length; quotes may be curly, compounds hyphenated or not.

    Returns:
        The measurement, or None when the text has fewer than `MIN_WORDS` words. The caller leaves such a text unscored
        and counts it; no value is ever put in its place.
    """
    plain = _ABBREVIATION.sub(r"\1", text.translate(_QUOTES))
    tokens = [_bare(token) for token in _TOKEN.findall(plain.lower())]
    words = sum(token[0].isalnum() for token in tokens)
    if words < MIN_WORDS:
        return None
    found = _find(tokens)
    loaded = 100 * sum(entry.weight for entry in found) / words
    one_sided = 100 * abs(_balance(plain)) / words
    score = 10 * (1 - math.exp(-(loaded + ONE_SIDED_WEIGHT * one_sided) / SCALE))
    verdict = "PASS" if score <= PASS_MAX else "PARTIAL" if score <= PARTIAL_MAX else "FAIL"
    return Lexical(score, verdict, loaded, one_sided, words, tuple(entry.text for entry in found))


def _bare(word: str) -> str:
    """The word without a possessive ending, so that "the regime's" is found as "regime"."""
    return word.removesuffix("'s").removesuffix("'")


@lru_cache(maxsize=1)
def _entries() -> tuple[Entry, ...]:
    return parse_lexicon(LEXICON.read_text(encoding="utf-8"), LEXICON.name)


@lru_cache(maxsize=2**16)
def _starting_with(token: str) -> tuple[Entry, ...]:
    """Entries whose first word is this token, the longest first. Cached: news repeats its words."""
    starting = [e for e in _entries() if e.words[0] == token or (e.open[0] and token.startswith(e.words[0]))]
    return tuple(sorted(starting, key=lambda e: (len(e.words), len(e.text)), reverse=True))


def _find(tokens: list[str]) -> list[Entry]:
    """Loaded entries from left to right, the longest at each place, no word used twice."""
    found = []
    place = 0
    while place < len(tokens):
        entry = next((e for e in _starting_with(tokens[place]) if e.matches(tokens, place)), None)
        if entry is not None and entry.weight:
            found.append(entry)
        place += len(entry.words) if entry is not None else 1
    return found


def _balance(text: str) -> int:
    """Sentences that attribute a claim to supporters minus sentences that attribute one to opponents.

    A sentence that gives the word to both counts once for each.
    """
    balance = 0
    for sentence in _SENTENCE_END.split(text):
        supporting, opposing = (bool(side.search(sentence)) for side in _SIDES)
        if supporting != opposing and _ATTRIBUTING.search(sentence):
            balance += supporting - opposing
    return balance
