"""Why a run may not hold devices now, though nothing failed: suspended, out of budget, out of time."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from cupola_api.common import Attempt, Phase
from cupola_api.control import Budget, Control, OnExceeded
from cupola_api.quantities import seconds
from cupola_operator.build.pod import GRACE_SECONDS
from cupola_operator.children import Placement, text_of, time_of
from cupola_operator.decide.resolve import LISTING
from cupola_operator.decide.verdict import SOON, Verdict
from cupola_operator.world import World

SUSPENDED, DEADLINE, BUDGET = "Suspended", "DeadlineExceeded", "BudgetExceeded"

STOPPED = {
    SUSPENDED: "it was stopped because spec.suspend was true",
    DEADLINE: "it was stopped because spec.deadline was over",
    BUDGET: "it was stopped before it would have cost more than spec.budget.maxCost",
}
"""What is said of an attempt that a hold ended, by reason."""

_HOUR = 3600

_NOTICE = 10
"""Seconds that may pass between the last look and SIGTERM in the pods."""


class Hold(NamedTuple):
    """Why a run stops: with a checkpoint, and what becomes of it then."""

    reason: str
    message: str
    fails: bool = False
    """Whether the run has Failed; else it is Suspended until a person changes what holds it."""

    def verdict(self) -> Verdict:
        """Where a run stands that is held, when nothing of it runs any more."""
        return Verdict(Phase.FAILED if self.fails else Phase.SUSPENDED, self.reason, self.message)


def before_start(world: World) -> Verdict | None:
    """A run with spec.suspend is not resolved: phase and condition Suspended.

    What runs was resolved, and is stopped as an attempt; if somebody deleted the run's ConfigMap, it
    is resolved once more for that.
    """
    if world.is_resolved() or world.is_resolved(LISTING) or not _control(world).suspend:
        return None
    begun = any(attempt.outcome is None for attempt in world.status.attempts)
    if begun or world.jobs or any(pod.lingers(world.now) for pod in world.pods):
        return None
    return _suspended(world).verdict()


def of(world: World, placement: Placement, gpus: int) -> Hold | None:
    """What holds a run that would have `gpus` devices, or None.

    - spec.suspend: Suspended, until it is false.
    - spec.deadline, counted from status.run.startedAt: Failed, DeadlineExceeded.
    - spec.budget: what has been spent, with the price of the time that stopping may take (the grace
      of a pod, and some seconds until it begins), must not reach maxCost. Suspended until maxCost is raised, or Failed, as
      onExceeded says; reason BudgetExceeded.
    """
    spec = _control(world)
    if spec.suspend:
        return _suspended(world)
    end = _deadline(world)
    if end and end <= world.now:
        return Hold(
            DEADLINE,
            f"spec.deadline of {spec.deadline} was over at {text_of(end)}; to go on{_from(world)}, raise "
            "it and set the annotation cupola.dev/retry to a new word",
            fails=True,
        )
    if spec.budget and _left(world, spec.budget, placement, gpus) <= 0:
        return _over_budget(world, spec.budget, placement)
    return None


def again(world: World, placement: Placement, gpus: int) -> float:
    """Seconds until a running attempt is looked at again, so that nothing holds it much too late."""
    times = [world.every]
    if end := _deadline(world):
        times.append((end - world.now).total_seconds())
    if (budget := _control(world).budget) and (rate := _rate(placement, gpus)):
        times.append(float(_left(world, budget, placement, gpus) / rate))
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
    spent = _accrued(world.status.attempts)
    fails = budget.on_exceeded is OnExceeded.FAIL
    remedy = (
        "raise it and set the annotation cupola.dev/retry to a new word" if fails else "raise it"
    )
    return Hold(
        BUDGET,
        f"{spent.normalize():f} of spec.budget.maxCost {budget.max_cost} {placement.currency} is "
        f"spent, and what is left is what it may cost to save and stop; to go on{_from(world)}, "
        f"{remedy}",
        fails=fails,
    )


def _deadline(world: World) -> datetime | None:
    """When the run must be over."""
    length, run = _control(world).deadline, world.status.run
    started = time_of(run.started_at) if length and run else None
    try:
        return started + timedelta(seconds=seconds(length)) if length and started else None
    except OverflowError:  # beyond the calendar
        return None


def _left(world: World, budget: Budget, placement: Placement, gpus: int) -> Decimal:
    """Money that may still be spent before it is time to save and stop."""
    spent = _accrued(world.status.attempts)
    return Decimal(budget.max_cost) - spent - (GRACE_SECONDS + _NOTICE) * _rate(placement, gpus)


def _accrued(attempts: list[Attempt]) -> Decimal:
    return sum((Decimal(attempt.cost) for attempt in attempts), Decimal(0))


def _rate(placement: Placement, gpus: int) -> Decimal:
    """Money a second."""
    return gpus * placement.pool.price / _HOUR
