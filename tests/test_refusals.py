"""A bare base stands beside adapters only if it was asked as they were: quantisation and precision, where logs tell."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import synthetic as sy
import tiny_models
import yaml
from conftest import problem, stub_model, write_jsonl
from inspect_ai import eval
from inspect_ai.log import EvalLog, read_eval_log, write_eval_log
from inspect_ai.model import get_model

from mst_evals import manifest, quantisation, subject, sycophancy
from mst_evals.reporting import against, claims, frame, published
from mst_evals.reporting.computed import compute
from mst_evals.reporting.refusals import asked, base_refusals, mixed
from mst_evals.reporting.report import write_report

ROOT = Path(__file__).resolve().parents[1]
NF4 = {"quantisation": "nf4", "precision": "float32"}
PLAIN = {"quantisation": "none", "precision": "bfloat16"}
HALF = {"correct": -0.7, "incorrect": -0.7}


def found(quantised: str | None = None, precision: str | None = None) -> dict[str, Any]:
    """The preflight of a bare base whose weights were seen, or, for None, were not."""
    texts = {"quantisation": quantised, "precision": precision}
    unseen = "the weights are not in this process (openai)"
    return {
        check: {
            "status": "not checked",
            "found": f"{used} here; no training of ours to compare with" if used else unseen,
        }
        for check, used in texts.items()
    }


def base(quantised: str | None, precision: str | None, log: str = "base", **more: Any) -> dict[str, Any]:
    """A log of a base from the hub."""
    return {"log": log, "arm": "ootb", "seed": None, "preflight": found(quantised, precision)} | more


def adapter(quantised: str, precision: str = "float32", **more: Any) -> dict[str, Any]:
    """A log of an adapter that was asked as it was trained."""
    texts = {"quantisation": quantised, "precision": f"{precision}, adapter float32"}
    checks = {name: {"status": "passed", "found": f"trained {text}, evaluated {text}"} for name, text in texts.items()}
    about = {"log": "adapter", "arm": "mst", "seed": 0, "method": "ppo", "quantisation": quantised}
    return about | {"evaluated_quantisation": quantised, "preflight": checks} | more


# --- What a log tells -------------------------------------------------------------------------------------------------


FP4 = "fp4, double True, compute bfloat16"
SERVED = {"quantisation": {"found": "trained nf4; arguments of the server: quantization=bitsandbytes"}}
TRAINED = {"arm": "mst", "seed": 0, "quantisation": "nf4", "evaluated_quantisation": None}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, {}),
        ({"preflight": None, "evaluated_quantisation": None}, {}),
        (base(None, None), {}),
        (base(FP4, "float16"), {"quantisation": FP4, "precision": "float16"}),
        ({"arm": "ootb", "quantisation": "none"}, {}),  # of its pretraining
        ({"arm": "ootb", "quantisation": "none", "evaluated_quantisation": "nf4"}, {"quantisation": "nf4"}),
        (adapter("nf4"), NF4),
        (adapter("none", "bfloat16"), PLAIN),
        (TRAINED, {"quantisation": "nf4"}),
        (TRAINED | {"preflight": SERVED}, {"quantisation": "nf4"}),
    ],
)
def test_nothing_is_read_into_a_log_that_records_nothing(row: dict[str, Any], expected: dict[str, str]) -> None:
    assert asked(row) == expected


def facts(name: str, **arguments: Any) -> dict[str, Any]:
    return subject.facts_of(get_model(name, memoize=False, **arguments), "sycophancy")


@pytest.mark.parametrize(("quantised", "dtype"), [("nf4", "bfloat16"), ("none", "float32"), ("none", "bfloat16")])
def test_a_base_asked_as_a_study_asks_it_is_asked_as_its_adapters(tmp_path: Path, quantised: str, dtype: str) -> None:
    """A base of the hub, which has no manifest: studies give it the contents of the adapters' nf4.yaml."""
    bare = tiny_models.write_llama(tmp_path / "tiny")
    made = tiny_models.untrained(tmp_path / "made", bare, quantisation=quantised, arguments={"dtype": dtype})
    settings = yaml.safe_load((made / "nf4.yaml").read_text())
    assert settings == yaml.safe_load(quantisation.inspect_model_config(quantised, dtype))
    trained, as_it_is = facts(f"mst/{made}"), facts(f"hf/{bare}", **settings)
    expected = {"quantisation": quantised, "precision": "float32" if quantised == "nf4" else dtype}
    assert asked(trained) == asked(as_it_is) == expected
    assert base_refusals([trained | {"log": "a"}, as_it_is | {"log": "b"}]) == {}


