from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.cli import options


def refused(function: Callable[[], object]) -> str:
    """The sentence that something is refused with; empty if it is taken."""
    try:
        function()
    except options.Invalid as error:
        return str(error)
    return ""


@given(st.text(max_size=20))
def test_any_text_is_taken_or_refused_in_one_sentence(text: str) -> None:
    for option, said in (
        ("--size", refused(lambda: options.count("--size", text))),
        ("--price", refused(lambda: options.amount("--price", text))),
        ("--budget", refused(lambda: options.money(text, "USD"))),
    ):
        assert not said or said.startswith(f"{option}: ")
        assert len(said.splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("150000", "150000"),
        ("150,000", "150000"),
        ("1,234,567.50", "1234567.50"),
        ("150000 EUR", "150000"),
        ("150000eur", "150000"),
        ("0.35", "0.35"),
    ],
)
def test_money_may_be_grouped_and_name_its_currency(text: str, amount: str) -> None:
    assert options.money(text, "EUR") == Decimal(amount)


def test_digits_that_are_grouped_oddly_are_not_guessed_at() -> None:
    for text in ("1,5", "15,00", "1.2.3", "150000 DOLLARS"):
        with pytest.raises(options.Invalid):
            options.money(text, "EUR")
