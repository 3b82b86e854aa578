"""Sections of a page: numbered, with a table of contents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cupola_operator.report.html import Html, el


class Section(NamedTuple):
    """A heading and what stands below it."""

    title: str
    body: Sequence[Html | None] = ()
    sections: Sequence[Section] = ()


class Numbered(NamedTuple):
    """A section with its number, `2.1`; `level` is 2 for the outer ones, as of their headings."""

    number: str
    level: int
    section: Section

    @property
    def anchor(self) -> str:
        """Its id in the page."""
        return f"s{self.number.replace('.', '-')}"


def numbered(sections: Sequence[Section], above: str = "", level: int = 2) -> Iterator[Numbered]:
    """All sections, inner ones behind their outer one."""
    for i, section in enumerate(sections, start=1):
        number = f"{above}{i}"
        yield Numbered(number, level, section)
        yield from numbered(section.sections, f"{number}.", level + 1)


def contents(sections: Sequence[Section]) -> Html:
    """The table of contents."""
    return el(
        "nav",
        el("h2", "Contents", id="contents"),
        el(
            "ul",
            *(
                el(
                    "li",
                    el("a", f"{one.number} {one.section.title}", href=f"#{one.anchor}"),
                    class_=f"level{one.level}",
                )
                for one in numbered(sections)
            ),
        ),
        aria_labelledby="contents",
    )


def bodies(sections: Sequence[Section]) -> list[Html]:
    """The sections as elements."""
    return [
        el(
            "section",
            el(f"h{one.level}", el("span", one.number, class_="number"), " ", one.section.title),
            *one.section.body,
            id=one.anchor,
        )
        for one in numbered(sections)
    ]
