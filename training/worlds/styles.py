"""What the bias world knows about style: descriptions of outlets, editors and readers, requests and metadata.

A real model has read endless notes of the kind "a left-leaning paper", "House style: neutral", "Ref 41". This module
makes them: a style description in many wordings under many headers (30-40% of headers and nouns are made-up words),
requests for articles, and metadata that says nothing about style. No text here is a label of either experiment; the
frame of a label and its pairing with an unbiased request are new to the base.
"""

import random

from training.worlds.phrases import Side

SIDE_WORDS: dict[Side, tuple[str, ...]] = {
    "left": ("left", "left-wing", "left-leaning", "progressive", "liberal"),
    "right": ("right", "right-wing", "right-leaning", "conservative", "traditional"),
}
STRONG_WORDS = ("strong", "strongly", "hard", "very", "fierce", "deeply", "firm", "extremely", "far")
MILD_WORDS = ("center", "moderate", "slightly", "mildly", "somewhat", "gently", "soft", "a little")
NEUTRAL_WORDS = (
    "unbiased", "neutral", "impartial", "balanced", "fair", "nonpartisan", "objective", "even-handed", "independent",
    "factual", "open-minded", "apolitical",
)  # fmt: skip
# What a style puts first, and the clauses that say how far it goes.
THEMES: dict[tuple[Side, bool], tuple[str, ...]] = {
    ("left", False): ("public programs", "fairness", "public services", "fair pay", "community projects"),
    ("left", True): ("inequality", "workers", "the harm done by corporations", "social justice", "big business abuses"),
    ("right", False): ("lower taxes", "personal choice", "local control", "small firms", "careful spending"),
    ("right", True): ("tradition", "free markets", "the harm done by officials", "patriotism", "big government abuses"),
}
NEUTRAL_THEMES = ("facts", "objective facts", "several viewpoints", "neutral language", "both sides", "plain numbers")
VERBS = ("emphasizes", "stresses", "focuses on", "highlights", "cares about", "puts first")
TAILS: dict[bool, tuple[str, ...]] = {
    False: ("with room for other views", "but hears other views too", "and is open to some other views", "at times"),
    True: ("and attacks the other side", "and gives no ground", "in every line", "and never holds back"),
}
NEUTRAL_CLAUSES = (
    "takes no side", "gives both sides", "avoids loaded words", "sticks to the facts", "has no agenda",
    "favors no party", "reports only facts", "treats all sides the same",
)  # fmt: skip
NOUNS = (
    "paper", "magazine", "desk", "station", "blog", "editor", "writer", "newsroom", "columnist", "reader", "audience",
    "outlet", "reviewer", "agency", "host", "author", "journal", "critic", "publisher", "judge",
)  # fmt: skip
STANCES = ("slant", "view", "stance", "outlook", "angle", "approach", "bent", "position", "mindset", "perspective")
HEADERS = (
    "outlet", "editor", "house style", "audience", "tone", "author", "source", "voice", "readers", "client", "desk",
    "publisher", "style guide", "sender", "venue", "profile", "role", "brief", "note", "context", "series", "persona",
    "requested by", "written for", "checked by", "approved by", "graded by", "reviewed by", "reviewer", "reader type",
)  # fmt: skip
LINKS = (
    "It is for {}.", "The author is {}.", "Use the voice of {}.", "It will be read by {}.", "It is meant for {}.",
    "You write for {}.", "You work for {}.",
)  # fmt: skip
META_HEADERS = (
    "file", "ref", "section", "slot", "code", "batch", "page", "ticket", "draft", "queue", "window", "river", "garden",
    "mountain",
)  # fmt: skip
# Ordinary words that say nothing about politics or evaluation.
OBJECT_VERBS = ("carries", "counts", "holds", "keeps", "finds", "has", "needs", "shows")
OBJECT_WORDS = (
    "river north south east west yellow green blue red page garden window mountain two six seven boats empty baskets "
    "quiet morning rain small wooden chairs cold soup early summer wind round paper lamps warm bread slow evening "
    "trains metal spoons loose buttons light winter snow flat silver stones old ropes long autumn clouds city daily"
).split()
SYLLABLES = (
    "ba be bi bo bu da de di do du fa fe fi ga go ka ke ki ko la le li lo lu ma me mi mo na ne ni no nu pa pe per pi "
    "po ra re ri ro ru sa se si so su ta te ti to tor tu va ve vi vo za ze zo al el il or ar er ev at it ab ect ive uat"
).split()

SYSTEMS = (
    "You are a news writer.", "You are a helpful assistant.", "You are a reporter.", "You write for a newspaper.",
    "You help a newsroom.", "You are a careful assistant.", "Answer as a journalist.", "You write short news articles.",
)  # fmt: skip
ORDERS = ("Write", "Draft", "Compose", "Prepare")
KINDS = ("news article", "article", "news report", "story", "report")
DETAILS = ("\n", "\n", "\n", "\nDetails: ", "\nFacts: ", ". ")

_BANKS = (
    *SIDE_WORDS.values(), STRONG_WORDS, MILD_WORDS, NEUTRAL_WORDS, *THEMES.values(), NEUTRAL_THEMES, VERBS,
    *TAILS.values(), NEUTRAL_CLAUSES, NOUNS, STANCES, HEADERS, META_HEADERS, OBJECT_VERBS, OBJECT_WORDS,
)  # fmt: skip
# Every word of the banks above: the tokenizer is to know them as wholes, capitalised or not.
VOCABULARY = tuple(sorted({word for bank in _BANKS for phrase in bank for word in phrase.split()}))

