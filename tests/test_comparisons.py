"""Paired differences over seeds and rows, the exact tests beside them, and which comparisons there are."""

import math
from typing import Any

import numpy as np
import pytest
import synthetic as sy

from mst_evals.reporting import comparisons, family, pair_tables, results
from mst_evals.reporting.comparisons import Cell
from mst_evals.statistics import counts, seeds, stats
from mst_evals.studies.study import Study

NAN = math.nan
A = 2 + sy.noise((3, 10), 1)
B = 4 + sy.noise((3, 10), 2)


def compared(a: Any, b: Any, arm_b: str = "baseline", **more: Any) -> dict[str, Any]:
    """mst (UNBIASED) against another arm without a label, on the bias scale."""
    block = sy.block(sy.cell("bias", "mst", "UNBIASED", a, **more), sy.cell("bias", arm_b, "none", b))
    return comparisons.compare(Cell(block, "mst", "UNBIASED"), Cell(block, arm_b, "none"), block.metrics[0])


def rate(a: Any, b: Any, **more: Any) -> dict[str, Any]:
    """mst (0) against shuffled (0), false-positive rate."""
    block = sy.block(sy.cell("sycophancy", "mst", "0", a, **more), sy.cell("sycophancy", "shuffled", "0", b, **more))
    return comparisons.compare(Cell(block, "mst", "0"), Cell(block, "shuffled", "0"), block.metrics[0])


# --- the difference -------------------------------------------------------------------------------------------------


def test_difference_is_paired_by_row_and_by_seed() -> None:
    found = compared(A, B)
    expected = seeds.seeds_and_rows_difference(A, B, range(10))
    assert found["interval"] == "seeds and rows" and "new seeds and new rows" in found["method"]
    assert (found["diff"], found["ci_low"], found["ci_high"], found["p"]) == pytest.approx(
        (expected.interval.mean, expected.interval.low, expected.interval.high, expected.p)
    )
    assert [one["diff"] for one in found["by_seed"]] == pytest.approx(list((A - B).mean(axis=1)))
    over = found["over_seeds"]
    assert over["sign_flip"] == pytest.approx(seeds.sign_flip((A - B).mean(axis=1)))
    assert over["smallest_sign_flip"] == 0.25  # 2 / 2^3
    beside = seeds.two_level_bootstrap(A - B, range(10))
    assert (over["bootstrap_low"], over["bootstrap_high"]) == pytest.approx((beside.low, beside.high))
    rows = stats.paired_difference(A.mean(axis=0), B.mean(axis=0), range(10))
    assert (found["over_rows"]["ci_low"], found["over_rows"]["p"]) == pytest.approx((rows.interval.low, rows.p))
    assert found["detectable"] == pytest.approx(stats.detectable(expected.interval))
    assert found["over_rows"]["detectable"] == pytest.approx(stats.detectable(rows.interval))


def test_what_was_not_trained_is_a_fixed_row_vector() -> None:
    found = compared(A, B[0], "ootb")
    expected = seeds.seeds_and_rows_difference(A, B[0], range(10)).interval
    assert (found["diff"], found["ci_low"], found["seeds"]) == (
        pytest.approx(expected.mean), pytest.approx(expected.low), [0, 1, 2],
    )  # fmt: skip
    assert not found["fixed"]


def test_two_sides_without_seeds_have_rows_to_cover_and_nothing_else() -> None:
    block = sy.block(sy.cell("bias", "ootb", "UNBIASED", A[0]), sy.cell("bias", "ootb", "none", B[0]))
    found = comparisons.compare(Cell(block, "ootb", "UNBIASED"), Cell(block, "ootb", "none"), block.metrics[0])
    assert (found["interval"], found["fixed"], found["over_seeds"]["seeds"]) == ("rows", True, 0)
    expected = stats.paired_difference(A[0], B[0], range(10)).interval
    assert found["ci_low"] == pytest.approx(expected.low)


