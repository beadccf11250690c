"""The leak audit of Inspect logs: was any judge given the label or the prompt that produced the article?

The published code's judge read the whole decoded text, label included, in the labelled arms only. Such a log is found
out here by what its judge was given, whoever's code made it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mst_evals.errors import InputError
from mst_evals.judging import leaks, logs
from mst_evals.judging.logs import Sample


@dataclass(frozen=True)
class Leak:
    """One kind of leak.

    Attributes:
        kind: One of `leaks.KINDS`.
        calls: Judge calls that have it.
        samples: Samples (with epochs) that have it.
        logs: Logs that have it.
        example: The first of them.
    """

    kind: str
    calls: int
    samples: int
    logs: int
    example: str


@dataclass
class Audit:
    """What an audit found; filled log by log.

    Attributes:
        logs: Logs that were read.
        samples: Samples (with epochs) that were read.
        calls: Calls to a judge whose text is there.
        found: Kind -> (log, sample with epoch) of each call that has it.
        unlabelled: Judged samples whose log does not say which label they had.
        judge_free: Log -> its scorers, where no judge was asked.
        unreadable: Why something could not be read or told, one line each.
        completions: Samples with a label and a completion, which can be graded again.
        textless: Completions whose log gives no text of a label.
    """

    logs: int = 0
    samples: int = 0
    calls: int = 0
    found: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    unlabelled: int = 0
    judge_free: dict[str, list[str]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    completions: list[Sample] = field(default_factory=list)
    textless: int = 0

    @property
    def leaks(self) -> list[Leak]:
        """The kinds found, in the order of `leaks.KINDS`."""
        found = []
        for kind in leaks.KINDS:
            if places := self.found.get(kind):
                log, sample = places[0]
                count = len({one for one, _ in places})
                found.append(Leak(kind, len(places), len(set(places)), count, f"sample {sample} of {log}"))
        return found

    def lines(self) -> list[str]:
        """What was found, a line for each kind of leak."""
        found = [
            f"LEAK, {leak.kind}: {leak.calls} of {self.calls} judge calls ({_of(leak.samples, 'sample')}, "
            f"{_of(leak.logs, 'log')}) were given {leaks.KINDS[leak.kind]}; e.g. {leak.example}"
            for leak in self.leaks
        ]
        if self.calls and not found:
            found.append(
                f"no leak: none of {_of(self.calls, 'judge call')} ({_of(self.logs, 'log')}) was given a label ("
                f"{leaks.RUN} words of it in a row, or its name beside the word label) or a message, line or sentence "
                "of the prompt"
            )
        if self.unlabelled:
            found.append(
                f"{_of(self.unlabelled, 'judged sample')} had no label, or the log does not say which: only the prompt "
                "and the project's own labels were looked for there"
            )
        found += [
            f"{log}: no judge was asked ({', '.join(scorers) or 'nothing was scored'})"
            for log, scorers in self.judge_free.items()
        ]
        return found


def audit(paths: Sequence[Path]) -> Audit:
    """Audit logs. What cannot be read is named in `Audit.unreadable` and stops nothing.

    Args:
        paths: Log files.
    """
    found = Audit()
    for path in paths:
        try:
            _audit_log(path, found)
        except InputError as error:
            found.unreadable.append(str(error))
    return found


def _audit_log(path: Path, found: Audit) -> None:
    unseen: Counter[str] = Counter()
    example: dict[str, str] = {}
    scorers: dict[str, None] = {}
    calls = 0
    logs.read_header(path)
    found.logs += 1
    for sample in logs.read_samples(path):
        found.samples += 1
        calls += len(sample.given)
        scorers |= dict.fromkeys(sample.scores)
        where = f"{sample.id} (epoch {sample.epoch})" if sample.epoch > 1 else sample.id
        for name in sample.unseen:
            unseen[name] += 1
            example.setdefault(name, where)
        for given in sample.given:
            for kind in leaks.find(given, sample.completion, sample.label_text, sample.prompt, sample.label_name):
                found.found.setdefault(kind, []).append((path.name, where))
        found.unlabelled += bool(sample.given) and sample.label_text is None
        if sample.completion.strip():
            found.completions += [sample] * bool(sample.label_text)
            found.textless += not sample.label_text
    found.calls += calls
    for name, count in unseen.items():
        found.unreadable.append(
            f"{path}: {name} has scores of {_of(count, 'sample')} (e.g. {example[name]}) and neither events nor "
            "metadata that say what a judge was given: expected one of them"
        )
    if not calls and not unseen:
        found.judge_free[path.name] = list(scorers)


def _of(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
