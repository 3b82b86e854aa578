"""Money, in Decimal: what device hours cost on demand, reserved and on spot; rent or buy."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from cupola_operator.plan.estimate import Estimate

_CENT = Decimal("0.01")
_SMALLEST = Decimal("0.000001")
_LARGEST = Decimal(10) ** 20
HOURS_PER_YEAR = 8_760


@dataclass(frozen=True)
class Money:
    """An amount within a range, in one currency."""

    low: Decimal
    expected: Decimal
    high: Decimal
    currency: str

    @classmethod
    def of(cls, device_hours: Estimate, price: Decimal, currency: str) -> Money:
        """Hours x price, exact in decimal."""
        low, expected, high = (decimal(hours) * price for hours in device_hours.ends)
        return cls(low, expected, high, currency)

    def __add__(self, other: Money) -> Money:
        """The sum. Raises ValueError for another currency."""
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added")
        return Money(
            self.low + other.low,
            self.expected + other.expected,
            self.high + other.high,
            self.currency,
        )

    def to_json(self) -> dict[str, float | str]:
        """{low, expected, high, currency}: numbers to the cent, below 1 to a millionth."""
        low, expected, high = (
            float(rounded(value)) for value in (self.low, self.expected, self.high)
        )
        return {"low": low, "expected": expected, "high": high, "currency": self.currency}


def decimal(number: float) -> Decimal:
    """The decimal that a number is written as."""
    return Decimal(repr(number))


def rounded(amount: Decimal) -> Decimal:
    """To the cent; an amount below 1 to a millionth, one that nobody has as it is."""
    if abs(amount) >= _LARGEST:
        return amount
    step = _CENT if abs(amount) >= 1 else _SMALLEST
    return amount.quantize(step, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True)
class Purchase:
    """What a device costs to own."""

    price: Decimal
    """Of a device, once: with its share of node, network and racks, if the figure is to tell."""
    running: Money
    """Electricity of an hour of work of a device."""


@dataclass(frozen=True)
class RentOrBuy:
    """From how many hours of work on it is cheaper to own a device than to rent it."""

    break_even_hours: tuple[Decimal | None, Decimal | None, Decimal | None]
    """Of each device: low, expected, high; None where renting is cheaper than its electricity."""
    buy: Decimal
    """What as many devices cost to buy."""

    @property
    def break_even_years(self) -> list[Decimal | None]:
        """The same, of work without a pause."""
        return [hours and hours / HOURS_PER_YEAR for hours in self.break_even_hours]


def rent_or_buy(devices: int, rent: Decimal, purchase: Purchase) -> RentOrBuy:
    """Where the two lines cross: price of a device / (rent - electricity of an hour).

    People, space, capital and what the device is worth afterwards are not counted.
    """

    def hours(running: Decimal) -> Decimal | None:
        return purchase.price / (rent - running) if rent > running else None

    running = purchase.running
    found = hours(running.low), hours(running.expected), hours(running.high)
    return RentOrBuy(found, purchase.price * devices)


def spot_price_that_pays(on_demand: Decimal, longer: float) -> Decimal:
    """The spot price below which spot is cheaper, where preemptions make the run `longer` times as long."""
    return on_demand / decimal(longer)
