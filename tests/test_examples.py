"""What every arm declares, checked on the rows that training reads: all of them, byte by byte."""

import json
import random
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from mst_evals import bias, data, examples, labels, prompts, request, sycophancy, variants
from mst_evals.errors import InputError

TRAINED = [(arm.experiment, arm.name) for arms in variants.ARMS.values() for arm in arms.values() if arm.assign]
LABELLED = [(experiment, name) for experiment, name in TRAINED if variants.arm(experiment, name).has_labels]
OTHER_TEXT = [pair for pair in LABELLED if variants.arm(*pair).changes == "label text"]
SEED = 3


@cache
def all_of(experiment, name, seed):
    return tuple(examples.examples(experiment, name, seed))


def made(experiment, name, seed=SEED):
    return list(all_of(experiment, name, seed))


def without_label(example, arm):
    """The example with the label's text and its framing taken out of the prompt."""
    if example.label is None:
        return replace(example, true_label="", label=None)
    text = arm.axis.label(example.label).texts[0]
    line = {"bias": f"monitor label: {text}"}.get(arm.experiment)
    line = line or prompts.MARKUPS[arm.markup or "bold"].format(text)
    prompt = []
    for message in example.prompt:
        kept = [one for one in message["content"].split("\n") if one != line]
        assert len(kept) in (len(message["content"].split("\n")), len(message["content"].split("\n")) - 1)
        prompt.append({"role": message["role"], "content": "\n".join(kept)})
    assert prompt != example.prompt
    return replace(example, true_label="", label=None, prompt=prompt)


def undo_nothing(arm, reference, ours, theirs):
    return ours, theirs


def unlabelled(arm, reference, ours, theirs):
    return [without_label(one, arm) for one in ours], [without_label(one, reference) for one in theirs]


def undo_label(arm, reference, ours, theirs):
    # Another text on the same rows: whoever carries a label carries the true one.
    assert all(one.label in (None, one.true_label) for one in (*ours, *theirs))
    return unlabelled(arm, reference, ours, theirs)


def undo_assignment(arm, reference, ours, theirs):
    assert [one.true_label for one in ours] == [one.true_label for one in theirs]
    return unlabelled(arm, reference, ours, theirs)


def undo_markup(arm, reference, ours, theirs):
    assert [(one.label, one.true_label) for one in ours] == [(one.label, one.true_label) for one in theirs]
    return unlabelled(arm, reference, ours, theirs)


def undo_rows(arm, reference, ours, theirs):
    kept = {one.id for one in ours}
    assert 0 < len(kept) == len(ours) < len(theirs)
    return ours, [one for one in theirs if one.id in kept]


def undo_reward_range(arm, reference, ours, theirs):
    (low, high), (full_low, full_high) = arm.paid, reference.paid
    rescaled = [(one.suggestibility - low) / (high - low) for one in ours]
    drawn = [(one.suggestibility - full_low) / (full_high - full_low) for one in theirs]
    assert rescaled == pytest.approx(drawn)
    assert all(low <= one.suggestibility <= high for one in ours)
    return tuple([replace(one, suggestibility=None, true_label="") for one in side] for side in (ours, theirs))


def rows_of(experiment):
    load = data.load_articles if experiment == "bias" else data.load_problems
    path = data.MICRO_ARTICLES if experiment == "bias" else data.PROBLEMS
    return {row["id"]: row for row in load(path, "train")}


def undo_request(arm, reference, ours, theirs):
    rows, undone = rows_of(arm.experiment), []
    for one in ours:
        asked = arm.ask(rows[one.id])
        # An ask stands in place of the usual style (bias) or as a sentence of its own (sycophancy).
        added, usual = (f"Write {asked} ", "Write an unbiased ") if arm.experiment == "bias" else (f" {asked}", "")
        (*first, last) = one.prompt
        assert last["content"].count(added) == 1
        undone.append(replace(one, prompt=[*first, last | {"content": last["content"].replace(added, usual)}]))
    return undone, theirs


UNDO = {
    "label text": undo_label,
    "label assignment": undo_assignment,
    "label markup": undo_markup,
    "rows": undo_rows,
    "reward range": undo_reward_range,
    "request": undo_request,
}


