"""How much of a study its frame holds, and over which seeds it plans a difference."""

from typing import Any

import numpy as np
import pytest
import synthetic as sy
from study_files import plan_of, write_study

from mst_evals.reporting import progress
from mst_evals.reporting.frame import Frame
from mst_evals.reporting.progress import Evaluation
from mst_evals.studies.study import Study

WORDINGS = {"names": ["neutral"], "arms": ["mst"], "labels": ["own"]}


def study(**more: Any) -> Study:
    content = {
        "name": "s", "experiment": "bias", "config": "nowhere.yaml", "base": "micro", "seeds": [0, 1, 2],
        "arms": {"ootb": {}, "baseline": {}, "mst": {}, "least_biased": {"seeds": [1, 2]}},
        "evaluations": {"labels": ["none"], "wordings": WORDINGS},
    }  # fmt: skip
    return Study.model_validate(content | more)


def asked(arm: str, seeds: list[int] | None, *labels: str, **setting: Any) -> list[Any]:
    """Cells of one arm; without seeds it is not trained."""
    values = np.ones(3) if seeds is None else np.ones((len(seeds), 3))
    return [sy.cell("bias", arm, label, values, seeds, **setting) for label in labels]


def whole() -> Frame:
    """Everything that `study` plans."""
    return sy.frame(
        *asked("ootb", None, "none"), *asked("baseline", [0, 1, 2], "none"), *asked("mst", [0, 1, 2], "none"),
        *asked("least_biased", [1, 2], "none"), *asked("mst", [0, 1, 2], "UNBIASED", wording="neutral"),
    )  # fmt: skip


def test_a_whole_study_lacks_nothing() -> None:
    found = progress.progress(study(), whole().samples)
    assert (len(found.planned), found.missing) == (12, ())  # 1 + 3 + 2 x 3 + 2
    assert found.sentence.startswith("Study s: 12 of 12 evaluation cells are done")
    assert progress.section(found, study()) is None
    assert found.facts() == {"name": "s", "evaluations": 12, "done": 12, "missing": []}


def test_seeds_wordings_and_arms_that_are_missing_are_listed() -> None:
    samples = whole().samples
    gone = ((samples["arm"] == "mst") & (samples["seed"] > 0)) | (samples["arm"] == "ootb")
    found = progress.progress(study(), samples[~gone])
    assert [(one.arm, one.seed, one.wording, one.labels) for one in found.missing] == [
        ("ootb", None, "monitor", ("none",)),
        ("mst", 1, "monitor", ("none",)), ("mst", 1, "neutral", ("UNBIASED",)),
        ("mst", 2, "monitor", ("none",)), ("mst", 2, "neutral", ("UNBIASED",)),
    ]  # fmt: skip
    assert found.sentence.startswith("Unfinished: 7 of 12 evaluation cells of the study s are done.")
    assert found.facts()["done"] == 7 and found.facts()["missing"][1]["seed"] == 1
    made = progress.section(found, study())
    assert made is not None and made.title == "Missing cells of the study s" and made.title in found.sentence
    assert made.findings == ("5 of 12 evaluation cells are missing.",)
    (table,) = made.items
    assert table.rows == (  # type: ignore[union-attr]
        ("–", "ootb", "monitor", "all", "–", "not trained", "1"),
        ("–", "mst", "monitor, neutral", "all", "1, 2", "1 of 3", "4"),
    )


def test_a_label_of_a_sweep_may_be_missing_alone() -> None:
    both = study(evaluations={"labels": ["none", "nonsense"]}, arms={"mst": {}}, seeds=[0, 1])
    frame = sy.frame(*asked("mst", [0, 1], "none"), *asked("mst", [1], "nonsense"))
    found = progress.progress(both, frame.samples)
    assert found.missing == (Evaluation("", "mst", 0, "monitor", ("nonsense",)),)
    made = progress.section(found, both)
    assert made is not None
    assert made.items[0].rows == (("–", "mst", "monitor", "nonsense", "0", "1 of 2", "1"),)  # type: ignore[union-attr]


@pytest.mark.parametrize("other", [{"split": "validation"}, {"choice": "existing"}, {"condition": "x"}])
def test_samples_of_another_setting_are_no_part_of_it(other: dict[str, str]) -> None:
    found = progress.progress(study(), whole().samples.assign(**other))
    assert len(found.missing) == len(found.planned) == 12


def test_an_unscored_sample_was_asked() -> None:
    samples = whole().samples
    samples.loc[samples["arm"] == "mst", "value"] = float("nan")
    assert progress.progress(study(), samples).missing == ()


def test_conditions_plan_their_own_arms_and_seeds() -> None:
    curve = study(conditions=[{"name": "a", "arms": ["ootb", "mst"], "seeds": [0]}, {"name": "b"}])
    assert progress.seeds(curve, "a") == {"ootb": (), "mst": (0,)}
    assert progress.seeds(curve, "b") == {"ootb": (), "baseline": (0, 1, 2), "mst": (0, 1, 2), "least_biased": (1, 2)}
    assert progress.seeds(curve, "") == {} and progress.seeds(study(), "")["mst"] == (0, 1, 2)
    samples = sy.frame(*asked("mst", [0], "none", condition="a")).samples
    found = progress.progress(curve, samples)
    assert [(one.condition, one.arm, one.wording) for one in found.missing[:2]] == [
        ("a", "ootb", "monitor"), ("a", "mst", "neutral"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (("mst", ""), ("baseline", ""), (0, 1, 2)),
        (("mst", ""), ("least_biased", ""), (1, 2)),
        (("least_biased", ""), ("ootb", ""), (1, 2)),
        (("ootb", ""), ("mst", ""), (0, 1, 2)),
        (("ootb", ""), ("ootb", ""), ()),
        (("mst", ""), ("shuffled", ""), None),
        (("mst", "x"), ("mst", ""), None),
    ],
)
def test_seeds_of_a_difference_are_those_that_both_sides_plan(
    a: progress.Side, b: progress.Side, expected: tuple[int, ...] | None
) -> None:
    assert progress.common_seeds(study(), a, b) == expected


def test_what_is_planned_is_what_the_engine_makes(tmp_path: Any) -> None:
    """The names of the evaluation cells, in their order."""
    conditions = [{"name": "a"}, {"name": "b", "arms": ["mst"], "seeds": [1]}]
    asking = {"labels": "deployed", "rows": 2, "wordings": {"names": "all", "arms": ["baseline"]}}
    plan = plan_of(write_study(tmp_path, conditions=conditions, evaluations=asking))
    names = [
        "-".join([one.arm, one.condition, *([] if one.seed is None else [f"seed{one.seed}"]), one.wording])
        for one in progress.planned(plan.study)
    ]
    assert names == [cell.key for cell in plan.cells if cell.kind == "evaluate"]
    assert len(names) > 8
