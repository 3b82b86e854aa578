"""The section on money and energy: what each resource cost, when, and how much of it bought nothing."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from cupola_api.common import Cost
from cupola_operator.report import causes, words
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Html, el, paragraph, table
from cupola_operator.report.section import Section
from cupola_operator.report.timeline import timeline


class Total(NamedTuple):
    """What one or more resources cost, in one currency; without one, they have no price."""

    currency: str | None
    accrued: Decimal
    wasted: Decimal
    gpu_hours: Decimal
    energy_kwh: Decimal

    @classmethod
    def of(cls, cost: Cost) -> Total:
        """What one resource cost."""
        figures = (cost.accrued, cost.wasted, cost.gpu_hours, cost.energy_kwh)
        return cls(cost.currency, *(Decimal(figure or 0) for figure in figures))

    def plus(self, other: Total) -> Total:
        """Both together."""
        return Total(self.currency, *(a + b for a, b in zip(self[1:], other[1:], strict=True)))

    @property
    def spent(self) -> Decimal | None:
        """Money; None without a price."""
        return self.accrued if self.currency else None

    @property
    def lost(self) -> Decimal | None:
        """The part of it that was wasted."""
        return self.wasted if self.currency else None


def totals(subjects: Sequence[Subject]) -> list[Total]:
    """The sums, one for each currency."""
    found: dict[str | None, Total] = {}
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
                "Money is the time that pods held devices, times the price of the pool at that time. "
                "Wasted is what bought nothing: work that was lost after the last checkpoint of an "
                "attempt that did not succeed, and devices held idle while other pods had not "
                "started or had ended. Energy follows from the stated power of the pool and its PUE."
            ),
            _table(paid, sums),
            *(part for total in sums for part in _split(paid, total.currency)),
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
        words.money(total.spent, total.currency),
        words.money(total.lost, total.currency),
        words.share(float(total.wasted), float(total.accrued)) if total.currency else words.NONE,
        f"{total.gpu_hours:,.4f}",
        f"{total.energy_kwh:,.5f}",
    )


def _split(paid: Sequence[Subject], currency: str | None) -> list[Html]:
    """What it went into, as money; where there is no price, as device hours."""
    found = []
    for subject in paid:
        cost = subject.status.cost
        if cost is None or cost.currency != currency:
            continue
        seconds = causes.together(attempt.causes for attempt in subject.status.attempts)
        parts = causes.together([cost.causes]) if currency else [part / 3600 for part in seconds]
        found.append((subject, parts))
    return causes.split(
        found,
        unit=currency or "device hours",
        title="Money spent" if currency else "Device time without a price",
    )
