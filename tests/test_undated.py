"""Chat templates that print the date of the day."""

from types import SimpleNamespace

import pytest

from mst_evals import tokens
from mst_evals.errors import InputError


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ strftime_now('%d %b %Y') }}", "{{ '26 Jul 2024' }}"),
        ('{{ strftime_now( "%Y-%m-%d" ) }}', "{{ '2024-07-26' }}"),
        (
            "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}26 Jul 2024{% endif %}",
            "{% if strftime_now is defined %}{{ '26 Jul 2024' }}{% else %}26 Jul 2024{% endif %}",
        ),
        ("{{ messages }}", "{{ messages }}"),
        ({"default": "{{ strftime_now('%Y') }}", "tool_use": "x"}, {"default": "{{ '2024' }}", "tool_use": "x"}),
    ],
)
def test_the_date_is_fixed(template, expected):
    tokenizer = SimpleNamespace(chat_template=template)
    tokens.undate(tokenizer)
    assert tokenizer.chat_template == expected


def test_a_computed_format_is_refused():
    with pytest.raises(InputError, match="format"):
        tokens.undate(SimpleNamespace(chat_template="{{ strftime_now(form) }}"))
