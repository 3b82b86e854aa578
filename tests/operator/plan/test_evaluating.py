from __future__ import annotations

from typing import Any

from cupola_operator.plan.answers import evaluating
from cupola_operator.plan.answers.plan import Plan

from . import planning

PERPLEXITY = {"name": "text", "perplexity": {"dataset": "web"}}
FUNCTIONS = {"name": "code", "pythonFunction": {"dataset": "web", "limit": 64, "maxNewTokens": 128}}
HARNESS = {"name": "mmlu", "harness": {"task": "mmlu", "data": "store:///mmlu"}}


def plan(*tasks: dict[str, Any], tokens: int | None = 10**8, **spec: Any) -> Plan:
    data = planning.dataset()
    value = {"model": {"pretrainJob": "base"}, "tasks": list(tasks)} | spec
    one = planning.resource("Evaluation", "exam", **value)
    there = planning.known(
        planning.finished(data, tokens) if tokens else data, planning.pretraining()
    )
    return evaluating.plan(one, planning.settings(), there)


def hours(found: Plan) -> float:
    assert found.bill is not None
    return found.bill.device_hours.expected


def test_what_the_spec_says_is_planned_and_what_it_does_not_is_named() -> None:
    found = plan(PERPLEXITY, FUNCTIONS, HARNESS)
    assert found.bill is not None
    assert found.bill.on_demand is not None
    assert [note.split(":")[0] for note in found.notes] == ["task mmlu"]


def test_an_evaluation_of_which_nothing_is_known_has_no_bill() -> None:
    found = plan(HARNESS, PERPLEXITY, tokens=None)
    assert found.bill is None
    assert len(found.notes) == 2


def test_longer_answers_take_longer_and_a_second_model_doubles_the_work() -> None:
    longer = {
        "name": "code",
        "pythonFunction": {"dataset": "web", "limit": 64, "maxNewTokens": 512},
    }
    assert hours(plan(longer)) > hours(plan(FUNCTIONS))
    start = 20 / 3600
    both = plan(FUNCTIONS, compareTo={"pretrainJob": "base"})
    assert abs((hours(both) - start) / (hours(plan(FUNCTIONS)) - start) - 2) < 1e-6


def test_it_takes_one_gpu() -> None:
    assert plan(PERPLEXITY).devices == 1


def test_without_its_model_it_does_not_know() -> None:
    found = plan(PERPLEXITY, model={"pretrainJob": "other"})
    assert found.bill is None
    assert "PretrainJob other, or what it is made from, is not at hand" in found.notes[0]
