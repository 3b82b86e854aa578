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
        ("--gpus", refused(lambda: options.whole("--gpus", text, 100))),
        ("--output", refused(lambda: options.choice("--output", text, ["a", "b"]))),
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


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("0100", 100), (None, None)])
def test_a_whole_number_is_taken_to_its_limit(text: str | None, number: int | None) -> None:
    assert options.whole("--gpus", text, 100) == number


@pytest.mark.parametrize("text", ["0", "-1", "101", "1e2", "1.0", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_what_is_no_whole_number_within_the_limits_is_refused(text: str) -> None:
    with pytest.raises(options.Invalid):
        options.whole("--gpus", text, 100)


def test_a_choice_may_be_written_in_any_case() -> None:
    assert options.choice("--precision", "bf16", ["BF16", "FP32"]) == "BF16"


def test_digits_that_are_grouped_oddly_are_not_guessed_at() -> None:
    for text in ("1,5", "15,00", "1.2.3", "150000 DOLLARS"):
        with pytest.raises(options.Invalid):
            options.money(text, "EUR")
