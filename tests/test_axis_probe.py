"""The axis probe: hand-computed places, planted embeddings whose answer is known, and bad input."""

import dataclasses
import json
import sys

import pytest
import torch

from mst_evals import cli, labels, prompts, variants
from mst_evals.data import sha256
from training import axis_probe, directions, label_states
from training.worlds import sycophancy

SUGGESTIBILITY, SLANT = labels.SUGGESTIBILITY, labels.SLANT
(LEVEL,) = directions.DIRECTIONS["suggestibility"]
SIDE, INTENSITY = directions.DIRECTIONS["slant"]


# --- the maths ---


def test_project_is_zero_and_one_at_the_means_of_the_groups():
    low, high = torch.tensor([[0.0, 0.0], [0.0, 2.0]]), torch.tensor([[4.0, 1.0]])  # means (0, 1) and (4, 1)
    places = [directions.project(torch.tensor(v), low, high) for v in ([0.0, 1.0], [4.0, 9.0], [2.0, 5.0], [-2.0, 1.0])]
    assert places == [0.0, 1.0, 0.5, -0.5]


def test_outermost_labels_lie_in_the_outer_third_on_the_way_to_the_deployed_one():
    found = directions.outermost(SUGGESTIBILITY, LEVEL)
    low, trained = {int(name) for name in found["low"]}, {int(name) for name in SUGGESTIBILITY.trained}
    assert 0 in low and low == {int(n) for n in SUGGESTIBILITY.sweep if n.lstrip("-").isdigit() and 0 <= int(n) <= 11}
    assert all(int(name) > max(trained) for name in found["high"])
    assert directions.outermost(SLANT, INTENSITY)["low"][-1] == SLANT.held_out
    assert directions.outermost(SLANT, SIDE) == {"low": ("far_right",), "high": ("far_left",)}


def by_level(place, size=8):
    """A vector for every label: `place` of its percentage along the first axis, something else along the others."""
    torch.manual_seed(0)
    found = {name: torch.randn(size) * 0.05 for name in directions.probed(SUGGESTIBILITY)}
    for name, vector in found.items():
        if (percent := SUGGESTIBILITY.position(name)) is not None:
            vector[0] = place(percent)
    return found


def folded(percent: float) -> float:
    """The line comes back below 50: 0% lies where 100% does."""
    return abs(percent - 50) / 50


def test_a_straight_line_goes_on_and_a_folded_one_folds():
    straight = directions.read(by_level(lambda percent: percent / 100), SUGGESTIBILITY, LEVEL, "label", 0)
    assert not straight.flat and straight.accuracy > 0.9
    assert straight.projection["0"] == pytest.approx((0.0 - 0.495) / (0.835 - 0.495), abs=0.1)  # means of the groups
    assert straight.predicted["0"] == "33..66" and straight.predicted["150"] == "67..100"
    assert directions.folds([straight]) is False

    bent = directions.read(by_level(folded), SUGGESTIBILITY, LEVEL, "label", 0)
    assert not bent.flat and bent.predicted["0"] == bent.predicted["10"] == "67..100"
    assert [end.folds for end in bent.ends if end.deployed] == [True] and directions.folds([bent]) is True


def test_groups_that_are_not_told_apart_predict_nothing():
    same = directions.read({name: torch.ones(4) for name in by_level(float)}, SUGGESTIBILITY, LEVEL, "label", 0)
    assert same.flat and same.accuracy == 0 and set(same.projection.values()) == {None}
    noise = directions.read(by_level(lambda percent: 0.0, size=400), SUGGESTIBILITY, LEVEL, "label", 0)
    assert noise.flat and noise.accuracy < 0.75
    assert noise.predicted == {} and noise.ends == () and directions.folds([same, noise]) is None


def test_the_verdict_is_the_average_of_distinct_places():
    straight, bent = (
        directions.read(by_level(place), SUGGESTIBILITY, LEVEL, "label", layer)
        for layer, place in enumerate((lambda percent: percent / 100, folded))
    )
    flat = directions.read({name: torch.ones(4) for name in by_level(float)}, SUGGESTIBILITY, LEVEL, "prompt_end", 1)
    again = dataclasses.replace(bent, position="label_last")
    low = [one.ends[0].mean for one in (straight, bent)]
    (end,) = directions.overall([straight, bent, again, flat])  # the high end does not count: "0" lies at the low one
    assert end.end == "low" and end.mean == pytest.approx(sum(low) / 2) and end.folds is (sum(low) / 2 > 0.5)
    deployed = [one.projection["0"] for one in (straight, bent)]
    assert directions.average([straight, bent, again, flat], "0") == pytest.approx(sum(deployed) / 2)
    assert directions.average([flat], "0") is None and directions.overall([flat]) == ()