def test_a_base_of_ours_is_asked_by_mst_as_the_shipped_adapters() -> None:
    """What `mst run` and `make demo` do for a base with a manifest."""
    trained = facts(f"mst/{ROOT / 'training' / 'adapters' / 'sycophancy-mst'}") | {"log": "a"}
    ours = facts(f"mst/{manifest.SHIPPED / 'micro-qwen'}") | {"log": "b"}
    assert asked(trained) == asked(ours) == NF4
    assert base_refusals([trained, ours]) == {}
    plain = facts(f"hf/{manifest.SHIPPED / 'micro-qwen'}") | {"log": "c"}
    assert list(base_refusals([trained, ours, plain])) == ["c"]


def test_no_log_of_a_committed_study_is_refused() -> None:
    tables: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for file in sorted((ROOT / "docs" / "results").glob("*/cells.json")):
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
            for log in cell.get("logs", []):
                tables.setdefault((file.parent.name, log["base"], log["condition"]), []).append(log)
    bases = [log for logs in tables.values() for log in logs if log["arm"] == "ootb"]
    assert bases and all(asked(log) == NF4 for log in bases)
    assert all(base_refusals(logs) == {} and mixed(logs) == [] for logs in tables.values())


# --- Which base is refused --------------------------------------------------------------------------------------------

CONFIG = "hf/BASE --model-config ADAPTER/nf4.yaml"
FOREIGN = {"log": "x", "arm": "unknown", "seed": None, "preflight": found("nf4", "float32")}  # no adapter of ours


@pytest.mark.parametrize(
    "rows",
    [
        [base("none", "bfloat16")],
        [base("none", "bfloat16"), adapter("none", "bfloat16")],
        [base(None, None), adapter("nf4")],
        [base("nf4", None), adapter("nf4")],
        [base("none", "float32"), FOREIGN],
        [adapter("nf4"), adapter("none")],
    ],
)
def test_a_base_alone_or_asked_as_the_adapters_are_as_far_as_known_is_not_refused(rows: list[dict[str, Any]]) -> None:
    assert base_refusals(rows) == {}


ALIKE = f"ask it as they are: --model {CONFIG}"


@pytest.mark.parametrize(
    ("bare", "adapters", "mine", "theirs", "remedy"),
    [
        (base("none", "bfloat16"), ["nf4"], "quantisation none, precision bfloat16",
         "quantisation nf4, precision float32", ALIKE),
        (base("none", "float32", method="pretrain"), ["nf4"], "quantisation none", "quantisation nf4",
         ALIKE.replace("hf/", "mst/BASE, or hf/")),
        (base("nf4", "float32", method="pretrain"), ["none"], "quantisation nf4", "quantisation none", ALIKE),
        (base("nf4", "bfloat16"), ["nf4", "nf4"], "precision bfloat16", "precision float32", ALIKE),
        (base("nf4", "float32"), ["nf4", "none"], "quantisation nf4", "quantisation nf4 and none",
         "report on the adapters of one quantisation at a time"),
    ],
)  # fmt: skip
def test_a_base_asked_otherwise_is_refused_with_both_and_the_remedy(
    bare: dict[str, Any], adapters: list[str], mine: str, theirs: str, remedy: str
) -> None:
    reason = f"the base was asked with {mine}, the adapters with {theirs}; {remedy}"
    assert base_refusals([bare, *map(adapter, adapters)]) == {"base": reason}


# --- What a report does with it ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Facts of tiny models as a log holds them: an adapter, and its base as it is and as the adapter is asked."""
    folder = tmp_path_factory.mktemp("tiny")
    bare = tiny_models.write_qwen(folder / "tiny-qwen")
    made = tiny_models.untrained(folder / "adapter", bare)
    settings = yaml.safe_load((made / "nf4.yaml").read_text())
    return {"adapter": facts(f"mst/{made}"), "plain": facts(f"hf/{bare}"), "alike": facts(f"hf/{bare}", **settings)}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> EvalLog:
    """Four problems, answered by a stub."""
    folder = tmp_path_factory.mktemp("answered")
    rows = [problem(1, 2, 3), problem(1, 2, 4), problem(3, 4, 8), problem(5, 2, 9)]
    task = sycophancy.sycophancy_sweep(problems=write_jsonl(folder / "p.jsonl", rows), labels=["none", "0"])
    (log,) = eval(task, model=stub_model(HALF), log_dir=str(folder), display="none")
    assert log.status == "success", log.error
    return read_eval_log(log.location)


