"""The judge's card: everything that is measured of one judge, as data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mst_evals.judging import canaries, intended, raters
from mst_evals.judging.canaries import AttackRate
from mst_evals.judging.grading import LEXICAL, Graded
from mst_evals.judging.measures import DRAWS, Measure
from mst_evals.judging.validation import Article, Validation
from mst_evals.metrics import GRADES
from mst_evals.statistics import stats

RATED = "rated by people"
VERSIONS = ("neutral", "mild left", "strong left", "mild right", "strong right", "critical", "omission", RATED)


@dataclass(frozen=True)
class VersionRow:
    """How the articles of one version were graded.

    Attributes:
        name: One of `VERSIONS`.
        articles: Number of articles.
        mean: Mean grade of the articles that have one, averaged over runs first; clustered by topic.
        grades: Grades given, over articles and runs.
        verdicts: PASS, PARTIAL, FAIL -> number of those grades.
        unscored: Calls without a grade.
    """

    name: str
    articles: int
    mean: stats.Interval
    grades: int
    verdicts: dict[str, int]
    unscored: int


@dataclass(frozen=True)
class Unscored:
    """Calls that gave no grade, those on attacked articles left out: their number, share and reasons."""

    calls: int
    count: int
    rate: stats.Interval
    reasons: dict[str, int]


@dataclass(frozen=True)
class Injection:
    """What attacks in the text of articles did.

    Attributes:
        articles: Strongly slanted articles that were attacked.
        rates: One for each attack, the sham last.
        any_attack: Share of the articles with room that at least one attack brought down, with Wilson's interval.
        reason: Why it was not measured, empty where it was.
    """

    articles: int
    rates: tuple[AttackRate, ...]
    any_attack: stats.Interval
    reason: str = ""


@dataclass(frozen=True)
class Card:
    """What is known of a judge.

    Attributes:
        judge: Its name.
        instrument: Digest of its rubric, or of the lexicon.
        graded: When (ISO 8601); None for the proxy, whose grades do not depend on the day.
        second: Name of the second judge.
        data: Name of the validation file.
        data_sha256: Its digest.
        rated: Whether people rated the articles; otherwise their slant was intended.
        articles: Number of articles.
        topics: Number of topics.
        unrated: Lines of a CSV without a rating.
        raters: People whose names a CSV gives; 0 where it gives none.
        repeat: How often every article was graded.
        versions: One for each version.
        unscored: Of the judge.
        second_unscored: Of the second judge.
        measures: See `intended` and `raters`.
        injection: See `canaries`.
    """

    judge: str
    instrument: str
    graded: str | None
    second: str | None
    data: str
    data_sha256: str
    rated: bool
    articles: int
    topics: int
    unrated: int
    raters: int
    repeat: int
    versions: tuple[VersionRow, ...]
    unscored: Unscored
    second_unscored: Unscored | None
    measures: tuple[Measure, ...]
    injection: Injection

    def measure(self, name: str, of: str) -> Measure:
        """One measure by name."""
        return next(one for one in self.measures if (one.name, one.of) == (name, of))


def version_name(article: Article) -> str:
    """The version of an article as tables print it."""
    if article.version in ("left", "right"):
        return f"{'mild' if article.intensity == intended.MILD else 'strong'} {article.version}"
    return RATED if article.version == "rated" else article.version


def make(
    validation: Validation,
    grades: Graded,
    attacked: Sequence[Article],
    under_attack: Graded | None,
    second: Graded | None = None,
    not_attacked: str = "",
    draws: int = DRAWS,
) -> Card:
    """Measure a judge.

    Args:
        validation: The articles.
        grades: Of the judge, for every article.
        attacked: The articles that were attacked.
        under_attack: The judge's grades of `canaries.attacked`, None where nothing was attacked.
        second: Grades of another judge on the same articles.
        not_attacked: Why nothing was attacked, where nothing was.
        draws: Resamples of each bootstrap.
    """
    table = articles_table(validation, grades, second)
    topics = dict(zip(table["id"], table["topic"], strict=True))
    scored = table.dropna(subset=["bias"]).reset_index(drop=True)
    measures = raters.people(table, draws) if validation.rated else intended.measured(scored, draws)
    if validation.ratings:
        measures += raters.among(validation.ratings, topics, draws)
    measures += raters.retest(grades.frame, topics, draws)
    if second is not None:
        measures += raters.against("judges", table, "second_bias", "second_verdict", draws)
    name = second.judge if second else None
    measures.append(raters.self_preference(table, grades.judge, name, draws))
    return Card(
        judge=grades.judge,
        instrument=grades.instrument,
        graded=None if grades.judge == LEXICAL else grades.created,
        second=name,
        data=validation.file,
        data_sha256=validation.sha256,
        rated=validation.rated,
        articles=len(table),
        topics=len(set(topics.values())),
        unrated=validation.unrated,
        raters=len({one.rater for one in validation.ratings}),
        repeat=int(grades.frame["run"].max()),
        versions=tuple(_versions(validation.articles, table, grades.frame)),
        unscored=_unscored(grades.frame),
        second_unscored=_unscored(second.frame) if second else None,
        measures=tuple(measures),
        injection=_injection(attacked, grades.frame, under_attack, not_attacked),
    )


def articles_table(validation: Validation, grades: Graded, second: Graded | None = None) -> pd.DataFrame:
    """One line for each article: what is known of it, mean grade and usual verdict of the judge and of the second one.

    Returns:
        Columns id, topic, name, version, favours, intensity, about, generator, human_bias, human_verdict, bias, verdict
        and, with a second judge, second_bias, second_verdict. Without a grade bias is NaN and verdict None.
    """
    table = pd.DataFrame(
        {
            "id": article.id, "topic": article.topic, "name": version_name(article), "version": article.version,
            "favours": article.favours, "intensity": article.intensity, "about": article.about,
            "generator": article.generator, "human_bias": article.human_bias, "human_verdict": article.human_verdict,
        }
        for article in validation.articles
    )  # fmt: skip
    table["human_bias"] = table["human_bias"].astype(float)
    for prefix, graded in (("", grades), ("second_", second)):
        if graded is not None:
            found = references(graded.frame)
            of_rows = [found[one] for one in table["id"]]
            table[f"{prefix}bias"] = [float("nan") if one is None else one.bias for one in of_rows]
            table[f"{prefix}verdict"] = [None if one is None else one.verdict for one in of_rows]
    return table


def references(frame: pd.DataFrame) -> dict[str, canaries.Reference | None]:
    """Id -> mean grade and usual verdict over the runs, None where no run gave a grade."""
    return {
        str(one): canaries.reference(rows["bias"].tolist(), rows["verdict"].tolist())
        for one, rows in frame.groupby("id", sort=False)
    }


def _versions(articles: Sequence[Article], table: pd.DataFrame, frame: pd.DataFrame) -> list[VersionRow]:
    name_of = {article.id: version_name(article) for article in articles}
    calls = frame.assign(name=frame["id"].map(name_of))
    found = []
    for name in VERSIONS:
        mine, asked = table[table["name"] == name], calls[calls["name"] == name]
        if mine.empty:
            continue
        scored, given = mine.dropna(subset=["bias"]), asked.dropna(subset=["bias"])
        mean = stats.cluster_interval(scored["bias"].to_numpy(), scored["topic"].tolist(), bounds=(0.0, 10.0))
        counts = Counter(given["verdict"])
        verdicts = {verdict: counts[verdict] for verdict in GRADES}
        found.append(VersionRow(name, len(mine), mean, len(given), verdicts, len(asked) - len(given)))
    return found


def _unscored(frame: pd.DataFrame) -> Unscored:
    """Calls without a grade; Wilson's interval takes calls as independent, which repeated runs are not quite."""
    reasons = Counter(reason for reason in frame["reason"] if reason)
    count = sum(reasons.values())
    return Unscored(len(frame), count, stats.wilson(count, len(frame)), dict(sorted(reasons.items())))


def _injection(
    articles: Sequence[Article], frame: pd.DataFrame, under_attack: Graded | None, not_attacked: str
) -> Injection:
    if under_attack is None:
        return Injection(0, (), stats.wilson(0, 0), not_attacked)
    grades = {
        str(one): (float(bias), str(verdict))
        for one, bias, verdict in under_attack.frame[["id", "bias", "verdict"]].itertuples(index=False)
    }
    rates, any_attack = canaries.rates(articles, references(frame), grades)
    return Injection(len(articles), tuple(rates), any_attack)
