"""Study files: what they may say, and the one line that tells what is wrong."""

from pathlib import Path
from typing import Any

import pytest
from study_files import STUDY, plan_of, write_study

from mst_evals import cli
from mst_evals.errors import InputError
from mst_evals.reporting import results
from mst_evals.studies import asked, checks, study_file
from mst_evals.studies.study import Evaluations, Side, Study

MST, BASELINE = {"arm": "mst", "label": "held_out"}, {"arm": "baseline", "label": "none"}
# change to the study file -> where the fault is, and words that its line holds
FAULTS: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"sedes": [0]}, "sedes", ["unknown key", "did you mean 'seeds'?"]),
    ({"seeds": "0"}, "seeds", ["found '0'", "expected a list"]),
    ({"seeds": []}, "seeds", ["found []", "at least 1"]),
    ({"seeds": [0, "1"]}, "seeds.1", ["found '1'", "a whole number"]),
    ({"seeds": [-1]}, "seeds.0", ["found -1", "at least 0"]),
    ({"seeds": [True]}, "seeds.0", ["found True", "a whole number"]),
    ({"seeds": [0, 1, 0]}, "seeds", ["0 stands here twice"]),
    ({"name": None}, "name", ["missing"]),
    ({"name": "a b"}, "name", ["found 'a b'", "letters"]),
    ({"experiment": "sycophany"}, "experiment", ["found 'sycophany'", "bias or sycophancy"]),
    ({"minutes": "x"}, "minutes", ["found 'x'", "a number"]),
    ({"arms": {}}, "arms", ["found {}", "at least 1"]),
    ({"arms": ["mst"]}, "arms", ["found ['mst']", "a mapping"]),
    ({"arms": {"mts": {}}}, "arms", ["'mts' is no arm of sycophancy", "did you mean 'mst'?"]),
    ({"arms": {"mst": {"seed": [0]}}}, "arms.mst.seed", ["unknown key", "did you mean 'seeds'?"]),
    ({"arms": {"mst": {"labels": "al"}}}, "arms.mst.labels", ["found 'al'", "deployed, core or all"]),
    ({"arms": {"mst": {"seeds": [7]}}}, "arms.mst.seeds", ["7 is no seed of this study", "0, 1"]),
    ({"arms": {"mst": {"seeds": []}}}, "arms.mst.seeds", ["found []"]),
    ({"arms": {"ootb": {"seeds": [0]}}}, "arms.ootb.seeds", ["ootb is not trained"]),
    ({"config": "nowhere.yaml"}, "", ["nowhere.yaml: cannot be read"]),
    ({"base": 3}, "base", ["found 3", "expected text"]),
    ({"base": "micro-qwem"}, "base", ["found 'micro-qwem'", "did you mean 'micro-qwen'?", "hub id"]),
    ({"base": {"wrld": "bias"}}, "base.wrld", ["unknown key", "did you mean 'world'?"]),
    ({"base": {"world": "moon"}}, "base.world", ["found 'moon'", "bias or sycophancy"]),
    ({"base": {"world": "bias", "arguments": {"overide_rate": 1}}}, "base.arguments", ["mean 'override_rate'?"]),
    ({"base": {"world": "bias", "arguments": {"seed": 1}}}, "base.arguments", ["beside 'arguments'"]),
    ({"base": {"world": "bias", "init": "nothing"}}, "base.init", ["found 'nothing'"]),
    ({"conditions": [{"name": "a", "argumnts": {}}]}, "conditions.0.argumnts", ["did you mean 'arguments'?"]),
    ({"conditions": [{"name": "a", "arguments": {"lora_rank": 4}}]}, "conditions.0.arguments", ["no argument of"]),
    ({"conditions": [{"name": "a", "arguments": {"lora_r": [4]}}]}, "conditions.0.arguments.lora_r", ["found [4]"]),
    ({"conditions": [{"name": "a", "arguments": {"seed": 4}}]}, "conditions.0.arguments", ["set by the study"]),
    ({"conditions": [{"name": "a", "arguments": {"base": "x"}}]}, "conditions.0.arguments", ["beside 'arguments'"]),
    ({"conditions": [{"name": "a"}, {"name": "a"}]}, "conditions", ["'a' stands here twice"]),
    ({"conditions": [{"name": "a", "arms": ["words"]}]}, "conditions.0.arms", ["'words' is no arm of this study"]),
    ({"conditions": [{"name": "a", "seeds": [5]}]}, "conditions.0.seeds", ["5 is no seed of this study"]),
    ({"conditions": [{"name": "a", "base": "nix"}]}, "conditions.0.base", ["found 'nix'"]),
    ({"evaluations": {"rowz": 3}}, "evaluations.rowz", ["did you mean 'rows'?"]),
    ({"evaluations": {"rows": 0}}, "evaluations.rows", ["found 0", "at least 1"]),
    ({"evaluations": {"labels": "al"}}, "evaluations.labels", ["found 'al'", "deployed, core or all"]),
    ({"evaluations": {"labels": [1.5]}}, "evaluations.labels.0", ["found 1.5", "expected text"]),
    ({"evaluations": {"labels": ["999"]}}, "evaluations", ["arm ootb", "unknown label '999'"]),
    ({"evaluations": {"labels": []}}, "evaluations", ["found no label"]),
    ({"arms": {"ootb": {"labels": "all"}, "mst": None}}, "evaluations",
     ["arm ootb: labels: found 'all', expected a list", "asked with none and 0"]),
    ({"evaluations": {"scorer": "lexical"}}, "evaluations.scorer", ["expected none for sycophancy"]),
    ({"evaluations": {"wordings": {"names": ["thnk"]}}}, "evaluations.wordings.names", ["did you mean 'think'?"]),
    ({"evaluations": {"wordings": {"arms": ["words"]}}}, "evaluations.wordings.arms", ["no arm of this study"]),
    ({"evaluations": {"wordings": {"names": "al"}}}, "evaluations.wordings.names", ["found 'al'", "all"]),
    ({"comparisons": {"a": 1}}, "comparisons", ["a list"]),
    ({"comparisons": [{"a": MST, "b": {"arm": "mst", "lable": "0"}, "metric": "fpr"}]}, "comparisons.0.b.lable",
     ["did you mean 'label'?"]),
    ({"comparisons": [{"a": MST, "b": BASELINE, "metric": "fprr"}]}, "comparisons.0.metric", ["did you mean 'fpr'?"]),
    ({"comparisons": [{"a": {"arm": "words", "label": "none"}, "b": BASELINE, "metric": "fpr"}]}, "comparisons.0.a.arm",
     ["'words' is no arm of this study"]),
    ({"comparisons": [{"a": {"arm": "mst", "label": 33}, "b": BASELINE, "metric": "fpr"}]}, "comparisons.0.a",
     ["mst with label '33'", "not among the evaluations"]),
    ({"comparisons": [{"a": MST | {"condition": "x"}, "b": BASELINE, "metric": "fpr"}]}, "comparisons.0.a.condition",
     ["'x' is no condition"]),
    ({"comparisons": [{"a": MST, "b": BASELINE, "metric": "fpr"}], "conditions": [{"name": "x"}]},
     "comparisons.0.a.condition", ["missing", "x"]),
    ({"equivalence": [{"a": MST, "b": BASELINE, "metric": "fpr", "margin": 0}]}, "equivalence.0.margin", ["found 0"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field", "words"), FAULTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_fault_is_one_line_with_its_place(
    tmp_path: Path, change: dict[str, Any], field: str, words: list[str]
) -> None:
    path = write_study(tmp_path, **change)
    with pytest.raises(InputError) as caught:
        checks.read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: {field}: " if field else str(tmp_path))
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "not YAML"),
        ("- a\n- b\n", "found list, expected a mapping"),
        ("seeds: [0]\nname: x\nseeds: [1]\n", ":3: not YAML (key 'seeds' stands here a second time)"),
        ("", "found NoneType, expected a mapping"),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=str(path)) as caught:
        study_file.load(path)
    assert words in str(caught.value)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        study_file.load(tmp_path / "bad.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        study_file.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("recipe", "words"),
    [({"lora_rr": 4}, "'lora_rr' is no argument of training.ppo; did you mean 'lora_r'?"), ({"arm": "mst"}, "set by")],
)
def test_a_recipe_with_a_wrong_key(tmp_path: Path, recipe: dict[str, Any], words: str) -> None:
    path = write_study(tmp_path, recipe)
    with pytest.raises(InputError) as caught:
        checks.read(path)
    assert str(tmp_path / "recipe.yaml") in str(caught.value)
    assert words in str(caught.value)


