from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import bill
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.hardware import Machine, Price

DAY = 86_400.0


def machine(**prices: Decimal | None) -> Machine:
    found = catalogue.typical("a100-80g")
    return replace(found, price=Price(**prices))


def training(there: Machine, days: float = 10, devices: int = 64, **more: object) -> bill.Bill:
    return bill.of_training(
        Estimate.exactly(days * DAY),
        there,
        devices,
        checkpoint_bytes=10**11,
        interval=more.pop("interval", None),  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


def test_without_a_price_there_is_no_money_and_everything_else() -> None:
    found = training(machine())
    assert found.on_demand is None
    assert found.reserved is None
    assert found.spot is None
    assert found.ownership is None
    assert found.device_hours.expected > 64 * 240
    assert found.energy.kwh.expected > 0


@given(st.decimals("0.01", "100", places=2), st.integers(1, 2048))
def test_doubling_the_price_doubles_the_money(price: Decimal, devices: int) -> None:
    once = training(machine(on_demand=price), devices=devices).on_demand
    twice = training(machine(on_demand=2 * price), devices=devices).on_demand
    assert once is not None
    assert twice is not None
    assert (twice.low, twice.expected, twice.high) == (
        2 * once.low,
        2 * once.expected,
        2 * once.high,
    )


@given(st.floats(0.01, 100), st.floats(1.01, 10))
def test_longer_work_takes_more_of_everything(days: float, factor: float) -> None:
    there = machine(on_demand=Decimal(1), spot=Decimal("0.4"))
    short, long = training(there, days), training(there, days * factor)
    assert long.wall_clock_hours.expected > short.wall_clock_hours.expected
    assert long.energy.kwh.expected > short.energy.kwh.expected
    assert long.on_demand is not None
    assert short.on_demand is not None
    assert long.on_demand.expected > short.on_demand.expected


def test_failures_and_saves_make_the_hours_more_than_the_work() -> None:
    found = training(machine(), days=30, devices=4096)
    assert found.wall_clock_hours.low > 30 * 24
    assert found.reliability is not None
    assert found.reliability.failures.expected > 10


def test_on_spot_the_run_takes_longer_and_is_cheaper_at_a_lower_price() -> None:
    there = machine(on_demand=Decimal(2), spot=Decimal("0.7"))
    found = training(there, days=30, devices=512)
    assert found.spot is not None
    assert found.on_demand is not None
    assert found.spot.wall_clock_hours.expected > found.wall_clock_hours.expected
    assert found.spot.cost.expected < found.on_demand.expected
    assert found.spot.preemptions.expected == pytest.approx(64 * 0.105, rel=0.1)


def test_spot_at_the_price_below_which_it_pays_costs_what_it_does_on_demand() -> None:
    below = training(machine(on_demand=Decimal(2)), days=30, devices=512).spot_pays_below
    assert below is not None
    assert Decimal(1) < below.low <= below.expected <= below.high <= 2
    assert below.expected < 2
    found = training(machine(on_demand=Decimal(2), spot=below.expected), days=30, devices=512)
    assert found.spot is not None
    assert found.on_demand is not None
    paid, rented = float(found.spot.cost.expected), float(found.on_demand.expected)
    assert paid == pytest.approx(rented, rel=1e-4)
    assert training(machine()).spot_pays_below is None


def test_rent_or_buy_needs_both_prices() -> None:
    there = machine(on_demand=Decimal(2))
    both = training(there, device_price=Decimal(10_000), kwh_price=Decimal("0.1"))
    assert both.ownership is not None
    assert both.ownership.buy == 640_000
    low, expected, high = both.ownership.break_even_hours
    assert low is not None
    assert expected is not None
    assert high is not None
    assert 5_000 < low < expected < high < 6_000
    assert training(there, device_price=Decimal(10_000)).ownership is None


def test_what_the_machine_says_of_its_energy_leaves_only_the_devices_draw_open() -> None:
    there = replace(machine(), pue=1.2, carbon=50.0, assumed=())
    kwh = training(there).energy.kwh
    assert (
        kwh.high / kwh.low
        < training(machine()).energy.kwh.high / training(machine()).energy.kwh.low
    )


def test_a_job_pays_for_its_start_too() -> None:
    found = bill.of_job(Estimate.exactly(3600), machine(on_demand=Decimal(1)), 8)
    assert found.device_hours.expected == pytest.approx(8 * (1 + 20 / 3600))
    assert found.reliability is None
