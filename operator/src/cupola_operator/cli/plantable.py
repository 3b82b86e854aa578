"""A plan for a terminal: what is planned, a table of ranges, memory, other ways, notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cupola_operator.plan.answers import document
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.report import figures


def tables(plans: Sequence[Plan]) -> Iterator[RenderableType]:
    """The parts that are printed, one after the other."""
    for number, plan in enumerate(plans):
        if number:
            yield ""
        yield _plan(plan)
    total = document.total(plans)
    if len(plans) > 1 and total:
        yield ""
        count = sum(1 for plan in plans if plan.bill)
        yield Text(f"Together (of {count} of {len(plans)}): {figures.span(total)}", style="bold")


def _plan(plan: Plan) -> RenderableType:
    parts: list[RenderableType] = [Text(figures.headline(plan), style="bold")]
    if plan.training:
        parts += [Text(line) for line in figures.described(plan.training)]
    if rows := figures.ranges(plan):
        parts.append(grid(("", "Low", "Expected", "High"), rows, right=3))
    if plan.training:
        parts.append(grid(("Memory of a GPU", "GiB"), figures.memory(plan.training), right=1))
    if plan.options:
        parts.append(
            grid(("For comparison", "GPU hours", "Cost", "Loss"), figures.options(plan), right=3)
        )
    others = figures.alternatives(plan)
    if plain := [(what, why) for what, hours, cost, why in others if not hours + cost]:
        parts.append(grid(("Instead", "Why not"), plain, right=0))
    if priced := [row for row in others if row[1] + row[2]]:
        parts.append(grid(("Instead", "Hours", "Cost", "Why not"), priced, right=0))
    parts += [Text(f"Note: {note}.", style="yellow") for note in plan.notes]
    if plan.assumptions:
        parts.append(Text("Taken for granted: " + "; ".join(plan.assumptions) + ".", style="dim"))
    return Group(*parts)


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: int) -> RenderableType:
    """A table without lines, the `right` columns after the first at the right."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(head):
        numeric = 0 < number <= right
        grid.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    return grid