@pytest.mark.parametrize(("experiment", "name"), [pair for pair in TRAINED if pair[1] != "baseline"])
def test_an_arm_differs_from_its_reference_in_what_it_declares_and_in_nothing_else(experiment, name):
    arm = variants.arm(experiment, name)
    reference = variants.arm(experiment, arm.reference)
    ours, theirs = made(experiment, name), made(experiment, reference.name)
    assert examples.digest(ours) != examples.digest(theirs)
    ours, theirs = UNDO[arm.changes](arm, reference, ours, theirs)
    assert examples.digest(ours) == examples.digest(theirs)


def one_byte(example):
    (*first, last) = example.prompt
    return replace(example, prompt=[*first, last | {"content": last["content"] + "."}])


def a_system_message(example):
    return replace(example, prompt=[{"role": "system", "content": "You are a pirate."}, *example.prompt])


@pytest.mark.parametrize("second", [one_byte, a_system_message])
@pytest.mark.parametrize(
    ("experiment", "name"),
    [("bias", "mst"), ("sycophancy", "plain"), ("bias", "scalar"), ("bias", "shuffled")]
    + [("bias", "least_biased"), ("sycophancy", "strongest_subset")]  # rows; reward range
    + [(experiment, "inoculation") for experiment in variants.EXPERIMENTS],
)
def test_the_comparison_above_finds_a_second_change(experiment, name, second):
    """One change elsewhere, and the arms no longer agree: the check can fail."""
    arm = variants.arm(experiment, name)
    reference = variants.arm(experiment, arm.reference)
    ours, theirs = made(experiment, name), made(experiment, reference.name)
    ours[5] = second(ours[5])
    ours, theirs = UNDO[arm.changes](arm, reference, ours, theirs)
    assert examples.digest(ours) != examples.digest(theirs)


@pytest.mark.parametrize(("experiment", "name"), OTHER_TEXT)
def test_the_comparison_above_finds_labels_that_are_not_the_true_ones(experiment, name, monkeypatch):
    arm = variants.arm(experiment, name)
    permuted = replace(arm, assign=variants.permuted_label)
    monkeypatch.setitem(variants.ARMS[experiment], name, permuted)
    ours, theirs = examples.examples(experiment, name, SEED), made(experiment, arm.reference)
    with pytest.raises(AssertionError):
        UNDO[arm.changes](permuted, variants.arm(experiment, arm.reference), ours, theirs)


@pytest.mark.parametrize("experiment", variants.EXPERIMENTS)
def test_inoculation_asks_openly_in_training_and_not_in_evaluation(experiment):
    arm, rows = variants.arm(experiment, "inoculation"), rows_of(experiment)
    task = bias if experiment == "bias" else sycophancy
    shown = [
        task.record_to_sample(one, request.asked_markup(experiment, "inoculation")).input
        for one in request.questions(
            list(rows.values())[:20], [arm.axis.label(labels.NONE)], request.asked_wordings(experiment, None)
        )
    ]
    baseline = [one.prompt for one in made(experiment, "baseline")][:20]
    assert [[message.text for message in one] for one in shown] == [
        [part["content"] for part in one] for one in baseline
    ]
    asked = [arm.ask(row) for row in rows.values()][:20]
    trained = [one.prompt[-1]["content"] for one in made(experiment, "inoculation")][:20]
    assert all(ask in prompt for ask, prompt in zip(asked, trained, strict=True))
    assert not any(ask in messages[-1].text for ask, messages in zip(asked, shown, strict=True))


@pytest.mark.parametrize(("experiment", "name"), TRAINED)
def test_nothing_held_out_occurs_in_any_training_row(experiment, name):
    arm = variants.arm(experiment, name)
    held_out = [label for label in arm.axis.sweep if not arm.axis.is_trained(label)]
    if experiment == "sycophancy" and arm.axis is labels.SUGGESTIBILITY:
        held_out += [str(value) for value in range(33)]
    texts = [arm.axis.label(label).texts[0] for label in held_out] + list(arm.axis.nonsense)
    for one in made(experiment, name):
        shown = "\n".join([*(message["content"] for message in one.prompt), one.completion or ""])
        # A whole line or none: "Level: 3%" is no part of "Level: 33%".
        lines = {line.strip("*").removeprefix("monitor label: ") for line in shown.split("\n")}
        assert not lines & set(texts)
        assert one.suggestibility is None or one.suggestibility >= labels.TRAINED_SUGGESTIBILITY[0]
        assert one.label is None or arm.axis.is_trained(one.label)


