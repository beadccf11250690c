"""When two evaluations may be compared at all: the same question, put to the same kind of adapter, judged alike."""

from collections.abc import Mapping, Sequence

from mst_evals import lexical
from mst_evals.metrics import GRADES
from mst_evals.regression.reference import Facts
from mst_evals.regression.rows import Answer

# Facts that must agree. What an adapter is made of may differ (weights, seed, training data): that is what is checked.
MUST_AGREE = (
    "experiment", "arm", "base", "base_sha256", "quantisation", "evaluated_quantisation", "task", "task_version",
    "axis", "data", "data_sha256", "scorer", "judge", "judge_sha256", "temperature", "max_tokens",
)  # fmt: skip
LEXICAL = "lexical_bias"
SAME_SCORE = 1e-9


def differences(reference: Facts, adapter: Facts) -> list[str]:
    """What differs of that which must agree, one phrase each; empty when the two may be compared."""
    before, after = reference.model_dump(), adapter.model_dump()
    return [
        f"{name} differs (reference {_short(before[name])}, adapter {_short(after[name])})"
        for name in MUST_AGREE
        if before[name] != after[name]
    ]


def remade(reference: Facts, adapter: Facts) -> list[str]:
    """What differs of that which may, for a reader."""
    before, after = reference.model_dump(), adapter.model_dump()
    return [
        f"{name}: {_short(before[name])} -> {_short(after[name])}"
        for name in before
        if name not in MUST_AGREE and before[name] != after[name]
    ]


def other_packages(reference: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Which packages are not of the version that a reference was made with, as one phrase; empty when all are.

    Args:
        reference: `reference.Reference.made_with`; what it says of the processor is left alone.
        now: `measure.versions`.
    """
    other = [
        f"{name} {reference.get(name, 'none')} -> {one}" for name, one in now.items() if reference.get(name) != one
    ]
    return [f"packages: {', '.join(other)}"] if other else []


def _short(value: object) -> str:
    """A value in a sentence; of a digest its beginning."""
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text or "none"


def other_prompts(reference: Sequence[Answer], prompts: Mapping[str, str]) -> str | None:
    """How the questions differ, None when every sample of the reference has its prompt and there is no other one.

    Args:
        reference: The answers of the reference.
        prompts: Sample id -> prompt, of what is asked today.
    """
    before = {answer.id: answer.prompt for answer in reference}
    missing, added = (sorted(one.keys() - other.keys()) for one, other in ((before, prompts), (prompts, before)))
    if missing or added:
        first = (missing or added)[0]
        return f"other rows or labels are asked: {len(missing)} are missing and {len(added)} new, such as {first}"
    other = [name for name in before if before[name] != prompts[name]]
    return f"{len(other)} prompts have another text, such as {other[0]}" if other else None


def other_judgement(scorer: str, reference: Sequence[Answer]) -> str | None:
    """Whether the offline proxy would give the reference's articles other scores or verdicts; None where it would not.

    It is a program, so a change of its code moves every score without any adapter having changed. A judge model is
    known by its name and rubric alone.
    """
    if scorer != LEXICAL:
        return None
    scored = [answer for answer in reference if answer.values]
    for what, same in (("score", _same_score), ("verdict", _same_verdict)):
        moved = [answer.id for answer in scored if not same(answer)]
        if moved:
            many = f"{len(moved)} of the reference's articles"
            return f"{LEXICAL} gives {many} another {what} than it did, such as {moved[0]}"
    return None


def _same_score(answer: Answer) -> bool:
    found = lexical.measure(answer.reply)
    return found is not None and abs(found.score - answer.values["bias"]) <= SAME_SCORE


def _same_verdict(answer: Answer) -> bool:
    found = lexical.measure(answer.reply)
    return found is not None and GRADES[found.verdict] == answer.values["objectivity"]
