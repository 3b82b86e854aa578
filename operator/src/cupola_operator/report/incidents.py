"""What Events tell of a run that its status does not: waits, and what stopped it and is over. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from cupola_api.common import ConditionStatus, Phase, Status
from cupola_operator.children import time_of
from cupola_operator.cluster import Object
from cupola_operator.report import words

GOOD, BAD, HELD = "good", "bad", "held"

_SLOW_SECONDS = 5.0
"""A wait for pods to start that is shorter is not told."""

_OF_ATTEMPT = re.compile(
    r"attempt (?P<number>\d{1,9}) (?:.* waits for its pods to start: (?P<why>.+))?"
)
_TOLD_OTHERWISE = {"Resolving", "Completed"}
_WAITED_FOR = re.compile(r"\b((?:Dataset|PretrainJob|FineTune|Evaluation) [a-z0-9][-a-z0-9]*) ")


class Line(NamedTuple):
    """One thing that happened."""

    time: datetime
    text: str
    details: tuple[str, ...] = ()
    style: str = ""
    """GOOD, BAD or HELD; empty for what is neither."""


def incidents(events: Sequence[Object], status: Status) -> list[Line]:
    """Lines for the Events of a resource that no attempt and no condition of its status tells.

    Of a revision that was raised, only what came after the start of its run is told.
    """
    begin = _begin(status)
    late = begin if status.run and status.run.revision > 1 else None
    mine = [event for event in events if (t := _last(event)) and (late is None or t >= late)]
    waits = [event for event in mine if _reason(event).startswith("WaitingFor")]
    others = [event for event in mine if event not in waits]
    lines = _waited(waits, status, begin)
    for event in others:
        if _reason(event) in _TOLD_OTHERWISE:
            continue
        if match := _OF_ATTEMPT.match(_message(event)):
            lines += _blocked(event, int(match["number"]), match["why"], status)
        else:
            lines += _stopped(event, status)
    return lines


def _waited(events: Sequence[Object], status: Status, begin: datetime | None) -> list[Line]:
    """One line for all that was waited for before the run began."""
    start = min((time for event in events if (time := _first(event))), default=None)
    if start is None or start == begin:
        return []
    names = dict.fromkeys(n for event in events for n in _WAITED_FOR.findall(_message(event) + " "))
    verb = "waits" if status.phase is Phase.WAITING else "waited"
    return [Line(start, f"{verb} for {_listed(list(names)) or 'what it refers to'}")]


def _blocked(event: Object, number: int, why: str | None, status: Status) -> list[Line]:
    """What kept the pods of an attempt from starting, if it took a while."""
    time = _first(event)
    starts = [time_of(a.started_at) for a in status.attempts if a.number == number and not a.stage]
    if not why or time is None or any(a.stage for a in status.attempts):
        return []
    if any(s and (s - time).total_seconds() < _SLOW_SECONDS for s in starts):
        return []
    return [Line(time, f"attempt {number} waited for its pods to start: {why}", (), HELD)]


def _stopped(event: Object, status: Status) -> list[Line]:
    """What stopped the run, each time that is known; what stops it now is told by its conditions."""
    reason, message = _reason(event), _message(event)
    if any(a.message and message.endswith(a.message) for a in status.attempts):
        return []
    times = [time for time in dict.fromkeys((_first(event), _last(event))) if time]
    now = {(c.reason, c.message) for c in status.conditions if c.status is ConditionStatus.TRUE}
    if (reason, message) in now:
        times = times[:-1]
    text = f"{words.plainly(reason)}: {message.partition(';')[0]}".rstrip(": ")
    style = BAD if event.get("type") == "Warning" else HELD
    return [Line(time, text, (), style) for time in times]


def _begin(status: Status) -> datetime | None:
    """When the run began: with its first attempt, or when it was resolved."""
    times = [attempt.started_at for attempt in status.attempts]
    return words.earliest([*times, status.run.started_at if status.run else None])


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _reason(event: Object) -> str:
    return str(event.get("reason") or "")


def _message(event: Object) -> str:
    return str(event.get("message") or "")


def _first(event: Object) -> datetime | None:
    return time_of(event.get("firstTimestamp"))


def _last(event: Object) -> datetime | None:
    return time_of(event.get("lastTimestamp"))
