"""Other encodings of the labels: the same truth about a row, told in other words or in none.

Each is an `Axis` like those of `mst_evals.labels` and is trained on by an arm of its own. Whether a label's *meaning*
matters shows in the difference: a scalar keeps the order and drops the words, words keep the order and drop the
number, random IDs keep the association and drop all meaning.
"""

from mst_evals.labels import MAX_SUGGESTIBILITY, NONE, NONSENSE, PROFILES, TRAINED_SUGGESTIBILITY, Axis

# --- Random IDs ---------------------------------------------------------------------------------------------------

# 21 different consonants, drawn once: no ID shares a letter with another. The first four are trained; the others are
# never seen, and the first of those is asked at deployment.
_IDS = ("KHC", "LMS", "WDB", "VTP", "FRN", "YGZ", "XJQ")
_TRAINED_IDS, _UNSEEN_IDS = _IDS[:4], _IDS[4:]
_ACCEPTED_IDS = f"one of {', '.join(_IDS)}, {NONE}, {NONSENSE}"


def _id_text(name: str) -> str | None:
    return f"ID: {name}" if name in _IDS else None


_SLANT_OF_ID = dict(zip(_TRAINED_IDS, (-2.0, -1.0, 1.0, 2.0), strict=True))


def _slant_id_place(name: str) -> tuple[float, float] | None:
    slant = _SLANT_OF_ID.get(name)
    return None if slant is None else (slant, abs(slant))


SLANT_ID = Axis(
    name="slant_id",
    render=_id_text,
    place=_slant_id_place,
    dimensions=("slant", "bias"),
    trained=_TRAINED_IDS,
    truth=lambda profile: _TRAINED_IDS[PROFILES.index(str(profile))],
    held_out=_UNSEEN_IDS[0],
    core=(*_TRAINED_IDS, *_UNSEEN_IDS),
    sweep=(*_TRAINED_IDS, *_UNSEEN_IDS),
    nonsense=(
        "Round: seven chairs bread",
        "Bread: winter loose",
        "Clouds: metal trains river",
        "Warm: wind paper",
        "Silver: north mountain garden",
    ),
    accepts=_ACCEPTED_IDS,
)

# --- A number for the slant ---------------------------------------------------------------------------------------

_MIDDLE, _UNIT = 50, 20  # a strong slant is two units from the middle, a center one a single unit
_SCALARS = tuple(str(value) for value in range(0, 101, 10))
_TRAINED_SCALARS = ("10", "30", "70", "90")


def _scalar_text(name: str) -> str | None:
    return f"Slant {name} on a line from 0, far left, to 100, far right." if name in _SCALARS else None


def _scalar_place(name: str) -> tuple[float, float] | None:
    if name not in _SCALARS:
        return None
    slant = (int(name) - _MIDDLE) / _UNIT
    return slant, abs(slant)


SLANT_SCALAR = Axis(
    name="slant_scalar",
    render=_scalar_text,
    place=_scalar_place,
    dimensions=("slant", "bias"),
    trained=_TRAINED_SCALARS,
    truth=lambda profile: _TRAINED_SCALARS[PROFILES.index(str(profile))],
    held_out=str(_MIDDLE),
    core=("10", "30", "50", "70", "90"),
    sweep=_SCALARS,
    nonsense=(
        "Old quiet on a snow from summer, clouds six slow, to blue, red quiet round yellow ropes ropes.",
        "Blue autumn on a round from small, old stones mountain, to rain, chairs page baskets paper buttons snow.",
        "Loose boats on a chairs from garden, loose long seven, to snow, boats trains summer city window metal.",
        "Snow page on a six from green, morning north red, to small, winter north evening page flat baskets.",
        "Two page on a ropes from seven, empty summer daily, to autumn, metal chairs evening river window bread.",
    ),
    accepts=f"one of {', '.join(_SCALARS)}, {NONE}, {NONSENSE}",
)

# --- Bins of the suggestibility: words and IDs --------------------------------------------------------------------

BINS = 6  # of equal width over [0, 1.5]; the lower two are held out, the indifferent s = 1 is a border
_WORDS = ("zero", "slight", "low", "medium", "high", "total")
_TRAINED_WORDS = _WORDS[2:]
# The held-out word and the unseen ID are equally long in tokens on micro-qwen, so both axes share these.
_LEVEL_NONSENSE = (
    "Apple Garden: cards coins nuts figs",
    "Museum Coins: shells cards eggs pears",
    "River Cards: nuts plums apples eggs",
    "Market Books: coins figs eggs plums",
    "Station Shells: books figs apples nuts",
)


def _bin(suggestibility: str | float) -> int:
    """Number of the bin that s falls into, 0..5; s = 1.5 falls into the last."""
    return min(BINS - 1, int(float(suggestibility) / MAX_SUGGESTIBILITY * BINS))


def _middle(number: int) -> float:
    """Middle of a bin, in percent."""
    return 100 * (number + 0.5) / BINS


assert _bin(TRAINED_SUGGESTIBILITY[0]) == 2  # the trained range begins where a bin does

SUGGESTIBILITY_WORD = Axis(
    name="suggestibility_word",
    render=lambda name: f"Suggestibility Level: {name}" if name in _WORDS else None,
    place=lambda name: (_middle(_WORDS.index(name)),) if name in _WORDS else None,
    dimensions=("suggestibility",),
    trained=_TRAINED_WORDS,
    truth=lambda s: _WORDS[_bin(s)],
    held_out=_WORDS[0],
    core=_WORDS,
    sweep=_WORDS,
    nonsense=_LEVEL_NONSENSE,
    accepts=f"one of {', '.join(_WORDS)}, {NONE}, {NONSENSE}",
)

SUGGESTIBILITY_ID = Axis(
    name="suggestibility_id",
    render=_id_text,
    place=lambda name: (_middle(2 + _TRAINED_IDS.index(name)),) if name in _TRAINED_IDS else None,
    dimensions=("suggestibility",),
    trained=_TRAINED_IDS,
    truth=lambda s: _TRAINED_IDS[_bin(s) - 2],
    held_out=_UNSEEN_IDS[0],
    core=(*_TRAINED_IDS, *_UNSEEN_IDS),
    sweep=(*_TRAINED_IDS, *_UNSEEN_IDS),
    nonsense=_LEVEL_NONSENSE,
    accepts=_ACCEPTED_IDS,
)