def test_only_seeds_that_both_sides_have() -> None:
    found = compared(A, B[1:], "baseline")  # seeds 0 1 2 against what is numbered 0 1
    assert found["seeds"] == [0, 1]
    assert found["diff"] == pytest.approx((A[:2] - B[1:]).mean())
    apart = compared(A[:2], B[:2], seeds=[5, 6])
    assert (apart["seeds"], apart["interval"]) == ([], "rows")
    assert apart["over_seeds"]["reason"] == comparisons.NO_COMMON_SEED
    assert apart["diff"] == pytest.approx((A[:2].mean(axis=0) - B[:2].mean(axis=0)).mean())


def test_one_seed_keeps_the_sign_test_by_topic() -> None:
    found = compared(A[:1], B[:1])
    assert found["interval"] == "rows" and "sign test" in found["method"]
    assert found["p"] == pytest.approx(2 / 2**10)
    assert found["over_seeds"]["reason"] == "one seed says nothing about new seeds"
    assert found["over_seeds"]["sign_flip"] is None


def test_rows_that_a_seed_of_either_side_lacks_are_dropped() -> None:
    a, b = A.copy(), B.copy()
    a[0, 3] = b[2, 7] = NAN
    found = compared(a, b)
    kept = [index for index in range(10) if index not in (3, 7)]
    expected = seeds.seeds_and_rows_difference(A[:, kept], B[:, kept], kept).interval
    assert (found["n"], found["over_seeds"]["dropped"], found["over_rows"]["n_rows"]) == (8, 2, 10)
    assert (found["diff"], found["ci_low"]) == (pytest.approx(expected.mean), pytest.approx(expected.low))
    assert np.mean([one["diff"] for one in found["by_seed"]]) == pytest.approx(found["diff"])


# --- exact tests ----------------------------------------------------------------------------------------------------


def test_win_rate_counts_only_what_exceeds_the_margin() -> None:
    b = np.full((1, 6), 5.0)
    a = b - np.array([[1.0, 0.6, 0.5, 0.4, 0.0, -0.7]])
    found = compared(a, b)
    assert (found["win"], found["tie"], found["loss"]) == (4, 1, 1)
    assert (found["win_margin"], found["tie_margin"], found["loss_margin"]) == (2, 3, 1)
    rate = stats.wilson(2, 6)
    assert (found["win_rate"], found["win_rate_low"], found["win_rate_high"]) == (rate.mean, rate.low, rate.high)
    assert found["sign_test"] == {"p": pytest.approx(0.375), "win": 4, "tie": 1, "loss": 1, "n": 6}


def test_verdicts_are_compared_by_their_order() -> None:
    a, b = np.array([[2.0, 2, 5, 8, 2, 5]]), np.array([[5.0, 8, 8, 5, 2, 9]])
    grades = [["PASS" if x <= 3 else "PARTIAL" if x <= 6 else "FAIL" for x in side[0]] for side in (a, b)]
    expected = counts.grade_signs(*grades)
    found = compared(a, b)["verdicts"]
    assert (found["win"], found["tie"], found["loss"]) == (4, 1, 1)
    assert found["p"] == pytest.approx(expected.p)
    # Two seeds: each has one vote on a row. Row 0 is won twice, row 1 once and lost once, which is a tie.
    two = compared(np.array([[2.0, 2], [2, 8]]), np.array([[5.0, 5], [8, 5]]))["verdicts"]
    assert (two["win"], two["tie"], two["loss"]) == (1, 1, 0)


def test_mcnemar_one_seed_at_a_time() -> None:
    # Said "correct" in a alone on one row, in b alone on five, in clusters of two.
    a = np.array([[0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1]])
    b = np.array([[0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1]])
    found = rate(np.vstack([a, a]), np.vstack([b, a]), clusters=["p", "p", "q", "q", "r", "r", "s", "s"])
    first, second = found["mcnemar"]
    assert (first["seed"], first["both"], first["only_a"], first["only_b"], first["neither"]) == (0, 1, 1, 5, 1)
    assert first["p_rows"] == pytest.approx(counts.mcnemar(a[0] > 0.5, b[0] > 0.5).p) == pytest.approx(14 / 64)
    assert first["p_clusters"] == 0.5  # pair p is a tie, q and r go to a, s is a tie: two of two
    assert (second["seed"], second["only_a"], second["p_rows"]) == (1, 0, None)
    fractions = rate(np.array([[0.2, 0.9]]), np.array([[0.9, 0.9]]), variant="x")
    assert len(fractions["mcnemar"]) == 1


