"""The plan of a pretraining whose model, layout and machine are chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from cupola_api.quantities import people
from cupola_api.run import World
from cupola_api.training import Parallelism
from cupola_operator.plan.anatomy import flops, parameters
from cupola_operator.plan.anatomy.layout import Layout, problem
from cupola_operator.plan.anatomy.memory import Precision, memory
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.answers import assumed, data, loss
from cupola_operator.plan.answers.data import Data
from cupola_operator.plan.answers.plan import Alternative, Option, Plan, Training
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import bill
from cupola_operator.plan.money.bill import Bill
from cupola_operator.plan.money.price import Money
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.plan.speed.timing import timed

CHECKPOINT_BYTES = 12
"""A parameter in a checkpoint: its master weight and two moments, in FP32."""

GIB = 2**30

_SAME = 0.1
"""Sizes that are closer than this are not compared."""


@dataclass(frozen=True)
class Work:
    """What is to be trained, and where."""

    kind: str
    name: str
    model: Model
    layout: Layout
    machine: Machine
    steps: int
    precision: Precision
    interval: float | None = None
    """Seconds between checkpoints; None: the best."""
    shares: Sequence[tuple[str, int | None, float]] = ()
    """Of each Dataset its name, its tokens if they are known, and its weight."""
    law: loss.Own | None = None
    """The scaling law of one's own data; None: the published one."""


@dataclass(frozen=True)
class Prices:
    """What a person says of money that a machine does not."""

    device: Decimal | None = None
    """Of a device to own."""
    kwh: Decimal | None = None


UNSAID = Prices()


