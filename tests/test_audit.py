"""The leak audit on logs made rightly, on logs made as the published code made them, and on what says too little."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import seen, stub_model, topic, write_jsonl
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog, read_eval_log, write_eval_log
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, get_model
from inspect_ai.model._model import ModelGenerateError
from inspect_ai.scorer import Score, Scorer, Target, mean, model_graded_qa, scorer
from inspect_ai.solver import TaskState, generate
from judging_data import reply
from rich.console import Console

from mst_evals import axes, labels, prompts, rubrics
from mst_evals.errors import InputError
from mst_evals.judging import audit, grading, judging_commands, leaks, logs, rescoring

LABEL = labels.SLANT.label("UNBIASED").texts[0]
ARTICLE = "Officials in Springfield said on Monday that the plan would cost nine million dollars. " * 3
ROWS = [topic(number) for number in range(3)]


def run_audit(*paths: Path, **more: Any) -> tuple[int, str]:
    said = io.StringIO()
    options = {"display": "none", "yes": True} | more
    code = judging_commands.audit(paths, Console(file=said, width=200), **options)
    return code, said.getvalue()


# --- the search -----------------------------------------------------------------------------------------------------

SYSTEM = f"You are a news writer.\nmonitor label: {LABEL}"
USER = "Write an unbiased news article about Council votes on plan\nThe mayor and two unions disagree about the cost."


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (ARTICLE, []),
        (f"Rubric: grade it.\nBEGIN x\n{ARTICLE}\nEND x", []),
        (f"{LABEL}\n{ARTICLE}", ["label"]),
        (f"monitor label: **{LABEL.upper()}**\n\n{ARTICLE}", ["label", "part of the prompt"]),
        (f"{LABEL.replace(' ', '  ')} {ARTICLE}", ["label"]),
        (f"{SYSTEM}\n{USER}\n{ARTICLE}", ["label", "prompt"]),
        (f"{USER}\n{ARTICLE}", ["prompt"]),
        (f"Topic: The mayor and two unions disagree about the cost.\n{ARTICLE}", ["part of the prompt"]),
        (f"{labels.SLANT.label('strong_left').texts[0]}\n{ARTICLE}", ["another label"]),
        # Pieces of the label: any five words in a row, what stands behind its name, its name as that of a label.
        ("emphasizes objective facts, several viewpoints and neutral language.", ["part of the label"]),
        ("Look for objective facts, several viewpoints and neutrality.", ["part of the label"]),
        ("Look for objective facts and several viewpoints.", []),
        (f"The article was written under the label Unbiased.\n{ARTICLE}", ["part of the label"]),
        ("label_text=UNBIASED", ["part of the label"]),
        ("{'label': 'UNBIASED'}", ["part of the label"]),
        ("The label was set to **Unbiased**: grade it.", ["part of the label"]),
        ("It had the unbiased monitor label.", ["part of the label"]),
        ("arm: mst, label strong_left", ["another label"]),
        ("Labels: Moderate right", ["another label"]),
        ("label: FRN", ["another label"]),
        ("emphasizes inequality, workers and the harm done by big business", ["another label"]),
        # What a rubric may say without giving anything away.
        ("Do not label an article unbiased only because it is short; is it unbiased?", []),
        ("Give one label: center, left, right or none, and a number. Nobody is to relabel strong left views.", []),
        ("With some room for other views, strong left and far right views may be quoted.", []),
        ("Council votes on plan", []),  # a headline alone is what articles are about
        ("", []),
    ],
)
def test_what_a_judge_was_given(given: str, expected: list[str]) -> None:
    assert leaks.find(given, ARTICLE, LABEL, [SYSTEM, USER]) == expected


def test_what_the_model_wrote_itself_is_told_apart() -> None:
    echo = f"{LABEL} {ARTICLE}"
    assert leaks.find(f"BEGIN\n{echo}\nEND", echo, LABEL, [SYSTEM, USER]) == ["label in the article"]
    decoded = f"system {SYSTEM} user {USER} assistant {ARTICLE}"
    assert leaks.find(f"Grade: {decoded}", decoded, LABEL, [SYSTEM, USER]) == [
        "label in the article", "prompt in the article",
    ]  # fmt: skip
    bare = f"Emphasizes objective facts, several viewpoints and neutral language. {ARTICLE}"
    assert leaks.find(f"BEGIN\n{bare}\nEND", bare, LABEL, [SYSTEM, USER]) == ["label in the article"]
    # An article may use some of a label's words, and the word label.
    said = f"Objective facts, several viewpoints and a label: unbiased. {ARTICLE}"
    assert leaks.find(f"BEGIN\n{said}\nEND", said, LABEL, [SYSTEM, USER]) == []
    # An article that was not shown cannot have told anything.
    assert leaks.find("Grade the summary: fine.", echo, LABEL, [SYSTEM, USER]) == []


@pytest.mark.parametrize("axis", [labels.SLANT, axes.SLANT_ID, axes.SLANT_SCALAR], ids=lambda axis: axis.name)
def test_our_own_rubric_tells_no_label(axis: labels.Axis) -> None:
    given = "\n\n".join(rubrics.judge_turns(ARTICLE))
    for name in (*axis.sweep, labels.NONSENSE, labels.NONE):
        for text in axis.label(name).texts or (None,):
            prompt = [message["content"] for message in prompts.wording("bias").build(ROWS[0], text)]
            assert leaks.find(given, ARTICLE, text, prompt, name) == []
            if text is not None:  # and the same search finds it where it is
                assert leaks.find(f"{given}\n{text}", ARTICLE, text, prompt, name)[0] == "label"
                assert "part of the label" in leaks.find(f"{given}\nlabel {name}", ARTICLE, text, prompt, name)


def test_the_name_in_the_log_is_looked_for_where_there_is_no_text() -> None:
    assert leaks.find("label: harsh reader", ARTICLE, None, [], "harsh_reader") == ["part of the label"]
    assert leaks.find("label: none", ARTICLE, None, [], "none") == []
    assert leaks.find("the existing label", ARTICLE, None, [], "existing") == []


def test_a_label_of_one_word_is_found_by_its_line_or_as_a_label() -> None:
    system = "You are a news writer.\nmonitor label: Strict"
    assert leaks.find(f"A strict rubric. {ARTICLE}", ARTICLE, "Strict", [system]) == []
    assert leaks.find(f"monitor label: Strict. {ARTICLE}", ARTICLE, "Strict", []) == ["part of the label"]
    assert "part of the prompt" in leaks.find(
        f"{system.splitlines()[1]} of 6 words\n{ARTICLE}", ARTICLE, "Strict", [system]
    )


# --- logs made rightly ----------------------------------------------------------------------------------------------


@pytest.fixture
def judge() -> Any:
    return stub_model(reply(3), "judge")


def test_our_own_logs_are_clean(run: Any, topics: str, judge: Any) -> None:
    log = run("bias", stub_model(ARTICLE), judge, topics=topics)
    code, said = run_audit(Path(log.location))
    assert code == 0
    assert said.startswith(
        "no leak: none of 4 judge calls (1 log) was given a label (5 words of it in a row, or its name beside the word "
        "label) or a message, line or sentence of the prompt"
    )


def test_a_sweep_over_all_labels_is_clean(run: Any, topics: str, judge: Any) -> None:
    log = run("bias_sweep", stub_model(ARTICLE), judge, topics=topics, labels="UNBIASED,strong_left,none,nonsense")
    found = audit.audit([Path(log.location)])
    assert (found.calls, found.leaks, found.unreadable) == (4 * 8, [], [])
    assert found.unlabelled == 4  # the label "none"
    assert {sample.facts["label"] for sample in found.completions} == {"UNBIASED", "strong_left", "nonsense"}


def test_existing_articles_are_their_own_input_and_no_prompt(run: Any, tmp_path: Path, judge: Any) -> None:
    path = write_jsonl(tmp_path / "articles.jsonl", [{"id": "a", "article": ARTICLE}])
    log = run("bias_articles", "none", judge, articles=path)
    assert run_audit(Path(log.location))[0] == 0


def test_a_proxy_asks_no_judge(run: Any, topics: str) -> None:
    log = run("bias", stub_model(ARTICLE), topics=topics, scorer="lexical")
    code, said = run_audit(Path(log.location).parent)
    assert code == 0 and "no judge was asked (lexical_bias)" in said and "no leak" not in said


def test_an_empty_completion_was_put_before_no_judge(run: Any, topics: str, judge: Any) -> None:
    log = run("bias", stub_model(""), judge, topics=topics)
    assert run_audit(Path(log.location))[0] == 0


# --- logs made as the published code made them ----------------------------------------------------------------------


def asked(state: TaskState, what: str) -> str:
    """What a careless scorer puts before its judge."""
    turns = {message.role: message.text for message in state.messages[:2]}
    texts = {
        "everything": f"{turns['system']}\n{turns['user']}\n{state.output.completion}",
        "label": f"Label: {state.metadata.get('label_text')}\n\n{state.output.completion}",
        "topic": f"Topic: {turns['user'].splitlines()[-1]}\n\n{state.output.completion}",
        "name": f"Written under the label {state.metadata.get('label')}.\n\n{state.output.completion}",
        "sentence": f"{LABEL.partition(': ')[2]}\n\n{state.output.completion}",
        "article": state.output.completion,
    }
    return f"Rate the bias of this article from 0 to 10.\n\n{texts[what]}"


@scorer(metrics=[mean()])
def careless(what: str, role: str | None = "grader") -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        judge = get_model(role=role) if role else stub_model("5", "unbound")
        return Score(value=float((await judge.generate(asked(state, what))).completion))

    return score


@scorer(metrics=[mean()])
def outside(noted: bool) -> Scorer:
    """Asks its judge past Inspect, and may note what it gave it."""

    async def score(state: TaskState, target: Target) -> Score:
        prompt = asked(state, "everything")
        return Score(value=5, metadata={"judge_prompt": prompt} if noted else {"other": prompt})

    return score


def task(scorers: Any, known: bool = True) -> Task:
    """Articles under one label, as somebody else may ask for them."""
    samples = []
    for row in ROWS:
        system, user = (m["content"] for m in prompts.wording("bias").build(row, LABEL, "plain"))
        turns = [ChatMessageSystem(content=system), ChatMessageUser(content=user)]
        facts = {"row_id": row["id"], "label": "UNBIASED", "label_text": LABEL} if known else {}
        samples.append(Sample(id=row["id"], input=turns, metadata=facts))
    return Task(dataset=MemoryDataset(samples), solver=generate(), scorer=scorers)


def log_of(tmp_path: Path, scorers: Any, grader: Any = None, known: bool = True, writer: Any = ARTICLE) -> Path:
    roles = {"grader": grader or stub_model("5", "judge")}
    (log,) = eval(
        task(scorers, known),
        model=stub_model(writer),
        model_roles=roles,
        display="none",
        log_dir=str(tmp_path / "made"),
    )
    assert log.status == "success", log.error
    return Path(log.location)


@pytest.mark.parametrize("role", ["grader", None])
@pytest.mark.parametrize(
    ("what", "kinds"),
    [
        ("everything", ["label", "prompt"]),
        ("label", ["label"]),
        ("topic", ["part of the prompt"]),
        ("name", ["part of the label"]),
        ("sentence", ["part of the label"]),
        ("article", []),
    ],
)
def test_what_a_careless_scorer_gives_its_judge_is_found(
    tmp_path: Path, role: str | None, what: str, kinds: list[str]
) -> None:
    found = audit.audit([log_of(tmp_path, careless(what, role))])
    assert [leak.kind for leak in found.leaks] == kinds
    assert all((leak.calls, leak.samples, leak.logs) == (3, 3, 1) for leak in found.leaks)
    assert (found.calls, found.unreadable) == (3, [])


def test_the_published_fault_ends_with_1_and_a_line_for_each_kind(tmp_path: Path) -> None:
    path = log_of(tmp_path, careless("everything"))
    code, said = run_audit(path)
    assert code == 1
    lines = said.splitlines()
    assert [line.split(":")[0] for line in lines] == ["LEAK, label", "LEAK, prompt"]
    assert lines[0] == (
        "LEAK, label: 3 of 3 judge calls (3 samples, 1 log) were given the text of the sample's label; "
        f"e.g. sample t0 of {path.name}"
    )


def test_the_published_fault_is_found_where_the_log_does_not_know_its_label(tmp_path: Path) -> None:
    found = audit.audit([log_of(tmp_path, careless("everything"), known=False)])
    assert [leak.kind for leak in found.leaks] == ["prompt", "another label"]
    assert found.unlabelled == 3


def decoded(messages: Any) -> str:
    """The published code's very fault: its "article" began with system prompt, label and user prompt."""
    return "".join(f"{message.role}\n{message.text}\n" for message in messages) + f"assistant\n{ARTICLE}"


