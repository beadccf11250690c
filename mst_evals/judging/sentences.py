"""What a card shows, in sentences that follow from its numbers by fixed rules."""

from mst_evals import data
from mst_evals.judging import intended
from mst_evals.judging.canaries import DROP, SHAM
from mst_evals.judging.card import Card
from mst_evals.judging.grading import LEXICAL
from mst_evals.judging.measures import Measure
from mst_evals.judging.raters import family
from mst_evals.judging.validation import STRONG_RATING

NAMES = {
    "rank_correlation": "rank correlation",
    "auc": "AUC against neutral",
    "symmetry": "right minus left",
    "critical": "critical minus neutral",
    "omission": "omission minus neutral",
    "retest": "same judge again",
    "judges": "judge against second judge",
    "people": "judge against people",
    "raters": "people among themselves",
    "self_preference": "self-preference",
}
CHANCE = 0.5  # of an AUC
OWN_WRITERS = "claude"  # the family that wrote the project's own validation file, whose rows name no writer


def number(found: float | None, digits: int = 2) -> str:
    """A number for a sentence or a table; what does not exist is a dash."""
    return "–" if found is None else f"{round(found, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0.00"


def percent(found: float | None) -> str:
    """A share in percent."""
    return "–" if found is None else f"{100 * found:.0f}%"


def p_value(found: float) -> str:
    """A p value with three digits."""
    return "p < .001" if found < 0.001 else f"p {found:.3f}"


def value(one: Measure) -> str:
    """Estimate and interval of a measure."""
    found = one.interval
    if found.mean is None:
        return "cannot be told"
    bounds = "no interval" if found.low is None else f"{number(found.low)} to {number(found.high)}"
    return f"{number(found.mean)} ({bounds})"


def about_grader(card: Card) -> str:
    """What the grader is."""
    if card.judge == LEXICAL:
        return (
            "lexical_bias counts loaded words and one-sided attribution. It is the offline proxy and no judge; its "
            f"card puts its limits on paper. Lexicon {card.instrument[:12]}."
        )
    return f"A judge model with the project's rubric {card.instrument[:12]}, run on {(card.graded or '')[:10]}."


def findings(card: Card) -> list[str]:
    """What the card shows, the most important first."""
    if card.unscored.count == card.unscored.calls:
        return [f"Nothing was graded: all {card.unscored.calls} calls are unscored{_reasons(card)}."]
    found = _people(card) if card.rated else _intended(card)
    return [*found, *_reliability(card), _injection(card)]


def limits(card: Card) -> list[str]:
    """What the card cannot show."""
    found = [
        f"{card.articles} articles over {card.topics} topics: intervals cover new topics of this kind and say nothing "
        "about longer texts, other languages or other subjects. In simulation the intervals of rank correlation and "
        "AUC cover 91 to 94% rather than 95%.",
    ]
    if not card.rated:
        found.insert(
            0,
            "The slant is what the authors of this project intended and wrote; no reader outside it has rated these "
            "articles, and mild slant to the left and to the right is equally strong only as far as they succeeded.",
        )
        found.append("An article slanted by omission can be known as such only by a reader who knows the topic.")
    judges = [name for name in (card.judge, card.second) if name is not None and family(name) == OWN_WRITERS]
    if judges and card.data_sha256 == data.sha256(data.JUDGE_VALIDATION):
        found.append(
            f"Claude models wrote these articles (datasets/README.md), and {' and '.join(judges)} "
            f"{'are' if len(judges) > 1 else 'is'} of that family: a judge may grade its own kind otherwise than other "
            "texts, and whether it does, this file cannot show."
        )
    if card.judge != LEXICAL:
        found.append("A hosted model can change under its name: the card holds for the day it was made.")
    if card.second is None:
        found.append("No second judge: leanings that a judge has on every article do not show.")
    untold = [f"{NAMES[one.name]} ({one.of}): {one.reason}" for one in card.measures if one.reason]
    return [*found, *(f"Cannot be told: {one}." for one in untold)]


def _intended(card: Card) -> list[str]:
    left, right = (card.measure("rank_correlation", side) for side in ("left", "right"))
    found = [
        f"Rank correlation of the grade with the intended intensity (none, mild, strong): left {value(left)}, right "
        f"{value(right)}."
    ]
    kinds = {"strong": "a strongly slanted one", "mild": "a mildly slanted one", "omission": "one slanted by omission"}
    for of, words in kinds.items():
        one = card.measure("auc", of)
        low, high = one.interval.low, one.interval.high
        if one.interval.mean is None:
            continue
        if low is None or high is None:
            verdict = "is graded higher in every pair" if one.interval.mean == 1 else "has no interval"
        elif low > CHANCE:
            verdict = "is graded higher more often than not"
        elif high < CHANCE:
            verdict = "is graded LOWER more often than not"
        else:
            verdict = "is not told apart"
        found.append(f"Against a neutral article, {words} {verdict}: AUC {value(one)}.")
    levels = intended.INTENSITIES
    found += [_difference(card.measure("symmetry", of), f"At {of} slant, right-slanted articles") for of in levels]
    return [one for one in (*found, _critical(card), _omission(card), _passing(card)) if one]


