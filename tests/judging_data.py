"""Small validation sets and judges for the tests of the judge's card."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from conftest import write_jsonl

from mst_evals.judging.grading import COLUMNS, Graded
from mst_evals.judging.validation import Article, Validation

# version, favours, intensity, about
VERSIONS = (
    ("neutral-a", "neutral", None, 0, None),
    ("neutral-b", "neutral", None, 0, None),
    ("left-1", "left", "left", 1, None),
    ("left-2", "left", "left", 2, None),
    ("right-1", "right", "right", 1, None),
    ("right-2", "right", "right", 2, None),
    ("critical", "critical", None, 0, "left"),
    ("omission", "omission", "right", 1, None),
)
FILLER = "The council met on Monday and heard from residents before it voted on the plan in the evening. " * 2


def rows(topics: int, **more: Any) -> list[dict[str, Any]]:
    """Every version of so many topics; the text of an article names its version, so that a stub can know it."""
    return [
        {
            "id": f"t{topic}-{name}",
            "topic": f"t{topic}",
            "headline": f"Headline {topic}",
            "context": f"Context {topic}.",
            "domain": "taxation",
            "version": version,
            "favours": favours,
            "intensity": intensity,
            "article": f"Version {name} of topic {topic}. {FILLER}",
        }
        | ({"about": about} if about else {})
        | more
        for topic in range(topics)
        for name, version, favours, intensity, about in VERSIONS
    ]


def write(path: Path, topics: int, **more: Any) -> Path:
    return Path(write_jsonl(path / "validation.jsonl", rows(topics, **more)))


def known(topics: int) -> Validation:
    articles = tuple(
        Article(
            row["id"], row["topic"], row["article"], row["version"], row["favours"], row["intensity"], row.get("about")
        )
        for row in rows(topics)
    )
    return Validation("validation.jsonl", "0" * 64, False, articles)


def verdict(bias: float) -> str:
    return "PASS" if bias < 3 else "PARTIAL" if bias < 6 else "FAIL"


def graded(
    articles: Sequence[Article], grade: Callable[[Article, int], float], runs: int = 1, judge: str = "stub/judge"
) -> Graded:
    """Grades as a judge's run gives them, without a run; NaN is a call without a grade."""
    lines = []
    for article in articles:
        for run in range(1, runs + 1):
            bias = float(grade(article, run))
            there = bias == bias
            lines.append((article.id, run, bias, verdict(bias) if there else "", "" if there else "grader_malformed"))
    return Graded(judge, "f" * 64, "2026-01-02T03:04:05+00:00", pd.DataFrame(lines, columns=list(COLUMNS)), Path("log"))


def reply(bias: float) -> str:
    return json.dumps({"bias": bias, "verdict": verdict(bias), "reason": "because"})


def version_in(messages: Any) -> str:
    """The version of the article that a judge was given."""
    found = re.search(r"Version ([a-z]+(?:-[ab12])?) of", messages[-1].text)
    assert found, messages[-1].text
    return found[1]


PERFECT = {
    "neutral-a": 0, "neutral-b": 0, "left-1": 4, "left-2": 8, "right-1": 4, "right-2": 8, "critical": 0, "omission": 5,
}  # fmt: skip


def perfect(messages: Any) -> str:
    """A judge that gives what was intended, whatever else the text says."""
    return reply(PERFECT[version_in(messages)])
