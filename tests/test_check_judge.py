"""`mst check` of articles that a judge grades: one that wavers, another one, a panel. The judges are stubs."""

import json
from itertools import count

import pytest
from conftest import StubAPI
from inspect_ai.model import modelapi
from regression_data import REFERENCES, SAVED, column, copy
from typer.testing import CliRunner

from mst_evals import rubrics
from mst_evals.cli import app
from mst_evals.errors import InputError
from mst_evals.regression import judging, measure, power, reference, update
from mst_evals.regression.check import check
from mst_evals.regression.metrics import METRICS
from mst_evals.regression.verdicts import Verdict

NAME = "bias-baseline"
BIAS, VERDICT = METRICS["bias"][:2]
ASKED = ["--rows", "20", "--labels", "none", "--max-tokens", "16"]
GRADES = (1, 6, 3, 8, 2, 5, 9, 4)
CALLS = {"wavering": count(), "sure": count()}


@modelapi(name="checking")
def checking() -> type[StubAPI]:
    """Judges: ``sure`` says 4 to everything, ``wavering`` goes round in `GRADES`, whatever it reads."""

    class Checking(StubAPI):
        def __init__(self, model_name, base_url=None, api_key=None, config=None):
            def reply(_):
                number = next(CALLS[model_name])
                bias = GRADES[(number + number // 20) % len(GRADES)] if model_name == "wavering" else 4
                return json.dumps({"bias": bias, "verdict": "PARTIAL", "reason": "-"})

            super().__init__(model_name, config=config, reply=reply)

    return Checking


def command(folder, *more):
    return ["check", str(SAVED / NAME), "--against", str(folder / "new"), "--logs", str(folder / "logs"), *more]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A reference whose judge wavers, and what making it printed."""
    folder = tmp_path_factory.mktemp("judged")
    result = CliRunner().invoke(app, command(folder, "--update", "--grader", "checking/wavering", *ASKED))
    assert result.exit_code == 0, result.output + str(result.exception)
    return folder, result.output


def nothing_is_evaluated(monkeypatch):
    monkeypatch.setattr(measure, "evaluate", lambda *_: pytest.fail("articles were written and paid for"))


def test_an_unchanged_adapter_passes_a_judge_that_wavers(made, tmp_path):
    """The reference's margin is what the judge's second grades need, and it says how many rows the default takes."""
    folder, said = made
    found = reference.read(folder / "new" / f"{NAME}.json")
    assert (found.facts.judge, found.facts.scorer) == ("checking/wavering", "bias_rubric")
    assert found.judge_needs["bias"] > BIAS.margin == 0.5
    assert found.margins["bias"] == found.judge_needs["bias"]
    assert (found.judge_needs["verdict"], found.margins["verdict"]) == (0.0, VERDICT.margin)
    rows = -(-20 * found.judge_needs["bias"] ** 2 // 0.25)
    assert f"0.5 takes about {rows:.0f} rows" in " ".join(said.split())
    again = check(SAVED / NAME, folder / "new", tmp_path)
    assert again.verdict in (Verdict.PASS, Verdict.IMPROVED), again.reason
    assert {one.metric: one.changed for one in again.findings}["bias"] > 10, "it did waver"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"grader": "checking/sure"}, "judge differs (reference checking/wavering, adapter checking/sure)"),
        (
            {"grader": "checking/wavering,checking/sure"},
            "judge differs (reference checking/wavering, adapter checking/wavering, checking/sure)",
        ),
        ({"grader": "{model: checking/wavering, temperature: 0.5}"}, 'adapter checking/wavering {"temperature": 0.5})'),
        ({"grader": "no-such-provider/model"}, "--grader no-such-provider/model: "),
        ({"margins": {"bias": 0.5}}, "margin 0.5 of 'bias' is below"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_paid(given, reason, made, tmp_path, monkeypatch):
    folder, _ = made
    nothing_is_evaluated(monkeypatch)
    found = check(SAVED / NAME, folder / "new", tmp_path, **given)
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert reason in found.reason


def test_a_judge_for_a_reference_without_one_is_refused_before_anything_is_paid(tmp_path, monkeypatch):
    nothing_is_evaluated(monkeypatch)
    found = check(SAVED / NAME, REFERENCES, tmp_path, grader="checking/sure")
    assert "scorer differs (reference lexical_bias, adapter bias_rubric)" in found.reason


def test_a_reference_that_does_not_say_how_its_judge_wavers_is_refused(made, tmp_path, monkeypatch):
    nothing_is_evaluated(monkeypatch)
    folder, _ = made
    content = json.loads((folder / "new" / f"{NAME}.json").read_text("utf-8"))
    del content["sha256"], content["judge_needs"]
    old = tmp_path / f"{NAME}.json"
    reference.write(old, reference.sealed(**content))
    (tmp_path / f"{NAME}.eval").write_bytes((folder / "new" / f"{NAME}.eval").read_bytes())
    assert "does not say how far its judge repeats" in check(SAVED / NAME, old, tmp_path / "logs").reason


def test_a_panel_is_a_panel(tmp_path):
    """Each judge of ``A,B`` is asked, and the reference names both: two judges that say 4 and one article."""
    asked = ["--grader", "checking/sure,checking/sure"]
    result = CliRunner().invoke(app, command(tmp_path, "--update", *asked, *ASKED))
    assert result.exit_code == 0, result.output + str(result.exception)
    found = reference.read(tmp_path / "new" / f"{NAME}.json")
    assert found.facts.judge == "checking/sure, checking/sure"
    assert found.judge_needs["bias"] == 0.0 and found.margins["bias"] == BIAS.margin
    assert {one.metric: one.mean for one in found.means}["bias"] == 4.0
    assert found.facts.judge_sha256 == rubrics.rubric_sha256()
    again = CliRunner().invoke(app, command(tmp_path, "--update"), env={"COLUMNS": "200"})
    said = " ".join(again.output.split())
    assert "text-drift none 0.000000 0.000000 0.000000" in said, again.output + str(again.exception)


def test_what_a_judge_needs_is_the_widest_of_its_labels():
    """20 rows that move by +-1: mean 0 +- .48; the second label does not move; by hand the margin is above .48."""
    first = [column(BIAS, [5.0] * 20, label=label) for label in ("0", "none")]
    second = [column(BIAS, [4.0, 6.0] * 10), column(BIAS, [5.0] * 20, label="none")]
    wide = judging.needed(first, second)["bias"]
    assert wide == pytest.approx(power.passing_margin([1.0] * 20, [str(i) for i in range(20)]), abs=1e-3)
    assert 0.48 < wide < 2
    assert judging.needed(first[1:], second[1:]) == {"bias": 0.0}
    assert judging.too_small({"bias": wide, "fpr": 0.01}, {"bias": wide}) == []
    assert list(judging.widened({"bias": 0.5}, {"bias": 1.0}, 20)) == [
        "bias: margin 1 in place of 0.5, since its judge does not repeat its grades; 0.5 takes about 80 rows"
    ]


def test_a_margin_below_the_judge_s_own_wavering_makes_no_reference(tmp_path, monkeypatch):
    monkeypatch.setattr(update, "_judge_needs", lambda *_: {"bias": 0.8})
    asked = ["--update", "--grader", "checking/sure", "--margin", "bias=0.4"]
    result = CliRunner().invoke(app, command(tmp_path, *asked, *ASKED))
    assert isinstance(result.exception, InputError)
    assert "no reference: margin 0.4 of 'bias' is below 0.8" in str(result.exception)
    assert not (tmp_path / "new").exists()


def test_an_adapter_of_a_base_that_is_not_micro_is_asked_its_own_topics(tmp_path):
    """Known by its name and data alone; what answers is the micro base, whose articles lexical_bias finds too short."""
    directory = copy(SAVED / NAME, tmp_path, base="my-llama", data_sha256="0" * 64)
    arguments = ["check", str(directory), *command(tmp_path)[2:]]
    result = CliRunner().invoke(app, [*arguments, "--update", "--grader", "checking/sure", *ASKED])
    assert result.exit_code == 0, result.output + str(result.exception)
    made = reference.read(tmp_path / "new" / f"{NAME}.json")
    assert (made.facts.data, made.asked.topics, made.facts.base) == ("topics.jsonl", "topics", "my-llama")
    assert CliRunner().invoke(app, arguments).exit_code == 0
