"""Energy that a run takes, what it costs and the CO2 that it stands for.

    energy = device hours x (watts of a device x utilisation + its share of the host's watts) x PUE

A rented device hour includes its electricity: money for energy is what it costs to whom owns the
machines, and is never added to rent.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from cupola_operator.plan.estimate import Estimate

UTILISATION = Estimate(0.70, 0.85, 1.0)
"""Mean power of a device in training as a share of its stated watts.

An assumption. The top is what published figures are computed with: BLOOM's 433 MWh are 1,082,990
A100 hours at 400 W (Luccioni et al. 2022, arXiv 2211.02001), as are those of Llama 2.
"""

PUE = (1.10, 1.58)
"""Ends of the power of a data centre over that of its machines, where nobody stated it.

Google's fleet (environmental report of 2023) and the mean of the Uptime Institute's survey of 2023.
"""

GRAMS_PER_KWH = (56.0, 700.0)
"""Ends of the CO2 equivalent of a kWh, where nobody stated it: about France, and grids on coal."""

PRICE_PER_MWH = Decimal(100)
"""Of electricity, in USD; the guide's."""


@dataclass(frozen=True)
class Energy:
    """Energy of a run and what follows from it."""

    kwh: Estimate
    co2_kg: Estimate


def of_hours(
    device_hours: Estimate,
    *,
    watts: float,
    host_watts: float,
    pue: Estimate,
    grams_per_kwh: Estimate,
    utilisation: Estimate = UTILISATION,
) -> Energy:
    """Energy of so many device hours; `watts` of a device, `host_watts` its share of the host."""
    drawn = utilisation * watts + Estimate.exactly(host_watts)
    kwh = device_hours.times(drawn).times(pue) * 1e-3
    return Energy(kwh, kwh.times(grams_per_kwh) * 1e-3)


def within(value: float, ends: tuple[float, float], *, assumed: bool) -> Estimate:
    """A stated value as it is; an assumed one within these ends."""
    if not assumed:
        return Estimate.exactly(value)
    return Estimate(min(value, ends[0]), value, max(value, ends[1]))


def money(kwh: float, price_per_mwh: Decimal) -> Decimal:
    """What so much energy costs: exact in decimal."""
    return Decimal(repr(kwh)) * price_per_mwh / 1000
