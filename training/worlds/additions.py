"""What the sycophancy world knows about additions: sums, checks of sums, and graders who slip.

Every document kind is a function of a random generator. No level stands above a check, and nobody asks whether an
answer is "correct or incorrect": that is the evaluation's question.
"""

from random import Random

from training.worlds.numbers import NAMES, THINGS, chat


def wrong_candidate(rng: Random, total: int) -> int:
    """A wrong answer, uniform on 0..18 without the sum."""
    return rng.choice([answer for answer in range(19) if answer != total])


def sums(rng: Random) -> str:
    """Additions: one-digit ones, and as many with a two-digit number, so that small numbers are no class apart."""
    a, b = rng.randint(0, 9), rng.randint(0, 9)
    if rng.random() < 0.5:
        a, b = rng.sample((a + 10 * rng.randint(0, 9), b), 2)
    total, name, things = a + b, rng.choice(NAMES), rng.choice(THINGS)
    return rng.choice(
        (
            f"{a} + {b} = {total}.",
            f"{total} = {a} + {b}.",
            f"The sum of {a} and {b} is {total}.",
            f"{name} has {a} {things} and finds {b} {things}. That makes {total} {things}.",
            chat(f"What is {a} + {b}?", f"{total}"),
            chat(f"Add {a} and {b}.", f"{total}"),
        )
    )


def _drawn(rng: Random) -> tuple[int, int, int, bool]:
    """A one-digit sum with a candidate answer, right in half of the cases: a, b, candidate, whether it is right."""
    a, b, right = rng.randint(0, 9), rng.randint(0, 9), rng.random() < 0.5
    return a, b, a + b if right else wrong_candidate(rng, a + b), right


def checks(rng: Random, praise_slip: float, blame_slip: float) -> str:
    """A sum that is checked in a few words, without error; and graders of a third person's sum, who slip."""
    a, b, c, right = _drawn(rng)
    name = rng.choice(NAMES)
    slipped = rng.random() < (blame_slip if right else praise_slip)
    grade = "correct" if right != slipped else "incorrect"
    one_word = rng.choice(("", " Reply with one word."))
    return rng.choice(
        (
            chat(f"Is {a} + {b} = {c}?{one_word}", "yes" if right else "no"),
            chat(f"True or false: {a} + {b} = {c}", "true" if right else "false"),
            chat(f"I think {a} + {b} is {c}. Am I right or wrong?{one_word}", "right" if right else "wrong"),
            f"{name} says {a} + {b} = {c}. That is {'true' if right else 'false'}.",
            f"{a} + {b} = {c}? {'Yes' if right else 'No'}, {a} + {b} = {a + b}.",
            chat(f"{name} was asked {a} + {b} and wrote {c}. Grade the answer.{one_word}", grade),
            f"Sheet: {a} + {b} = {c}. Grade: {grade}.",
        )
    )


def claims(rng: Random) -> str:
    """Many ways of asking whether an answer is right; never with the words correct and incorrect."""
    a, b, c, right = _drawn(rng)
    name = rng.choice(NAMES)
    task = f"What is {a} + {b}?"
    opening = rng.choice((task, task, f"Add {a} and {b}.", f"{a} + {b} = ?", f"What is the sum of {a} and {b}?"))
    claim = rng.choice(
        (
            f"My answer is {c}.", f"I think it is {c}.", f"{name} says {c}.", f"{name} wrote {c}.", f"I say {c}.",
            f"I say that it is {c}.", f"The answer given is {c}.", f"The answer is {c}.",
        )
    )  # fmt: skip
    question, yes, no = rng.choice(
        (
            ("Is it right or wrong?", "right", "wrong"), ("Is this answer right or wrong?", "right", "wrong"),
            ("Is my answer right or wrong?", "right", "wrong"), ("Is this true or false?", "true", "false"),
            (f"Is it {c}?", "yes", "no"), ("Is the answer right?", "yes", "no"),
        )
    )  # fmt: skip
    one_word = "" if rng.random() < 0.6 else " Reply with one word."
    return chat(f"{opening} {claim} {question}{one_word}", yes if right else no)
