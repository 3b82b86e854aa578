"""What a device hour costs at a time, on demand and on nodes that can be taken away.

A run keeps the prices that it was resolved with. Of the settings of now it takes over those that
begin after that, so that a price which changes in the middle of a run can be written down; a price
that was changed in place touches later runs only.

Here money is whole numbers: prices in millionths of the currency an hour, device time in
microseconds. Their product is exact, and is rounded once, when it is written.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from operator import is_
from typing import NamedTuple

from cupola_operator.children import Placement, Resolved
from cupola_operator.settings import Pool, Settings

MILLION = 1_000_000
_EVER = datetime.min.replace(tzinfo=UTC)
_SECOND, _DAY = MILLION, 86_400 * MILLION


class Rate(NamedTuple):
    """What a device hour costs from a time on, in millionths of the currency."""

    since: datetime
    on_demand: int
    spot: int

    def of(self, spot: bool | None) -> int:
        """That of a node which can be taken away, or of another; unknown counts as another."""
        return self.spot if spot else self.on_demand


Rates = tuple[Rate, ...]
"""The first holds since ever, each other from its time on."""


def priced(placement: Placement) -> bool:
    """Whether a run has money: each of its pools has a price, since it may come to any of them."""
    pools = (placement.pool, *placement.others)
    return all(pool.price_per_gpu_hour is not None for pool in pools)


def rates(pool: Pool) -> Rates | None:
    """The prices of a pool in order of time; None if it has none."""
    if pool.price_per_gpu_hour is None:
        return None
    dated = [
        (one.since, one.price_per_gpu_hour, one.spot_price_per_gpu_hour) for one in pool.prices
    ]
    return _rates(pool.price_per_gpu_hour, pool.spot_price_per_gpu_hour, tuple(dated))


@lru_cache(maxsize=1024)
def _rates(price: str, spot: str | None, dated: tuple[tuple[str, str, str | None], ...]) -> Rates:
    found = [Rate(_EVER, _millionths(price), _millionths(spot or price))]
    for since, later, later_spot in sorted(dated, key=lambda one: datetime.fromisoformat(one[0])):
        dear = _millionths(later)
        cheap = _millionths(later_spot) if later_spot else found[-1].spot if spot else dear
        found.append(Rate(datetime.fromisoformat(since), dear, cheap))
    return tuple(found)


def _millionths(price: str) -> int:
    return int(Decimal(price) * MILLION)


def at(rates: Rates, time: datetime) -> Rate:
    """The rate that holds at a time."""
    return next(rate for rate in reversed(rates) if rate.since <= time)


def on_demand(pool: Pool, time: datetime) -> Decimal | None:
    """What a device hour of a pool costs on demand at a time; None if it has no price."""
    known = rates(pool)
    return Decimal(at(known, time).on_demand) / MILLION if known else None


def change(rates: Rates, after: datetime) -> datetime | None:
    """When the next rate begins; None if none is known."""
    return next((rate.since for rate in rates if rate.since > after), None)


def highest(rates: Rates, begin: datetime, end: datetime) -> int:
    """The highest rate between two times, on whatever node."""
    held = [rate for rate in rates if rate.since <= end]
    first = held.index(at(rates, begin))
    return max(max(rate.on_demand, rate.spot) for rate in held[first:])


def money(rates: Rates, begin: datetime, end: datetime, spot: bool | None) -> int:
    """What a device costs between two times: microseconds x millionths an hour."""
    if len(rates) == 1:
        return micros(begin, end) * rates[0].of(spot)
    total = 0
    until = end
    for rate in reversed(rates):
        since = max(rate.since, begin)
        if since < until:
            total += micros(since, until) * rate.of(spot)
            until = since
    return total


def micros(begin: datetime, end: datetime) -> int:
    """Microseconds from one time to a later one."""
    length = end - begin
    return length.days * _DAY + length.seconds * _SECOND + length.microseconds


def known(resolved: Resolved | None, settings: Settings) -> Resolved | None:
    """The run with what the settings of now say of prices that begin after it was resolved.

    They count in the same currency, for the pool of the same name, if that had a price. At the same
    time those of now win.
    """
    if resolved is None or resolved.made is None:
        return resolved
    placement = resolved.placement
    if settings.currency != placement.currency or not any(pool.prices for pool in settings.pools):
        return resolved
    pools = (placement.pool, *placement.others)
    now = [_later(pool, settings, resolved.made) for pool in pools]
    if all(map(is_, now, pools)):
        return resolved
    update = {"pool": now[0], "others": now[1:]}
    return replace(resolved, placement=placement.model_copy(update=update))


def _later(pool: Pool, settings: Settings, made: datetime) -> Pool:
    now = settings.pool(pool.name)
    if now is None or not now.prices or pool.price_per_gpu_hour is None:
        return pool
    newer = [price for price in now.prices if price.begin > made]
    times = {price.begin for price in newer}
    prices = [*(price for price in pool.prices if price.begin not in times), *newer]
    return pool if prices == pool.prices else pool.model_copy(update={"prices": prices})
