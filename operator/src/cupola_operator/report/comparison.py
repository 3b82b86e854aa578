"""What was planned of a run, what its measured steps let expect, and what it took."""

from __future__ import annotations

from decimal import Decimal

from cupola_api.amounts import Amount
from cupola_api.common import Status
from cupola_api.forecast import Actual, Forecast, Range
from cupola_operator.report import words
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Html, el, paragraph, table
from cupola_operator.report.section import Section

_FIGURES = {
    "gpu_hours": "Device hours",
    "wall_clock_hours": "Hours",
    "cost": "Cost",
    "energy_kwh": "Energy, kWh",
    "step_seconds": "Seconds of a step",
    "mfu": "MFU",
    "loss": "Loss, nats a token",
}
"""Fields of status.plan -> what people call them."""

_CAUSES = {
    "lost_work": "work that was lost",
    "start_up": "start-up",
    "checkpoint": "waiting for checkpoints",
    "evaluation": "validation",
    "idle": "devices held idle",
}
_NEAR = Decimal("0.1")
"""A difference of a smaller share needs no reason."""


def sections(subject: Subject) -> list[Section]:
    """The comparison, where there is a plan."""
    plan = subject.status.plan
    rows = _rows(plan) if plan else []
    if plan is None or not rows:
        return []
    body: list[Html | None] = [
        table(("Figure", "Planned", "Range", "Measured", "In the range"), rows, numeric=(1, 3))
    ]
    if reason := reason_of(subject.status):
        body.append(paragraph(reason))
    body += [el("p", f"{note}.", class_="quiet") for note in plan.notes]
    return [Section("Plan and what it took", body)]


def reason_of(status: Status) -> str:
    """What most of a training's difference in device time is; empty if that is small or not known."""
    plan = status.plan
    actual = plan.actual if plan else None
    if plan is None or plan.gpu_hours is None or actual is None or actual.gpu_hours is None:
        return ""
    expected = Decimal(plan.gpu_hours.expected)
    more = Decimal(actual.gpu_hours) - expected
    if abs(more) < _NEAR * expected or not (
        plan.step_seconds and plan.steps and actual.step_seconds
    ):
        return ""
    step, took = Decimal(plan.step_seconds.expected), Decimal(actual.step_seconds)
    hours = Decimal(plan.steps) * plan.devices / 3600
    steps = (took - step) * hours
    beside = {name: _spent(status, field) for field, name in _CAUSES.items()}
    rest = sum(beside.values(), Decimal(0)) - max(Decimal(0), expected - step * hours)
    if steps * more > 0 and (steps - rest) * more >= 0:
        why = f"the time of its steps, {took / step:.2f} times the expected one"
    elif rest * more <= 0:
        return ""
    elif more > 0:
        why = max(beside, key=lambda name: beside[name])
    else:
        why = "less start-up, saving and lost work than expected"
    share = f"{abs(more / expected):.0%} {'more' if more > 0 else 'fewer'}" if expected else "more"
    return f"It took {share} device hours than expected, most of it for {why}."


def _spent(status: Status, cause: str) -> Decimal:
    """Device hours that went into a cause."""
    known = [attempt.causes for attempt in status.attempts if attempt.causes]
    return sum((Decimal(getattr(one, cause)) for one in known), Decimal(0)) / 3600


def _rows(plan: Forecast) -> list[tuple[str, str, str, str, str]]:
    actual = plan.actual
    rows = []
    for field, name in _FIGURES.items():
        planned: Range | None = getattr(plan, field)
        measured: Amount | None = getattr(actual, field) if actual else None
        if planned is None and measured is None:
            continue
        unit = f" {plan.currency}" if field == "cost" and plan.currency else ""
        span = f"{_short(planned.low)} to {_short(planned.high)}" if planned else words.NONE
        rows.append(
            (
                name + unit.replace(" ", ", "),
                _short(planned.expected) if planned else words.NONE,
                span,
                _short(measured) if measured else words.NONE,
                _held(field, planned, actual, measured),
            )
        )
    return rows


def _held(field: str, planned: Range | None, actual: Actual | None, measured: Amount | None) -> str:
    if planned is None or actual is None or measured is None:
        return words.NONE
    return "no" if Actual.model_fields[field].alias in actual.outside else "yes"


def _short(value: Amount) -> str:
    return words.number(float(value))