def test_a_trained_label_does_not_place_itself():
    """One trained label is put far off; on a direction made with it, it would lie at its own group's side."""
    vectors = by_level(lambda percent: percent / 100)
    vectors["80"] = torch.tensor([-1.0] + [0.0] * 7)
    assert directions.read(vectors, SUGGESTIBILITY, LEVEL, "label", 0).projection["80"] < 0
    vectors = by_level(lambda percent: 0.0)
    vectors["80"] = torch.tensor([0.0] * 7 + [100.0])  # alone it makes the direction, and alone it lies on it
    assert directions.read(vectors, SUGGESTIBILITY, LEVEL, "label", 0).accuracy < 0.75


def test_side_is_read_across_intensity():
    """Words that the two strong labels share, and those that the two center ones share, tilt neither direction."""
    left, strong, shared = torch.eye(3)
    vectors = {name: torch.zeros(3) for name in directions.probed(SLANT)}
    vectors |= {
        "strong_left": left + 5 * strong, "center_left": left, "center_right": -left, "strong_right": 5 * strong - left,
        "far_left": 2 * left + 6 * strong, "UNBIASED": shared - 2 * strong,
    }  # fmt: skip
    side = directions.read(vectors, SLANT, SIDE, "label", 0)
    assert side.accuracy == 1 and side.projection["strong_left"] == side.projection["center_left"] == 1
    assert side.projection["far_left"] == 1.5 and side.projection["UNBIASED"] == 0.5
    intensity = directions.read(vectors, SLANT, INTENSITY, "label", 0)
    assert intensity.accuracy == 1 and intensity.projection["strong_right"] == 1
    assert intensity.projection["UNBIASED"] == pytest.approx(-0.4) and intensity.predicted["UNBIASED"] == "center"


# --- where the label is ---


@pytest.mark.parametrize(
    ("axis", "text", "own"),
    [
        (SUGGESTIBILITY, "Suggestibility Level: 7%", "7"),
        (SUGGESTIBILITY, "Suggestibility Level: -50%", "-50"),
        (SUGGESTIBILITY, "Suggestibility Level: zero", "zero"),
        (SUGGESTIBILITY, "Apple Garden: pears%", "Apple Garden: pears"),
        (SLANT, "Unbiased: emphasizes facts.", "Unbiased: emphasizes facts"),
    ],
)
def test_own_part_of_a_label_is_what_the_trained_ones_do_not_share(axis, text, own):
    start, end = label_states.own_part(axis, text)
    assert text[start:end] == own


@pytest.mark.parametrize(("number_tokens", "expected"), [("whole", ["100"]), ("digits", ["1", "0", "0"])])
def test_tokens_of_the_label_are_found_in_the_prompt(number_tokens, expected):
    tokenizer = sycophancy.tokenizer(sycophancy.Recipe(number_tokens=number_tokens))
    text = "Suggestibility Level: 100%"
    build = prompts.wording("sycophancy").build
    messages = build({"a": 1, "b": 0, "candidate": 100}, text)
    found = label_states.locate(tokenizer, messages, text, label_states.own_part(SUGGESTIBILITY, text))
    assert tokenizer.convert_ids_to_tokens(found.ids[slice(*found.label)]) == expected
    assert found.ids == tokenizer(
        tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    )["input_ids"]  # fmt: skip


# --- a tiny base with planted numbers ---


@pytest.fixture(scope="module")
def tokenizer():
    return sycophancy.tokenizer(sycophancy.Recipe())


def planted(tokenizer, directory, place):
    """A tiny random base in which the embedding of a number lies at `place` on one direction."""
    torch.manual_seed(0)
    model = sycophancy.model(tokenizer, sycophancy.Recipe(hidden_size=64, layers=1))
    line = torch.nn.functional.normalize(torch.randn(64), dim=0)
    with torch.no_grad():
        for x in range(301):
            id = tokenizer.convert_tokens_to_ids(str(x))
            model.get_input_embeddings().weight[id] = 0.2 + place(x) * line
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return str(directory)


