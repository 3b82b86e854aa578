"""Bars, a time line and scores with their errors, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cupola_operator.report import words
from cupola_operator.report.chart import WIDTH, line, svg, text
from cupola_operator.report.html import Html, el
from cupola_operator.report.scale import Scale, fit, label

_NAMES = 220
"""Room for the names at the left."""
_RIGHT = 84
_ROW = 30
_FOOT = 38


class Part(NamedTuple):
    """A part of a bar: from `start` to `end` on the axis."""

    start: float
    end: float
    style: str
    """Its class in the style sheet: good, bad, busy or c0 to c5."""
    title: str


class Bar(NamedTuple):
    """A row: a name, the parts of its bar, and what is written behind it."""

    name: str
    parts: Sequence[Part]
    note: str = ""


def bars(title: str, description: str, rows: Sequence[Bar], *, unit: str) -> Html:
    """Horizontal bars on one axis that begins at zero."""
    ends = [part.end for row in rows for part in row.parts]
    x = fit([0.0, *ends], _NAMES, WIDTH - _RIGHT, zero=True)
    height = _ROW * len(rows) + _FOOT
    drawing = svg(
        title,
        description,
        height,
        *_axis(x, height, unit),
        *(_bar(row, i, x) for i, row in enumerate(rows)),
    )
    return el("figure", el("figcaption", title), drawing)


def _axis(x: Scale, height: float, unit: str) -> list[Html]:
    foot = height - _FOOT
    made = []
    for value in x.ticks(5):
        made.append(line(x.at(value), 4, x.at(value), foot, "grid"))
        made.append(text(x.at(value), foot + 16, label(value), anchor="middle"))
    made.append(line(_NAMES, foot, WIDTH - _RIGHT, foot, "axis"))
    made.append(text(WIDTH - _RIGHT, foot + 32, unit, anchor="end", class_="unit"))
    return made


def _bar(row: Bar, index: int, x: Scale) -> Html:
    top = index * _ROW + 8
    parts = [
        el(
            "rect",
            el("title", part.title),
            x=f"{x.at(part.start):.1f}",
            y=top,
            width=f"{max(x.at(part.end) - x.at(part.start), 1):.1f}",
            height=_ROW - 12,
            rx=2,
            class_=f"bar {part.style}",
        )
        for part in row.parts
    ]
    last = max((x.at(part.end) for part in row.parts), default=x.start)
    return el(
        "g",
        text(_NAMES - 8, top + 13, clipped(row.name), anchor="end", class_="name"),
        *parts,
        text(last + 6, top + 13, row.note, class_="note"),
    )


_LONGEST = 28


def clipped(name: str) -> Html:
    """A name that fits beside a chart; whole where it is pointed at."""
    if len(name) <= _LONGEST:
        return el("tspan", name)
    return el("tspan", el("title", name), f"{name[: _LONGEST - 1]}…")


class Mark(NamedTuple):
    """A measured value with its standard error."""

    name: str
    value: float
    error: float | None
    style: str
    """Its class in the style sheet: model or other."""


class ScoreRow(NamedTuple):
    """One score: the model's value, the other model's, and what knowing nothing would reach."""

    name: str
    better: str
    """`higher is better` or `lower is better`."""
    marks: Sequence[Mark]
    chance: float | None


_SCORE = 74


def score_rows(title: str, description: str, rows: Sequence[ScoreRow]) -> Html:
    """Scores, each on an axis of its own; bars at a value are one standard error to each side."""
    parts = [_score(row, i * _SCORE) for i, row in enumerate(rows)]
    return svg(title, description, _SCORE * len(rows) + 4, *parts)


def _score(row: ScoreRow, top: float) -> Html:
    x = score_scale(row)
    middle, foot = top + 26, top + 44
    made: list[Html] = []
    for value in x.ticks(4):
        made.append(line(x.at(value), top + 8, x.at(value), foot, "grid"))
        made.append(text(x.at(value), foot + 15, label(value), anchor="middle"))
    made.append(line(x.start, foot, x.end, foot, "axis"))
    made.append(text(0, middle - 4, clipped(row.name), class_="name"))
    made.append(
        text(0, middle + 13, row.better + (", log scale" if x.logarithmic else ""), class_="unit")
    )
    if row.chance is not None:
        at = x.at(row.chance)
        made.append(
            el(
                "g",
                el("title", f"chance: {words.number(row.chance)}"),
                line(at, top + 6, at, foot, "chance"),
            )
        )
    offsets = [-7.0, 7.0] if len(row.marks) > 1 else [0.0]
    made += [_mark(m, x, middle + dy) for m, dy in zip(row.marks, offsets, strict=False)]
    return el("g", *made)


def _mark(mark: Mark, x: Scale, y: float) -> Html:
    at = x.at(mark.value)
    whisker: list[Html] = []
    if mark.error:
        low, high = x.at(max(mark.value - mark.error, x.low)), x.at(mark.value + mark.error)
        whisker = [
            line(low, y, high, y, "whisker"),
            line(low, y - 4, low, y + 4, "whisker"),
            line(high, y - 4, high, y + 4, "whisker"),
        ]
    plus = f" ± {words.number(mark.error, 2)}" if mark.error else ""
    value = f"{words.number(mark.value)}{plus}"
    return el(
        "g",
        el("title", f"{mark.name}: {value}"),
        *whisker,
        el("circle", cx=f"{at:.1f}", cy=f"{y:.1f}", r=5),
        class_=f"mark {mark.style}",
    )


def score_scale(row: ScoreRow) -> Scale:
    """The axis of a score: from zero where that is near.

    Logarithmic where its values differ by more than a factor of 20.
    """
    values = [row.chance] if row.chance is not None else []
    for mark in row.marks:
        error = mark.error or 0.0
        values += [mark.value - error, mark.value + error]
    far = min(values) > 0 and max(values) / min(values) > 20
    zero = 0 <= min(values) < 0.3 * max(values)
    return fit(values, _NAMES + 10, WIDTH - 20, zero=zero, logarithmic=far)
