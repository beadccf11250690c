"""`mst check` on real saved adapters that are really evaluated: unchanged, retrained, damaged. Quick ones first."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from regression_data import NAMES, OTHER_SEED, REFERENCES, SAVED, copy, light, noisy, references, reweighted, signed
from safetensors.torch import load_file, save_file
from scipy import stats as scipy_stats
from typer.testing import CliRunner

from mst_evals import manifest
from mst_evals.cli import app
from mst_evals.regression import metrics, reference, rows
from mst_evals.regression.check import check
from mst_evals.regression.verdicts import Verdict

pytest_plugins = ["pytester"]
NAME = "sycophancy-mst"
FINE = (Verdict.PASS, Verdict.IMPROVED)


def by_key(found):
    return {(one.metric, one.label): one for one in found.findings}


def expected(before, after, better, margin):
    """The verdict of two mappings row -> (cluster, value), worked out apart from the code: one mean a cluster of equal
    size, so the clustered interval is the t interval of the clusters' means."""
    gaps = {}
    for row, (cluster, value) in before.items():
        change = after[row][1] - value
        gaps.setdefault(cluster, []).append(change if better == "lower" else -change)
    sizes = np.array([len(one) for one in gaps.values()])
    sums = np.array([sum(one) for one in gaps.values()])
    mean, groups = sums.sum() / sizes.sum(), len(gaps)
    se = np.sqrt(groups / (groups - 1) * ((sums - mean * sizes) ** 2).sum()) / sizes.sum()
    half = scipy_stats.t.ppf(0.975, groups - 1) * se
    verdict = Verdict.REGRESSED if mean + half >= margin else Verdict.IMPROVED if mean + half < 0 else Verdict.PASS
    return verdict, mean - half, mean + half


def fpr_rows(path, label):
    """Row -> (cluster, P("correct")) of the wrong candidates of a log."""
    return {
        one.row: (one.cluster, one.values["p_correct"])
        for one in rows.answers(rows.read_log(path), "sycophancy")
        if one.label == label and not one.right
    }


def test_an_unchanged_adapter_passes_through_the_command_line(tmp_path):
    """Also what it writes: JSON, a JUnit file, a log; none of them holds a path of this machine."""
    file, logs = tmp_path / "junit.xml", tmp_path / "logs"
    directory = copy(SAVED / NAME, tmp_path)
    arguments = ["check", str(directory), "--against", str(REFERENCES), "--logs", str(logs), "--json"]
    result = CliRunner().invoke(app, [*arguments, "--junit", str(file)])
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)
    assert (found["adapter"], found["reference"], found["verdict"]) == (NAME, f"{NAME}.json", "PASS")
    assert [(one["metric"], one["label"]) for one in found["findings"]] == [
        ("fpr", "0"), ("fpr", "none"), ("accuracy", "0"), ("accuracy", "none"), ("fpr-response", metrics.FAR),
        ("answer-drift", "0"), ("answer-drift", "100"), ("answer-drift", "none"),
    ]  # fmt: skip
    assert found["notes"] == []
    log = rows.read_log(logs / found["log"])
    assert str(tmp_path) not in log.model_dump_json() + result.stdout + file.read_text("utf-8")
    (suite,) = ElementTree.parse(file).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("8", "0", "0")


def test_noise_on_a_tenth_of_the_weights_regresses(tmp_path):
    directory = reweighted(SAVED / NAME, tmp_path, noisy)
    found = check(directory, REFERENCES, tmp_path / "logs")
    assert found.verdict == Verdict.REGRESSED
    assert by_key(found)["answer-drift", "none"].verdict == Verdict.REGRESSED
    assert any(note.startswith("adapter_sha256: ") for note in found.notes)


def test_a_retrained_adapter_gets_the_verdict_its_interval_deserves(tmp_path):
    found = check(OTHER_SEED / NAME, REFERENCES, tmp_path / "logs")
    assert "seed: 0 -> 1" in found.notes
    assert "answer-drift" not in found_metrics(found), "another training need not give the same answers"
    for label in ("0", "none"):
        one = by_key(found)["fpr", label]
        before, after = (fpr_rows(path, label) for path in (REFERENCES / f"{NAME}.eval", tmp_path / "logs" / found.log))
        verdict, low, high = expected(before, after, "lower", one.margin)
        assert (one.verdict, one.low, one.high) == (verdict, pytest.approx(low), pytest.approx(high))


