"""When each attempt of each resource ran, and when a run was held in between."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from cupola_api.common import Attempt
from cupola_operator.children import time_of
from cupola_operator.decide import hold
from cupola_operator.report import words
from cupola_operator.report.bars import Bar, Part, bars
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Html, paragraph

_HELD = "busy"
_IN_HOURS = 3 * 3600
"""Seconds from which the axis counts hours."""


def timeline(subjects: Sequence[Subject]) -> list[Html]:
    """A chart of all attempts that ended, on one axis from the first start; nothing if none did."""
    attempts = [attempt for subject in subjects for attempt in subject.status.attempts]
    begin = words.earliest([attempt.started_at for attempt in attempts])
    ends = [end for end in (time_of(attempt.ended_at) for attempt in attempts) if end]
    if begin is None or not ends:
        return []
    long = (max(ends) - begin).total_seconds() > _IN_HOURS
    unit, seconds = ("hours", 3600) if long else ("minutes", 60)
    rows = []
    for subject in subjects:
        ran = [_part(subject, attempt, begin, seconds) for attempt in subject.status.attempts]
        held = [_held(subject, a, b, begin, seconds) for a, b in pairwise(subject.status.attempts)]
        if known := [part for part in [*ran, *held] if part]:
            rows.append(Bar(subject.title, known))
    said = f"When each attempt ran; the first began at {words.moment(begin.isoformat())} UTC."
    if any(part.style == _HELD for row in rows for part in row.parts):
        said += " Between attempts that were stopped and the next ones the run was held."
    return [bars("Time", said, rows, unit=f"{unit} since the first attempt"), paragraph(said)]


def _part(subject: Subject, attempt: Attempt, begin: datetime, unit: int) -> Part | None:
    start, end = time_of(attempt.started_at), time_of(attempt.ended_at)
    if start is None or end is None:
        return None
    name = " ".join(filter(None, [attempt.stage, "attempt", str(attempt.number)]))
    took = words.duration((end - start).total_seconds())
    return Part(
        (start - begin).total_seconds() / unit,
        (end - begin).total_seconds() / unit,
        "good" if attempt.outcome in ("Succeeded", "Stopped") else "bad",
        f"{subject.title}, {name}: {attempt.outcome}, {took}",
    )


def _held(
    subject: Subject, attempt: Attempt, following: Attempt, begin: datetime, unit: int
) -> Part | None:
    """The time between an attempt that a hold stopped and the next one."""
    start, end = time_of(attempt.ended_at), time_of(following.started_at)
    if attempt.reason not in hold.STOPPED or start is None or end is None:
        return None
    return Part(
        (start - begin).total_seconds() / unit,
        (end - begin).total_seconds() / unit,
        _HELD,
        f"{subject.title}: {words.plainly(attempt.reason)} for {words.duration((end - start).total_seconds())}",
    )