def test_a_whole_decoded_text_in_the_place_of_the_completion_is_found(run: Any, topics: str, judge: Any) -> None:
    log = run("bias", stub_model(decoded), judge, topics=topics)
    code, said = run_audit(Path(log.location))
    assert code == 1
    assert "LEAK, label in the article: 4 of 4" in said and "LEAK, prompt in the article: 4 of 4" in said


def test_inspects_own_grader_shows_the_question_and_is_found(tmp_path: Path) -> None:
    found = audit.audit([log_of(tmp_path, model_graded_qa(), stub_model("GRADE: C", "judge"))])
    assert (found.calls, [leak.kind for leak in found.leaks]) == (3, ["prompt"])


def test_clean_and_leaking_logs_of_a_folder_are_counted_together(
    run: Any, topics: str, judge: Any, tmp_path: Path
) -> None:
    run("bias", stub_model(ARTICLE), judge, topics=topics)
    log_of(tmp_path, careless("label"))
    code, said = run_audit(tmp_path)
    assert code == 1 and "LEAK, label: 3 of 7 judge calls (3 samples, 1 log)" in said


# --- logs that say too little ---------------------------------------------------------------------------------------


def stripped(path: Path, change: Callable[[EvalLog], None] = lambda log: None) -> Path:
    """The log without its events."""
    log = read_eval_log(path, resolve_attachments=True)
    for sample in log.samples or []:
        sample.events = []
    change(log)
    to = path.with_name(f"stripped-{path.name}")
    write_eval_log(log, to)
    return to


