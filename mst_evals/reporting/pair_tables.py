"""Tables of differences: comparisons, the tests beside them, equivalence, and intervals over seeds and rows."""

from collections.abc import Sequence

from mst_evals.reporting.phrases import bounds, number, p_value, percent
from mst_evals.reporting.progress import of_planned
from mst_evals.reporting.tables import Row, Table

FEWER = " Where seeds are in brackets the study plans more than are here: the p is that of the seeds that are."


def _sides(rows: Sequence[Row]) -> tuple[bool, bool]:
    """Whether the conditions, and the wordings, must be named to tell the sides of these rows apart."""
    found = [{row[f"{fact}_{side}"] for row in rows for side in "ab"} for fact in ("condition", "wording")]
    return len(found[0]) > 1, len(found[1]) > 1


def _side(row: Row, side: str, named: tuple[bool, bool]) -> str:
    """One side of a comparison, with its condition and wording where they differ among the rows."""
    where = [
        row[f"{fact}_{side}"] or "none" for fact, wanted in zip(("condition", "wording"), named, strict=True) if wanted
    ]
    label = ", ".join((row[f"label_{side}"], *where))
    return f"{row[f'arm_{side}']} ({label})"


def _each(row: Row, key: str = "diff") -> str:
    """The value of every seed."""
    return "; ".join(f"{one['seed']}:\u00a0{number(one[key])}" for one in row["by_seed"]) or "–"


def _wins(row: Row, end: str = "") -> str:
    if row.get(f"win{end}") is None:
        return "–"
    return f"{row[f'win{end}']} / {row[f'tie{end}']} / {row[f'loss{end}']}"


def _rate(row: Row) -> str:
    """Win rate with Wilson's interval, where the metric has a margin."""
    if "win_rate" not in row:
        return "–"
    return f"{percent(row['win_rate'])} ({percent(row['win_rate_low'])} to {percent(row['win_rate_high'])})"


def _holm(row: Row) -> str:
    """The adjusted p, marked where it rests on fewer seeds than the study plans."""
    said, marked = p_value(row["p_holm"]) if row["confirmatory"] else "exploratory", of_planned(row)
    return f"{said} ({marked})" if marked else said


def fewer_seeds(rows: Sequence[Row]) -> list[str]:
    """One sentence for each comparison over fewer seeds than the study plans."""
    named, found = _sides(rows), []
    for row in rows:
        if row["missing"] is None and (marked := of_planned(row)):
            lacking = ", ".join(map(str, row["seeds_missing"]))
            sides = f"{_side(row, 'a', named)} against {_side(row, 'b', named)}"
            found.append(f"{row['metric']}, {sides}: {marked} that the study plans; missing: {lacking}.")
    return found


def _family(rows: Sequence[Row]) -> str:
    """Which comparisons Holm covers."""
    family = [row for row in rows if row["confirmatory"]]
    if not family:
        return "None of these is confirmatory."
    size = family[0]["family_size"]
    if family[0]["declared"]:
        absent = sum(row["missing"] is not None for row in family)
        gone = f", {absent} of them missing here" if absent else ""
        return f"Holm covers the {size} comparisons that the study file declares{gone}; the rest is exploratory."
    return (
        f"Holm covers the {size} confirmatory comparisons of this table (mst against baseline, mst against shuffled); "
        "the rest is exploratory."
    )


def comparison_table(rows: Sequence[Row]) -> Table | None:
    """Paired differences with their headline interval, the confirmatory ones marked, a missing one with its reason."""
    if not rows:
        return None
    bias, named = rows[0]["experiment"] == "bias", _sides(rows)
    lines = []
    for row in rows:
        line = [row["metric"], _side(row, "a", named), _side(row, "b", named)]
        if row["missing"] is not None:
            lines.append((*line, *["–"] * (8 if bias else 6), _holm(row), f"missing: {row['missing']}"))
            continue
        line += [str(row["n"]), number(row["diff"]), bounds(row), row["interval"], _wins(row)]
        if bias:
            line += [_wins(row, "_margin"), _rate(row)]
        lines.append((*line, p_value(row["p"]), _holm(row), _each(row)))
    margin = next((row["margin"] for row in rows if "margin" in row), 0)
    extra = (f"by more than {margin:g}", "win rate (Wilson)") if bias else ()
    header = ("metric", "a", "b", "rows", "a - b", "95% interval", "over", "win / tie / loss", *extra)
    methods = list(dict.fromkeys(row["method"] for row in rows if row["method"]))
    unit = "topic" if bias else "pair of operands"
    good = "lower bias" if bias else "lower FPR, higher accuracy"
    caption = (
        f"Paired differences on the same rows and, where both sides were trained, the same seeds. Method: "
        f"{'; or '.join(methods) or 'none'}. Clusters: the {unit}. A win is a row, averaged over seeds, on which a is "
        f"better ({good}). {_family(rows)}{FEWER if any(map(of_planned, rows)) else ''}"
    )
    return Table(caption, (*header, "p", "p (Holm)", "a - b by seed"), tuple(lines))


