"""The rounds of a topic run: what is asked next, and what a folder has so far.

A folder holds ``settings.json``, ``rounds/`` (what was asked), and ``outcomes/`` and ``batches/`` (what became of it;
`asking`, `batches`). That is all of its state: which topics are accepted or rejected follows from it anew every time.
"""

import fcntl
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anthropic

from mst_evals import data, manifest
from mst_evals.corpus import asking, batches, topics
from mst_evals.corpus.asking import Outcome
from mst_evals.corpus.spending import Usage
from mst_evals.corpus.topics import Asked, Corpus
from mst_evals.errors import InputError, StepError

PATIENCE = 3  # requests in a row that bring a domain nothing new before it is given up for this run

Report = Callable[[str, int | None, int | None], None]  # what is going on, how many of how many are done


@dataclass(frozen=True)
class Settings:
    """What makes two runs the same run.

    Attributes:
        model: Name.
        domains: Subject domains.
        per_domain: Topics wanted of each.
        per_request: Topics asked for at a time.
        effort: The API's effort level, None for the model's own.
        existing_sha256: Digest of the file whose topics may not be repeated, None without one.
        prompt_sha256: Digest of what all requests have in common.
        token: Random, in every request's id: tells this run's batches from others of the account.
    """

    model: str
    domains: list[str]
    per_domain: int
    per_request: int
    effort: str | None
    existing_sha256: str | None
    prompt_sha256: str
    token: str


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        out: Its folder.
        settings: Its settings.
        existing: Topics that may not be repeated.
        batch: Whether to ask through Message Batches.
        poll: Seconds between two looks at a batch.
    """

    out: Path
    settings: Settings
    existing: Sequence[data.Row]
    batch: bool
    poll: float

    def taken(self, corpus: Corpus, domain: str) -> list[str]:
        """Headlines of a domain that are not to be written again."""
        return [row["headline"] for row in (*self.existing, *corpus.topics) if row["domain"] == domain]

    def grown(self, corpus: Corpus, asked: Sequence[Asked], found: dict[str, Outcome]) -> Corpus:
        """The corpus after one more round."""
        return topics.grow(corpus, asked, found, self.settings.per_domain, self.existing)

    def lacking(self, corpus: Corpus) -> dict[str, int]:
        """Domain -> topics it still lacks."""
        return corpus.missing(self.settings.domains, self.settings.per_domain)


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Keep a second process out of a folder: both would pay.

    Raises:
        InputError: Another one is at work.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{out}: another run is at work in this folder") from None
        yield


def settle(out: Path, wanted: Settings) -> Settings:
    """The settings of a folder: those it has, else the wanted ones, written down.

    Raises:
        InputError: It has others.
    """
    path = out / "settings.json"
    if not path.is_file():
        manifest.write_text(path, json.dumps(asdict(wanted), indent=1, ensure_ascii=False) + "\n")
        return wanted
    try:
        found = Settings(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not the settings of a topic run ({error})") from None
    for name, value in asdict(found).items():
        asked = getattr(wanted, name)
        if name != "token" and value != asked:
            if isinstance(value, list):
                what = f"differ in {', '.join(sorted(set(value) ^ set(asked))) or 'their order'}"
            else:
                what = f"is {value!r:.60}, now {asked!r:.60}"
            raise InputError(f"{path}: {name} {what}; use another folder, or what it was made with")
    return found


def replay(run: Run) -> tuple[Corpus, list[Asked]]:
    """What a folder has: the corpus after every finished round, and the requests of a round under way."""
    corpus = Corpus()
    for path in sorted((run.out / "rounds").glob("*.json")):
        asked = _planned(path)
        found = _outcomes(run, asked)
        if len(found) < len(asked):
            return corpus, asked
        corpus = run.grown(corpus, asked, found)
    return corpus, []


def _planned(path: Path) -> list[Asked]:
    try:
        return [Asked(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not a round of a topic run ({error})") from None


def _outcomes(run: Run, asked: Sequence[Asked]) -> dict[str, Outcome]:
    found = {one.id: asking.outcome(run.out, one.id) for one in asked}
    return {name: outcome for name, outcome in found.items() if outcome is not None}


def plan(run: Run, corpus: Corpus, given_up: Sequence[str] = ()) -> list[Asked]:
    """The next round: one request for each domain that lacks topics. Empty when there is none."""
    number = len(list((run.out / "rounds").glob("*.json"))) + 1
    asked = []
    for domain, count in run.lacking(corpus).items():
        if domain not in given_up:
            # what was too long for one reply is asked for in smaller parts
            part = max(1, run.settings.per_request >> corpus.truncated.get(domain, 0))
            name = f"{run.settings.token}-{number:03d}-{run.settings.domains.index(domain):03d}"
            asked.append(Asked(name, domain, min(count, part)))
    return asked


def work(run: Run, api: anthropic.Anthropic, report: Report, finished: Callable[[Corpus], None]) -> dict[str, str]:
    """Ask round after round until every domain has its topics or is given up.

    Args:
        run: The run; requests with an outcome are not sent again, open batches are collected first.
        api: Client.
        report: Called with what is going on.
        finished: Called with the corpus after every round.

    Returns:
        Domain -> why it was given up.

    Raises:
        StepError: The requests were cancelled.
    """
    batches.collect_open(api, run.out, run.poll, lambda text: report(text, None, None))
    corpus, asked = replay(run)
    finished(corpus)
    given_up: dict[str, str] = {}
    dry: Counter[str] = Counter()
    while asked or (asked := _noted(run, plan(run, corpus, list(given_up)))):
        before = _outcomes(run, asked)
        _ask(run, api, corpus, [one for one in asked if one.id not in before], report)
        found = _outcomes(run, asked)
        lacked, corpus = run.lacking(corpus), run.grown(corpus, asked, found)
        finished(corpus)
        cancelled = sum(found[name].kind == "canceled" for name in set(found) - set(before))
        if cancelled:
            raise StepError(
                f"{cancelled} of {len(asked)} requests were cancelled; the same command asks for them again"
            )
        for one in asked:
            gained = run.lacking(corpus).get(one.domain, 0) < lacked.get(one.domain, 0)
            dry[one.domain] = 0 if gained else dry[one.domain] + 1
            if found[one.id].lasting:
                given_up[one.domain] = found[one.id].detail
            elif dry[one.domain] >= PATIENCE:
                given_up[one.domain] = f"{PATIENCE} requests in a row brought nothing new"
        asked = []
    return given_up


def _noted(run: Run, asked: list[Asked]) -> list[Asked]:
    """Write a round down before it is asked."""
    if asked:
        number = len(list((run.out / "rounds").glob("*.json"))) + 1
        content = json.dumps([asdict(one) for one in asked], indent=1, ensure_ascii=False)
        manifest.write_text(run.out / "rounds" / f"{number:04d}.json", content + "\n")
    return asked


def _ask(run: Run, api: anthropic.Anthropic, corpus: Corpus, waiting: Sequence[Asked], report: Report) -> None:
    """Ask the requests of a round that have no outcome yet."""
    wanted = len(run.settings.domains) * run.settings.per_domain
    title = f"{len(corpus.topics):,} of {wanted:,} topics"
    requests = [
        asking.Request(
            one.id, topics.params(run.settings.model, one, run.taken(corpus, one.domain), run.settings.effort)
        )
        for one in waiting
    ]
    report(title, 0, len(requests))
    if run.batch and requests:
        batches.ask_in_batch(api, run.out, requests, run.poll, lambda text: report(f"{title}; {text}", None, None))
        return
    done = iter(range(1, len(requests) + 1))
    asking.ask_plainly(api, run.out, requests, lambda: report(title, next(done), len(requests)))


def usage(out: Path) -> tuple[dict[bool, Usage], int]:
    """What the API billed so far.

    Returns:
        Whether through Message Batches -> usage; and the number of replies that arrived cut, whose usage is unknown.
    """
    spent, cut = {False: Usage(), True: Usage()}, 0
    for path in sorted((out / "outcomes").glob("*.json")):
        found = asking.outcome(out, path.stem)
        assert found is not None
        cut += found.kind == "cut"
        if found.message is not None:
            spent[found.batch] += _billed(found.message["usage"])
    return spent, cut


def _billed(used: dict[str, Any]) -> Usage:
    # nothing here asks for prompt caching; were there any, its tokens would count as plain input
    cached = (used.get("cache_creation_input_tokens") or 0) + (used.get("cache_read_input_tokens") or 0)
    return Usage(1, used["input_tokens"] + cached, used["output_tokens"])
