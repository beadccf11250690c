"""`mst compare`: two columns of any CSV, compared with the functions that the reports use. The difference is a minus b.

One line of the file is one row of a test set, or one row under one seed when a seed column is named. What is
independent is then the row or, with a cluster column, the cluster: exact tests give each of them one vote. Columns of
PASS, PARTIAL and FAIL are compared by their order alone.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from mst_evals.errors import InputError
from mst_evals.statistics import counts, seeds, stats
from mst_evals.statistics.columns import read_frame, unused_seeds

Sides = tuple[NDArray[np.float64], NDArray[np.float64]]  # columns a and b, shape (seeds, rows) each
POOLED = (
    "column {0!r} looks like seeds and is not used: every line counts as a row of its own, and a pooled test finds far "
    "too often what is not there (docs/statistics.md); name it: --seed {0}"
)


@dataclass(frozen=True)
class OverSeedsAndRows:
    """The same comparison for new seeds and new rows; there with a seed column only.

    Attributes:
        difference: Crossed variance components, see `seeds.seeds_and_rows`.
        bootstrap: Two-level bootstrap, beside it.
        sign_flip: Exact sign flip over the seeds' mean differences (new seeds, these rows).
        smallest_sign_flip: The smallest p it can give with so many seeds.
        equivalence: TOST on the difference.
        detectable: Smallest difference that this design finds with 80% power.
    """

    difference: seeds.SeedsRows
    bootstrap: stats.Interval
    sign_flip: float | None
    smallest_sign_flip: float | None
    equivalence: stats.Equivalence
    detectable: float | None


@dataclass(frozen=True)
class Compared:
    """What was compared, whatever the two columns hold.

    Attributes:
        a: Name of the column a.
        b: Name of the column b.
        lines: Data lines in the file.
        missing: Lines left out because a or b has no value there.
        unbalanced: Rows left out because a seed lacks them.
        rows: Rows compared.
        clusters: Clusters they fall into.
        seeds: Number of seeds, None without a seed column.
        notes: What a reader has to know about these numbers.
    """

    a: str
    b: str
    lines: int
    missing: int
    unbalanced: int
    rows: int
    clusters: int
    seeds: int | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Comparison(Compared):
    """Two columns of numbers compared. Intervals are 95%, over rows or clusters of rows, for these seeds.

    Attributes:
        better: Which direction counts as a win.
        margin: Of the win rate and of the equivalence test, in the unit of the columns.
        mean_a: Mean of a (a share, with bounds in 0 to 1, where the column is 0 and 1 only).
        mean_b: Mean of b.
        difference: a minus b with its interval and t test.
        sign: Sign test, every difference counted.
        win_rate: Wins by more than the margin.
        mcnemar: Exact McNemar test, None where it does not apply.
        equivalence: TOST with the margin.
        detectable: Smallest difference that this many rows find with 80% power.
        over_seeds: New seeds and new rows, None without a seed column.
    """

    better: stats.Better
    margin: float
    mean_a: stats.Interval
    mean_b: stats.Interval
    difference: stats.Paired
    sign: counts.Signs
    win_rate: counts.Signs
    mcnemar: counts.McNemar | None
    equivalence: stats.Equivalence
    detectable: float | None
    over_seeds: OverSeedsAndRows | None


@dataclass(frozen=True)
class GradeComparison(Compared):
    """Two columns of grades compared: only the order PASS, PARTIAL, FAIL enters.

    Attributes:
        grades_a: Grade -> how many rows (under how many seeds) have it in column a.
        grades_b: The same of b.
        sign: On how many rows, or clusters, a has the better grade, with the exact sign test.
    """

    grades_a: dict[str, int]
    grades_b: dict[str, int]
    sign: counts.Signs


def _over_seeds(
    differences: NDArray[np.float64], clusters: list[str], margin: float, bounds: stats.Bounds | None
) -> OverSeedsAndRows:
    """The part over seeds and rows, from complete differences of shape (S, N)."""
    found = seeds.seeds_and_rows(differences, clusters, bounds=bounds)
    return OverSeedsAndRows(
        difference=found,
        bootstrap=seeds.two_level_bootstrap(differences, clusters),
        sign_flip=seeds.sign_flip(differences.mean(axis=1)),
        smallest_sign_flip=seeds.smallest_p(len(differences)),
        equivalence=stats.equivalence(found.interval, margin, bounds=bounds),
        detectable=stats.detectable(found.interval),
    )


def _notes(of_seeds: Sides, binary: bool, clustered: bool, seed_count: int | None, margin: float) -> tuple[str, ...]:
    notes = []
    if seed_count is not None:
        notes.append("rows are averaged over seeds: all but the last part is about new rows for these seeds")
    if clustered:
        notes.append("sign test and win rate count clusters, one vote each")
    if binary and clustered:
        notes.append("no McNemar test: rows of a cluster are not independent; the clustered interval stands in for it")
    if binary and not clustered and (seed_count or 1) > 1:
        notes.append("no McNemar test: a row has several seeds; name one seed's lines only to get it")
    if margin >= 0.5 and np.min(of_seeds) >= 0 and np.max(of_seeds) <= 1:
        notes.append(f"a margin of {margin:g} is wide for values from 0 to 1: the studies use 0.05 for rates")
    if seed_count is not None and 2 <= seed_count <= 5:
        smallest = seeds.smallest_p(seed_count)
        notes.append(f"with {seed_count} seeds the exact sign flip cannot go below p = {smallest:g}")
    return tuple(notes)


def compare_columns(
    path: Path,
    a: str,
    b: str,
    cluster: str | None = None,
    seed: str | None = None,
    row: str | None = None,
    margin: float = 0.5,
    better: stats.Better = "lower",
) -> Comparison | GradeComparison:
    """Compare two columns of a CSV file on the rows that have both.

    Args:
        path: The file, see `columns`.
        a: Column a.
        b: Column b; every difference is a minus b.
        cluster: Column that names the cluster of a row; None when rows are independent.
        seed: Column that names the seed of a line; rows are then averaged over seeds, and compared over both as well.
        row: Column that names the row, to match the seeds; None to match them by their order.
        margin: Of the win rate and of the equivalence test, in the unit of the columns; grades have none.
        better: Which direction counts as a win; of grades PASS is always the better end.

    Raises:
        InputError: The input cannot be used, see `columns`; the margin is not positive; no row is complete.
    """
    if a == b:
        raise InputError(f"{path}: a and b are both {a!r}: expected two columns")
    if not (math.isfinite(margin) and margin > 0):
        raise InputError(f"margin: found {margin:g}: expected a positive number")
    frame = read_frame(path, a, b, cluster, seed, row)
    scored = frame.dropna(subset=["a", "b"])
    graded = isinstance(frame["a"].dtype, pd.CategoricalDtype)
    values = scored.assign(a=scored["a"].cat.codes, b=scored["b"].cat.codes) if graded else scored
    wide = values.pivot(index="row", columns="seed", values=["a", "b"]).reindex(scored["row"].unique())
    complete = wide.dropna()
    pooled = unused_seeds(path, (a, b, cluster, seed, row)) if seed is None else None
    if complete.empty:
        raise InputError(
            f"{path}: no row has {a!r} and {b!r}{' for every seed' if seed else ''}: expected at least one"
        )
    of_row = scored.drop_duplicates("row").set_index("row")["cluster"]
    clusters = of_row.loc[complete.index].tolist()
    left, right = (complete.loc[:, [name]].to_numpy(dtype=np.float64).T for name in ("a", "b"))  # (S, N) each
    facts = {
        "a": a,
        "b": b,
        "lines": len(frame),
        "missing": len(frame) - len(scored),
        "unbalanced": len(wide) - len(complete),
        "rows": len(complete),
        "clusters": len(set(clusters)),
        "seeds": scored["seed"].nunique() if seed else None,
    }
    if graded:
        found: Comparison | GradeComparison = _graded((left, right), clusters, facts)
    else:
        found = _compared((left, right), clusters, facts, margin, better)
    return replace(found, notes=(POOLED.format(pooled), *found.notes)) if pooled else found


def _graded(of_seeds: Sides, clusters: list[str], facts: dict[str, Any]) -> GradeComparison:
    """Two columns of ranks in `counts.GRADES`, shape (S, N) each."""
    independent = facts["clusters"] == facts["rows"]
    tallies = [{grade: int((side == place).sum()) for place, grade in enumerate(counts.GRADES)} for side in of_seeds]
    notes = ["only the order PASS, PARTIAL, FAIL enters: no difference, interval or margin is defined"]
    if facts["seeds"] is not None:
        notes.append("every seed has one vote on a row: this is about new rows for these seeds, not about new seeds")
    if not independent:
        notes.append("the sign test counts clusters, one vote each")
    return GradeComparison(
        **facts,
        grades_a=tallies[0],
        grades_b=tallies[1],
        sign=counts.order_signs(of_seeds[0] - of_seeds[1], None if independent else clusters),
        notes=tuple(notes),
    )


def _compared(
    of_seeds: Sides, clusters: list[str], facts: dict[str, Any], margin: float, better: stats.Better
) -> Comparison:
    """Two columns of numbers, shape (S, N) each."""
    binary = bool(np.isin(of_seeds, (0.0, 1.0)).all())
    independent = facts["clusters"] == facts["rows"]
    votes = None if independent else clusters
    x, y = (side.mean(axis=0) for side in of_seeds)
    bounds = stats.SHARE_DIFFERENCE if binary else None
    difference = stats.paired_difference(x, y, clusters, bounds=bounds)
    mean = stats.share_interval if binary else stats.cluster_interval
    seeded = facts["seeds"] is not None
    return Comparison(
        **facts,
        better=better,
        margin=margin,
        mean_a=mean(x, clusters),
        mean_b=mean(y, clusters),
        difference=difference,
        sign=counts.signs(x, y, better, clusters=votes),
        win_rate=counts.signs(x, y, better, margin, votes),
        mcnemar=counts.mcnemar(x, y) if binary and independent and (facts["seeds"] or 1) == 1 else None,
        equivalence=stats.equivalence(difference.interval, margin, bounds=bounds),
        detectable=stats.detectable(difference.interval),
        over_seeds=_over_seeds(of_seeds[0] - of_seeds[1], clusters, margin, bounds) if seeded else None,
        notes=_notes(of_seeds, binary, not independent, facts["seeds"], margin),
    )


def as_json(found: Compared) -> str:
    """The comparison as JSON: the fields of its dataclass, null where something is not defined."""
    return json.dumps(asdict(found), indent=2, allow_nan=False)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _p(value: float | None) -> str:
    return "-" if value is None else "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _interval(interval: stats.Interval) -> str:
    """Mean and bounds, "no interval" where there is none."""
    if interval.low is None:
        return f"{_number(interval.mean)} (no interval)"
    return f"{_number(interval.mean)} ({_number(interval.low)} to {_number(interval.high)})"


def _equivalence(found: stats.Equivalence) -> str:
    if found.equivalent is None:
        return "no standard error, no claim"
    verdict = "yes" if found.equivalent else "not shown"
    return f"{verdict}; p {_p(found.p)}; 90% interval {_number(found.low)} to {_number(found.high)}"


def _table(found: Compared) -> Table:
    """The table's head: what was compared."""
    title = f"{escape(found.a)} {'against' if isinstance(found, GradeComparison) else 'minus'} {escape(found.b)}"
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("what")
    table.add_column("value", overflow="fold")
    table.add_row("lines; missing; rows compared", f"{found.lines}; {found.missing}; {found.rows}")
    if found.seeds is not None:
        table.add_row("seeds; rows a seed lacks, dropped", f"{found.seeds}; {found.unbalanced}")
    table.add_row("clusters", str(found.clusters))
    table.caption = "\n".join(found.notes) or None
    return table


