"""The plan of a model of a size on a number of tokens, without a resource: with the best layout.

The search is free to use every kind of parallelism. What runs from a PretrainJob is what its spec
says; `pretraining` plans that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cupola_api.quantities import people
from cupola_api.run import Shape
from cupola_operator.plan import Refused, shape
from cupola_operator.plan.anatomy import flops
from cupola_operator.plan.anatomy.memory import Precision
from cupola_operator.plan.anatomy.model import of_shape
from cupola_operator.plan.answers import loss, training
from cupola_operator.plan.answers.plan import Alternative, Plan
from cupola_operator.plan.answers.training import UNSAID, Prices, Work, steps_for
from cupola_operator.plan.schedule import TOKENS_PER_PARAMETER
from cupola_operator.plan.speed import search
from cupola_operator.plan.speed.hardware import Machine

LONGEST_DAYS = 30.0
"""Where the number of GPUs is left open, as many are taken as end within so many days."""

LARGEST_BATCH = 16 * 2**20
"""Tokens of the largest batch: that of Llama 3 405B (arXiv 2407.21783, section 3.4.1)."""

MOST_GPUS = 16_384
"""No more are taken where the number is left open: those of Llama 3 405B."""

_USUAL_MFU = 0.4
_SHOWN = 10


@dataclass(frozen=True)
class Asked:
    """What a command line asks for."""

    machine: Machine
    size: int
    tokens: int | None = None
    """None: 20 for each parameter."""
    gpus: int | None = None
    """None: as many as end within `LONGEST_DAYS`."""
    available: int | None = None
    """GPUs that the pool has; None: as many as are asked for, as of a cloud."""
    context: int = 4096
    vocabulary: int = 32_000
    precision: Precision = "BF16"
    prices: Prices = UNSAID
    law: loss.Own | None = None
    """The scaling law of one's own data; None: the published one."""


def plan(asked: Asked) -> Plan:
    """The fastest layout that fits. Refuses with NothingFits, NoLayout, and an odd size."""
    form = shape_of(asked)
    tokens = asked.tokens or round(TOKENS_PER_PARAMETER * shape.parameters(form))
    if asked.gpus:
        if asked.available and asked.gpus > asked.available:
            raise Refused(
                "PoolTooSmall",
                f"{asked.machine.name} has {asked.available:,} devices, and {asked.gpus:,} are asked for; "
                f"say {asked.available:,} at most",
            )
        return on(asked, form, tokens, asked.gpus)
    last: Refused | None = None
    found: Plan | None = None
    for count in _counts(asked, form, tokens):
        try:
            found = on(asked, form, tokens, count)
        except Refused as refused:
            last = refused
        else:
            if found.bill and found.bill.wall_clock_hours.expected <= LONGEST_DAYS * 24:
                break
    if found is None:
        raise last or Refused("NothingFits", "no layout fits; say how many GPUs with --gpus")
    return _with_note(found)


def shape_of(asked: Asked) -> Shape:
    """The shape of so many parameters. Refuses one that is twice off."""
    return shape.of_size(asked.size, vocabulary=asked.vocabulary, context=asked.context)


def on(asked: Asked, form: Shape, tokens: int, gpus: int) -> Plan:
    """The plan on so many GPUs. Refuses if nothing fits."""
    work, found = _best(asked, asked.machine, form, tokens, gpus)
    planned = training.plan(work, asked.prices)
    lost = [Alternative(one.family, one.reason) for one in found.lost[:_SHOWN]]
    notes = (*planned.notes, *training.of_other_prices(asked.machine, planned.bill))
    return replace(planned, devices=gpus, alternatives=tuple(lost), notes=notes)


def elsewhere(asked: Asked, found: Plan, machines: list[Machine]) -> list[Alternative]:
    """The same training on as many GPUs of other machines, the cheaper ones first.

    Where the GPUs that are `available` are limited, so are those of the other machines.
    """
    if found.training is None:
        return []
    form, tokens = shape_of(asked), found.training.tokens
    others = []
    for machine in machines:
        what = f"{found.devices:,} {machine.gpu.title} ({machine.name})"
        if asked.available and found.devices > machine.world:
            others.append(Alternative(what, f"it has {machine.world:,} devices"))
            continue
        try:
            work, _ = _best(asked, machine, form, tokens, found.devices)
        except Refused as refused:
            others.append(Alternative(what, refused.message))
            continue
        one = training.alternative(what, "another machine was asked for", work)
        now = found.bill.on_demand if found.bill else None
        if one.cost and now and one.cost.currency == now.currency:
            times = float(one.cost.expected / now.expected)
            one = replace(one, reason=f"{times:.2f} times the cost; another machine was asked for")
        others.append(one)
    return sorted(others, key=lambda one: one.cost.expected if one.cost else math.inf)


def batch_of(form: Shape, tokens: int, gpus: int) -> int:
    """Sequences a step: DeepSeek's law (see `schedule`), as the nearest power of two.

    No more than `LARGEST_BATCH` tokens or would leave a hundred steps, and no fewer than lets an
    eighth of the GPUs have one.
    """
    compute = float(shape.flops_per_token(form)) * tokens
    wanted = min(LARGEST_BATCH, 0.2920 * compute**0.3271) / form.context
    most = max(1.0, tokens / form.context / 100)
    return 1 << max(0, round(math.log2(min(max(wanted, gpus / 8), most))))


def _best(
    asked: Asked, machine: Machine, form: Shape, tokens: int, gpus: int
) -> tuple[Work, search.Found]:
    model = of_shape(form)
    there = machine.of(gpus)
    batch = batch_of(form, tokens, gpus)
    found = search.best(search.Question(model, there, batch, gpus, asked.precision))
    work = Work(
        kind="Model",
        name=f"{people(asked.size)} on {people(tokens)} tokens",
        model=model,
        layout=found.layout,
        machine=there,
        steps=steps_for(tokens, found.layout.global_batch, form.context),
        precision=asked.precision,
        law=asked.law,
    )
    return work, found


def _counts(asked: Asked, form: Shape, tokens: int) -> Iterator[int]:
    """Numbers of GPUs to try: whole nodes that might do, by a usual utilisation; then twice as many."""
    work = flops.training(of_shape(form)).total / form.context * tokens
    rate = asked.machine.gpu.flops(asked.precision) * _USUAL_MFU
    wanted = work / rate / (LONGEST_DAYS * 86_400) / 2
    nodes = 1 << max(0, math.floor(math.log2(max(1.0, wanted / asked.machine.gpus))))
    most = min(MOST_GPUS, asked.available or MOST_GPUS)
    count = nodes * asked.machine.gpus
    while count < most:
        yield count
        count *= 2
    yield most


def _with_note(found: Plan) -> Plan:
    """The plan with why it has so many GPUs."""
    hours = found.bill.wall_clock_hours.expected if found.bill else 0.0
    why = f"as they end within {LONGEST_DAYS:g} days"
    if hours > LONGEST_DAYS * 24:
        why = f"though they need more than {LONGEST_DAYS:g} days"
    note = f"{found.devices:,} GPUs are taken, {why}; say another number with --gpus"
    return replace(found, notes=(note, *found.notes))
