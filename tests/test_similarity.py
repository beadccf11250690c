import random
import string

import pytest
from reworded_topics import REWORDED

from mst_evals.corpus import similarity
from mst_evals.corpus.similarity import BOUND, Pair, above, closest


def words(seed, count=12):
    rng = random.Random(seed)
    return " ".join("".join(rng.choices(string.ascii_lowercase[:3], k=4)) for _ in range(count))


TEXTS = [words(seed) for seed in range(11)] + [words(0) + " more"]


def test_shingles_of_a_word():
    assert similarity.shingles("Abcde") == {" abcd", "abcde", "bcde "}
    assert similarity.shingles("ab") == {" ab "}
    assert similarity.shingles("...") == similarity.shingles("") == frozenset()
    assert " 1 5 " in similarity.shingles("$1.5")
    assert similarity.shingles("Straße") == similarity.shingles("STRASSE")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("abcde", "abcdx", 1 / 5),  # " abcd" of " abcd", "abcde", "bcde ", "abcdx", "bcdx "
        ("abcde", "abcde", 1.0),
        ("ABCDE!", "  abcde ", 1.0),
        ("abcde", "vwxyz", 0.0),
        ("abcde", "", 0.0),
        ("", "", 0.0),
    ],
)
def test_similarity_by_hand(one, other, expected):
    assert similarity.similarity(one, other) == similarity.similarity(other, one) == pytest.approx(expected)


def pairs_one_by_one(bound, others=None):
    found = [
        Pair(first, second, similarity.similarity(one, other))
        for first, one in enumerate(TEXTS)
        for second, other in enumerate(TEXTS if others is None else others)
        if others is not None or first < second
    ]
    return {(pair.first, pair.second): pair.similarity for pair in found if pair.similarity >= bound}


@pytest.mark.parametrize("block", [1, 5, 512])
@pytest.mark.parametrize("others", [None, [words(3), "", words(99), words(4)[:30]]])
def test_all_pairs_are_those_found_one_by_one(monkeypatch, block, others):
    monkeypatch.setattr(similarity, "_BLOCK", block)
    found = above(TEXTS, 0.02, others)
    expected = pairs_one_by_one(0.02, others)
    assert len(expected) > 2
    assert {(pair.first, pair.second): pair.similarity for pair in found} == pytest.approx(expected)
    values = [pair.similarity for pair in found]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("block", [1, 5, 512])
def test_the_closest_of_each(monkeypatch, block):
    monkeypatch.setattr(similarity, "_BLOCK", block)
    found = closest(TEXTS)
    assert (found[0].second, found[11].second) == (11, 0)
    every = pairs_one_by_one(0.0)
    for number, pair in enumerate(found):
        assert pair.first == number != pair.second
        assert pair.similarity == pytest.approx(max(value for ends, value in every.items() if number in ends))
    assert [pair.second for pair in closest(TEXTS, [words(3), words(5)])][3:6:2] == [0, 1]


def test_nothing_to_compare_with():
    assert above([], 0.1) == above(["text"], 0.1) == above(["text"], 0.1, []) == above([], 0.1, ["text"]) == []
    assert closest([]) == closest(["text"]) == closest(["text"], []) == []


def test_the_bound_finds_every_reworded_topic_and_no_two_different_ones():
    values = {degree: [] for degree in ("swap", "reword", "anew")}
    for degree, one, other in REWORDED:
        values[degree].append(similarity.similarity(one, other))
    assert min(values["anew"]) > BOUND
    assert min(values["reword"]) > max(values["anew"])
    assert min(values["swap"]) > max(values["reword"])
    assert above([one for _, one, _ in REWORDED], BOUND) == []
    crossed = above([one for _, one, _ in REWORDED], BOUND, [other for *_, other in REWORDED])
    assert sorted((pair.first, pair.second) for pair in crossed) == [(n, n) for n in range(len(REWORDED))]


def test_a_copy_of_an_article_is_one_with_other_names_and_figures():
    copies = [(one, other) for degree, one, other in REWORDED if degree == "swap"]
    assert all(similarity.similarity(one, other) > similarity.ARTICLE_BOUND for one, other in copies)