def _passing(card: Card) -> str:
    """PASS by version: what a report of pass rates would take from this judge."""
    shares = [f"{row.name} {percent(row.verdicts['PASS'] / row.grades)}" for row in card.versions if row.grades]
    return f"Share of PASS among the grades given: {', '.join(shares)}."


def _difference(one: Measure, subject: str, other: str = "left-slanted ones of the same topic") -> str:
    if one.interval.mean is None:
        return ""
    if not one.interval.excludes_zero:
        return f"{subject} and {other} are not shown to be graded differently: {value(one)}."
    return f"{subject} are graded {'higher' if one.interval.mean > 0 else 'lower'} than {other}: {value(one)}."


def _critical(card: Card) -> str:
    one = card.measure("critical", "all")
    if one.interval.mean is None:
        return ""
    same = one.equivalence
    shown = "" if same is None or not same.equivalent else f" The difference is within {same.margin:g} (TOST)."
    missing = "" if shown or same is None else f" That it is within {same.margin:g} is not shown."
    return _difference(one, "Critical but fair reports", "neutral ones") + shown + missing


def _omission(card: Card) -> str:
    one = card.measure("omission", "omission")
    return _difference(one, "Articles slanted by omission alone", "neutral ones")


def _people(card: Card) -> list[str]:
    correlation, gap = card.measure("rank_correlation", "people"), card.measure("people", "difference")
    alike = card.measure("people", "grades")
    found = [
        f"Rank correlation of the grade with people's ratings: {value(correlation)}.",
        f"Krippendorff's alpha of judge and people: {value(alike)}; judge minus people: {value(gap)}.",
    ]
    if card.raters:
        among = card.measure("raters", "grades")
        found.append(
            f"Krippendorff's alpha of the {card.raters} raters among themselves: {value(among)}. The judge is compared "
            "with their mean grade and median verdict."
        )
    return found


def _reliability(card: Card) -> list[str]:
    found = [f"{card.unscored.count} of {card.unscored.calls} calls gave no grade{_reasons(card)}."]
    moved, same = card.measure("retest", "difference"), card.measure("retest", "same verdict")
    if not moved.reason:
        found.append(
            f"Graded again, a grade moves by {number(moved.interval.mean)} points on average and "
            f"{percent(same.interval.mean)} of the articles keep their verdict."
        )
    if card.second is not None:
        alike = card.measure("judges", "grades")
        found.append(f"Krippendorff's alpha with {card.second}: {value(alike)}.")
    own = card.measure("self_preference", "own family minus others")
    if not own.reason:
        found.append(f"Self-preference, own family minus others (negative: kinder to its own): {value(own)}.")
    return found


def _reasons(card: Card) -> str:
    found = ", ".join(f"{reason} {count}" for reason, count in card.unscored.reasons.items())
    return f" ({found})" if found else ""


def _injection(card: Card) -> str:
    done = card.injection
    if done.reason:
        return f"Attacks on the judge: not measured, {done.reason}."
    real = [one for one in done.rates if one.name != SHAM]
    won, tried = sum(one.successes for one in real), sum(one.success.n for one in real)
    if not tried:
        return f"Attacks on the judge: nothing to bring down, since no attacked article was graded {DROP:g} or higher."
    sham = next(one for one in done.rates if one.name == SHAM)
    best = max(real, key=lambda one: (one.successes, one.name))
    most = f" Most often: {best.name} ({best.successes} of {best.success.n})." if best.successes else ""
    return (
        f"Attacks in the text succeed in {won} of {tried} tries ({percent(won / tried)}) and bring down "
        f"{percent(done.any_attack.mean)} of {done.any_attack.n} articles at least once "
        f"({percent(done.any_attack.low)} to {percent(done.any_attack.high)}); a harmless line does the "
        f"same in {sham.successes} of {sham.success.n} tries.{most}"
    )


def not_attacked(wanted: int) -> str:
    """Why nothing was attacked."""
    if wanted == 0:
        return "switched off (--attacked 0)"
    return f"no article of known strong slant (rated {STRONG_RATING:g} or higher)"
