"""A plan in words and rows of figures, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from cupola_api.quantities import people
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.answers.plan import Alternative, Option, Plan, Training
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money.bill import Bill
from cupola_operator.plan.money.price import Money
from cupola_operator.report import words

GIB = 2**30


def headline(plan: Plan) -> str:
    """What is planned, and where."""
    what = (
        plan.name if plan.kind in ("Model", "Budget", "Generation") else f"{plan.kind}/{plan.name}"
    )
    gpu = plan.machine.gpu
    devices = words.plural(plan.devices, "device")
    place = f"{devices} of {plan.machine.name} ({gpu.title})"
    return f"{what}: {place}, {words.plural(plan.nodes, 'node')}"


def described(training: Training) -> list[str]:
    """The training in sentences."""
    model, layout = training.model, training.layout
    shape = (
        f"{people(training.parameters)} parameters ({training.parameters:,}): "
        f"{words.plural(model.layers, 'layer')}, hidden {model.hidden:,}, "
        f"{words.plural(model.heads, 'head')}, {model.kv_heads} of keys and values, "
        f"feed-forward {model.ffn:,}, vocabulary {model.vocabulary:,}, context {model.context:,}"
    )
    if training.trainable != training.parameters:
        shape += f"; {people(training.trainable)} of them are trained"
    work = f"{training.flops:.3g} FLOPs (6 N D: {training.six_nd:.3g})"
    if training.whole:
        steps = f"{training.steps:,} steps of {people(training.batch_tokens)}"
        work = f"{people(training.tokens)} tokens in {steps}: {work}"
    else:
        work = f"a step is {people(training.batch_tokens)} tokens at most: {work}"
    return [shape, work, f"layout: {spelled(layout)}, {training.precision}"]


def spelled(layout: Layout) -> str:
    """A layout, in the field's words."""
    parts = [f"data {layout.data}"]
    parts += [
        f"{name} {degree}"
        for name, degree in (
            ("tensor", layout.tensor),
            ("pipeline", layout.pipeline),
            ("virtual stages", layout.virtual),
            ("sequence", layout.sequence),
        )
        if degree > 1
    ]
    parts.append(f"ZeRO {layout.zero}")
    if layout.checkpointing != "None":
        parts.append(f"{layout.checkpointing.lower()} recomputation")
    if layout.offload != "None":
        parts.append(f"{layout.offload.lower()} offloaded")
    parts.append(f"micro-batch {layout.micro_batch} x {layout.accumulation}")
    return ", ".join(parts)


def ranges(plan: Plan) -> list[tuple[str, str, str, str]]:
    """The ranges: name, low, expected, high."""
    rows: list[tuple[str, str, str, str]] = []
    if plan.bill:
        rows += _of_bill(plan.bill)
    if plan.training:
        rows += _of_training(plan.training)
    return rows


def _of_bill(bill: Bill) -> list[tuple[str, str, str, str]]:
    rows = [
        _row("Wall clock", bill.wall_clock_hours, lambda hours: words.duration(hours * 3600)),
        _row("GPU hours", bill.device_hours, count),
    ]
    rows += _money("Cost", bill.on_demand)
    rows += _money("Cost, reserved", bill.reserved)
    if bill.spot:
        rows += _money("Cost, spot", bill.spot.cost)
        rows.append(_row("Preemptions on spot", bill.spot.preemptions, count))
    rows.append(_row("Energy, kWh", bill.energy.kwh, count))
    rows += _money("Electricity, if you pay it", bill.electricity)
    rows.append(_row("CO2, kg", bill.energy.co2_kg, count))
    if met := bill.reliability:
        rows.append(_row("Failures", met.failures, count))
        rows.append(_row("Goodput", met.goodput, lambda share: f"{share:.1%}"))
        rows.append(_row("Best time between checkpoints", met.interval, words.duration))
    if bill.ownership:
        low, expected, high = (
            "never" if hours is None else f"{hours:,.0f} h a GPU"
            for hours in bill.ownership.break_even_hours
        )
        rows.append(("Owning is cheaper after", low, expected, high))
    return rows


def _of_training(training: Training) -> list[tuple[str, str, str, str]]:
    rows = []
    if training.fits:
        rows.append(_row("Model FLOPs utilisation", training.mfu, lambda share: f"{share:.1%}"))
    if training.loss:
        rows.append(_row("Loss, nats a token", training.loss, lambda nats: f"{nats:.3f}"))
    checkpoint = f"{training.checkpoint_bytes / 1e9:,.3g} GB"
    rows.append(("Checkpoint", "", checkpoint, ""))
    return rows


def memory(training: Training) -> list[tuple[str, str]]:
    """Memory by part, and what there is."""
    used = training.memory
    parts = {**used.parts, f"together, of {training.capacity / GIB:,.1f}": used.total}
    return [(name, f"{size / GIB:,.2f}") for name, size in parts.items()]


def options(plan: Plan) -> list[tuple[str, str, str, str]]:
    """Other sizes, splits or ways of tuning."""
    return [_option(one) for one in plan.options]


def _option(one: Option) -> tuple[str, str, str, str]:
    return (
        f"{'> ' if one.chosen else '  '}{one.what}",
        few(one.device_hours, count) if one.device_hours else words.NONE,
        span(one.cost) if one.cost else words.NONE,
        few(one.loss, lambda nats: f"{nats:.3f}") if one.loss else words.NONE,
    )


def alternatives(plan: Plan) -> list[tuple[str, str, str, str]]:
    """Other places and layouts, and why they lost."""
    return [_alternative(one) for one in plan.alternatives]


def _alternative(one: Alternative) -> tuple[str, str, str, str]:
    hours = one.wall_clock_hours
    return (
        one.what,
        few(hours, lambda each: words.elapsed(each * 3600)) if hours else "",
        span(one.cost) if one.cost else "",
        one.reason,
    )


def count(value: float) -> str:
    """A number of things, three digits at least."""
    return f"{value:,.0f}" if value >= 100 else words.number(value, 3)


def money(amount: Decimal, currency: str) -> str:
    """Money without cents where they do not matter."""
    return f"{amount:,.0f} {currency}" if amount >= 1000 else words.money(amount, currency)


def few(estimate: Estimate, shown: Callable[[float], str]) -> str:
    """`expected (low to high)`."""
    low, expected, high = (shown(value) for value in estimate.ends)
    return f"{expected} ({low} to {high})"


def span(amount: Money) -> str:
    """An amount with its range: `150 USD (120 to 190)`."""
    low, high = (
        money(end, amount.currency).removesuffix(f" {amount.currency}")
        for end in (amount.low, amount.high)
    )
    return f"{money(amount.expected, amount.currency)} ({low} to {high})"


def _money(name: str, amount: Money | None) -> list[tuple[str, str, str, str]]:
    if amount is None:
        return []
    low, expected, high = (
        money(one, amount.currency) for one in (amount.low, amount.expected, amount.high)
    )
    return [(name, low, expected, high)]


def _row(name: str, estimate: Estimate, shown: Callable[[float], str]) -> tuple[str, str, str, str]:
    low, expected, high = (shown(value) for value in estimate.ends)
    return name, low, expected, high
