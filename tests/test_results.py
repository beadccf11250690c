"""What each arm does with each label: the two intervals of every number, and which of them is the headline."""

import math

import numpy as np
import pytest
import synthetic as sy

from mst_evals.reporting import matrices, progress, results
from mst_evals.reporting.frame import Frame, _one_training
from mst_evals.reporting.results import Block
from mst_evals.statistics import seeds, stats

NAN = math.nan


def row(block: Block, metric: str, arm: str, label: str) -> dict:
    (found,) = [
        one for one in results.arm_rows(block) if (one["metric"], one["arm"], one["label"]) == (metric, arm, label)
    ]
    return found


def test_headline_is_over_seeds_and_rows_where_there_are_two_seeds() -> None:
    values = 4 + sy.noise((3, 12), 1)
    found = row(sy.block(sy.cell("bias", "mst", "UNBIASED", values)), "lexical_bias", "mst", "UNBIASED")
    expected = seeds.seeds_and_rows(values, range(12)).interval
    assert found["interval"] == "seeds and rows"
    assert (found["mean"], found["ci_low"], found["ci_high"]) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    over = found["over_seeds"]
    assert (over["se"], over["df"]) == pytest.approx((expected.se, expected.df))
    assert (over["seeds"], over["dropped"], over["reason"], over["n_rows"]) == (3, 0, None, 12)
    beside = seeds.two_level_bootstrap(values, range(12))
    assert (over["bootstrap_low"], over["bootstrap_high"]) == pytest.approx((beside.low, beside.high))
    rows = stats.cluster_interval(values.mean(axis=0), range(12))
    assert (found["over_rows"]["ci_low"], found["over_rows"]["ci_high"]) == pytest.approx((rows.low, rows.high))
    assert [one["mean"] for one in found["by_seed"]] == pytest.approx(list(values.mean(axis=1)))
    assert "p" not in over


def test_one_seed_has_the_interval_over_rows_and_says_why() -> None:
    values = 4 + sy.noise((1, 12), 1)
    found = row(sy.block(sy.cell("bias", "mst", "UNBIASED", values)), "lexical_bias", "mst", "UNBIASED")
    expected = stats.cluster_interval(values[0], range(12))
    assert found["interval"] == "rows"
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((expected.low, expected.high))
    assert found["over_seeds"]["reason"] == "one seed says nothing about new seeds"
    assert found["over_seeds"]["ci_low"] is None and found["over_seeds"]["bootstrap_low"] is None


def test_what_was_not_trained_has_rows_only_and_no_seeds() -> None:
    values = 4 + sy.noise((1, 12), 1)[0]
    found = row(sy.block(sy.cell("bias", "ootb", "none", values)), "lexical_bias", "ootb", "none")
    assert (found["interval"], found["seeds"], found["by_seed"], found["over_seeds"]["seeds"]) == ("rows", [], [], 0)
    assert found["over_seeds"]["ci_low"] == pytest.approx(found["ci_low"])


def test_a_trained_arm_without_a_recorded_seed_is_one_seed() -> None:
    cell = sy.cell("bias", "mst", "UNBIASED", 4 + sy.noise((1, 12), 1)).assign(seed=-1)
    found = row(sy.block(cell), "lexical_bias", "mst", "UNBIASED")
    assert (found["interval"], found["seeds"]) == ("rows", [])
    assert found["over_seeds"]["reason"] == "one seed says nothing about new seeds"


def test_rows_that_a_seed_lacks_are_dropped_and_counted() -> None:
    values = 4 + sy.noise((3, 12), 2)
    values[1, 4] = values[2, 9] = NAN
    found = row(sy.block(sy.cell("bias", "mst", "UNBIASED", values)), "lexical_bias", "mst", "UNBIASED")
    expected = seeds.seeds_and_rows(np.delete(values, [4, 9], axis=1), range(10)).interval
    assert (found["over_seeds"]["dropped"], found["n_rows"], found["over_rows"]["n_rows"]) == (2, 10, 12)
    assert (found["mean"], found["ci_low"]) == pytest.approx((expected.mean, expected.low))
    assert (found["n_scored"], found["n_unscored"], found["unscored_reasons"]) == (34, 2, {"invalid": 2})
    assert found["over_rows"]["mean"] == pytest.approx(np.nanmean(np.nanmean(values, axis=0)))


