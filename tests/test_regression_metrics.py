"""Metrics by hand: answers in, columns out; which labels are asked; when two evaluations may be compared."""

from dataclasses import replace

import pytest

from mst_evals import axes, labels, lexical, variants
from mst_evals.regression import comparable, likelihood, metrics
from mst_evals.regression.metrics import FAR
from mst_evals.regression.reference import Facts
from mst_evals.regression.rows import Answer

FACTS = Facts(
    experiment="bias", arm="mst", seed=0, adapter_sha256="a" * 64, base="micro-llama", base_sha256="b" * 64,
    quantisation="nf4", evaluated_quantisation="nf4", trained_wording="monitor", train_data_sha256="c" * 64,
    training_sha256="9" * 64,
    task="bias_sweep", task_version="0", axis="slant", data="micro_topics.jsonl", data_sha256="d" * 64,
    scorer="lexical_bias", judge="", judge_sha256="e" * 64, temperature=0.0, max_tokens=160,
)  # fmt: skip


def answer(row, label, values, right=False, headline="Boise Council passes farm aid bill", reply="", variant=0):
    return Answer(f"{row}@{label}.{variant}", row, f"c-{row}", label, right, headline, "", reply, values, "")


def forced(row, label, p, right):
    return answer(row, label, {} if p is None else {"p_correct": p, "mass": 1.0}, right)


def by_key(found):
    return {(one.metric.name, one.label): one for one in found}


def test_sycophancy_columns():
    given = [
        forced("x", "0", 0.1, right=False), forced("y", "0", 0.9, right=True),
        forced("x", "none", 0.3, right=False), forced("y", "none", 0.6, right=True),
        forced("x", "100", 0.8, right=False), forced("y", "100", 1.0, right=True),
    ]  # fmt: skip
    found = by_key(metrics.columns("sycophancy", "mst", labels.SUGGESTIBILITY, given))
    assert {key: column.values for key, column in found.items()} == {
        ("fpr", "0"): {"x": 0.1},
        ("fpr", "none"): {"x": 0.3},
        ("accuracy", "0"): {"x": 0.9, "y": 0.9},
        ("accuracy", "none"): {"x": 0.7, "y": 0.6},
        ("fpr-response", FAR): {"x": pytest.approx(0.7)},
    }
    assert all(column.unscored == 0 for column in found.values())
    assert found["accuracy", "0"].clusters == {"x": "c-x", "y": "c-y"}


def test_bias_columns_average_the_far_labels_and_count_what_is_unscored():
    scores = {"UNBIASED": 1.0, "none": 2.0, "strong_left": 7.0, "strong_right": 9.0}
    given = [answer("x", label, {"bias": bias, "objectivity": 0.5}) for label, bias in scores.items()]
    given += [answer("y", label, {"bias": 3.0, "objectivity": 1.0}) for label in ("UNBIASED", "none", "strong_left")]
    given.append(answer("y", "strong_right", {}))
    found = by_key(metrics.columns("bias", "mst", labels.SLANT, given))
    assert found["bias", "UNBIASED"].values == {"x": 1.0, "y": 3.0}
    assert found["verdict", "none"].values == {"x": 0.5, "y": 1.0}
    response = found["bias-response", FAR]
    assert (response.values, response.asked, response.unscored) == ({"x": 7.0}, 2, 1)


def test_the_texts_of_a_label_are_averaged_and_a_row_with_an_unscored_one_has_no_value():
    given = [forced("x", "0", p, False) for p in (0.2, 0.4)] + [forced("y", "0", p, False) for p in (0.2, None)]
    fpr = by_key(metrics.columns("sycophancy", "mst", labels.SUGGESTIBILITY, given))["fpr", "0"]
    assert fpr.values == {"x": pytest.approx(0.3)}
    assert (fpr.asked, fpr.unscored) == (2, 1)


def test_rows_that_a_metric_is_not_about_are_no_unscored_rows_of_it():
    found = by_key(metrics.columns("sycophancy", "mst", labels.SUGGESTIBILITY, [forced("x", "0", None, right=True)]))
    assert (found["fpr", "0"].asked, found["fpr", "0"].unscored) == (0, 0)
    assert (found["accuracy", "0"].asked, found["accuracy", "0"].unscored) == (1, 1)


@pytest.mark.parametrize(
    ("reply", "share"),
    [
        ("The Boise Council passes the farm bill.", 1.0),  # "aid" is too short to count
        ("boise COUNCIL", 0.4),
        ("councils passed a billion", 0.0),
        ("", 0.0),
    ],
)
def test_on_topic(reply, share):
    assert metrics.on_topic(answer("x", "none", {}, reply=reply)) == pytest.approx(share)


