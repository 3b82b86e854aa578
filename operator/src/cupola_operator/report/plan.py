"""The page of a plan: ranges, memory as bars, cost against size, loss against money."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cupola_api.quantities import people
from cupola_operator.plan.answers import loss
from cupola_operator.plan.answers.plan import Plan, Training
from cupola_operator.plan.money.price import Money
from cupola_operator.plan.schedule import TOKENS_PER_PARAMETER
from cupola_operator.report import figures
from cupola_operator.report.bars import Bar, Part, bars
from cupola_operator.report.chart import Level, Series, lines
from cupola_operator.report.html import Html, el, paragraph, table
from cupola_operator.report.page import whole
from cupola_operator.report.section import Section

GIB = 2**30
_POINTS = 41
_DECADES = 1.0
"""Each plot goes so many powers of ten to both sides of the plan."""


def render(plans: Sequence[Plan]) -> str:
    """The page. The same plans give the same text."""
    title = f"Plan of {_title(plans[0])}" if len(plans) == 1 else f"Plan of {len(plans)} resources"
    subtitle = el("p", "Low, expected and high are meant to hold the truth in 8 of 10 cases.")
    return whole(title, subtitle, [section(plan) for plan in plans], "Made by cupola plan.")


def section(plan: Plan) -> Section:
    """One plan."""
    body: list[Html | None] = [el("p", figures.headline(plan), class_="lead")]
    if plan.training:
        body += [paragraph(line) for line in figures.described(plan.training)]
    body += [el("p", f"{note}.", class_="note") for note in plan.notes]
    return Section(_title(plan), body, list(_sections(plan)))


def _title(plan: Plan) -> str:
    return (
        plan.name if plan.kind in ("Model", "Budget", "Generation") else f"{plan.kind}/{plan.name}"
    )


def _sections(plan: Plan) -> Iterator[Section]:
    if rows := figures.ranges(plan):
        head = ("", "Low", "Expected", "High")
        yield Section("Time, money and energy", [table(head, rows, numeric=(1, 2, 3))])
    if plan.training:
        yield Section("Memory of a GPU", [_memory(plan.training)])
    if found := [chart for chart in (_cost(plan), _loss(plan)) if chart]:
        yield Section("Size, money and loss", found)
    if plan.options:
        head = ("For comparison", "GPU hours", "Cost", "Loss")
        title = "Other ways of tuning" if plan.kind == "FineTune" else "The same money otherwise"
        yield Section(title, [table(head, figures.options(plan), numeric=(1, 2, 3))])
    if plan.alternatives:
        head = ("Instead", "Hours", "Cost", "Why not")
        rows = figures.alternatives(plan)
        yield Section("Why not otherwise", [table(head, rows, numeric=(1, 2))])
    if plan.assumptions:
        said = el("ul", *(el("li", sentence) for sentence in plan.assumptions))
        yield Section("Taken for granted", [said])


def _memory(training: Training) -> Html:
    """What the memory of the fullest rank goes into."""
    parts = [*training.memory.parts.items()]
    stacked, end = [], 0.0
    for number, (name, size) in enumerate(parts):
        start, end = end, end + size / GIB
        stacked.append(Part(start, end, f"c{number}", f"{name}: {size / GIB:,.2f} GiB"))
    have = training.capacity / GIB
    rows = [
        Bar("a rank", stacked, f"{end:,.1f}"),
        Bar("a device has", [Part(0.0, have, "good", f"{have:,.1f} GiB")], f"{have:,.1f}"),
    ]
    said = "What the fullest rank holds, part by part, and below it what a device has."
    legend = el(
        "ul",
        *(
            el("li", el("span", class_=f"swatch c{number}"), f"{name} {size / GIB:,.2f}")
            for number, (name, size) in enumerate(parts)
        ),
        class_="legend",
    )
    return el("div", bars("Memory", said, rows, unit="GiB"), legend)


def _cost(plan: Plan) -> Html | None:
    """Money for models of other sizes, 20 tokens a parameter, at the plan's price of a FLOP."""
    priced = _priced(plan)
    if priced is None:
        return None
    training, cost = priced
    around = _around(training.parameters)
    share = TOKENS_PER_PARAMETER / (training.parameters * training.tokens)
    series = [
        Series(name, [(size, float(end) * share * size * size) for size in around], colour, dashed)
        for name, end, colour, dashed in (
            ("low", cost.low, 1, True),
            ("expected", cost.expected, 0, False),
            ("high", cost.high, 1, True),
        )
    ]
    return lines(
        "Cost against size",
        "What compute-optimal models of other sizes would cost at this plan's price of a FLOP.",
        series,
        unit=cost.currency,
        along="parameters, 20 tokens for each",
        logarithmic=True,
    )


def _loss(plan: Plan) -> Html | None:
    """The loss that more or less money would give, best split, at the plan's price of a FLOP."""
    priced = _priced(plan)
    reached = plan.training.loss if plan.training else None
    if priced is None or reached is None:
        return None
    training, cost = priced
    spent = 6.0 * training.parameters * training.tokens
    money = float(cost.expected)
    splits = [(one, loss.best(spent * one / money)) for one in _around(money)]
    series = [
        Series("low", [(m, split.loss.low) for m, split in splits], 1, dashed=True),
        Series("expected", [(m, split.loss.expected) for m, split in splits], 0),
        Series("high", [(m, split.loss.high) for m, split in splits], 1, dashed=True),
    ]
    return lines(
        "Loss against money",
        "The expected loss of the best size for each amount, at this plan's price of a FLOP.",
        series,
        levels=[Level(f"this plan, {people(money)} {cost.currency}", reached.expected)],
        unit="nats a token",
        along=cost.currency,
        logarithmic=True,
    )


def _priced(plan: Plan) -> tuple[Training, Money] | None:
    """Of a training that fits and has a price, these."""
    cost = plan.bill.on_demand if plan.bill else None
    if plan.training is None or cost is None or not cost.expected or plan.kind == "FineTune":
        return None
    return plan.training, cost


def _around(value: float) -> list[float]:
    """Values to both sides of one, evenly on a logarithmic scale."""
    steps = [2 * i / (_POINTS - 1) - 1 for i in range(_POINTS)]
    return [value * math.pow(10, _DECADES * step) for step in steps]
