"""A plan as it stands in the status of a resource: bounded, and exact to six digits."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from cupola_api.forecast import Forecast, Range
from cupola_operator.plan.answers.plan import Plan, Training
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money.bill import Bill
from cupola_operator.plan.money.price import Money, rounded

_NOTES = 8
_LONGEST = 512

_LARGEST = 2**53
"""Counts above it are no whole numbers in JSON."""

_SMALLEST = Decimal("1e-12")
_DIGITS = 40


def of(plan: Plan) -> Forecast:
    """The forecast of a plan. A figure that is larger than a status can hold is left out."""
    figures = {**_training(plan.training), **_bill(plan.bill)}
    if plan.training and plan.machine.gpu.name != "cpu":  # memory of a host is not known as exactly
        memory = plan.training.memory
        figures["memory_at_least"] = _count(memory.weights + memory.optimizer)
    return Forecast(
        pool=plan.machine.name,
        nodes=plan.nodes,
        devices=plan.devices,
        notes=notes(plan.notes),
        **figures,
    )


def notes(sentences: Sequence[str]) -> list[str]:
    """The sentences, as many and as long as a status can hold."""
    return [
        one if len(one) <= _LONGEST else f"{one[: _LONGEST - 3]}..." for one in sentences[:_NOTES]
    ]


def _training(training: Training | None) -> dict[str, object]:
    if training is None:
        return {}
    found: dict[str, object] = {
        "parameters": _count(training.parameters),
        "memory_per_gpu": _count(training.memory.total),
        "memory_capacity": _count(training.capacity),
        "loss": _range(training.loss),
    }
    if training.fits:
        found |= {"step_seconds": _range(training.step_seconds), "mfu": _range(training.mfu)}
    if training.whole:
        found |= {
            "tokens": _count(training.tokens),
            "steps": _count(training.steps),
            "flops": str(training.flops) if training.flops < 10**_DIGITS else None,
        }
    return found


def _bill(bill: Bill | None) -> dict[str, object]:
    if bill is None:
        return {}
    cost = bill.on_demand
    return {
        "gpu_hours": _range(bill.device_hours),
        "wall_clock_hours": _range(bill.wall_clock_hours),
        "energy_kwh": _range(bill.energy.kwh),
        "cost": _money(cost),
        "currency": cost.currency if cost else None,
    }


def _count(value: int) -> int | None:
    return value if value <= _LARGEST else None


def _range(estimate: Estimate | None) -> Range | None:
    if estimate is None:
        return None
    return _of([Decimal(f"{value:.6g}") for value in estimate.ends])


def _money(amount: Money | None) -> Range | None:
    if amount is None:
        return None
    return _of([rounded(value) for value in (amount.low, amount.expected, amount.high)])


def _of(ends: Sequence[Decimal]) -> Range | None:
    texts = [f"{_plain(value):f}" for value in ends]
    if any(len(text) > _DIGITS for text in texts):
        return None
    low, expected, high = texts
    return Range(low=low, expected=expected, high=high)


def _plain(value: Decimal) -> Decimal:
    """Without digits that nobody needs: a trillionth at least, no zeros at the end."""
    return value.quantize(_SMALLEST).normalize() if abs(value) < 1 else value.normalize()
