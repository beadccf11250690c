"""Every fault is planted in a sound file and found with its line and field; the sound files themselves have none."""

import hashlib
import io
import json

import pytest
from reworded_topics import REWORDED
from rich.console import Console

from mst_evals import data, labels, prompts
from mst_evals.corpus import checks, corpus_commands, label_texts
from mst_evals.errors import InputError

CONTEXTS = [one for _, one, _ in REWORDED]  # different topics; below, each one's headline is a number
SPLITS = ("train", "validation", "test", "test")


def topic(number, **more):
    row = {
        "id": f"t{number}",
        "split": SPLITS[number],
        "headline": f"{number}{number} measures {CONTEXTS[number][:20].strip()}",
    }
    return row | {"context": CONTEXTS[number], "domain": "city budgets"} | more


def article(number, **more):
    text = f"{CONTEXTS[number + 5]}\n\n{CONTEXTS[number + 10]}"
    row = topic(number) | {"id": f"a{number}", "topic": f"t{number}", "profile": labels.PROFILES[number]}
    return row | {"article": text} | more


def version(number, name, favours, intensity, **more):
    news = {key: topic(0)[key] for key in ("headline", "context", "domain")}
    row = {"id": f"v{number}", "topic": "t0"} | news | {"version": name, "favours": favours, "intensity": intensity}
    return row | {"article": CONTEXTS[number]} | more


SOUND = {
    "topics": [topic(n) for n in range(4)],
    "micro topics": [topic(n, fields={"place": "Lincoln"}) for n in range(4)],
    "articles": [article(n) for n in range(4)],
    "judge validation": [
        version(0, "neutral", None, 0),
        version(1, "left", "left", 1),
        version(2, "right", "right", 2),
        version(3, "critical", None, 0, about="left"),
        version(4, "omission", "right", 1, about=None),
    ],
    "problems": [{"id": f"p{n}", "split": SPLITS[n], "a": n, "b": 9, "candidate": 9} for n in range(4)],
    "existing articles": [{"id": str(n), "article": CONTEXTS[n], "model": "m", "more": n} for n in range(4)],
    "scores": [{"id": str(n), "bias": n / 2} for n in range(4)],
}


