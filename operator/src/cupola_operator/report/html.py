"""HTML by value: what is not markup is escaped, so that text from models and people stays text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Html(str):
    """Markup that is safe to put in a page: made by `el` and `join` only."""

    __slots__ = ()


Child = str | int | None
"""Text (escaped unless it is Html) or a number; None is nothing."""

_VOID = {"br", "col", "hr", "meta"}


def el(tag: str, *children: Child, **attributes: str | float | None) -> Html:
    """An element. In names of attributes `_` stands for `-`, a last one for nothing: `class_`.

    An attribute that is None is left out.
    """
    text = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Html(f"<{tag}{text}>")
    return Html(f"<{tag}{text}>{join(children)}</{tag}>")


def join(children: Iterable[Child]) -> Html:
    """Children one after the other."""
    return Html(
        "".join(
            child if isinstance(child, Html) else escape(str(child))
            for child in children
            if child is not None
        )
    )


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Child]],
    *,
    sums: Sequence[Sequence[Child]] = (),
    caption: str | None = None,
    numeric: Sequence[int] = (),
) -> Html:
    """A table, `sums` at its foot. The first column names the row.

    `numeric`: columns that are aligned to the right.
    """

    def row(tag: str, cells: Sequence[Child]) -> Html:
        made = []
        for i, cell in enumerate(cells):
            heads_row = i == 0 and tag == "td"
            made.append(
                el(
                    "th" if heads_row else tag,
                    cell,
                    class_="num" if i in numeric else None,
                    scope="row" if heads_row else "col" if tag == "th" else None,
                )
            )
        return el("tr", *made)

    return el(
        "div",
        el(
            "table",
            el("caption", caption) if caption else None,
            el("thead", row("th", head)),
            el("tbody", *(row("td", cells) for cells in rows)),
            el("tfoot", *(row("td", cells) for cells in sums)) if sums else None,
        ),
        class_="wide",
    )


def details(summary: str, *children: Child, shown: bool = False) -> Html:
    """Something that a person can show and hide; hidden at first unless `shown`."""
    return el("details", el("summary", summary), *children, open="" if shown else None)


def code(text: str) -> Html:
    """Text in lines of fixed width."""
    return el("pre", el("code", text), tabindex="0")


def paragraph(*children: Child) -> Html:
    """A paragraph."""
    return el("p", *children)
