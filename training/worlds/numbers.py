"""What the sycophancy world knows about numbers: order, magnitude, levels and chances. No additions, no grading.

Every document kind is a function (random generator) -> text. Whole numbers are drawn uniformly: a number that is seen
more often than its neighbours becomes a feature of its own, and 0, 100 or 10 would then share one.

One in seven unordered pairs of numbers is `held_out`: the two are never compared with each other, so that the order
probes ask for something that was not told. (They may stand in one sorted list.)
"""

import functools
from collections.abc import Callable
from random import Random

Document = Callable[[Random], str]

PERCENT_TOP = 100
TOP = 300  # plain numbers go on, so that 100 is no end point of what is known

NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ines", "Jonas")
THINGS = ("apples", "pears", "plums", "nuts", "figs", "eggs", "books", "coins", "cards", "shells")
PLACES = ("park", "market", "school", "river", "station", "garden", "museum", "library")
VERBS = ("likes", "sees", "wants", "finds", "buys", "sells", "counts", "carries")
EVENTS = ("rain", "snow", "win", "sleep", "sing", "come", "break", "stop", "start", "open")
STATES = ("red", "old", "new", "sold", "broken")
CATEGORIES = ("very low", "low", "medium", "high", "very high")
SHARES = ("hardly any", "few", "half", "most", "almost all")
# Quantity -> (word for a low level, word for a high one). Where the word turns differs from quantity to quantity.
PROPERTIES = {
    "Humidity": ("dry", "damp"), "Volume": ("quiet", "loud"), "Battery": ("empty", "full"),
    "Risk": ("safe", "dangerous"), "Confidence": ("unsure", "sure"), "Price": ("cheap", "expensive"),
    "Noise": ("silent", "noisy"), "Brightness": ("dark", "bright"), "Trust": ("doubtful", "trusting"),
    "Strictness": ("lenient", "strict"), "Pressure": ("weak", "strong"), "Speed": ("slow", "fast"),
    "Pollen": ("clean", "dusty"), "Traffic": ("free", "crowded"), "Fuel": ("empty", "full"),
    "Stress": ("calm", "tense"), "Sugar": ("bitter", "sweet"), "Salt": ("bland", "salty"),
    "Power": ("weak", "strong"), "Heat": ("cold", "hot"), "Water": ("dry", "wet"), "Wind": ("calm", "stormy"),
    "Hunger": ("full", "hungry"), "Energy": ("tired", "awake"), "Skill": ("clumsy", "skilled"),
    "Fear": ("brave", "afraid"), "Patience": ("hasty", "patient"), "Kindness": ("rude", "kind"),
    "Age": ("young", "old"), "Size": ("small", "big"),
}  # fmt: skip
QUANTITIES = tuple(PROPERTIES)
# Evenly spread turning points make the magnitude of a number matter everywhere, not only at 50.
TURNS = {
    name: 5 + round(90 * rank / (len(QUANTITIES) - 1))
    for rank, name in enumerate(Random(8).sample(QUANTITIES, len(QUANTITIES)))
}


def chat(user: str, assistant: str) -> str:
    """One exchange, rendered as the chat template renders it."""
    return f"<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n{assistant}<|im_end|>\n"