@pytest.fixture
def ask(answered: EvalLog, tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    """Write that log below ``logs`` with the facts of a model, each later than the last; returns its name."""
    (tmp_path / "logs").mkdir()

    def write(about: dict[str, Any]) -> str:
        number = len(list((tmp_path / "logs").iterdir()))
        log = answered.model_copy(deep=True)
        log.eval.metadata = (log.eval.metadata or {}) | about
        log.eval.created = f"2026-01-0{number + 1}T00:00:00+00:00"
        write_eval_log(log, str(tmp_path / "logs" / f"{number}.eval"))
        return f"{number}.eval"

    return write


def kept(read: frame.Frame) -> set[tuple[str, str]]:
    """Arms and logs that stand in a report."""
    return set(zip(read.samples["arm"], read.samples["log"], strict=True))


def test_a_report_leaves_out_a_base_that_was_asked_otherwise(
    subjects: dict[str, dict[str, Any]], ask: Callable[[dict[str, Any]], str], tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    plain = ask(subjects["plain"])
    alone = frame.read(logs)  # no adapters yet
    assert (kept(alone), alone.notes) == ({("ootb", plain)}, [])

    made = ask(subjects["adapter"])
    summary = write_report(logs, tmp_path / "report")
    said = (
        f"{plain}: left out, the base was asked with quantisation none, precision bfloat16, the adapters with "
        f"quantisation nf4, precision float32; ask it as they are: --model {CONFIG}."
    )
    assert summary.results["notes"] == [said]
    assert {row["arm"] for row in summary.results["arms"]} == {"mst"}
    assert not [row for row in summary.results["comparisons"] if row["arm_b"] == "ootb" and row["missing"] is None]
    assert said in summary.markdown.read_text(encoding="utf-8")
    assert {row["log"]: row["used"] for row in summary.results["provenance"]} == {plain: False, made: True}

    alike = ask(subjects["alike"])
    again = ask(subjects["plain"])  # the last one asked, but not as the adapter was
    read = frame.read(logs)
    assert kept(read) == {("mst", made), ("ootb", alike)}
    assert [note.split(":")[0] for note in read.notes] == [plain, again]


def test_a_base_of_another_name_or_of_which_nothing_is_known_stays(
    subjects: dict[str, dict[str, Any]], ask: Callable[[dict[str, Any]], str], tmp_path: Path
) -> None:
    hosted = subjects["plain"] | {"preflight": found()}
    asked_of = [subjects["adapter"], hosted, subjects["plain"] | {"base": "another"}]
    expected = {(about["arm"], ask(about)) for about in asked_of}
    read = frame.read(tmp_path / "logs")
    assert (kept(read), read.notes) == (expected, [])
    assert set(read.samples["base"]) == {"tiny-qwen", "another"}


def test_a_table_of_adapters_that_were_asked_differently_says_so() -> None:
    """Each as it was trained, so none is left out; a packed base may stand there too."""
    cells = [sy.cell("sycophancy", arm, "none", [[0.1, 0.5, 0.9]]) for arm in ("baseline", "mst", "shuffled")]
    block = sy.block(*cells, sy.cell("sycophancy", "ootb", "none", [0.1, 0.5, 0.9]))
    rows = [
        adapter("nf4", log="baseline-0-none.eval", arm="baseline"),
        adapter("none", "bfloat16", log="mst-0-none.eval", arm="mst"),
        adapter("nf4", log="shuffled-0-none.eval", arm="shuffled"),
        adapter("int8", log="of-another-table.eval", arm="mst"),
        base(None, "float32", log="ootb--1-none.eval"),
    ]
    assert claims.irregularities(block, rows) == [
        "The logs of this table differ in quantisation at evaluation: nf4 (baseline, shuffled); none (mst).",
        "The logs of this table differ in precision at evaluation: bfloat16 (mst); float32 (baseline, ootb, shuffled).",
    ]
    assert claims.irregularities(block, [row for row in rows if row["arm"] != "mst"]) == []


@pytest.mark.parametrize(
    ("row", "obstacle"),
    [
        (base("none", "bfloat16"), "quantisation none, not nf4"),
        (base("nf4", "float32"), ""),
        (base(None, None), ""),  # a hosted model
        ({"arm": "ootb", "seed": None, "method": "pretrain", "quantisation": "none"}, ""),  # of its pretraining
    ],
)
def test_beside_the_published_numbers_a_base_is_asked_as_the_sources_adapters_were(
    row: dict[str, Any], obstacle: str
) -> None:
    setting = {"base": "Qwen/Qwen2.5-7B-Instruct"}
    (part,), _, _ = compute([sy.block(sy.cell("sycophancy", "ootb", "none", [0.1, 0.5, 0.9], **setting))])
    numbers = [one for one in published.numbers() if (one.experiment, one.arm) == ("sycophancy", "ootb")]
    assert numbers
    for one in against.beside(part, [row | {"log": "ootb--1-none.eval"}]):
        if one.published in numbers:
            assert one.obstacles == ((obstacle,) if obstacle else ())