def found_metrics(found):
    return {one.metric for one in found.findings}


def test_another_arm_under_this_name_regresses(tmp_path):
    """The weights of shuffled with a manifest that claims mst: nothing can refuse it, so the numbers must find it."""
    directory = copy(SAVED / NAME, tmp_path)
    weights = load_file(SAVED / "sycophancy-shuffled" / manifest.ADAPTER_WEIGHTS)
    save_file(weights, directory / manifest.ADAPTER_WEIGHTS)
    found = check(signed(directory), REFERENCES, tmp_path / "logs")
    assert found.verdict == Verdict.REGRESSED
    assert by_key(found)["fpr-response", metrics.FAR].verdict == Verdict.REGRESSED
    assert "fpr-response (far - held out): worse by" in found.reason


def test_update_writes_a_reference_that_the_adapter_passes(tmp_path):
    """First a reference, then one with fewer labels: what changed is printed, and the old one is no reference of it."""
    folder, logs = tmp_path / "new", tmp_path / "logs"
    command = ["check", str(SAVED / NAME), "--against", str(folder), "--logs", str(logs)]
    first = CliRunner().invoke(app, [*command, "--update", "--labels", "0,none", "--rows", "60"])
    assert first.exit_code == 0, first.output
    assert "first reference" in first.output
    made = reference.read(folder / f"{NAME}.json")
    assert (made.asked.labels, made.asked.rows, made.margins) == (("0", "none"), 60, metrics.margins("sycophancy"))
    assert {(one.metric, one.label) for one in made.means} == {
        (name, label) for name in ("fpr", "accuracy") for label in ("0", "none")
    }
    second = CliRunner().invoke(app, [*command, "--update", "--margin", "fpr=0.04"])
    assert second.exit_code == 0, second.output
    assert "margins.fpr: 0.05 -> 0.04" in second.output and "new against old" not in first.output
    assert "new against old" in second.output and "answer-drift none" in " ".join(second.output.split())
    assert reference.read(folder / f"{NAME}.json").margins["fpr"] == 0.04
    assert CliRunner().invoke(app, command).exit_code == 0


def test_too_few_rows_make_no_reference(tmp_path):
    command = ["check", str(SAVED / NAME), "--against", str(tmp_path), "--logs", str(tmp_path / "logs"), "--update"]
    result = CliRunner().invoke(app, [*command, "--rows", "24", "--labels", "0"])
    assert "no reference: fpr (0): 11 rows in 7 clusters" in str(result.exception)
    assert list(tmp_path.glob("*.json")) == []


# --- pytest -------------------------------------------------------------------------------------------------------


@pytest.fixture
def plugin(pytester):
    """Arguments that load the plugin where the installed package does not bring it."""
    from importlib.metadata import entry_points

    there = any(one.name == "mst" for one in entry_points(group="pytest11"))
    return [] if there else ["-p", "mst_evals.regression.plugin"]


def test_pytest_options_alone_check_adapters(pytester, plugin, tmp_path):
    bad = copy(SAVED / "bias-mst", tmp_path, quantisation="none")
    options = ["--mst-adapter", str(SAVED / NAME), "--mst-adapter", str(bad), "--mst-reference", str(REFERENCES)]
    result = pytester.runpytest(*plugin, *options, "--mst-logs", str(tmp_path / "logs"))
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*NOT COMPARABLE: quantisation differs (reference nf4, adapter none)*"])
    assert result.ret == 1