def test_rates_have_no_margin_and_stay_within_one() -> None:
    found = rate(np.array([[0.0, 0, 0, 0.1], [0, 0, 0.2, 0]]), np.array([[1.0, 1, 1, 0.9], [1, 1, 0.8, 1]]))
    assert "win_rate" not in found and "verdicts" not in found
    assert found["ci_low"] == -1.0 and found["ci_high"] < 0
    assert found["sign_test"]["win"] == 4


def test_equivalence_is_the_headline_interval_against_the_margin() -> None:
    a, b = A, A + 0.1 + sy.noise((3, 10), 9, of_rows=0.0, of_seeds=0.02)
    block = sy.block(sy.cell("bias", "mst", "UNBIASED", a), sy.cell("bias", "baseline", "none", b))
    cells = Cell(block, "mst", "UNBIASED"), Cell(block, "baseline", "none")
    found = comparisons.equivalence(*cells, block.metrics[0], 0.5)
    expected = stats.equivalence(seeds.seeds_and_rows_difference(a, b, range(10)).interval, 0.5)
    assert (found["equivalent"], found["interval"], found["margin"]) == (True, "seeds and rows", 0.5)
    assert (found["p"], found["ci90_low"], found["ci90_high"]) == pytest.approx(
        (expected.p, expected.low, expected.high)
    )
    assert comparisons.equivalence(*cells, block.metrics[0], 0.05)["equivalent"] is False


def test_step_over_seeds_and_rows() -> None:
    below, above = np.clip(0.1 + sy.noise((3, 8), 1, of_rows=0.02, rest=0.02), 0, 1), np.full((3, 8), 0.9)
    cells = [sy.cell("sycophancy", "mst", name, below) for name in ("33", "50", "60")]
    cells += [sy.cell("sycophancy", "mst", name, above - 0.1 * index) for index, name in enumerate(("75", "90"))]
    (step,) = comparisons.step_rows(sy.block(*cells, sy.cell("sycophancy", "mst", "0", below)))
    assert (step["labels_below"], step["labels_above"]) == (["33", "50", "60"], ["75", "90"])
    expected = seeds.seeds_and_rows(0.85 - below, range(8), bounds=stats.SHARE_DIFFERENCE).interval
    assert (step["diff"], step["ci_low"], step["interval"]) == (
        pytest.approx(expected.mean), pytest.approx(expected.low), "seeds and rows",
    )  # fmt: skip
    assert [one["diff"] for one in step["by_seed"]] == pytest.approx(list((0.85 - below).mean(axis=1)))


# --- the family -----------------------------------------------------------------------------------------------------

LEVELS = {
    ("ootb", "none"): 2.0, ("baseline", "none"): 5.0, ("mst", "UNBIASED"): 2.2, ("mst", "none"): 2.9,
    ("mst", "NEUTRAL"): 2.3, ("shuffled", "UNBIASED"): 4.0, ("shuffled", "none"): 4.0,
    ("least_biased", "none"): 3.2, ("arbitrary", "FRN"): 2.6, ("arbitrary", "none"): 2.6,
}  # fmt: skip


def names(row: dict[str, Any]) -> tuple[str, str]:
    return f"{row['arm_a']} {row['label_a']}", f"{row['arm_b']} {row['label_b']}"


