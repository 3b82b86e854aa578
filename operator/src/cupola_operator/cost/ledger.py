"""The ledger: the time that pods held devices, as money, split into what it bought and what not.

Amounts are Decimals to six places. The newest attempt keeps the times of its pods in status, so a
pod counts when it is gone; the sums of older attempts stay when their pods' times do not. An end
that nobody observed is taken from the last evidence, and marked estimated:

- a pod that vanished held its devices until it was last seen running;
- a pod that ended without saying when held them until one of its conditions last changed;
- a pod whose node came back without it held them until its node believes that it ended;
- a pod that nobody ever saw does not count.

Wasted is, of a gang that did not succeed, what came after the last checkpoint (all, if there is
none). A Job keeps the parts that its pods finished: wasted is the time of failed pods and, if the
Job did not succeed, of unfinished ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from cupola_api.common import Attempt, Cost, PodTime
from cupola_operator.children import Placement, Pod, text_of, time_of

MAX_PODS = 64
"""Pods of an attempt whose times status holds."""

_PLACES = Decimal("0.000001")
_HOUR = 3600
_KWH = 3_600_000
"""Joules."""


class _Interval(NamedTuple):
    start: datetime
    end: datetime
    gpus: int
    outcome: str | None

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
    gang: int | None = None,
    checkpoint: datetime | None = None,
) -> Attempt:
    """The attempt with the times of its pods and its figures so far; its last ones if it ended.

    `gang`: pods of a PyTorchJob, which start and end together; None for a Job. `checkpoint`: when
    the newest checkpoint of the run was complete; None if there is none. What was charged is not
    taken back, for a budget must not be held and free in turns: where an end turns out to lie
    before the last look (clocks differ, a list lagged behind), the figure stays, estimated. Of more
    than `MAX_PODS` pods those beyond count as long as they are there.
    """
    now = now.replace(microsecond=0)  # as Kubernetes says times: an end then never precedes `now`
    times = _times(attempt, pods, now, whole=len(pods) == gang)
    kept = {time.uid for time in times}
    beyond = [_time(pod, now) for pod in pods if pod.started and pod.uid not in kept]
    intervals = [interval for time in [*times, *beyond] if (interval := _interval(time))]
    seen = Decimal(attempt.evicted_seconds or 0) + _used(intervals)
    used = max(seen, Decimal(attempt.gpu_seconds))
    if attempt.outcome in (None, "Succeeded"):
        wasted = Decimal(0) if gang else _used(i for i in intervals if i.outcome == "Failed")
    elif gang:
        wasted = used - (seen - _used(intervals, after=checkpoint))
    else:
        wasted = used - _used(i for i in intervals if i.outcome == "Succeeded")
    earlier = time_of(attempt.started_at) if attempt.evictions else None
    begin = min([*([earlier] if earlier else []), *(i.start for i in intervals)], default=None)
    last = max((i.end for i in intervals), default=time_of(attempt.ended_at) or now)
    price = placement.on(attempt.pool).pool.price
    guessed = attempt.evictions is not None and attempt.estimated
    here = {pod.uid for pod in pods}
    expected = min(gang, MAX_PODS) if gang else attempt.outcome in ("Lost", "Stopped")
    unseen = len(times) < expected
    for time in times:
        waits = time.started_at is None and time.uid in here
        unseen = unseen or time.estimated or (not time.outcome and not waits)
    return attempt.model_copy(
        update={
            "pods": times,
            "started_at": text_of(begin) if begin else None,
            "ended_at": text_of(last) if attempt.outcome else None,
            "gpu_seconds": amount(used),
            "cost": amount(used * price / _HOUR),
            "wasted": amount(wasted * price / _HOUR),
            "estimated": guessed or (attempt.outcome is not None and (unseen or used > seen)),
        }
    )


def evicted(attempt: Attempt) -> Attempt:
    """The attempt after Kueue evicted its pods: what they used is one sum, and others may come.

    They saved as they ended, so it is wasted only if the attempt loses what it has saved. More than
    their times add up to was charged by a clock that was ahead: that stays, as a guess.
    """
    intervals = [interval for time in attempt.pods if (interval := _interval(time))]
    seen = Decimal(attempt.evicted_seconds or 0) + _used(intervals)
    return attempt.model_copy(
        update={
            "pods": [],
            "evictions": (attempt.evictions or 0) + 1,
            "evicted_seconds": attempt.gpu_seconds,
            "estimated": attempt.estimated
            or Decimal(attempt.gpu_seconds) > seen
            or any(time.estimated or not time.outcome for time in attempt.pods),
        }
    )


def total(
    attempts: Iterable[Attempt], placement: Placement, *, to_come: Decimal = Decimal(0)
) -> Cost:
    """What all attempts cost together; `to_come`: device seconds that the run still needs."""
    attempts = list(attempts)
    used = sum((Decimal(a.gpu_seconds) for a in attempts), Decimal(0))
    joules = sum((Decimal(a.gpu_seconds) * _watts(a, placement) for a in attempts), Decimal(0))
    accrued = sum((Decimal(a.cost) for a in attempts), Decimal(0))
    return Cost(
        currency=placement.currency,
        accrued=amount(accrued),
        projected=amount(accrued + to_come * placement.pool.price / _HOUR),
        wasted=amount(sum((Decimal(a.wasted) for a in attempts), Decimal(0))),
        gpu_hours=amount(used / _HOUR),
        energy_kwh=amount(joules / _KWH),
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


def _watts(attempt: Attempt, placement: Placement) -> Decimal:
    return Decimal(str(placement.on(attempt.pool).pool.watts))


def _used(intervals: Iterable[_Interval], after: datetime | None = None) -> Decimal:
    return sum((interval.used(after) for interval in intervals), Decimal(0))


def _times(attempt: Attempt, pods: Sequence[Pod], now: datetime, *, whole: bool) -> list[PodTime]:
    """The times of the pods that are there, and as they were last seen of those that are not.

    Pods that did not start yet count when the gang is `whole`: until then one may be made again.
    """
    times = {time.uid: time for time in attempt.pods}
    for pod in pods:
        if pod.uid in times or ((pod.started or whole) and len(times) < MAX_PODS):
            times[pod.uid] = _later(times.get(pod.uid), _time(pod, now))
    return list(times.values())


def _later(known: PodTime | None, seen: PodTime) -> PodTime:
    """Of two views of a pod the later one: a list may lag behind what was seen before."""
    if known is None or seen.outcome:
        return seen
    if known.outcome or not seen.started_at:
        return known
    return seen if not known.until or (seen.until or "") >= known.until else known


def _time(pod: Pod, now: datetime) -> PodTime:
    """A pod's time as it is seen now."""
    if pod.started is None:
        return PodTime(uid=pod.uid, gpus=pod.gpus)
    end, estimated = now, False
    if pod.terminal:
        end = pod.finished or pod.last_seen or pod.started
        estimated = pod.estimated or pod.finished is None
    outcome = "Succeeded" if pod.succeeded else "Failed" if pod.failed else None
    return PodTime(
        uid=pod.uid,
        gpus=pod.gpus,
        started_at=text_of(pod.started),
        until=text_of(max(pod.started, end)),
        outcome=outcome,
        estimated=estimated,
    )


def _interval(time: PodTime) -> _Interval | None:
    """When a pod held its devices; None if it never did."""
    start, end = time_of(time.started_at), time_of(time.until)
    if start is None or end is None:
        return None
    return _Interval(start, max(start, end), time.gpus, time.outcome)


def _seconds(length: timedelta) -> Decimal:
    return Decimal(length // timedelta(microseconds=1)) / 1_000_000
