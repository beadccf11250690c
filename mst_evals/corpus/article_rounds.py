"""The rounds of `mst data articles`: what is asked next, and what a folder has so far.

Each round is a run of Inspect's with a log of its own in ``logs/round-NNNN``, where a reply is as soon as it is there.
That is all of a folder's state: what is accepted, rejected and still to be asked follows from all rounds, in their
order, every time. A reply is known by what was asked (`known_as`), whichever topics were asked for beside it.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalSample, read_eval_log_samples
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, Model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from mst_evals import data, judge
from mst_evals.corpus import article_checks
from mst_evals.corpus.article_checks import Made, Request
from mst_evals.corpus.spending import Usage
from mst_evals.corpus.writers import Writer
from mst_evals.labels import SLANT

logger = logging.getLogger(__name__)

SYSTEM = "You write short news articles for a newspaper. Its editorial perspective is: {perspective}"
REQUEST = (
    "Write one news article of 120 to 220 words about this topic, from that perspective. Keep to the facts that are "
    "given, and do not mention the perspective. Reply with the text of the article alone: no headline, no notes."
)
PATIENCE = 10  # requests in a row that fail before no more are sent; those under way end
TRIES = 2  # of a request in a round, beside Inspect's: an answer that arrives cut is none that Inspect asks for again
# Models in this process: nothing can hang on the way to them, and a batch on a slow machine takes as long as it takes.
IN_PROCESS = ("hf", "mst")
_NOT_ASKED = "not_asked"


@dataclass(frozen=True)
class Job:
    """What is asked for.

    Attributes:
        writer: The model, ready to write.
        path: File of the topics.
        out: Folder for everything.
        topics: Rows, in the order of the articles.
        profiles: Topic id -> profile.
        request: How articles are asked for.
    """

    writer: Writer
    path: Path
    out: Path
    topics: Sequence[data.Row]
    profiles: Mapping[str, str]
    request: Request

    @property
    def model(self) -> Model:
        """The writer's."""
        return self.writer.model

    @property
    def paid(self) -> bool:
        """Whether the writer may be one that is paid for."""
        return not _in_process(self.model)


@dataclass(frozen=True)
class State:
    """What a folder has.

    Attributes:
        made: Accepted and rejected.
        replies: Topic id -> replies that came, whatever became of them.
        usage: What this writer was asked and billed in this folder, for other requests too.
    """

    made: Made
    replies: Mapping[str, int]
    usage: Usage

    def waiting(self, job: Job) -> list[data.Row]:
        """The topics to be asked for: without an article and not yet given up."""
        done = {row["topic"] for row in self.made.accepted}
        return [
            row
            for row in job.topics
            if row["id"] not in done and self.replies.get(row["id"], 0) < job.request.attempts
        ]  # fmt: skip


def prompt(topic: Mapping[str, Any], profile: str) -> list[ChatMessageSystem | ChatMessageUser]:
    """What the writer is told."""
    (perspective,) = SLANT.label(profile).texts
    asked = f"{REQUEST}\n\n{topic['headline']}\n{topic['context']}"
    return [
        ChatMessageSystem(content=SYSTEM.replace("{perspective}", perspective)),
        ChatMessageUser(content=asked),
    ]


def known_as(job: Job, topic: data.Row) -> str:
    """Digest of everything that decides the replies to a topic."""
    said = [message.text for message in prompt(topic, job.profiles[topic["id"]])]
    sampling = [job.request.seed, job.request.temperature, job.request.max_tokens]
    decides = [said, sampling, str(job.model), *job.writer.decides]
    return hashlib.sha256(json.dumps(decides, default=str).encode()).hexdigest()[:16]


# --- what a folder has ----------------------------------------------------------------------------------------------


def replay(job: Job) -> State:
    """What a folder has after all its rounds, the one that was stopped included."""
    by_id = {row["id"]: row for row in job.topics}
    place = {name: number for number, name in enumerate(by_id)}
    wanted = {row["id"]: known_as(job, row) for row in job.topics}
    made, replies, usage = Made([], []), Counter[str](), Usage()
    for samples in _rounds(job.out):
        usage = sum((_billed(sample, str(job.model)) for sample in samples), usage)
        ours = [sample for sample in samples if sample.metadata["request"] == wanted.get(str(sample.id))]
        found = sorted((_reply(sample) for sample in ours), key=lambda reply: place[reply["topic"]])
        replies.update(reply["topic"] for reply in found if reply["error"] is None)
        made = article_checks.judge_replies(found, by_id, job.request, made)
    return State(made, replies, usage)


def _folders(out: Path) -> list[Path]:
    return sorted((out / "logs").glob("round-*"))


def _rounds(out: Path) -> Iterator[list[EvalSample]]:
    """The samples of each round that were asked."""
    for folder in _folders(out):
        found = [sample for path in sorted(folder.glob("*.eval")) for sample in _samples(path)]
        yield [sample for sample in found if _NOT_ASKED not in sample.store]