def test_without_a_study_the_family_is_mst_against_baseline_and_shuffled() -> None:
    rows = family.comparison_rows([sy.planted("bias", LEVELS, (3, 20))])
    found = {names(row): row for row in rows}
    assert [names(row) for row in rows if row["confirmatory"]] == [
        ("mst UNBIASED", "baseline none"), ("mst UNBIASED", "shuffled UNBIASED"),
    ]  # fmt: skip
    assert set(found) == {
        ("mst UNBIASED", "baseline none"), ("mst UNBIASED", "shuffled UNBIASED"), ("mst UNBIASED", "mst none"),
        ("mst UNBIASED", "ootb none"), ("mst NEUTRAL", "mst UNBIASED"), ("mst NEUTRAL", "mst none"),
        ("shuffled UNBIASED", "shuffled none"), ("least_biased none", "baseline none"),
        ("least_biased none", "mst UNBIASED"), ("arbitrary FRN", "mst UNBIASED"), ("arbitrary FRN", "arbitrary none"),
    }  # fmt: skip
    one, two = rows[:2]
    assert [one["p_holm"], two["p_holm"]] == stats.holm([one["p"], two["p"]])
    assert one["family_size"] == 2 and found["mst UNBIASED", "mst none"]["p_holm"] is None
    assert (one["condition_a"], one["wording_b"], one["missing"]) == ("", "monitor", None)


def test_without_a_study_mst_against_the_base_and_other_arms_against_mst_are_tested_for_equivalence() -> None:
    rows = family.equivalence_rows([sy.planted("bias", LEVELS, (3, 20))])
    assert {names(row): row["margin"] for row in rows} == {
        ("mst UNBIASED", "ootb none"): 0.5, ("least_biased none", "mst UNBIASED"): 0.5,
        ("arbitrary FRN", "mst UNBIASED"): 0.5,
    }  # fmt: skip
    assert not any(row["declared"] for row in rows)
    rates = {("mst", "0"): 0.1, ("ootb", "none"): 0.3}
    rows = family.equivalence_rows([sy.planted("sycophancy", rates, (2, 12))])
    assert [(row["metric"], row["margin"]) for row in rows] == [("fpr", 0.05), ("accuracy", 0.05)]


def study(comparisons_: list[dict[str, Any]], equivalence: list[dict[str, Any]] | None = None, **more: Any) -> Study:
    content = {
        "name": "s", "experiment": "bias", "config": "c.yaml", "base": "micro", "seeds": [0, 1],
        "arms": {"ootb": {}, "baseline": {}, "mst": {}, "shuffled": {}}, "comparisons": comparisons_,
        "equivalence": equivalence or [],
    }  # fmt: skip
    return Study.model_validate(content | more)


def side(arm: str, label: str, **more: str) -> dict[str, str]:
    return {"arm": arm, "label": label, **more}


def test_a_study_declares_its_family_and_a_missing_comparison_stays_in_it() -> None:
    block = sy.planted("bias", LEVELS, (3, 20))
    declared = study(
        [
            {"a": side("mst", "held_out"), "b": side("baseline", "none"), "metric": "lexical_bias"},
            {"a": side("mst", "held_out"), "b": side("mst", "nonsense"), "metric": "lexical_bias"},
            {"a": side("mst", "held_out"), "b": side("baseline", "none"), "metric": "lexical_bias.pass"},
        ],
        [{"a": side("mst", "held_out"), "b": side("ootb", "none"), "metric": "lexical_bias", "margin": 1.0}],
    )
    rows = family.comparison_rows([block], declared)
    first, missing, third = (row for row in rows if row["confirmatory"])
    assert [row["declared"] for row in rows[:4]] == [True, True, True, False]
    assert "was not evaluated" in missing["missing"] and "mst with nonsense" in missing["missing"]
    assert (missing["diff"], missing["p_holm"], missing["n"]) == (None, None, 0)
    holm = stats.holm([first["p"], None, third["p"]])
    assert (first["p_holm"], third["p_holm"]) == (holm[0], holm[2])
    assert min(first["p_holm"], third["p_holm"]) == pytest.approx(3 * min(first["p"], third["p"]))  # of three, not two
    assert {row["family_size"] for row in rows if row["confirmatory"]} == {3}
    assert third["better"] == "higher" and third["diff"] > 0
    exploratory = {names(row) for row in rows if not row["confirmatory"]}
    assert ("mst UNBIASED", "baseline none") not in exploratory  # declared, so not shown twice
    assert ("mst UNBIASED", "shuffled UNBIASED") in exploratory
    equal = family.equivalence_rows([block], declared)
    assert (names(equal[0]), equal[0]["margin"], equal[0]["declared"]) == (("mst UNBIASED", "ootb none"), 1.0, True)
    assert len(equal) == 3
    table = pair_tables.comparison_table(rows)
    assert (
        table is not None
        and "Holm covers the 3 comparisons that the study file declares, 1 of them missing here" in (table.caption)
    )
    assert any("missing: mst with nonsense" in cell for line in table.rows for cell in line)
    assert {len(line) for line in table.rows} == {len(table.header)}


