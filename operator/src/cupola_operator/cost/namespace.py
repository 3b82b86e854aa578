"""What the resources of a namespace spent together: those that live, by their status, and the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from cupola_api.common import Attempt, Status
from cupola_operator.children import time_of
from cupola_operator.cluster import Object
from cupola_operator.cost import book, entries
from cupola_operator.cost.months import Month
from cupola_operator.resources import parse_status


class Spending(NamedTuple):
    """Money of a namespace, in one currency."""

    spent: Decimal = Decimal(0)
    rate: Decimal = Decimal(0)
    """What is being spent a second."""


def of_others(
    values: Iterable[Object],
    ledgers: Iterable[Object],
    *,
    uid: str,
    currency: str,
    month: Month | None,
    now: datetime,
) -> Spending:
    """What all but the resource of a uid spent up to now, in a month or, without one, ever.

    `values`: the resources. Their status may be a minute old: what runs is charged on from there.
    What the resource itself spent in earlier runs is in the ledger, and counts.
    """
    closed = book.entries(ledgers, month)
    total, rate = entries.spent(closed, currency), Decimal(0)
    written = {entry.identity for entry in closed}
    for value in values:
        own = str(value["metadata"]["uid"])
        if own == uid:
            continue
        status = parse_status(value["kind"], value.get("status"))
        if f"{own}.r{status.run.revision if status.run else 0}" in written:
            continue  # it is closed, and about to go
        if status.cost is None or status.cost.currency != currency:
            continue
        total += of_run(status, month, now)
        for attempt in status.attempts[-1:]:
            speed, seen = _pace(attempt)
            rate += speed
            total += speed * max(0, int((now - seen).total_seconds())) if seen else 0
    return Spending(total, rate)


def of_run(status: Status, month: Month | None, now: datetime) -> Decimal:
    """What the attempts of a run spent, in its own currency, in a month or, without one, in all."""
    if month is None:
        return sum((Decimal(attempt.cost or 0) for attempt in status.attempts), Decimal(0))
    return entries.of_month(status.attempts, month, now)


def _pace(attempt: Attempt) -> tuple[Decimal, datetime | None]:
    """Money a second of an attempt that runs, as it was so far, and when its pods were last seen."""
    devices = sum(pod.gpus for pod in attempt.pods if pod.started_at and not pod.outcome)
    used = Decimal(attempt.gpu_seconds)
    if attempt.outcome or not devices or not used or attempt.cost is None:
        return Decimal(0), None
    seen = max((t for pod in attempt.pods if (t := time_of(pod.until))), default=None)
    return devices * Decimal(attempt.cost) / used, seen
