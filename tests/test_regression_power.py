"""What a check can see: probabilities against scipy and simulation, and the tables of the docs against the command."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from regression_data import REFERENCES, ROOT, SAVED, column
from scipy import stats as scipy_stats

from mst_evals.errors import InputError
from mst_evals.regression import metrics, power, reference, rounding, verdicts
from mst_evals.regression.verdicts import Verdict

DOCS = ROOT / "docs" / "regression.md"
ROUNDING = ROOT / "docs" / "regression-rounding.json"


@pytest.mark.parametrize(
    ("loss", "margin", "se", "df"), [(0.0, 0.5, 0.2, 19), (0.3, 0.5, 0.2, 63), (0.0, 0.05, 0.02, 10)]
)
def test_the_chance_to_pass_is_that_of_the_noncentral_t(loss, margin, se, df):
    """P(pass) = P((margin - mean) / SE > t), a noncentral t of noncentrality (margin - loss) / se."""
    critical = scipy_stats.t.ppf(0.975, df)
    expected = scipy_stats.nct.sf(critical, df, (margin - loss) / se)
    assert power.pass_probability(loss, margin, se, df) == pytest.approx(expected, abs=1e-4)


def test_a_loss_as_large_as_the_margin_passes_with_two_and_a_half_percent():
    assert power.pass_probability(0.5, 0.5, 0.1, 40) == pytest.approx(0.025, abs=1e-4)


def test_the_loss_that_is_detected_is_the_one_that_fails_so_often():
    loss = power.detected(0.8, 0.5, 0.1, 40)
    assert 0 < loss < 0.5
    assert power.pass_probability(loss, 0.5, 0.1, 40) == pytest.approx(0.2, abs=1e-6)
    assert power.detected(0.8, 0.5, 1.0, 40) == 0.0  # so wide that even no loss fails


def test_the_margin_that_an_unchanged_adapter_passes():
    """One row in twenty moves by 1 either way: the 99.9% quantile of the bound, against an independent simulation."""
    changes = [0.0] * 57 + [1.0, -1.0, 1.0]
    rng = np.random.default_rng(7)
    bounds = []
    for _ in range(4000):
        drawn = rng.choice(changes, 60) * rng.choice((-1, 1), 60)
        bounds.append(drawn.mean() + scipy_stats.t.ppf(0.975, 59) * drawn.std(ddof=1) / np.sqrt(60))
    found = power.passing_margin(changes, [str(index) for index in range(60)], power=0.99)
    assert found == pytest.approx(np.quantile(bounds, 0.99), rel=0.1)
    assert power.passing_margin([0.0] * 60, [str(index) for index in range(60)]) == 0.0


def test_every_default_margin_covers_what_rounding_was_seen_to_do():
    margins = metrics.margins("bias") | metrics.margins("sycophancy")
    measured = json.loads(ROUNDING.read_text("utf-8"))
    assert set(measured) == set(rounding.SETTINGS), "what the documented command measures is what is committed"
    seen = set()
    for setting, found in measured.items():
        for one in found:
            seen.add(one["metric"])
            assert one["needed"] <= margins[one["metric"]], (setting, one)
            assert one["loss"] < margins[one["metric"]]
    assert seen == set(margins), "every metric was measured"


def test_the_measurement_of_rounding_is_of_the_adapters_and_references_that_are_here():
    """One of others says nothing about these; the documented command measures it anew."""
    for setting, found in json.loads(ROUNDING.read_text("utf-8")).items():
        of = rounding.measured(found)
        assert of == {rounding.identity(REFERENCES, SAVED / name)[0] for name, *_ in of}, setting


def test_the_docs_say_what_was_measured_and_which_margins_follow():
    text = DOCS.read_text("utf-8")
    found = re.search(r"<!-- rounding -->\n((?:\|.*\n)+)", text)
    assert found is not None
    assert found[1] == rounding.table(json.loads(ROUNDING.read_text("utf-8")))
    for experiment, every in metrics.METRICS.items():
        for metric in (*every, metrics.DRIFT[experiment]):
            assert re.search(rf"^\| `{metric.name}`.*\| {metric.better} \| {metric.margin:g} \|", text, re.MULTILINE)


def test_the_docs_name_the_adapters_that_were_measured():
    measured = json.loads(ROUNDING.read_text("utf-8"))
    wanted = r"python -m mst_evals\.regression\.rounding docs/regression-rounding\.json [^`]*"
    (command,) = re.findall(wanted, DOCS.read_text("utf-8"))
    given = rounding.command_line().parse_args(command.split()[3:])
    adapters = {path.name for named in given.adapters for path in ROOT.glob(str(named))}  # as a shell reads it
    assert adapters == {one["adapter"] for found in measured.values() for one in found}
    assert given.page == DOCS.relative_to(ROOT)


def test_this_machine_is_measured_as_the_one_setting_of_its_name(tmp_path, monkeypatch):
    """What a GPU does: no setting of the CPU is measured, nor one twice, and the rest of a file stays.

    Of another adapter, or against another reference, what was measured before is measured anew.
    """
    ran, adapter = [], SAVED / "sycophancy-mst"
    (name, weights, signed), _ = rounding.identity(REFERENCES, adapter)
    record = {"adapter": name, "adapter_sha256": weights, "reference_sha256": signed, "metric": "fpr", "needed": 0.0}

    def run(command, env, check):
        ran.append((command[4], "ATEN_CPU_CAPABILITY" in env))
        Path(command[5]).write_text(json.dumps([record]), encoding="utf-8")

    monkeypatch.setattr(rounding.subprocess, "run", run)
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    out = tmp_path / "found.json"
    for name in ("H200", "A100", "H200"):
        rounding.main(out, REFERENCES, [adapter], here=name)
    assert ran == [("H200", False), ("A100", False)]
    assert json.loads(out.read_text("utf-8")) == {"H200": [record], "A100": [record]}
    for stale in ({"adapter_sha256": "0" * 64}, {"reference_sha256": "0" * 64}):
        out.write_text(json.dumps({"H200": [record | stale]}), encoding="utf-8")
        rounding.main(out, REFERENCES, [adapter], here="H200")
        assert json.loads(out.read_text("utf-8")) == {"H200": [record]}
    assert len(ran) == 4
    assert rounding.table({"H200": []}).splitlines()[2].startswith("| H200 | - | - |")
    with pytest.raises(InputError, match="the name of another setting"):
        rounding.main(out, REFERENCES, [adapter], here="AVX2")


def prose():
    return " ".join(DOCS.read_text("utf-8").split())


def test_the_docs_say_when_a_drift_fails():
    measured = [one for found in json.loads(ROUNDING.read_text("utf-8")).values() for one in found]
    text, answer = (max((one for one in measured if one["metric"] == metric.name), key=lambda one: one["needed"])
                    for metric in (metrics.DRIFT["bias"], metrics.DRIFT["sycophancy"]))  # fmt: skip
    nats, chance = (metrics.DRIFT[experiment].margin for experiment in ("bias", "sycophancy"))
    said = prose()
    assert f'a mean drift of its margin ({nats:g} nats a token, {chance:g} of P("correct")) fails on any number' in said
    assert f"({verdicts.LEAST_ROWS} rows in {verdicts.LEAST_CLUSTERS} clusters)" in said
    assert (
        f"rounding needs {text['needed']:.5f} nats on {text['rows']} rows "
        f'and {answer["needed"]:.5f} of P("correct") on {answer["rows"]}'
    ) in said


@pytest.mark.parametrize("rows", [20, 1000])
def test_a_mean_drift_of_its_margin_fails_on_any_number_of_rows(rows):
    """And nine tenths of it fail on few rows alone. Distances of a normal variable, which is what noise makes."""
    metric = metrics.DRIFT["bias"]
    apart = np.abs(np.random.default_rng(0).normal(size=rows))
    for share, fails in ((1.0, True), (0.9, rows == 20)):
        drift = column(metric, list(apart / apart.mean() * metric.margin * share))
        found = verdicts.compare(column(metric, [0.0] * rows), drift, metric.margin)
        assert (found.verdict == Verdict.REGRESSED) == fails


def test_the_docs_name_the_bias_of_greedy_and_of_sampled_articles():
    greedy = {
        (arm, one.label): one.mean
        for arm in ("mst", "baseline")
        for one in reference.read(REFERENCES / f"bias-{arm}.json").means
        if one.metric == "bias"
    }
    results = json.loads((ROOT / "docs" / "results" / "micro-bias" / "report" / "results.json").read_text("utf-8"))
    sampled = {
        (one["arm"], one["label"]): one["mean"]
        for one in results["arms"]
        if (one["metric"], one["wording"], one["condition"]) == ("lexical_bias", "monitor", "")
    }
    keys = (("mst", "UNBIASED"), ("mst", "none"), ("baseline", "none"))
    first, second, third = (greedy[key] for key in keys)
    one, two, three = (sampled[key] for key in keys)
    assert (
        f"(bias {first:.2f} for mst under UNBIASED, {second:.2f} for mst and {third:.2f} for baseline without a label; "
        f"sampled articles of the study `micro-bias` have {one:.1f}, {two:.1f} and {three:.1f})"
    ) in prose()


@pytest.mark.parametrize("experiment", ["bias", "sycophancy"])
def test_the_power_table_of_the_docs_is_what_the_command_prints(experiment):
    text = DOCS.read_text("utf-8")
    found = re.search(rf"<!-- power: {experiment} -->\n((?:\|.*\n)+)", text)
    assert found is not None
    assert found[1] == power.table(REFERENCES, experiment)