def tests_table(rows: Sequence[Row]) -> Table | None:
    """What stands beside each difference: the interval over rows alone, the bootstrap, the exact tests, the power."""
    rows = [row for row in rows if row["missing"] is None]
    if not rows:
        return None
    bias, named = rows[0]["experiment"] == "bias", _sides(rows)
    lines = []
    for row in rows:
        over, seeds = row["over_rows"], row["over_seeds"]
        boot = {"ci_low": seeds["bootstrap_low"], "ci_high": seeds["bootstrap_high"]}
        flip = (
            f"{p_value(seeds['sign_flip'])} (≥ {p_value(seeds['smallest_sign_flip'])})" if seeds["sign_flip"] else "–"
        )
        sign = row.get("sign_test")
        line = [row["metric"], _side(row, "a", named), _side(row, "b", named), bounds(over), p_value(over["p"])]
        line += [bounds(seeds) if seeds["ci_low"] is not None else str(seeds["reason"] or "–"), number(seeds["df"], 1)]
        line += [bounds(boot) if seeds["bootstrap_low"] is not None else "–", flip, str(seeds["dropped"])]
        line += [f"{p_value(sign['p'])} ({_wins(sign)})" if sign else "–", _exact(row), number(row["detectable"], 3)]
        lines.append(tuple(line))
    exact = "verdicts: sign test by topic (win / tie / loss)" if bias else "McNemar by seed: p of rows, of pairs"
    header = (
        "metric", "a", "b", "over rows (95%)", "p", "over seeds and rows (95%)", "df", "two-level bootstrap",
        "sign flip of seeds", "rows dropped", "sign test by cluster (win / tie / loss)", exact, "detectable",
    )  # fmt: skip
    caption = (
        "What stands beside each difference. Over rows: new rows for these seeds. Over seeds and rows: new seeds too, "
        "which a claim about an arm needs; rows that a seed lacks are dropped. The bootstrap is too short with few "
        "seeds and carries no claim. Sign flip: exact, new seeds on these rows; in brackets the smallest p it can give "
        "with so many seeds. Sign tests: one vote for each cluster, seeds averaged, ties dropped. Detectable: the "
        "smallest true difference that this design finds with 80% power (its headline standard error, alpha .05)."
    )
    caption += (
        " Verdicts: PASS above PARTIAL above FAIL, only the order enters."
        if bias
        else " McNemar: greedy answer over wrong candidates, one seed at a time; p of rows assumes independent rows, "
        "which the problems of one pair of operands are not, so p of pairs, with one vote for each, stands beside it."
    )
    return Table(caption, header, tuple(lines), wide=True)


def _exact(row: Row) -> str:
    """Ordered verdicts, or McNemar by seed."""
    if "verdicts" in row:
        return f"{p_value(row['verdicts']['p'])} ({_wins(row['verdicts'])})"
    each = [
        ("" if one["seed"] is None else f"{one['seed']}: ") + f"{p_value(one['p_rows'])}, {p_value(one['p_clusters'])}"
        for one in row.get("mcnemar", ())
    ]
    return "; ".join(each) or "–"


def equivalence_table(rows: Sequence[Row]) -> Table | None:
    """Two one-sided tests: is a as good as b within the margin?"""
    if not rows:
        return None
    named, lines = _sides(rows), []
    for row in rows:
        line = [row["metric"], _side(row, "a", named), _side(row, "b", named), f"{row['margin']:g}"]
        if row["missing"] is not None:
            lines.append((*line, *["–"] * 5, f"missing: {row['missing']}", "declared"))
            continue
        verdict = {True: "equivalent", False: "not shown", None: "no standard error"}[row["equivalent"]]
        ninety = {"ci_low": row["ci90_low"], "ci_high": row["ci90_high"]}
        seeds, marked = ", ".join(map(str, row["seeds"])) or "–", of_planned(row)
        seeds += f" ({marked})" if marked else ""
        line += [number(row["diff"]), bounds(ninety), row["interval"], seeds, p_value(row["p"]), verdict]
        lines.append((*line, "declared" if row["declared"] else "default"))
    caption = (
        "Equivalence: two one-sided t tests (TOST) that the difference lies within plus or minus the margin; they "
        "reject when the 90% interval does. A difference that is not significant is no evidence of equivalence, this "
        "is. An interval over rows speaks of these adapters only. Not adjusted for their number."
        f"{FEWER if any(map(of_planned, rows)) else ''}"
    )
    header = ("metric", "a", "b", "margin", "a - b", "90% interval", "over", "seeds", "p", "within the margin", "test")
    return Table(caption, header, tuple(lines))


def over_seeds_table(arms: Sequence[Row]) -> Table | None:
    """Both intervals of every cell with two seeds or more: the headline one, what is beside it, and every seed."""
    lines = []
    for row in arms:
        over, rows = row["over_seeds"], row["over_rows"]
        primary = (row["scorer"],) if row["experiment"] == "bias" else ("fpr", "accuracy")
        if row["metric"] not in primary or len(row["seeds"]) < 2:
            continue
        boot = {"ci_low": over["bootstrap_low"], "ci_high": over["bootstrap_high"]}
        lines.append(
            (
                row["arm"], row["label"], row["metric"], number(row["mean"]), over["reason"] or bounds(over),
                number(over["se"], 3), number(over["df"], 1), bounds(boot), bounds(rows), str(over["n_rows"]),
                str(over["dropped"]), _each(row, "mean"),
            )
        )  # fmt: skip
    header = (
        "arm", "label", "metric", "mean", "over seeds and rows (95%)", "SE", "df", "two-level bootstrap",
        "over rows (these seeds)", "rows", "rows dropped", "by seed",
    )  # fmt: skip
    caption = (
        "Every arm with two seeds or more: the interval over seeds and rows, which tables, figures and sentences use, "
        "beside the bootstrap of both (too short with few seeds) and the interval over rows for these seeds. Dropped: "
        "rows that a seed lacks."
    )
    return Table(caption, header, tuple(lines)) if lines else None
