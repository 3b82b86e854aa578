from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cupola_operator.plan import Refused
from cupola_operator.plan.answers import sized
from cupola_operator.plan.answers.sized import Asked
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.hardware import Price

A100 = catalogue.typical("a100-80g")
B = 10**9


def asked(size: int = 7 * B, **more: Any) -> Asked:
    return Asked(machine=A100, size=size, **{"tokens": 140 * B, "gpus": 64, **more})


def test_what_is_planned_fits_and_uses_every_gpu() -> None:
    found = sized.plan(asked())
    assert found.training is not None
    assert found.training.fits
    assert found.training.layout.world == found.devices == 64
    assert found.bill is not None
    assert found.training.tokens >= 140 * B
    assert found.training.tokens < 141 * B


def test_without_tokens_there_are_twenty_for_each_parameter() -> None:
    found = sized.plan(asked(tokens=None)).training
    assert found is not None
    assert found.tokens / found.parameters == pytest.approx(20, rel=0.01)


def test_without_gpus_as_many_are_taken_as_end_within_thirty_days() -> None:
    found = sized.plan(asked(70 * B, tokens=1400 * B, gpus=None))
    assert found.bill is not None
    assert found.bill.wall_clock_hours.expected <= 30 * 24
    half = sized.plan(asked(70 * B, tokens=1400 * B, gpus=found.devices // 2))
    assert half.bill is not None
    assert half.bill.wall_clock_hours.expected > 30 * 24
    assert f"{found.devices:,} GPUs are taken" in found.notes[0]


def test_no_more_gpus_are_taken_than_there_are() -> None:
    few = asked(70 * B, tokens=1400 * B, gpus=None, available=40)
    assert sized.plan(few).devices == 40
    with pytest.raises(Refused, match="has 40 devices, and 48 are asked for; say 40 at most"):
        sized.plan(replace(few, gpus=48))
    small = replace(A100, nodes=2)
    (other,) = sized.elsewhere(few, sized.plan(few), [small])
    assert other.reason == "it has 16 devices"


def test_what_fits_nowhere_is_refused() -> None:
    with pytest.raises(Refused, match="no layout fits"):
        sized.plan(asked(405 * B, gpus=8, context=131_072))


def test_ways_that_lost_say_why() -> None:
    found = sized.plan(asked(70 * B, gpus=256))
    assert found.alternatives
    assert all(
        "times as slow" in one.reason or "fit" in one.reason or "fast" in one.reason
        for one in found.alternatives
    )


@hypothesis_settings(max_examples=10)
@given(st.integers(10, 1000), st.floats(1.2, 5))
def test_cost_is_monotone_in_tokens(billions: int, factor: float) -> None:
    few = sized.plan(asked(B, tokens=billions * B, gpus=16)).bill
    many = sized.plan(asked(B, tokens=round(billions * B * factor), gpus=16)).bill
    assert few is not None
    assert many is not None
    assert few.on_demand is not None
    assert many.on_demand is not None
    assert many.on_demand.expected > few.on_demand.expected


@hypothesis_settings(max_examples=15)
@given(
    st.sampled_from([10**8, 10**9, 13 * B, 70 * B, 180 * B]),
    st.sampled_from([1, 2, 8, 24, 64, 256]),
    st.sampled_from([1024, 4096, 32_768]),
    st.sampled_from(["a100-40g", "a100-80g", "h100-sxm", "v100"]),
)
def test_no_plan_that_does_not_fit_is_proposed(
    size: int, gpus: int, context: int, gpu: str
) -> None:
    machine = catalogue.typical(gpu)
    question = replace(asked(size, gpus=gpus, context=context), machine=machine)
    try:
        found = sized.plan(question)
    except Refused:
        return
    assert found.runs
    assert found.training is not None
    assert found.training.memory.total <= machine.gpu.memory
    assert found.training.layout.world == gpus


def test_other_machines_are_compared_the_cheaper_first() -> None:
    question = asked()
    machines = [catalogue.typical("h100-sxm"), replace(catalogue.typical("a100-40g"), gpus=8)]
    others = sized.elsewhere(question, sized.plan(question), machines)
    costs = [one.cost.expected for one in others if one.cost]
    assert costs == sorted(costs)
    assert len(others) == 2


def test_a_batch_leaves_a_hundred_steps() -> None:
    form = sized.shape_of(asked(100_000_000))
    assert sized.batch_of(form, 1000 * form.context, 8) <= 16
    assert sized.batch_of(form, 10**12, 8) > 64


@pytest.mark.parametrize(
    ("prices", "missing"),
    [
        ({"on_demand": "2"}, ["no reserved price of", "no spot price of"]),
        ({"on_demand": "2", "reserved": "1"}, ["no spot price of"]),
        ({"on_demand": "2", "spot": "1"}, ["no reserved price of"]),
        ({"on_demand": "2", "reserved": "1", "spot": "1"}, []),
        ({}, []),
    ],
)
def test_a_kind_of_price_that_is_not_known_is_said(
    prices: dict[str, str], missing: list[str]
) -> None:
    there = replace(A100, price=Price(**{name: Decimal(each) for name, each in prices.items()}))
    found = sized.plan(replace(asked(B, tokens=20 * B, gpus=8), machine=there))
    said = [note for note in found.notes if "is known" in note]
    assert [note[: len(start)] for note, start in zip(said, missing, strict=True)] == missing
    for note in said:
        assert ("spot is cheaper below" in note) == note.startswith("no spot price")
        assert re.search(r"below 2.00 USD \(\d.\d\d to 2.00\) a GPU hour|reservedPrice", note)
