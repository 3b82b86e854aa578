"""Charts as inline SVG: drawn with the page's colours, with titles that a pointer and a reader find.

Sizes are in units of the viewBox; a chart is as wide as the page lets it be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cupola_operator.report import words
from cupola_operator.report.html import Child, Html, details, el, table
from cupola_operator.report.scale import Scale, fit, label

COLOURS = 6
"""Colours of series in the style sheet; the seventh series has the first one again."""

WIDTH = 860
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 10, 40
_HOVERED = 60
"""Points of a series that tell their value when pointed at."""
_LISTED = 12
"""Rows of the table of values below a chart."""


class Series(NamedTuple):
    """A curve."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int = 0
    dashed: bool = False


class Level(NamedTuple):
    """A horizontal line to compare with."""

    name: str
    value: float


class Band(NamedTuple):
    """A stretch of the x axis that is shaded."""

    name: str
    start: float
    end: float


def svg(title: str, text: str, height: float, *children: Child) -> Html:
    """A picture with a name and a description for those who do not see it."""
    return Html(
        el(
            "svg",
            el("title", title),
            el("desc", text),
            *children,
            viewBox=f"0 0 {WIDTH} {height:g}",
            role="img",
            aria_label=f"{title}. {text}",
        )
    )


def text(
    x: float, y: float, words: Child, *, anchor: str = "start", class_: str | None = None
) -> Html:
    """Text in a picture; `anchor` is start, middle or end."""
    return el("text", words, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    """A straight line in a picture."""
    return el("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=class_)


def lines(
    title: str,
    description: str,
    series: Sequence[Series],
    *,
    levels: Sequence[Level] = (),
    bands: Sequence[Band] = (),
    unit: str,
    along: str = "optimizer step",
    height: float = 300,
    zero: bool = False,
    logarithmic: bool = False,
) -> Html:
    """A chart of curves over optimizer steps, with a legend and a table of some of its values.

    `along`: what the x axis is instead. `logarithmic`: it has a logarithmic scale, and so has a y axis
    that spans more than a factor of 20.
    """
    places = [point for one in series for point in one.points]
    if not places:
        return el("p", f"{title}: nothing was recorded.", class_="quiet")
    steps = [p[0] for p in places]
    values = [p[1] for p in places] + [level.value for level in levels]
    if logarithmic:
        x = Scale(min(steps), max(steps), _LEFT, WIDTH - _RIGHT, logarithmic=True)
        far = min(values) > 0 and max(values) / min(values) > 20
        y = fit(values, height - _BOTTOM, _TOP, zero=zero, logarithmic=far)
    else:
        x = Scale(min(steps), max(*steps, steps[0] + 1), _LEFT, WIDTH - _RIGHT)
        y = fit(values, height - _BOTTOM, _TOP, zero=zero)
    drawing = svg(
        title,
        description,
        height,
        *(_band(band, x, y) for band in bands),
        *_axes(x, y, along),
        *(_level(level, y) for level in levels),
        *(_curve(one, x, y) for one in series),
        *(_hits(one, x, y, unit, along) for one in series),
    )
    return el(
        "figure",
        el("figcaption", title, el("span", f", {unit}", class_="quiet")),
        drawing,
        _legend(series, levels, bands),
        _values(series, unit, along),
    )


def _axes(x: Scale, y: Scale, along: str) -> list[Html]:
    foot = y.start
    made = []
    for value in y.ticks():
        made.append(line(_LEFT, y.at(value), WIDTH - _RIGHT, y.at(value), "grid"))
        made.append(text(_LEFT - 8, y.at(value) + 4, label(value), anchor="end"))
    for value in x.ticks(8):
        made.append(line(x.at(value), foot, x.at(value), foot + 5, "axis"))
        made.append(text(x.at(value), foot + 18, label(value), anchor="middle"))
    made.append(line(_LEFT, foot, WIDTH - _RIGHT, foot, "axis"))
    made.append(text(WIDTH - _RIGHT, foot + 34, along, anchor="end", class_="unit"))
    return made


def _curve(one: Series, x: Scale, y: Scale) -> Html:
    points = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in one.points)
    style = f"curve c{one.colour % COLOURS}{' dashed' if one.dashed else ''}"
    if len(one.points) == 1:
        a, b = one.points[0]
        return el(
            "circle",
            cx=f"{x.at(a):.1f}",
            cy=f"{y.at(b):.1f}",
            r=3,
            class_=f"dot c{one.colour % COLOURS}",
        )
    return el("polyline", points=points, class_=style)


def _hits(one: Series, x: Scale, y: Scale, unit: str, along: str) -> Html:
    """Invisible points that tell their value when pointed at."""
    return el(
        "g",
        *(
            el(
                "circle",
                el("title", f"{one.name}, {_short(along)} {a:,.0f}: {words.number(b)} {unit}"),
                cx=f"{x.at(a):.1f}",
                cy=f"{y.at(b):.1f}",
                r=6,
            )
            for a, b in some(one.points, _HOVERED)
        ),
        class_=f"hit c{one.colour % COLOURS}",
    )


def _level(level: Level, y: Scale) -> Html:
    return el(
        "g",
        el("title", f"{level.name}: {words.number(level.value)}"),
        line(_LEFT, y.at(level.value), WIDTH - _RIGHT, y.at(level.value), "level"),
        text(
            WIDTH - _RIGHT - 4,
            y.at(level.value) - 5,
            f"{level.name} {words.number(level.value)}",
            anchor="end",
            class_="level-name",
        ),
    )


def _band(band: Band, x: Scale, y: Scale) -> Html:
    start, end = x.at(band.start), x.at(band.end)
    return el(
        "rect",
        el("title", band.name),
        x=f"{start:.1f}",
        y=y.end,
        width=f"{max(end - start, 1.5):.1f}",
        height=y.start - y.end,
        class_="band",
    )


def _legend(
    series: Sequence[Series], levels: Sequence[Level], bands: Sequence[Band]
) -> Html | None:
    if len(series) + len(bands) == 1 and not levels:
        return None
    entries = [
        (f"swatch c{one.colour % COLOURS}{' dashed' if one.dashed else ''}", one.name)
        for one in series
    ]
    entries += [("swatch level", level.name) for level in levels]
    entries += [("swatch band", bands[0].name)] if bands else []
    return el(
        "ul",
        *(el("li", el("span", class_=style), name) for style, name in entries),
        class_="legend",
    )


def _short(along: str) -> str:
    """What is written before a value of the x axis."""
    return along.removeprefix("optimizer ")


def _values(series: Sequence[Series], unit: str, along: str) -> Html:
    rows = [
        (one.name, f"{a:,.0f}", words.number(b))
        for one in series
        for a, b in some(one.points, _LISTED)
    ]
    return details(
        "Values", table(("Curve", _short(along).capitalize(), unit), rows, numeric=(1, 2))
    )


def some(items: Sequence[tuple[float, float]], limit: int) -> list[tuple[float, float]]:
    """At most `limit` of the items, evenly spread, the ends among them."""
    if len(items) <= limit:
        return list(items)
    return [items[round(i * (len(items) - 1) / (limit - 1))] for i in range(limit)]
