"""Tidy frame to results: what each arm does with each label. Numbers only, no layout (`comparisons` has the rest).

Order of averaging, everywhere: the variants of a label (the five strings of the nonsense control) and the epochs of a
row give one value for each row and seed; the seeds of an arm give one value for each row; intervals are over rows,
clustered. They cover new rows for these seeds, never new seeds.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from mst_evals import labels, stats, variants
from mst_evals.frame import MEASURE, NO_SEED, SETTING, Frame

MAIN_ARMS = ("ootb", "baseline", "mst", "shuffled")


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
    """

    name: str
    column: str
    rows: Literal["all", "right", "wrong"] = "all"
    kind: Literal["mean", "sum", "balanced"] = "mean"
    better: stats.Better | None = None
    share: bool = False

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
        """The label that deployment swaps in."""
        return variants.AXES[self.experiment].held_out

    @property
    def primary(self) -> tuple[Metric, ...]:
        """The metrics that are compared between arms."""
        names = (self.setting["scorer"],) if self.experiment == "bias" else ("fpr", "accuracy")
        return tuple(metric for metric in self.metrics if metric.name in names)

    def cell(self, arm: str, label: str) -> pd.DataFrame:
        """The rows of one arm and label, indexed by row_id, empty when it was not run."""
        rows = self.rows
        return rows[(rows["arm"] == arm) & (rows["label"] == label)].set_index("row_id")

    def lines(self, arm: str, label: str) -> pd.DataFrame:
        """The samples of one arm and label."""
        return self.samples[(self.samples["arm"] == arm) & (self.samples["label"] == label)]


def _bias_metrics(scorer: str) -> tuple[Metric, ...]:
    shares = (Metric(f"{scorer}.{verdict}", verdict, share=True) for verdict in ("pass", "partial", "fail"))
    return (Metric(scorer, "value", better="lower"), *shares)


