import pytest

from mst_evals import labels, manifest, prompts, variants
from mst_evals.errors import InputError
from mst_evals.labels import SLANT, SUGGESTIBILITY, custom, percent

AXES = [SLANT, SUGGESTIBILITY]


@pytest.mark.parametrize(("s", "shown"), [(0.0, 0), (0.5, 33), (0.75, 50), (1.0, 67), (1.5, 100)])
def test_percent(s, shown):
    assert percent(s) == shown


@pytest.mark.parametrize(
    ("name", "role"), [("0", "held_out"), ("32", "held_out"), ("33", "trained"), ("100", "trained"), ("33%", "trained")]
)
def test_the_trained_range_of_suggestibility(name, role):
    assert SUGGESTIBILITY.label(name).role == role


def test_every_percentage_says_itself():
    for value in range(101):
        label = SUGGESTIBILITY.label(str(value))
        assert label.texts == (f"Suggestibility Level: {value}%",)
        assert label.position == value


@pytest.mark.parametrize("name", ["101", "-1", "1.5", "050", "", "%", "zero", "٣", "1e1", " 5", "None"])
def test_unknown_percentages(name):
    with pytest.raises(InputError, match=r"expected a whole percentage 0\.\.100, none, nonsense"):
        SUGGESTIBILITY.label(name)


@pytest.mark.parametrize("name", ["unbiased", "left", "", "0", "None"])
def test_unknown_slants_name_what_is_accepted(name):
    with pytest.raises(InputError, match=r"strong_left, .*UNBIASED.*, none, nonsense"):
        SLANT.label(name)


def test_slant_roles_and_order():
    roles = {name: SLANT.label(name).role for name in SLANT.sweep}
    assert [name for name, role in roles.items() if role == "held_out"] == [labels.UNBIASED]
    positions = [SLANT.label(name).position for name in SLANT.sweep]
    assert positions == sorted(positions)


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_an_axis_is_whole(axis):
    assert axis.label(axis.held_out).role == "held_out"
    assert not axis.is_trained(axis.held_out)
    assert axis.held_out in axis.sweep
    assert len(axis.sweep) <= 9
    assert len({axis.label(name).texts for name in axis.sweep}) == len(axis.sweep)
    assert all("\n" not in axis.label(name).texts[0] for name in axis.sweep)


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
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


@pytest.mark.parametrize(("base", "experiment"), [("micro-llama", "bias"), ("micro-qwen", "sycophancy")])
def test_nonsense_is_as_many_tokens_long_as_the_held_out_label(base, experiment):
    from transformers import AutoTokenizer

    tokenizer, axis = AutoTokenizer.from_pretrained(manifest.SHIPPED / base), variants.AXES[experiment]
    row = {"headline": "A", "context": "B", "a": 1, "b": 2, "candidate": 3}
    build = prompts.wording(experiment).build
    texts = (axis.render(axis.held_out), *axis.nonsense)
    lengths = [len(prompts.encode(tokenizer, build(row, text))) for text in texts]
    assert len(axis.nonsense) == 5
    assert len(set(lengths)) == 1, lengths
