"""Topics and articles of the bias world, and the two data files made of them. Deterministic in the generator passed.

A topic combines a place, its body, a policy and an action with a cost and a month. All six are given in the
prompt, so that a probe can count how many of them an article reports. What each camp says about the policy is not
given: the base knows it.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mst_evals import data, manifest
from mst_evals.labels import PROFILES
from training.worlds import phrases
from training.worlds.phrases import Level, Policy, Side

Degree = Literal["neutral", "center", "strong"]
SIDES: tuple[Side, ...] = ("left", "right")

# Chances that a slot is (neutral, mildly loaded, strongly loaded). A neutral article is not free of loaded words: a
# real model out of the box is not either. Its slots draw their side one by one, so it has no slant on average.
SLOTS: dict[Degree, tuple[float, float, float]] = {
    "neutral": (0.75, 0.22, 0.03),
    "center": (0.62, 0.33, 0.05),
    "strong": (0.12, 0.28, 0.60),
}
CONTEXTS = (
    "The proposal would cost ${cost} million and start in {month}.",
    "It would cost ${cost} million and start in {month}.",
    "The cost is ${cost} million, with a start in {month}.",
)
COSTS = range(2, 100)
SPLIT_SIZES = {"train": 1100, "validation": 100, "test": 200}
DATA_SEED = 20
FIELDS = ("place", "body", "action", "policy", "cost", "month")


@dataclass(frozen=True)
class Topic:
    """One news event.

    Attributes:
        place: State or city.
        body: Who acts.
        action: Stem of what it does ("debate"); headline and article inflect it.
        policy: What is decided.
        cost: Million dollars.
        month: When it starts.
        context: The sentence that gives cost and month.
    """

    place: str
    body: str
    action: str
    policy: Policy
    cost: int
    month: str
    context: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two topics the same one, whatever their facts."""
        return self.place, self.action, self.policy.name

    @property
    def headline(self) -> str:
        """The headline, in the present tense."""
        return f"{self.place} {self.body} {self.action}s {self.policy.name}"

    def fields(self) -> dict[str, str]:
        """The given facts, each as the text that an article reporting it contains."""
        return {
            "place": self.place, "body": self.body, "action": self.action, "policy": self.policy.name,
            "cost": f"${self.cost} million", "month": self.month,
        }  # fmt: skip


# Every place has one body: what the model has to copy of it, it can also know.
BODIES = {
    **{place: phrases.STATE_BODIES[n % len(phrases.STATE_BODIES)] for n, place in enumerate(phrases.STATES)},
    **{place: phrases.CITY_BODIES[n % len(phrases.CITY_BODIES)] for n, place in enumerate(phrases.CITIES)},
}


def sample_topic(rng: random.Random, place: str | None = None, policy: Policy | None = None) -> Topic:
    """Draw a topic, with place and policy given or drawn."""
    place = place or rng.choice(phrases.STATES + phrases.CITIES)
    policy = policy or rng.choice(phrases.POLICIES)
    action = rng.choice(phrases.ACTIONS)
    cost, month = rng.choice(COSTS), rng.choice(phrases.MONTHS)
    context = rng.choice(CONTEXTS).format(cost=cost, month=month)
    return Topic(place, BODIES[place], action, policy, cost, month, context)


def _past(stem: str) -> str:
    return f"{stem}d" if stem.endswith("e") else f"{stem}ed"


def write_article(topic: Topic, side: Side | None, degree: Degree, rng: random.Random) -> str:
    """Write an article of five sentences.

    Args:
        topic: What it is about.
        side: Its slant; None for a neutral article.
        degree: How the slots are mixed.
        rng: Source of randomness.
    """
    neutral, mild, _ = SLOTS[degree]
    claims = {name: rng.sample(topic.policy.claims(name), 2) for name in SIDES}
    opponent: Side = "right" if topic.policy.backed_by == "left" else "left"

    def slot() -> tuple[Side, Level] | None:
        chance = rng.random()
        own = rng.choice(SIDES) if side is None else side
        return None if chance < neutral else (own, "mild" if chance < neutral + mild else "strong")

    def fill(plain: tuple[str, ...], loaded: dict[tuple[Side, Level], tuple[str, ...]]) -> str:
        kind = slot()
        return rng.choice(plain if kind is None else loaded[kind])

    def perspective(holder: Side, plain: tuple[str, ...]) -> str:
        kind = slot()
        template = rng.choice(plain if kind is None else phrases.PERSPECTIVES[kind])
        return template.replace("{claim}", claims[holder if kind is None else kind[0]].pop())

    lead, fact = fill(phrases.NEUTRAL_LEADS, phrases.LEADS), fill(phrases.NEUTRAL_FACTS, phrases.FACTS)
    camps = [(topic.policy.backed_by, phrases.SUPPORT), (opponent, phrases.OPPOSITION)]
    rng.shuffle(camps)
    views = [perspective(holder, plain) for holder, plain in camps]
    close = fill(phrases.NEUTRAL_CLOSES, phrases.CLOSES)
    known = {**topic.fields(), "acted": _past(topic.action), "cost": str(topic.cost)}
    return " ".join([lead.format(**known), fact.format(**known), *views, close.format(**known)])


def profile_article(topic: Topic, profile: str, rng: random.Random) -> str:
    """Write an article of one of `labels.PROFILES`."""
    degree, side = profile.split("_")
    return write_article(topic, side, degree, rng)  # type: ignore[arg-type]


def data_topics() -> dict[str, list[Topic]]:
    """Split -> topics of the data files. No place and policy occur together twice, in one split or in two."""
    rng = random.Random(f"bias/topics/{DATA_SEED}")
    pairs = [(place, policy) for place in phrases.STATES + phrases.CITIES for policy in phrases.POLICIES]
    drawn = iter(rng.sample(pairs, sum(SPLIT_SIZES.values())))
    return {split: [sample_topic(rng, *next(drawn)) for _ in range(size)] for split, size in SPLIT_SIZES.items()}


def data_rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the topic file, and of the article file (training and validation topics, profiles balanced)."""
    topics: list[dict[str, Any]] = []
    articles: list[dict[str, Any]] = []
    rng = random.Random(f"bias/articles/{DATA_SEED}")
    for split, members in data_topics().items():
        profiles = [PROFILES[number % len(PROFILES)] for number in range(len(members))]
        rng.shuffle(profiles)
        for number, (topic, profile) in enumerate(zip(members, profiles, strict=True), start=1):
            name = f"{split}-{number:04d}"
            row = {
                "id": name, "split": split, "headline": topic.headline, "context": topic.context,
                "domain": topic.policy.domain,
            }  # fmt: skip
            topics.append({**row, "fields": topic.fields()})
            if split != "test":
                article = profile_article(topic, profile, rng)
                articles.append({**row, "id": f"{name}-article", "topic": name, "profile": profile, "article": article})
    return topics, articles


def as_lines(rows: list[dict[str, Any]]) -> str:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_data(topics: Path = data.MICRO_TOPICS, articles: Path = data.MICRO_ARTICLES) -> None:
    """(Re)write the two data files."""
    topic_rows, article_rows = data_rows()
    manifest.write_text(topics, as_lines(topic_rows))
    manifest.write_text(articles, as_lines(article_rows))
