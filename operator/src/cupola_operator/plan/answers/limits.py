"""Whether a run can keep the limits of its spec, by its plan: money, time, memory.

A range is meant to hold the truth in 8 of 10 cases. A limit below all of it is exceeded; one within it
is doubted, and the run may start. Memory is exceeded only by what is certain, weights and optimizer
state: the rest of it is an estimate. What is not known exceeds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from cupola_api.control import Admission, Control
from cupola_api.forecast import Forecast, Range
from cupola_api.quantities import seconds

GIB = 2**30

BUDGET, DEADLINE, MEMORY = "BudgetTooSmall", "DeadlineTooShort", "MemoryTooSmall"

_UNITS = ((24, "days"), (1, "hours"), (Decimal(1) / 60, "minutes"), (Decimal(1) / 3600, "seconds"))
"""Hours in a unit of time, and its name."""


class Limit(NamedTuple):
    """A limit that the plan exceeds."""

    reason: str
    message: str


def exceeded(spec: Control, plan: Forecast) -> Limit | None:
    """The first limit that even the lowest estimate of the plan exceeds."""
    return next(_exceeded(spec, plan), None)


def doubted(spec: Control, plan: Forecast) -> list[str]:
    """The limits within the range of the plan, of which it cannot say whether they will be kept."""
    said = []
    if spec.budget and plan.cost and _within(Decimal(spec.budget.max_cost), plan.cost):
        said.append(
            f"spec.budget.maxCost of {spec.budget.max_cost} {plan.currency} may be less than the run costs"
        )
    hours = plan.wall_clock_hours
    if spec.deadline and hours and _within(_hours(spec.deadline), hours):
        said.append(f"spec.deadline of {spec.deadline} may be shorter than the run takes")
    return said


def warnings(spec: Control, plan: Forecast) -> list[str]:
    """What a person who plans a run should know of its limits."""
    if spec.budget and plan.cost is None and plan.gpu_hours:
        said = f"pool {plan.pool} has no price, so a run on it cannot be held to spec.budget"
        return [f"{said}; it does not start"]
    limit = exceeded(spec, plan)
    if limit is None or limit.reason == MEMORY:
        return doubted(spec, plan)
    ignored = spec.admission is Admission.IGNORE
    then = (
        "it starts all the same" if ignored else "it does not start without spec.admission: Ignore"
    )
    return [f"{limit.message}; {then}", *doubted(spec, plan)]


def spelled(plan: Forecast) -> str:
    """The plan in a line: money and time; empty if neither is known."""
    said = []
    if plan.cost:
        said.append(f"{span(plan.cost)} {plan.currency}")
    if plan.wall_clock_hours:
        said.append(lasting(plan.wall_clock_hours))
    return "; ".join(said)


def span(figure: Range, unit: Decimal | int = 1) -> str:
    """A range in a unit: `12 to 20, expected 15`."""
    low, middle, high = (
        short(Decimal(end) / unit) for end in (figure.low, figure.expected, figure.high)
    )
    return low if low == high else f"{low} to {high}, expected {middle}"


def lasting(hours: Range) -> str:
    """A range of hours, in the unit that suits it: `2 to 4, expected 3 days`."""
    middle = Decimal(hours.expected)
    unit, name = next((one for one in _UNITS if middle >= one[0]), _UNITS[-1])
    return f"{span(hours, unit)} {name}"


def short(value: Decimal) -> str:
    """A figure in three digits, and no fewer than the whole ones."""
    return f"{value:,.0f}" if value >= 100 else f"{Decimal(f'{value:.3g}').normalize():f}"


def _exceeded(spec: Control, plan: Forecast) -> Iterator[Limit]:
    if spec.budget and plan.cost and Decimal(spec.budget.max_cost) < Decimal(plan.cost.low):
        yield Limit(
            BUDGET,
            f"spec.budget.maxCost is {spec.budget.max_cost} {plan.currency}, and on pool {plan.pool} the run "
            f"costs {span(plan.cost)}",
        )
    hours = plan.wall_clock_hours
    if spec.deadline and hours and _hours(spec.deadline) < Decimal(hours.low):
        yield Limit(
            DEADLINE,
            f"spec.deadline is {spec.deadline}, and on pool {plan.pool} the run takes {lasting(hours)}",
        )
    least, most = plan.memory_at_least, plan.memory_capacity
    if least is not None and most is not None and least > most:
        yield Limit(
            MEMORY,
            f"weights and optimizer state alone take {least / GIB:,.1f} GiB on each rank, and a device of "
            f"pool {plan.pool} has {most / GIB:,.1f} GiB",
        )


def _within(limit: Decimal, figure: Range) -> bool:
    return Decimal(figure.low) <= limit < Decimal(figure.high)


def _hours(duration: str) -> Decimal:
    return Decimal(seconds(duration)) / 3600
