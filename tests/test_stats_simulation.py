"""How often the intervals cover and the tests reject, measured on simulated data sets.

As a test, 2,000 data sets a design (the bootstrap fewer). `python tests/test_stats_simulation.py` prints the tables of
docs/statistics.md from more. The Monte Carlo error of a rate p from M sets is sqrt(p (1 - p) / M): 0.5 points at 95%
and 0.6 at 92% for 2,000; a rate passes when it is within two of them of what is asked for.
"""

import functools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mst_evals.statistics import counts, seeds, stats

SETS = 2000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mix:
    """Variances of seed, row and residual: of one value, or (in_mean) their shares of the variance of the mean."""

    seed: float
    row: float
    residual: float
    in_mean: bool = False


MIXES = {
    "seed-dominated 8:1:1": Mix(0.8, 0.1, 0.1),
    "row-dominated 1:8:1": Mix(0.1, 0.8, 0.1),
    "residual-dominated 1:1:8": Mix(0.1, 0.1, 0.8),
    "equal 1:1:1": Mix(1 / 3, 1 / 3, 1 / 3),
    "equal shares of the mean's variance": Mix(1 / 3, 1 / 3, 1 / 3, in_mean=True),
    "80% seed, 20% row of the mean's": Mix(0.8, 0.2, 0.0, in_mean=True),
    "20% seed, 80% row of the mean's": Mix(0.2, 0.8, 0.0, in_mean=True),
}
NOISE_ALONE = Mix(0.0, 0.0, 1.0)
DESIGNS = [(3, 20), (3, 200), (5, 20), (5, 200)]
CASES = [(s, n, name) for s, n in DESIGNS for name in MIXES]


def error(rate: float, sets: int) -> float:
    return math.sqrt(rate * (1 - rate) / sets)


def crossed_sets(mix: Mix, s: int, n: int, sets: int, rng: np.random.Generator) -> Floats:
    """Data sets of mean zero, shape (sets, S, N)."""
    scale = (s, n, s * n) if mix.in_mean else (1, 1, 1)
    of_seed, of_row, left = (math.sqrt(v * k) for v, k in zip((mix.seed, mix.row, mix.residual), scale, strict=True))
    return (
        rng.normal(0, of_seed, (sets, s, 1)) + rng.normal(0, of_row, (sets, 1, n)) + rng.normal(0, left, (sets, s, n))
    )


@dataclass(frozen=True)
class Measured:
    """Shares of data sets: covered, rejected at 5%, called equivalent although the difference equals the margin."""

    covered: float
    rejected: float
    equivalent: float


def measure(sets: Floats, clusters: list[int], truth: float = 0.0) -> Measured:
    """`seeds_and_rows` on every data set."""
    covered = rejected = equivalent = 0
    for values in sets:
        found = seeds.seeds_and_rows(values - truth, clusters)
        interval = found.interval
        assert interval.mean is not None and interval.low is not None and interval.high is not None
        assert found.p is not None and interval.se is not None
        covered += interval.low <= 0 <= interval.high
        rejected += found.p < 0.05
        margin = 20 * interval.se  # far from the other side of the band
        at_margin = stats.equivalence(replace(interval, mean=interval.mean + margin), margin)
        equivalent += bool(at_margin.equivalent)
    return Measured(covered / len(sets), rejected / len(sets), equivalent / len(sets))


@functools.cache
def crossed(s: int, n: int, name: str, sets: int = SETS) -> Measured:
    mix = MIXES.get(name, NOISE_ALONE)
    rng = np.random.default_rng([s, n, *name.encode()])
    return measure(crossed_sets(mix, s, n, sets, rng), list(range(n)))


@pytest.mark.parametrize(("s", "n", "name"), CASES)
def test_interval_over_seeds_and_rows_covers(s: int, n: int, name: str) -> None:
    covered = crossed(s, n, name).covered
    assert 0.92 - 2 * error(0.92, SETS) <= covered <= 0.98 + 2 * error(0.98, SETS)


@pytest.mark.parametrize(("s", "n", "name"), CASES)
def test_false_positives_over_seeds_and_rows(s: int, n: int, name: str) -> None:
    found = crossed(s, n, name)
    # With 3 seeds the degrees of freedom are themselves badly estimated. That misses the 3-7% asked of every design,
    # and the docs say so: 2-8% is what Satterthwaite's formula has there.
    low, high = (0.03, 0.07) if s >= 5 else (0.02, 0.08)
    assert low - 2 * error(low, SETS) <= found.rejected <= high + 2 * error(high, SETS)
    assert found.rejected == pytest.approx(1 - found.covered, abs=1e-9)  # the test is the interval
    assert found.equivalent <= 0.08 + 2 * error(0.08, SETS)  # one-sided, nominal 5%


