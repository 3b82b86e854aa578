"""The section on money and energy: what each resource cost, when, and how much of it bought nothing."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from cupola_api.common import Cost
from cupola_operator.report import words
from cupola_operator.report.bars import Bar, Part, bars
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Html, el, paragraph, table
from cupola_operator.report.section import Section
from cupola_operator.report.timeline import timeline


class Total(NamedTuple):
    """What one or more resources cost, in one currency."""

    currency: str
    accrued: Decimal
    wasted: Decimal
    gpu_hours: Decimal
    energy_kwh: Decimal

    @classmethod
    def of(cls, cost: Cost) -> Total:
        """What one resource cost."""
        figures = (cost.accrued, cost.wasted, cost.gpu_hours, cost.energy_kwh)
        return cls(cost.currency, *(Decimal(figure) for figure in figures))

    def plus(self, other: Total) -> Total:
        """Both together."""
        return Total(self.currency, *(a + b for a, b in zip(self[1:], other[1:], strict=True)))


def totals(subjects: Sequence[Subject]) -> list[Total]:
    """The sums, one for each currency."""
    found: dict[str, Total] = {}
    for subject in subjects:
        if cost := subject.status.cost:
            one = Total.of(cost)
            before = found.get(one.currency)
            found[one.currency] = before.plus(one) if before else one
    return list(found.values())


def section(subjects: Sequence[Subject]) -> Section:
    """Money, energy and time of all resources of the report."""
    paid = [subject for subject in subjects if subject.status.cost]
    if not paid:
        return Section(
            "Money, energy and time", [el("p", "Nothing was spent yet.", class_="quiet")]
        )
    sums = totals(paid)
    return Section(
        "Money, energy and time",
        [
            paragraph(
                "Money is the time that pods held devices, times the price of the pool. Wasted is "
                "what bought nothing: work after the last checkpoint of an attempt that failed. "
                "Energy follows from the stated power of the pool."
            ),
            _table(paid, sums),
            *(_chart(paid, total.currency) for total in sums),
            *timeline(subjects),
        ],
    )


def _table(paid: Sequence[Subject], sums: Sequence[Total]) -> Html:
    return table(
        ("Resource", "Spent", "Wasted", "Share wasted", "Device hours", "Energy, kWh"),
        [_row(one.title, Total.of(one.status.cost)) for one in paid if one.status.cost],
        sums=[_row("Together", total) for total in sums],
        numeric=(1, 2, 3, 4, 5),
    )


def _row(name: str, total: Total) -> tuple[str, ...]:
    return (
        name,
        words.money(total.accrued, total.currency),
        words.money(total.wasted, total.currency),
        words.share(float(total.wasted), float(total.accrued)),
        f"{total.gpu_hours:,.4f}",
        f"{total.energy_kwh:,.5f}",
    )


def _chart(paid: Sequence[Subject], currency: str) -> Html:
    rows = []
    for subject in paid:
        cost = subject.status.cost
        if cost is None or cost.currency != currency:
            continue
        good = float(Decimal(cost.accrued) - Decimal(cost.wasted))
        all_of_it = float(cost.accrued)
        parts = [Part(0, good, "good", f"{subject.title}: {good:,.4f} {currency} used")]
        if all_of_it > good:
            title = f"{subject.title}: {all_of_it - good:,.4f} {currency} wasted"
            parts.append(Part(good, all_of_it, "bad", title))
        rows.append(Bar(subject.title, parts, f"{all_of_it:,.4f}"))
    said = "For each resource what was spent; the part that was wasted stands at the right end."
    return el(
        "div",
        bars("Money spent", said, rows, unit=currency),
        el(
            "ul",
            el("li", el("span", class_="swatch good"), "used"),
            el("li", el("span", class_="swatch bad"), "wasted"),
            class_="legend",
        ),
    )