def layout_of(
    parallelism: Parallelism, world: World, *, micro_batch: int, sequences: int
) -> Layout:
    """What the trainer does of a spec: data parallelism with ZeRO. `sequences`: a step, all ranks."""
    return Layout(
        data=world.size,
        zero=parallelism.zero_stage,
        checkpointing="Full" if parallelism.activation_checkpointing else "None",
        micro_batch=micro_batch,
        accumulation=max(1, sequences // (world.size * micro_batch)),
    )


def plan(work: Work, prices: Prices = UNSAID) -> Plan:
    """The plan. One that does not fit has no bill, and a note with the remedy."""
    training = numbers(work)
    machine, layout = work.machine, work.layout
    found = Plan(
        kind=work.kind,
        name=work.name,
        machine=machine,
        devices=layout.world,
        training=training,
    )
    impossible = problem(work.model, layout)
    if impossible or not training.fits:
        why = impossible or _does_not_fit(training, machine)
        return replace(found, runs=False, notes=(why,))
    costs = billed(training, work, prices)
    return replace(
        found,
        bill=costs,
        options=splits(training, costs.device_hours, machine, work.law),
        notes=(*of_money(machine), *_of_data(training.data), *_of_loss(training, work.law)),
        assumptions=tuple(assumed.of(machine, costs, training=True)),
    )


def billed(training: Training, work: Work, prices: Prices = UNSAID) -> Bill:
    """The bill of a training that fits."""
    return bill.of_training(
        training.step_seconds * training.steps,
        work.machine,
        work.layout.world,
        checkpoint_bytes=training.checkpoint_bytes,
        interval=work.interval,
        device_price=prices.device,
        kwh_price=prices.kwh,
    )


def numbers(work: Work) -> Training:
    """A training in numbers; its layout may not fit, but must be possible."""
    model, layout = work.model, work.layout
    count = parameters.count(model).total
    sequences = work.steps * layout.global_batch
    tokens = sequences * model.context
    step = timed(model, layout, work.machine, work.precision)
    have = data.of_training(tokens, model.vocabulary, work.shares)
    return Training(
        model=model,
        parameters=count,
        trainable=count,
        tokens=tokens,
        steps=work.steps,
        batch_tokens=layout.global_batch * model.context,
        flops=flops.training(model).total * sequences,
        six_nd=flops.six_n_d(model, tokens),
        precision=work.precision,
        layout=layout,
        memory=memory(model, layout, work.precision),
        capacity=work.machine.gpu.memory,
        step=step.parts,
        step_seconds=step.seconds,
        mfu=step.mfu,
        checkpoint_bytes=CHECKPOINT_BYTES * count,
        data=have,
        loss=_loss(count, have, model.vocabulary, work.law),
    )


def splits(
    training: Training, device_hours: Estimate, machine: Machine, law: loss.Own | None = None
) -> tuple[Option, ...]:
    """What the same FLOPs, and so about the same money, would give as other sizes and tokens."""
    if training.loss is None:
        return ()
    budget = 6.0 * training.parameters * training.tokens
    others = [
        Option(
            what=f"{people(split.parameters)} on {people(split.tokens)} tokens",
            parameters=round(split.parameters),
            tokens=round(split.tokens),
            device_hours=device_hours,
            cost=_money(device_hours, machine),
            loss=split.loss,
        )
        for split in loss.frontier(budget, law)
        if abs(split.parameters / training.parameters - 1) > _SAME
        and not loss.says_nothing(split.parameters, split.tokens, training.model.vocabulary, law)
    ]
    asked = Option(
        what=f"{people(training.parameters)} on {people(training.tokens)} tokens",
        parameters=training.parameters,
        tokens=training.tokens,
        device_hours=device_hours,
        cost=_money(device_hours, machine),
        loss=training.loss,
        chosen=True,
    )
    return tuple(sorted([asked, *others], key=lambda option: option.parameters))


def alternative(what: str, reason: str, work: Work) -> Alternative:
    """Another machine or layout for the same training, with its time and money if it fits."""
    found = plan(work)
    if found.bill is None:
        return Alternative(what, found.notes[0])
    return Alternative(what, reason, found.bill.wall_clock_hours, found.bill.on_demand)


def _money(device_hours: Estimate, machine: Machine) -> Money | None:
    rate = machine.price.on_demand
    return None if rate is None else Money.of(device_hours, rate, machine.price.currency)


def _loss(count: int, have: Data, vocabulary: int, law: loss.Own | None) -> Estimate | None:
    if loss.says_nothing(count, have.worth, vocabulary, law):
        return None
    return loss.expected(count, have.worth, law)


def _does_not_fit(training: Training, machine: Machine) -> str:
    need, have = training.memory.total / GIB, training.capacity / GIB
    parts = {
        "weights": training.memory.weights,
        "gradients": training.memory.gradients,
        "optimizer state": training.memory.optimizer,
        "activations": training.memory.activations,
    }
    largest = max(parts, key=lambda part: parts[part])
    return (
        f"it does not fit: a rank needs {need:,.1f} GiB, most of it {largest}, and "
        f"a device ({machine.gpu.title}) has {have:,.1f} GiB"
    )


def of_money(machine: Machine) -> list[str]:
    """A note that there is no price, where there is none."""
    if machine.price.on_demand is not None:
        return []
    return [f"{machine.name} has no price, so the plan goes without money"]


def of_other_prices(machine: Machine, costs: Bill | None = None) -> list[str]:
    """Notes that there is no reserved or spot price, where there is one on demand.

    `costs`: of a training, whose price of spot is said below which that is cheaper.
    """
    price, said = machine.price, []
    if price.on_demand is None:
        return []
    if price.reserved is None:
        said.append(
            f"no reserved price of {machine.name} is known, so the plan has none; a pool of the settings can "
            "state it (reservedPricePerGpuHour)"
        )
    below = costs.spot_pays_below if costs else None
    if price.spot is None and below:
        low, expected, high = (f"{end:.2f}" for end in (below.low, below.expected, below.high))
        said.append(
            f"no spot price of {machine.name} is known; with its preemptions spot is cheaper below {expected} "
            f"{below.currency} ({low} to {high}) a GPU hour; a pool of the settings can state it "
            "(spotPricePerGpuHour)"
        )
    return said


def _of_data(have: Data | None) -> list[str]:
    if have is None:
        return []
    said = [
        f"Dataset {name} has fewer tokens than are asked of it: {passes:.2f} passes over it"
        for name, passes in have.epochs.items()
        if passes > 1
    ]
    if have.unknown:
        names = ", ".join(have.unknown)
        said.append(
            f"how many tokens {names} will have is known when it is finished; "
            f"{people(have.tokens)} tokens are {_gigabytes(have.text_bytes)} GB of text"
        )
    return said


def _gigabytes(size: Estimate) -> str:
    low, expected, high = (f"{end / 1e9:.3g}" for end in size.ends)
    return f"{expected} ({low} to {high})"


def _of_loss(training: Training, law: loss.Own | None) -> list[str]:
    if law:
        return _of_own(training, law)
    fitted = "it was fitted to 70M to 16B parameters on 5B to 500B tokens"
    if training.loss is None:
        return [f"the scaling law says nothing of a model and data this small: {fitted}"]
    if not loss.fitted(training.parameters, training.tokens):
        return [f"the loss is extrapolated from the scaling law: {fitted}"]
    return []


def _of_own(training: Training, law: loss.Own) -> list[str]:
    sizes, tokens = (
        " to ".join(people(round(end)) for end in ends) for ends in (law.parameters, law.tokens)
    )
    fitted = f"it was fitted to {law.runs} runs, {sizes} parameters on {tokens} tokens"
    said = [f"the loss is by the law of the ladder {law.name}: {fitted}"]
    if not law.free:
        said.append("the exponents of that law are the published ones, as its runs are few")
    return said


def steps_for(tokens: int, batch_sequences: int, context: int) -> int:
    """Steps that see so many tokens at least."""
    return max(1, math.ceil(tokens / (batch_sequences * context)))
