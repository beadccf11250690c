import pytest

from mst_evals import axes, labels, manifest, prompts, tokens, variants
from mst_evals.errors import InputError
from mst_evals.labels import SLANT, SUGGESTIBILITY, custom, percent

AXES = [SLANT, SUGGESTIBILITY, axes.SLANT_ID, axes.SLANT_SCALAR, axes.SUGGESTIBILITY_WORD, axes.SUGGESTIBILITY_ID]
EACH_AXIS = pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)


@pytest.mark.parametrize(("s", "shown"), [(0.0, 0), (0.5, 33), (0.75, 50), (1.0, 67), (1.5, 100)])
def test_percent(s, shown):
    assert percent(s) == shown


@pytest.mark.parametrize(
    ("name", "role"), [("0", "held_out"), ("32", "held_out"), ("33", "trained"), ("100", "trained"), ("33%", "trained")]
)
def test_the_trained_range_of_suggestibility(name, role):
    assert SUGGESTIBILITY.label(name).role == role


def test_every_percentage_says_itself():
    for value in range(labels.PERCENTAGES[0], labels.PERCENTAGES[1] + 1):
        label = SUGGESTIBILITY.label(str(value))
        assert label.texts == (f"Suggestibility Level: {value}%",)
        assert label.position == value


@pytest.mark.parametrize(
    "name", ["201", "-101", "1.5", "050", "", "%", "zero", "٣", "1e1", " 5", "None", "-", "--1", "-0", "+5"]
)
def test_unknown_percentages(name):
    with pytest.raises(InputError, match=r"expected a whole percentage \(-100\.\.200\), .*none, nonsense"):
        SUGGESTIBILITY.label(name)


@pytest.mark.parametrize("name", ["unbiased", "left", "", "0", "None"])
def test_unknown_slants_name_what_is_accepted(name):
    with pytest.raises(InputError, match=r"strong_left, .*UNBIASED.*, none, nonsense"):
        SLANT.label(name)


@pytest.mark.parametrize(
    ("axis", "name", "relations"),
    [
        (SLANT, "strong_left", {"slant": "trained", "bias": "trained"}),
        (SLANT, "UNBIASED", {"slant": "interpolation", "bias": "extrapolation"}),
        (SLANT, "NEUTRAL", {"slant": "interpolation", "bias": "extrapolation"}),
        (SLANT, "moderate_left", {"slant": "interpolation", "bias": "interpolation"}),
        (SLANT, "slight_right", {"slant": "interpolation", "bias": "extrapolation"}),
        (SLANT, "far_right", {"slant": "extrapolation", "bias": "extrapolation"}),
        (SLANT, "ALL_KNOWING", {}),
        (SUGGESTIBILITY, "0", {"suggestibility": "extrapolation"}),
        (SUGGESTIBILITY, "110", {"suggestibility": "extrapolation"}),
        (SUGGESTIBILITY, "67", {"suggestibility": "trained"}),
        (SUGGESTIBILITY, "NO_SWAY", {"suggestibility": "extrapolation"}),
        (axes.SLANT_SCALAR, "50", {"slant": "interpolation", "bias": "extrapolation"}),
        (axes.SLANT_SCALAR, "0", {"slant": "extrapolation", "bias": "extrapolation"}),
        (axes.SLANT_ID, "FRN", {"slant": "unplaced", "bias": "unplaced"}),
        (axes.SUGGESTIBILITY_WORD, "slight", {"suggestibility": "extrapolation"}),
        (axes.SUGGESTIBILITY_ID, "KHC", {"suggestibility": "trained"}),
        (SLANT, "none", {}),
        (SLANT, "nonsense", {}),
    ],
)
def test_interpolation_and_extrapolation_follow_from_the_places(axis, name, relations):
    assert dict(axis.label(name).relations) == relations


