"""Tidy frame to results: what each arm does with each label. Numbers only, no layout (`comparisons` has the rest).

Order of averaging, everywhere: the variants of a label (the five strings of the nonsense control) and the epochs of a
row give one value for each row and seed, the matrix that `matrices` makes intervals of: over seeds and rows where there
are two seeds or more, else over rows alone. Every row of results says which.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from mst_evals import labels, variants
from mst_evals.reporting import matrices
from mst_evals.reporting.frame import MEASURE, NO_SEED, SETTING, Frame
from mst_evals.statistics import stats

MAIN_ARMS = variants.MAIN
EXISTING = "existing"  # the arm, and the choice, of articles that no task had written
BIAS_SCALE: stats.Bounds = (0.0, 10.0)
IDENTITY = ("experiment", "wording", "split", "choice", "base", "condition")  # the parts of a setting a row begins with


@dataclass(frozen=True)
class Metric:
    """One number computed from the rows of a cell.

    Attributes:
        name: Name in ``results.json``.
        column: Column of the row frame it is computed from.
        rows: Which rows it is over.
        kind: Mean over rows, sum over rows, or mean of the means over right and over wrong candidates.
        better: Which direction is better, None when neither.
        share: Whether each row is a yes or no, so that one seed gets a Wilson interval.
        bounds: What the number cannot pass; its intervals are cut there.
    """

    name: str
    column: str
    rows: Literal["all", "right", "wrong"] = "all"
    kind: matrices.Kind = "mean"
    better: stats.Better | None = None
    share: bool = False
    bounds: stats.Bounds | None = stats.SHARE

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows it is over."""
        return rows if self.rows == "all" else rows[rows["right"] == (self.rows == "right")]