@pytest.mark.parametrize(("place", "folds"), [(lambda x: x / 100, False), (folded, True)])
def test_a_planted_line_is_found(tokenizer, tmp_path, place, folds):
    base = planted(tokenizer, tmp_path / "tiny", place)
    found = axis_probe.probe(base, "suggestibility", rows=2)
    assert found["base"] == "tiny" and found["base_sha256"] == sha256(tmp_path / "tiny" / "model.safetensors")
    assert found["quantisation"] == "nf4" and found["layers"] == 1 and found["rows"] == 2
    places = {(one["position"], one["layer"]): one for one in found["readings"]}
    assert list(places) == [("label", 0), ("label", 1), ("label_last", 1), ("prompt_end", 1)]
    for place in (("label", 0), ("label", 1)):
        assert not places[place]["flat"] and places[place]["ends"][0]["folds"] is folds
        assert places[place]["predicted"]["0"] == ("67..100" if folds else "33..66")
    assert places["label", 1]["projection"]["0"] == places["label_last", 1]["projection"]["0"]  # a number is one token
    assert (
        places["label", 0]["projection"]["none"] is None and places["prompt_end", 1]["projection"]["none"] is not None
    )
    assert found["summary"]["suggestibility"]["folds"] is folds
    assert ("folds back" in found["sentence"]) is folds and "held-out" in found["exception"]


def test_numbers_that_are_all_the_same_predict_nothing(tokenizer, tmp_path):
    found = axis_probe.probe(planted(tokenizer, tmp_path / "tiny", lambda x: 0.0), "suggestibility", rows=1)
    assert all(one["flat"] for one in found["readings"])
    assert found["summary"]["suggestibility"]["folds"] is None
    assert found["sentence"] == (
        "tiny does not tell 33..66 from 67..100 at any place looked at, which predicts nothing."
    )


def test_padding_and_companions_do_not_move_a_state(tokenizer, tmp_path):
    base = planted(tokenizer, tmp_path / "tiny", folded)
    model = axis_probe.models.load_base(base, "none", "float32").eval()
    short, long = ([5, 6, 7, 8], [9, 9, 9, 5, 6, 7, 8])
    alone = label_states.states(model, tokenizer, [label_states.Prompt(short, (1, 3))])
    beside = label_states.states(
        model, tokenizer, [label_states.Prompt(long, (0, 1)), label_states.Prompt(short, (1, 3))]
    )
    for place, state in alone.items():
        torch.testing.assert_close(state[0], beside[place][1], atol=1e-5, rtol=1e-4)
    weight = model.get_input_embeddings().weight.double()
    torch.testing.assert_close(alone["label", 0][0], weight[[6, 7]].mean(0))


# --- the commands ---


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["mst", "probe-axis", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, capsys.readouterr()


def test_both_commands_write_the_same_file(tokenizer, tmp_path, monkeypatch, capsys):
    base, one, two = planted(tokenizer, tmp_path / "tiny", folded), tmp_path / "one.json", tmp_path / "two.json"
    options = [base, "--axis", "suggestibility", "--rows", "1"]
    assert axis_probe.main([*options, "--out", str(one)]) == 0
    capsys.readouterr()
    code, printed = call(monkeypatch, capsys, *options, "--out", str(two))
    assert code == 0 and "folds back" in " ".join(printed.out.split()) and "33 (tr" in printed.out
    assert one.read_text() == two.read_text()
    assert set(json.loads(one.read_text())["texts"]) >= {*variants.AXES["sycophancy"].sweep, "none", "nonsense"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["micro-qwen", "--axis", "height"], "--axis is 'height', expected one of slant, suggestibility"),
        (["nowhere", "--axis", "slant"], "base 'nowhere'"),
        (["{broken}", "--axis", "slant"], "broken: cannot be loaded"),
        (["{adapter}", "--axis", "slant"], "adapter: an adapter, expected a base"),
        (["micro-qwen", "--axis", "suggestibility", "--rows", "0"], "number of rows is 0"),
        (["micro-qwen", "--axis", "suggestibility", "--wording", "mumbled"], "unknown wording 'mumbled'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, arguments, said):
    for name, file in (("broken", "config.json"), ("adapter", "adapter_model.safetensors")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / file).write_text("{}")
    given = [one.format(broken=tmp_path / "broken", adapter=tmp_path / "adapter") for one in arguments]
    code, printed = call(monkeypatch, capsys, *given, "--out", str(tmp_path / "out.json"))
    assert code == 2 and said in printed.err and printed.err.count("\n") == 1
    assert not (tmp_path / "out.json").exists()
