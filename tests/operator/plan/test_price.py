from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import price

amounts = st.decimals("0.01", "1000", places=2)
hours = st.integers(1, 10**9)


def running(*ends: int) -> price.Money:
    """Electricity of an hour: low, expected and high, or exactly so much."""
    low, expected, high = map(Decimal, ends * 3 if len(ends) == 1 else ends)
    return price.Money(low, expected, high, "USD")


@pytest.mark.parametrize(
    ("device_hours", "rate", "total"),
    [
        (100_000, "1.50", "150000"),
        (1_000_000, "1.50", "1500000"),
        (100_000, "1", "100000"),
        (100_000, "2", "200000"),
    ],
)
def test_the_guides_hours_times_price_are_exact(device_hours: int, rate: str, total: str) -> None:
    money = price.Money.of(Estimate.exactly(device_hours), Decimal(rate), "USD")
    assert (money.low, money.expected, money.high) == (Decimal(total),) * 3


def test_the_guides_purchase_is_exact() -> None:
    """1,000 GPUs of 10,000 USD."""
    bought = price.rent_or_buy(1000, Decimal(2), price.Purchase(Decimal(10_000), running(0)))
    assert bought.buy == Decimal(10_000_000)
    assert bought.break_even_hours == (5000, 5000, 5000)


@given(hours, amounts)
def test_doubling_the_price_doubles_the_money(count: int, rate: Decimal) -> None:
    once = price.Money.of(Estimate(count / 2, count, count * 2), rate, "USD")
    twice = price.Money.of(Estimate(count / 2, count, count * 2), 2 * rate, "USD")
    assert (twice.low, twice.expected, twice.high) == (
        2 * once.low,
        2 * once.expected,
        2 * once.high,
    )


@given(amounts, amounts, st.decimals("0", "5", places=3))
def test_at_break_even_renting_and_owning_cost_the_same(
    device: Decimal, rent: Decimal, power: Decimal
) -> None:
    drawn = price.Money(power / 2, power, 2 * power, "USD")
    found = price.rent_or_buy(1, rent, price.Purchase(device, drawn)).break_even_hours
    for hours, paid in zip(found, (drawn.low, drawn.expected, drawn.high), strict=True):
        assert (hours is None) == (rent <= paid)
        if hours is not None:
            assert float(hours * rent) == pytest.approx(float(device + hours * paid))
    known = [hours for hours in found if hours is not None]
    assert known == sorted(known)


def test_a_device_that_never_rests_breaks_even_in_so_many_years() -> None:
    found = price.rent_or_buy(8, Decimal(2), price.Purchase(Decimal(17_520), running(0, 1, 2)))
    assert found.break_even_years == [1, 2, None]
    never = price.rent_or_buy(8, Decimal(1), price.Purchase(Decimal(17_520), running(1)))
    assert never.break_even_years == [None, None, None]


def test_money_of_two_currencies_is_not_added() -> None:
    one = price.Money.of(Estimate.exactly(1), Decimal(1), "USD")
    assert (one + one).expected == 2
    with pytest.raises(ValueError, match="USD and EUR"):
        one + price.Money.of(Estimate.exactly(1), Decimal(1), "EUR")


def test_json_is_rounded_to_the_cent_and_small_amounts_are_not_lost() -> None:
    found = price.Money.of(Estimate(0.001, 0.01, 1000.0), Decimal("1.23456"), "EUR").to_json()
    assert found == {"low": 0.001235, "expected": 0.012346, "high": 1234.56, "currency": "EUR"}


def test_spot_pays_below_the_price_that_makes_up_for_preemptions() -> None:
    assert price.spot_price_that_pays(Decimal(2), 1.25) == Decimal("1.6")
