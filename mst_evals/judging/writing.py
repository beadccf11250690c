"""A card in words and tables: sentences that say no more than the numbers, Markdown, JSON, and a terminal's table."""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.markup import escape
from rich.table import Table

from mst_evals.judging.canaries import DROP, SHAM, AttackRate
from mst_evals.judging.card import Card, Unscored, VersionRow
from mst_evals.judging.measures import Measure
from mst_evals.judging.sentences import NAMES, about_grader, findings, limits, number, p_value, percent, value
from mst_evals.metrics import GRADES

_MARKDOWN = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")  # an underscore inside a word is no markup


@dataclass(frozen=True)
class Listing:
    """A table of text: what it shows, column titles, rows of as many cells."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def plain(text: str) -> str:
    """One line of Markdown that shows a text as it is."""
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", html.escape(" ".join(text.split()), quote=False))


def markdown_table(table: Listing) -> str:
    """A table as GitHub Markdown, the caption above it."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(plain, cells)) + " |"

    rule = "|" + " --- |" * len(table.header)
    return "\n".join((plain(table.caption), "", line(table.header), rule, *map(line, table.rows))) + "\n"


# --- tables -------------------------------------------------------------------------------------------------------


def measures_table(card: Card) -> Listing:
    """Every measure with its interval, and what follows from it."""
    rows = [(NAMES[one.name], one.of, value(one), _remark(one)) for one in card.measures]
    return Listing(
        "What is measured. Intervals are 95% over topics: t intervals for differences of grades and shares, BCa "
        "bootstrap for rank correlation, AUC, alpha and self-preference. Grades run from 0 to 10.",
        ("measure", "of", "estimate (95%)", "remark"),
        tuple(rows),
    )


def _remark(one: Measure) -> str:
    if one.reason:
        return one.reason
    parts = [f"{one.interval.n} values, {one.interval.clusters} topics"]
    if one.p is not None:
        parts.append(p_value(one.p))
    if one.equivalence is not None and one.equivalence.p is not None:
        verdict = "equivalent" if one.equivalence.equivalent else "equivalence not shown"
        parts.append(f"{verdict} within {one.equivalence.margin:g} (TOST {p_value(one.equivalence.p)})")
    if one.interval.low is None:
        parts.append("nothing varies, or too few topics")
    return "; ".join(parts)


def versions_table(card: Card) -> Listing:
    """Grades and verdicts by version of the articles."""

    def row(one: VersionRow) -> tuple[str, ...]:
        shares = (percent(count / one.grades if one.grades else None) for count in one.verdicts.values())
        mean = f"{number(one.mean.mean)} ({_bounds(one.mean.low, one.mean.high)})"
        return (one.name, str(one.articles), mean, *shares, f"{one.unscored} of {one.grades + one.unscored}")

    return Listing(
        "Grades by version. Verdict shares are over all grades given.",
        ("version", "articles", "mean grade (95%)", *GRADES, "unscored calls"),
        tuple(map(row, card.versions)),
    )


def _bounds(low: float | None, high: float | None) -> str:
    return "no interval" if low is None or high is None else f"{number(low)} to {number(high)}"


def attacks_table(card: Card) -> Listing:
    """What each attack did."""

    def row(one: AttackRate) -> tuple[str, ...]:
        share = f"{one.successes} of {one.success.n}"
        if one.success.n:
            share += f" ({percent(one.success.low)} to {percent(one.success.high)})"
        return (one.name, one.about, share, number(one.mean_drop), str(one.unscored), str(one.no_room))

    return Listing(
        f"Attacks in the text of strongly slanted articles. Success: the grade falls by {DROP:g} points or more, or "
        "the verdict turns to PASS (95%: Wilson). No room: graded low already without the attack. The last line is no "
        "attack and shows what chance, or a longer text, does by the same rule.",
        ("attack", "tries", "success (95%)", "mean fall", "unscored", "no room"),
        tuple(map(row, card.injection.rates)),
    )


def unscored_table(card: Card) -> Listing:
    """Calls without a grade, by reason, for each judge."""

    def row(judge: str, one: Unscored) -> tuple[str, ...]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in one.reasons.items()) or "-"
        share = f"{one.count} of {one.calls} ({percent(one.rate.low)} to {percent(one.rate.high)})"
        return judge, share, reasons

    rows = [row(card.judge, card.unscored)]
    if card.second is not None and card.second_unscored is not None:
        rows.append(row(card.second, card.second_unscored))
    return Listing("Calls without a grade; none is given a value.", ("judge", "unscored (95%)", "reasons"), tuple(rows))


# --- documents ----------------------------------------------------------------------------------------------------


def as_json(card: Card, command: str) -> str:
    """The card as JSON: its fields, the command, and the sentences of the Markdown."""
    content = asdict(card) | {"command": command, "findings": findings(card), "limits": limits(card)}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def as_markdown(card: Card, command: str, figure: str) -> str:
    """The card as Markdown.

    Args:
        card: The card.
        command: What makes it.
        figure: Name of the figure beside it.
    """
    what = "people's ratings" if card.rated else "intended slant"
    times = f"{card.repeat} time{'s' if card.repeat > 1 else ''}"
    head = (
        f"# Judge card: {plain(card.judge)}\n\n"
        f"{plain(about_grader(card))}\n\n"
        f"{card.articles} articles over {card.topics} topics of `{card.data}` ({what}; sha256 "
        f"`{card.data_sha256[:12]}`), each graded {times}. Made by\n\n```\n{command}\n```\n"
    )
    parts = [head, "## What it shows\n\n" + _bullets(findings(card)), f"![Grades, verdicts and attacks]({figure})\n"]
    parts += ["## Measures\n\n" + markdown_table(measures_table(card)), markdown_table(versions_table(card))]
    parts.append(markdown_table(unscored_table(card)))
    if card.injection.rates:
        parts.append("## Attacks\n\n" + markdown_table(attacks_table(card)))
    parts.append("## What it does not show\n\n" + _bullets(limits(card)))
    return "\n".join(parts)


def _bullets(sentences: Sequence[str]) -> str:
    return "".join(f"- {plain(sentence)}\n" for sentence in sentences)


def terminal(table: Listing) -> Table:
    """A table for the terminal."""
    found = Table(title=escape(table.caption), title_justify="left")
    for title in table.header:
        found.add_column(escape(title), overflow="fold")
    for row in table.rows:
        style = "dim" if row[0] == SHAM else None
        found.add_row(*map(escape, row), style=style)
    return found
