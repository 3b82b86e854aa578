from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cupola_operator.plan.answers import (
    curating,
    document,
    evaluating,
    generating,
    pretraining,
    sized,
    tuning,
)
from cupola_operator.plan.answers.copies import Text
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.plan.answers.sized import Asked
from cupola_operator.plan.answers.training import Prices
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.hardware import Price

from . import planning

RANGE = {"low", "expected", "high"}
PROMISED = {"parameters", "flops", "memoryPerGpu", "parallelism", "mfu"} | {
    "gpuHours",
    "cost",
    "energyKwh",
    "wallClockHours",
}


def plan(**spec: Any) -> Any:
    known = planning.known(planning.finished(planning.dataset(), 10**9))
    return pretraining.plan(planning.pretraining(**spec), planning.settings(), known)


def test_a_plan_has_its_figures_as_ranges() -> None:
    value = json.loads(json.dumps(document.of(plan())))
    for field in ("gpuHours", "wallClockHours", "energyKwh", "co2Kg", "mfu", "stepSeconds"):
        assert set(value[field]) == RANGE
        assert value[field]["low"] <= value[field]["expected"] <= value[field]["high"]
    assert set(value["cost"]) == RANGE | {"currency"}
    assert value["parameters"] == sum(value["parametersByPart"].values())
    assert value["flops"] > value["flopsRuleOfThumb"] * 0.9
    parts = dict(value["memoryPerGpu"])
    assert parts.pop("total") == sum(parts.values())
    assert value["parallelism"]["data"] == value["gpus"] == 8


def test_what_is_not_known_is_null_and_never_zero() -> None:
    value = document.of(curating.plan(planning.dataset(), planning.settings(), planning.known()))
    for field in ("gpuHours", "wallClockHours", "energyKwh", "cost"):
        assert value[field] is None
    unfit = document.of(plan(model={"size": "70B", "context": 4096}))
    assert unfit["fits"] is False
    assert unfit["cost"] is None
    assert unfit["memoryPerGpu"]["total"] > unfit["gpuMemory"]


TASK = {"name": "cloze", "harness": {"task": "hellaswag", "data": "store:///h"}}


def every_kind() -> dict[str, Plan]:
    """A plan of each kind, with what it refers to at hand or not."""
    settings, nothing, base = planning.settings(), planning.known(), planning.pretraining()
    known = planning.known(base, planning.dataset())
    model = {"pretrainJob": "base"}
    measured = planning.resource("Evaluation", "m", model=model, tasks=[TASK])
    tuned = planning.resource("FineTune", "t", base=model, dataset="web")
    asked = Asked(machine=catalogue.typical("a100-80g"), size=10**9, gpus=8)
    return {
        "Dataset": curating.plan(planning.dataset(), settings, nothing),
        "PretrainJob": pretraining.plan(base, settings, known),
        "FineTune": tuning.plan(tuned, settings, known),
        "FineTune of nothing": tuning.plan(tuned, settings, nothing),
        "Evaluation": evaluating.plan(measured, settings, known),
        "Generation": generating.plan(asked, Text(10**6)),
    }


def test_a_plan_of_every_kind_has_the_promised_fields_null_where_there_is_none() -> None:
    missing = {}
    for kind, plan in every_kind().items():
        value = document.of(plan)
        missing[kind] = {name for name in PROMISED if value[name] is None}
    work = {"parameters", "flops", "memoryPerGpu", "parallelism", "mfu"}
    money = PROMISED - work
    assert missing == {
        "Dataset": PROMISED,
        "PretrainJob": set(),
        "FineTune": money | {"flops"},  # of how many tokens is not known
        "FineTune of nothing": PROMISED,
        "Evaluation": PROMISED,
        "Generation": {"flops", "mfu"},
    }


EXACT = {
    *("gpus", "nodes", "parameters", "trainableParameters", "tokens", "steps", "batchTokens"),
    *("flops", "flopsRuleOfThumb", "gpuMemory", "checkpointBytes", "shardBytes", "epochs", "buy"),
    *("model", "parametersByPart", "parallelism", "memoryPerGpu"),
    *("answers", "answerTokens", "promptTokens"),
}
"""Counted, stated or chosen; everything else in numbers is an estimate."""


def bare(value: Any, name: str) -> set[str]:
    """The names of numbers that are neither exact nor the end of a range."""
    match value:
        case dict() if name in EXACT:
            return set()
        case dict() if value.keys() >= RANGE:
            assert value["low"] <= value["expected"] <= value["high"]
            return set()
        case dict():
            return {found for key, inner in value.items() for found in bare(inner, key)}
        case list():
            return {found for inner in value for found in bare(inner, name)}
        case int() | float() if not isinstance(value, bool) and name not in EXACT:
            return {name}
    return set()


def test_every_figure_that_is_not_exact_is_a_range() -> None:
    there = replace(
        catalogue.typical("a100-80g"),
        price=Price(Decimal("1.5"), Decimal("1.2"), Decimal("0.6")),
    )
    prices = Prices(device=Decimal(10_000), kwh=Decimal("0.1"))
    asked = Asked(machine=there, size=10**9, gpus=8, prices=prices)
    found = sized.plan(asked)
    others = sized.elsewhere(asked, found, [catalogue.typical("h100-sxm")])
    found = replace(found, alternatives=(*found.alternatives, *others))
    value = document.of(found)
    assert value["rentOrBuy"]["breakEvenHoursPerGpu"].keys() == RANGE
    assert value["spot"]["preemptions"].keys() == RANGE
    assert bare(value, "") == set()
    for plan in every_kind().values():
        assert bare(document.of(plan), "") == set()


def test_the_parts_of_a_step_are_the_step() -> None:
    value = document.of(plan())
    for end in RANGE:
        together = sum(part[end] for part in value["stepSecondsByPart"].values())
        assert together == pytest.approx(value["stepSeconds"][end], rel=1e-4)


def test_several_plans_are_added_up() -> None:
    one = plan()
    value = document.together(
        [one, one, curating.plan(planning.dataset(), planning.settings(), planning.known())]
    )
    assert len(value["items"]) == 3
    assert value["total"]["of"] == 2
    once, twice = (one["cost"]["expected"] for one in (value["items"][0], value["total"]))
    assert abs(twice - 2 * once) <= 0.011
    assert "total" not in document.together([])
