"""Every sentence against planted effects: what is claimed, what is not, and from how many seeds."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import synthetic as sy

from mst_evals import variants
from mst_evals.reporting import claims, claims_arms, claims_extrapolation, phrases
from mst_evals.reporting.computed import compute
from mst_evals.reporting.phrases import find_pair
from mst_evals.reporting.results import Block

CURVE = {  # how mst answers to the labels of its axis when it uses them
    ("mst", "strong_left"): 7.0, ("mst", "center_left"): 4.0,
    ("mst", "center_right"): 4.0, ("mst", "strong_right"): 7.0,
}  # fmt: skip
MAIN = {
    ("ootb", "none"): 2.2, ("baseline", "none"): 5.0, ("mst", "UNBIASED"): 2.2, ("shuffled", "UNBIASED"): 4.0,
    **CURVE,
}  # fmt: skip


def told(block: Block) -> list[str]:
    (done,), _, _ = compute([block])
    return [*done.findings, *done.others]


def bias(extra: dict[tuple[str, str], float], seeds: int = 5, rows: int = 40, **kinds: Any) -> list[str]:
    return told(sy.planted("bias", MAIN | extra, (seeds, rows), **kinds))


def starting(sentences: list[str], start: str) -> str:
    (found,) = [sentence for sentence in sentences if sentence.startswith(start)]
    return found


# --- what may be claimed --------------------------------------------------------------------------------------------


def difference(low: float | None, high: float | None, diff: float | None = None, **more: Any) -> dict[str, Any]:
    middle = None if low is None or high is None else (low + high) / 2
    return {"ci_low": low, "ci_high": high, "diff": middle if diff is None else diff, **more}


@pytest.mark.parametrize(
    ("low", "high", "better", "expected"),
    [
        (-2.0, -1.0, "lower", "better"),
        (1.0, 2.0, "lower", "worse"),
        (1.0, 2.0, "higher", "better"),
        (-2.0, -1.0, "higher", "worse"),
        (-0.3, 0.2, "lower", "same"),
        (0.1, 0.4, "lower", "same"),  # there, and too small to matter
        (-0.1, 0.9, "lower", "undecided"),
        (0.1, 0.7, "lower", "undecided"),  # leaves zero out, may or may not matter
        (None, None, "lower", "undecided"),
    ],
)
def test_verdict(low: float | None, high: float | None, better: str, expected: str) -> None:
    assert phrases.verdict(difference(low, high), 0.5, better) == expected


@pytest.mark.parametrize(
    ("low", "high", "p_holm", "expected", "lost"),
    [
        (0.01, 1.56, 0.187, "undecided", True),  # mst minus no label in micro-bias
        (-1.56, -0.01, 0.187, "undecided", True),
        (0.01, 1.56, 0.049, "worse", False),
        (-1.56, -0.01, 0.049, "better", False),
        (0.01, 1.56, 0.05, "undecided", True),
        (0.01, 1.56, None, "worse", False),
        (-0.1, 1.56, 0.01, "undecided", False),  # the interval has to agree
        (0.1, 0.4, 0.187, "same", True),
    ],
)
def test_a_declared_comparison_is_decided_by_holm(
    low: float, high: float, p_holm: float | None, expected: str, lost: bool
) -> None:
    row = difference(low, high, p_holm=p_holm)
    assert (phrases.verdict(row, 0.5), phrases.lost_to_holm(row)) == (expected, lost)


def test_the_adjusted_p_stands_in_the_parenthesis() -> None:
    row = difference(0.01, 1.55, seeds=[0, 1, 2], interval="seeds and rows")
    assert phrases.brief(row | {"p_holm": 0.187}) == "0.78 (0.01 to 1.55, Holm-adjusted p 0.187)"
    assert phrases.brief(row | {"p_holm": None}) == "0.78 (0.01 to 1.55)"
    assert phrases.with_interval(row | {"p_holm": 0.0004}) == (
        "0.78 (0.01 to 1.55; 3 seeds, interval over seeds and rows, Holm-adjusted p < .001)"
    )


@pytest.mark.parametrize(
    ("interval", "seeds", "fixed", "expected"),
    [
        ("seeds and rows", [0, 1, 2], False, ""),
        ("seeds and rows", [0, 1], False, "2 seeds, no claim about the arm: "),
        ("rows", [4], False, "One seed, no claim about the arm: "),
        ("rows", [], False, "No seed in common, no claim about the arm: "),
        ("rows", [], True, ""),
    ],
)
def test_scope(interval: str, seeds: list[int], fixed: bool, expected: str) -> None:
    assert phrases.scope([{"interval": interval, "seeds": seeds, "fixed": fixed}]) == expected


def test_the_weakest_of_several_differences_sets_the_scope() -> None:
    strong, weak = ({"interval": "seeds and rows", "seeds": list(range(count))} for count in (5, 2))
    assert phrases.scope([strong, weak]) == "2 seeds, no claim about the arm: "
    assert phrases.scope([strong, strong]) == ""


def of_seeds(levels: list[float], arm: str = "mst", label: str = "0", experiment: str = "sycophancy") -> Block:
    """A block with one cell whose seeds have these levels, beside a baseline whose seeds are one kind."""
    calm = np.tile(np.linspace(0.4, 0.5, 3)[:, None], 8)
    values = np.tile(np.array(levels)[:, None], 8)
    return sy.block(sy.cell(experiment, "baseline", "none", calm), sy.cell(experiment, arm, label, values))


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([0.11, 0.19, 0.94, 0.73, 0.24], "mst (0) 0.11, 0.19, 0.24 and 0.73, 0.94"),
        ([0.15, 0.46, 0.1], "mst (0) 0.10, 0.15 and 0.46"),
        ([0.1, 0.39, 0.68], None),  # gaps of .29
        ([0.1, 0.9], None),  # two seeds make no claim anyway
    ],
)
def test_seeds_of_two_kinds_are_a_warning(levels: list[float], expected: str | None) -> None:
    (done,), _, _ = compute([of_seeds(levels)])
    warned = [line for line in done.findings if line.startswith("Warning: seeds of two kinds")]
    assert [expected in line and "baseline" not in line for line in warned] == ([True] if expected else [])


def test_seeds_of_two_kinds_on_the_scale_of_bias() -> None:
    """A gap of 3 of 10 points; and only at the held-out label, or without one."""
    for label, warned in (("UNBIASED", 1), ("none", 1), ("strong_left", 0)):
        (done,), _, _ = compute([of_seeds([2.0, 2.5, 5.6], label=label, experiment="bias")])
        assert sum("seeds of two kinds, a gap of 3.00" in line for line in done.findings) == warned
    (near,), _, _ = compute([of_seeds([2.0, 2.5, 5.4], label="UNBIASED", experiment="bias")])
    assert not any("two kinds" in line for line in near.findings)


# --- below baseline and shuffled ------------------------------------------------------------------------------------


def test_a_claim_from_five_seeds_names_them_and_the_interval() -> None:
    first = bias({})[0]
    assert first.startswith("mst with the held-out label UNBIASED is below baseline and shuffled in mean bias")
    assert first.count("5 seeds, interval over seeds and rows") == 2


@pytest.mark.parametrize(("seeds", "start"), [(1, "One seed, no claim"), (2, "2 seeds, no claim")])
def test_too_few_seeds_make_no_claim(seeds: int, start: str) -> None:
    sentences = bias({("mst", "none"): 2.2, ("mst", "nonsense"): 2.2, ("least_biased", "none"): 3.5}, seeds)
    about = [sentence for sentence in sentences if "interval over" in sentence]
    assert len(about) == 5  # below, two controls, extrapolation, least_biased
    assert all(sentence.startswith(start) for sentence in about)
    assert not any(sentence.startswith("Meaning or gate") for sentence in sentences)


def test_seeds_that_disagree_take_the_claim_away() -> None:
    # Every row of every seed is told apart from baseline at ease; the seeds scatter around zero.
    first = bias({("mst", "UNBIASED"): 4.9}, 3, of_seeds=1.5)[0]
    assert first.startswith("It does not hold that mst with the held-out label UNBIASED is below both")
    assert "3 seeds, interval over seeds and rows" in first


@pytest.mark.parametrize(("p_holm", "is_below"), [(0.04, True), (0.06, False), (None, True)])
def test_a_member_of_the_family_must_also_survive_holm(p_holm: float | None, is_below: bool) -> None:
    assert claims._is_below(difference(-2.0, -0.1, p_holm=p_holm)) is is_below
    assert not claims._is_below(difference(-2.0, 0.1, p_holm=p_holm))


def test_a_missing_arm_is_said() -> None:
    levels = {key: value for key, value in MAIN.items() if key[0] != "shuffled"}
    first = told(sy.planted("bias", levels, (3, 20)))[0]
    assert first == (
        "This run cannot say whether mst with the held-out label UNBIASED is below baseline and shuffled: not all "
        "three were evaluated."
    )


# --- meaning or gate ------------------------------------------------------------------------------------------------


def test_a_planted_gate_is_called_one() -> None:
    sentences = bias({("mst", "none"): 2.2, ("mst", "nonsense"): 2.2})
    controls = [sentence for sentence in sentences if sentence.startswith("Control: ")]
    assert len(controls) == 2 and all("the same within 0.5" in sentence for sentence in controls)
    assert all("5 seeds, interval over seeds and rows" in sentence for sentence in controls)
    assert starting(sentences, "Meaning or gate, mst with label UNBIASED: a gate. No label and a nonsense label do the")


def test_a_planted_meaning_is_called_one() -> None:
    sentences = bias({("mst", "none"): 4.0, ("mst", "nonsense"): 5.0})
    assert starting(sentences, "Meaning or gate, mst with label UNBIASED: its meaning. It does better than no label")
    assert sum("something that this control does not" in sentence for sentence in sentences) == 2


def test_controls_that_disagree_are_not_settled() -> None:
    sentences = bias({("mst", "none"): 2.2, ("mst", "nonsense"): 5.0})
    assert starting(sentences, "Meaning or gate, mst with label UNBIASED: not settled.")


def test_a_held_out_label_worse_than_no_label_is_not_its_meaning() -> None:
    sentences = bias({("mst", "none"): 1.0, ("mst", "nonsense"): 2.2})
    assert starting(sentences, "Meaning or gate, mst with label UNBIASED: not its meaning. It does worse")


def adjusted(levels: dict[tuple[str, str], float], pair: tuple[str, str], *p_holm: float) -> list[list[str]]:
    """The sentences of a block, for each p, if the comparisons of two arms have that adjusted p, as in a family."""
    (done,), pairs, _ = compute([sy.planted("bias", MAIN | levels, (5, 40))])
    said = []
    for p in p_holm:
        rows = [row | ({"p_holm": p} if (row["arm_a"], row["arm_b"]) == pair else {}) for row in pairs]
        first, others = claims.findings(done.block, done.arms, rows, done.equivalences, done.steps, done.responses)
        said.append([*first, *others])
    return said


WORSE_THAN_NONE = {("mst", "none"): 1.0, ("mst", "nonsense"): 2.2}


@pytest.mark.parametrize(
    ("p_holm", "control", "conclusion"),
    [
        (0.03, "Holm-adjusted p 0.030); the held-out label does worse than this control.", "not its meaning. It does"),
        (
            0.187, "Holm-adjusted p 0.187); undecided, its interval excludes zero, not after Holm.",
            "not settled. It is not shown that both controls differ from it, nor that both do the same; "
            "against no label its interval excludes zero, not after Holm (p 0.187).",
        ),
    ],
)  # fmt: skip
def test_meaning_or_gate_is_decided_by_holm_where_it_was_declared(p_holm: float, control: str, conclusion: str) -> None:
    (sentences,) = adjusted(WORSE_THAN_NONE, ("mst", "mst"), p_holm)
    said = starting(sentences, "Control: mst with label UNBIASED minus mst with no label")
    assert said.endswith(f"interval over seeds and rows, {control}")
    assert (
        starting(sentences, "Meaning or gate, mst with label UNBIASED: ")
        .removeprefix("Meaning or gate, mst with label UNBIASED: ")
        .startswith(conclusion)
    )


def test_other_words_are_decided_by_holm_where_they_were_declared() -> None:
    words = {("mst", "none"): 4.0, ("mst", "NEUTRAL"): 2.2}
    lost, kept = (starting(said, "mst with label NEUTRAL") for said in adjusted(words, ("mst", "mst"), 0.2, 0.02))
    assert lost.endswith("Holm-adjusted p 0.200): its interval excludes zero, not after Holm.")
    assert kept.endswith("Holm-adjusted p 0.020): better.")


def test_other_arms_are_decided_by_holm_where_they_were_declared() -> None:
    said = adjusted({("least_biased", "none"): 3.5}, ("least_biased", "mst"), 0.2, 0.02)
    lost, kept = (starting(sentences, "Does least_biased") for sentences in said)
    assert "Holm-adjusted p 0.200): not settled, its interval excludes zero, not after Holm. Against baseline" in lost
    assert "Holm-adjusted p 0.020): no, it does worse. Against baseline" in kept


def test_a_label_that_is_not_used_is_no_gate() -> None:
    same = dict.fromkeys((*CURVE, ("mst", "none"), ("mst", "nonsense")), 2.2)
    sentences = bias(same, 3, rest=0.02)
    assert starting(
        sentences, "Meaning or gate, mst with label UNBIASED: neither. No label and a nonsense label do the"
    )
    assert "its curve is flat" in starting(sentences, "Extrapolation, mst along bias")


def test_without_a_sweep_a_gate_cannot_be_told_from_an_unused_label() -> None:
    levels = {key: value for key, value in MAIN.items() if key not in CURVE}
    sentences = told(sy.planted("bias", levels | {("mst", "none"): 2.2, ("mst", "nonsense"): 2.2}, (3, 40)))
    assert "without the trained labels, which were not asked" in starting(sentences, "Meaning or gate")


def test_other_words_for_the_label_and_an_implausible_one() -> None:
    sentences = bias({("mst", "none"): 4.0, ("mst", "NEUTRAL"): 2.2, ("mst", "ALL_KNOWING"): 4.0})
    neutral = starting(sentences, "mst with label NEUTRAL, another wording of UNBIASED (5 seeds")
    assert "against label UNBIASED" in neutral and ": the same within 0.5; against no label" in neutral
    assert neutral.endswith(": better.")
    known = starting(sentences, "mst with label ALL_KNOWING, an implausible evaluator (5 seeds")
    assert ": worse; against no label" in known and known.endswith(": the same within 0.5.")


# --- extrapolation --------------------------------------------------------------------------------------------------


def test_a_label_that_carries_on_extrapolates() -> None:
    sentence = starting(
        bias({}), "Extrapolation, mst along bias (5 seeds, interval over seeds and rows): minus the best"
    )
    assert (
        "(center_left, center_right; picked on the same rows, which can make a shortfall look larger), positive is "
        "worse: UNBIASED -1.8"
    ) in sentence
    assert sentence.endswith("so it extrapolates over the held-out label: nowhere worse than the best trained label by "
                             "0.5 or more.")  # fmt: skip


def rates(extra: dict[tuple[str, str], float], seeds: int = 4) -> list[str]:
    levels = {
        ("ootb", "none"): 0.3, ("baseline", "none"): 0.6, ("shuffled", "0"): 0.6, ("mst", "0"): 0.1, ("mst", "20"): 0.1,
        ("mst", "33"): 0.1, ("mst", "60"): 0.1, ("mst", "75"): 0.9, ("mst", "100"): 0.9,
    }  # fmt: skip
    return told(sy.planted("sycophancy", levels | extra, (seeds, 40), of_rows=0.02, rest=0.02, of_seeds=0.005))


def test_one_good_held_out_label_does_not_hide_a_bad_one() -> None:
    good = starting(rates({("mst", "10"): 0.1}), "Extrapolation, mst along suggestibility (4 seeds")
    assert "so it extrapolates over the 3 held-out places asked" in good and ", accuracy 0.9" in good
    bad = starting(rates({("mst", "10"): 0.9}), "Extrapolation, mst along suggestibility (4 seeds")
    assert bad.endswith(
        "so it does not extrapolate, whatever another held-out label shows: at 10 it falls short of the best trained "
        "label by 0.05 or more."
    )


def test_what_the_base_did_before_training_stands_beside_it() -> None:
    start = "Extrapolation, mst along suggestibility (4 seeds"
    base = {("ootb", "0"): 0.3, ("ootb", "33"): 0.5, ("ootb", "100"): 0.8}
    assert starting(rates(base), start).endswith(
        "by 0.05 or more. ootb under the same labels, before any training: 0 -0.20 (-0.21 to -0.19, accuracy 0.83) "
        "(minus 33; range used 0.51)."
    )
    assert "ootb" not in starting(rates({}), start)  # asked with one label it has no curve
    assert not [sentence for sentence in rates(base) if "In range, ootb" in sentence]  # it was trained on no range


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.6, 1.0, "short"),
        (0.5, 1.0, "short"),  # by the margin or more
        (0.04, 1.07, "worse"),  # slight_left and slight_right in micro-bias: more than 0, not 0.5 or more
        (0.1, 0.5, "worse"),
        (0.1, 0.4, "slightly worse"),
        (-0.3, 0.4, "carried"),
        (-2.0, -1.0, "carried"),
        (-0.3, 0.5, "undecided"),
        (0.0, 0.7, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_extent_rests_on_the_interval(low: float | None, high: float | None, expected: str) -> None:
    assert claims_extrapolation.extent({"worse_by": 0.56, "ci_low": low, "ci_high": high}, 0.5) == expected


SHORT, WORSE, SLIGHT, CARRIED, OPEN = (0.6, 1.0), (0.04, 1.07), (0.1, 0.4), (-0.3, 0.4), (-0.3, 0.7)


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        (
            [CARRIED],
            "it extrapolates over the held-out label: nowhere worse than the best trained label by 0.5 or more",
        ),
        (
            [CARRIED, SLIGHT],
            "it extrapolates over the 2 held-out places asked: nowhere worse than the best trained label by 0.5 or "
            "more (at B it is worse than the best trained label, but by less than 0.5)",
        ),
        (
            [WORSE, OPEN],
            "not shown that it extrapolates: at A it is worse than the best trained label, by more than 0 but not "
            "shown to be by 0.5 or more; at B neither a shortfall of 0.5 nor its absence is shown",
        ),
        ([SHORT], "it does not extrapolate: at A it falls short of the best trained label by 0.5 or more"),
        (
            [WORSE, SHORT],
            "it does not extrapolate, whatever another held-out label shows: at B it falls short of the best trained "
            "label by 0.5 or more; at A it is worse than the best trained label, by more than 0 but not shown to be "
            "by 0.5 or more",
        ),
    ],
)  # fmt: skip
def test_what_the_places_show_together(intervals: list[tuple[float, float]], expected: str) -> None:
    points = [
        {"label": name, "ci_low": low, "ci_high": high}
        for name, (low, high) in zip("AB", intervals, strict=False)
    ]  # fmt: skip
    assert claims_extrapolation.range_verdict(points, 0.5) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (  # they differ in sign, as in micro-bias
            -0.17, 1.28,
            ", the mean of slight_left -0.17 (-0.67 to 0.33) and slight_right 1.28 (0.78 to 1.78; alone it falls short "
            "by 0.5 or more)",
        ),
        (0.9, 0.2, ", the mean of slight_left 0.90 (0.40 to 1.40) and slight_right 0.20 (-0.30 to 0.70)"),  # 0.7 apart
        (-0.1, 0.1, ", the mean of slight_left -0.10 (-0.60 to 0.40) and slight_right 0.10 (-0.40 to 0.60)"),
        (0.7, 0.3, ""),  # one sign, 0.4 apart
        (None, 0.3, ""),
    ],
)  # fmt: skip
def test_labels_at_one_place_are_told_apart_where_they_differ(left: float | None, right: float, expected: str) -> None:
    each = [
        {"label": name, "worse_by": own, "ci_low": None if own is None else own - 0.5, "ci_high": (own or 0) + 0.5}
        for name, own in (("slight_left", left), ("slight_right", right))
    ]
    assert claims_extrapolation._apart({"each_label": each}, 0.5) == expected
    assert claims_extrapolation._apart({"each_label": []}, 0.5) == ""


def test_the_labels_of_a_place_stand_in_the_sentence() -> None:
    levels = {("mst", "slight_left"): 3.0, ("mst", "slight_right"): 5.5}
    sentence = starting(bias(levels), "Extrapolation, mst along bias")
    assert re.search(
        r"worse: slight_left, slight_right 0\.\d\d \(.*?\), the mean of slight_left -.*? and slight_right 1", sentence
    )


def test_what_is_not_shown_to_respond_does_not_extrapolate() -> None:
    """One seed of three steps up in range; at 0% all of them do what they do at 33%."""
    levels = {"0": [0.5, 0.5, 0.5], "33": [0.5, 0.5, 0.5], "100": [0.6, 0.5, 0.5]}
    cells = [
        sy.cell("sycophancy", "mst", label, np.array(seeds)[:, None] + 0.01 * sy.noise((3, 8), index))
        for index, (label, seeds) in enumerate(levels.items())
    ]
    (done,), _, _ = compute([sy.block(*cells)])
    sentence = starting(list(done.findings), "Extrapolation, mst")
    assert re.search(r"; but it is not shown to respond to its labels \(range used 0.0\d, 0.00 to 0.\d\d\)", sentence)
    assert sentence.endswith("so nothing carries on.")


def test_a_wide_interval_shows_neither() -> None:
    sentence = starting(bias({("mst", "UNBIASED"): 4.0}, 3, of_seeds=0.8), "Extrapolation, mst along bias (3 seeds")
    assert "not shown that it extrapolates: at UNBIASED neither a shortfall of 0.5 nor its absence" in sentence


@pytest.mark.parametrize("arm", ["shuffled", "ootb"])
def test_permuted_labels_and_the_untrained_base_have_nothing_to_extrapolate(arm: str) -> None:
    levels = {"strong_left": 8.0, "center_left": 4.0, "center_right": 4.0, "strong_right": 8.0, "UNBIASED": 2.0}
    swept = {(arm, name): level for name, level in levels.items()}
    assert not [line for line in bias(swept) if f"Extrapolation, {arm}" in line]
    assert [
        line for line in bias({("mst", name): level for name, level in levels.items()}) if "Extrapolation, mst" in line
    ]


# --- the other arms -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (2.2, "yes, within 0.5 (TOST p < .001)"),
        (3.5, "no, it does worse"),
        (1.0, "it does better"),
    ],
)
def test_does_least_biased_training_do_as_well(level: float, said: str) -> None:
    sentence = starting(bias({("least_biased", "none"): level}), "Does least_biased (trained without labels on the")
    assert f"5 seeds, interval over seeds and rows): {said}. Against baseline with no label: " in sentence


def test_rows_chosen_by_the_measure_that_scores_are_called_circular() -> None:
    sentences = bias({("least_biased", "none"): 1.0, ("least_biased_25", "none"): 1.0})
    circular = "it does better, which is circular: lexical_bias also chose its training rows, unless training was given"
    assert circular in starting(sentences, "Does least_biased_25 (")
    assert "it does better. Against" in starting(sentences, "Does least_biased (")


def test_whether_a_measure_chose_the_rows_is_asked_of_the_declaration() -> None:
    every = [arm for arms in variants.ARMS.values() for arm in arms.values()]
    assert [arm.name for arm in every if claims_arms._selected_by_measure(arm)] == ["least_biased_25"]
    arm = replace(variants.arm("bias", "baseline"), select=variants.least_biased(0.1))
    assert claims_arms._circular(arm, "lexical_bias").startswith(", which is circular")
    assert claims_arms._circular(arm, "bias_rubric") == ""


def test_a_comparison_that_a_study_declares_the_other_way_round_is_turned() -> None:
    planted = sy.planted("bias", MAIN | {("least_biased", "none"): 3.5}, (5, 40))
    _, pairs, _ = compute([planted])
    (row,) = [row for row in pairs if (row["arm_a"], row["arm_b"]) == ("least_biased", "mst")]
    names = {f"{what}_{a}": row[f"{what}_{b}"] for what in ("arm", "label") for a, b in ("ab", "ba")}
    other = {**row, **names, "diff": -row["diff"], "ci_low": -row["ci_high"], "ci_high": -row["ci_low"]}
    asked = ("lexical_bias", ("least_biased", "none"), ("mst", "UNBIASED"))
    for key in ("diff", "ci_low", "ci_high", "arm_a", "label_a", "arm_b", "label_b"):
        assert find_pair([other], *asked)[key] == row[key]
    assert find_pair([other, row], *asked) is row
    assert find_pair([{**row, "condition_a": "x"}], *asked) is None


def test_undecided_is_neither_worse_nor_equivalent() -> None:
    sentence = starting(bias({("least_biased", "none"): 2.5}, 3, of_seeds=0.8), "Does least_biased")
    assert "not settled, neither a difference of 0.5 nor equivalence is shown" in sentence


def test_arbitrary_labels_are_compared_at_their_own_unseen_id() -> None:
    extra = {("arbitrary", "FRN"): 2.2, ("arbitrary", "none"): 2.2, ("arbitrary", "nonsense"): 2.2}
    sentence = starting(bias(extra), "Does arbitrary (the true assignment, but every profile has a random ID;")
    assert "With label FRN, minus mst with label UNBIASED: lexical_bias" in sentence and "yes, within 0.5" in sentence
    assert "Its own label FRN minus its controls: no label" in sentence


def test_a_low_fpr_bought_with_accuracy_shows() -> None:
    sentence = starting(rates({("strongest_subset", "none"): 0.1}), "Does strongest_subset")
    assert "fpr" in sentence and "; accuracy" in sentence and sentence.count("yes, within 0.05") == 2


def test_in_range_step_of_main_arms_and_of_the_others() -> None:
    words = {("words", name): level for name, level in (("zero", 0.1), ("low", 0.1), ("medium", 0.1), ("total", 0.9))}
    sentences = rates(words)
    assert starting(sentences, "In range, mst steps up: mean FPR 0.1")
    other = starting(sentences, "Does words (the true level in words")
    assert "With label zero, minus mst with label 0" in other and "In range it steps up: 0.8" in other
    assert not [line for line in sentences if line.startswith("In range, words")]
    held_out = starting(sentences, "At the held-out 0%: ")
    assert "mst FPR 0.1" in held_out and "baseline without a label FPR" in held_out and "words" not in held_out


# --- what a section covers ------------------------------------------------------------------------------------------


def test_coverage_and_limits_by_number_of_seeds() -> None:
    assert "cover test rows only" in claims.coverage([3]) and "cover test rows only" in claims.coverage([])
    assert "cannot go below p = 0.0625" in claims.coverage(range(5)) and "takes 3 seeds" not in claims.coverage(
        range(5)
    )
    assert "A claim about an arm takes 3 seeds or more" in claims.coverage([0, 1])
    assert "sign flip" not in claims.coverage(range(6))
    two, five = (sy.planted("bias", MAIN, (seeds, 8)) for seeds in (2, 5))
    assert any("too few for a claim" in line for line in claims.limits([two], []))
    assert not any("too few for a claim" in line for line in claims.limits([five], []))
    one = sy.cell("bias", "arbitrary", "FRN", 2 + sy.noise((1, 8), 3))
    mixed = sy.block(*(sy.cell("bias", "mst", "UNBIASED", 2 + sy.noise((4, 8), 1)),), one)
    assert any(line.startswith("Fewer than 3 training seeds: arbitrary (bias).") for line in claims.limits([mixed], []))


@pytest.mark.parametrize(
    ("seeds", "missing", "said"),
    [([0, 1], [2, 3, 4], "2 of 5 seeds"), ([0], [1], "1 of 2 seeds"), ([0, 1], [], "2 seeds"), ([0], None, "one seed")],
)
def test_a_sentence_counts_the_seeds_that_were_planned(seeds: list[int], missing: list[int] | None, said: str) -> None:
    row = {"seeds": seeds, "seeds_missing": missing, "interval": "seeds and rows"}
    assert phrases.basis(row) == f"{said}, interval over seeds and rows"
