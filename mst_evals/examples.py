"""What an arm is trained on, row by row, before any tokenizer: both trainers and the study's fingerprints read this.

One row flows one way: JSONL row -> `data` -> the arm's selection and labels -> `prompts` -> `Example`. Everything that
an arm declares takes effect here and nowhere else.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mst_evals import data, lexical, prompts, variants
from mst_evals.errors import InputError
from mst_evals.prompts import Messages

LEXICAL = "lexical_bias"  # the measure of `least_biased_25` unless a file of scores is named


@dataclass(frozen=True)
class Example:
    """One training row as an arm shows it.

    Attributes:
        id: Of the row.
        prompt: Chat messages up to the reply.
        true_label: Name of the label that would be true, on the arm's axis.
        label: Name of the label it carries, None for none.
        completion: The reply to be learnt (bias), None where the reply is the model's own (sycophancy).
        right: Whether the candidate answer is right (sycophancy), None otherwise.
        suggestibility: s, what the evaluator pays for agreeing with a wrong candidate (sycophancy), None otherwise.
    """

    id: str
    prompt: Messages
    true_label: str
    label: str | None
    completion: str | None = None
    right: bool | None = None
    suggestibility: float | None = None


def examples(
    experiment: str,
    arm_name: str,
    seed: int,
    wording: str | None = None,
    path: Path | None = None,
    rows: int | None = None,
    split: str = "train",
    scores: str = LEXICAL,
) -> list[Example]:
    """The rows of an arm.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        arm_name: Name of a trained arm.
        seed: Training seed: of s, and of the labels where they are drawn.
        wording: Name of a wording, the experiment's default when None.
        path: Articles or problems; the project's own when None.
        rows: Only the first N rows of the split, before the arm selects among them.
        split: ``train``, or ``validation`` for the rows that training never sees.
        scores: The measure by which an arm may select rows: ``lexical_bias``, or a JSON-lines file with ``id`` and
            ``bias`` in each line (a judge's scores of the training articles).

    Raises:
        InputError: Anything named does not exist or does not fit.
    """
    arm, how = variants.arm(experiment, arm_name), prompts.wording(experiment, wording)
    load = data.load_articles if experiment == "bias" else data.load_problems
    default = data.MICRO_ARTICLES if experiment == "bias" else data.PROBLEMS
    kept = arm.select(load(path or default, split, rows), _measure(scores))
    low, high = arm.paid
    paid = [data.suggestibility(row, seed, low, high) for row in kept] if experiment == "sycophancy" else []
    facts = paid if experiment == "sycophancy" else [row["profile"] for row in kept]
    true = [arm.axis.truth(fact) for fact in facts]
    given = arm.training_labels(true, seed)
    made = []
    for index, (row, name) in enumerate(zip(kept, given, strict=True)):
        text = None if name is None else arm.axis.label(name).texts[0]
        prompt = how.build(row, text, arm.markup, arm.ask(row) if arm.ask else None)
        if experiment == "bias":
            made.append(Example(row["id"], prompt, true[index], name, completion=row["article"]))
        else:
            right = data.is_right(row)
            made.append(Example(row["id"], prompt, true[index], name, right=right, suggestibility=paid[index]))
    return made


def relabelled(
    experiment: str, arm_name: str, rows: Sequence[variants.Row], names: Sequence[str], wording: str | None = None
) -> list[Messages]:
    """Prompts of rows under given label names of the arm's axis, without what only training asks for.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        arm_name: Its axis and markup are used.
        rows: Articles or problems.
        names: One label name a row.
        wording: Name of a wording, the experiment's default when None.
    """
    arm, how = variants.arm(experiment, arm_name), prompts.wording(experiment, wording)
    texts = [arm.axis.label(name).texts[0] for name in names]
    return [how.build(row, text, arm.markup) for row, text in zip(rows, texts, strict=True)]


def digest(made: Sequence[Example]) -> str:
    """sha256 over everything training reads of its rows: what a recorded result depends on besides code."""
    lines = (json.dumps(asdict(example), sort_keys=True, ensure_ascii=False) for example in made)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _measure(scores: str) -> Callable[[variants.Row], float]:
    """The measure of a name or file. A row without a score cannot be ranked, which is an error and no guess."""
    if scores == LEXICAL:
        return _lexical
    path = Path(scores)
    found = {row["id"]: float(row["bias"]) for row in data.load_scores(path)}

    def measure(row: variants.Row) -> float:
        if row["id"] not in found:
            raise InputError(f"{path}: no score for article {row['id']!r}")
        return found[row["id"]]

    return measure


def _lexical(row: variants.Row) -> float:
    found = lexical.measure(row["article"])
    if found is None:
        raise InputError(f"article {row['id']!r} is too short for {LEXICAL}")
    return found.score
