"""What a check can see: how likely an adapter with a given loss is to pass, and which margin an unchanged one needs.

python -m mst_evals.regression.power logs/reference      # the tables of docs/regression.md
"""

import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import optimize, special

from mst_evals import manifest, variants
from mst_evals.errors import InputError
from mst_evals.regression import metrics, reference, rows
from mst_evals.regression.metrics import Column
from mst_evals.statistics import stats

LEVEL = 0.95
POWER = 0.999  # with which an unchanged adapter has to pass
DRAWS = 20_000


def pass_probability(loss: float, margin: float, se: float, df: float) -> float:
    """Probability that an adapter with a true loss passes, that is that the interval's bound lies below the margin.

    P((margin - mean) / SE > t) with mean ~ N(loss, se^2) and SE^2 ~ se^2 chi2_df / df is one minus the distribution
    function of the noncentral t of noncentrality (margin - loss) / se (Julious 2004, section 4). Averaged over SE by
    quadrature, as in `stats.detectable`.

    Args:
        loss: True loss, in the unit of the metric.
        margin: The loss that must be excluded.
        se: True standard error of the mean loss.
        df: Its degrees of freedom.
    """
    critical = float(special.stdtrit(df, (1 + LEVEL) / 2))
    nodes, weights = np.polynomial.legendre.leggauss(200)
    limits = critical * np.sqrt(special.chdtri(df, (1 - nodes) / 2) / df)
    return float(weights @ special.ndtr((margin - loss) / se - limits)) / 2


def detected(power: float, margin: float, se: float, df: float) -> float:
    """Smallest true loss that fails with some probability; 0 where even an adapter without a loss does."""
    if pass_probability(0.0, margin, se, df) <= 1 - power:
        return 0.0
    return float(
        optimize.brentq(lambda loss: pass_probability(loss, margin, se, df) - (1 - power), 0.0, margin + 10 * se)
    )


def passing_margin(
    changes: Sequence[float], clusters: Sequence[str], signed: bool = True, power: float = POWER, seed: int = 0
) -> float:
    """The smallest margin that an unchanged adapter passes with a given probability, whatever rounds its numbers.

    Draws evaluations by resampling whole clusters of rows with the changes that rounding was seen to make in them, each
    cluster with a sign at random since rounding has no direction, and takes that quantile of the intervals' bounds.

    Args:
        changes: What rounding changed in each row, shape (n,).
        clusters: The cluster of each row, shape (n,).
        signed: Whether a change may as well have gone the other way; not so of a drift, which is never negative.
        power: Probability of passing.
        seed: Of the draws.
    """
    values, codes = np.asarray(changes, dtype=np.float64), stats.cluster_codes(clusters)
    groups = int(codes.max()) + 1
    sums, sizes = np.bincount(codes, weights=values), np.bincount(codes)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(groups, size=(DRAWS, groups))
    drawn = sums[chosen] * (rng.choice((-1.0, 1.0), size=chosen.shape) if signed else 1.0)
    number = sizes[chosen]
    total = number.sum(axis=1)
    mean = drawn.sum(axis=1) / total
    residual = drawn - mean[:, None] * number
    se = np.sqrt(groups / (groups - 1) * (residual**2).sum(axis=1)) / total
    bounds = mean + float(special.stdtrit(groups - 1, (1 + LEVEL) / 2)) * se
    return float(np.quantile(bounds, power))


# --- the tables of docs/regression.md -----------------------------------------------------------------------------

ARMS = ("baseline", "mst", "shuffled")
SIZES = {"bias": (32, 64, 100, 200, 400), "sycophancy": (126, 252, 504)}
CHANGING = {"all": 1.0, "1 in 10": 0.1}  # rows whose value changes, as a share


@dataclass(frozen=True)
class Spread:
    """How far the rows of an evaluation lie apart.

    Attributes:
        metric: The metric.
        share: Of the rows asked, those that the metric is about.
        clusters: Clusters for each row.
        deviation: Standard error of a mean times the square root of its number of rows: the standard deviation of a
            row where every row is a cluster, larger where the rows of a cluster are alike.
    """

    metric: metrics.Metric
    share: float
    clusters: float
    deviation: float

    def difference(self, asked: int, changing: float) -> tuple[float, float]:
        """Standard error and degrees of freedom of the difference of two evaluations.

        A row that changes is drawn anew, so its difference has twice the variance of the row.

        Args:
            asked: Rows asked.
            changing: Share of the rows that change.
        """
        rows = asked * self.share
        return self.deviation * math.sqrt(2 * changing / rows), max(rows * self.clusters - 1, 1.0)


def reference_columns(folder: Path, name: str) -> tuple[list[Column], int]:
    """Columns of a reference, and the number of rows it asked."""
    path = folder / f"{name}.json"
    signed = reference.read(path)
    given = rows.answers(rows.read_log(reference.log_path(path, signed)), signed.facts.scorer)
    axis = variants.axis(signed.facts.experiment, signed.facts.axis)
    found = metrics.columns(signed.facts.experiment, signed.facts.arm, axis, given)
    return found, len({answer.row for answer in given})


def spreads(folder: Path, experiment: str) -> list[Spread]:
    """The spread of every metric: the widest of the project's references and their labels."""
    widest: dict[str, Spread] = {}
    for arm in ARMS:
        columns, asked = reference_columns(folder, f"{experiment}-{arm}")
        for one in columns:
            values = list(one.values.values())
            found = stats.cluster_interval(values, [one.clusters[row] for row in one.values])
            if found.se is None:
                continue
            deviation = found.se * math.sqrt(found.n)
            spread = Spread(one.metric, found.n / asked, found.clusters / found.n, deviation)
            known = widest.get(one.metric.name)
            if known is None or deviation > known.deviation:
                widest[one.metric.name] = spread
    return [widest[metric.name] for metric in metrics.METRICS[experiment] if metric.name in widest]


def table(folder: Path, experiment: str) -> str:
    """The power table of one experiment, as Markdown."""
    lines = [
        "| metric (margin) | rows asked | rows that change | fails at 80% | fails at 99% | passes without a loss |",
        "|---|---|---|---|---|---|",
    ]
    for spread in spreads(folder, experiment):
        margin, name = spread.metric.margin, spread.metric.name
        for asked in SIZES[experiment]:
            for words, changing in CHANGING.items():
                se, df = spread.difference(asked, changing)
                at80, at99 = (f"{detected(power, margin, se, df):.3f}" for power in (0.8, 0.99))
                passes = f"{pass_probability(0.0, margin, se, df):.1%}"
                lines.append(f"| {name} ({margin:g}) | {asked} | {words} | {at80} | {at99} | {passes} |")
    return "\n".join(lines) + "\n"


def fill(page: Path, mark: str, text: str) -> None:
    """Put a table into a page, in place of the one below a mark.

    Args:
        page: A Markdown file.
        mark: What the comment above the table says.
        text: The table.

    Raises:
        InputError: The page has no such mark with a table below it.
    """
    before = page.read_text(encoding="utf-8")
    after, found = re.subn(rf"(<!-- {re.escape(mark)} -->\n)(?:\|.*\n)+", lambda match: match[1] + text, before)
    if found != 1:
        raise InputError(f"{page}: {found} tables below <!-- {mark} -->, expected one")
    manifest.write_text(page, after)


if __name__ == "__main__":
    folder, pages = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    for one in variants.EXPERIMENTS:
        print(f"<!-- power: {one} -->\n{table(folder, one)}")
        for page in pages:
            fill(page, f"power: {one}", table(folder, one))