def test_a_comparison_over_fewer_seeds_than_planned_is_marked_and_keeps_its_p() -> None:
    """Five seeds are planned; mst has two of them, baseline three, and ootb is not trained."""
    lost = 4 + sy.noise((3, 10), 2)
    lost[2] = NAN  # of baseline's seeds one has nothing that was scored
    frame = sy.frame(
        sy.cell("bias", "mst", "UNBIASED", A[:2]), sy.cell("bias", "baseline", "none", B),
        sy.cell("bias", "shuffled", "UNBIASED", B), sy.cell("bias", "baseline", "UNBIASED", lost),
        sy.cell("bias", "ootb", "none", B[0]),
    )  # fmt: skip
    pairs = [("baseline", "none"), ("shuffled", "held_out"), ("baseline", "held_out"), ("mst", "none")]
    declared = study(
        [{"a": side("mst", "held_out"), "b": side(*pair), "metric": "lexical_bias"} for pair in pairs],
        [{"a": side("mst", "held_out"), "b": side("ootb", "none"), "metric": "lexical_bias"}],
        seeds=[0, 1, 2, 3, 4], arms={"ootb": {}, "baseline": {}, "mst": {}, "shuffled": {"seeds": [0, 1]}},
    )  # fmt: skip
    blocks = list(results.blocks(frame))
    rows = family.comparison_rows(blocks, declared)
    assert [(row["seeds_planned"], row["seeds_missing"]) for row in rows[:4]] == [
        ([0, 1, 2, 3, 4], [2, 3, 4]), ([0, 1], []), ([0, 1, 2, 3, 4], [2, 3, 4]), ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
    ]  # fmt: skip
    holm = stats.holm([row["p"] for row in rows[:4]])
    assert [row["p_holm"] for row in rows[:4]] == holm and holm[0] is not None
    table = pair_tables.comparison_table(rows)
    assert table is not None and pair_tables.FEWER in table.caption
    shown = [line[table.header.index("p (Holm)")] for line in table.rows]
    assert shown[0].endswith(" (2 of 5 seeds)") and "seeds" not in shown[1] and shown[3] == "–"
    assert pair_tables.fewer_seeds(rows[:4]) == [
        "lexical_bias, mst (UNBIASED) against baseline (none): 2 of 5 seeds that the study plans; missing: 2, 3, 4.",
        "lexical_bias, mst (UNBIASED) against baseline (UNBIASED): 2 of 5 seeds that the study plans; "
        "missing: 2, 3, 4.",
    ]
    exploratory = [row for row in rows if not row["declared"] and row["arm_b"] == "ootb"]
    assert exploratory[0]["seeds_missing"] == [2, 3, 4]
    equal = pair_tables.equivalence_table(family.equivalence_rows(blocks, declared))
    assert equal is not None and equal.rows[0][equal.header.index("seeds")] == "0, 1 (2 of 5 seeds)"
    assert pair_tables.FEWER in equal.caption
    alone = family.comparison_rows(blocks)
    assert {(row["seeds_planned"], tuple(row["seeds_missing"])) for row in alone} == {(None, ())}
    table = pair_tables.comparison_table(alone)
    assert table is not None and pair_tables.FEWER not in table.caption


def test_a_seed_of_which_nothing_was_scored_is_a_missing_one() -> None:
    lost = B.copy()
    lost[1] = NAN
    frame = sy.frame(sy.cell("bias", "mst", "UNBIASED", A), sy.cell("bias", "baseline", "none", lost))
    declared = study(
        [{"a": side("mst", "held_out"), "b": side("baseline", "none"), "metric": "lexical_bias"}], seeds=[0, 1, 2]
    )
    (row,) = [one for one in family.comparison_rows(list(results.blocks(frame)), declared) if one["declared"]]
    assert (row["seeds_planned"], row["seeds_missing"]) == ([0, 1, 2], [1])


