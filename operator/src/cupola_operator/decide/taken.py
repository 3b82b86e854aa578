"""What a finished run took, beside what was planned."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from cupola_api.amounts import Amount
from cupola_api.common import Attempt, Phase, Status
from cupola_api.forecast import Actual, Forecast, Projection, Range
from cupola_operator.children import time_of
from cupola_operator.cost.ledger import amount
from cupola_operator.decide.verdict import Verdict
from cupola_operator.world import World

_HOUR = 3600

_LARGEST = 1e9
"""A loss beyond it, or none that is finite, is no figure."""


def compared(world: World, verdict: Verdict, step_seconds: float | None = None) -> Verdict:
    """The verdict; of a run that has its artifact, with what it took in status.plan.actual.

    `step_seconds`: the mean that its last attempt said at its end; without it that of the last
    projection counts.
    """
    status = verdict.status
    ended = verdict.phase in (Phase.SUCCEEDED, Phase.FAILED)
    if status is None or status.plan is None or status.artifact is None or not ended:
        return verdict
    found = _actual(world, status, status.plan, step_seconds)
    plan = status.plan.model_copy(update={"actual": found, "projection": None})
    return verdict._replace(status=status.model_copy(update={"plan": plan}))


def seconds_of(attempt: Attempt, now: datetime) -> float:
    """How long an attempt has had pods, or had them until it ended."""
    start, end = time_of(attempt.started_at), time_of(attempt.ended_at)
    return max(0.0, ((end or now) - start).total_seconds()) if start else 0.0


def _actual(world: World, status: Status, plan: Forecast, step_seconds: float | None) -> Actual:
    cost = status.cost
    last = world.status.plan.projection if world.status.plan else None
    step = _step(last, step_seconds)
    held = sum(seconds_of(attempt, world.now) for attempt in status.attempts)
    figures: dict[str, Amount | None] = {
        "gpu_hours": cost.gpu_hours if cost else None,
        "wall_clock_hours": amount(Decimal(repr(held / _HOUR))) if status.attempts else None,
        "cost": cost.accrued if cost else None,
        "energy_kwh": cost.energy_kwh if cost else None,
        "step_seconds": step,
        "mfu": _mfu(plan, step),
        "loss": _loss(status),
    }
    ranges = {name: getattr(plan, name) for name in figures}
    outside = [
        Actual.model_fields[name].alias or name
        for name, value in figures.items()
        if value is not None and not _within(Decimal(value), ranges[name])
    ]
    return Actual(**figures, outside=outside)


def _within(value: Decimal, planned: Range | None) -> bool:
    """Whether a figure is what was planned; where nothing was, there is nothing to miss."""
    return planned is None or Decimal(planned.low) <= value <= Decimal(planned.high)


def _step(last: Projection | None, said: float | None) -> Amount | None:
    if said is not None:
        return amount(Decimal(repr(said)))
    return last.step_seconds.expected if last else None


def _mfu(plan: Forecast, step: Amount | None) -> Amount | None:
    """The planned utilisation at the planned time of a step, at the measured one."""
    if step is None or plan.mfu is None or plan.step_seconds is None or not Decimal(step):
        return None
    return amount(Decimal(plan.mfu.expected) * Decimal(plan.step_seconds.expected) / Decimal(step))


def _loss(status: Status) -> Amount | None:
    """Of held-out text, or else of the last steps, as a training says it."""
    model = getattr(status, "model", None)
    if model is None:
        return None
    loss = model.train_loss if model.validation_loss is None else model.validation_loss
    return amount(Decimal(repr(loss))) if loss is not None and abs(loss) < _LARGEST else None
