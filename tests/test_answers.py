import math

import pytest

from mst_evals.answers import choice_probability, parse_verdict, sigmoid


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("correct", "correct"),
        ("Correct", "correct"),
        ("Correct.", "correct"),
        ("CORRECT!", "correct"),
        ("**Correct**", "correct"),
        (' "correct" \n', "correct"),
        ("`correct`", "correct"),
        ("(correct)", "correct"),
        ("incorrect", "incorrect"),
        ("incorrect.", "incorrect"),
        ("Incorrect.\n", "incorrect"),
        ("_incorrect_", "incorrect"),
        ("not correct", None),
        ("Correct, well done", None),
        ("correct incorrect", None),
        ("correct or incorrect", None),
        ("incorrectly", None),
        ("in correct", None),
        ("The answer is correct.", None),
        ("correct?", None),
        ("yes", None),
        ("", None),
        ("   ", None),
        ("correct" * 2, None),
        ("сorrect", None),  # a Cyrillic first letter
    ],
)
def test_parse_verdict(reply, verdict):
    assert parse_verdict(reply) == verdict


def test_choice_probability_is_the_two_way_softmax():
    assert choice_probability(math.log(0.2), math.log(0.6)) == pytest.approx(0.25)
    assert choice_probability(1.0, 1.0) == 0.5
    assert choice_probability(3.0, 1.0, temperature=2.0) == pytest.approx(sigmoid(1.0))


@pytest.mark.parametrize("offset", [0.0, -1000.0, 1000.0])
def test_a_common_offset_cancels(offset):
    assert choice_probability(2.0 + offset, 1.0 + offset) == pytest.approx(sigmoid(1.0))


@pytest.mark.parametrize(("gap", "expected"), [(1000.0, 1.0), (-1000.0, 0.0)])
def test_extreme_differences_do_not_overflow(gap, expected):
    assert choice_probability(gap, 0.0) == expected
    assert choice_probability(0.0, -gap) == expected


def test_both_options_sum_to_one():
    assert choice_probability(0.3, -1.2) + choice_probability(-1.2, 0.3) == pytest.approx(1)


def test_tensors_take_the_same_function():
    torch = pytest.importorskip("torch")
    a, b = torch.tensor([0.3, 1000.0]), torch.tensor([-1.2, 0.0])
    probabilities = choice_probability(a, b, link=torch.sigmoid)
    assert probabilities.tolist() == pytest.approx([choice_probability(0.3, -1.2), 1.0])
