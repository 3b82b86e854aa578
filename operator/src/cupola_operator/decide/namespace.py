"""What the settings say of a namespace: how much its runs may spend together, and how long one may take."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from cupola_api.control import OnExceeded
from cupola_api.quantities import seconds
from cupola_operator.children import text_of
from cupola_operator.cost import months, namespace
from cupola_operator.settings import NamespaceBudget, NamespaceRule, Period
from cupola_operator.world import World


class Account(NamedTuple):
    """A namespace's money as a run in it sees it."""

    budget: NamespaceBudget
    spent: Decimal
    unseen: Decimal
    """What of it was not seen yet, but foretold."""
    rate: Decimal
    """What the others spend a second, or will at any moment."""

    @property
    def left(self) -> Decimal:
        """What of the budget is not spent; below 0 if more was."""
        return Decimal(self.budget.max_cost) - self.spent


def account(world: World, currency: str) -> Account | None:
    """What the resources of the namespace have spent and may spend; None if nothing limits them.

    A run that pays in another currency than the installation's cannot be added to the others.
    """
    rule = _rule(world)
    if rule is None or rule.budget is None or currency != world.settings.currency:
        return None
    month = months.month_of(world.now) if rule.budget.per is Period.MONTH else None
    own = namespace.of_run(world.status, month, world.now)
    others = world.spending
    return Account(rule.budget, own + others.spent + others.unseen, others.unseen, others.rate)


class Exceeded(NamedTuple):
    """Why the budget of a namespace holds a run."""

    message: str
    fails: bool = False
    """Whether the run has Failed."""
    again: float | None = None
    """Seconds until it may go on by itself."""


def spent(world: World, found: Account) -> Exceeded:
    """That the budget is spent, and what to do."""
    again, then = None, ""
    if found.budget.per is Period.MONTH:
        following = months.bounds(months.month_of(world.now))[1]
        again = (following - world.now).total_seconds()
        then = f", or wait until {text_of(following)}"
    fails = found.budget.on_exceeded is OnExceeded.FAIL
    retry = ", then set the annotation cupola.dev/retry to a new word" if fails else ""
    text = (
        f"the resources of namespace {world.key.namespace} have spent {found.spent:.2f} of "
        f"{_limit(world, found)}, and what is left is what it may cost to "
        f"save and stop; have its maxCost raised in the settings (namespaces){then}{retry}"
    )
    return Exceeded(text, fails, None if fails else again)


def crowded(world: World, found: Account) -> Exceeded:
    """That the other runs of the namespace may need what is left: it goes on when they leave enough.

    No figure that moves is said, as others go on spending.
    """
    text = (
        f"namespace {world.key.namespace} may spend {_limit(world, found)}, and what is left of it is what "
        "it may cost that its other runs save and stop; it goes on when they leave enough, or have "
        "maxCost of the namespace raised in the settings (namespaces)"
    )
    return Exceeded(text, again=world.every)


def longest(world: World) -> tuple[str, int] | None:
    """The longest that the run may take, as it is written, and in seconds; None: there is no limit.

    That is the shorter of spec.deadline and the deadline of the namespace in the settings.
    """
    spec = world.resource.spec.deadline if world.resource else None
    said = [(f"spec.deadline of {spec}", seconds(spec))] if spec else []
    if general := deadline(world):
        text = (
            f"the deadline of {general} that the settings set for namespace {world.key.namespace}"
        )
        said.append((text, seconds(general)))
    return min(said, key=lambda one: one[1], default=None)


def deadline(world: World) -> str | None:
    """The deadline that the settings set for the namespace."""
    rule = _rule(world)
    return rule.deadline if rule else None


def _rule(world: World) -> NamespaceRule | None:
    return world.settings.namespace(world.key.namespace) if world.settings.namespaces else None


def _limit(world: World, found: Account) -> str:
    """The budget for people: `25 USD this month`."""
    span = "this month" if found.budget.per is Period.MONTH else "in all"
    return f"{found.budget.max_cost} {world.settings.currency} {span}"
