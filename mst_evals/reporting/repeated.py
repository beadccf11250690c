"""A run beside another one of the same study, made again say: `mst report RUN --out DIR --against OTHER`.

Numbers are matched by setting, measure, arm and label, values by seed and row. Both runs draw the same rows and, where
they share seeds, begin each training alike, so the interval of their difference is of what is left: another machine,
another version of the code or of a library.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

from mst_evals import prompts
from mst_evals.reporting import comparisons, matrices, results, tables
from mst_evals.reporting.computed import Computed
from mst_evals.reporting.layout import Section
from mst_evals.reporting.phrases import bounds, excludes_zero, number
from mst_evals.reporting.results import Block, Metric
from mst_evals.reporting.tables import Table

Rows = Sequence[Mapping[str, Any]]

SAME = 1e-6  # values that differ by less are called equal: logs keep P(correct) in float32
MOST = 12  # cells that a sentence names
HEADER = (
    "arm (label)", "measure", "where", "this run", "95% interval", "other run", "95% interval", "difference",
    "95% interval", "intervals overlap", "largest difference of a value",
)  # fmt: skip
NOTES = (
    "Matched by experiment, split, data, choice, wording, base, condition, scorer, judge, arm and label; what only one "
    "run has is named. Difference: this run minus the other, paired by row and, where both have it, by seed; it has "
    "no interval where all values are equal.",
    "That two intervals overlap is a weak agreement: it says that neither run contradicts the other. The interval of "
    "the difference is the stricter reading; of many such intervals about one in twenty leaves zero out by chance.",
)


@dataclass(frozen=True)
class Pair:
    """One number of one cell in both runs.

    Attributes:
        arm, label, metric: Of both.
        this, other: Mean with the headline interval, see `matrices.summary`.
        difference: This minus the other, the same way.
        values: How many single values (of a row under a seed) both have; 0 where they share no seed.
        equal: How many of those differ by less than `SAME`.
        largest: The largest absolute difference of a value, None without values.
        headline: Whether the cell stands beside the headline of a report.
    """

    arm: str
    label: str
    metric: str
    this: dict[str, Any]
    other: dict[str, Any]
    difference: dict[str, Any]
    values: int
    equal: int
    largest: float | None
    headline: bool

    @property
    def overlap(self) -> bool | None:
        """Whether the two intervals overlap, None where either is missing."""
        ends = [side[end] for side in (self.this, self.other) for end in ("ci_low", "ci_high")]
        if None in ends:
            return None
        return bool(ends[0] <= ends[3] and ends[2] <= ends[1])


def _short(found: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a summary."""
    return {key: found[key] for key in ("mean", "ci_low", "ci_high", "n_rows", "interval")}


def _summary(matrix: matrices.Matrix, metric: Metric, limits: Any, share: bool) -> dict[str, Any]:
    return _short(matrices.summary(matrix, metric.kind, limits, share, resample=False))


def pair(this: Block, other: Block, arm: str, label: str, metric: Metric) -> Pair:
    """One cell of two blocks of the same setting.

    Args:
        this: The block of this run.
        other: That of the other.
        arm: The arm.
        label: The label.
        metric: What is compared.
    """
    a, b = this.matrix(arm, label, metric), other.matrix(arm, label, metric)
    left, right = matrices.aligned(a, b)
    apart = np.abs(left.values - right.values) if left.seeds or left.fixed else np.empty((0, 0))
    apart = apart[np.isfinite(apart)]
    role = str(this.cell(arm, label)["role"].iloc[0]) if len(this.cell(arm, label)) else ""
    return Pair(
        arm,
        label,
        metric.name,
        _summary(a, metric, metric.bounds, metric.share),
        _summary(b, metric, metric.bounds, metric.share),
        _summary(matrices.difference(a, b), metric, comparisons.difference_bounds(metric), False),
        values=apart.size,
        equal=int((apart < SAME).sum()),
        largest=float(apart.max()) if apart.size else None,
        headline=tables.is_main(this.experiment, arm, label, role),
    )


def _cells(block: Block) -> list[tuple[str, str]]:
    """The cells of a block, as (arm, label)."""
    found = block.samples[["arm", "label"]].drop_duplicates()
    return [(str(arm), str(label)) for arm, label in found.itertuples(index=False)]


def _key(block: Block) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(block.setting.items()))


def _main_wording(block: Block) -> bool:
    return block.setting["wording"] in ("", prompts.DEFAULT_WORDING[block.experiment])


def _where(block: Block) -> str:
    """What tells a block from the others of its experiment, in words."""
    wording = "main wording" if _main_wording(block) else f"wording {block.setting['wording']}"
    return ", ".join(part for part in (block.setting["condition"], wording) if part)


def _adapters(headers: Rows, experiment: str) -> dict[tuple[Any, ...], set[str]]:
    """(condition, arm, seed) -> digest of the adapter that was asked; several where logs of several were mixed."""
    found: dict[tuple[Any, ...], set[str]] = {}
    for row in headers:
        if row.get("experiment") == experiment and row.get("adapter_sha256"):
            key = (row.get("condition"), row.get("arm"), row.get("seed"))
            found.setdefault(key, set()).add(str(row["adapter_sha256"]))
    return found


