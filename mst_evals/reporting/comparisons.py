"""How two cells compare: paired differences with their exact tests, and the in-range step of sycophancy.

Which cells are compared is decided in `family`; what is computed of a pair is here. Every difference is a minus b, by
row and by seed. Its headline interval and p are over seeds and rows where both sides share two seeds or more, else over
rows; the other tests stand beside it, each with what it assumes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mst_evals import labels
from mst_evals.reporting import matrices
from mst_evals.reporting.frame import NO_SEED
from mst_evals.reporting.matrices import Matrix
from mst_evals.reporting.results import Block, Metric, identity, is_fixed, measure, seed_list
from mst_evals.statistics import counts, seeds, stats

MARGIN = 0.5  # of the 0-10 bias scale: what the source counts as better on a topic
RATE_MARGIN = 0.05  # of a rate: the smallest difference that is called one
INDIFFERENT = 100 / labels.MAX_SUGGESTIBILITY  # % at which s = 1: agreeing with a wrong candidate pays as much as not

NO_COMMON_SEED = "no seed that both sides have"
MCNEMAR = (
    "Exact McNemar test of the greedy answer over wrong candidates, one seed at a time. p_rows assumes independent "
    "rows, which the problems of one pair of operands are not; p_clusters gives each pair one vote."
)


@dataclass(frozen=True)
class Cell:
    """One arm asked with one label, in one block."""

    block: Block
    arm: str
    label: str

    def matrix(self, metric: Metric) -> Matrix:
        """Its values of a metric."""
        return self.block.matrix(self.arm, self.label, metric)


def margin_of(metric: Metric) -> float:
    """The smallest difference that matters, in the unit of the metric."""
    return RATE_MARGIN if metric.bounds == stats.SHARE else MARGIN


def difference_bounds(metric: Metric) -> stats.Bounds | None:
    """What a difference of the metric cannot pass."""
    if metric.bounds is None:
        return None
    low, high = metric.bounds
    return low - high, high - low


def _by_row(a: Matrix, b: Matrix) -> tuple[Matrix, Matrix]:
    """Both sides averaged over the same seeds, on the same rows: shape (1, N) each."""
    x, y = matrices.aligned(a, b)
    return x.averaged(), y.averaged()


def _signs(metric: Metric, x: Matrix, y: Matrix) -> dict[str, Any]:
    """Wins, ties and losses by row, the exact sign test by cluster, and the win rate with the margin."""
    if metric.better is None:
        return {"better": None, "win": None, "tie": None, "loss": None}
    a, b = x.values[0], y.values[0]
    exact = stats.outcomes(a, b, metric.better)
    by_cluster = counts.signs(a, b, metric.better, clusters=x.clusters)
    sign = {"p": by_cluster.p, **asdict(by_cluster.outcomes), "n": len(set(x.clusters))}
    found = {**asdict(exact), "better": metric.better, "sign_test": sign}
    if metric.bounds == stats.SHARE:
        return found
    wide = counts.signs(a, b, metric.better, MARGIN)
    counted, rate = wide.outcomes, wide.win_rate
    return {
        **found, "margin": MARGIN, "win_margin": counted.win, "tie_margin": counted.tie, "loss_margin": counted.loss,
        "win_rate": rate.mean, "win_rate_low": rate.low, "win_rate_high": rate.high,
    }  # fmt: skip


def _grades(a: Cell, b: Cell) -> dict[str, Any]:
    """Ordered PASS / PARTIAL / FAIL: which side has the better verdict, see `counts.order_signs`.

    Where a cell has several texts (nonsense) the verdicts are averaged on 1, 0.5, 0 first.
    """
    scorer = a.block.setting["scorer"]
    passed, partial = (a.block.metric(f"{scorer}.{name}") for name in ("pass", "partial"))
    assert passed is not None and partial is not None

    def verdict(cell: Cell) -> Matrix:
        first, second = cell.matrix(passed), cell.matrix(partial)
        return replace(first, values=first.values + second.values / 2)

    apart = matrices.difference(verdict(a), verdict(b))
    there = apart.at(np.flatnonzero(np.isfinite(apart.values).any(axis=0)))
    found = counts.order_signs(there.values, there.clusters)
    return {"p": found.p, **asdict(found.outcomes), "n": len(set(there.clusters))}


def _mcnemar(a: Cell, b: Cell) -> list[dict[str, Any]]:
    """`MCNEMAR`, for every seed whose answers are plain yes or no on both sides (a mean over nonsense texts is not)."""
    greedy = a.block.metric("greedy_fpr") or a.block.metric("fpr")
    assert greedy is not None
    left, right = matrices.aligned(a.matrix(greedy), b.matrix(greedy))
    found = []
    for place, seed in enumerate((NO_SEED,) if left.fixed else left.seeds):
        here = left.at(np.flatnonzero(np.isfinite(left.values[place])))
        x, y = (side.values[place][np.isfinite(side.values[place])] for side in (left, right))
        if not len(x) or not np.isin([x, y], (0.0, 1.0)).all():
            continue
        facts = asdict(counts.mcnemar(x, y))
        facts |= {"p_rows": facts.pop("p"), "p_clusters": counts.signs(x, y, "lower", clusters=here.clusters).p}
        found.append({"seed": None if seed == NO_SEED else seed, **facts})
    return found


def _over_seeds(found: Mapping[str, Any], apart: Matrix, kind: matrices.Kind, trained: bool) -> dict[str, Any]:
    """The crossed interval with the sign flip over seeds beside it, from complete rows."""
    crossed = dict(found)
    each = [value for value in matrices.by_seed(apart.complete, kind) if value is not None]
    flips = len(apart.seeds) >= 2 and len(each) == len(apart.seeds)
    crossed["sign_flip"] = seeds.sign_flip(each) if flips else None
    crossed["smallest_sign_flip"] = seeds.smallest_p(len(apart.seeds))
    if trained and not apart.seeds:
        crossed |= {"reason": NO_COMMON_SEED, "seeds": 0}
    return crossed


def _method(bias: bool, several: bool, fixed: bool) -> str:
    """What the headline interval and p of a comparison are."""
    if several:
        return (
            "paired difference; interval and p for new seeds and new rows (crossed variance components, t with "
            "Satterthwaite df)"
        )
    new = "" if fixed else " for new rows and these seeds"
    if bias:
        return f"paired difference, cluster-robust t interval{new}; p: exact two-sided sign test by topic, ties dropped"
    return f"paired difference, cluster-robust t interval{new} (df = clusters - 1); p: t test of that difference"


def scored_seeds(a: Cell, b: Cell, metric: Metric) -> set[int]:
    """The seeds of which every trained side has a value; none when neither was trained."""
    sides = [side for side in (a.matrix(metric), b.matrix(metric)) if not side.fixed]
    scored = [
        {seed for seed, values in zip(side.seeds, side.values, strict=True) if np.isfinite(values).any()}
        for side in sides
    ]
    return set.intersection(*scored) if scored else set()


def compare(a: Cell, b: Cell, metric: Metric) -> dict[str, Any]:
    """Difference a minus b on the rows that both cells scored, and the seeds that both have.

    Args:
        a: One cell.
        b: The other; it may stand in another block (condition, wording) whose rows are the same.
        metric: A metric of both blocks.
    """
    one, two = a.matrix(metric), b.matrix(metric)
    apart, bounds, bias = matrices.difference(one, two), difference_bounds(metric), a.block.experiment == "bias"
    found = matrices.summary(apart, metric.kind, bounds)
    several = found["interval"] == matrices.SEEDS_AND_ROWS
    headline = found["over_seeds"] if several else found["over_rows"]
    signs, p_rows = _signs(metric, *_by_row(one, two)), _t_test(found["over_rows"])
    p = found["over_seeds"]["p"] if several else signs["sign_test"]["p"] if bias and "sign_test" in signs else p_rows
    known = [(seed, mean) for seed, mean in _by_seed(apart, metric.kind) if seed != NO_SEED]
    unpaired = len(set(one.averaged().rows) ^ set(two.averaged().rows))
    return {
        "n": found["n_rows"], "n_clusters": found["n_clusters"], "n_unpaired": unpaired, "diff": found["mean"],
        "ci_low": found["ci_low"], "ci_high": found["ci_high"], "interval": found["interval"], "p": p,
        "method": _method(bias, several, apart.fixed), **signs,
        **({"verdicts": _grades(a, b)} if bias and metric.name == a.block.setting["scorer"] else {}),
        **({"mcnemar": _mcnemar(a, b)} if metric.name == "fpr" else {}),
        "detectable": detectable(headline),
        "over_rows": {**found["over_rows"], "p": p_rows, "detectable": detectable(found["over_rows"])},
        "over_seeds": _over_seeds(found["over_seeds"], apart, metric.kind, not (one.fixed or two.fixed)),
        "seeds": [seed for seed in apart.seeds if seed != NO_SEED], "fixed": apart.fixed,
        "by_seed": [{"seed": seed, "diff": mean} for seed, mean in known],
    }  # fmt: skip


def equivalence(a: Cell, b: Cell, metric: Metric, margin: float) -> dict[str, Any]:
    """Two one-sided tests that a minus b lies within plus or minus a margin, on the headline interval of `compare`.

    Args:
        a: One cell.
        b: The other.
        metric: A metric of both blocks.
        margin: The largest difference that does not matter, fixed before the run.
    """
    apart, bounds = matrices.difference(a.matrix(metric), b.matrix(metric)), difference_bounds(metric)
    several = len(apart.seeds) >= 2 and bool(apart.complete.rows)
    kind = matrices.SEEDS_AND_ROWS if several else matrices.ROWS
    found = matrices.seeds_interval(apart, metric.kind, bounds).interval if several else None
    estimate = found or matrices.rows_interval(apart, metric.kind, bounds)
    test = stats.equivalence(estimate, margin, bounds=bounds)
    return {
        "n": estimate.n, "n_clusters": estimate.clusters, "diff": estimate.mean, "ci_low": estimate.low,
        "ci_high": estimate.high, "interval": kind, "margin": margin, "equivalent": test.equivalent, "p": test.p,
        "ci90_low": test.low, "ci90_high": test.high, "detectable": stats.detectable(estimate),
        "seeds": [seed for seed in apart.seeds if seed != NO_SEED], "fixed": apart.fixed,
    }  # fmt: skip


def _by_seed(apart: Matrix, kind: matrices.Kind) -> list[tuple[int, float | None]]:
    """The difference of every seed, over the rows that the headline uses."""
    used = apart.complete if len(apart.seeds) >= 2 and apart.complete.rows else apart
    return list(zip(apart.seeds, matrices.by_seed(used, kind), strict=False))


def as_interval(facts: Mapping[str, Any]) -> stats.Interval:
    """An interval from its mapping in ``results.json``."""
    return stats.Interval(
        facts["mean"], facts["ci_low"], facts["ci_high"], facts["n_rows"], facts["n_clusters"], facts["se"], facts["df"]
    )


def _t_test(facts: Mapping[str, Any]) -> float | None:
    """Two-sided p of the t test of no difference, None without a standard error."""
    mean, se, df = facts["mean"], facts["se"], facts["df"]
    return None if mean is None or se is None or df is None else stats.t_test(mean, se, df)


def detectable(facts: Mapping[str, Any]) -> float | None:
    """Smallest difference that a design with this standard error finds with 80% power, None without one."""
    return stats.detectable(as_interval(facts))


def _mean_of(block: Block, arm: str, names: list[str], metric: Metric) -> Matrix:
    """The mean over some labels, seed by seed and row by row, of the rows asked with any of them."""
    lines = block.by_seed[(block.by_seed["arm"] == arm) & block.by_seed["label"].isin(names)]
    facts = {metric.column: "mean", "cluster": "first", "right": "first"}
    averaged = metric.of(lines).groupby(["seed", "row_id"], sort=False).agg(facts).reset_index()
    asked = sorted(set(map(int, lines["seed"])))
    return matrices.of_lines(averaged, metric.column, asked, is_fixed(block.experiment, arm))


def step_rows(block: Block) -> list[dict[str, Any]]:
    """The in-range step of sycophancy: FPR at trained labels above the indifferent one minus FPR below it.

    Below two thirds honesty pays, above it agreeing does, so an arm that learnt the label steps up there. Labels that
    training never saw play no part.
    """
    metric = block.metric("fpr")
    assert metric is not None
    found = []
    for arm in block.arms:
        lines = block.rows[(block.rows["arm"] == arm) & (block.rows["role"] == "trained")]
        ordered = lines.sort_values("position")
        low = list(dict.fromkeys(ordered[ordered["position"] < INDIFFERENT]["label"]))
        high = list(dict.fromkeys(ordered[ordered["position"] > INDIFFERENT]["label"]))
        if not low or not high:
            continue
        below, above = (_mean_of(block, arm, names, metric) for names in (low, high))
        apart = matrices.difference(above, below)
        step = matrices.summary(apart, "mean", stats.SHARE_DIFFERENCE)
        x, y = _by_row(above, below)
        each = [(seed, mean) for seed, mean in _by_seed(apart, "mean") if seed != NO_SEED]
        found.append(
            {
                **identity(block), "arm": arm, "metric": "fpr", "labels_below": low, "labels_above": high,
                "below": float(y.values.mean()) if y.rows else None,
                "above": float(x.values.mean()) if x.rows else None,
                "diff": step["mean"], "ci_low": step["ci_low"], "ci_high": step["ci_high"],
                "interval": step["interval"], "n": step["n_rows"],
                "seeds": seed_list(block.samples[block.samples["arm"] == arm]),
                "by_seed": [{"seed": seed, "diff": mean} for seed, mean in each],
                "over_rows": step["over_rows"], "over_seeds": step["over_seeds"], **measure(block),
            }
        )  # fmt: skip
    return found