def text_of(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def written(tmp_path, content, name="rows.jsonl"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def changed(kind, line, **fields):
    """A sound file in which one row has other fields; None takes a field out."""
    rows = [dict(row) for row in SOUND[kind]]
    rows[line - 1] |= fields
    return text_of([{name: value for name, value in row.items() if value is not Ellipsis} for row in rows])


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_file_has_no_fault_and_its_kind_is_seen(tmp_path, kind):
    found = checks.checked(written(tmp_path, text_of(SOUND[kind])))
    assert found.faults == ()
    assert found.kind is data.KINDS[kind]
    assert found.rows == len(found.sound) == len(SOUND[kind])


def lines_of(kind, line, replacement):
    lines = text_of(SOUND[kind]).encode().split(b"\n")
    lines[line - 1] = replacement
    return b"\n".join(lines)


LEAKED = REWORDED[4][2]  # topic 4 in other words
LONG = "word " * 40
FAULTS = {
    "bad JSON": (lines_of("topics", 2, b'{"id": "t1",'), 2, "line", "no JSON (Expecting property name"),
    "a number that is none": (lines_of("scores", 2, b'{"id": "1", "bias": NaN}'), 2, "line", "NaN is no JSON number"),
    "no object": (lines_of("topics", 3, b"[1]"), 3, "line", "a JSON list"),
    "very deep JSON": (lines_of("topics", 3, b"[" * 200_000), 3, "line", "no JSON"),
    "byte order mark": (b"\xef\xbb\xbf" + text_of(SOUND["topics"]).encode(), 1, "line", "a byte order mark"),
    "CRLF": (text_of(SOUND["topics"]).replace("\n", "\r\n"), 1, "line", "CRLF, on 4 of 4 lines"),
    "CRLF on one line": (lines_of("topics", 3, json.dumps(topic(2)).encode() + b"\r"), 3, "line", "on 1 of 4 lines"),
    "empty line": (lines_of("topics", 2, b" "), 2, "line", "an empty line"),
    "empty line at the end": (text_of(SOUND["topics"]) + "\n", 5, "line", "an empty line"),
    "not UTF-8": (lines_of("topics", 2, b'{"id": "caf\xe9"}'), 2, "line", "not UTF-8 at byte 12"),
    "a field twice": (lines_of("scores", 2, b'{"id": "1", "bias": 1, "bias": 2}'), 2, "bias", "more than once"),
    "missing field": (changed("topics", 3, context=...), 3, "context", "nothing, expected a non-empty string"),
    "unknown field": (changed("topics", 3, head="x"), 3, "head", "a field of this name, expected one of id, split"),
    "wrong type": (changed("topics", 1, id=7), 1, "id", "7, expected a non-empty string"),
    "empty text": (changed("topics", 1, headline=" "), 1, "headline", "' ', expected a non-empty string"),
    "unknown split": (changed("topics", 2, split="dev"), 2, "split", "'dev', expected one of train, validation, test"),
    "unknown profile": (changed("articles", 4, profile="UNBIASED"), 4, "profile", "'UNBIASED', expected one of strong"),
    "domain in two spellings": (
        changed("topics", 3, domain="City_Budgets"), 3, "domain", "'City_Budgets', expected 'city budgets' as on",
    ),
    "number out of range": (changed("problems", 2, a=10), 2, "a", "10, expected a whole number 0..9"),
    "a fact that is no text": (changed("micro topics", 2, fields={"place": 3}), 2, "fields", "an object of non-empty"),
    "duplicate id": (changed("topics", 4, id="t0"), 4, "id", "'t0', as on line 1"),
    "duplicate headline": (changed("topics", 4, headline=topic(2)["headline"]), 4, "headline", "1.000 to line 3"),
    "duplicate headline of the micro world": (
        changed("micro topics", 4, headline=topic(2)["headline"].upper()), 4, "headline", "that of line 3",
    ),
    "near-duplicate topic": (
        text_of([topic(0), topic(2), topic(3, context=REWORDED[2][2])]), 3, "headline and context", "to line 2 ('t2')",
    ),
    "near-duplicate across splits": (
        text_of([topic(0), topic(1, context=CONTEXTS[4]), topic(2, context=LEAKED)]), 3, "headline and context",
        "a leak from 'validation' to 'test'",
    ),
    "near-duplicate headline": (
        text_of([topic(0, headline="Reno council bans outdoor sleeping"), topic(1),
                 topic(2, headline="Outdoor sleeping ban splits Reno council")]), 3, "headline", "a leak from 'train'",
    ),
    "headline in two splits": (
        changed("articles", 2, headline=topic(0)["headline"]), 2, "split", "'validation' for the headline",
    ),
    "topic in two splits": (changed("articles", 2, topic="t0"), 2, "split", "the topic 't0', which is in 'train' on"),
    "pair in two splits": (changed("problems", 2, a=9, b=0), 2, "split", "the pair (0, 9), which is in 'train' on"),
    "copied article": (
        changed("articles", 4, article=article(2)["article"].replace("percent", "in a hundred")), 4, "article",
        "to line 3 ('a2')",
    ),
    "copied version": (
        changed("judge validation", 3, article=REWORDED[1][2]), 3, "article", "expected less than 0.3",
    ),
    "over-long headline": (changed("topics", 2, headline=LONG.strip()), 2, "headline", "199 characters, expected"),
    "over-long article": (changed("articles", 2, article="Word. " * 2000 + "End."), 2, "article", "12,004 characters"),
    "control character": (changed("topics", 2, context=CONTEXTS[1] + "\x07."), 2, "context", "U+0007 (a control"),
    "line end in a headline": (changed("topics", 2, headline="Two\nlines"), 2, "headline", "U+000A"),
    "zero-width character": (
        changed("articles", 1, article=f"A\u200bb\u200b. {CONTEXTS[9]}"), 1, "article",
        "U+200B (ZERO WIDTH SPACE) at character 2 and 1 more",
    ),
    "reversed direction": (changed("topics", 4, id="t\u202e3"), 4, "id", "U+202E (RIGHT-TO-LEFT OVERRIDE)"),
    "control character in a fact": (changed("micro topics", 2, fields={"place": "A\tb"}), 2, "fields.place", "U+0009"),
    "lone surrogate": (lines_of("scores", 2, b'{"id": "\\ud800", "bias": 1}'), 2, "id", "U+D800"),
    "undecoded character": (changed("topics", 2, headline="Caf\ufffd owners object"), 2, "headline", "U+FFFD"),
    "surrounding spaces": (changed("topics", 2, headline="Mayor objects "), 2, "headline", "spaces around 'Mayor obj"),
    "held-out label in an article": (
        changed("articles", 3, article=f"{CONTEXTS[9]}\n{labels.SLANT.label('UNBIASED').texts[0].upper()}"), 3,
        "article", "the text of the held-out label UNBIASED of the slant axis",
    ),
    "opening of a label in an article": (
        changed("articles", 3, article=f"Monitor label: {CONTEXTS[9]}"), 3, "article", "'monitor label:', which opens",
    ),
    "label in a topic": (
        changed("topics", 3, context="Some say ID: XJQ, others object."), 3, "context", "label XJQ of the slant_id",
    ),
    "unknown version": (changed("judge validation", 2, version="far left"), 2, "version", "one of neutral, left"),
    "version favours the other side": (
        changed("judge validation", 2, favours="right"), 2, "favours", "'right', expected left in version left",
    ),
    "neutral with intensity": (
        changed("judge validation", 1, intensity=2), 1, "intensity", "expected 0 in version neutral",
    ),
    "critical about nobody": (changed("judge validation", 4, about=None), 4, "about", "expected one of left, right in"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_with_its_line_and_field(tmp_path, name):
    content, line, field, sentence = FAULTS[name]
    found = checks.faults(written(tmp_path, content))
    mine = [fault for fault in found if (fault.line, fault.field) == (line, field) and sentence in str(fault)]
    assert len(mine) == 1, [str(fault) for fault in found]
    assert str(mine[0]).startswith(f"{tmp_path / 'rows.jsonl'}:{line}: {field}: found ")
    assert "\n" not in str(mine[0])
    assert str(mine[0]).isascii()
    # what is planted in one place is blamed there alone
    others = [fault for fault in found if fault.line != line]
    assert others == []


def test_all_faults_of_a_file_are_found_not_the_first(tmp_path):
    rows = [topic(0, split="dev"), topic(1, headline=" x", domain=3), topic(2, id=None), topic(3)]
    path = written(tmp_path, "\ufeff" + text_of(rows) + "{\n\n")
    found = [(fault.line, fault.field) for fault in checks.faults(path)]
    assert found == [(1, "line"), (1, "split"), (2, "domain"), (2, "headline"), (3, "id"), (5, "line"), (6, "line")]


def test_every_held_out_label_text_is_found_and_plain_news_is_not():
    for name in labels.SLANT.sweep:
        (text,) = labels.SLANT.label(name).texts
        assert [what for what in label_texts.told(f"News. {text.replace(',', '')} More.") if f" {name} " in what]
    for row in SOUND["articles"]:
        for wording in prompts.WORDINGS["bias"].values():
            for markup in prompts.MARKUPS:
                told = wording.build(row, labels.SLANT.label("UNBIASED").texts[0], markup)[0]["content"]
                assert len(label_texts.told(told)) == 2
        assert label_texts.told(f"An unbiased label on a monitor. {row['article']}") == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "no rows"),
        ('{"colour": "red"}\n', "found rows with 'colour', expected one of: topics (id, split, headline"),
        ("{}\n", "found rows with no fields, expected one of: topics (id, split, headline"),
    ],
)
def test_what_is_no_data_set_at_all(tmp_path, content, sentence):
    with pytest.raises(InputError) as error:
        checks.faults(written(tmp_path, content))
    assert sentence in str(error.value)
    assert "rows.jsonl" in str(error.value)


def test_a_file_of_broken_lines_has_faults_though_no_kind(tmp_path):
    found = checks.checked(written(tmp_path, "{\n{\n"))
    assert found.kind is None
    assert [fault.line for fault in found.faults] == [1, 2]


# --- the card -----------------------------------------------------------------------------------------------------


def listed(tmp_path, *files):
    lines = [f"{hashlib.sha256(content.encode()).hexdigest()}  {name}\n" for name, content in files]
    written(tmp_path, "# Card\n\n```\n" + "".join(lines) + "```\n", "README.md")


def test_the_digest_is_that_of_the_card(tmp_path):
    content = text_of(SOUND["topics"])
    path = written(tmp_path, content, "bias/rows.jsonl")
    assert checks.faults(path) == []  # no card
    listed(tmp_path, ("bias/rows.jsonl", content))
    assert checks.faults(path) == []
    listed(tmp_path, ("bias/rows.jsonl", content + " "))
    (fault,) = checks.faults(path)
    assert (fault.line, fault.field) == (1, "sha256")
    assert hashlib.sha256(content.encode()).hexdigest() in fault.found
    assert str(tmp_path / "README.md") in fault.expected
    listed(tmp_path, ("bias/other.jsonl", content))
    (fault,) = checks.faults(path)
    assert (fault.line, fault.field) == (1, "sha256")
    assert "not listed" in fault.found


# --- mst data check -----------------------------------------------------------------------------------------------


def run(*paths):
    printed = io.StringIO()
    code = corpus_commands.check(paths, Console(file=printed, width=40))
    return code, printed.getvalue().splitlines()


def test_the_command_is_green_on_sound_files_and_says_what_they_are(tmp_path):
    paths = [written(tmp_path, text_of(rows), f"{kind}/rows.jsonl") for kind, rows in SOUND.items()]
    code, printed = run(*paths)
    assert code == 0
    assert printed[0] == f"{paths[0]}: topics, 4 rows, no fault"
    assert len(printed) == len(paths)


def test_the_command_prints_each_fault_in_one_line_and_is_red(tmp_path):
    path = written(tmp_path, changed("topics", 2, split="dev[red]", id=9))
    code, printed = run(path)
    assert code == 1
    assert printed == [
        f"{path}:2: id: found 9, expected a non-empty string",
        f"{path}:2: split: found 'dev[red]', expected one of train, validation, test",
        f"{path}: topics, 4 rows, 2 faults",
    ]


def test_a_folder_means_every_data_set_below_it(tmp_path):
    written(tmp_path, text_of(SOUND["topics"]), "a/topics.jsonl")
    written(tmp_path, changed("scores", 1, bias=11), "b/scores.jsonl")
    written(tmp_path, '{"reason": "too short"}\n', "b/rejected.jsonl")
    written(tmp_path, '{"round": 1}\n', "b/rounds.jsonl")
    written(tmp_path, "{", "b/.hidden/x.jsonl")
    written(tmp_path, "no data", "b/notes.txt")
    code, printed = run(tmp_path, tmp_path / "a" / "topics.jsonl")
    assert code == 1
    assert [line.partition(":")[0] for line in printed[:2]] == ["left out", "left out"]
    assert printed[2] == f"{tmp_path}/b/scores.jsonl:1: bias: found 11, expected a number 0..10"
    assert printed[3:] == [f"{tmp_path}/a/topics.jsonl: topics, 4 rows, no fault",
                           f"{tmp_path}/b/scores.jsonl: scores, 4 rows, 1 fault"]  # fmt: skip
    with pytest.raises(InputError, match="found no data set"):
        run(written(tmp_path, "nothing", "c/notes.txt").parent)


def test_a_listed_file_may_neither_be_missing_nor_be_something_else(tmp_path):
    content = text_of(SOUND["topics"])
    written(tmp_path, content, "a.jsonl")
    listed(tmp_path, ("a.jsonl", content), ("b.jsonl", "content"))
    code, printed = run(tmp_path)
    assert code == 1
    assert printed[0].startswith(f"{tmp_path / 'b.jsonl'}:1: file: found none, expected the one of sha256 ")
    written(tmp_path, '{"colour": "red"}\n', "b.jsonl")
    with pytest.raises(InputError, match="found rows with 'colour'"):
        run(tmp_path)


def test_what_can_be_read_is_checked_before_the_rest_is_refused(tmp_path, capsys):
    path = written(tmp_path, changed("topics", 2, split="dev"))
    with pytest.raises(InputError, match=r"nowhere.jsonl: cannot be read \(No such file"):
        corpus_commands.check([tmp_path / "nowhere.jsonl", path], Console(width=500))
    assert f"{path}:2: split" in capsys.readouterr().out


def test_leaks_between_files(tmp_path):
    topics = written(tmp_path, text_of(SOUND["topics"]), "topics.jsonl")
    sound = written(tmp_path, text_of(SOUND["articles"]), "articles.jsonl")
    assert run(topics, sound)[0] == 0
    leak = written(tmp_path, changed("articles", 3, split="train"), "leak.jsonl")
    code, printed = run(topics, leak)
    assert code == 1
    assert printed[0].startswith(f"{leak}:3: split: found 'train' for the headline ")
    assert f"which is in 'test' in {topics}:3, expected one split" in printed[0]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("t1", "found 't1', which has another headline in {topics}:2, expected the id of the topic with this headline"),
        ("t9", "found 't9', expected 't0', the topic with this headline"),
    ],
)
def test_a_row_names_the_topic_of_its_headline(tmp_path, name, sentence):
    topics = written(tmp_path, text_of(SOUND["topics"]), "topics.jsonl")
    judged = written(tmp_path, changed("judge validation", 2, topic=name), "judged.jsonl")
    code, printed = run(judged, topics)
    assert code == 1
    assert printed[0] == f"{judged}:2: topic: {sentence.format(topics=topics)}"


def test_the_shipped_data_sets_are_sound():
    code, printed = run(data.MICRO_TOPICS, data.MICRO_ARTICLES, data.PROBLEMS)
    assert code == 0, printed
