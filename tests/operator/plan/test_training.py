from __future__ import annotations

from dataclasses import replace

import pytest

from cupola_operator.plan import shape
from cupola_operator.plan.anatomy import flops, model
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.answers import training
from cupola_operator.plan.answers.training import Work
from cupola_operator.plan.speed import catalogue

MODEL = model.of_shape(shape.of_size(1_000_000_000, vocabulary=32_000, context=2048))
WORK = Work(
    kind="Model",
    name="1B",
    model=MODEL,
    layout=Layout(data=8, zero=1, micro_batch=2, accumulation=4),
    machine=catalogue.typical("a100-80g"),
    steps=10_000,
    precision="BF16",
)


def test_tokens_and_flops_are_those_of_all_steps() -> None:
    found = training.numbers(WORK)
    assert found.tokens == 10_000 * 64 * 2048
    assert found.flops == flops.training(MODEL).total * 10_000 * 64
    assert found.checkpoint_bytes == 12 * found.parameters


def test_a_plan_that_fits_has_a_bill_of_every_step() -> None:
    once, twice = training.plan(WORK).bill, training.plan(replace(WORK, steps=20_000)).bill
    assert once is not None
    assert twice is not None
    assert twice.device_hours.expected == pytest.approx(2 * once.device_hours.expected, rel=0.01)


def test_an_impossible_layout_is_said_and_has_no_bill() -> None:
    odd = replace(WORK, layout=Layout(tensor=7, data=1))
    found = training.plan(odd)
    assert not found.runs
    assert found.bill is None
    assert "tensor must divide" in found.notes[0]


def test_other_splits_have_the_same_flops_and_one_is_the_plan() -> None:
    options = training.plan(WORK).options
    assert [one.chosen for one in options].count(True) == 1
    products = [one.parameters * one.tokens for one in options if one.tokens]
    assert max(products) == pytest.approx(min(products), rel=0.01)


def test_an_alternative_that_does_not_fit_says_so_instead_of_its_reason() -> None:
    large = model.of_shape(shape.of_size(70_000_000_000, vocabulary=32_000, context=2048))
    found = training.alternative("pool x", "it is dear", replace(WORK, model=large))
    assert "does not fit" in found.reason
    assert found.cost is None
    assert training.alternative("pool x", "it is dear", WORK).reason == "it is dear"


def test_steps_see_at_least_the_tokens_asked_for() -> None:
    assert training.steps_for(1000, 1, 100) == 10
    assert training.steps_for(1001, 1, 100) == 11
    assert training.steps_for(1, 64, 2048) == 1
