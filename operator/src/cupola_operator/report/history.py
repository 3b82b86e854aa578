"""What a training wrote about its steps: `history.jsonl` of each attempt, one JSON object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_POINTS = 1000
"""Points of a drawn curve."""


@dataclass(frozen=True)
class Point:
    """One optimizer step; a value that was absent or not finite is None."""

    step: int
    loss: float | None = None
    """Training loss, nats per token."""
    rate: float | None = None
    """Learning rate."""
    norm: float | None = None
    """Norm of the gradient before clipping."""
    speed: float | None = None
    """Tokens per second, all ranks."""


@dataclass(frozen=True)
class History:
    """The steps of one attempt, in the order in which they were done."""

    attempt: int
    points: tuple[Point, ...]
    lost_after: int | None = None
    """The attempt ended without a checkpoint of what came after this step; None: nothing was lost."""


def parse(lines: Iterable[str]) -> tuple[Point, ...]:
    """The steps in a history; lines that are torn or of another form are left out."""
    points = []
    for line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        step = value.get("step") if isinstance(value, dict) else None
        if isinstance(step, int) and not isinstance(step, bool) and 0 <= step < 2**53:
            fields = ("loss", "lr", "grad_norm", "tokens_per_second")
            points.append(Point(step, *(_finite(value.get(field)) for field in fields)))
    return tuple(points)


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def histories(
    found: Iterable[tuple[int, tuple[Point, ...]]], checkpoints: dict[int, int | None]
) -> list[History]:
    """The attempts' histories, oldest first, each with what of it was lost.

    `found`: (number, steps) of each attempt; `checkpoints`: of each attempt that ended badly the
    step of its newest checkpoint. What a later attempt did again was lost; so was, of a failed
    attempt, what came after its checkpoint.
    """
    ordered = sorted((number, points) for number, points in found if points)
    made = []
    for i, (number, points) in enumerate(ordered):
        ends = [later[0].step - 1 for _, later in ordered[i + 1 :]]
        if number in checkpoints:
            ends.append(checkpoints[number] or 0)
        last = max(point.step for point in points)
        kept = min(ends, default=last)
        made.append(History(number, points, kept if kept < last else None))
    return made


def curve(points: Sequence[Point], field: str) -> list[tuple[float, float]]:
    """(step, value) of one field, without the steps that have no value, thinned to MAX_POINTS."""
    pairs = [(float(p.step), v) for p in points if (v := getattr(p, field)) is not None]
    return thin(pairs, MAX_POINTS)


def thin(points: Sequence[tuple[float, float]], limit: int) -> list[tuple[float, float]]:
    """At most `limit` (3 or more) of the points, with the ends and the visible spikes.

    Largest triangle three buckets: Steinarsson 2013, Downsampling time series for visual
    representation.
    """
    if len(points) <= limit:
        return list(points)
    buckets = limit - 2
    edges = [1 + i * (len(points) - 2) // buckets for i in range(buckets + 1)]
    kept = [points[0]]
    for i in range(buckets):
        bucket = points[edges[i] : edges[i + 1]]
        following = points[edges[i + 1] : edges[i + 2]] if i + 2 <= buckets else points[-1:]
        x = sum(p[0] for p in following) / len(following)
        y = sum(p[1] for p in following) / len(following)
        ax, ay = kept[-1]
        kept.append(max(bucket, key=lambda p: abs((ax - x) * (p[1] - ay) - (ax - p[0]) * (y - ay))))
    return [*kept, points[-1]]