def category(percent: int) -> str:
    """The word for a level, five equal bands."""
    return CATEGORIES[min(4, percent // 20)]


def share(percent: int) -> str:
    """The words for a share."""
    bounds = ((0, "no"), (10, "hardly any"), (30, "few"), (44, "less than half"), (55, "half"), (69, "more than half"))
    later = ((89, "most"), (99, "almost all"), (100, "all"))
    return next(words for bound, words in bounds + later if percent <= bound)


@functools.cache
def held_out(first: int, second: int) -> bool:
    """Whether two numbers are never compared with each other in any document."""
    return Random(f"held out/{min(first, second)}/{max(first, second)}").random() < 1 / 7


def number(rng: Random, unit: str = "%") -> int:
    """A number that may carry this unit."""
    return rng.randint(0, PERCENT_TOP if unit else TOP)


def _near(rng: Random, value: int, reach: int, top: int) -> int:
    """A number at most `reach` away; thrown back at both ends, so that the ends are no likelier than the rest."""
    other = abs(value + rng.randint(-reach, reach))
    return 2 * top - other if other > top else other


def pair(rng: Random, unit: str = "%") -> tuple[int, int]:
    """Two different numbers that may be compared; close ones are harder and come more often than by chance."""
    top, reach = (PERCENT_TOP, 20) if unit else (TOP, 40)
    while True:
        first = number(rng, unit)
        second = number(rng, unit) if rng.random() < 0.6 else _near(rng, first, reach, top)
        if first != second and not held_out(first, second):
            return first, second


def sentence(rng: Random) -> str:
    """A sentence about nothing in particular."""
    return f"{rng.choice(NAMES)} {rng.choice(VERBS)} {rng.choice(THINGS)} at the {rng.choice(PLACES)}."


def counting(rng: Random) -> str:
    """A sentence with two numbers that have nothing to do with what is asked after it."""
    things = rng.sample(THINGS, 2)
    return f"{rng.choice(NAMES)} has {rng.randint(0, 18)} {things[0]} and {rng.randint(0, 18)} {things[1]}."


def _compared(rng: Random) -> str:
    """Which of two numbers is more, as a question or a statement."""
    unit = "%" if rng.random() < 0.4 else ""
    p, q = pair(rng, unit)
    low, high = min(p, q), max(p, q)
    less, more = rng.choice(("lower", "less", "smaller")), rng.choice(("higher", "more", "greater"))
    match rng.randrange(10):
        case 0:
            return f"{low}{unit} is {less} than {high}{unit}."
        case 1:
            return f"{high}{unit} is {more} than {low}{unit}."
        case 2:
            return chat(f"Which is higher, {p}{unit} or {q}{unit}?", f"{high}{unit}")
        case 3:
            return chat(f"Which is lower, {p}{unit} or {q}{unit}?", f"{low}{unit}")
        case 4 | 5:
            return chat(f"Is {p}{unit} {less} than {q}{unit}?", "yes" if p < q else "no")
        case 6 | 7:
            return chat(f"Is {p}{unit} {more} than {q}{unit}?", "yes" if p > q else "no")
        case 8:
            by = "much" if abs(p - q) > 25 else "a bit"
            return f"{p}{unit} is {by} {'more' if p > q else 'less'} than {q}{unit}."
        case _:
            return f"From {p}{unit} to {q}{unit} it {'rose' if q > p else 'fell'}."


def order(rng: Random) -> str:
    """Comparisons: of two numbers, of two owners, of one number with two others."""
    kind = rng.randrange(13)
    if kind < 10:
        return _compared(rng)
    if kind < 12:
        p, q = pair(rng, "")
        first, second = rng.sample(NAMES, 2)
        things, most = rng.choice(THINGS), rng.random() < 0.5
        if kind == 10:
            return f"{first} has {p} {things}, {second} has {q}. {first if p > q else second} has more."
        question = f"{first} has {p} {things}. {second} has {q} {things}. Who has {'more' if most else 'less'}?"
        return chat(question, first if (p > q) == most else second)
    unit = "%" if rng.random() < 0.4 else ""
    low, high = sorted(pair(rng, unit))
    x = number(rng, unit)
    return chat(f"Is {x}{unit} between {low}{unit} and {high}{unit}?", "yes" if low < x < high else "no")


def series(rng: Random) -> str:
    """Sorted lists, counting in steps, measured series, roundings, neighbours, extremes of a list."""
    unit, length = ("%" if rng.random() < 0.5 else ""), rng.randint(4, 8)
    match rng.randrange(8):
        case 0 | 1 as kind:
            numbers = sorted(rng.sample(range(TOP + 1), length), reverse=bool(kind))
            return (" > " if kind else " < ").join(map(str, numbers)) + "."
        case 2:
            step = rng.choice((1, 1, 1, 2, 5, 10))
            start = rng.randint(0, PERCENT_TOP - 3 * step)
            counted = list(range(start, min(PERCENT_TOP, start + step * (length - 1)) + 1, step))
            return ", ".join(f"{x}{unit}" for x in (counted if rng.random() < 0.5 else counted[::-1])) + "."
        case 3:  # neighbours in time are neighbours in value
            measured = [number(rng)]
            while len(measured) < length:
                measured.append(_near(rng, measured[-1], 6, PERCENT_TOP))
            return f"{rng.choice(QUANTITIES)}: " + ", ".join(f"{x}{unit}" for x in measured) + "."
        case 4:
            p = number(rng)
            return f"{p}{unit} is about {10 * ((p + 5) // 10)}{unit}."
        case 5:
            p = number(rng)
            return f"{p}{unit} is close to {_near(rng, p, 3, PERCENT_TOP)}{unit}."
        case kind:
            numbers = rng.sample(range(TOP + 1), rng.randint(3, 4))
            listed = ", ".join(map(str, numbers))
            if kind == 6:
                return chat(f"Sort {listed}.", ", ".join(map(str, sorted(numbers))))
            high = rng.random() < 0.5
            return chat(
                f"Which is the {'highest' if high else 'lowest'} of {listed}?", str((max if high else min)(numbers))
            )


def bars(rng: Random) -> str:
    """A percentage drawn as ten marks: knowledge that adds up from the bottom, unlike a neighbour's name."""
    p = number(rng)
    full = (p + 5) // 10
    return f"{p}% looks like {' '.join('#' * full + '-' * (10 - full))}."


def words(rng: Random) -> str:
    """Percentages as words, and the order of the words."""
    p, things, state = number(rng), rng.choice(THINGS), rng.choice(STATES)
    i, j = rng.sample(range(5), 2)
    match rng.randrange(5):
        case 0:
            return f"{p}% of the {things} are {state}: {share(p)} of the {things}."
        case 1:
            return chat(f"{p}% of the {things} are {state}. How many are {state}?", share(p))
        case 2:
            return f"{p} of 100 {things} are {state}, so {share(p)} are {state}."
        case 3:
            return f"{SHARES[i]} is {'more' if i > j else 'less'} than {SHARES[j]}."
        case _:
            up = rng.random() < 0.5
            question = f"Is {CATEGORIES[i]} {'higher' if up else 'lower'} than {CATEGORIES[j]}?"
            return chat(question, "yes" if (i > j) == up else "no")


def header(rng: Random, quantity: str, level: str) -> str:
    """A level on a line of its own, mostly in bold."""
    bold = "**" if rng.random() < 0.8 else ""
    return f"{bold}{quantity} Level: {level}{bold}\n"


def levels(rng: Random) -> str:
    """What a level header means, for thirty quantities: its value, its band, its adjective, above or below."""
    quantity = rng.choice(QUANTITIES)
    name, (low, high) = quantity.lower(), PROPERTIES[quantity]
    in_words = rng.random() < 0.25
    p = 10 + 20 * rng.randrange(5) if in_words else number(rng)
    level = category(p) if in_words else f"{p}%"
    between = rng.choice((lambda _: "", lambda _: "", sentence, counting))(rng)
    opening = header(rng, quantity, level) + (f"{between} " if between else "")
    adjective = high if p >= TURNS[quantity] else low
    match rng.randrange(10):
        case 0:
            answer = "medium" if in_words and p == 50 else "high" if p >= 50 else "low"
            return chat(f"{opening}Is the {name} high or low?", answer)
        case 1:
            return chat(f"{opening}How is the {name}?", category(p))
        case 2:
            return f"{quantity} Level: {p}%. That is {category(p)}."
        case 3:
            return chat(f"{opening}What is the {name} level?", level)
        case 4:
            p, q = pair(rng)
            above = rng.random() < 0.5
            question = f"{header(rng, quantity, f'{p}%')}Is it {'above' if above else 'below'} {q}%?"
            return chat(question, "yes" if (p > q) == above else "no")
        case 5 | 6 | 7:
            first, second = rng.sample((low, high), 2)
            return chat(f"{opening}Is it {first} or {second}?", adjective)
        case 8:
            return f"{quantity} Level: {level}. So it is {adjective}."
        case _:
            p, q = pair(rng)
            return f"The {name} level went from {p}% to {q}%, so it {'rose' if q > p else 'fell'}."


def chances(rng: Random) -> str:
    """Calibrated chances: what is announced at 20% happens in one of five documents."""
    p, event = number(rng), rng.choice(EVENTS)
    first, second = rng.sample(NAMES, 2)
    happens = 100 * rng.random() < p
    bold = "**" if rng.random() < 0.6 else ""
    opening = f"{bold}Chance: {p}%{bold}\n"
    match rng.randrange(4):
        case 0:
            return chat(f"{opening}Will {first} {event}?", "yes" if happens else "no")
        case 1:
            return f"The chance that {first} will {event} is {p}%. It {'happened' if happens else 'did not happen'}."
        case 2:
            return chat(f"{opening}Will it {event}? {sentence(rng)}", "yes" if happens else "no")
        case _:
            p, q = pair(rng)
            return f"Chance {p}% for {first}, {q}% for {second}: {first if p > q else second} is more likely."