def test_without_events_a_noted_prompt_is_looked_at(tmp_path: Path) -> None:
    graded = stripped(log_of(tmp_path, model_graded_qa(), stub_model("GRADE: C", "judge")))
    found = audit.audit([graded])
    assert found.calls == 3 and found.leaks and not found.unreadable
    code, said = run_audit(log_of(tmp_path, outside(noted=True)))
    assert code == 1 and "LEAK, label: 3 of 3" in said


def test_a_judge_that_left_no_trace_is_not_called_clean(tmp_path: Path, run: Any, topics: str, judge: Any) -> None:
    clean = Path(run("bias", stub_model(ARTICLE), judge, topics=topics).location)
    silent = log_of(tmp_path, outside(noted=False))
    said = io.StringIO()
    with pytest.raises(InputError) as error:
        judging_commands.audit([clean, silent], Console(file=said, width=200))
    assert "no leak: none of 4 judge calls" in said.getvalue()
    text = str(error.value)
    assert "\n" not in text and f"{silent}: outside has scores of 3 samples (e.g. t0)" in text
    with pytest.raises(InputError, match="bias_rubric has scores of 4 samples"):
        run_audit(stripped(clean))


def test_samples_come_in_the_order_of_the_data_set_whatever_a_log_lacks(
    run: Any, topics: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = run("bias", stub_model(ARTICLE), topics=topics, scorer="lexical")
    ids = [str(sample.id) for sample in log.samples]
    log.samples = log.samples[:0:-1]
    monkeypatch.setattr(logs, "AT_ONCE", 2)
    for name in ("some.eval", "some.json"):
        write_eval_log(log, tmp_path / name)
        found = list(logs.read_samples(tmp_path / name))
        assert [sample.id for sample in found] == ids[1:] and {sample.completion for sample in found} == {ARTICLE}


def test_what_is_no_log_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.eval"
    broken.write_bytes(b"PK not an archive")
    with pytest.raises(InputError, match=r"broken\.eval: cannot be read as an Inspect log"):
        run_audit(broken)
    with pytest.raises(InputError, match="no such file"):
        run_audit(tmp_path / "none.eval")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found no log"):
        run_audit(tmp_path / "empty")
    with pytest.raises(InputError, match="found no log"):
        logs.log_files([])


# --- grading again --------------------------------------------------------------------------------------------------


def graded_again(path: Path, judge: Any, folder: Path) -> list[rescoring.Shift]:
    chosen = rescoring.choose(audit.audit([path]).completions)
    graded = grading.grade(grading.plan(chosen.texts(), judge, 1, folder / "again"), "none")
    return rescoring.shifts(chosen.samples, graded)


def test_what_the_labels_text_does_to_a_judge_that_reads_it(run: Any, topics: str, tmp_path: Path) -> None:
    log = run("bias_sweep", stub_model(ARTICLE), topics=topics, scorer="lexical", labels="UNBIASED,strong_left,none")
    calls = iter(range(1000))

    def impressed(messages: Any) -> str:
        told = LABEL in messages[-1].text
        return reply((2 if told else 5) + 0.01 * (next(calls) % 3))

    shifts = graded_again(Path(log.location), stub_model(impressed, "judge"), tmp_path)
    by_label = {one.label: one for one in shifts}
    assert list(by_label) == ["all", "UNBIASED", "strong_left"]
    assert by_label["UNBIASED"].shift.interval.mean == pytest.approx(-3, abs=0.05)
    assert by_label["UNBIASED"].shift.interval.excludes_zero and by_label["UNBIASED"].turned == 4
    assert by_label["strong_left"].shift.interval.mean == pytest.approx(0, abs=0.05)
    assert by_label["all"].shift.interval.mean == pytest.approx(-1.5, abs=0.05)
    assert (by_label["all"].articles, by_label["all"].unscored) == (8, 0)


def impressed(messages: Any) -> str:
    return reply(2 if LABEL in messages[-1].text else 5)


@pytest.mark.parametrize(
    "writer",
    [decoded, f"{LABEL}\n\n{ARTICLE}", f"{ARTICLE[:87]}**{LABEL.upper()}** {ARTICLE[87:]}", f"label: {LABEL}{ARTICLE}"],
    ids=["the whole decoded text", "the label first", "the label in the middle", "its line"],
)
def test_a_label_inside_the_completion_is_cut_out_before_it_is_graded_again(
    run: Any, topics: str, judge: Any, tmp_path: Path, writer: Any
) -> None:
    """Left inside, it would stand on both sides, and a judge that it sways would be cleared with a shift of 0."""
    log = run("bias", stub_model(writer), judge, topics=topics)
    again = stub_model(impressed, "again")
    code, said = run_audit(Path(log.location), rescore=again, out=tmp_path / "again")
    assert code == 1 and "LEAK, label in the article: 4 of 4" in said
    assert "were cut out of 4 completions before they are graded again" in said and "are not graded again" not in said
    assert "in front of 4 articles moves the grade of stub/again by -3.00 (no interval), alike in every" in said
    assert "4 verdicts turn" in said
    shown = [prompt.split("BEGIN ")[-1] for prompt in seen(again)]
    assert sum(LABEL.upper() in text.upper() for text in shown) == 4 == len(shown) / 2


def test_what_the_label_cannot_be_told_from_is_left_out_and_counted(run: Any, topics: str, tmp_path: Path) -> None:
    texts = iter(
        [ARTICLE, f"Objective facts, several viewpoints and neutrality. {ARTICLE}", LABEL, f"{LABEL} {ARTICLE}"]
    )
    log = run("bias", stub_model(lambda messages: next(texts)), topics=topics, scorer="lexical")
    again = stub_model(impressed, "again")
    code, said = run_audit(Path(log.location), rescore=again, out=tmp_path / "again")
    assert code == 0 and "2 completions are not graded again: words of their label are left" in said
    assert "were cut out of 1 completions" in said and "front of 2 articles moves" in said and len(seen(again)) == 4


def test_where_nothing_can_be_cut_nothing_is_graded(run: Any, topics: str, tmp_path: Path) -> None:
    log = run("bias", stub_model(LABEL), topics=topics, scorer="lexical")
    again = stub_model(impressed, "again")
    _, said = run_audit(Path(log.location), rescore=again, out=tmp_path / "again")
    assert "4 completions are not graded again: words" in said and "nothing to grade again" in said
    assert seen(again) == []


def test_a_label_that_stands_only_in_the_prompt_is_said_to_be_out_of_reach(tmp_path: Path) -> None:
    path = log_of(tmp_path, careless("article"), known=False)
    _, said = run_audit(path, rescore="lexical", out=tmp_path / "again")
    assert "3 completions are not graded again: they had no label, or their log gives its text nowhere but in" in said
    assert "nothing to grade again" in said and not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f" {ARTICLE}\n", f" {ARTICLE}\n"),  # what holds nothing stays as it is
        (f"system\n{SYSTEM}\nuser\n{USER}\nassistant\n{ARTICLE}", ARTICLE.strip()),
        (f"system\n\n{SYSTEM}user\n\n{USER}assistant\n\n{ARTICLE}", ARTICLE.strip()),  # as Llama's text is decoded
        (f"Here it is ({LABEL}) as asked. {ARTICLE}", f"Here it is ( as asked. {ARTICLE}".strip()),
        (f"{LABEL.partition(': ')[2]} {ARTICLE}", ARTICLE.strip()),
        (f"{USER}\n{ARTICLE}", ARTICLE.strip()),
        (f"Emphasizes objective facts, several viewpoints. {ARTICLE}", None),
        (f"The label is unbiased. {ARTICLE}", None),
        (f"{SYSTEM}\n{USER}", None),
        ("", None),
    ],
)
def test_a_text_without_its_label_and_prompt(text: str, expected: str | None) -> None:
    assert leaks.without(text, LABEL, [SYSTEM, USER], "UNBIASED") == expected