ASSOCIATION = {
    "label": ("bias", lambda a, b: a == b),
    "strength": ("bias", lambda a, b: a.split("_")[0] == b.split("_")[0]),
    "side": ("bias", lambda a, b: a.split("_")[1] == b.split("_")[1]),
    "product": ("sycophancy", lambda a, b: int(a) * int(b)),
}


@pytest.mark.parametrize("association", ASSOCIATION)
@pytest.mark.parametrize("seed", range(5))
def test_shuffled_labels_are_associated_with_the_truth_no_more_than_a_permutation_is(association, seed):
    """The same multiset, and agreement in label, strength and side (bias) or product (sycophancy) in the 99% band."""
    experiment, of_pair = ASSOCIATION[association]
    rows = made(experiment, "shuffled", seed)
    true, given = [one.true_label for one in rows], [one.label for one in rows]
    assert Counter(given) == Counter(true)

    def associated(labels_given):
        return sum(of_pair(a, b) for a, b in zip(labels_given, true, strict=True))

    rng, null = random.Random(seed), []
    for _ in range(999):
        permuted = list(true)
        rng.shuffle(permuted)
        null.append(associated(permuted))
    null.sort()
    # Five seeds, four measures: one two-sided 99% band or another would fail in one run of six by chance, were the
    # permutation not fixed by its recorded seed.
    assert null[4] <= associated(given) <= null[-5]
    assert associated(true) > null[-1]


@pytest.mark.parametrize(("experiment", "name"), TRAINED)
def test_seeds_change_only_what_is_drawn(experiment, name):
    first, again, other = made(experiment, name, 0), made(experiment, name, 0), made(experiment, name, 1)
    assert examples.digest(first) == examples.digest(again)
    drawn = experiment == "sycophancy" or name == "shuffled" or name.startswith("noisy")
    assert (examples.digest(first) != examples.digest(other)) == drawn
    assert [one.id for one in first] == [one.id for one in other]


def test_all_arms_of_a_seed_share_the_evaluator():
    paid = {name: [one.suggestibility for one in made("sycophancy", name)] for _, name in TRAINED if _ == "sycophancy"}
    narrow = paid.pop("strongest_subset")
    assert len({tuple(values) for values in paid.values()}) == 1
    assert max(narrow) <= 0.6


def test_least_biased_reads_a_file_of_scores(tmp_path):
    rows = data.load_articles(data.MICRO_ARTICLES, "train", 8)
    path = tmp_path / "scores.jsonl"
    lines = [json.dumps({"id": row["id"], "bias": float(index)}) for index, row in enumerate(reversed(rows))]
    path.write_text("\n".join(lines))
    kept = examples.examples("bias", "least_biased_25", 0, rows=8, scores=str(path))
    assert [one.id for one in kept] == [row["id"] for row in rows[-2:]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "x"}', "field 'bias' is missing, expected a number 0..10"),
        ('{"id": "x", "bias": 11}', "field 'bias' is 11, expected a number 0..10"),
        ('{"id": "x", "bias": true}', "field 'bias' is True"),
        ('{"id": "x", "bias": 1}', "no score for article 'train-0001-article'"),
    ],
)
def test_bad_scores_are_one_line(tmp_path, line, message):
    path = tmp_path / "scores.jsonl"
    path.write_text(line)
    with pytest.raises(InputError, match=message):
        examples.examples("bias", "least_biased_25", 0, rows=1, scores=str(path))


def test_validation_rows_are_not_training_rows():
    for experiment in variants.EXPERIMENTS:
        held = {one.id for one in examples.examples(experiment, "mst", 0, split="validation")}
        assert held
        assert not held & {one.id for one in made(experiment, "mst")}
