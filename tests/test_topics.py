"""The shipped topics: what their card promises."""

from collections import Counter
from itertools import pairwise

import pytest

from mst_evals import data
from mst_evals.corpus import checks, splits, topics
from mst_evals.corpus.similarity import BOUND, HEADLINE_BOUND, MEASURES, closest

LOADED = ("biased", "unbiased", "slanted", "left-leaning", "right-leaning", "left-wing", "right-wing")


@pytest.fixture(scope="module")
def rows():
    return data.read_rows(data.TOPICS, data.KINDS["topics"].fields)


def test_2300_topics_in_three_splits_and_at_least_40_domains(rows):
    assert Counter(row["split"] for row in rows) == {"train": 1900, "validation": 200, "test": 200}
    assert [len(data.load_topics(data.TOPICS, split)) for split in data.SPLITS] == [1900, 200, 200]
    assert len({row["domain"] for row in rows}) >= 40
    assert all(list(row) == ["id", "split", "headline", "context", "domain"] for row in rows)


def test_splits_are_those_of_the_hash_and_each_domain_has_its_quota(rows):
    assert [row["split"] for row in rows] == splits.assign(rows)
    sizes = Counter(row["domain"] for row in rows)
    found = Counter((row["domain"], row["split"]) for row in rows)
    for domain, size in sizes.items():
        expected = splits.quotas(splits.SHARES, size)
        assert all(abs(found[domain, split] - count) <= 1 for split, count in expected.items()), domain


def test_ids_number_the_lines_and_do_not_tell_the_split(rows):
    assert [row["id"] for row in rows] == [f"topic-{number:04d}" for number in range(1, 2301)]
    for split in ("validation", "test"):
        places = [number for number, row in enumerate(rows) if row["split"] == split]
        # mean of 200 of 2,300 places without replacement: standard error 45; four of them
        assert abs(sum(places) / len(places) - 1149.5) < 180
        assert max(later - earlier for earlier, later in pairwise(places)) < 150
    # neither file order nor domain is sorted
    assert len({row["domain"] for row in rows[:100]}) > 30


def test_checks_find_no_fault():
    assert [str(fault) for fault in checks.faults(data.TOPICS)] == []


def test_no_two_topics_are_near_duplicates_within_or_across_splits(rows):
    whole, headline = MEASURES["topics"]
    assert (whole.bound, headline.bound) == (BOUND, HEADLINE_BOUND)
    for measure in (whole, headline):
        nearest = max(closest([measure.text(row) for row in rows]), key=lambda pair: pair.similarity)
        assert 0 < nearest.similarity < measure.bound, [rows[nearest.first], rows[nearest.second]]


def test_every_topic_is_one_that_mst_data_topics_would_accept(rows):
    """So each context has a figure in digits, and no text is too short or says anything of labels."""
    for row in rows:
        topics.Topic(headline=row["headline"], context=row["context"])


def test_contexts_are_full_sentences(rows):
    for row in rows:
        assert row["context"].endswith((".", '."', ".'")), row
        assert not row["headline"].endswith("."), row
        assert 25 <= len(row["context"].split()) <= 75, row
        assert 5 <= len(row["headline"].split()) <= 15, row
        assert (row["headline"] + row["context"]).isascii(), row


def test_topics_say_nothing_of_bias(rows):
    for row in rows:
        text = f" {row['headline']} {row['context']} ".lower()
        assert not [word for word in LOADED if f" {word}" in text], row


def test_no_template_repeats_itself(rows):
    """At most 1% of the contexts begin with the same three words or hold the same run of five words."""
    begin = Counter(" ".join(row["context"].lower().split()[:3]) for row in rows)
    runs: Counter[str] = Counter()
    for row in rows:
        words = row["context"].lower().split()
        runs.update({" ".join(words[start : start + 5]) for start in range(len(words) - 4)})
    for counted in (begin, runs):
        what, count = counted.most_common(1)[0]
        assert count <= 0.01 * len(rows), (what, count)
