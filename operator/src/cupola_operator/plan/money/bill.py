"""What work on devices comes to: hours, money, energy, CO2, and what fails on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal

from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import energy, reliability
from cupola_operator.plan.money.energy import Energy
from cupola_operator.plan.money.price import (
    Money,
    Purchase,
    RentOrBuy,
    rent_or_buy,
    spot_price_that_pays,
)
from cupola_operator.plan.money.reliability import Reliability
from cupola_operator.plan.speed.hardware import Machine

_HOUR = 3600.0

START_SECONDS = Estimate(5, 20, 120)
"""From the start of pods until they compute: programs load, weights are read. An assumption; 8 to 15
on a laptop."""


@dataclass(frozen=True)
class Spot:
    """The same work on devices that may be taken away."""

    preemptions: Estimate
    wall_clock_hours: Estimate
    cost: Money


@dataclass(frozen=True)
class Bill:
    """What the work comes to; money is None where no price is known, never 0."""

    devices: int
    wall_clock_hours: Estimate
    """From the start of pods to their end: saves, failures and lost work included, queues not."""
    device_hours: Estimate
    on_demand: Money | None
    reserved: Money | None
    energy: Energy
    electricity: Money | None
    """What the energy costs whom owns the machines; a rented hour includes it."""
    spot: Spot | None = None
    ownership: RentOrBuy | None = None
    reliability: Reliability | None = None
    """None of work that saves no checkpoints."""
    spot_pays_below: Money | None = None
    """Price of a device hour on spot below which that is cheaper than on demand; None as above, and
    without a price on demand."""


def of_training(
    work: Estimate,
    machine: Machine,
    devices: int,
    *,
    checkpoint_bytes: int,
    interval: float | None,
    device_price: Decimal | None = None,
    kwh_price: Decimal | None = None,
) -> Bill:
    """The bill of a training that computes for `work` seconds on `devices` devices.

    `interval`: seconds between checkpoints; None: the best. `device_price`: of one to own.
    `kwh_price`: of electricity, where the machine does not say.
    """
    nodes = math.ceil(devices / machine.gpus)
    save = Estimate.exactly(checkpoint_bytes) / (reliability.SAVE_BANDWIDTH * nodes)
    failing = energy.within(
        machine.failures_per_node_day,
        reliability.FAILURES_PER_NODE_DAY,
        assumed="failuresPerNodeDay" in machine.assumed,
    )

    def met(rate: Estimate) -> Reliability:
        return reliability.of_run(
            work=work,
            nodes=nodes,
            save=save.at_least(1e-3),
            restart=reliability.RESTART_SECONDS,
            interval=interval,
            failures_per_node_day=rate,
        )

    usual = met(failing)
    taken = reliability.preemptions_per_node_day(reliability.PREEMPTIONS_PER_NODE_MONTH)
    there = met(failing + taken)
    spot = None
    if machine.price.spot is not None:
        hours = _wall_clock(work, there)
        cost = Money.of(hours * devices, machine.price.spot, machine.price.currency)
        spot = Spot(hours * (1 / 24) * nodes * taken, hours, cost)
    found = _bill(_wall_clock(work, usual), machine, devices, kwh_price)
    owned = _ownership(machine, devices, device_price, machine.energy_price or kwh_price)
    return replace(
        found,
        spot=spot,
        ownership=owned,
        reliability=usual,
        spot_pays_below=_spot_pays_below(machine, usual.goodput, there.goodput),
    )


def of_job(
    work: Estimate, machine: Machine, devices: int, *, kwh_price: Decimal | None = None
) -> Bill:
    """The bill of work of `work` seconds that is too short to save anything."""
    return _bill((work + START_SECONDS) * (1 / _HOUR), machine, devices, kwh_price)


def _wall_clock(work: Estimate, met: Reliability) -> Estimate:
    """Hours that the work takes when failures are met; at most a hundred for each hour of it."""
    busy = work.over(met.goodput.at_least(0.01))
    return (busy + START_SECONDS) * (1 / _HOUR)


def _bill(hours: Estimate, machine: Machine, devices: int, kwh_price: Decimal | None) -> Bill:
    device_hours = hours * devices
    price, currency = machine.price, machine.price.currency

    def money(rate: Decimal | None) -> Money | None:
        return None if rate is None else Money.of(device_hours, rate, currency)

    used = energy_of(device_hours, machine)
    rate = machine.energy_price or kwh_price
    return Bill(
        devices=devices,
        wall_clock_hours=hours,
        device_hours=device_hours,
        on_demand=money(price.on_demand),
        reserved=money(price.reserved),
        energy=used,
        electricity=None if rate is None else Money.of(used.kwh, rate, currency),
    )


def energy_of(device_hours: Estimate, machine: Machine) -> Energy:
    """What so many device hours take, where what nobody stated is within its usual ends."""
    return energy.of_hours(
        device_hours,
        watts=machine.gpu.watts,
        host_watts=machine.host_watts / machine.gpus,
        pue=energy.within(machine.pue, energy.PUE, assumed="pue" in machine.assumed),
        grams_per_kwh=energy.within(
            machine.carbon, energy.GRAMS_PER_KWH, assumed="carbonIntensity" in machine.assumed
        ),
    )


def _spot_pays_below(machine: Machine, usual: Estimate, there: Estimate) -> Money | None:
    """The price that makes up for the goodput that preemptions take."""
    rent = machine.price.on_demand
    if rent is None:
        return None
    low, expected, high = (
        spot_price_that_pays(rent, max(1.0, more / less))
        for more, less in zip(usual.ends, there.ends, strict=True)
    )
    return Money(min(low, expected), expected, max(high, expected), machine.price.currency)


def _ownership(
    machine: Machine, devices: int, device_price: Decimal | None, kwh_price: Decimal | None
) -> RentOrBuy | None:
    """Rent or buy, where the prices of both are known."""
    rent = machine.price.on_demand
    if rent is None or device_price is None or kwh_price is None:
        return None
    hourly = energy_of(Estimate.exactly(1.0), machine).kwh
    running = Money.of(hourly, kwh_price, machine.price.currency)
    return rent_or_buy(devices, rent, Purchase(device_price, running))
