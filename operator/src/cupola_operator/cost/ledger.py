"""The ledger: the time that pods held devices, as money, split into what it bought and what not.

Amounts are Decimals to six places. The figures of an ended attempt live on in status, so its pods
may go. An end that nobody observed is taken from the last evidence, and marked estimated:

- a pod that vanished from a gang held its devices until the rest of the gang ended, or, if all of
  it vanished, for as long as status had last recorded;
- a pod that ended without saying when held them until one of its conditions last changed;
- a pod whose node came back without it held them until its node believes that it ended.

Wasted is, of a gang that did not succeed, what came after the last checkpoint (all, if there is
none). A Job keeps the parts that its pods finished: wasted is the time of failed pods and, if the
Job did not succeed, of unfinished ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from cupola_api.common import Attempt, Cost
from cupola_operator.children import Placement, Pod, text_of, time_of

_PLACES = Decimal("0.000001")
_HOUR = 3600
_KWH = 3_600_000
"""Joules."""


class Gang(NamedTuple):
    """Pods that start and end together."""

    pods: int
    gpus: int
    """Devices of each pod."""


class _Interval(NamedTuple):
    start: datetime
    end: datetime
    gpus: int
    succeeded: bool = False
    failed: bool = False

    def used(self, after: datetime | None = None) -> Decimal:
        """Device seconds, or those of them that lie after a time."""
        start = max(self.start, after) if after else self.start
        return self.gpus * _seconds(max(self.end - start, timedelta(0)))


def charge(
    attempt: Attempt,
    pods: Sequence[Pod],
    *,
    now: datetime,
    placement: Placement,
    gang: Gang | None = None,
    checkpoint: datetime | None = None,
) -> Attempt:
    """The attempt with its figures so far; with its last ones if its outcome is set.

    `gang`: of a PyTorchJob; None for a Job. `checkpoint`: when the newest checkpoint of the run
    was complete; None if there is none. Figures never fall below those that `attempt` holds.
    """
    now = now.replace(microsecond=0)  # as Kubernetes says times: an end then never precedes `now`
    intervals, guessed = _observed(pods, now)
    begin = min((i.start for i in intervals), default=time_of(attempt.started_at))
    recorded = Decimal(attempt.gpu_seconds)
    if gang and attempt.pods and begin and len(pods) < gang.pods:
        length = timedelta(seconds=float(recorded / (gang.pods * gang.gpus)))
        end = max((i.end for i in intervals), default=begin + length)
        intervals += [_Interval(begin, end, gang.gpus)] * (gang.pods - len(pods))
        guessed = True
    seen = _used(intervals)
    used = max(seen, recorded)
    if attempt.outcome in (None, "Succeeded"):
        wasted = Decimal(0) if gang else _used(i for i in intervals if i.failed)
    elif gang:
        wasted = used - (seen - _used(intervals, after=checkpoint) if checkpoint else 0)
    else:
        wasted = used - _used(i for i in intervals if i.succeeded)
    last = max((i.end for i in intervals), default=now)
    return attempt.model_copy(
        update={
            "started_at": text_of(begin) if begin else None,
            "ended_at": text_of(last) if attempt.outcome else None,
            "gpu_seconds": amount(used),
            "cost": amount(used * placement.pool.price / _HOUR),
            "wasted": amount(wasted * placement.pool.price / _HOUR),
            "estimated": attempt.outcome is not None and (guessed or recorded > seen),
        }
    )


def total(
    attempts: Iterable[Attempt], placement: Placement, *, to_come: Decimal = Decimal(0)
) -> Cost:
    """What all attempts cost together; `to_come`: device seconds that the run still needs."""
    attempts = list(attempts)
    used = sum((Decimal(a.gpu_seconds) for a in attempts), Decimal(0))
    accrued = sum((Decimal(a.cost) for a in attempts), Decimal(0))
    return Cost(
        currency=placement.currency,
        accrued=amount(accrued),
        projected=amount(accrued + to_come * placement.pool.price / _HOUR),
        wasted=amount(sum((Decimal(a.wasted) for a in attempts), Decimal(0))),
        gpu_hours=amount(used / _HOUR),
        energy_kwh=amount(used * Decimal(str(placement.pool.watts)) / _KWH),
    )


def added(first: Attempt, second: Attempt) -> Attempt:
    """Two ended attempts as one entry that stands for both, so that status stays bounded."""
    figures = ("gpu_seconds", "cost", "wasted")
    return second.model_copy(
        update={
            **{
                f: amount(Decimal(getattr(first, f)) + Decimal(getattr(second, f))) for f in figures
            },
            "started_at": first.started_at,
            "estimated": first.estimated or second.estimated,
            "checkpoint_step": max(
                (a.checkpoint_step for a in (first, second) if a.checkpoint_step is not None),
                default=None,
            ),
            "message": f"attempts up to {second.number}, added up; the last: {second.message}"[
                :512
            ],
            "pods": [],
        }
    )


def amount(value: Decimal | int) -> str:
    """A decimal string of at most six places, without trailing zeros."""
    text = f"{Decimal(value).quantize(_PLACES):f}"
    return text.rstrip("0").rstrip(".")


def _used(intervals: Iterable[_Interval], after: datetime | None = None) -> Decimal:
    return sum((interval.used(after) for interval in intervals), Decimal(0))


def _observed(pods: Sequence[Pod], now: datetime) -> tuple[list[_Interval], bool]:
    """When each pod that started held its devices, and whether an end had to be guessed."""
    intervals, guessed = [], False
    for pod in pods:
        if pod.started is None:
            continue
        end = now
        if pod.terminal:
            end = pod.finished or pod.last_seen or pod.started
            guessed = guessed or pod.estimated or pod.finished is None
        end = max(pod.started, end)
        intervals.append(_Interval(pod.started, end, pod.gpus, pod.succeeded, pod.failed))
    return intervals, guessed


def _seconds(length: timedelta) -> Decimal:
    return Decimal(length // timedelta(microseconds=1)) / 1_000_000
