from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cupola_api.forecast import Forecast
from cupola_operator.plan import Refused
from cupola_operator.plan.answers import forecast, limits, resources
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.plan.estimate import Estimate

from . import planning

DATA = planning.finished(planning.dataset(), 10**10, examples=10_000)


def plan(one: Any, **pool: Any) -> Plan:
    known = planning.known(DATA, planning.trained(planning.pretraining()))
    place = planning.settings(planning.A100 | pool).pools[0]
    return resources.plan(one, "EUR", place, known)


def test_it_says_what_the_plan_says() -> None:
    found = plan(planning.pretraining())
    said = forecast.of(found)
    assert found.training
    assert found.bill
    assert found.bill.on_demand
    assert (said.pool, said.nodes, said.devices) == ("a100", 1, 8)
    assert said.parameters == found.training.parameters
    assert (said.tokens, said.steps) == (found.training.tokens, found.training.steps)
    assert said.flops == str(found.training.flops)
    assert said.cost
    assert Decimal(said.cost.expected) == round(found.bill.on_demand.expected, 2)
    assert said.currency == "EUR"
    for exact, text in (
        (found.bill.device_hours, said.gpu_hours),
        (found.bill.wall_clock_hours, said.wall_clock_hours),
        (found.bill.energy.kwh, said.energy_kwh),
        (found.training.step_seconds, said.step_seconds),
        (found.training.mfu, said.mfu),
        (found.training.loss, said.loss),
    ):
        assert exact
        assert text
        ends = [float(end) for end in (text.low, text.expected, text.high)]
        assert ends == pytest.approx(exact.ends, rel=1e-5)
    memory = found.training.memory
    assert said.memory_per_gpu == memory.total
    assert said.memory_at_least == memory.weights + memory.optimizer
    assert said.memory_capacity == found.training.capacity


def test_what_does_not_fit_has_no_cost_and_says_so() -> None:
    said = forecast.of(plan(planning.pretraining(model={"size": "70B"})))
    assert (said.cost, said.gpu_hours, said.step_seconds, said.mfu) == (None, None, None, None)
    assert said.memory_per_gpu
    assert "it does not fit" in said.notes[0]


def test_without_a_price_there_is_time_and_energy_and_no_money() -> None:
    said = forecast.of(plan(planning.pretraining(), pricePerGpuHour=None))
    assert (said.cost, said.currency) == (None, None)
    assert said.gpu_hours
    assert said.energy_kwh
    assert any("has no price" in note for note in said.notes)


def test_memory_of_a_host_is_never_certain() -> None:
    said = forecast.of(plan(planning.pretraining(), device="Cpu", gpu=None, networkGbit=None))
    assert said.memory_capacity
    assert said.memory_at_least is None


def test_of_a_tuning_whose_examples_are_not_counted_there_is_no_amount() -> None:
    one = planning.resource("FineTune", "t", base={"pretrainJob": "base"}, dataset="other")
    said = forecast.of(plan(one))
    assert (said.tokens, said.steps, said.flops, said.cost) == (None, None, None, None)
    assert said.parameters
    assert "is known when it is finished" in said.notes[0]


def test_what_a_status_cannot_hold_is_left_out() -> None:
    found = plan(planning.pretraining())
    assert found.training
    assert found.bill
    huge = replace(found.training, tokens=2**53 + 1, flops=10**41, loss=Estimate(0, 1, 1e45))
    said = forecast.of(replace(found, training=huge, notes=("x" * 600,) * 12))
    assert (said.tokens, said.flops, said.loss) == (None, None, None)
    assert said.steps
    assert len(said.notes) == 8
    assert {len(note) for note in said.notes} == {512}


def test_small_figures_are_plain_decimals() -> None:
    found = plan(planning.pretraining())
    assert found.training
    small = replace(found.training, mfu=Estimate(0, 1.5e-7, 0.25))
    said = forecast.of(replace(found, training=small)).mfu
    assert said
    assert (said.low, said.expected, said.high) == ("0", "0.00000015", "0.25")


def test_whatever_can_be_written_is_planned_or_refused() -> None:
    rng = random.Random(6)
    planned = refused = 0
    for _ in range(150):
        pool, one = _any_pool(rng), _any_pretraining(rng)
        data = planning.finished(planning.dataset(), rng.choice([0, 10**9]), examples=9)
        known = planning.known(data, planning.trained(one))
        for kind in (one, *_after(rng)):
            try:
                said = forecast.of(resources.plan(kind, "EUR", pool, known))
            except Refused:
                refused += 1
                continue
            planned += 1
            assert Forecast.model_validate(said.to_json()) == said
            limits.spelled(said)
    assert planned > 200
    assert refused > 50


def _any_pool(rng: random.Random) -> Any:
    fields = {
        "device": rng.choice(["Cpu", "Gpu"]),
        "gpusPerNode": rng.choice([1, 16]),
        "nodes": rng.choice([1, 100_000]),
        "threadsPerGpu": rng.choice([1, 256]),
        "gpuWatts": rng.choice([0, 10_000]),
        "hostWatts": rng.choice([0, 100_000]),
        "pricePerGpuHour": rng.choice([None, "0", "0.000001", "999999999999"]),
        "networkGbit": rng.choice([None, 1e-9, 1e5]),
        "pue": rng.choice([None, 1, 5]),
        "failuresPerNodeDay": rng.choice([None, 0, 100]),
        "memoryPerGpu": rng.choice([None, "1Ki", "999999999Ti"]),
    }
    return planning.settings(planning.A100 | fields).pools[0]


def _any_pretraining(rng: random.Random) -> Any:
    shapes = [
        {"layers": layers, "hidden": hidden, "heads": heads}
        for layers in (1, 512)
        for hidden in (8, 65_536)
        for heads in (1, 4)
    ]
    sizes = ["1M", "7B", "900T", "999999999999999T"]
    form = rng.choice([{"shape": rng.choice(shapes)}, {"size": rng.choice(sizes)}])
    spec = {
        "model": form | {"context": rng.choice([16, 2048, 1_048_576])},
        "parallelism": {
            "nodes": rng.choice([1, 1000]),
            "zeroStage": rng.randrange(4),
            "activationCheckpointing": rng.random() < 0.5,
        },
        "precision": rng.choice(["BF16", "FP32"]),
        "checkpoint": {"every": rng.choice(["1s", "999999d"])},
        "batch": rng.choice([None, "1", "999999999999999T"]),
    }
    length = [{"tokens": "1"}, {"tokens": "999999999999999T"}, {"tokensPerParameter": 1e-9}, {}]
    return planning.pretraining(**spec, **rng.choice(length))


def _after(rng: random.Random) -> tuple[Any, Any]:
    base, epochs = {"pretrainJob": "base"}, rng.choice([0.01, 1000])
    examples = rng.choice([1, 16, 4096])
    tasks = [
        {"name": "a", "perplexity": {"dataset": "web"}},
        {"name": "b", "pythonFunction": {"dataset": "web"}},
    ]
    return (
        planning.resource(
            "FineTune", "t", base=base, dataset="web", epochs=epochs, examplesPerStep=examples
        ),
        planning.resource("Evaluation", "e", model=base, tasks=tasks),
    )


def test_it_is_valid_json_of_its_type() -> None:
    said = forecast.of(plan(planning.pretraining()))
    assert Forecast.model_validate(said.to_json()) == said