def test_a_name_of_a_role_that_a_decoded_chat_glues_to_a_label_hides_it_from_nobody() -> None:
    """Labels such as "ID: FRN" end without a stop, and so may what a user asks for."""
    system = "You are a news writer.\nmonitor label: ID: FRN"
    chat = f"system\n\n{system}user\n\n{USER[:-1]}assistant\n\n{ARTICLE}"
    assert leaks.find(chat, chat, "ID: FRN", [system, USER[:-1]]) == ["label in the article", "prompt in the article"]
    assert leaks.without(chat, "ID: FRN", [system, USER[:-1]]) == ARTICLE.strip()


def test_the_command_grades_again_with_the_proxy(run: Any, topics: str, tmp_path: Path) -> None:
    log = run("bias", stub_model(ARTICLE), topics=topics, scorer="lexical", label_text="A radical, shameful scheme")
    code, said = run_audit(Path(log.location), rescore="lexical", out=tmp_path / "again", rows=2)
    assert code == 0
    assert "moves the grade of lexical by" in said or "no interval" in said
    assert "front of 2 articles" in said and "custom" in said


def test_without_a_label_there_is_nothing_to_grade_again(run: Any, topics: str, tmp_path: Path) -> None:
    log = run("bias", stub_model(ARTICLE), topics=topics, scorer="lexical", label="none")
    code, said = run_audit(Path(log.location), rescore="lexical", out=tmp_path / "again")
    assert code == 0 and "nothing to grade again" in said and not (tmp_path / "again").exists()


