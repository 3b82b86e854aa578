"""What status.plan says, as metrics: what was planned, what is projected now, what it took."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from cupola_api.amounts import Amount
from cupola_api.forecast import Actual, Forecast, Projection, Range
from cupola_operator.children import time_of
from cupola_operator.measure.table import BOUNDS, FIGURES

_HOUR = Decimal(3600)
_KWH = Decimal(3_600_000)

Sample = tuple[str, dict[str, str], float]


class _Figure(NamedTuple):
    """A field of a forecast, the end of its metric's name, and how many base units one is."""

    field: str
    name: str
    factor: Decimal = Decimal(1)


_SPANS = (
    _Figure("gpu_hours", "gpu_seconds", _HOUR),
    _Figure("wall_clock_hours", "duration_seconds", _HOUR),
    _Figure("energy_kwh", "energy_joules", _KWH),
    _Figure("step_seconds", "step_seconds"),
    _Figure("mfu", "mfu_ratio"),
    _Figure("loss", "loss_nats"),
)


def samples(plan: Forecast, currency: str | None) -> Iterator[Sample]:
    """What a plan says in numbers; `currency` of the run's money, where it has any."""
    yield from _spans("planned", plan)
    yield from _money("planned", plan.cost, plan.currency)
    if plan.projection:
        yield from _spans("projected", plan.projection)
        yield from _money("projected", plan.projection.cost, currency)
        for bound in BOUNDS:
            if end := time_of(getattr(plan.projection.end, bound)):
                name = "cupola_run_projected_end_timestamp_seconds"
                yield name, {"bound": bound}, end.timestamp()
    if plan.actual:
        yield from _actual(plan.actual)


def _spans(stage: str, of: Forecast | Projection) -> Iterator[Sample]:
    for one in _SPANS:
        span = getattr(of, one.field, None)
        if span is not None:
            for bound in BOUNDS:
                value = Decimal(getattr(span, bound)) * one.factor
                yield f"cupola_run_{stage}_{one.name}", {"bound": bound}, float(value)


def _money(stage: str, cost: Range | None, currency: str | None) -> Iterator[Sample]:
    if cost and currency:
        for bound in BOUNDS:
            labels = {"currency": currency, "bound": bound}
            yield f"cupola_run_{stage}_cost", labels, float(getattr(cost, bound))


def _actual(actual: Actual) -> Iterator[Sample]:
    """What has no other series: money, energy and device time are those of the ledger."""
    figures: dict[str, tuple[Amount | None, Decimal]] = {
        "duration_seconds": (actual.wall_clock_hours, _HOUR),
        "step_seconds": (actual.step_seconds, Decimal(1)),
        "mfu_ratio": (actual.mfu, Decimal(1)),
        "loss_nats": (actual.loss, Decimal(1)),
    }
    for name, (value, factor) in figures.items():
        if value is not None:
            yield f"cupola_run_actual_{name}", {}, float(Decimal(value) * factor)
    for figure in FIGURES:
        yield "cupola_run_outside_plan", {"figure": figure}, float(figure in actual.outside)