def _add_signs(table: Table, name: str, unit: str, signs: counts.Signs) -> None:
    won = signs.outcomes
    table.add_row(f"{name}: {unit}", f"win {won.win}, tie {won.tie}, loss {won.loss}; sign test p {_p(signs.p)}")
    table.add_row("  wins of all (Wilson)", _interval(signs.win_rate))


def comparison_table(found: Comparison | GradeComparison) -> Table:
    """The comparison for people; the numbers are those of the dataclass."""
    a, b = escape(found.a), escape(found.b)
    table = _table(found)
    unit = "rows" if found.rows == found.clusters else "clusters"
    if isinstance(found, GradeComparison):
        for name, tally in ((a, found.grades_a), (b, found.grades_b)):
            table.add_row(f"grades of {name}", ", ".join(f"{grade} {n}" for grade, n in reversed(tally.items())))
        _add_signs(table, "a better", unit, found.sign)
        return table
    table.add_row(f"mean of {a}", _interval(found.mean_a))
    table.add_row(f"mean of {b}", _interval(found.mean_b))
    table.add_row("a minus b (95% over rows)", _interval(found.difference.interval))
    table.add_row("t test of it", f"p {_p(found.difference.p)}")
    _add_signs(table, f"a {found.better}", unit, found.sign)
    _add_signs(table, f"a {found.better} by > {found.margin:g}", unit, found.win_rate)
    if (pair := found.mcnemar) is not None:
        table.add_row("McNemar, exact", f"1 in a alone {pair.only_a}, in b alone {pair.only_b}; p {_p(pair.p)}")
    table.add_row(f"equivalent within {found.margin:g} (TOST)", _equivalence(found.equivalence))
    table.add_row("detectable with 80% power", _number(found.detectable))
    if (over := found.over_seeds) is not None:
        crossed = over.difference
        table.add_section()
        table.add_row("a minus b (95% over seeds, rows)", crossed.reason or _interval(crossed.interval))
        table.add_row("t test of it", f"p {_p(crossed.p)}; df {_number(crossed.interval.df)}")
        table.add_row("bootstrap of both (too short)", _interval(over.bootstrap))
        least = f"p {_p(over.sign_flip)}, at least {_p(over.smallest_sign_flip)}"
        table.add_row("sign flip of seeds, exact", least)
        table.add_row(f"equivalent within {found.margin:g} (TOST)", _equivalence(over.equivalence))
        table.add_row("detectable with 80% power", _number(over.detectable))
    return table