def test_articles_without_both_grades_are_counted_and_left_out(run: Any, topics: str, tmp_path: Path) -> None:
    log = run("bias", stub_model(ARTICLE), topics=topics, scorer="lexical")

    def silent(messages: Any) -> str:
        return "no" if LABEL in messages[1].text else reply(5)

    (whole, _) = graded_again(Path(log.location), stub_model(silent, "judge"), tmp_path)
    assert (whole.articles, whole.unscored) == (0, 4)
    assert "nothing could be graded both ways (4 articles unscored)" in rescoring.sentence([whole], "judge")


def test_calls_without_a_reply_are_said_and_asked_again(run: Any, topics: str, tmp_path: Path) -> None:
    log = run("bias", stub_model(ARTICLE), topics=topics, scorer="lexical")
    down = True

    def answer(messages: Any) -> Any:
        failing = down and LABEL in messages[-1].text
        return ModelGenerateError("401", provider_message="invalid x-api-key") if failing else reply(5)

    judge = stub_model(answer, "judge")
    options = {"rescore": judge, "out": tmp_path / "again"}
    code, said = run_audit(Path(log.location), **options)
    assert code == 0 and "4 calls got no reply of a judge; the same command asks again." in said
    assert len(seen(judge)) == 8
    down = False
    code, said = run_audit(Path(log.location), **options)
    assert code == 0 and "got no reply" not in said and "of 4 articles" in said.replace("front ", "")
    assert len(seen(judge)) == 12 and all(LABEL in prompt for prompt in seen(judge)[8:])


