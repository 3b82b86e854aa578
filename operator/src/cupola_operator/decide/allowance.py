"""Whether a run can keep the limits of its namespace, by its plan and by what is left of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from cupola_api.forecast import Forecast
from cupola_api.quantities import seconds
from cupola_operator.children import text_of
from cupola_operator.cost import months
from cupola_operator.decide import namespace
from cupola_operator.plan.answers import limits
from cupola_operator.settings import Period
from cupola_operator.world import World

NAMESPACE_BUDGET = "NamespaceBudgetTooSmall"

_HOUR = 3600


class Shortage(NamedTuple):
    """A limit of the namespace that the plan of a run exceeds."""

    reason: str
    message: str
    limit: str
    """What it limits: BUDGET or DEADLINE of `plan.answers.limits`."""
    most: Decimal
    """Money or seconds that a run may take."""
    remedy: str
    again: float | None = None
    """Seconds until there is more; None: a person has to see to that."""


class _Share(NamedTuple):
    """What a run would spend before the budget of its namespace begins anew."""

    low: Decimal
    high: Decimal
    left: Decimal
    """What of the budget is left."""
    unseen: Decimal
    """What of the rest is foretold, and may turn out not to be spent."""
    until: datetime | None
    """When it begins anew; None: never."""


def exceeded(world: World, plan: Forecast) -> Shortage | None:
    """The first limit of the namespace that even the lowest estimate of a plan exceeds."""
    return next(_exceeded(world, plan), None)


def doubted(world: World, plan: Forecast) -> list[str]:
    """The limits of the namespace within the range of a plan, of which it cannot say if they are kept."""
    said, share, name = [], _share(world, plan), world.key.namespace
    if share and share.low <= share.left < share.high:
        said.append(f"what namespace {name} has left to spend may be less than the run costs")
    hours, longest = plan.wall_clock_hours, namespace.deadline(world)
    if hours and longest and Decimal(hours.low) <= _hours(longest) < Decimal(hours.high):
        said.append(
            f"the deadline of {longest} of namespace {name} may be shorter than the run takes"
        )
    return said


def _exceeded(world: World, plan: Forecast) -> Iterator[Shortage]:
    name, share = world.key.namespace, _share(world, plan)
    if plan.cost and share and share.left < share.low:
        left, span, wait, again = _down(share.left), "", "", None
        if share.until:
            span = f" this month, in which it costs {limits.short(share.low)} at least"
            wait = f", wait until {text_of(share.until)}"
            again = (share.until - world.now).total_seconds()
        if share.low <= share.left + share.unseen:
            again = world.every
        yield Shortage(
            NAMESPACE_BUDGET,
            f"on pool {plan.pool} the run costs {limits.span(plan.cost)} {plan.currency}, and namespace "
            f"{name} has {limits.short(left)} left to spend{span}",
            limits.BUDGET,
            left,
            f"have maxCost of the namespace raised in the settings (namespaces){wait}",
            again,
        )
    hours, longest = plan.wall_clock_hours, namespace.deadline(world)
    if hours and longest and _hours(longest) < Decimal(hours.low):
        yield Shortage(
            limits.DEADLINE,
            f"the settings set a deadline of {longest} for namespace {name}, and on pool {plan.pool} "
            f"the run takes {limits.lasting(hours)}",
            limits.DEADLINE,
            Decimal(seconds(longest)),
            "have the deadline of the namespace raised in the settings (namespaces)",
        )


def _share(world: World, plan: Forecast) -> _Share | None:
    """None if no budget limits the run, or its cost is not known.

    Of a budget by month only the part counts that the run spends in this month, if it takes as long
    as it may (the most: as short as it may).
    """
    account = namespace.account(world, plan.currency) if plan.cost and plan.currency else None
    if account is None or plan.cost is None:
        return None
    low, high = Decimal(plan.cost.low), Decimal(plan.cost.high)
    if account.budget.per is Period.TOTAL:
        return _Share(low, high, account.left, account.unseen, None)
    until = months.bounds(months.month_of(world.now))[1]
    rest, hours = Decimal((until - world.now).total_seconds()) / _HOUR, plan.wall_clock_hours
    if hours:
        low *= rest / max(rest, Decimal(hours.high))
        high *= rest / max(rest, Decimal(hours.low))
    return _Share(low, high, account.left, account.unseen, until)


def _hours(duration: str) -> Decimal:
    return Decimal(seconds(duration)) / _HOUR


def _down(left: Decimal) -> Decimal:
    """Two digits, rounded down, so that what is said stays while others spend; 0 if nothing is left."""
    if left <= 0:
        return Decimal(0)
    step = Decimal(1).scaleb(left.adjusted() - 1)
    return left // step * step
