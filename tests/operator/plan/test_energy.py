from __future__ import annotations

from decimal import Decimal

import pytest

from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import energy

ONE = Estimate.exactly(1)


def of(hours: float, host: float = 0.0, **ranges: Estimate) -> energy.Energy:
    taken = {"pue": ONE, "grams_per_kwh": ONE} | ranges
    return energy.of_hours(Estimate.exactly(hours), watts=400, host_watts=host, **taken)


def test_blooms_energy_is_its_hours_at_full_power() -> None:
    """433,196 kWh for 1,082,990 A100 hours at 400 W (Luccioni et al. 2022)."""
    assert of(1_082_990, utilisation=ONE).kwh.expected == pytest.approx(433_196, rel=1e-6)


def test_host_and_cooling_are_added_and_idle_power_is_not_full_power() -> None:
    found = of(
        1000,
        host=100,
        utilisation=Estimate.exactly(0.5),
        pue=Estimate.exactly(1.5),
        grams_per_kwh=Estimate.exactly(200),
    )
    assert found.kwh.expected == pytest.approx(1000 * (400 * 0.5 + 100) * 1.5 / 1000)
    assert found.co2_kg.expected == pytest.approx(found.kwh.expected * 0.2)


def test_what_a_pool_states_is_taken_as_it_is_and_what_is_assumed_as_a_range() -> None:
    stated = energy.within(1.25, energy.PUE, assumed=False)
    assumed = energy.within(1.25, energy.PUE, assumed=True)
    assert stated.ends == (1.25, 1.25, 1.25)
    assert assumed.ends == (1.10, 1.25, 1.58)
    assert energy.within(2.0, energy.PUE, assumed=True).ends == (1.10, 2.0, 2.0)


def test_the_guides_energy_costs_what_it_says() -> None:
    """1,000 MWh at 100 USD a MWh."""
    assert energy.money(1_000_000.0, Decimal(100)) == Decimal(100_000)
