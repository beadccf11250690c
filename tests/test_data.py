import json

import pytest
from conftest import problem, topic, write_jsonl

from mst_evals import data, labels
from mst_evals.errors import InputError


def article(number, split="train", **more):
    return topic(number, split) | {"topic": f"t{number}", "profile": "strong_left", "article": "Text."} | more


def load(tmp_path, text, loader=data.load_topics, split="test"):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return loader(path, split)


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no rows"),
        ("\n\n", "no rows"),
        ("{", ":1: not JSON"),
        (lines(topic(1)) + "[]", ":2: found list, expected a JSON object"),
        (b"\xff\xfe", "not UTF-8"),
        (lines(topic(1), topic(1)), ":2: id 't1' occurs twice, first on line 1"),
        (lines(topic(1, split="dev")), ":1: field 'split' is 'dev', expected one of train, validation, test"),
        (lines(topic(1, headline=" ")), "field 'headline' is ' ', expected a non-empty string"),
        (lines(topic(1, id=7)), "field 'id' is 7"),
        (lines({"id": "x", "split": "test"}), "field 'headline' is missing"),
        (lines(topic(1), topic(2, "train", headline="CITY  council debates measure 1")), "is in two splits"),
        (lines(topic(1, "train")), "split 'test' has no rows"),
    ],
)
def test_faults_of_a_topics_file(tmp_path, text, sentence):
    with pytest.raises(InputError) as error:
        load(tmp_path, text)
    assert sentence in str(error.value)
    assert "rows.jsonl" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        data.load_topics(tmp_path / "nowhere.jsonl", "test")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (problem(1, 2, 3) | {"a": 10}, "a"),
        (problem(1, 2, 3) | {"b": -1}, "b"),
        (problem(1, 2, 3) | {"candidate": 19}, "candidate"),
        (problem(1, 2, 3) | {"a": True}, "a"),
        (problem(1, 2, 3) | {"a": 1.0}, "a"),
        (problem(1, 2, 3) | {"a": "1"}, "a"),
    ],
)
def test_faults_of_a_problem(tmp_path, row, field):
    with pytest.raises(InputError, match=f"field '{field}' is"):
        load(tmp_path, lines(row), data.load_problems)


def test_an_unordered_pair_stands_in_one_split(tmp_path):
    with pytest.raises(InputError, match=r"pair \(1, 2\) is in two splits, test and train"):
        load(tmp_path, lines(problem(1, 2, 3), problem(2, 1, 4, "train")), data.load_problems)


def test_articles_of_one_topic_share_a_split(tmp_path):
    rows = [article(1, id="a"), article(2, "test", id="b", topic="t1")]
    with pytest.raises(InputError, match="topic 't1' is in two splits"):
        load(tmp_path, lines(*rows), data.load_articles, "train")
    with pytest.raises(InputError, match="field 'profile' is 'UNBIASED'"):
        load(tmp_path, lines(article(1, profile=labels.UNBIASED)), data.load_articles, "train")


def test_rows_keep_order_and_limit(tmp_path):
    path = tmp_path / "t.jsonl"
    write_jsonl(path, [topic(3), topic(1, "train"), topic(2)])
    assert [row["id"] for row in data.load_topics(path, "test")] == ["t3", "t2"]
    assert [row["id"] for row in data.load_topics(path, "test", 1)] == ["t3"]
    with pytest.raises(InputError, match="expected at least 1"):
        data.load_topics(path, "test", 0)
    with pytest.raises(InputError, match="unknown split"):
        data.load_topics(path, "dev")


def test_line_ends_inside_text_and_windows_files(tmp_path):
    row = topic(1, headline="Line\u2028separator and ümlaut")
    (found,) = load(tmp_path, json.dumps(row, ensure_ascii=False) + "\r\n")
    assert found == row


def test_existing_articles_need_id_and_article(tmp_path):
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [{"id": "a", "article": "Text.", "more": 1}])
    assert data.load_existing(path)[0]["more"] == 1
    write_jsonl(path, [{"id": "a", "article": ""}])
    with pytest.raises(InputError, match="field 'article'"):
        data.load_existing(path)


def validation(version="left", favours="left", intensity=1, **more):
    row = {name: value for name, value in article(1).items() if name not in ("split", "profile")}
    return row | {"version": version, "favours": favours, "intensity": intensity} | more


def test_articles_of_known_slant(tmp_path):
    path = tmp_path / "v.jsonl"
    sound = [
        validation("neutral", None, 0),
        validation("left", "left", 1),
        validation("right", "right", 2, about=None),
        validation("critical", None, 0, about="right"),
        validation("omission", "left", 2),
    ]
    rows = [row | {"id": str(number)} for number, row in enumerate(sound)]
    write_jsonl(path, rows)
    assert data.load_validation(path) == rows


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (validation("far"), "field 'version' is 'far', expected one of neutral, left, right, critical, omission"),
        (validation(intensity=3), "field 'intensity' is 3, expected a whole number 0..2"),
        (validation(favours="center"), "field 'favours' is 'center', expected one of left, right, null"),
        (validation("neutral", "left", 0), "field 'favours' is 'left', expected null in version neutral"),
        (validation("neutral", None, 1), "field 'intensity' is 1, expected 0 in version neutral"),
        (validation("left", "right", 1), "field 'favours' is 'right', expected left in version left"),
        (validation("right", "right", 0), "field 'intensity' is 0, expected a whole number 1..2 in version right"),
        (validation("omission", None, 1), "field 'favours' is None, expected one of left, right in version omission"),
        (validation("critical", None, 0), "field 'about' is None, expected one of left, right in version critical"),
        (validation(about="left"), "field 'about' is 'left', expected null in version left"),
    ],
)
def test_a_row_of_known_slant_may_not_contradict_itself(tmp_path, row, sentence):
    path = tmp_path / "v.jsonl"
    write_jsonl(path, [row])
    with pytest.raises(InputError) as error:
        data.load_validation(path)
    assert sentence in str(error.value)
    assert "v.jsonl" in str(error.value)


def test_pair_and_right():
    assert data.pair(problem(7, 2, 9)) == data.pair(problem(2, 7, 1)) == (2, 7)
    assert data.is_right(problem(7, 2, 9))
    assert not data.is_right(problem(7, 2, 8))


def test_suggestibility_is_drawn_once_for_each_row_and_seed():
    rows = [problem(1, 2, candidate) for candidate in range(19)]
    drawn = [data.suggestibility(row, 0) for row in rows]
    assert drawn == [data.suggestibility(row, 0) for row in rows]
    assert drawn != [data.suggestibility(row, 1) for row in rows]
    assert all(0.5 <= s <= 1.5 for s in drawn)
    assert len(set(drawn)) == len(drawn)


def test_sha256_of_a_known_file(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert data.sha256(tmp_path / "f") == digest


def test_datasets_are_those_of_their_card():
    card = (data.DATASETS / "README.md").read_text(encoding="utf-8")
    rows = [line.split() for line in card.splitlines() if line.endswith(".jsonl")]
    listed = {name: digest for digest, name in rows}
    found = {str(path.relative_to(data.DATASETS)): data.sha256(path) for path in data.DATASETS.rglob("*.jsonl")}
    assert found == listed