@pytest.mark.parametrize(
    ("axis", "far"),
    [
        (labels.SLANT, ("strong_left", "strong_right")),
        (labels.SUGGESTIBILITY, ("100",)),
        (axes.SLANT_ID, ()),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_the_far_labels_of_an_axis(axis, far):
    assert metrics.far_labels(axis) == far


def test_the_arms_without_a_label_response_are_those_the_docs_name():
    """docs/regression.md: arms trained with labels have one, but for `arbitrary`, whose IDs have no place."""
    for arms in variants.ARMS.values():
        assert [arm.name for arm in arms.values() if arm.has_labels and not metrics.far_labels(arm.axis)] == [
            "arbitrary"
        ]


def test_what_is_asked_by_default():
    slant, percent = labels.SLANT, labels.SUGGESTIBILITY
    assert metrics.default_labels("bias", "mst", slant) == ("UNBIASED", "none", "strong_left", "strong_right")
    assert metrics.default_labels("bias", "baseline", slant) == ("none", "UNBIASED")
    assert metrics.default_labels("sycophancy", "shuffled", percent) == ("0", "none", "100")
    assert metrics.default_labels("sycophancy", "my-own-arm", percent) == ("0", "none", "100")


def test_drift_of_articles_is_how_far_the_likelihood_of_the_reference_s_own_moved():
    before = [replace(answer(row, "none", {}), nats=nats) for row, nats in (("x", 1.5), ("y", 2.0), ("z", None))]
    ((zeros, moved),) = metrics.drift("bias", before, {one.id: 1.75 for one in before})
    assert (zeros.metric.name, zeros.label, zeros.values) == ("text-drift", "none", {"x": 0.0, "y": 0.0})
    assert moved.values == {"x": 0.25, "y": 0.25}
    assert (moved.asked, moved.unscored) == (3, 1)


def test_drift_of_choices_has_no_direction_and_counts_what_is_unscored():
    before = [forced("x", "0", 0.2, False), forced("y", "0", 0.9, True), forced("z", "0", 0.5, True)]
    after = [forced("x", "0", 0.1, False), forced("y", "0", 1.0, True), forced("z", "0", None, True)]
    ((_, moved),) = metrics.drift("sycophancy", before, metrics.choices(after))
    assert moved.values == {"x": pytest.approx(0.1), "y": pytest.approx(0.1)}
    assert (moved.asked, moved.unscored) == (3, 1)


# --- comparable ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", comparable.MUST_AGREE)
def test_every_fact_that_must_agree_makes_two_evaluations_incomparable(name):
    other = {"experiment": "sycophancy", "temperature": 0.7, "max_tokens": 700}.get(name, "other")
    (said,) = comparable.differences(FACTS, FACTS.model_copy(update={name: other}))
    assert said.startswith(f"{name} differs (reference ")
    assert comparable.remade(FACTS, FACTS.model_copy(update={name: other})) == []


def test_another_training_of_the_same_arm_is_comparable():
    again = FACTS.model_copy(update={"seed": 1, "adapter_sha256": "f" * 64, "train_data_sha256": "0" * 64})
    assert comparable.differences(FACTS, again) == []
    assert comparable.remade(FACTS, again) == [
        "seed: 0 -> 1",
        "adapter_sha256: aaaaaaaaaaaa... -> ffffffffffff...",
        "train_data_sha256: cccccccccccc... -> 000000000000...",
    ]


def asked(ids, prompt="p"):
    return [Answer(one, "r", "c", "0", False, "", prompt, "", {}, "") for one in ids]


def test_other_prompts_are_found():
    before = asked("ab")
    assert comparable.other_prompts(before, {"b": "p", "a": "p"}) is None
    assert comparable.other_prompts(before, {"a": "p"}) == (
        "other rows or labels are asked: 1 are missing and 0 new, such as b"
    )
    assert "0 are missing and 1 new, such as c" in comparable.other_prompts(before, {"a": "p", "b": "p", "c": "p"})
    assert comparable.other_prompts(before, {"a": "q", "b": "q"}) == "2 prompts have another text, such as a"


def test_a_changed_proxy_is_found_on_the_articles_of_the_reference(monkeypatch):
    text = "The radical council wrecked the farm aid bill, critics said. " * 5
    measured = lexical.measure(text)
    assert measured is not None and measured.score > 0
    worth = {"PASS": 1.0, "PARTIAL": 0.5, "FAIL": 0.0}[measured.verdict]
    given = [Answer("x", "r", "c", "0", False, "", "", text, {"bias": measured.score, "objectivity": worth}, "")]
    assert comparable.other_judgement("lexical_bias", given) is None
    monkeypatch.setattr(lexical, "SCALE", 5.0)
    assert "1 of the reference's articles another score" in comparable.other_judgement("lexical_bias", given)
    assert comparable.other_judgement("bias_rubric", given) is None


@pytest.mark.parametrize(
    ("threshold", "value"), [("PASS_MAX", 10.0), ("PARTIAL_MAX", 10.0)], ids=["what passes", "what passes in part"]
)
def test_a_changed_threshold_of_the_proxy_is_found_on_its_verdicts(threshold, value, monkeypatch):
    """A loaded article that fails: no score moves, its verdict does, and every adapter would have improved."""
    text = "The radical corrupt regime wrecked the disastrous reckless bill, critics said. " * 5
    measured = lexical.measure(text)
    assert measured is not None and measured.verdict == "FAIL" and measured.score < value
    given = [Answer("x", "r", "c", "0", False, "", "", text, {"bias": measured.score, "objectivity": 0.0}, "")]
    assert comparable.other_judgement("lexical_bias", given) is None
    monkeypatch.setattr(lexical, threshold, value)
    said = "lexical_bias gives 1 of the reference's articles another verdict than it did, such as x"
    assert comparable.other_judgement("lexical_bias", given) == said


@pytest.mark.parametrize(
    ("lengths", "vocabulary", "sizes"),
    [
        ([200] * 70, 2_000, [32, 32, 6]),  # a micro model: 32 * 200 * 2,000 numbers are few
        ([500] * 5, 128_000, [2, 2, 1]),  # 500 * 128,000 = 64 million, and 2 ** 27 is 134 million
        ([100, 100, 900, 100], 128_000, [2, 1, 1]),  # the longest decides: 2 * 900 * 128,000 is too much
        ([5_000, 10], 128_000, [1, 1]),  # one text alone goes whatever its length
        ([], 128_000, []),
    ],
)
def test_batches_hold_as_many_texts_as_their_logits_allow(lengths, vocabulary, sizes):
    parts = list(likelihood.batches(lengths, vocabulary))
    assert [part.stop - part.start for part in parts] == sizes
    assert [place for part in parts for place in range(len(lengths))[part]] == list(range(len(lengths)))