@pytest.mark.parametrize(("s", "n"), DESIGNS)
def test_without_seed_or_row_variance_the_interval_is_too_long_never_too_short(s: int, n: int) -> None:
    """The floor's price: the larger of two noisy estimates is above the truth when neither effect exists."""
    assert crossed(s, n, "noise alone").covered >= 0.95


def test_the_standard_error_is_unbiased_before_the_floor() -> None:
    """Mean of the three estimated components against the ones simulated."""
    sets = crossed_sets(Mix(0.5, 1.0, 2.0), 4, 12, 4000, np.random.default_rng(5))
    parts = [seeds.seeds_and_rows(values, range(12)).components for values in sets]
    found = np.array([(part.seed, part.row, part.residual) for part in parts if part is not None])
    assert len(found) == 4000
    truth, spread = np.array([0.5, 1.0, 2.0]), found.std(axis=0) / math.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - truth) <= 3 * spread).all()


# --- Clusters of rows: 126 rows of 11 pairs of operands, as in the sycophancy test split -----------------------------

SIZES = (18, 16, 14, 13, 12, 11, 11, 10, 9, 7, 5)


@functools.cache
def clustered(s: int, sets: int = SETS) -> tuple[Measured, Measured]:
    """With the clusters, and with every row taken as independent."""
    rng = np.random.default_rng(s)
    pair = np.repeat(np.arange(len(SIZES)), SIZES)
    values = (
        rng.normal(0, 0.4, (sets, s, 1))
        + rng.normal(0, 0.7, (sets, 1, len(SIZES)))[:, :, pair]
        + rng.normal(0, 0.5, (sets, s, len(SIZES)))[:, :, pair]
        + rng.normal(0, 0.5, (sets, 1, len(pair)))
        + rng.normal(0, 1, (sets, s, len(pair)))
    )
    return measure(values, pair.tolist()), measure(values, list(range(len(pair))))


@pytest.mark.parametrize("s", [3, 5])
def test_clusters_of_rows(s: int) -> None:
    with_clusters, without = clustered(s)
    assert 0.92 - 2 * error(0.92, SETS) <= with_clusters.covered <= 0.98
    assert without.covered < with_clusters.covered - 0.03


# --- Shares: every seed has its own level, between nearly never and nearly always ------------------------------------


@functools.cache
def shares(s: int, n: int, level: float, sets: int = SETS) -> float:
    """Coverage of the mean of yes-or-no outcomes whose log-odds are level + seed + row."""
    rng = np.random.default_rng([s, n, round(10 * level)])
    of_seed, of_row = 1.0, 1.0
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    logit = level + math.hypot(of_seed, of_row) * nodes
    truth = float(weights @ (1 / (1 + np.exp(-logit))) / weights.sum())
    odds = level + rng.normal(0, of_seed, (sets, s, 1)) + rng.normal(0, of_row, (sets, 1, n))
    values = (rng.random((sets, s, n)) < 1 / (1 + np.exp(-odds))).astype(float)
    covered = 0
    for one in values:
        found = seeds.seeds_and_rows(one, range(n), bounds=stats.SHARE).interval
        if found.low is not None and found.high is not None:  # without variation there is no interval to cover
            assert found.low >= 0 and found.high <= 1
            covered += found.low <= truth <= found.high
    return covered / sets


@pytest.mark.parametrize(("s", "n"), DESIGNS)
def test_shares_in_the_middle_cover(s: int, n: int) -> None:
    assert shares(s, n, 0.0) >= 0.92 - 2 * error(0.92, SETS)


@pytest.mark.parametrize(("s", "n"), DESIGNS)
def test_shares_near_one_are_covered_less_than_asked_and_no_less_than_the_docs_say(s: int, n: int) -> None:
    covered = shares(s, n, 2.0)
    assert 0.90 - 2 * error(0.90, SETS) <= covered <= 0.93 + 2 * error(0.93, SETS)


# --- Seeds of two kinds: training takes hold of the label in some seeds and not in others ----------------------------

LOW, HIGH = 0.15, 0.95  # as in experiment 2, the rate at a held-out label by seed


@functools.cache
def two_kinds(s: int, n: int, high: float, sets: int = SETS) -> float:
    """Coverage of the mean rate when each seed has the rate `HIGH` with probability `high`, else `LOW`."""
    rng = np.random.default_rng([11, s, n, round(10 * high)])
    truth = high * HIGH + (1 - high) * LOW
    level = np.where(rng.random((sets, s, 1)) < high, HIGH, LOW)
    covered = 0
    for one in (rng.random((sets, s, n)) < level).astype(float):
        found = seeds.seeds_and_rows(one, range(n), bounds=stats.SHARE).interval
        if found.low is not None and found.high is not None:
            covered += found.low <= truth <= found.high
    return covered / sets