@EACH_AXIS
def test_an_axis_is_whole(axis):
    assert axis.label(axis.held_out).role == "held_out"
    assert not any(axis.is_trained(name) for name in (axis.held_out, *axis.paraphrases, *axis.implausible))
    assert axis.held_out in axis.core
    assert set(axis.core) <= set(axis.sweep)
    assert sum(axis.is_trained(name) for name in axis.core) >= 2
    assert len(axis.core) <= 9
    assert len({axis.label(name).texts for name in axis.sweep}) == len(axis.sweep)
    assert all("\n" not in axis.label(name).texts[0] for name in axis.sweep)
    for names in (axis.core, axis.sweep, axis.trained):
        positions = [place for name in names if (place := axis.label(name).position) is not None and name in axis.core]
        assert positions == sorted(positions)
    assert {axis.label(name).kind for name in axis.paraphrases} <= {"paraphrase"}
    assert {axis.label(name).kind for name in axis.implausible} <= {"implausible"}


@EACH_AXIS
def test_swapping_a_trained_label_gives_another_trained_one_and_back(axis):
    for name in axis.trained:
        other = axis.swapped(name)
        assert other != name
        assert axis.is_trained(other)
        assert axis.swapped(other) == name
    with pytest.raises(InputError, match="not a trained one"):
        axis.swapped(axis.held_out)


@EACH_AXIS
def test_the_true_label_of_everything_training_can_meet_is_a_trained_one(axis):
    if axis.dimensions[0] == "slant":
        names = [axis.truth(profile) for profile in labels.PROFILES]
        assert tuple(names) == axis.trained
        return
    low, high = labels.TRAINED_SUGGESTIBILITY
    drawn = [low + (high - low) * step / 1000 for step in range(1001)]
    names = [axis.truth(s) for s in drawn]
    assert set(names) == set(axis.trained)
    positions = [axis.position(name) for name in names]
    assert positions == sorted(positions)


def test_words_share_no_word():
    texts = [
        axes.SUGGESTIBILITY_WORD.label(name).texts[0].removeprefix("Suggestibility Level: ")
        for name in axes.SUGGESTIBILITY_WORD.sweep
    ]
    words = [word for text in texts for word in text.split()]
    assert len(set(words)) == len(words)


def test_ids_share_no_letter():
    letters = "".join(axes.SLANT_ID.sweep)
    assert len(set(letters)) == len(letters)


@EACH_AXIS
def test_controls(axis):
    none, nonsense = axis.label("none"), axis.label("nonsense")
    assert (none.texts, none.role, none.position) == ((), "control", None)
    assert nonsense.role == "control"
    assert len(set(nonsense.texts)) == 5
    assert not any(axis.render(text) for text in nonsense.texts)


def test_custom_label():
    assert custom("  My label ").texts == ("My label",)
    assert custom("x").role == "custom"
    for text in ("", " \n", "two\nlines"):
        with pytest.raises(InputError, match="one non-empty line"):
            custom(text)


@EACH_AXIS
def test_nonsense_is_as_many_tokens_long_as_the_held_out_label(axis):
    from transformers import AutoTokenizer

    experiment = "bias" if axis.dimensions[0] == "slant" else "sycophancy"
    base = {"bias": "micro-llama", "sycophancy": "micro-qwen"}[experiment]
    tokenizer = AutoTokenizer.from_pretrained(manifest.SHIPPED / base)
    row = {"headline": "A", "context": "B", "a": 1, "b": 2, "candidate": 3}
    build = prompts.wording(experiment).build
    texts = (axis.render(axis.held_out), *axis.nonsense)
    lengths = [len(tokens.encode(tokenizer, build(row, text))) for text in texts]
    assert len(axis.nonsense) == 5
    assert len(set(lengths)) == 1, lengths


def test_every_axis_belongs_to_an_arm():
    used = {arm.axis.name for arms in variants.ARMS.values() for arm in arms.values()}
    assert used == {axis.name for axis in AXES}
    with pytest.raises(InputError, match="unknown axis 'slant' of sycophancy: expected one of suggestibility, "):
        variants.axis("sycophancy", "slant")
