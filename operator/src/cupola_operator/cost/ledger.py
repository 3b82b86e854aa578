"""The ledger: the time that pods held devices, as money, by what it went into.

Amounts have six places. `intervals` says when pods held devices, `prices` what that costs, and
`causes` what it went into. Wasted is lost work and what was held idle. A run of which a pool has no
price goes without money: its amounts of money are absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from cupola_api.common import Attempt, Cost, PodTime
from cupola_api.spent import Causes, Spent
from cupola_operator.children import Placement, Pod, text_of, time_of
from cupola_operator.cost import causes, prices
from cupola_operator.cost.causes import Tally, millionths, text
from cupola_operator.cost.intervals import MAX_PODS, interval, pod_time, pod_times

_PLACES = Decimal("0.000001")
_HOUR = 3600
_KWH = 3_600_000
"""Joules."""

_LONGEST = 10 * 366 * 86_400
"""Seconds for which prices to come are looked at."""

_EVER = datetime.min.replace(tzinfo=UTC)
_NO_MONEY: dict[str, object] = {"cost": None, "costs": None, "wasted": None}


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
    times = pod_times(attempt, pods, now, whole=len(pods) == gang)
    kept = {time.uid for time in times}
    beyond = [pod_time(pod, now) for pod in pods if pod.started and pod.uid not in kept]
    if beyond and all(time.spot for time in times):  # their nodes are not looked at
        beyond = [time.model_copy(update={"spot": True}) for time in beyond]
    intervals = [one for time in [*times, *beyond] if (one := interval(time))]
    failed = attempt.outcome not in (None, "Succeeded")
    rates = prices.rates(placement.on(attempt.pool).pool) if prices.priced(placement) else None
    if gang is None:
        tally = causes.of_job(intervals, ended=failed, rates=rates)
    else:
        course = _course(attempt, pods, times, gang, checkpoint)
        tally = causes.of_gang(intervals, course, rates)
        if attempt.told and times:
            causes.set_apart(tally, attempt.told, gang * times[0].gpus)
    if attempt.evicted:
        causes.add_earlier(tally, attempt.evicted)
    before = millionths(attempt.gpu_seconds), millionths(attempt.cost or "0")
    beyond_end = causes.up_to(tally, *before, causes.LOST_WORK if failed else causes.PRODUCTIVE)
    earlier = time_of(attempt.started_at) if attempt.evictions else None
    first = min((one.start for one in intervals), default=None)
    begin = min((time for time in (earlier, first) if time), default=None)
    last = max((one.end for one in intervals), default=time_of(attempt.ended_at) or now)
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
            "queue_seconds": _queued(attempt, first or (last if attempt.outcome else now)),
            "gpu_seconds": text(sum(tally.time)),
            "causes": causes.seconds(tally),
            **(_money(tally) if rates or attempt.cost else _NO_MONEY),
            "estimated": guessed or (attempt.outcome is not None and (unseen or beyond_end)),
        }
    )


def _course(
    attempt: Attempt,
    pods: Sequence[Pod],
    times: Sequence[PodTime],
    gang: int,
    checkpoint: datetime | None,
) -> list[causes.Span]:
    """What a gang did when. Its pods are those that were first seen; others came in their place."""
    size = min(gang, MAX_PODS)
    here = {pod.uid for pod in pods}
    starts, ends = [], []
    for time in times[:size]:
        if one := interval(time):
            starts.append(one.start)
            if time.outcome or time.uid not in here:
                ends.append(one.end)
    ended, step = attempt.outcome is not None, time_of(attempt.told and attempt.told.first_step_at)
    last = max(starts, default=None)
    complete = len(starts) == size and (gang == size or all(pod.started for pod in pods))
    # Not all may ever have been seen: that they worked shows that all had started.
    worked = step or attempt.outcome == "Succeeded" or (checkpoint and last and checkpoint > last)
    whole = last if complete or worked else None
    return causes.spans(
        whole,
        step=step or (whole if ended else None),
        kept=(checkpoint or _EVER) if ended and attempt.outcome != "Succeeded" else None,
        broke=min(ends, default=None),
    )


def _queued(attempt: Attempt, until: datetime) -> str | None:
    """Seconds that it waited for devices, before evictions and until then."""
    since = time_of(attempt.queued_at)
    if since is None:
        return None
    before = millionths(attempt.evicted.queue_seconds) if attempt.evicted else 0
    return text(before + max(0, prices.micros(since, until)))


def _money(tally: Tally) -> dict[str, object]:
    total, costs = causes.amounts(tally)
    wasted = millionths(costs.lost_work) + millionths(costs.idle)
    return {"cost": text(total), "costs": costs, "wasted": text(wasted)}


def evicted(attempt: Attempt) -> Attempt:
    """The attempt after Kueue evicted its pods: what they used is one sum, and others may come.

    They saved as they ended, so what they did is kept, unless the attempt loses what it has saved.
    More than their times add up to was charged by a clock that was ahead: that stays, as a guess.
    """
    intervals = [one for time in attempt.pods if (one := interval(time))]
    before = millionths(attempt.evicted.gpu_seconds) if attempt.evicted else 0
    seen = before + sum(one.gpus * prices.micros(one.start, one.end) for one in intervals)
    used = millionths(attempt.gpu_seconds)
    last = max((one.end for one in intervals), default=None)
    return attempt.model_copy(
        update={
            "pods": [],
            "told": None,
            "evictions": (attempt.evictions or 0) + 1,
            "evicted": Spent(
                gpu_seconds=attempt.gpu_seconds,
                causes=attempt.causes or Causes(productive=attempt.gpu_seconds),
                cost=attempt.cost,
                costs=attempt.costs,
                queue_seconds=attempt.queue_seconds or "0",
            ),
            "queued_at": text_of(last) if last else attempt.queued_at,
            "estimated": attempt.estimated
            or used > seen
            or any(time.estimated or not time.outcome for time in attempt.pods),
        }
    )


def total(
    attempts: Iterable[Attempt],
    placement: Placement,
    *,
    to_come: Decimal = Decimal(0),
    rate: Decimal | None = None,
) -> Cost:
    """What all attempts cost together.

    `to_come`: device seconds that the run still needs; `rate`: what a device hour of them costs.
    """
    attempts = list(attempts)
    used = sum((Decimal(a.gpu_seconds) for a in attempts), Decimal(0))
    joules = sum(
        (Decimal(a.gpu_seconds) * placement.on(a.pool).pool.watts for a in attempts), Decimal(0)
    )
    figures = {
        "gpu_hours": amount(used / _HOUR),
        "queue_seconds": amount(sum((Decimal(a.queue_seconds or 0) for a in attempts), Decimal(0))),
        "energy_kwh": amount(joules / _KWH),
    }
    if not prices.priced(placement) and all(a.cost is None for a in attempts):
        return Cost(**figures)
    accrued = sum((Decimal(a.cost or 0) for a in attempts), Decimal(0))
    return Cost(
        currency=placement.currency,
        accrued=amount(accrued),
        projected=amount(accrued + to_come * (rate or 0) / _HOUR),
        wasted=amount(sum((Decimal(a.wasted or 0) for a in attempts), Decimal(0))),
        causes=causes.added(a.costs for a in attempts),
        **figures,
    )


def rate(
    attempts: Sequence[Attempt],
    placement: Placement,
    now: datetime,
    to_come: Decimal = Decimal(0),
) -> Decimal | None:
    """What a device hour costs from now on, on the nodes that the newest attempt holds; None: no price.

    On the average: where some nodes can be taken away and others not, and over the time that
    `to_come` device seconds take there, if the price is known to change in it.
    """
    last = attempts[-1] if attempts else None
    rates = prices.rates(placement.on(last.pool if last else None).pool)
    if rates is None or not prices.priced(placement):
        return None
    price = prices.at(rates, now)
    held = [time for time in last.pods if not time.outcome] if last else []
    gpus = sum(time.gpus for time in held)
    if not gpus:
        return Decimal(price.on_demand) / prices.MILLION
    end = now + timedelta(seconds=min(int(to_come / gpus), _LONGEST))
    change = prices.change(rates, now)
    if change is None or end <= change:
        return Decimal(sum(t.gpus * price.of(t.spot) for t in held)) / gpus / prices.MILLION
    money = sum(t.gpus * prices.money(rates, now, end, t.spot) for t in held)
    return Decimal(money) / gpus / prices.micros(now, end) / prices.MILLION


def added(first: Attempt, second: Attempt) -> Attempt:
    """Two ended attempts as one entry that stands for both, so that status stays bounded."""
    return second.model_copy(
        update={
            "gpu_seconds": _plus(first.gpu_seconds, second.gpu_seconds),
            "queue_seconds": _plus(first.queue_seconds, second.queue_seconds),
            "causes": causes.added([first.causes, second.causes]),
            "cost": _plus(first.cost, second.cost),
            "costs": causes.added([first.costs, second.costs]),
            "wasted": _plus(first.wasted, second.wasted),
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


def _plus(first: str | None, second: str | None) -> str | None:
    """The sum of two amounts; None if there is neither."""
    if first is None or second is None:
        return first or second
    return text(millionths(first) + millionths(second))