@pytest.mark.parametrize(("s", "n"), DESIGNS)
def test_no_interval_over_few_seeds_of_two_kinds_can_be_trusted(s: int, n: int) -> None:
    """With all seeds of one kind nothing in the data tells of the other, so the docs ask to count seeds there."""
    assert two_kinds(s, n, 0.2) < 0.8


@pytest.mark.parametrize("n", [20, 200])
def test_five_seeds_of_two_equally_frequent_kinds_are_covered_and_three_are_not(n: int) -> None:
    assert two_kinds(5, n, 0.5) >= 0.92 - 2 * error(0.92, SETS)
    assert two_kinds(3, n, 0.5) < 0.8


# --- What not to do: pooling, and the bootstrap with few seeds -------------------------------------------------------


@functools.cache
def pooled(s: int, n: int, name: str, sets: int = SETS) -> tuple[float, float]:
    """False positives of the t test and the sign test on S x N values taken as independent."""
    values = crossed_sets(MIXES[name], s, n, sets, np.random.default_rng([7, s, n])).reshape(sets, s * n)
    t = np.abs(values.mean(axis=1)) / (values.std(axis=1, ddof=1) / math.sqrt(s * n))
    wins = (values > 0).sum(axis=1)
    signs = [sign_p(int(win), s * n - int(win)) < 0.05 for win in wins]
    return float((t > 1.96).mean()), float(np.mean(signs))


@pytest.mark.parametrize(("s", "n"), DESIGNS)
@pytest.mark.parametrize("name", ["seed-dominated 8:1:1", "row-dominated 1:8:1", "residual-dominated 1:1:8"])
def test_pooling_seeds_and_rows_is_anticonservative(s: int, n: int, name: str) -> None:
    t, sign = pooled(s, n, name)
    assert t > 0.10 and sign > 0.08
    assert t > crossed(s, n, name).rejected


@functools.cache
def bootstrap(s: int, n: int, name: str, sets: int, draws: int) -> float:
    """Coverage of the two-level bootstrap."""
    covered = 0
    for number, values in enumerate(crossed_sets(MIXES[name], s, n, sets, np.random.default_rng([8, s, n]))):
        found = seeds.two_level_bootstrap(values, range(n), draws=draws, seed=number)
        assert found.low is not None and found.high is not None
        covered += found.low <= 0 <= found.high
    return covered / sets


def test_bootstrap_covers_too_rarely_with_few_seeds() -> None:
    three, five = (bootstrap(s, 20, "seed-dominated 8:1:1", 400, 400) for s in (3, 5))
    assert three < 0.85
    assert three < five < 0.92
    assert bootstrap(3, 20, "residual-dominated 1:1:8", 400, 400) > three


# --- Exact tests: false positives at most nominal --------------------------------------------------------------------


@functools.cache
def sign_p(wins: int, losses: int) -> float:
    p = stats.sign_test(wins, losses)
    return 1.0 if p is None else p


def rate(reject: Callable[[np.random.Generator], bool], seed: int) -> float:
    rng = np.random.default_rng(seed)
    return sum(reject(rng) for _ in range(SETS)) / SETS


@pytest.mark.parametrize("n", [20, 200])
def test_sign_test_is_exact(n: int) -> None:
    def reject(rng: np.random.Generator) -> bool:
        a, b = np.round(rng.normal(0, 1, (2, n)))  # rounding gives ties
        found = stats.outcomes(a, b, "lower")
        return sign_p(found.win, found.loss) < 0.05

    assert 0.01 < rate(reject, n) <= 0.05 + 2 * error(0.05, SETS)


@pytest.mark.parametrize("n", [20, 200])
def test_grades_are_exact(n: int) -> None:
    def reject(rng: np.random.Generator) -> bool:
        a, b = (rng.choice(counts.GRADES, size=n, p=[0.5, 0.2, 0.3]).tolist() for _ in range(2))
        p = counts.grade_signs(a, b).p
        return p is not None and p < 0.05

    assert 0.01 < rate(reject, n) <= 0.05 + 2 * error(0.05, SETS)


@pytest.mark.parametrize("n", [20, 200])
def test_mcnemar_is_exact(n: int) -> None:
    def reject(rng: np.random.Generator) -> bool:
        hard = rng.random(n)  # a row is hard for both
        a, b = (rng.random((2, n)) < hard).astype(float)
        p = counts.mcnemar(a, b).p
        return p is not None and p < 0.05

    assert 0.005 < rate(reject, n) <= 0.05 + 2 * error(0.05, SETS)


