"""When each attempt of each resource ran."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cupola_api.common import Attempt
from cupola_operator.children import time_of
from cupola_operator.report import words
from cupola_operator.report.bars import Bar, Part, bars
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Html, paragraph

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
        parts = [_part(subject, attempt, begin, seconds) for attempt in subject.status.attempts]
        if known := [part for part in parts if part]:
            rows.append(Bar(subject.title, known))
    said = f"When each attempt ran; the first began at {words.moment(begin.isoformat())} UTC."
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
        "good" if attempt.outcome == "Succeeded" else "bad",
        f"{subject.title}, {name}: {attempt.outcome}, {took}",
    )
