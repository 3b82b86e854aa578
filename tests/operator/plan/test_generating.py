from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cupola_operator.plan import Refused
from cupola_operator.plan.answers import copies, generating
from cupola_operator.plan.answers.copies import Text
from cupola_operator.plan.answers.generating import Endpoint
from cupola_operator.plan.answers.plan import Generation, Plan
from cupola_operator.plan.answers.sized import Asked
from cupola_operator.plan.money.bill import Bill
from cupola_operator.plan.money.price import Money
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.hardware import Machine, Price

A100 = catalogue.typical("a100-80g")
B = 10**9
TEXT = Text(B)


def asked(size: int = 7 * B, machine: Machine = A100, **more: Any) -> Asked:
    return Asked(machine=machine, size=size, **{"gpus": 8, **more})


def of(found: Plan) -> tuple[Bill, Generation]:
    assert found.bill is not None
    assert found.generation is not None
    return found.bill, found.generation


def cost(found: Plan) -> Money:
    money = of(found)[0].on_demand
    assert money is not None
    return money


def test_a_model_that_fits_on_a_device_has_a_copy_on_each() -> None:
    bill, text = of(generating.plan(asked(), TEXT))
    assert (text.copies, text.tensor, text.at_once) == (8, 1, 256)
    assert text.answers == 1_953_125
    assert bill.device_hours.expected == pytest.approx(8 * bill.wall_clock_hours.expected)
    rate = text.tokens_per_second.expected
    start = 20 / 3600
    assert B / rate / 3600 == pytest.approx(bill.wall_clock_hours.expected - start)


def test_a_model_that_does_not_fit_on_a_device_is_shared_by_several() -> None:
    _, text = of(generating.plan(asked(70 * B), TEXT))
    assert text.tensor >= 2
    assert text.copies * text.tensor <= 8


def test_money_is_hours_times_price() -> None:
    found = generating.plan(asked(), TEXT)
    hours, price = of(found)[0].device_hours, A100.price.on_demand
    assert price is not None
    assert cost(found).expected == Decimal(repr(hours.expected)) * price
    assert cost(found).low < cost(found).expected < cost(found).high


def test_twice_the_price_is_twice_the_money() -> None:
    priced = [replace(A100, price=Price(on_demand=Decimal(price))) for price in (2, 4)]
    once, twice = (generating.plan(asked(machine=one), TEXT) for one in priced)
    assert cost(twice).expected == 2 * cost(once).expected
    assert of(once)[0].device_hours == of(twice)[0].device_hours


def test_without_a_price_there_is_no_money_and_a_note_says_so() -> None:
    found = generating.plan(asked(machine=replace(A100, price=Price())), TEXT)
    assert of(found)[0].on_demand is None
    assert any("goes without money" in note for note in found.notes)