@pytest.mark.parametrize(
    ("s", "level", "expected"), [(3, 0.25, 0.25), (5, 0.0625, 0.0625), (5, 0.05, 0.0), (8, 0.05, 6 / 128)]
)
def test_sign_flip_is_exact(s: int, level: float, expected: float) -> None:
    """Heavy tails, and a spread that differs from seed to seed: only symmetry is asked for."""
    spread = np.linspace(0.2, 3, s)

    def reject(rng: np.random.Generator) -> bool:
        p = seeds.sign_flip(rng.standard_t(2, s) * spread)
        return p is not None and p <= level

    found = rate(reject, s)
    assert found == pytest.approx(expected, abs=2 * error(level, SETS))
    assert found <= level + 2 * error(level, SETS)


# --- t tests: false positives 3-7%; equivalence and the detectable difference ----------------------------------------


@pytest.mark.parametrize("n", [20, 200])
def test_paired_difference_false_positives(n: int) -> None:
    def reject(rng: np.random.Generator) -> bool:
        shared = rng.normal(0, 2, n)
        found = stats.paired_difference(shared + rng.normal(0, 1, n), shared + rng.normal(0, 2, n), range(n))
        return found.p is not None and found.p < 0.05

    assert 0.03 <= rate(reject, n) <= 0.07


@pytest.mark.parametrize("n", [20, 200])
def test_equivalence_at_the_margin_is_claimed_in_5_percent(n: int) -> None:
    def claim(rng: np.random.Generator) -> bool:
        found = stats.paired_difference(rng.normal(3, 1, n), np.zeros(n), range(n))
        return bool(stats.equivalence(found.interval, 3.0).equivalent)

    assert 0.03 <= rate(claim, n) <= 0.07


@pytest.mark.parametrize("s", [3, 5])
def test_interval_over_seeds_alone(s: int) -> None:
    def miss(rng: np.random.Generator) -> bool:
        found = seeds.over_seeds(rng.normal(0, 1, s).tolist())
        assert found.low is not None and found.high is not None
        return not found.low <= 0 <= found.high

    assert 0.03 <= rate(miss, s) <= 0.07


@pytest.mark.parametrize("n", [3, 5, 20])
def test_detectable_difference_is_found_in_80_percent(n: int) -> None:
    """At a known standard error of 1/sqrt(n) the t test finds the detectable difference in 80% of the sets."""
    design = stats.Interval(0.0, None, None, n, n, se=1 / math.sqrt(n), df=n - 1)
    truth = stats.detectable(design)
    assert truth is not None

    def reject(rng: np.random.Generator) -> bool:
        p = stats.paired_difference(rng.normal(truth, 1, n), np.zeros(n), range(n)).p
        return p is not None and p < 0.05

    assert rate(reject, n) == pytest.approx(0.80, abs=2 * error(0.8, SETS))


def main(sets: int) -> None:
    """Print the tables of docs/statistics.md (percent)."""
    print(f"{sets} data sets a design; Monte Carlo error at 95%: {100 * error(0.95, sets):.2f} points\n")
    print(
        "| mix (seed:row:residual) | " + " | ".join(f"S={s}, N={n}" for s, n in DESIGNS) + " |\n|---|---|---|---|---|"
    )
    for name in (*MIXES, "noise alone 0:0:1"):
        row = [f"{100 * crossed(s, n, name, sets).covered:.1f}" for s, n in DESIGNS]
        print(f"| {name} | {' | '.join(row)} |")
    for level in (0.0, 2.0):
        row = [f"{100 * shares(s, n, level, sets):.1f}" for s, n in DESIGNS]
        print(f"| yes or no, mean log-odds {level:g} | {' | '.join(row)} |")
    for high in (0.5, 0.2):
        row = [f"{100 * two_kinds(s, n, high, sets):.1f}" for s, n in DESIGNS]
        print(f"| yes or no, rate {HIGH:g} in {high:.0%} of the seeds, {LOW:g} in the others | {' | '.join(row)} |")
    for s in (3, 5):
        both = [100 * found.covered for found in clustered(s, sets)]
        print(f"\n126 rows in 11 clusters, S={s}: {both[0]:.1f}; clusters ignored: {both[1]:.1f}")
    print(
        "\nequivalence at the margin (nominal 5): "
        + ", ".join(
            f"S={s} {100 * min(found):.1f}-{100 * max(found):.1f}"
            for s in (3, 5)
            for found in [[crossed(s, n, name, sets).equivalent for n in (20, 200) for name in MIXES]]
        )
    )
    print(
        "\n| pooled: t test / sign test; bootstrap covers | " + " | ".join(f"S={s}, N={n}" for s, n in DESIGNS) + " |"
    )
    print("|---|---|---|---|---|")
    for name in list(MIXES)[:3]:
        cells = []
        for s, n in DESIGNS:
            t, sign = pooled(s, n, name, sets)
            cells.append(f"{100 * t:.0f} / {100 * sign:.0f}; {100 * bootstrap(s, n, name, min(sets, 2000), 1000):.1f}")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
