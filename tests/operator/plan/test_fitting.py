from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from cupola_operator.plan.answers import fitting, limits, resources
from cupola_operator.plan.answers.fitting import Question, remedies
from cupola_operator.settings import Settings

from . import planning

CHEAP = planning.A100 | {"name": "cheap", "pricePerGpuHour": "0.10"}
SMALL = planning.A100 | {"name": "small", "pricePerGpuHour": "0.10", "nodes": 1}
CPU = {"name": "cpu", "device": "Cpu", "gpusPerNode": 2, "pricePerGpuHour": "0", "gpuWatts": 1}
UNKNOWN = {**planning.A100, "name": "thing", "pricePerGpuHour": "0.10"}
del UNKNOWN["gpu"]
DATA = planning.finished(planning.dataset(), 10**10, examples=10_000)


def question(one: Any, reason: str = limits.BUDGET, *pools: dict[str, Any]) -> Question:
    settings: Settings = planning.settings(*(pools or (planning.A100,)))
    known = planning.known(DATA, planning.trained(planning.pretraining()))
    return Question(one, settings, settings.pools[0], known, reason)


def written(text: str, field: str) -> str:
    found = re.search(rf"{field}: ([0-9.]+[KMBT]?)", text)
    assert found, text
    return found[1]


def cost(one: Any) -> Decimal:
    asked = question(one)
    found = resources.plan(one, "USD", asked.place, asked.known)
    assert found.bill
    assert found.bill.on_demand
    return found.bill.on_demand.expected


def test_fewer_tokens_and_a_smaller_model_fit_the_money() -> None:
    said = remedies(question(planning.pretraining(budget={"maxCost": "100"})))
    tokens, size = written(said, "tokens"), written(said, "model.size")
    fewer = cost(planning.pretraining(tokens=tokens))
    smaller = cost(
        planning.pretraining(model={"size": size, "context": 2048}, tokensPerParameter=20)
    )
    assert 80 < fewer <= 100
    assert 50 < smaller <= 100


def test_fewer_tokens_fit_the_time_and_a_given_shape_stays() -> None:
    shape = {"shape": {"layers": 16, "hidden": 2048, "heads": 16}, "context": 2048}
    asked = question(planning.pretraining(model=shape, deadline="2h"), limits.DEADLINE)
    said = remedies(asked)
    assert said == f"tokens: {written(said, 'tokens')}"
    fewer = planning.pretraining(model=shape, tokens=written(said, "tokens"))
    found = resources.plan(fewer, "USD", asked.place, asked.known)
    assert found.bill
    assert 1.5 < found.bill.wall_clock_hours.expected <= 2


def test_the_ratio_that_a_spec_asks_for_is_kept() -> None:
    said = remedies(question(planning.pretraining(tokensPerParameter=5, budget={"maxCost": "10"})))
    assert "on 5 tokens a parameter" in said


def test_other_pools_of_the_same_kind_are_named_where_they_fit() -> None:
    one = planning.pretraining(parallelism={"nodes": 2}, budget={"maxCost": "100"})
    said = remedies(question(one, limits.BUDGET, planning.A100, CHEAP, SMALL, CPU, UNKNOWN))
    assert "pools: [cheap]" in said
    assert not any(f"[{name}]" in said for name in ("small", "cpu", "thing", "a100"))


def test_fewer_epochs_of_a_tuning_fit() -> None:
    one = planning.resource(
        "FineTune",
        "t",
        base={"pretrainJob": "base"},
        dataset="web",
        epochs=8,
        budget={"maxCost": "2"},
    )
    epochs = float(written(remedies(question(one)), "epochs"))
    assert 1 <= epochs < 8


def test_a_cheaper_pool_is_all_there_is_for_an_evaluation() -> None:
    tasks = [{"name": "a", "perplexity": {"dataset": "web"}}]
    one = planning.resource(
        "Evaluation", "e", model={"pretrainJob": "base"}, tasks=tasks, budget={"maxCost": "0.01"}
    )
    assert remedies(question(one, limits.BUDGET, planning.A100, CHEAP)) == "pools: [cheap]"


@pytest.mark.parametrize(
    "one",
    [
        planning.dataset(),
        planning.pretraining(
            model={"shape": {"layers": 1, "hidden": 64, "heads": 1}, "context": 64},
            tokens="100",
            budget={"maxCost": "0.000001"},
        ),
        planning.pretraining(model={"size": "70B"}, budget={"maxCost": "1"}),
        planning.resource(
            "FineTune", "t", base={"pretrainJob": "other"}, dataset="web", budget={"maxCost": "1"}
        ),
        planning.resource(
            "FineTune",
            "t",
            base={"pretrainJob": "base"},
            dataset="web",
            examplesPerStep=7,
            budget={"maxCost": "1"},
        ),
        planning.pretraining(),
    ],
)
def test_where_nothing_is_found_nothing_is_said(one: Any) -> None:
    assert remedies(question(one)) == ""


@pytest.mark.parametrize(
    ("number", "text"), [(0.2, "1"), (66_999_999_999, "66B"), (1.99e6, "1.9M")]
)
def test_counts_are_rounded_down_to_two_digits(number: float, text: str) -> None:
    assert fitting._count(number) == text