def test_a_seed_of_which_nothing_was_scored_takes_the_interval_away() -> None:
    values = 4 + sy.noise((2, 6), 3)
    values[1] = NAN
    found = row(sy.block(sy.cell("bias", "mst", "UNBIASED", values)), "lexical_bias", "mst", "UNBIASED")
    assert (found["interval"], found["seeds"]) == ("rows", [0, 1])
    assert found["over_seeds"]["reason"] == "no row was scored by every seed"
    assert found["mean"] == pytest.approx(values[0].mean())
    assert [one["seed"] for one in found["by_seed"]] == [0]


def test_clusters_are_those_of_the_rows() -> None:
    values, clusters = np.clip(0.5 + sy.noise((4, 12), 4, of_rows=0.2), 0, 1), [f"c{index // 3}" for index in range(12)]
    block = sy.block(sy.cell("sycophancy", "mst", "0", values, clusters=clusters))
    found = row(block, "fpr", "mst", "0")
    expected = seeds.seeds_and_rows(values, clusters, bounds=stats.SHARE).interval
    assert found["n_clusters"] == 4
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((expected.low, expected.high))


def test_no_interval_of_a_rate_leaves_its_range() -> None:
    values = np.array([[0, 0, 0, 0.3], [0, 0, 0.1, 0], [0, 0, 0, 0.05]])
    found = row(sy.block(sy.cell("sycophancy", "mst", "0", values)), "fpr", "mst", "0")
    half = found["ci_high"] - found["mean"]
    assert found["ci_low"] == 0.0 and found["mean"] - half < 0
    assert found["over_rows"]["ci_low"] >= 0.0


def test_balanced_accuracy_over_seeds_is_linearised() -> None:
    # Six right rows and two wrong ones: a seed's number is the mean of the two means, whatever the group sizes.
    values, right = np.clip(0.6 + sy.noise((3, 8), 6, of_rows=0.2), 0.01, 0.99), [True] * 6 + [False] * 2
    block = sy.block(sy.cell("sycophancy", "mst", "0", values, right=right))
    found = row(block, "balanced_accuracy", "mst", "0")
    ok = np.where(right, values, 1 - values)
    each = (ok[:, :6].mean(axis=1) + ok[:, 6:].mean(axis=1)) / 2
    assert [one["mean"] for one in found["by_seed"]] == pytest.approx(list(each))
    assert found["mean"] == pytest.approx(each.mean())
    centred = np.concatenate(
        [ok[:, :6] - ok[:, :6].mean(axis=1, keepdims=True), ok[:, 6:] - ok[:, 6:].mean(axis=1, keepdims=True)], axis=1
    )
    influence = centred * np.array([8 / (2 * 6)] * 6 + [8 / (2 * 2)] * 2) + each[:, None]
    expected = seeds.seeds_and_rows(influence, range(8), bounds=stats.SHARE).interval
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((expected.low, expected.high))
    alone = row(sy.block(sy.cell("sycophancy", "mst", "0", values[:1], right=right)), "balanced_accuracy", "mst", "0")
    one = stats.cluster_interval(stats.balanced_terms(ok[0], right), range(8), bounds=stats.SHARE)
    assert (alone["mean"], alone["ci_low"], alone["ci_high"]) == pytest.approx((one.mean, one.low, one.high))


def test_counts_are_sums_without_intervals() -> None:
    values = np.array([[0.25, 0.75, 1.0], [0.75, 0.25, 0.0]])
    found = row(sy.block(sy.cell("sycophancy", "mst", "0", values)), "fp", "mst", "0")
    assert (found["mean"], found["ci_low"], found["interval"]) == (pytest.approx(1.5), None, "seeds and rows")
    assert found["over_seeds"]["reason"] == matrices.NO_INTERVAL_OF_COUNTS
    assert [one["mean"] for one in found["by_seed"]] == [2.0, 1.0]


