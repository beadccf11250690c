from collections import Counter

import pytest

from mst_evals import labels, variants
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
    agreement = sum(a == b for a, b in zip(given, true, strict=True)) / len(true)
    assert agreement < 0.5


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
        asked = [evaluation.label for evaluation in arm.evaluations()]
        assert len(asked) == len(set(asked))
        assert set(arm.deployed_with) <= set(asked)
        assert (set(labels.CONTROLS) <= set(asked)) == arm.has_labels
        assert all(arm.axis.label(label) for label in asked)


@BOTH
def test_every_arm_declares_one_change_against_a_known_reference(experiment):
    arms = variants.ARMS[experiment]
    assert list(arms) == ["ootb", "baseline", "mst", "shuffled"]
    assert all(arm.changes for arm in arms.values())
    assert all(arm.reference in arms for arm in arms.values() if arm.name != "ootb")


def test_the_prompt_control_is_an_evaluation_of_the_baseline():
    assert variants.arm("bias", "baseline").deployed_with == (labels.NONE, labels.UNBIASED)


def test_unknown_arms_and_experiments():
    with pytest.raises(InputError, match="unknown arm 'magic' of bias: expected one of ootb, baseline, mst, shuffled"):
        variants.arm("bias", "magic")
    with pytest.raises(InputError, match="unknown experiment 'coding'"):
        variants.arm("coding", "mst")
    with pytest.raises(InputError, match="unknown wording"):
        variants.arm("bias", "mst").evaluations("loud")