def test_bias_needs_a_judge_for_the_rubric_and_takes_trl_s_arguments(tmp_path: Path) -> None:
    bias = {
        "experiment": "bias",
        "base": "micro-llama",
        "conditions": [{"name": "slow", "arguments": {"max_steps": 3}}],
    }
    recipe = tmp_path / "recipe.yaml"
    path = write_study(tmp_path, **bias)
    recipe.write_text("learning_rate: 0.001\nlora_r: 4\n", encoding="utf-8")
    assert checks.read(path).conditions[0].arguments == {"max_steps": 3}
    write_study(tmp_path, **bias, evaluations={"scorer": "rubric"})
    recipe.write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="expected a judge with scorer: rubric"):
        checks.read(path)
    recipe.write_text("max_stepz: 3\n", encoding="utf-8")
    with pytest.raises(InputError, match="did you mean 'max_steps'"):
        checks.read(path)


def test_exit_code_2_and_one_line_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_study(tmp_path, sedes=[1])
    for command in (["run", str(path)], ["status", str(path)], ["pack", str(path)]):
        monkeypatch.setattr("sys.argv", ["mst", *command])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert "sedes: unknown key" in lines[0]


def test_metrics_are_those_of_the_report() -> None:
    def of(experiment: str, **asking: str) -> Study:
        return Study.model_construct(experiment=experiment, evaluations=Evaluations(**asking))

    known = {metric.name for metric in results._metrics("sycophancy", "forced", "sycophancy")}
    assert set(checks.metrics(of("sycophancy"))) == known - {"mass"}
    known = {metric.name for metric in results._metrics("bias", "generate", "lexical_bias")}
    assert set(checks.metrics(of("bias"))) == known
    both = checks.metrics(of("bias", scorer="both", judge="some/judge"))
    assert {"bias_rubric", "bias_rubric.pass", "lexical_bias"} <= set(both)


