"""What device time and money went into: the six causes of the ledger, in words and as bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from cupola_api.spent import Causes
from cupola_operator.report.bars import Bar, Part, bars
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Html, el, table


class Cause(NamedTuple):
    """A cause in words."""

    field: str
    """Of `Causes`."""
    name: str
    style: str
    """Class of its bar."""


CAUSES = (
    Cause("productive", "productive", "good"),
    Cause("start_up", "start-up", "c0"),
    Cause("checkpoint", "checkpoints", "c1"),
    Cause("evaluation", "validation", "c2"),
    Cause("idle", "held idle", "busy"),
    Cause("lost_work", "lost work", "bad"),
)
"""In the order in which they are shown: what was wasted at the end."""


def amounts(causes: Causes) -> list[Decimal]:
    """The amounts of CAUSES."""
    return [Decimal(getattr(causes, cause.field)) for cause in CAUSES]


def together(parts: Iterable[Causes | None]) -> list[Decimal]:
    """The sums of CAUSES; those of nothing are 0."""
    found = [amounts(part) for part in parts if part]
    return [sum(column, Decimal(0)) for column in zip(*found, strict=True)] or [Decimal(0)] * 6


def split(paid: Sequence[tuple[Subject, list[Decimal]]], unit: str, title: str) -> list[Html]:
    """Bars and a table of resources with what each spent on each cause."""
    rows = [(one.title, parts) for one, parts in paid if sum(parts)]
    if not rows:
        return []
    said = "For each resource, by cause; what was wasted stands at the right end."
    made = [_bar(name, parts, unit) for name, parts in rows]
    return [
        el("div", bars(title, said, made, unit=unit), _legend()),
        table(
            ("Resource", *(cause.name.capitalize() for cause in CAUSES)),
            [(name, *(f"{part:,.4f}" for part in parts)) for name, parts in rows],
            numeric=(1, 2, 3, 4, 5, 6),
        ),
    ]


def _bar(name: str, parts: Sequence[Decimal], unit: str) -> Bar:
    found, start = [], Decimal(0)
    for cause, part in zip(CAUSES, parts, strict=True):
        if part:
            title = f"{name}: {part:,.4f} {unit} {cause.name}"
            found.append(Part(float(start), float(start + part), cause.style, title))
            start += part
    return Bar(name, found, f"{start:,.4f}")


def _legend() -> Html:
    items = (el("li", el("span", class_=f"swatch {one.style}"), one.name) for one in CAUSES)
    return el("ul", *items, class_="legend")
