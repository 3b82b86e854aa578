"""The plan of synthetic text: so many tokens that a model of a size writes as training data.

Copies of the model on all devices, each on as few as hold it or as write most, with as many answers side
by side as their keys and values leave room for. An endpoint that is paid by the token stands beside.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from cupola_api.quantities import people
from cupola_operator.plan import Refused
from cupola_operator.plan.anatomy import parameters
from cupola_operator.plan.anatomy.model import Model, of_shape
from cupola_operator.plan.answers import assumed, copies, sized, training, writing
from cupola_operator.plan.answers.copies import AT_ONCE, USED, Text
from cupola_operator.plan.answers.plan import Alternative, Generation, Plan
from cupola_operator.plan.answers.sized import Asked
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import bill
from cupola_operator.plan.money.price import Money
from cupola_operator.plan.speed.hardware import Machine

REACHED = Estimate(1.2, 1.5, 2.4)
"""Time over that of the roofline, for an engine that batches answers as they come.

The least, about the median and the most of ten published throughputs of Llama 7B to 70B in 16 bits on A100 and
H100: 1.2 to 1.7 with TensorRT-LLM (NVIDIA's performance pages of 2023 and of v0.14), 2.2 and 2.4 with vLLM
0.6.0 (Lambda 2024); tests/operator/plan/test_writing.py computes them. An engine that waits for its host
between tokens takes longer: vLLM 0.5.4 took 6.4 times.
"""

WRITTEN = Estimate(1.0, 1.0, 1.25)
"""Tokens that are written for one that is asked for: in the high case one of five goes, as its answer is cut
off, empty or filtered out. An assumption."""

_MILLION = 1_000_000


@dataclass(frozen=True)
class Endpoint:
    """A service that writes, paid by the token."""

    read: Decimal
    """Price of a million tokens of prompts."""
    written: Decimal
    """Price of a million tokens of answers."""
    currency: str

    def cost(self, text: Text) -> Money:
        """What the text costs there."""
        prompts = text.answers * text.prompt
        once = (prompts * self.read + text.tokens * self.written) / _MILLION
        low, expected, high = (once * Decimal(repr(times)) for times in WRITTEN.ends)
        return Money(low, expected, high, self.currency)


def plan(
    asked: Asked, text: Text, *, others: Sequence[Machine] = (), endpoint: Endpoint | None = None
) -> Plan:
    """The plan of writing the text with a model of `asked.size`; `asked.tokens` is not read.

    Refuses with ContextTooShort, PoolTooSmall, NothingFits and an odd size.
    """
    _possible(asked, text)
    model = of_shape(sized.shape_of(asked))
    if asked.gpus:
        found = _on(asked, asked.machine, model, text, asked.gpus)
    else:
        found = _as_many_as_needed(asked, model, text)
    more: list[Alternative] = []
    if endpoint:
        more.append(_bought(found, text, endpoint))
    more += [_elsewhere(asked, found, model, text, machine) for machine in others]
    return replace(found, alternatives=tuple(more))


def besides(asked: Asked) -> str | None:
    """What a billion tokens by a model of `asked.size` would cost, in a sentence; None if it fits nowhere."""
    text = Text(1_000_000_000)
    context = max(asked.context, text.prompt + text.answer)
    try:
        found = plan(replace(asked, gpus=None, context=context), text)
    except Refused:
        return None
    if found.bill is None:
        return None
    hours = found.bill.device_hours
    said = f"{_few(hours.ends)} GPU hours"
    if cost := found.bill.on_demand:
        said += f", {_few((cost.low, cost.expected, cost.high))} {cost.currency}"
    return (
        f"a billion synthetic tokens by a model of {people(asked.size)} parameters would take {said}; "
        f"cupola plan --generate 1B --size {people(asked.size)} says more"
    )


def _possible(asked: Asked, text: Text) -> None:
    """Refuse what does not go into the context, and more devices than there are."""
    if text.prompt + text.answer > asked.context:
        raise Refused(
            "ContextTooShort",
            f"a prompt of {text.prompt:,} tokens and an answer of {text.answer:,} are more than the "
            f"context of {asked.context:,}; say a longer --context, or less of --prompt or --answer",
        )
    if asked.gpus and asked.available and asked.gpus > asked.available:
        raise Refused(
            "PoolTooSmall",
            f"{asked.machine.name} has {asked.available:,} devices, and {asked.gpus:,} are asked for; "
            f"say {asked.available:,} at most",
        )


def _as_many_as_needed(asked: Asked, model: Model, text: Text) -> Plan:
    """The fewest devices of a copy, doubled until it ends within the longest time or there are no more."""
    most = min(sized.MOST_GPUS, asked.available or sized.MOST_GPUS)
    node = min(asked.machine.gpus, most)
    fitting = copies.fitting(model, asked.machine, text, precision=asked.precision, devices=node)
    count = min((one.tensor for one in fitting), default=0)
    if not count:
        raise _too_large(asked, asked.machine, model, text, node)
    longest = sized.LONGEST_DAYS * 24
    while True:
        found = _on(asked, asked.machine, model, text, count)
        if count == most or found.bill is None:
            return found
        if found.bill.wall_clock_hours.expected <= longest:
            return found
        count = min(most, 2 * count)


def _on(asked: Asked, machine: Machine, model: Model, text: Text, devices: int) -> Plan:
    """The plan on so many devices: the copies that end first. Refuses with NothingFits."""
    timed = {
        copy: copies.seconds(
            model, machine, text, copy, precision=asked.precision, copies=devices // copy.tensor
        )
        for copy in copies.fitting(model, machine, text, precision=asked.precision, devices=devices)
    }
    if not timed:
        raise _too_large(asked, machine, model, text, devices)
    copy, once = min(timed.items(), key=lambda pair: pair[1])
    work = (REACHED * once).times(WRITTEN)
    costs = bill.of_job(work, machine, devices, kwh_price=asked.prices.kwh)
    count = devices // copy.tensor
    side = min(copy.room, math.ceil(text.answers / count))
    of_text = Generation(
        parameters=parameters.count(model).total,
        tokens=text.tokens,
        answers=text.answers,
        answer_tokens=text.answer,
        prompt_tokens=text.prompt,
        copies=count,
        tensor=copy.tensor,
        at_once=side,
        weights=copy.weights,
        cache=side * copy.cache,
        capacity=machine.gpu.memory,
        precision=asked.precision,
        tokens_per_second=Estimate.exactly(text.tokens).over(work),
    )
    notes = [_said(of_text), *_idle(devices, of_text), *training.of_money(machine)]
    notes += training.of_other_prices(machine)
    return Plan(
        kind="Generation",
        name=f"{people(text.tokens)} tokens by a model of {people(asked.size)}",
        machine=machine,
        devices=devices,
        bill=costs,
        generation=of_text,
        notes=tuple(notes),
        assumptions=(*_taken(), *assumed.of(machine, costs, training=False)),
    )


def _too_large(asked: Asked, machine: Machine, model: Model, text: Text, devices: int) -> Refused:
    """That no copy fits, with what would help."""
    most = min(devices, machine.gpus)
    need = parameters.count(model).total * writing.width(asked.precision) / 2**30
    have = USED * most * machine.gpu.memory / 2**30
    more = "more --gpus, " if most < machine.gpus else ""
    return Refused(
        "NothingFits",
        f"no copy of the model fits: its weights take {need:,.1f} GiB, each answer needs keys and values "
        f"beside them, and {most} of {machine.name} in a node have {have:,.1f} GiB for both; say {more}a "
        "GPU with more memory, or a smaller --size",
    )


def _said(found: Generation) -> str:
    """How it is written, and the memory of a device."""
    gib = 2**30
    on = "1 device" if found.tensor == 1 else f"{found.tensor} devices"
    who = f"{found.copies:,} copies of the model, each on {on}, write"
    if found.copies == 1:
        who = f"one copy of the model on {on} writes"
    return (
        f"{who} {found.answers:,} answers of {found.answer_tokens:,} tokens to prompts of "
        f"{found.prompt_tokens:,}, {found.at_once} at once: "
        f"{_few(found.tokens_per_second.ends)} tokens a second; a device holds "
        f"{found.weights / gib:,.1f} GiB of weights and {found.cache / gib:,.1f} of keys and values, of "
        f"{found.capacity / gib:,.1f}"
    )


def _idle(devices: int, found: Generation) -> Iterator[str]:
    """That devices are paid for and do nothing."""
    busy = min(found.copies, found.answers) * found.tensor
    if busy < devices:
        yield (
            f"{devices - busy:,} of {devices:,} devices have nothing to do, as a copy takes "
            f"{found.tensor} and there are {found.answers:,} answers"
        )


def _taken() -> list[str]:
    """What is taken for granted of writing."""
    return [
        f"writing takes {_few(REACHED.ends)} times as long as the roofline says",
        f"{_few(WRITTEN.ends)} tokens are written for one that is kept",
        f"a copy writes {AT_ONCE} answers at once at most",
        f"{100 * USED:g} % of a device's memory is for weights, keys and values",
    ]


def _bought(found: Plan, text: Text, endpoint: Endpoint) -> Alternative:
    """The same from an endpoint."""
    what = f"an endpoint at {endpoint.read} and {endpoint.written} {endpoint.currency} a million"
    cost = endpoint.cost(text)
    now = found.bill.on_demand if found.bill else None
    reason = f"{_few((cost.low, cost.expected, cost.high))} {cost.currency} in all"
    if now and now.currency == cost.currency and now.expected:
        reason += f", {float(cost.expected / now.expected):.2f} times the cost"
    return Alternative(what, reason, cost=cost)


def _elsewhere(
    asked: Asked, found: Plan, model: Model, text: Text, machine: Machine
) -> Alternative:
    """The same on as many devices of another machine."""
    what = f"{found.devices:,} {machine.gpu.title} ({machine.name})"
    if asked.available and found.devices > machine.world:
        return Alternative(what, f"it has {machine.world:,} devices")
    try:
        one = _on(asked, machine, model, text, found.devices)
    except Refused as refused:
        return Alternative(what, refused.message)
    now, then = (each.bill.on_demand if each.bill else None for each in (found, one))
    reason = "another machine was asked for"
    if now and then and now.currency == then.currency and now.expected:
        reason = f"{float(then.expected / now.expected):.2f} times the cost; {reason}"
    hours = one.bill.wall_clock_hours if one.bill else None
    return Alternative(what, reason, wall_clock_hours=hours, cost=then)


def _few(values: Sequence[Decimal | float]) -> str:
    """`expected (low to high)`, in three digits."""
    low, middle, high = (_short(float(value)) for value in values)
    return f"{middle} ({low} to {high})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
