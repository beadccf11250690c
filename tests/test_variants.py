from collections import Counter

import pytest

from mst_evals import axes, labels, variants
from mst_evals.errors import InputError

TRUE = {
    "bias": [name for name in labels.PROFILES for _ in range(25)],
    "sycophancy": [str(value) for value in range(33, 101)],
}
BOTH = pytest.mark.parametrize("experiment", variants.EXPERIMENTS)


@BOTH
def test_what_each_arm_is_trained_on(experiment):
    true = TRUE[experiment]
    assert variants.arm(experiment, "baseline").training_labels(true, 0) == [None] * len(true)
    assert variants.arm(experiment, "mst").training_labels(true, 0) == true
    with pytest.raises(InputError, match="'ootb' is not trained"):
        variants.arm(experiment, "ootb").training_labels(true, 0)


@BOTH
def test_shuffled_is_a_permutation_recorded_by_its_seed(experiment):
    true, arm = TRUE[experiment], variants.arm(experiment, "shuffled")
    given = arm.training_labels(true, 0)
    assert Counter(given) == Counter(true)
    assert given != true
    assert given == arm.training_labels(true, 0)
    assert given != arm.training_labels(true, 1)


@BOTH
def test_noise_grows_with_its_probability_and_nests(experiment):
    true = TRUE[experiment] * 20
    wrong = []
    for name, probability in (("noisy_10", 0.1), ("noisy_25", 0.25), ("noisy_50", 0.5)):
        given = variants.arm(experiment, name).training_labels(true, 0)
        changed = {index for index, pair in enumerate(zip(given, true, strict=True)) if pair[0] != pair[1]}
        chance = sum((count / len(true)) ** 2 for count in Counter(true).values())
        expected, spread = probability * (1 - chance) * len(true), len(true) ** 0.5
        assert abs(len(changed) - expected) < 4 * spread * probability**0.5
        wrong.append(changed)
    assert wrong[0] < wrong[1] < wrong[2]


@pytest.mark.parametrize(
    ("experiment", "name"), [("bias", "UNBIASED"), ("sycophancy", "0"), ("sycophancy", "32"), ("bias", "none")]
)
@pytest.mark.parametrize("arm", ["mst", "shuffled"])
def test_held_out_labels_and_controls_never_occur_in_training(experiment, name, arm):
    with pytest.raises(InputError, match="held out and may not occur in training"):
        variants.arm(experiment, arm).training_labels([*TRUE[experiment], name], 0)


@BOTH
def test_every_label_trained_arm_is_asked_with_both_controls(experiment):
    for arm in variants.ARMS[experiment].values():
        for asked in ("deployed", "core", "all"):
            names = [evaluation.label for evaluation in arm.evaluations(asked=asked)]
            assert len(names) == len(set(names))
            assert set(arm.deployed_with) <= set(names)
            assert (set(labels.CONTROLS) <= set(names)) == arm.has_labels
            assert all(arm.axis.label(label) for label in names)
        if arm.has_labels:
            assert set(arm.axis.sweep) <= set(names)


@BOTH
def test_every_arm_of_the_spec_is_there_and_declares_one_change_against_a_known_reference(experiment):
    arms = variants.ARMS[experiment]
    shared = ["ootb", "baseline", "mst", "shuffled", "arbitrary", "inoculation", "noisy_10", "noisy_25", "noisy_50"]
    own = {"bias": ["least_biased", "least_biased_25", "scalar"], "sycophancy": ["strongest_subset", "words", "plain"]}
    assert sorted(arms) == sorted([*shared, *own[experiment]])
    assert list(arms)[:4] == list(variants.MAIN)
    for name, arm in arms.items():
        assert arm.name == name
        assert (arm.reference is None) == (name == "ootb")
        assert arm.reference is None or arm.reference in arms


def test_the_prompt_control_is_an_evaluation_of_the_baseline():
    assert variants.arm("bias", "baseline").deployed_with == (labels.NONE, labels.UNBIASED)


def test_least_biased_keeps_the_lowest_share_and_the_order_of_the_rows():
    rows = [{"id": str(i)} for i in range(8)]
    scores = dict(zip("01234567", (5, 1, 9, 1, 0, 7, 2, 1), strict=True))
    kept = variants.least_biased(0.5)(rows, lambda row: scores[row["id"]])
    assert [row["id"] for row in kept] == ["1", "3", "4", "7"]
    assert [row["id"] for row in variants.least_biased(0.25)(rows, lambda row: scores[row["id"]])] == ["1", "4"]


def test_arms_of_other_encodings_are_asked_on_their_own_axis():
    assert variants.arm("bias", "arbitrary").deployed_with == (axes.SLANT_ID.held_out,)
    assert variants.arm("sycophancy", "words").deployed_with == ("zero",)


def test_unknown_arms_and_experiments():
    with pytest.raises(InputError, match="unknown arm 'magic' of bias: expected one of ootb, baseline, mst, shuffled"):
        variants.arm("bias", "magic")
    with pytest.raises(InputError, match="unknown experiment 'coding'"):
        variants.arm("coding", "mst")
    with pytest.raises(InputError, match="unknown wording"):
        variants.arm("bias", "mst").evaluations("loud")
