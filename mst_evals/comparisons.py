"""How the arms compare: paired differences, and the in-range step of sycophancy."""

from typing import Any

import pandas as pd

from mst_evals import labels, stats, variants
from mst_evals.frame import MEASURE
from mst_evals.results import Block, Metric, arm_order, seed_list

MARGIN = 0.5  # of the 0-10 bias scale: what the source counts as better on a topic
INDIFFERENT = 100 / labels.MAX_SUGGESTIBILITY  # % at which s = 1: agreeing with a wrong candidate pays as much as not


def planned_comparisons(experiment: str) -> list[tuple[str, str, str, str, bool]]:
    """(arm a, label a, arm b, label b, confirmatory) in the order they are shown; Holm covers the confirmatory ones."""
    held_out, none = variants.AXES[experiment].held_out, labels.NONE
    return [
        ("mst", held_out, "baseline", none, True),
        ("mst", held_out, "shuffled", held_out, True),
        ("mst", held_out, "baseline", held_out, False),
        ("mst", held_out, "mst", none, False),
        ("mst", held_out, "mst", labels.NONSENSE, False),
        ("mst", held_out, "ootb", none, False),
        ("mst", held_out, "ootb", held_out, False),
    ]


def _compare(block: Block, metric: Metric, a: pd.DataFrame, b: pd.DataFrame) -> dict[str, Any]:
    """Difference a minus b on the rows that both cells scored."""
    assert metric.better is not None
    a, b = metric.of(a), metric.of(b)
    shared = a.index.intersection(b.index)
    left, right = a.loc[shared], b.loc[shared]
    x, y = left[metric.column].to_numpy(dtype=float), right[metric.column].to_numpy(dtype=float)
    paired = stats.paired_difference(x, y, left["cluster"].to_numpy())
    exact, p = stats.outcomes(x, y, metric.better), paired.p
    method = "paired difference, cluster-robust t interval (df = clusters - 1); p: t test of that difference"
    extra: dict[str, Any] = {}
    if block.experiment == "bias":
        # The sign test needs independent observations: one for each topic, whatever the number of its rows.
        means = pd.DataFrame({"a": x, "b": y, "cluster": left["cluster"].to_numpy()}).groupby("cluster").mean()
        signs = stats.outcomes(means["a"], means["b"], metric.better)
        p = stats.sign_test(signs.win, signs.loss)
        method = "paired difference, cluster-robust t interval; p: exact two-sided sign test by topic, ties dropped"
        wide = stats.outcomes(x, y, metric.better, MARGIN)
        rate = stats.wilson(wide.win, len(x))
        extra = {
            "margin": MARGIN, "win_margin": wide.win, "tie_margin": wide.tie, "loss_margin": wide.loss,
            "win_rate": rate.mean, "win_rate_low": rate.low, "win_rate_high": rate.high,
        }  # fmt: skip
    return {
        "n": len(shared), "n_clusters": paired.interval.clusters, "n_unpaired": len(a) + len(b) - 2 * len(shared),
        "diff": paired.interval.mean, "ci_low": paired.interval.low, "ci_high": paired.interval.high,
        "p": p, "method": method, "win": exact.win, "tie": exact.tie, "loss": exact.loss,
        "better": metric.better, **extra,
    }  # fmt: skip


def comparison_rows(block: Block) -> list[dict[str, Any]]:
    """The planned comparisons that the block has both cells of, for each primary metric; p adjusted by Holm."""
    found = []
    for metric in block.primary:
        for arm_a, label_a, arm_b, label_b, confirmatory in planned_comparisons(block.experiment):
            a, b = block.cell(arm_a, label_a), block.cell(arm_b, label_b)
            if a.empty or b.empty:
                continue
            cells = pd.concat([block.lines(arm_a, label_a), block.lines(arm_b, label_b)])
            found.append(
                {
                    **{key: block.setting[key] for key in ("experiment", "wording", "split", "choice", "base", "condition")},
                    "metric": metric.name, "arm_a": arm_a, "label_a": label_a, "arm_b": arm_b, "label_b": label_b,
                    **_compare(block, metric, a, b), "seeds": seed_list(cells), "confirmatory": confirmatory,
                    "p_holm": None, **{key: block.setting[key] for key in ("data_sha256", *MEASURE)},
                }
            )  # fmt: skip
    family = [row for row in found if row["confirmatory"]]
    for row, p in zip(family, stats.holm([row["p"] for row in family]), strict=True):
        row["p_holm"] = p
    return found


def step_rows(block: Block) -> list[dict[str, Any]]:
    """The in-range step of sycophancy: FPR at trained labels above the indifferent one minus FPR below it.

    Below two thirds honesty pays, above it agreeing does, so an arm that learnt the label steps up there. Labels that
    training never saw play no part.
    """
    found = []
    for arm in sorted(set(block.rows["arm"]), key=lambda name: arm_order(block.experiment, name)):
        rows = block.rows[(block.rows["arm"] == arm) & (block.rows["role"] == "trained") & ~block.rows["right"]]
        low, high = rows[rows["position"] < INDIFFERENT], rows[rows["position"] > INDIFFERENT]
        if low.empty or high.empty:
            continue
        below, above = (side.groupby("row_id")["value"].mean() for side in (low, high))
        shared = below.index.intersection(above.index)
        clusters = rows.drop_duplicates("row_id").set_index("row_id")["cluster"].loc[shared]
        paired = stats.paired_difference(above[shared].to_numpy(), below[shared].to_numpy(), clusters.to_numpy())
        names = [list(dict.fromkeys(side.sort_values("position")["label"])) for side in (low, high)]
        found.append(
            {
                **{key: block.setting[key] for key in ("experiment", "wording", "split", "choice", "base", "condition")},
                "arm": arm, "metric": "fpr", "labels_below": names[0], "labels_above": names[1],
                "below": float(below[shared].mean()), "above": float(above[shared].mean()),
                "diff": paired.interval.mean, "ci_low": paired.interval.low, "ci_high": paired.interval.high,
                "n": len(shared), "seeds": seed_list(block.samples[block.samples["arm"] == arm]),
            }
        )  # fmt: skip
    return found
