"""Splits: which rows train, which validate and which test, decided by a hash within each domain.

A row's place in the order of its domain depends on its headline, its domain and the seed alone: neither on the order
of the file nor on its id. Quotas go by largest remainder, so the splits have exactly the wanted sizes and every domain
has its share of each, up to one row.
"""

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

from mst_evals.data import topic_key
from mst_evals.errors import InputError

SHARES = {"train": 1900, "validation": 200, "test": 200}  # of topics.jsonl; other numbers of rows in proportion
Name = TypeVar("Name", bound=Hashable)


def quotas(sizes: Mapping[Name, int], total: int) -> dict[Name, int]:
    """Divide a number of places in proportion to sizes, by the method of largest remainders (Hamilton's).

    Everyone gets the whole part of its exact share; what is left over goes, one each, to the largest fractions, and
    among equal ones to whom comes first in `sizes`. Nobody gets more than its size while `total` is at most their sum.

    Args:
        sizes: Name -> size, at least 0; not all of them 0 unless `total` is.
        total: Places to divide, at least 0.

    Returns:
        Name -> places, in the order of `sizes`; their sum is `total`.
    """
    whole = sum(sizes.values())
    if not total:
        return dict.fromkeys(sizes, 0)
    found = {name: size * total // whole for name, size in sizes.items()}
    # sorted is stable, so ties keep the order of `sizes`
    by_remainder = sorted(sizes, key=lambda name: -(sizes[name] * total % whole))
    for name in by_remainder[: total - sum(found.values())]:
        found[name] += 1
    return found


def hash_order(row: Mapping[str, Any], seed: int, purpose: str) -> str:
    """A row's place in a random order, as hex digits to sort by; each `purpose` has an order of its own."""
    text = f"{purpose}/{seed}/{row['domain']}/{topic_key(row)}"
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def assign(rows: Sequence[Mapping[str, Any]], seed: int = 0, shares: Mapping[str, int] = SHARES) -> list[str]:
    """The split of every row.

    The splits' sizes are the shares' largest-remainder quotas of the number of rows. The smallest split is filled
    first: it takes its largest-remainder quota of every domain, from the top of the domain's hash order; the next one
    divides what is left in the same way.

    Args:
        rows: Each with ``headline`` and ``domain``, no headline twice.
        seed: Of the hash order.
        shares: Split -> share, in any unit.

    Returns:
        One split for each row, in the order of `rows`.

    Raises:
        InputError: Two rows have one headline, which could then stand in two splits.
    """
    waiting: dict[str, list[int]] = {domain: [] for domain in sorted({row["domain"] for row in rows})}
    first: dict[str, int] = {}
    for number, row in enumerate(rows):
        if first.setdefault(topic_key(row), number) != number:
            raise InputError(
                f"row {number + 1}: headline {row['headline']!r} is that of row {first[topic_key(row)] + 1}, "
                "expected each once"
            )
        waiting[row["domain"]].append(number)
    for domain in waiting:
        waiting[domain].sort(key=lambda number: hash_order(rows[number], seed, "split"))
    found = [""] * len(rows)
    totals = quotas(shares, len(rows))
    for split in sorted(shares, key=lambda split: shares[split]):
        taken = quotas({domain: len(numbers) for domain, numbers in waiting.items()}, totals[split])
        for domain, count in taken.items():
            for number in waiting[domain][:count]:
                found[number] = split
            del waiting[domain][:count]
    return found