def _adapter_line(this: Rows, other: Rows, experiment: str) -> str:
    a, b = _adapters(this, experiment), _adapters(other, experiment)
    both = a.keys() & b.keys()
    same = sum(a[key] == b[key] for key in both)
    return f"Of {len(both)} adapters that both runs trained (by condition, arm and seed) {same} are equal to the byte."


def _named(names: Sequence[str]) -> str:
    """Names in a sentence, `MOST` at most."""
    return "; ".join(names[:MOST]) + (f"; and {len(names) - MOST} more" if len(names) > MOST else "")


def _names(pairs: Sequence[tuple[Block, Pair]]) -> str:
    return _named([f"{one.arm} ({one.label}) {one.metric}, {_where(block)}" for block, one in pairs])


def _said(pairs: Sequence[tuple[Block, Pair]]) -> list[str]:
    """What is said of the numbers that both runs have."""
    if not pairs:
        return ["The runs have no number in common."]
    apart = [(block, one) for block, one in pairs if one.overlap is False]
    judged = sum(one.overlap is not None for _, one in pairs)
    values, equal = sum(one.values for _, one in pairs), sum(one.equal for _, one in pairs)
    apart_at_all = [one.difference for _, one in pairs if one.largest is None or one.largest >= SAME]
    there = sum(difference["ci_low"] is not None for difference in apart_at_all)
    lines = [
        f"Both runs have {len(pairs)} numbers (a measure of an arm under a label). The two intervals overlap in "
        f"{judged - len(apart)} of the {judged} that have both" + (f"; apart: {_names(apart)}." if apart else ".")
    ]
    if values:
        block, most = max(pairs, key=lambda one: one[1].largest or 0.0)
        where = f" ({_names([(block, most)])})" if equal < values else ""
        lines.append(
            f"Of {values} values of a row under a seed {equal} are equal within {SAME:g}; the largest difference is "
            f"{most.largest:.2g}{where}."
        )
    if there:
        differ = sum(map(excludes_zero, apart_at_all))
        lines.append(f"Of {there} differences with an interval (equal numbers left aside) {differ} leave zero out.")
    return lines


def _mean(side: Mapping[str, Any]) -> tuple[str, str]:
    return number(side["mean"]), bounds(side)


def _line(block: Block, one: Pair) -> tuple[str, ...]:
    overlap = {True: "yes", False: "no", None: "–"}[one.overlap]
    return (
        f"{one.arm} ({one.label})", one.metric, _where(block), *_mean(one.this), *_mean(one.other),
        *_mean(one.difference), overlap, "–" if one.largest is None else f"{one.largest:.2g}",
    )  # fmt: skip


def _table(pairs: Sequence[tuple[Block, Pair]]) -> Table:
    """The headline cells of the main wording, and every cell whose intervals are apart."""
    shown = [(block, one) for block, one in pairs if one.overlap is False or (one.headline and _main_wording(block))]
    caption = f"Deployment labels and controls in the main wording, and whatever else is apart. {tables.INTERVALS}"
    return Table(caption, HEADER, tuple(_line(block, one) for block, one in shown), wide=True)


def _facts(block: Block, one: Pair) -> dict[str, Any]:
    return {**results.identity(block), **asdict(one), "overlap": one.overlap, **results.measure(block)}


def sections(
    done: Sequence[Computed], headers: Rows, others: Sequence[Block], other_headers: Rows
) -> tuple[list[Section], list[dict[str, Any]]]:
    """A section for each experiment of this run, and the same as rows of ``results.json``.

    Args:
        done: The blocks of this run.
        headers: Provenance of its logs.
        others: The blocks of the other run.
        other_headers: Provenance of its logs.
    """
    theirs = {_key(block): block for block in others}
    found, rows = list[Section](), list[dict[str, Any]]()
    for experiment, parts in groupby((part.block for part in done), key=lambda block: block.experiment):
        mine = {_key(block): block for block in parts}
        both = [(block, theirs[key]) for key, block in mine.items() if key in theirs]
        pairs = [
            (block, pair(block, other, *cell, metric))
            for block, other in both
            for cell in _cells(block)
            if cell in _cells(other)
            for metric in block.primary
        ]
        said = _said(pairs)
        for name, here, there in (("this", mine, theirs), ("the other", theirs, mine)):
            alone = _alone(experiment, here, there)
            said += [f"Only {name} run has: {_named(alone)}."] if alone else []
        said.append(_adapter_line(headers, other_headers, experiment))
        items = (_table(pairs),) if pairs else ()
        found.append(Section(f"{experiment.capitalize()}: beside the other run", tuple(said), NOTES, items))
        rows += [_facts(block, one) for block, one in pairs]
    return found, rows


def _alone(experiment: str, here: Mapping[Any, Block], there: Mapping[Any, Block]) -> list[str]:
    """What one run of an experiment has and the other lacks: the labels of each arm, by name."""
    found = []
    for key, block in here.items():
        if block.experiment != experiment:
            continue
        known = _cells(there[key]) if key in there else []
        for arm in block.arms:
            missing = [label for name, label in _cells(block) if name == arm and (name, label) not in known]
            found += [f"{arm} ({', '.join(missing)}), {_where(block)}"] if missing else []
    return found