def test_longer_prompts_and_fewer_answers_at_once_take_longer() -> None:
    usual = of(generating.plan(asked(), TEXT))[0].device_hours.expected
    longer = of(generating.plan(asked(), replace(TEXT, prompt=2048)))[0].device_hours.expected
    assert longer > usual
    small = replace(A100, gpu=replace(A100.gpu, memory=A100.gpu.memory // 4))
    bill, text = of(generating.plan(asked(machine=small), TEXT))
    assert text.at_once < 256
    assert bill.device_hours.expected > usual


def test_few_answers_leave_devices_idle_and_it_is_said() -> None:
    found = generating.plan(asked(gpus=16), Text(512))
    assert of(found)[1].at_once == 1
    assert any("of 16 devices have nothing to do" in note for note in found.notes)
    assert not any("nothing to do" in note for note in generating.plan(asked(), TEXT).notes)


def test_devices_that_do_not_make_up_a_copy_are_paid_for() -> None:
    found = generating.plan(asked(70 * B, gpus=3), TEXT)
    assert (of(found)[1].copies, of(found)[1].tensor, of(found)[0].devices) == (1, 2, 3)
    assert any(note.startswith("1 of 3 devices have nothing to do") for note in found.notes)


def test_without_gpus_as_many_are_taken_as_end_within_thirty_days() -> None:
    few = generating.plan(asked(gpus=None), TEXT)
    assert few.devices == 1
    many = generating.plan(asked(gpus=None), Text(1000 * B))
    assert of(many)[0].wall_clock_hours.expected <= 720
    half = generating.plan(asked(gpus=many.devices // 2), Text(1000 * B))
    assert of(half)[0].wall_clock_hours.expected > 720
    limited = generating.plan(asked(gpus=None, available=24), Text(1000 * B))
    assert limited.devices == 24


def test_an_endpoint_is_priced_by_the_token() -> None:
    endpoint = Endpoint(Decimal("0.10"), Decimal("0.40"), "USD")
    money = endpoint.cost(TEXT)
    # 1,953,125 prompts of 256 tokens are 500 million
    assert money.expected == Decimal("50.00") + Decimal("400.00")
    assert money.low == money.expected
    assert money.high == money.expected * Decimal("1.25")
    found = generating.plan(asked(), TEXT, endpoint=endpoint)
    (other,) = found.alternatives
    times = float(money.expected / cost(found).expected)
    assert other.cost == money
    assert other.reason == f"450 (450 to 562) USD in all, {times:.2f} times the cost"


def test_an_endpoint_beside_a_machine_without_a_price_is_priced_alone() -> None:
    unpriced = asked(machine=replace(A100, price=Price()))
    endpoint = Endpoint(Decimal("0.10"), Decimal("0.40"), "USD")
    (other,) = generating.plan(unpriced, TEXT, endpoint=endpoint).alternatives
    assert other.reason == "450 (450 to 562) USD in all"


def test_other_machines_are_compared() -> None:
    others = [catalogue.typical("h100-sxm"), catalogue.typical("t4")]
    faster, small = generating.plan(asked(70 * B), TEXT, others=others).alternatives
    assert "times the cost" in faster.reason
    assert faster.wall_clock_hours is not None
    assert small.reason.startswith("no copy of the model fits")
    limited = asked(available=8)
    (other,) = generating.plan(limited, TEXT, others=[replace(A100, gpus=4)]).alternatives
    assert other.reason == "it has 4 devices"


def test_what_is_impossible_is_refused_with_what_would_help() -> None:
    with pytest.raises(Refused, match=r"weights take 13.* say more --gpus, a GPU with more memory"):
        generating.plan(asked(70 * B, gpus=1), TEXT)
    with pytest.raises(Refused, match="both; say a GPU with more memory, or a smaller --size"):
        generating.plan(asked(405 * B, gpus=16), TEXT)
    with pytest.raises(Refused, match="no copy of the model fits"):
        generating.plan(asked(405 * B, gpus=None), TEXT)
    with pytest.raises(Refused, match=r"more than the context of 4,096; say a longer --context"):
        generating.plan(asked(), Text(B, answer=4000))
    with pytest.raises(Refused, match="has 4 devices, and 8 are asked for; say 4 at most"):
        generating.plan(asked(available=4), TEXT)


def test_what_a_billion_tokens_would_cost_is_one_sentence() -> None:
    said = generating.besides(asked(gpus=512, context=256))
    assert said is not None
    money = cost(generating.plan(asked(gpus=1), TEXT)).expected
    assert f"GPU hours, {money:.0f} (" in said
    assert said.endswith("cupola plan --generate 1B --size 7B says more")
    assert generating.besides(asked(405 * B)) is None
    unpriced = generating.besides(asked(machine=replace(A100, price=Price())))
    assert unpriced is not None
    assert "USD" not in unpriced


SIZES = st.sampled_from([10**8, 10**9, 7 * B, 13 * B, 70 * B])
GPUS = st.sampled_from(["a100-40g", "a100-80g", "h100-sxm", "h200", "v100", "t4", "l4"])


def hours(question: Asked, text: Text) -> float | None:
    try:
        return of(generating.plan(question, text))[0].wall_clock_hours.expected
    except Refused:
        return None


@hypothesis_settings(max_examples=60)
@given(SIZES, GPUS, st.integers(1, 200), st.integers(1, 200), st.integers(1, 10**8))
def test_more_gpus_never_take_longer(size: int, gpu: str, few: int, more: int, tokens: int) -> None:
    question, text = asked(size, catalogue.typical(gpu), gpus=few), Text(tokens)
    before, after = hours(question, text), hours(replace(question, gpus=few + more), text)
    assert before is None or (after is not None and after <= before * (1 + 1e-9))


@hypothesis_settings(max_examples=40)
@given(SIZES, GPUS, st.integers(1, 10**10), st.integers(0, 10**10))
def test_cost_is_monotone_in_tokens(size: int, gpu: str, tokens: int, more: int) -> None:
    question = asked(size, catalogue.typical(gpu))
    before, after = hours(question, Text(tokens)), hours(question, Text(tokens + more))
    assert (before is None) == (after is None)
    assert before is None or (after is not None and after >= before * (1 - 1e-9))


@hypothesis_settings(max_examples=60)
@given(
    SIZES,
    GPUS,
    st.integers(1, 64),
    st.tuples(st.integers(1, 3000), st.integers(1, 1000)),
    st.sampled_from(["BF16", "FP32"]),
)
def test_no_plan_that_does_not_fit_is_proposed(
    size: int, gpu: str, devices: int, lengths: tuple[int, int], precision: str
) -> None:
    question = asked(size, catalogue.typical(gpu), gpus=devices, precision=precision)
    try:
        _, found = of(generating.plan(question, Text(B, *lengths)))
    except Refused:
        return
    assert found.weights + found.cache <= copies.USED * found.capacity
    assert found.copies * found.tensor <= devices
    assert found.tensor <= question.machine.gpus


def test_a_reserved_price_that_is_not_known_is_said() -> None:
    for reserved in (None, Decimal("1.2")):
        there = replace(A100, price=Price(Decimal("1.5"), reserved))
        notes = generating.plan(asked(machine=there), TEXT).notes
        assert any(note.startswith("no reserved price") for note in notes) == (reserved is None)