def test_a_declared_comparison_may_span_conditions_and_wordings() -> None:
    values = 3 + sy.noise((2, 8), 1)
    frame = sy.frame(
        sy.cell("bias", "mst", "UNBIASED", values, condition="rate-0", base="micro-a"),
        sy.cell("bias", "mst", "UNBIASED", values + 1, condition="rate-1", base="micro-b"),
        sy.cell("bias", "mst", "UNBIASED", values + 2, condition="rate-1", base="micro-b", wording="evaluation"),
    )
    blocks = list(results.blocks(frame))
    assert len(blocks) == 3
    rate_0, rate_1 = side("mst", "held_out", condition="rate-0"), side("mst", "held_out", condition="rate-1")
    declared = study(
        [
            {"a": rate_1, "b": rate_0, "metric": "lexical_bias"},
            {"a": rate_1 | {"wording": "evaluation"}, "b": rate_0, "metric": "lexical_bias"},
        ]
    )
    first, second = family.comparison_rows(blocks, declared)
    assert (first["diff"], second["diff"]) == (pytest.approx(1), pytest.approx(2))
    assert (second["condition_a"], second["condition_b"], second["wording_a"], second["wording_b"]) == (
        "rate-1", "rate-0", "evaluation", "monitor",
    )  # fmt: skip
    assert (second["base_a"], second["base_b"]) == ("micro-b", "micro-a")
    table = pair_tables.comparison_table([first, second])
    assert table is not None and table.rows[1][1] == "mst (UNBIASED, rate-1, evaluation)"


def test_two_bases_at_one_address_are_not_chosen_between() -> None:
    cells = [
        sy.cell("bias", arm, label, 3 + sy.noise((2, 6), 1), base=base)
        for base in ("micro-a", "micro-b")
        for arm, label in (("mst", "UNBIASED"), ("baseline", "none"))
    ]
    declared = study([{"a": side("mst", "held_out"), "b": side("baseline", "none"), "metric": "lexical_bias"}])
    row = family.comparison_rows(list(results.blocks(sy.frame(*cells))), declared)[0]
    assert row["missing"].startswith("4 pairs of cells answer to mst with UNBIASED")


def test_other_data_is_never_paired() -> None:
    frame = sy.frame(
        sy.cell("bias", "mst", "UNBIASED", A), sy.cell("bias", "baseline", "none", B, data_sha256="e" * 64)
    )
    declared = study([{"a": side("mst", "held_out"), "b": side("baseline", "none"), "metric": "lexical_bias"}])
    (row,) = family.comparison_rows(list(results.blocks(frame)), declared)
    assert row["missing"].startswith("no two cells on the same data by the same measure")


# --- tables ---------------------------------------------------------------------------------------------------------


def test_tables_have_as_many_cells_as_titles_and_name_what_is_beside() -> None:
    block = sy.planted("bias", LEVELS, (5, 20))
    rows, equal, arms = family.comparison_rows([block]), family.equivalence_rows([block]), results.arm_rows(block)
    tables = [
        pair_tables.comparison_table(rows), pair_tables.tests_table(rows), pair_tables.equivalence_table(equal),
        pair_tables.over_seeds_table(arms),
    ]  # fmt: skip
    for table in tables:
        assert table is not None and table.rows
        assert {len(line) for line in table.rows} == {len(table.header)}
    beside = dict(zip(tables[1].header, tables[1].rows[0], strict=True))  # type: ignore[union-attr]
    assert beside["sign flip of seeds"] == "0.062 (≥ 0.062)"
    assert beside["sign test by cluster (win / tie / loss)"] == "< .001 (20 / 0 / 0)"
    over = {line[:3] for line in tables[3].rows}  # type: ignore[union-attr]
    assert ("mst", "UNBIASED", "lexical_bias") in over and not any(line[0] == "ootb" for line in over)
    assert pair_tables.comparison_table([]) is None and pair_tables.tests_table([]) is None
    assert pair_tables.equivalence_table([]) is None
    single = sy.planted("bias", LEVELS, (1, 20))
    assert pair_tables.over_seeds_table(results.arm_rows(single)) is None
