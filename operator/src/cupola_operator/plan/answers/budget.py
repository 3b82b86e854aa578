"""The best model for an amount of money: the size and tokens with the lowest expected loss."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from cupola_api.quantities import people
from cupola_operator.plan import Refused, shape
from cupola_operator.plan.answers import loss, sized
from cupola_operator.plan.answers.plan import Option, Plan
from cupola_operator.plan.answers.sized import Asked

_ROUNDS = 4
_USUAL_MFU = 0.4
_SMALLEST = 1_000_000
_NEAR = 0.995
"""Share of the money that is spent well enough."""
_LESS = 0.9
"""Share of the tokens that is tried next where so many rounds did not bring the cost below the money."""
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Sizes that are compared, as multiples of the best one."""


def plan(asked: Asked, money: Decimal, *, size: int | None = None) -> Plan:
    """The plan that is expected to cost `money`, and no more.

    Of that size, or of the one with the lowest loss. `asked.size` and `asked.tokens` are not read.
    Refuses where no price is known, and where the money buys nothing.
    """
    price = asked.machine.price.on_demand
    if price is None:
        raise Refused(
            "NoPrice",
            f"{asked.machine.name} has no price, so money cannot be turned into hours; say one with "
            "--price",
        )
    hours = money / price
    best = size or _size(asked, float(hours), _USUAL_MFU)
    found = spend(asked, money, best)
    if size is None:
        for _ in range(_ROUNDS):
            used = found.training.mfu.expected if found.training else _USUAL_MFU
            better = _size(asked, float(hours), used * _progress(found))
            if abs(better / best - 1) < 0.03:
                break
            best = better
            found = spend(asked, money, best)
    return replace(
        found,
        kind="Budget",
        name=f"{money:,} {asked.machine.price.currency}",
        options=tuple(_compared(asked, money, best, found)),
    )


def spend(asked: Asked, money: Decimal, size: int) -> Plan:
    """The plan of a size on as many tokens as the money is expected to pay for: never too many.

    Refuses with BudgetTooSmall.
    """
    wanted = replace(asked, size=size)
    form = sized.shape_of(wanted)
    count = shape.parameters(form)
    price = asked.machine.price.on_demand or Decimal(1)
    rate = asked.machine.gpu.flops(asked.precision) * _USUAL_MFU
    tokens = float(money / price) * 3600 * rate / (6 * count)
    best: Plan | None = None
    rounds = 0
    while tokens >= 100 * form.context and not (best and rounds >= _ROUNDS):
        found = sized.plan(replace(wanted, tokens=math.floor(tokens)))
        cost = found.bill.on_demand if found.bill else None
        if cost is None or found.training is None:
            break
        seen, share = found.training, float(cost.expected / money)
        if cost.expected <= money:
            best = max(best or found, found, key=_tokens)
            if share > _NEAR:
                break
        steps = math.floor(seen.steps / share)
        if cost.expected > money:  # by less than a step, or by what a step more does to the layout
            steps = min(steps, seen.steps - 1)
        tokens = steps * seen.batch_tokens * (1.0 if rounds < _ROUNDS else _LESS)
        rounds += 1
    if best is None:
        raise Refused(
            "BudgetTooSmall",
            f"{money:,} {asked.machine.price.currency} do not train a model of {people(size)} parameters "
            "for a hundred steps; say more money, or a smaller --size",
        )
    return best


def _size(asked: Asked, hours: float, mfu: float) -> int:
    """The compute-optimal size of so many device hours."""
    compute = hours * 3600 * asked.machine.gpu.flops(asked.precision) * mfu
    return max(_SMALLEST, round(loss.best(compute, asked.law).parameters))


def _tokens(found: Plan) -> int:
    return found.training.tokens if found.training else 0


def _progress(found: Plan) -> float:
    met = found.bill.reliability if found.bill else None
    return met.goodput.expected if met else 1.0


def _compared(asked: Asked, money: Decimal, best: int, found: Plan) -> list[Option]:
    """What the same money gives at other sizes."""
    options = []
    for factor in FACTORS:
        try:
            one = found if factor == 1 else spend(asked, money, round(best * factor))
        except Refused:
            continue
        if one.training is None or one.bill is None:
            continue
        options.append(
            Option(
                what=f"{people(one.training.parameters)} on {people(one.training.tokens)} tokens",
                parameters=one.training.parameters,
                tokens=one.training.tokens,
                device_hours=one.bill.device_hours,
                cost=one.bill.on_demand,
                loss=one.training.loss,
                chosen=factor == 1,
            )
        )
    return options