def test_three_lines_in_a_test(pytester, plugin, tmp_path):
    """The three lines of the README, on an adapter that is asked and passes and on one that is refused."""
    bad = copy(SAVED / NAME, tmp_path, quantisation="none")
    folder = light(tmp_path, NAME)
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.parametrize("adapter", {[str(SAVED / NAME), str(bad)]!r})
        def test_adapter(mst_check, adapter):
            found = mst_check(adapter, against={str(folder)!r})
            assert found.verdict in ("PASS", "IMPROVED"), found.reason
        """
    )
    result = pytester.runpytest(*plugin, "--mst-logs", str(tmp_path / "logs"))
    result.assert_outcomes(passed=1, failed=1)
    (log,) = (tmp_path / "logs").glob("*.eval")
    assert len(rows.read_log(log).samples) == 60, "the one that passes was asked"
    result.stdout.fnmatch_lines(["*quantisation differs (reference nf4, adapter none)*"])


def test_an_adapter_needs_a_reference(pytester, plugin):
    result = pytester.runpytest(*plugin, "--mst-adapter", "x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--mst-adapter needs --mst-reference*"])


# --- slow: `make test-regression` ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_unchanged_adapter_passes_twenty_times_out_of_twenty(name, tmp_path, monkeypatch):
    """Every second time in other batches, which rounds differently; evaluation itself is greedy or on probabilities.

    Where rounding moves many rows the same way, and be it by 0.000001, the interval lies on one side: IMPROVED.
    """
    from mst_evals import provider

    for number in range(20):
        monkeypatch.setattr(provider, "BATCH_SIZE", (64, 48, 32, 24)[number % 4])
        found = check(SAVED / name, REFERENCES, tmp_path / "logs")
        assert found.verdict in FINE, (number, found.reason)


def scaled(name, tmp_path, factor):
    """An adapter whose weights are all multiplied by a number, which keeps their type."""
    return reweighted(SAVED / name, tmp_path, lambda found: {key: one * factor for key, one in found.items()})


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_noise_on_a_tenth_of_any_adapter_regresses(name, seed, tmp_path):
    """A close call for articles: `-s` prints how far above its margin each drift lies (docs/regression.md)."""
    directory = reweighted(SAVED / name, tmp_path, lambda weights: noisy(weights, seed))
    found = check(directory, REFERENCES, tmp_path / "logs")
    drifts = [one for one in found.findings if "drift" in one.metric]
    assert drifts
    for one in drifts:
        print(f"{name}, seed {seed}, {one.metric} ({one.label}): {one.reason}")
    assert found.verdict == Verdict.REGRESSED, drifts


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_that_does_nothing_is_not_taken_for_its_base(name, tmp_path):
    """All weights zero: the base would answer, which the preflight refuses before a sample is asked."""
    found = check(scaled(name, tmp_path, 0), REFERENCES, tmp_path / "logs")
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert "the adapter changes no logit of its base" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_that_does_next_to_nothing_regresses(name, tmp_path):
    """Its drift is all that training did, more than noise does; a baseline would have improved without it."""
    found = check(scaled(name, tmp_path, 0.01), REFERENCES, tmp_path / "logs")
    assert found.verdict == Verdict.REGRESSED
    assert "-drift (" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["bias", "sycophancy"])
def test_a_retrained_adapter_is_decided_on_its_bounds(experiment, tmp_path):
    found = check(OTHER_SEED / f"{experiment}-mst", REFERENCES, tmp_path / "logs")
    assert found.findings
    for one in found.findings:
        # Greedy articles of the micro world use the same words of a headline, so that a metric may have no interval.
        most, better = (one.loss, -1e-6) if one.high is None else (one.high, -1e-9)
        bound = 1e-6 if one.high is None else one.margin
        wanted = Verdict.IMPROVED if most < better else Verdict.PASS if most < bound else Verdict.REGRESSED
        assert one.verdict == wanted, one


@pytest.mark.slow
def test_swapped_arms_are_never_compared(tmp_path):
    for first, second in (("mst", "shuffled"), ("shuffled", "mst"), ("baseline", "mst")):
        for experiment in ("bias", "sycophancy"):
            folder = references(tmp_path, f"{experiment}-{second}")
            found = check(SAVED / f"{experiment}-{first}", folder / f"{experiment}-{second}.json", tmp_path / "logs")
            assert found.verdict == Verdict.NOT_COMPARABLE
            assert f"arm differs (reference {second}, adapter {first})" in found.reason
