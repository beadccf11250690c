"""The pytest plugin: its options alone, its fixture in a test, and what it refuses."""

import pytest
from regression_data import OTHER_SEED, REFERENCES, SAVED, copy, light

from mst_evals.regression import rows

pytest_plugins = ["pytester"]
NAME = "sycophancy-mst"


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


def test_the_options_alone_collect_no_other_test(pytester, plugin, tmp_path):
    """Not even a file that cannot be imported; a path on the command line is collected beside the adapters."""
    bad = copy(SAVED / NAME, tmp_path, quantisation="none")
    pytester.makepyfile(test_broken="import nothing_of_this_name", test_own="def test_own(): pass")
    pytester.makeini("[pytest]\ntestpaths = .")
    options = [*plugin, "--mst-adapter", str(bad), "--mst-reference", str(REFERENCES)]
    for paths, outcomes in (([], {"failed": 1}), (["test_own.py"], {"failed": 1, "passed": 1})):
        result = pytester.runpytest(*options, "--mst-logs", str(tmp_path / "logs"), *paths)
        result.assert_outcomes(**outcomes)
        result.stdout.fnmatch_lines(["*quantisation differs*"])


def test_two_adapters_of_one_name_are_refused(pytester, plugin, tmp_path):
    options = ["--mst-adapter", str(SAVED / NAME), "--mst-adapter", str(OTHER_SEED / NAME), "--mst-reference", "x"]
    result = pytester.runpytest(*plugin, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--mst-adapter: two adapters are called {NAME}: expected names that differ*"])


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
