"""What the settings say of a namespace: how much its runs may spend together, and how long one may take."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from cupola_api.control import OnExceeded
from cupola_api.quantities import seconds
from cupola_operator.children import text_of
from cupola_operator.cost import months, namespace
from cupola_operator.settings import Period
from cupola_operator.world import World


class Account(NamedTuple):
    """A namespace's money as a run in it sees it."""

    spent: Decimal
    most: Decimal
    rate: Decimal
    """What the others spend a second."""


def account(world: World, currency: str) -> Account | None:
    """What the resources of the namespace have spent and may spend; None if nothing limits them.

    A run that pays in another currency than the installation's cannot be added to the others.
    """
    rule = world.settings.namespace(world.key.namespace) if world.settings.namespaces else None
    if rule is None or rule.budget is None or currency != world.settings.currency:
        return None
    month = months.month_of(world.now) if rule.budget.per is Period.MONTH else None
    own = namespace.of_run(world.status, month, world.now)
    others = world.spending
    return Account(own + others.spent, Decimal(rule.budget.max_cost), others.rate)


def sentence(world: World, found: Account) -> tuple[str, bool, float | None]:
    """That the budget is spent and what to do; whether the run has Failed; seconds until it may go on."""
    rule = world.settings.namespace(world.key.namespace)
    if rule is None or rule.budget is None:
        raise TypeError(f"namespace {world.key.namespace} has no budget")
    budget, again, then = rule.budget, None, ""
    if budget.per is Period.MONTH:
        following = months.bounds(months.month_of(world.now))[1]
        again = (following - world.now).total_seconds()
        then = f", or wait until {text_of(following)}"
    fails = budget.on_exceeded is OnExceeded.FAIL
    retry = ", then set the annotation cupola.dev/retry to a new word" if fails else ""
    span = "this month" if budget.per is Period.MONTH else "in all"
    text = (
        f"the resources of namespace {world.key.namespace} have spent {found.spent:.2f} of "
        f"{budget.max_cost} {world.settings.currency} {span}, and what is left is what it may cost to "
        f"save and stop; have its maxCost raised in the settings (namespaces){then}{retry}"
    )
    return text, fails, None if fails else again


def longest(world: World) -> tuple[str, int] | None:
    """The longest that the run may take, as it is written, and in seconds; None: there is no limit.

    That is the shorter of spec.deadline and the deadline of the namespace in the settings.
    """
    spec = world.resource.spec.deadline if world.resource else None
    rule = world.settings.namespace(world.key.namespace) if world.settings.namespaces else None
    said = [(f"spec.deadline of {spec}", seconds(spec))] if spec else []
    if rule and rule.deadline:
        text = f"the deadline of {rule.deadline} that the settings set for namespace {world.key.namespace}"
        said.append((text, seconds(rule.deadline)))
    return min(said, key=lambda one: one[1], default=None)
