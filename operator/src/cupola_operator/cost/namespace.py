"""What the resources of a namespace spent together: those that live, by their status, and the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from cupola_api.common import Phase, Status
from cupola_operator.children import time_of
from cupola_operator.cluster import Object
from cupola_operator.cost import book, entries, prices
from cupola_operator.cost.months import Month
from cupola_operator.podstate import QUEUED
from cupola_operator.resources import parse_status
from cupola_operator.settings import Settings

_STARTS = (Phase.PENDING, Phase.RUNNING, Phase.RECOVERING)
"""Phases of a run that holds devices, or will at any moment."""

_HOUR = 3600
_SOON = timedelta(minutes=2)
"""How far ahead the price is looked at: others have to save and stop in that time."""


class Spending(NamedTuple):
    """Money of a namespace, in one currency."""

    spent: Decimal = Decimal(0)
    """What is written down."""
    unseen: Decimal = Decimal(0)
    """What was spent since, as far as can be foretold."""
    rate: Decimal = Decimal(0)
    """What is being spent a second, or will be at any moment, at most."""


def of_others(
    values: Iterable[Object],
    ledgers: Iterable[Object],
    settings: Settings,
    *,
    uid: str,
    month: Month | None,
    now: datetime,
) -> Spending:
    """What all but the resource of a uid spent up to now, in a month or, without one, ever.

    `values`: the resources. Money is that of the settings' currency. A status may be a minute old:
    what runs is charged on from there, at the highest price of now. What will start at any moment
    counts with its rate, lest runs that start together all take what is left for one of them. What
    the resource itself spent in earlier runs is in the ledger, and counts.
    """
    closed = book.entries(ledgers, month)
    total, unseen, rate = entries.spent(closed, settings.currency), Decimal(0), Decimal(0)
    written = {entry.identity for entry in closed}
    for value in values:
        own = str(value["metadata"]["uid"])
        if own == uid:
            continue
        status = parse_status(value["kind"], value.get("status"))
        if f"{own}.r{status.run.revision if status.run else 0}" in written:
            continue  # it is closed, and about to go
        if status.cost is not None and status.cost.currency != settings.currency:
            continue
        total += of_run(status, month, now)
        runs = _pace(status, settings, now)
        unseen += runs.unseen
        rate += runs.rate
    return Spending(total, unseen, rate)


def of_run(status: Status, month: Month | None, now: datetime) -> Decimal:
    """What the attempts of a run spent, in its own currency, in a month or, without one, in all."""
    if month is None:
        return sum((Decimal(attempt.cost or 0) for attempt in status.attempts), Decimal(0))
    return entries.of_month(status.attempts, month, now)


class _Pace(NamedTuple):
    unseen: Decimal
    """What was spent since the pods were last seen."""
    rate: Decimal
    """Money a second."""


_NOTHING = _Pace(Decimal(0), Decimal(0))


def _pace(status: Status, settings: Settings, now: datetime) -> _Pace:
    """What a run spends that holds devices, or will at any moment.

    Since its pods were last seen, what it paid so far; from now on the highest price, if that is more.
    """
    last = status.attempts[-1] if status.attempts else None
    pods = [pod for pod in last.pods if pod.started_at and not pod.outcome] if last else []
    pool = (last and last.pool) or (status.plan.pool if status.plan else "")
    price = _price(settings, pool, now)
    if last is None or last.outcome or not pods:
        if status.phase not in _STARTS or _is_queued(status) or status.plan is None:
            return _NOTHING
        return _Pace(Decimal(0), status.plan.devices * price)
    if last.cost is None:
        return _NOTHING
    devices, used = sum(pod.gpus for pod in pods), Decimal(last.gpu_seconds)
    paid = Decimal(last.cost) / used if used else price
    seen = max(time for pod in pods if (time := time_of(pod.until) or time_of(pod.started_at)))
    unseen = max(0, int((now - seen).total_seconds())) * devices * paid
    if last.stage is None and status.plan:
        devices = max(devices, status.plan.devices)  # the rest of a gang starts at any moment
    return _Pace(unseen, devices * max(price, paid))


def _price(settings: Settings, pool: str, now: datetime) -> Decimal:
    """What a device of a pool costs a second at most; 0 without a price."""
    known = settings.pool(pool)
    rates = prices.rates(known) if known else None
    if rates is None:
        return Decimal(0)
    return Decimal(prices.highest(rates, now, now + _SOON)) / prices.MILLION / _HOUR


def _is_queued(status: Status) -> bool:
    """Whether it waits for Kueue, for who knows how long."""
    ready = status.condition("Ready")
    return ready is not None and ready.reason == QUEUED
