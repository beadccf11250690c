"""Cost by hand, and a price that nobody knows."""

import pytest

from mst_evals.corpus import spending
from mst_evals.corpus.spending import Price, Usage
from mst_evals.errors import InputError


def test_cost_by_hand():
    # 2 M input at $3 and 0.5 M output at $15: 6 + 7.5
    used = Usage(requests=10, input=2_000_000, output=500_000)
    assert spending.cost(used, Price(3, 15)) == pytest.approx(13.5)
    assert spending.cost(used, Price(3, 15), batch=True) == pytest.approx(6.75)
    assert spending.cost(Usage(), Price(3, 15)) == 0


def test_an_unknown_price_is_never_zero():
    assert spending.price_of("claude-unheard-of") is None
    assert spending.cost(Usage(1, 10, 10), None) is None
    assert spending.total([1.0, None]) is None
    assert spending.total([1.0, 0.25]) == 1.25
    assert "price unknown" in spending.sentence(Usage(1, 10, 10), None)


@pytest.mark.parametrize("name", ["claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5-20250929"])
def test_one_model_under_its_names(name):
    assert spending.price_of(name) == Price(3, 15)


def test_the_given_price_goes_first():
    assert spending.price_of("claude-sonnet-4-5", "1,2.5") == Price(1, 2.5)
    assert spending.price_of("claude-unheard-of", "0, 0") == Price(0, 0)


@pytest.mark.parametrize("text", ["", "3", "3,15,1", "a,b", "-1,2", "nan,1", "inf,1", "3;15"])
def test_bad_prices(text):
    with pytest.raises(InputError, match="expected INPUT,OUTPUT"):
        spending.parse_price(text)


def test_every_price_is_a_price():
    assert spending.PRICES
    for name, price in spending.PRICES.items():
        assert 0 < price.input < price.output, name
        assert spending.price_of(name) == price


def test_sums_and_words():
    assert Usage(1, 2, 3) + Usage(10, 20, 30) == Usage(11, 22, 33)
    assert spending.sentence(Usage(2, 1500, 300), 0.0123) == ("2 replies, 1,500 input and 300 output tokens: $0.0123")
    assert [spending.dollars(amount) for amount in (0, 1234.5, None)] == ["$0.00", "$1,234.50", "price unknown"]
    assert spending.tokens("") == 0
    assert spending.tokens("abcd") == 2