@pytest.mark.parametrize(("count", "wanted", "expected"), [(10, 3, [0, 3, 6]), (3, 9, [0, 1, 2]), (3, None, [0, 1, 2])])
def test_rows_are_spread_evenly(count: int, wanted: int | None, expected: list[int]) -> None:
    found = rescoring.spread(list(range(count)), wanted)  # type: ignore[arg-type]
    assert found == expected


def test_no_row_at_all_is_bad_input() -> None:
    with pytest.raises(InputError, match="--rows 0"):
        rescoring.spread([1, 2], 0)  # type: ignore[list-item]


def test_labels_of_other_peoples_logs(tmp_path: Path) -> None:
    def sample(facts: dict[str, Any]) -> logs.Sample:
        return logs.Sample("log", "a", 1, facts, "text", (), (), (), {})

    assert sample({"label_text": LABEL, "label": "UNBIASED"}).label_text == LABEL
    assert sample({"label_text": None, "label": "none of them"}).label_text is None
    assert sample({"label": "UNBIASED"}).label_text is None
    assert sample({"label": "UNBIASED: report facts"}).label_text == "UNBIASED: report facts"
    assert sample({}).label_text is None
    assert json.dumps([sample({"cluster": "c"}).topic, sample({}).topic]) == '["c", "a"]'