def test_rows_of_other_arms_carry_their_own_axis() -> None:
    cells = [sy.cell("sycophancy", "words", name, np.full((2, 4), 0.5)) for name in ("zero", "low", "total", "none")]
    block = sy.block(*cells, sy.cell("sycophancy", "mst", "NO_SWAY", np.full((2, 4), 0.5)))
    zero, paraphrase = row(block, "fpr", "words", "zero"), row(block, "fpr", "mst", "NO_SWAY")
    assert (zero["axis"], zero["kind"], zero["role"]) == ("suggestibility_word", "label", "held_out")
    assert zero["relations"] == {"suggestibility": "extrapolation"}
    assert paraphrase["kind"] == "paraphrase"
    assert results.headline_labels("sycophancy", "words") == ("zero",)
    assert block.held_out_of("words") == "zero" and block.held_out_of("mst") == "0"
    assert [one for one in progress.missing_cells(block) if "words" in one] == [
        "Missing here: words with slight, medium, high, nonsense."
    ]
    assert progress.missing_cells(block, {"words": ("zero", "slight"), "mst": ("NO_SWAY",)}) == [
        "Missing here: words with slight."
    ]


def test_seeds_that_a_study_plans_and_that_are_not_here_are_named() -> None:
    lost = 4 + sy.noise((3, 4), 2)
    lost[1] = NAN  # asked, and nothing of it was scored
    block = sy.block(
        sy.cell("bias", "mst", "UNBIASED", 4 + sy.noise((2, 4), 1)), sy.cell("bias", "mst", "none", np.ones((2, 4))),
        sy.cell("bias", "shuffled", "none", lost), sy.cell("bias", "ootb", "none", np.ones(4)),
    )  # fmt: skip
    planned = {"mst": ("UNBIASED", "none"), "shuffled": ("none", "UNBIASED"), "ootb": ("none",)}
    seeds_planned = {"mst": (0, 1, 2, 3, 4), "shuffled": (0, 1, 2), "ootb": ()}
    assert progress.missing_cells(block, planned, seeds_planned) == [
        "Missing here: seeds 2, 3, 4 of mst with every label (2 of 5 planned seeds are here).",
        "Missing here: shuffled with UNBIASED.",
        "Missing here: seed 1 of shuffled with none (2 of 3 planned seeds are here).",
    ]
    assert progress.missing_cells(block, planned, seeds_planned | {"mst": (0, 1), "shuffled": (0, 2)}) == [
        "Missing here: shuffled with UNBIASED."
    ]


def test_one_training_of_an_arm_and_seed_is_kept_the_last_one_evaluated() -> None:
    early = sy.cell("bias", "mst", "UNBIASED", np.full((2, 3), 1.0)).assign(log="early", created="2026-01-01")
    late = sy.cell("bias", "mst", "none", np.full((1, 3), 2.0)).assign(log="late", created="2026-01-02")
    base = sy.cell("bias", "ootb", "none", np.full(3, 3.0)).assign(log="base")
    provenance = [
        {"log": "early", "adapter_sha256": "a" * 64}, {"log": "late", "adapter_sha256": "b" * 64},
        {"log": "base", "adapter_sha256": None},
    ]  # fmt: skip
    samples = sy.frame(early, late, base).samples
    kept, (note,) = _one_training(samples, provenance)
    assert {(log, seed) for log, seed in zip(kept["log"], kept["seed"], strict=True)} == {
        ("early", 1), ("late", 0), ("base", -1),
    }  # fmt: skip
    assert note.startswith("early: mst, seed 0 was trained more than once (adapter aaaaaaaa here, bbbbbbbb evaluated")
    assert "label UNBIASED of this log" in note
    same = [row | {"adapter_sha256": "a" * 64} for row in provenance]
    assert _one_training(samples, same)[1] == [] and len(_one_training(samples, same)[0]) == len(samples)


def test_a_frame_without_the_newer_facts_is_readable() -> None:
    samples = sy.cell("bias", "mst", "UNBIASED", 4 + sy.noise((1, 4), 1)).drop(columns=["kind", "axis", "relations"])
    (block,) = results.blocks(Frame(samples, [], []))
    found = row(block, "lexical_bias", "mst", "UNBIASED")
    assert (found["kind"], found["axis"], found["relations"]) == ("label", "", {})
