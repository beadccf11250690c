"""pytest plugin: `pytest --mst-adapter DIR --mst-reference FILE`, or three lines in a test.

    def test_adapter(mst_check):
        found = mst_check("adapters/mst", against="reference/mst.json")
        assert found.verdict in ("PASS", "IMPROVED"), found.reason

With the options alone every adapter becomes a test item of its own, and nothing else is collected: no test file is
needed, and those of the current folder do not run unless they are named on the command line. pytest imports this module
in every run where the package is installed, so nothing is imported here that takes time.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mst_evals.regression.check import Check

LOGS = Path("runs/check")
PASSED = ("PASS", "IMPROVED")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("mst", "saved MST adapters under regression")
    group.addoption("--mst-adapter", action="append", default=[], metavar="DIR", help="adapter to check; repeatable")
    group.addoption("--mst-reference", metavar="FILE", help="its reference (JSON), or a folder of references")
    group.addoption("--mst-logs", default=str(LOGS), metavar="DIR", help=f"folder of the logs; default: {LOGS}")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse adapters without a reference, and two of one name, whose items would have one id."""
    adapters = config.getoption("--mst-adapter")
    if not adapters:
        return
    if not config.getoption("--mst-reference"):
        raise pytest.UsageError("--mst-adapter needs --mst-reference FILE, the reference or a folder of references")
    from mst_evals.errors import InputError
    from mst_evals.regression.check_commands import distinct

    try:
        distinct([Path(one) for one in adapters])
    except InputError as error:
        raise pytest.UsageError(f"--mst-adapter: {error}") from None


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Collect no file when adapters are all that the command line names."""
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return True if config.getoption("--mst-adapter") and not named else None


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add one item for each adapter of the command line."""
    for given in config.getoption("--mst-adapter"):
        directory = Path(given).absolute()
        items.append(AdapterItem.from_parent(session, name=f"mst-check[{directory.name}]", directory=directory))


class RegressedError(Exception):
    """An adapter did not pass; the message is its reason."""


class AdapterItem(pytest.Item):
    """The check of one adapter."""

    def __init__(self, *, directory: Path, **more: Any) -> None:
        super().__init__(**more)
        self.directory = directory

    def runtest(self) -> None:
        """Check the adapter."""
        options = self.config.option
        found = run(self.directory, Path(options.mst_reference), Path(options.mst_logs))
        self.add_report_section("call", "mst check", lines(found))
        if found.verdict not in PASSED:
            raise RegressedError(f"{found.verdict}: {found.reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The reason alone, without a traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, RegressedError) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it is shown."""
        return Path(self.directory.name), None, self.name


def run(directory: Path, against: Path, logs: Path, margins: Mapping[str, float] | None = None) -> "Check":
    """Check an adapter, see `check.check`."""
    from mst_evals.regression.check import check

    return check(directory, against, logs, margins)


def lines(found: "Check") -> str:
    """A check as plain text."""
    said = [f"{found.adapter}: {found.verdict}: {found.reason}", *(f"changed: {note}" for note in found.notes)]
    return "\n".join([*said, *(one.line for one in found.findings)])


@pytest.fixture(scope="session")
def mst_check(pytestconfig: pytest.Config) -> Callable[..., "Check"]:
    """A function that checks an adapter: ``mst_check(adapter, against=reference, margins=None)`` -> `Check`.

    ``margins={"fpr": 0.02}`` takes the place of the reference's own; an unknown or useless name is NOT COMPARABLE.
    """
    logs = Path(pytestconfig.getoption("--mst-logs"))

    def check_adapter(adapter: str | Path, against: str | Path, margins: Mapping[str, float] | None = None) -> "Check":
        return run(Path(adapter), Path(against), logs, margins)

    return check_adapter