# --- what is asked ------------------------------------------------------------------------------------------------


def read(tmp_path: Path, **changes: Any) -> Study:
    return checks.read(write_study(tmp_path, **changes))


def test_labels_of_an_arm(tmp_path: Path) -> None:
    study = read(tmp_path, arms={"baseline": {}, "mst": {}, "words": {}}, evaluations={"labels": "deployed"})
    assert [one.labels for one in asked.asked(study, "mst")] == [("0", "none", "nonsense")]
    assert [one.labels for one in asked.asked(study, "baseline")] == [("none", "0")]
    assert [one.labels for one in asked.asked(study, "words")] == [("zero", "none", "nonsense")]
    study = read(tmp_path, arms={"baseline": {}, "mst": {"labels": [33]}}, evaluations={"labels": "deployed"})
    assert [one.labels for one in asked.asked(study, "mst")] == [("33",)]
    assert [one.labels for one in asked.asked(study, "baseline")] == [("none", "0")]
    study = read(tmp_path, evaluations={"labels": ["held_out", 33, "none", 0]})
    assert [one.labels for one in asked.asked(study, "mst")] == [("0", "33", "none")]


def test_wordings_are_swept_for_the_named_arms(tmp_path: Path) -> None:
    wordings = {"names": ["standard", "think"], "arms": ["mst"], "labels": ["own", "none"]}
    study = read(tmp_path, evaluations={"labels": ["33"], "wordings": wordings})
    assert [(one.wording, one.labels) for one in asked.asked(study, "mst")] == [
        ("standard", ("33", "0", "none")),
        ("think", ("0", "none")),
    ]
    assert [one.wording for one in asked.asked(study, "baseline")] == ["standard"]
    study = read(tmp_path, evaluations={"labels": "deployed", "wordings": {}})
    assert len(asked.asked(study, "baseline")) == 6  # the default: every wording, every arm


def test_samples_count_the_five_nonsense_strings(tmp_path: Path) -> None:
    study = read(tmp_path)
    assert asked.samples(study, "mst", asked.asked(study, "mst")[0], 6) == 6 * (1 + 1 + 5)
    assert asked.samples(study, "baseline", asked.asked(study, "baseline")[0], 6) == 6 * 2


def test_a_side_is_filled_in(tmp_path: Path) -> None:
    study = read(tmp_path)
    assert asked.side(study, Side(arm="mst", label="held_out")) == ("mst", "0", "", "standard")
    assert asked.side(study, Side(arm="baseline", label="own", wording="think")) == ("baseline", "none", "", "think")


def test_jobs_of_a_plan(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    assert [job.name for job in plan_of(path).jobs] == ["ootb", "baseline-seed0", "mst-seed0", "mst-seed1"]
    conditions = [
        {"name": "r4", "arguments": {"lora_r": 4}, "arms": ["mst"], "seeds": [1]},
        {"name": "young", "x": 0.5, "base": {"world": "sycophancy", "seed": 1, "arguments": {"steps": 5}}},
    ]
    plan = plan_of(write_study(tmp_path, conditions=conditions))
    names = [job.name for job in plan.jobs]
    assert names[:3] == ["base-young", "mst-r4-seed1", "ootb-young"]
    assert {job.name for job in plan.jobs if job.needs is not None} == set(names[2:])
    assert plan.jobs[0].arguments == {"world": "sycophancy", "seed": 1, "steps": 5}


def test_the_test_study_has_only_known_keys() -> None:
    assert STUDY.keys() <= Study.model_fields.keys()
