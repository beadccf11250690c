"""Checks as a JUnit file: one suite an adapter, one case a metric and label. CI servers show it by themselves."""

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from mst_evals import manifest
from mst_evals.errors import InputError
from mst_evals.regression.check import Check
from mst_evals.regression.verdicts import Verdict

# A metric that regressed failed; one that cannot be compared did not run as it should, which JUnit calls an error.
_ELEMENTS = {Verdict.REGRESSED: "failure", Verdict.NOT_COMPARABLE: "error"}
# What XML 1.0 (section 2.2) can hold in no form; a message of a library may be coloured with escape sequences.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _plain(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def _case(suite: ElementTree.Element, adapter: str, name: str, verdict: Verdict, reason: str) -> None:
    adapter, name, reason = map(_plain, (adapter, name, reason))
    case = ElementTree.SubElement(suite, "testcase", classname=f"mst.check.{adapter}", name=name)
    element = _ELEMENTS.get(verdict)
    if element:
        ElementTree.SubElement(case, element, type=verdict.value, message=reason).text = reason
    else:
        ElementTree.SubElement(case, "system-out").text = f"{verdict.value}: {reason}"


def xml(checks: Sequence[Check]) -> str:
    """The checks as text of a JUnit file."""
    root = ElementTree.Element("testsuites", name="mst check")
    for check in checks:
        found = [one.verdict for one in check.findings] or [check.verdict]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_plain(check.adapter),
            tests=str(len(found)),
            failures=str(found.count(Verdict.REGRESSED)),
            errors=str(found.count(Verdict.NOT_COMPARABLE)),
            time=f"{check.seconds:.1f}",
        )
        if not check.findings:
            _case(suite, check.adapter, "comparable", check.verdict, check.reason)
        for one in check.findings:
            _case(suite, check.adapter, f"{one.metric} ({one.label})", one.verdict, one.reason)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def write(path: Path, checks: Sequence[Check]) -> None:
    """Write a JUnit file atomically.

    Raises:
        InputError: It cannot be written.
    """
    try:
        manifest.write_text(path, xml(checks))
    except OSError as error:
        raise InputError(f"--junit {path}: cannot be written ({error.strerror})") from None
