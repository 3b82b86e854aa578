"""Why a run may not hold devices now, though nothing failed: suspended, out of budget, out of time."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from cupola_api.common import Phase
from cupola_api.control import Budget, Control, OnExceeded
from cupola_operator.build.pod import GRACE_SECONDS
from cupola_operator.children import Placement, text_of, time_of
from cupola_operator.cost import prices
from cupola_operator.cost.prices import Rates
from cupola_operator.decide import namespace
from cupola_operator.decide.resolve import FIRST
from cupola_operator.decide.verdict import SOON, Verdict
from cupola_operator.world import World

SUSPENDED, DEADLINE, BUDGET = "Suspended", "DeadlineExceeded", "BudgetExceeded"
NAMESPACE = "NamespaceBudgetExceeded"
DELETED, SUPERSEDED = "Deleted", "Superseded"

STOPPED = {
    DELETED: "it was stopped because its resource was deleted",
    SUPERSEDED: "it was stopped because spec.revision was raised",
    SUSPENDED: "it was stopped because spec.suspend was true",
    DEADLINE: "it was stopped because its deadline was over",
    BUDGET: "it was stopped before it would have cost more than spec.budget.maxCost",
    NAMESPACE: "it was stopped before its namespace would have spent more than its budget",
}
"""What is said of an attempt that a hold ended, by reason."""

_HOUR = 3600

_NOTICE = 10
"""Seconds that may pass between the last look and SIGTERM in the pods."""

_NEEDED = GRACE_SECONDS + _NOTICE
"""Seconds from the last look to the end of the pods."""


class Hold(NamedTuple):
    """Why a run stops: with a checkpoint, and what becomes of it then."""

    reason: str
    message: str
    fails: bool = False
    """Whether the run has Failed; else it is Suspended until a person changes what holds it."""
    again: float | None = None
    """Seconds until it may go on by itself."""

    def verdict(self) -> Verdict:
        """Where a run stands that is held, when nothing of it runs any more."""
        phase = Phase.FAILED if self.fails else Phase.SUSPENDED
        return Verdict(phase, self.reason, self.message, again=self.again)


def before_start(world: World) -> Verdict | None:
    """A run with spec.suspend is not resolved: phase and condition Suspended.

    What runs was resolved, and is stopped as an attempt; if somebody deleted the run's ConfigMap, it
    is resolved once more for that.
    """
    if world.is_resolved() or any(map(world.is_resolved, FIRST)) or not _control(world).suspend:
        return None
    begun = any(attempt.outcome is None for attempt in world.status.attempts)
    if begun or world.jobs or any(pod.lingers(world.now) for pod in world.pods):
        return None
    return _suspended(world).verdict()


def of(world: World, placement: Placement, gpus: int) -> Hold | None:
    """What holds a run that would have `gpus` devices, or None.

    - It is being closed, as its resource is deleted or a new revision follows: nothing starts again.
    - spec.suspend: Suspended, until it is false.
    - spec.deadline, or that of its namespace in the settings if that is shorter, counted from
      status.run.startedAt: Failed, DeadlineExceeded.
    - spec.budget: what has been spent, also by earlier resources of its name on this revision, with the price of the time that stopping may take (the grace
      of a pod, and some seconds until it begins), must not reach maxCost. Suspended until maxCost is raised, or Failed, as
      onExceeded says; reason BudgetExceeded. A run without a price cannot be held to a budget.
    - The budget of its namespace in the settings: the same with what all its resources have spent in
      this month, or ever. Suspended until the next month, or until maxCost is raised, or Failed;
      reason NamespaceBudgetExceeded.
    """
    if world.ends:
        return Hold(world.ends, STOPPED[world.ends])
    spec = _control(world)
    if spec.suspend:
        return _suspended(world)
    end = _deadline(world)
    if end and end.at <= world.now:
        return Hold(
            DEADLINE,
            f"{end.said} was over at {text_of(end.at)}; to go on{_from(world)}, raise "
            "it and set the annotation cupola.dev/retry to a new word",
            fails=True,
        )
    rates = _rates(placement)
    if rates is None:
        return None
    if spec.budget and _left(world, spec.budget, rates, gpus) <= 0:
        return _over_budget(world, spec.budget, placement)
    shared = namespace.account(world, placement.currency)
    if shared and _left_of(world, shared, rates, gpus) <= 0:
        return _over_shared(world, shared, _stop(world, rates, gpus))
    return None


def again(world: World, placement: Placement, gpus: int) -> float:
    """Seconds until a running attempt is looked at again, so that nothing holds it much too late."""
    times = [world.every]
    if end := _deadline(world):
        times.append((end.at - world.now).total_seconds())
    if (rates := _rates(placement)) is None:
        return max(min(times), min(SOON, world.every))
    budget, shared = _control(world).budget, namespace.account(world, placement.currency)
    if rate := _rate(rates, gpus, world.now, world.now):
        if budget:
            times.append(float(_left(world, budget, rates, gpus) / rate))
        if shared:
            left = _left_of(world, shared, rates, gpus)
            times.append(float(left / (rate + shared.rate)))
    if (budget or shared) and (change := prices.change(rates, world.now)):
        times.append((change - world.now).total_seconds())
    return max(min(times), min(SOON, world.every))


def _control(world: World) -> Control:
    """The fields of the spec that every kind has. Raises TypeError if the spec is not valid."""
    if world.resource is None:
        raise TypeError(f"{world.key} is not valid")
    spec: Control = world.resource.spec
    return spec


def _suspended(world: World) -> Hold:
    return Hold(
        SUSPENDED,
        f"spec.suspend is true; set it to false to go on{_from(world)}",
    )


def _from(world: World) -> str:
    """From where it would go on."""
    steps = [a.checkpoint_step for a in world.status.attempts if a.checkpoint_step]
    return f" from the checkpoint of step {steps[-1]}" if steps else ""


def _over_budget(world: World, budget: Budget, placement: Placement) -> Hold:
    spent = _spent(world)
    fails = budget.on_exceeded is OnExceeded.FAIL
    remedy = (
        "raise it and set the annotation cupola.dev/retry to a new word" if fails else "raise it"
    )
    return Hold(
        BUDGET,
        f"{spent.normalize():f} of spec.budget.maxCost {budget.max_cost} {placement.currency} is "
        f"spent{_earlier(world)}, and what is left is what it may cost to save and stop; to go on{_from(world)}, "
        f"{remedy}",
        fails=fails,
    )


def _over_shared(world: World, shared: namespace.Account, stop: Decimal) -> Hold:
    """Held by the budget of the namespace; only if others may need what is left, it waits for them."""
    waits = shared.left + shared.unseen > stop
    return Hold(NAMESPACE, *(namespace.crowded if waits else namespace.spent)(world, shared))


class _Deadline(NamedTuple):
    at: datetime
    said: str


def _deadline(world: World) -> _Deadline | None:
    """When the run must be over, and what says so."""
    longest, run = namespace.longest(world), world.status.run
    started = time_of(run.started_at) if longest and run else None
    if not longest or not started:
        return None
    try:
        return _Deadline(started + timedelta(seconds=longest[1]), longest[0])
    except OverflowError:  # beyond the calendar
        return None


def _left(world: World, budget: Budget, rates: Rates, gpus: int) -> Decimal:
    """Money that may still be spent before it is time to save and stop."""
    return Decimal(budget.max_cost) - _spent(world) - _stop(world, rates, gpus)


def _left_of(world: World, shared: namespace.Account, rates: Rates, gpus: int) -> Decimal:
    """Money that the namespace may still spend before it is time that all of it saves and stops."""
    others = shared.rate * _NEEDED
    return shared.left - others - _stop(world, rates, gpus)


def _stop(world: World, rates: Rates, gpus: int) -> Decimal:
    """What it may cost to save and stop."""
    rate = _rate(rates, gpus, world.now, world.now + timedelta(seconds=_NEEDED))
    return _NEEDED * rate


def _spent(world: World) -> Decimal:
    """What a budget counts: the run so far, and what earlier resources of its name spent on it."""
    run = world.status.run
    before = Decimal(run.spent_before or 0) if run else Decimal(0)
    return sum((Decimal(attempt.cost or 0) for attempt in world.status.attempts), before)


def _earlier(world: World) -> str:
    """What of that was spent before the resource was made anew."""
    run = world.status.run
    if run is None or not run.spent_before:
        return ""
    return (
        f" ({run.spent_before} of it by earlier resources of this name; a raised spec.revision begins "
        "a new run)"
    )


def _rates(placement: Placement) -> Rates | None:
    """The prices of the pool that it is on; None if the run has no money."""
    return prices.rates(placement.pool) if prices.priced(placement) else None


def _rate(rates: Rates, gpus: int, begin: datetime, end: datetime) -> Decimal:
    """Money a second between two times, at most: also where no node can be taken away."""
    return gpus * Decimal(prices.highest(rates, begin, end)) / prices.MILLION / _HOUR
