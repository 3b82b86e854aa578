from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_operator.plan import Refused
from cupola_operator.plan.answers import budget
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.plan.answers.sized import Asked
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.hardware import Price

A100 = replace(catalogue.typical("a100-80g"), price=Price(on_demand=Decimal("1.50")))
MONEY = Decimal(20_000)


@cache
def spent() -> Plan:
    """What the money buys."""
    return budget.plan(Asked(machine=A100, size=0, gpus=64), MONEY)


def test_the_expected_cost_is_the_money() -> None:
    found = spent()
    assert found.bill is not None
    assert found.bill.on_demand is not None
    assert float(found.bill.on_demand.expected) == pytest.approx(20_000, rel=0.01)
    assert found.kind == "Budget"


@settings(max_examples=25)
@given(
    money=st.decimals("30", "300000", places=2),
    gpus=st.sampled_from([None, 8, 24, 64]),
    size=st.sampled_from([10**8, 10**9, 3 * 10**9]),
)
def test_what_is_proposed_never_costs_more_than_the_money(
    money: Decimal, gpus: int | None, size: int
) -> None:
    found = budget.spend(Asked(machine=A100, size=0, gpus=gpus), money, size)
    assert found.bill is not None
    assert found.bill.on_demand is not None
    assert found.bill.on_demand.expected <= money
    assert found.bill.on_demand.expected > money * Decimal("0.9")


def test_every_size_that_is_compared_is_within_the_money() -> None:
    found = spent()
    assert found.bill is not None
    assert found.bill.on_demand is not None
    for cost in (found.bill.on_demand, *(one.cost for one in found.options if one.cost)):
        assert MONEY * Decimal("0.98") < cost.expected <= MONEY


def test_no_other_size_for_the_money_has_a_much_lower_loss() -> None:
    found = spent()
    (best,) = [one for one in found.options if one.chosen]
    assert best.loss is not None
    others = [one.loss.expected for one in found.options if one.loss]
    assert len(others) >= 4
    assert best.loss.expected <= min(others) + 0.002
    for one in found.options:
        assert one.cost is not None
        assert float(one.cost.expected) == pytest.approx(20_000, rel=0.02)


def test_of_a_given_size_it_says_how_many_tokens_the_money_buys() -> None:
    found = budget.plan(Asked(machine=A100, size=0, gpus=64), MONEY, size=10**9)
    assert found.training is not None
    assert found.training.parameters == pytest.approx(1e9, rel=0.05)
    assert found.training.tokens > 100e9


def test_money_that_trains_nothing_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        budget.plan(Asked(machine=A100, size=0, gpus=64), Decimal("0.01"), size=10**11)
    assert refused.value.reason == "BudgetTooSmall"


def test_without_a_price_money_is_no_hours() -> None:
    free = replace(A100, price=Price())
    with pytest.raises(Refused, match="has no price"):
        budget.plan(Asked(machine=free, size=0, gpus=64), MONEY)
