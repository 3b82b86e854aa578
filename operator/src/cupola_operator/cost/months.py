"""Amounts that belong to a span of time, shared over the months that it touches; no digit is lost.

Months are those of UTC. A share is the amount up to the end of a month less that up to its beginning,
each rounded down to the sixth place, so that the shares of an amount always add up to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

Month = str
"""A month as `2026-11`."""

_MICRO = Decimal(1_000_000)
_MOMENT = timedelta(microseconds=1)


def month_of(time: datetime) -> Month:
    """The month that a time lies in."""
    return time.astimezone(UTC).strftime("%Y-%m")


def bounds(month: Month) -> tuple[datetime, datetime]:
    """When a month begins, and when the next one does."""
    year, number = (int(part) for part in month.split("-"))
    begin = datetime(year, number, 1, tzinfo=UTC)
    return begin, begin.replace(year=year + number // 12, month=number % 12 + 1)


def shares(amount: Decimal, start: datetime, end: datetime) -> dict[Month, Decimal]:
    """An amount by month, in proportion to the time of the span that lies in each.

    A span of no length belongs to the month that it lies in.
    """
    weights = {month: (to - since) // _MOMENT for month, since, to in _parts(start, end)}
    return by_weight(amount, weights)


def by_weight(amount: Decimal, weights: Mapping[Month, int]) -> dict[Month, Decimal]:
    """An amount of at most six places by month, in proportion to whole weights; of 0, all to the first.

    Raises ValueError if there is no month.
    """
    if not weights:
        raise ValueError("an amount needs a month to belong to")
    whole, total = int(amount * _MICRO), sum(weights.values())
    if not total:
        return {min(weights): amount}
    found, weight, before = {}, 0, 0
    for month in sorted(weights):
        weight += weights[month]
        upto = whole * weight // total
        found[month] = (upto - before) / _MICRO
        before = upto
    return found


def _parts(start: datetime, end: datetime) -> Iterator[tuple[Month, datetime, datetime]]:
    """The parts of a span that lie in one month each, oldest first."""
    end = max(start, end)
    while True:
        month = month_of(start)
        following = bounds(month)[1]
        yield month, start, min(end, following)
        if end <= following:
            return
        start = following
