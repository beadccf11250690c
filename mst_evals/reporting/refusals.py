"""Which logs may not be compared, by how their models were asked: quantisation and precision as far as a log tells.

An adapter is compared only if it was asked as it was trained, a bare base only if it was asked as the adapters beside
it. Nothing is read into a log that records nothing (hosted models, weights that another process serves).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Header = Mapping[str, Any]

BASE = "ootb"  # the arm that is the base as it is
ALIKE = ("quantisation", "precision")
# What `mst_evals.as_trained` writes of the loaded weights: of a bare base, and of an adapter's base.
_USED = re.compile(r"(.+?) here; no training of ours.*|trained .+, evaluated ([^;]+?)(?:, adapter [^;]+)?(?:;.*)?")


def asked(row: Header) -> dict[str, str]:
    """Quantisation and precision that a model was asked with; what the log does not tell is left out.

    Args:
        row: Metadata of the log, see `refusal`.
    """
    used = {}
    for check in ALIKE:
        match = _USED.fullmatch(str(((row.get("preflight") or {}).get(check) or {}).get("found")))
        used[check] = match and (match[1] or match[2])
    # A base's own quantisation is that of its pretraining; an adapter that is not refused was asked as it was trained.
    trained = row.get("quantisation") if row.get("arm") != BASE else None
    used["quantisation"] = row.get("evaluated_quantisation") or used["quantisation"] or trained
    return {check: value for check, value in used.items() if value}


def refusal(row: Header) -> str:
    """Why the numbers of a log may not be compared with others, empty when they may.

    Args:
        row: Metadata of the log: ``preflight`` (see `mst_evals.preflight`); a log from before there was one has the
            two quantisations alone.
    """
    differing = [
        f"{check} ({finding['found']})"
        for check, finding in (row.get("preflight") or {}).items()
        if finding["status"] == "differs"
    ]
    trained, used = row.get("quantisation"), row.get("evaluated_quantisation")
    if not row.get("preflight") and row.get("seed") is not None and trained and used and trained != used:
        differing = [f"quantisation (trained {trained}, evaluated {used})"]
    return f"not asked as it was trained: {', '.join(differing)}" if differing else ""


def base_refusals(rows: Sequence[Header]) -> dict[str, str]:
    """The logs of a bare base that was asked otherwise than the adapters beside it, each with the reason.

    Args:
        rows: Metadata of the logs that would stand in one table.
    """
    adapters = [asked(row) for row in rows if row.get("seed") is not None]
    theirs = {check: sorted({one[check] for one in adapters if check in one}) for check in ALIKE}
    found = {}
    for row in rows:
        mine = asked(row) if row.get("arm") == BASE else {}
        other = [check for check, value in mine.items() if theirs[check] and theirs[check] != [value]]
        if other:
            base = ", ".join(f"{check} {mine[check]}" for check in other)
            beside = ", ".join(f"{check} {' and '.join(theirs[check])}" for check in other)
            remedy = _remedy(theirs["quantisation"], described=bool(row.get("method")))
            found[str(row["log"])] = f"the base was asked with {base}, the adapters with {beside}; {remedy}"
    return found


def mixed(rows: Sequence[Header]) -> list[str]:
    """A sentence for each of quantisation and precision that the models of one table were not all asked with.

    Args:
        rows: Metadata of the table's logs.
    """
    sentences = []
    for check in ALIKE:
        arms: dict[str, set[str]] = {}
        for row, used in ((row, asked(row)) for row in rows):
            if check in used:
                arms.setdefault(used[check], set()).add(str(row.get("arm")))
        if len(arms) > 1:
            each = "; ".join(f"{used} ({', '.join(sorted(names))})" for used, names in sorted(arms.items()))
            sentences.append(f"The logs of this table differ in {check} at evaluation: {each}.")
    return sentences


def _remedy(quantisations: Sequence[str], described: bool) -> str:
    """How to ask a base as adapters of these quantisations are asked; ``mst/`` takes one that a manifest describes."""
    if len(quantisations) > 1:
        return "report on the adapters of one quantisation at a time"
    ours = "mst/BASE, or " if described and list(quantisations) == ["nf4"] else ""  # its default for a bare base
    return f"ask it as they are: --model {ours}hf/BASE --model-config ADAPTER/nf4.yaml"