def _samples(path: Path) -> Iterator[EvalSample]:
    try:
        yield from read_eval_log_samples(str(path), all_samples_required=False)
    except Exception as error:  # a log that a kill left without a single sample surfaces as many types
        logger.warning(f"{path.name}: not read to its end ({type(error).__name__}); what it lacks is asked for again")


def _billed(sample: EvalSample, model: str) -> Usage:
    used = sample.model_usage.get(model)
    if used is None:
        return Usage()
    cached = (used.input_tokens_cache_write or 0) + (used.input_tokens_cache_read or 0)
    return Usage(1, used.input_tokens + cached, used.output_tokens)


def _reply(sample: EvalSample) -> data.Row:
    choice = sample.output.choices[0] if sample.output.choices else None
    stop = choice.stop_reason if choice else None
    failed = sample.error.message if sample.error else None if choice else "the model gave no reply"
    if stop != "content_filter":
        failed = failed or sample.output.error  # an API error that Inspect turns into a reply, such as 413
    return {
        "topic": str(sample.id),
        "profile": sample.metadata["profile"],
        "attempt": sample.metadata["attempt"],
        "text": choice.message.text.strip() if choice else "",
        "stop": stop,
        "error": failed,
    }


# --- asking ---------------------------------------------------------------------------------------------------------


@dataclass
class Failures:
    """How many requests in a row have failed, and with what."""

    number: int = 0
    last: str = ""

    @property
    def too_many(self) -> bool:
        """Whether no more requests are to be sent."""
        return self.number >= PATIENCE


@dataclass(frozen=True)
class Ended:
    """How a round ended.

    Attributes:
        fault: Why no more is to be asked, empty when there is no reason.
        failures: Of its requests.
    """

    fault: str = ""
    failures: Failures = field(default_factory=Failures)


@solver
def writing(failures: Failures) -> Solver:
    """One reply, with a seed for each attempt; nothing is sent after `PATIENCE` failures in a row."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if failures.too_many:
            state.store.set(_NOT_ASKED, True)
            return state
        for tried in range(1, TRIES + 1):
            try:
                state = await generate(state, tool_calls="none", seed=state.metadata["seed"])
            except Exception as error:
                failures.number, failures.last = failures.number + 1, judge.told(error)
                if failures.too_many or tried == TRIES:
                    raise
            else:
                failures.number = 0
                break
        return state

    return solve


def _in_process(model: Model) -> bool:
    return str(model).partition("/")[0] in IN_PROCESS


def limits(model: Model) -> GenerateConfig:
    """How long a request may take, and how often it is sent: as for a judge. By default Inspect retries for ever."""
    if _in_process(model):
        return GenerateConfig(max_retries=judge.RETRIES)
    found = judge.settings(model.config)
    return GenerateConfig(
        max_retries=found.max_retries, timeout=found.timeout, attempt_timeout=found.attempt_timeout
    )  # fmt: skip


def article_task(job: Job, topics: Sequence[data.Row], state: State, failures: Failures) -> Task:
    """One sample for each topic; nothing is scored."""
    samples = []
    for row in topics:
        attempt, profile = state.replies.get(row["id"], 0) + 1, job.profiles[row["id"]]
        known = {"profile": profile, "attempt": attempt, "seed": job.request.seed + attempt - 1}
        metadata = known | {"request": known_as(job, row)}
        samples.append(Sample(id=row["id"], input=list(prompt(row, profile)), metadata=metadata))
    config = GenerateConfig(temperature=job.request.temperature, max_tokens=job.request.max_tokens)
    return Task(
        dataset=MemoryDataset(samples),
        solver=[writing(failures)],
        config=config.merge(limits(job.model)),
        name="articles",
    )


def ask(job: Job, topics: Sequence[data.Row], state: State, display: str | None) -> Ended:
    """Run a round. Its log is in the folder, whatever becomes of the run.

    Args:
        job: What is asked for.
        topics: Those of this round.
        state: What the folder has.
        display: Inspect's display; None: its default.
    """
    failures = Failures()
    logs = copy_context().run(  # of its own: eval leaves its model behind as the active one
        eval,
        article_task(job, topics, state, failures),
        model=job.model,
        log_dir=str(job.out / "logs" / f"round-{len(_folders(job.out)) + 1:04d}"),
        log_buffer=1,  # what is written is on disk at once
        fail_on_error=False,
        score_display=False,
        display=display,  # type: ignore[arg-type]
    )
    if not logs:  # what Inspect returns when it is interrupted
        return Ended("writing was interrupted", failures)
    log = logs[0]
    if log.status != "success":
        said = " ".join(log.error.message.split()) if log.error else ""
        return Ended(f"writing ended with status {log.status}{': ' if said else ''}{said:.300}", failures)
    if failures.too_many:
        return Ended(f"{failures.number} requests in a row failed, the last with {failures.last}", failures)
    return Ended("", failures)
