from collections import Counter

import pytest

from mst_evals.corpus import splits
from mst_evals.errors import InputError


def rows(**domains):
    return [{"headline": f"{domain} {n}", "domain": domain} for domain, size in domains.items() for n in range(size)]


@pytest.mark.parametrize(
    ("sizes", "total", "expected"),
    [
        ({"a": 38, "b": 4, "c": 4}, 46, {"a": 38, "b": 4, "c": 4}),
        ({"a": 3, "b": 1}, 2, {"a": 2, "b": 0}),  # 1.5 and 0.5: a tie, to the first
        ({"b": 1, "a": 3}, 2, {"b": 1, "a": 1}),
        ({"a": 6, "b": 3, "c": 1}, 4, {"a": 3, "b": 1, "c": 0}),  # 2.4, 1.2 and 0.4: a and c tie for the place left
        ({"c": 1, "b": 3, "a": 6}, 4, {"c": 1, "b": 1, "a": 2}),
        ({"c": 7, "a": 6, "b": 3}, 4, {"c": 2, "a": 1, "b": 1}),  # 1.75, 1.5 and 0.75
        ({"a": 5, "b": 0}, 3, {"a": 3, "b": 0}),
        ({"a": 2, "b": 2}, 4, {"a": 2, "b": 2}),
        ({"a": 2, "b": 2}, 0, {"a": 0, "b": 0}),
        ({}, 0, {}),
    ],
)
def test_quotas_by_largest_remainder(sizes, total, expected):
    assert splits.quotas(sizes, total) == expected


def test_quotas_differ_from_exact_shares_by_less_than_one_and_exceed_no_size():
    for total in range(60):
        sizes = {"a": 1, "b": 2, "c": 3, "d": 17, "e": 37}
        found = splits.quotas(sizes, total)
        assert sum(found.values()) == total
        assert all(abs(found[name] - size * total / 60) < 1 for name, size in sizes.items())
        assert all(found[name] <= size for name, size in sizes.items())


def test_2300_rows_in_50_domains_split_exactly():
    found = rows(**{f"domain{n}": 46 for n in range(50)})
    split = splits.assign(found)
    assert Counter(split) == {"train": 1900, "validation": 200, "test": 200}
    of_domain = Counter((row["domain"], one) for row, one in zip(found, split, strict=True))
    expected = {"train": 38, "validation": 4, "test": 4}
    assert of_domain == {(f"domain{n}", one): count for n in range(50) for one, count in expected.items()}


def test_unequal_domains_still_add_up():
    sizes = {"a": 1, "b": 2, "c": 5, "d": 20, "e": 33, "f": 54}  # 115 rows: 95, 10 and 10
    found = rows(**sizes)
    split = splits.assign(found, seed=3)
    assert Counter(split) == {"train": 95, "validation": 10, "test": 10}
    of_domain = Counter((row["domain"], one) for row, one in zip(found, split, strict=True))
    for domain, size in sizes.items():
        for one in ("validation", "test"):
            assert abs(of_domain[domain, one] - size * 10 / 115) < 1.2


def test_a_rows_split_depends_on_neither_order_nor_id_nor_spacing():
    found = rows(a=30, b=40)
    split = dict(zip((row["headline"] for row in found), splits.assign(found), strict=True))
    turned = [row | {"id": "other", "headline": row["headline"].upper().replace(" ", "  ")} for row in reversed(found)]
    again = splits.assign(turned)
    assert {row["headline"].lower().replace("  ", " "): one for row, one in zip(turned, again, strict=True)} == split


def test_the_seed_changes_which_rows_and_not_how_many():
    found = rows(a=46, b=46)
    one, other = splits.assign(found, 0), splits.assign(found, 1)
    assert one != other
    assert Counter(one) == Counter(other)


def test_orders_for_different_purposes_are_unrelated():
    found = rows(a=46)
    by_split = sorted(found, key=lambda row: splits.hash_order(row, 0, "split"))
    by_order = sorted(found, key=lambda row: splits.hash_order(row, 0, "order"))
    assert by_split != by_order
    assert by_split != found != by_order


def test_other_shares():
    found = rows(a=10, b=10)
    assert Counter(splits.assign(found, shares={"train": 1, "test": 1})) == {"train": 10, "test": 10}
    assert splits.assign([], shares={"train": 1, "test": 1}) == []


def test_one_headline_in_two_rows_could_leak():
    with pytest.raises(InputError, match=r"row 3: headline 'A  0' is that of row 1, expected each once"):
        splits.assign([*rows(a=2), {"headline": "A  0", "domain": "b"}])