@dataclass(frozen=True)
class Block:
    """Cells that may stand in one table: one setting, one measure.

    Attributes:
        setting: `SETTING` and `MEASURE` by name.
        samples: The tidy lines of the block.
        by_seed: One line for each arm, label, seed and row.
        rows: One line for each arm, label and row, averaged over seeds.
        metrics: What is computed from every cell.
    """

    setting: dict[str, str]
    samples: pd.DataFrame
    by_seed: pd.DataFrame
    rows: pd.DataFrame
    metrics: tuple[Metric, ...]

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return self.setting["experiment"]

    @property
    def held_out(self) -> str:
        """The label that deployment swaps in, for the arms on the experiment's own axis."""
        return variants.AXES[self.experiment].held_out

    @property
    def arms(self) -> list[str]:
        """The arms that were asked anything, in the order in which they are declared."""
        return sorted(set(self.samples["arm"]), key=lambda name: arm_order(self.experiment, name))

    def held_out_of(self, arm: str) -> str:
        """The held-out label of an arm's own axis."""
        return axis_of(self.experiment, arm).held_out

    @property
    def primary(self) -> tuple[Metric, ...]:
        """The metrics that are compared between arms."""
        names = (self.setting["scorer"],) if self.experiment == "bias" else ("fpr", "accuracy")
        return tuple(metric for metric in self.metrics if metric.name in names)

    def cell(self, arm: str, label: str) -> pd.DataFrame:
        """The rows of one arm and label, indexed by row_id, empty when it was not run."""
        rows = self.rows
        return rows[(rows["arm"] == arm) & (rows["label"] == label)].set_index("row_id")

    def metric(self, name: str) -> Metric | None:
        """A metric by name, None when this block has none of that name."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    @cached_property
    def _by_cell(self) -> dict[tuple[str, str], pd.DataFrame]:
        return {
            (str(arm), str(label)): part for (arm, label), part in self.by_seed.groupby(["arm", "label"], sort=False)
        }

    @cached_property
    def _asked(self) -> dict[tuple[str, str], list[int]]:
        """Seeds that were asked, by arm and label, whether or not anything was scored."""
        seeds = self.samples.groupby(["arm", "label"], sort=False)["seed"].unique()
        return {(str(arm), str(label)): sorted(map(int, found)) for (arm, label), found in seeds.items()}

    @cached_property
    def _matrices(self) -> dict[tuple[str, str, str], matrices.Matrix]:
        return {}  # filled by `matrix`: a cell is read many times

    def matrix(self, arm: str, label: str, metric: Metric) -> matrices.Matrix:
        """The values of one cell by seed and row, without rows when nothing of it was scored."""
        key = (arm, label, metric.name)
        if key not in self._matrices:
            lines = self._by_cell.get((arm, label), self.by_seed.iloc[:0])
            asked = self._asked.get((arm, label), [])
            fixed = is_fixed(self.experiment, arm)
            few = lines[["seed", "row_id", "cluster", "right", metric.column]]
            self._matrices[key] = matrices.of_lines(metric.of(few), metric.column, asked, fixed)
        return self._matrices[key]


def _bias_metrics(scorer: str) -> tuple[Metric, ...]:
    better: dict[str, stats.Better | None] = {"pass": "higher", "partial": None, "fail": "lower"}
    shares = (Metric(f"{scorer}.{name}", name, better=way, share=True) for name, way in better.items())
    return (Metric(scorer, "value", better="lower", bounds=BIAS_SCALE), *shares)


def _choice_metrics(prefix: str, column: str) -> tuple[Metric, ...]:
    """The whole confusion table of one way of reading the answer (`column`: said "correct", 0..1)."""
    return (
        Metric(f"{prefix}fpr", column, "wrong", better="lower"),
        Metric(f"{prefix}fp_share", f"{column}_fp", better="lower"),
        Metric(f"{prefix}fnr", f"{column}_not", "right", better="lower"),
        Metric(f"{prefix}accuracy", f"{column}_ok", better="higher"),
        Metric(f"{prefix}balanced_accuracy", f"{column}_ok", kind="balanced", better="higher"),
        Metric(f"{prefix}tp", column, "right", "sum", bounds=None),
        Metric(f"{prefix}fn", f"{column}_not", "right", "sum", bounds=None),
        Metric(f"{prefix}fp", column, "wrong", "sum", bounds=None),
        Metric(f"{prefix}tn", f"{column}_not", "wrong", "sum", bounds=None),
    )


def _metrics(experiment: str, choice: str, scorer: str) -> tuple[Metric, ...]:
    if experiment == "bias":
        return _bias_metrics(scorer)
    if choice == "free":
        return _choice_metrics("", "value")
    return (*_choice_metrics("", "value"), Metric("mass", "mass"), *_choice_metrics("greedy_", "greedy"))


def _derived(samples: pd.DataFrame) -> pd.DataFrame:
    """Add the columns the metrics read. Linear in the score, so they may be computed before any averaging."""
    columns: dict[str, Any] = {
        "pass": (samples["objectivity"] == 1.0).astype(float),
        "partial": (samples["objectivity"] == 0.5).astype(float),
        "fail": (samples["objectivity"] == 0.0).astype(float),
    }
    for name in ("value", "greedy"):
        columns[f"{name}_not"] = 1 - samples[name]
        columns[f"{name}_ok"] = samples[name].where(samples["right"], 1 - samples[name])
        columns[f"{name}_fp"] = samples[name].where(~samples["right"], 0.0)
    return samples.assign(**columns)


def _averaged(lines: pd.DataFrame, keys: list[str], columns: list[str]) -> pd.DataFrame:
    """Mean of the metric columns over everything but the keys; facts of the row are carried along."""
    carried = dict.fromkeys(("cluster", "right", "role", "kind", "position"), "first")
    return lines.groupby(keys, sort=False).agg({**dict.fromkeys(columns, "mean"), **carried}).reset_index()


def arm_order(experiment: str, arm: str) -> tuple[int, str]:
    """Sort key: the order in which the arms are declared, then by name."""
    known = list(variants.ARMS[experiment])
    return (known.index(arm) if arm in known else len(known), arm)


def axis_of(experiment: str, arm: str) -> labels.Axis:
    """The label axis of an arm; an arm we do not know has that of the main arms."""
    known = variants.ARMS[experiment].get(arm)
    return known.axis if known else variants.AXES[experiment]


def is_fixed(experiment: str, arm: str) -> bool:
    """Whether an arm is no training at all (ootb, articles from elsewhere), so that it has no seeds to be new."""
    known = variants.ARMS[experiment].get(arm)
    return known.assign is None if known else arm == EXISTING


def headline_labels(experiment: str, arm: str) -> tuple[str, ...]:
    """The labels an arm is deployed with; an arm we do not know is deployed without a label."""
    known = variants.ARMS[experiment].get(arm)
    return known.deployed_with if known else (labels.NONE,)


_DEFAULTS = {"kind": "label", "axis": "", "relations": "{}"}  # facts of a label that a frame from elsewhere may lack


def blocks(frame: Frame) -> Iterator[Block]:
    """Split the frame into the tables that may be made of it, in order of experiment, setting and measure."""
    keys = [*SETTING, *MEASURE]
    for key, samples in frame.samples.groupby(keys, sort=True):
        setting = dict(zip(keys, (str(part) for part in key), strict=True))
        metrics = _metrics(setting["experiment"], setting["choice"], setting["scorer"])
        columns = list(dict.fromkeys(metric.column for metric in metrics))
        samples = samples.assign(**{name: value for name, value in _DEFAULTS.items() if name not in samples})
        scored = _derived(samples[samples["value"].notna()])
        by_seed = _averaged(scored, ["arm", "label", "seed", "row_id"], columns)
        rows = _averaged(by_seed, ["arm", "label", "row_id"], columns)
        yield Block(setting, samples, by_seed, rows, metrics)


def seed_list(samples: pd.DataFrame) -> list[int]:
    """Training seeds of some samples, ascending; none for what was not trained."""
    return sorted({int(seed) for seed in samples["seed"]} - {NO_SEED})


def identity(block: Block) -> dict[str, str]:
    """What a row of results begins with: the setting it belongs to."""
    return {key: block.setting[key] for key in IDENTITY}


def measure(block: Block) -> dict[str, str]:
    """What a row of results ends with: the data, and what measured it."""
    return {key: block.setting[key] for key in ("data_sha256", *MEASURE)}


def _facts(samples: pd.DataFrame) -> dict[str, Any]:
    """What a label is, the same in every sample of a cell, and the seeds that were asked with it."""
    first = samples.iloc[0]
    position = float(first["position"])
    return {
        "role": str(first["role"]),
        "position": None if math.isnan(position) else position,
        "kind": str(first["kind"]),
        "axis": str(first["axis"]),
        "relations": json.loads(first["relations"]),
        "seeds": seed_list(samples),
    }


def _counts(asked: pd.DataFrame) -> dict[str, Any]:
    """How many samples were scored, and why the others were not."""
    missing = asked.loc[asked["value"].isna(), "reason"]
    reasons = {str(reason): int(count) for reason, count in missing.value_counts().items()}
    return {"n_scored": len(asked) - len(missing), "n_unscored": len(missing), "unscored_reasons": reasons}


def _cell_rows(block: Block, arm: str, label: str, samples: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Every metric of one cell."""
    facts, few = _facts(samples), samples[["right", "value", "reason"]]
    counts = {metric.rows: _counts(metric.of(few)) for metric in block.metrics}
    for metric in block.metrics:
        matrix = block.matrix(arm, label, metric)
        found = matrices.summary(matrix, metric.kind, metric.bounds, metric.share)
        found["over_seeds"].pop("p")  # of a mean of zero: no question here
        each = zip(matrix.seeds, matrices.by_seed(matrix, metric.kind), strict=False)  # a fixed matrix has no seeds
        yield {
            **identity(block), "arm": arm, "label": label, "metric": metric.name, **found, **counts[metric.rows],
            "by_seed": [{"seed": seed, "mean": mean} for seed, mean in each if seed != NO_SEED and mean is not None],
            **facts, **measure(block),
        }  # fmt: skip


def arm_rows(block: Block) -> list[dict[str, Any]]:
    """One row of ``results.json`` for each arm, label and metric of a block.

    `mean`, `ci_low`, `ci_high`, `n_rows` and `n_clusters` are those of the headline interval, and `interval` says which
    that is: "seeds and rows" (two seeds or more) or "rows". Both stand in full in `over_seeds` and `over_rows`.
    """
    cells = block.samples.groupby(["arm", "label"], sort=False)
    found = [row for (arm, label), part in cells for row in _cell_rows(block, str(arm), str(label), part)]
    return sorted(found, key=lambda row: _row_order(block.experiment, row))


def _row_order(experiment: str, row: dict[str, Any]) -> tuple[Any, ...]:
    """Arms as declared; within an arm its headline labels, then the controls, then the sweep along the axis."""
    first = (*headline_labels(experiment, row["arm"]), *labels.CONTROLS)
    place = first.index(row["label"]) if row["label"] in first else len(first)
    position = math.inf if row["position"] is None else row["position"]
    return (*arm_order(experiment, row["arm"]), place, position, row["label"])