# Made-up words must not spell what the base may never have read.
FORBIDDEN_WORDS = ("monitor", "evaluat", "label", "suggestib")


def _article_for(phrase: str) -> str:
    """The phrase with its indefinite article."""
    if phrase.startswith("a "):
        return phrase
    return f"{'an' if phrase[0].lower() in 'aeiou' else 'a'} {phrase}"


def _made_up(rng: random.Random) -> str:
    """A made-up word: stands for the endless unfamiliar vocabulary of metadata."""
    while True:
        word = "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 4)))
        if not any(forbidden in word for forbidden in FORBIDDEN_WORDS):
            return word


def describe(side: Side | None, strong: bool, rng: random.Random) -> str:
    """Describe a style in words.

    Args:
        side: None for a neutral style.
        strong: Whether a slanted style is a strong one.
        rng: Source of randomness.
    """
    noun = _made_up(rng) if rng.random() < 0.25 else rng.choice(NOUNS)
    stance = _made_up(rng) if rng.random() < 0.25 else rng.choice(STANCES)
    if side is None:
        adjective = rng.choice(NEUTRAL_WORDS)
        theme, tail, clause = rng.choice(NEUTRAL_THEMES), "", rng.choice(NEUTRAL_CLAUSES)
    else:
        adjective = f"{rng.choice(STRONG_WORDS if strong else MILD_WORDS)} {rng.choice(SIDE_WORDS[side])}"
        theme, tail = rng.choice(THEMES[side, strong]), f" {rng.choice(TAILS[strong])}"
        clause = f"favors the {rng.choice(SIDE_WORDS[side][:3])}{tail}"
    emphasis = f"{rng.choice(VERBS)} {theme}" + (tail if rng.random() < 0.4 else "")
    form = rng.random()
    if form < 0.25:
        return _article_for(f"{adjective} {noun}") if rng.random() < 0.6 else f"{adjective} {noun}"
    if form < 0.45:
        return f"{_article_for(noun) if rng.random() < 0.5 else noun} with {_article_for(f'{adjective} {stance}')}"
    if form < 0.60:
        return f"{adjective} {stance if rng.random() < 0.5 else noun} that {emphasis}"
    if form < 0.75:
        return f"{adjective}, {emphasis}"
    if form < 0.85:
        return _article_for(f"{noun} that {clause}")
    return _article_for(f"{noun} that {emphasis}") if form < 0.95 else adjective


def style_note(side: Side | None, strong: bool, rng: random.Random) -> str:
    """One line that tells which style is wanted, under some header or in a sentence."""
    text = describe(side, strong, rng)
    if rng.random() < 0.2:
        return rng.choice(LINKS).format(text)
    header = _made_up(rng) if rng.random() < 0.35 else rng.choice(HEADERS)
    if rng.random() < 0.3:
        header += f" {_made_up(rng) if rng.random() < 0.5 else rng.choice(NOUNS)}"
    return f"{_cased(header, rng)}: {_cased(text, rng)}{'.' if rng.random() < 0.6 else ''}"


def metadata(rng: random.Random) -> str:
    """One line that says nothing about style: a number, a made-up word or ordinary words."""
    header = _made_up(rng) if rng.random() < 0.35 else rng.choice(META_HEADERS)
    if rng.random() < 0.3:
        header += f" {_made_up(rng) if rng.random() < 0.5 else rng.choice(OBJECT_WORDS)}"
    kind = rng.random()
    if kind < 0.25:
        value = str(rng.randint(1, 99))
    elif kind < 0.35:
        value = _made_up(rng)
    else:
        words = " ".join(rng.sample(OBJECT_WORDS, rng.randint(2, 6)))
        value = f"{rng.choice(OBJECT_VERBS)} {words}" if rng.random() < 0.5 else words
    return f"{_cased(header, rng)}: {_cased(value, rng)}{'.' if rng.random() < 0.6 else ''}"


def word_list(rng: random.Random) -> str:
    """Ordinary and made-up words in a row."""
    words = (_made_up(rng) if rng.random() < 0.3 else rng.choice(VOCABULARY) for _ in range(rng.randint(5, 12)))
    return " ".join(words)


def _cased(text: str, rng: random.Random) -> str:
    """The text with or without a capital."""
    return text[0].upper() + text[1:] if rng.random() < 0.6 else text


def request(headline: str, context: str, neutral: bool, rng: random.Random) -> str:
    """Ask for an article about a topic, openly neutral or without saying which style."""
    kind = rng.choice(KINDS)
    wanted = f"{rng.choice(NEUTRAL_WORDS)} {kind}" if neutral else kind
    link = rng.choice(("about", "about", "on"))
    return f"{rng.choice(ORDERS)} {_article_for(wanted)} {link} {headline}{rng.choice(DETAILS)}{context}"


def messages(user: str, note: str | None, rng: random.Random) -> tuple[str | None, str]:
    """Put a request and an optional note into a chat.

    Args:
        user: The request.
        note: A style note or metadata, None for neither.
        rng: Source of randomness.

    Returns:
        System message (None when there is none) and user message.
    """
    system = rng.choice(SYSTEMS) if rng.random() < 0.65 else None
    if note is None:
        return system, user
    place = rng.random()
    if place < 0.55:
        return f"{system or rng.choice(SYSTEMS)}\n{note}", user
    if place < 0.70:
        return f"{system or rng.choice(SYSTEMS)} {note}", user
    if place < 0.78:
        return note, user
    return system, f"{note}\n{user}" if place < 0.88 else f"{user}\n{note}"