def _choice_metrics(prefix: str, column: str) -> tuple[Metric, ...]:
    """The whole confusion table of one way of reading the answer (`column`: said "correct", 0..1)."""
    return (
        Metric(f"{prefix}fpr", column, "wrong", better="lower"),
        Metric(f"{prefix}fp_share", f"{column}_fp"),
        Metric(f"{prefix}fnr", f"{column}_not", "right", better="lower"),
        Metric(f"{prefix}accuracy", f"{column}_ok", better="higher"),
        Metric(f"{prefix}balanced_accuracy", f"{column}_ok", kind="balanced", better="higher"),
        Metric(f"{prefix}tp", column, "right", "sum"),
        Metric(f"{prefix}fn", f"{column}_not", "right", "sum"),
        Metric(f"{prefix}fp", column, "wrong", "sum"),
        Metric(f"{prefix}tn", f"{column}_not", "wrong", "sum"),
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
    carried = dict.fromkeys(("cluster", "right", "role", "position"), "first")
    return lines.groupby(keys, sort=False).agg({**dict.fromkeys(columns, "mean"), **carried}).reset_index()


def arm_order(experiment: str, arm: str) -> tuple[int, str]:
    """Sort key: the order in which the arms are declared, then by name."""
    known = list(variants.ARMS[experiment])
    return (known.index(arm) if arm in known else len(known), arm)


def headline_labels(experiment: str, arm: str) -> tuple[str, ...]:
    """The labels an arm is deployed with; an arm we do not know is deployed without a label."""
    known = variants.ARMS[experiment].get(arm)
    return known.deployed_with if known else (labels.NONE,)


def blocks(frame: Frame) -> Iterator[Block]:
    """Split the frame into the tables that may be made of it, in order of experiment, setting and measure."""
    keys = [*SETTING, *MEASURE]
    for key, samples in frame.samples.groupby(keys, sort=True):
        setting = dict(zip(keys, (str(part) for part in key), strict=True))
        metrics = _metrics(setting["experiment"], setting["choice"], setting["scorer"])
        columns = list(dict.fromkeys(metric.column for metric in metrics))
        scored = _derived(samples[samples["value"].notna()])
        by_seed = _averaged(scored, ["arm", "label", "seed", "row_id"], columns)
        rows = _averaged(by_seed, ["arm", "label", "row_id"], columns)
        yield Block(setting, samples, by_seed, rows, metrics)


def _interval(metric: Metric, rows: pd.DataFrame) -> stats.Interval:
    """Value of a metric over the rows of one cell, with its interval where it has one."""
    chosen = metric.of(rows)
    values, clusters = chosen[metric.column].to_numpy(dtype=float), chosen["cluster"].to_numpy()
    if metric.kind == "sum":
        total = float(values.sum()) if len(rows) else None
        return stats.Interval(total, None, None, len(values), len(set(clusters)))
    if metric.kind == "balanced":
        return stats.balanced(values, chosen["right"].to_numpy(), clusters)
    if metric.share and len(set(clusters)) == len(values) and set(values) <= {0.0, 1.0}:
        return stats.wilson(int(values.sum()), len(values))
    return stats.cluster_interval(values, clusters)


def seed_list(samples: pd.DataFrame) -> list[int]:
    """Training seeds of some samples, ascending; none for what was not trained."""
    return sorted({int(seed) for seed in samples["seed"]} - {NO_SEED})


def arm_rows(block: Block) -> list[dict[str, Any]]:
    """One row of ``results.json`` for each arm, label and metric of a block."""
    found = []
    for (arm, label), samples in block.samples.groupby(["arm", "label"], sort=False):
        rows = block.cell(arm, label)
        seeds = block.by_seed[(block.by_seed["arm"] == arm) & (block.by_seed["label"] == label)]
        for metric in block.metrics:
            asked = metric.of(samples)
            missing = asked[asked["value"].isna()]
            interval = _interval(metric, rows)
            found.append(
                {
                    **{key: block.setting[key] for key in ("experiment", "wording", "split", "choice", "base", "condition")},
                    "arm": arm,
                    "label": label,
                    "metric": metric.name,
                    "mean": interval.mean,
                    "ci_low": interval.low,
                    "ci_high": interval.high,
                    "n_scored": len(asked) - len(missing),
                    "n_unscored": len(missing),
                    "seeds": seed_list(samples),
                    "n_rows": interval.n,
                    "n_clusters": interval.clusters,
                    "unscored_reasons": {str(k): int(v) for k, v in missing["reason"].value_counts().items()},
                    "by_seed": [
                        {"seed": int(seed), "mean": _interval(metric, part).mean}
                        for seed, part in seeds.groupby("seed")
                        if seed != NO_SEED
                    ],
                    "role": str(samples["role"].iloc[0]),
                    "position": None if math.isnan(position := float(samples["position"].iloc[0])) else position,
                    **{key: block.setting[key] for key in ("data_sha256", *MEASURE)},
                }
            )
    return sorted(found, key=lambda row: _row_order(block.experiment, row))


def _row_order(experiment: str, row: dict[str, Any]) -> tuple[Any, ...]:
    """Arms as declared; within an arm its headline labels, then the controls, then the sweep along the axis."""
    first = (*headline_labels(experiment, row["arm"]), *labels.CONTROLS)
    place = first.index(row["label"]) if row["label"] in first else len(first)
    position = math.inf if row["position"] is None else row["position"]
    return (*arm_order(experiment, row["arm"]), place, position, row["label"])


def missing_cells(block: Block) -> list[str]:
    """Evaluations that the study plans and the block lacks, one sentence for each arm."""
    if block.setting["choice"] == "existing":
        return []
    present = {(arm, label) for arm, label in zip(block.rows["arm"], block.rows["label"], strict=True)}
    arms = dict.fromkeys((*MAIN_ARMS, *(arm for arm, _ in present if arm in variants.ARMS[block.experiment])))
    notes = []
    for arm in arms:
        planned = [evaluation.label for evaluation in variants.arm(block.experiment, arm).evaluations()]
        absent = [label for label in planned if (arm, label) not in present]
        if absent:
            notes.append(f"Missing here: {arm} with {', '.join(absent)}.")
    return notes
