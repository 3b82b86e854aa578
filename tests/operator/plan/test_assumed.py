from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from cupola_operator.plan.answers import assumed
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import bill
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.hardware import Machine

A100 = catalogue.typical("a100-80g")


def said(machine: Machine, devices: int = 64) -> str:
    costs = bill.of_training(
        Estimate.exactly(1e6), machine, devices, checkpoint_bytes=10**9, interval=None
    )
    return "; ".join(assumed.of(machine, costs, training=True))


def test_what_the_machine_does_not_say_is_said_with_its_range() -> None:
    text = said(A100)
    assert "PUE is 1.3 (1.1 to 1.58)" in text
    assert "480 g of CO2" in text
    assert "a token is 4 (3 to 5) bytes" in text


def test_what_the_machine_says_is_not_an_assumption() -> None:
    text = said(replace(A100, assumed=()))
    assert "PUE" not in text
    assert "CO2" not in text
    assert "fails" not in text


def test_the_network_is_of_no_account_in_one_node() -> None:
    slow = replace(A100, assumed=("network",))
    assert "Gbit/s" in said(slow, 64)
    assert "Gbit/s" not in said(slow, 8)


def test_prices_that_nobody_stated_are_said() -> None:
    costs = bill.of_training(
        Estimate.exactly(1e6),
        A100,
        8,
        checkpoint_bytes=10**9,
        interval=None,
        device_price=Decimal(12_000),
        kwh_price=Decimal("0.25"),
    )
    text = "; ".join(assumed.of(A100, costs, training=True))
    assert "a kWh costs 0.25 USD" in text
    assert "to own a device costs 12,000 USD" in text


def test_without_a_bill_nothing_was_taken_for_granted() -> None:
    assert assumed.of(A100, None, training=True) == []
