"""What device time went into: from when pods held devices, and what they say of their time.

The time of a gang is cut where something changed for all of its pods:

- until all of them have started, and after one of them has ended, devices are held idle;
- between, up to the first step, it is start-up;
- then work, up to the newest checkpoint where the attempt did not succeed: what follows is lost. If
  that checkpoint is an earlier attempt's, all of it is lost, start-up too;
- of the work that is kept, what steps waited for checkpoints and validation is set apart. That they
  are told of in seconds, not in times; they cost what the work costs on the average.

What was never told counts as work, kept or lost; that of an attempt that runs and whose first step
was not heard of, as start-up. The pods of a Job work alone: what one did is kept if it Succeeded,
or while it runs, as start-up until it began with its work, if it said when; what was done by one that
Failed is lost, and by an unfinished one of a Job that did not succeed, start-up too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from cupola_api.spent import Causes, Spent, Told
from cupola_operator.cost import prices
from cupola_operator.cost.intervals import Interval
from cupola_operator.cost.prices import MILLION, Rates

PRODUCTIVE, LOST_WORK, START_UP, CHECKPOINT, EVALUATION, IDLE = range(6)
"""Places in the lists below, in the order of `Causes`."""

NAMES = tuple(Causes.model_fields)

_UNIT = 3_600 * MILLION
"""Microseconds of an hour: device microseconds x millionths an hour are so many millionths."""

_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

Span = tuple[int, datetime, datetime]
"""A cause, and from when to when it holds."""


class Tally(NamedTuple):
    """Device microseconds by cause, and what they cost: microseconds x millionths an hour."""

    time: list[int]
    money: list[int]

    @classmethod
    def empty(cls) -> Tally:
        """Nothing yet."""
        return cls([0] * 6, [0] * 6)

    def add(
        self, cause: int, one: Interval, begin: datetime, end: datetime, rates: Rates | None
    ) -> None:
        """Count a pod from one time to a later one."""
        self.time[cause] += one.gpus * prices.micros(begin, end)
        if rates:
            self.money[cause] += one.gpus * prices.money(rates, begin, end, one.spot)

    def move(self, part: int, cause: int, other: int) -> int:
        """Move so much time, or all there is, from a cause to another, with its money; how much."""
        there = self.time[cause]
        part = min(part, there)
        if part:
            money = self.money[cause] * part // there
            self.time[cause] -= part
            self.time[other] += part
            self.money[cause] -= money
            self.money[other] += money
        return part


def spans(
    whole: datetime | None, step: datetime | None, kept: datetime | None, broke: datetime | None
) -> list[Span]:
    """All of time by what a gang did then.

    `whole`: when all its pods had started; None if they did not. `step`: when the first step began;
    `kept`: until when its work is kept; `broke`: when the first pod ended; None: not yet.
    """
    if whole is None:
        return [(IDLE, _EVER, _NEVER)]
    broke = max(whole, broke or _NEVER)
    kept = max(whole, min(kept or _NEVER, broke))
    step = max(whole, min(step or _NEVER, kept))
    found = (
        (IDLE, _EVER, whole),
        (START_UP, whole, step),
        (PRODUCTIVE, step, kept),
        (LOST_WORK, kept, broke),
        (IDLE, broke, _NEVER),
    )
    return [span for span in found if span[1] < span[2]]


def of_gang(intervals: Iterable[Interval], cuts: Sequence[Span], rates: Rates | None) -> Tally:
    """The time of a gang's pods by the causes of `spans`."""
    tally = Tally.empty()
    for one in intervals:
        for cause, begin, end in cuts:
            since, until = max(one.start, begin), min(one.end, end)
            if since < until:
                tally.add(cause, one, since, until, rates)
    return tally


def of_job(intervals: Iterable[Interval], *, ended: bool, rates: Rates | None) -> Tally:
    """The time of a Job's pods; `ended`: it did so, and not well."""
    tally = Tally.empty()
    for one in intervals:
        if one.outcome != "Succeeded" if ended else one.outcome == "Failed":
            tally.add(LOST_WORK, one, one.start, one.end, rates)
            continue
        if one.start < one.worked:
            tally.add(START_UP, one, one.start, one.worked, rates)
        tally.add(PRODUCTIVE, one, one.worked, one.end, rates)
    return tally


def set_apart(tally: Tally, told: Told, devices: int) -> None:
    """Set apart what `devices` waited for checkpoints, then validation, as far as that was kept."""
    tally.move(millionths(told.checkpoint_seconds) * devices, PRODUCTIVE, CHECKPOINT)
    tally.move(millionths(told.evaluation_seconds) * devices, PRODUCTIVE, EVALUATION)


def add_earlier(tally: Tally, earlier: Spent) -> None:
    """Count what evicted pods used, too."""
    for place, name in enumerate(NAMES):
        tally.time[place] += millionths(getattr(earlier.causes, name))
        if earlier.costs:
            tally.money[place] += millionths(getattr(earlier.costs, name)) * _UNIT


def millionths(amount: str) -> int:
    """An amount in millionths."""
    return int(Decimal(amount) * MILLION)


def text(number: int) -> str:
    """An amount of so many millionths, without trailing zeros."""
    whole, part = divmod(number, MILLION)
    return f"{whole}.{part:06d}".rstrip("0") if part else str(whole)


def up_to(tally: Tally, time: int, money: int, cause: int) -> bool:
    """Count to a cause what is missing to so many millionths of time and money; whether any was."""
    short, exact = time - sum(tally.time), sum(tally.money)
    cheap = _rounded(exact) < money
    if short > 0:
        tally.time[cause] += short
    if cheap:
        tally.money[cause] += money * _UNIT - exact
    return short > 0 or cheap


def seconds(tally: Tally) -> Causes:
    """Device seconds by cause."""
    return _causes(tuple(tally.time))


def amounts(tally: Tally) -> tuple[int, Causes]:
    """All money in millionths, and by cause.

    The whole is rounded to the nearest, half to even. Each cause is rounded down, and the largest
    takes what is left, so that they add up to it.
    """
    total = _rounded(sum(tally.money))
    parts = [part // _UNIT for part in tally.money]
    parts[tally.money.index(max(tally.money))] += total - sum(parts)
    return total, _causes(tuple(parts))


def added(parts: Iterable[Causes | None]) -> Causes | None:
    """Amounts by cause, added up; None if there are none."""
    known = [part for part in parts if part]
    if not known:
        return None
    return _causes(tuple(sum(millionths(getattr(one, name)) for one in known) for name in NAMES))


def _rounded(money: int) -> int:
    total, rest = divmod(money, _UNIT)
    return total + (2 * rest > _UNIT or (2 * rest == _UNIT and total % 2))


def _causes(numbers: tuple[int, ...]) -> Causes:
    return Causes(**dict(zip(NAMES, map(text, numbers), strict=True)))
