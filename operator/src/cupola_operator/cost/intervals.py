"""When the pods of an attempt held their devices, as far as anybody saw.

The newest attempt keeps the times of its pods in status, so a pod counts when it is gone. An end
that nobody observed is taken from the last evidence, and marked estimated:

- a pod that vanished held its devices until it was last seen running;
- a pod that ended without saying when held them until one of its conditions last changed;
- a pod whose node came back without it held them until its node believes that it ended;
- a pod that nobody ever saw does not count.

When the start-up of a pod of a Job was over, it says itself, at its end. Where it said nothing, nothing
is known of a start-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cupola_api.common import Attempt, PodTime
from cupola_api.outcome import Outcome
from cupola_operator.children import Pod, text_of, time_of

MAX_PODS = 64
"""Pods of an attempt whose times status holds."""


class Interval(NamedTuple):
    """When a pod held its devices."""

    start: datetime
    end: datetime
    gpus: int
    outcome: str | None
    spot: bool | None
    worked: datetime
    """When its start-up was over, if it worked alone: between both, whatever it said."""


def pod_times(
    attempt: Attempt, pods: Sequence[Pod], now: datetime, *, whole: bool
) -> list[PodTime]:
    """The times of the pods that are there, and as they were last seen of those that are not.

    Pods that did not start yet count when the gang is `whole`: until then one may be made again.
    """
    times = {time.uid: time for time in attempt.pods}
    for pod in pods:
        if pod.uid in times or ((pod.started or whole) and len(times) < MAX_PODS):
            times[pod.uid] = _later(times.get(pod.uid), pod_time(pod, now))
    return list(times.values())


def pod_time(pod: Pod, now: datetime) -> PodTime:
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
        first_work_at=_first_work(pod.outcome),
        until=text_of(max(pod.started, end)),
        outcome=outcome,
        estimated=estimated,
        spot=pod.spot,
    )


def interval(time: PodTime) -> Interval | None:
    """When a pod held its devices; None if it never did."""
    start, end = time_of(time.started_at), time_of(time.until)
    if start is None or end is None:
        return None
    end = max(start, end)
    worked = max(start, min(time_of(time.first_work_at) or start, end))
    return Interval(start, end, time.gpus, time.outcome, time.spot, worked)


def _first_work(said: Outcome | None) -> str | None:
    if said is None or said.first_work_at is None:
        return None
    return text_of(datetime.fromtimestamp(said.first_work_at, UTC))


def _later(known: PodTime | None, seen: PodTime) -> PodTime:
    """Of two views of a pod the later one: a list may lag behind what was seen before."""
    if known is None:
        return seen
    if not seen.outcome:
        if known.outcome or not seen.started_at:
            return known
        if known.until and (seen.until or "") < known.until:
            return known
    if known.spot is not None and seen.spot is None:  # its node is looked at once
        return seen.model_copy(update={"spot": known.spot})
    return seen
