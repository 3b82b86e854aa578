from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cupola_operator.build import run as build
from cupola_operator.plan import shape
from cupola_operator.plan.anatomy import model
from cupola_operator.plan.answers import tuning
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.world import World

from . import planning

DECODER = model.of_shape(shape.of_size(1_000_000_000, vocabulary=32_000, context=2048))


def plan(*references: Any, **spec: Any) -> Plan:
    value = {"base": {"pretrainJob": "base"}, "dataset": "web"} | spec
    one = planning.resource("FineTune", "writer", **value)
    return tuning.plan(one, planning.settings(), planning.known(*references))


def at_hand(examples: int = 10_000) -> list[Any]:
    data = planning.finished(planning.dataset(), 5_000_000, examples=examples, documents=10_000)
    return [data, planning.pretraining()]


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"examplesPerStep": 256, "maxLength": 512, "epochs": 2},
        {"parallelism": {"nodes": 2, "zeroStage": 3}, "examplesPerStep": 64},
        {"tuning": {"lora": {}}, "parallelism": {"activationCheckpointing": True}},
    ],
)
def test_the_plan_is_of_the_run_that_the_spec_resolves_to(spec: dict[str, Any]) -> None:
    settings, base = planning.settings(), planning.pretraining()
    data = planning.finished(planning.dataset(), 10**9, examples=1000)
    one = planning.resource(
        "FineTune", "writer", base={"pretrainJob": "base"}, dataset="web", **spec
    )
    trained = planning.trained(base)
    world = World(
        key=planning.key(one),
        now=datetime(2026, 1, 1, tzinfo=UTC),
        settings=settings,
        uid="u",
        resource_version="1",
        status=planning.STATUS["FineTune"](),
        resource=one,
        references={data.key: data, trained.key: trained},
    )
    run = build.fine_tune_run(world, settings.pools[0])
    found = tuning.plan(one, settings, planning.known(data, base)).training
    assert found is not None
    layout = found.layout
    assert layout.micro_batch == run.micro_batch
    assert layout.global_batch == run.examples_per_step
    assert layout.world == run.world.size
    assert layout.zero == run.zero_stage
    assert (layout.checkpointing == "Full") == run.activation_checkpointing
    assert found.model.context == run.max_length
    assert found.precision == run.hyperparameters.precision


def test_tuning_all_weights_costs_as_much_as_pretraining_a_token() -> None:
    way = tuning.full(DECODER)
    assert way.flops == 1
    assert way.trainable > 9e8


def test_adapters_save_about_a_third_and_train_little() -> None:
    """Forward, backward for activations, and almost none for weights (Hu et al. 2021)."""
    way = tuning.lora(DECODER, 16)
    assert 2 / 3 < way.flops < 0.75
    assert way.trainable < 0.03 * tuning.full(DECODER).trainable
    assert tuning.lora(DECODER, 32).trainable == 2 * way.trainable


def test_lora_of_every_matrix_has_as_many_parameters_as_peft_adds() -> None:
    """rank x (in + out) of q, k, v, o, gate, up and down in each block."""
    d, f, layers = DECODER.hidden, DECODER.ffn, DECODER.layers
    keys = DECODER.kv_heads * DECODER.head_size
    each = 2 * (d + d) + 2 * (d + keys) + 3 * (d + f)
    assert tuning.lora(DECODER, 8).trainable == layers * 8 * each


def test_the_last_blocks_cost_less_the_fewer_they_are() -> None:
    few, many = tuning.last_blocks(DECODER, 0.1), tuning.last_blocks(DECODER, 0.9)
    assert few.flops < many.flops < 1
    assert few.trainable < many.trainable
    assert few.flops > 1 / 3


def test_a_finished_dataset_gives_tokens_hours_and_money() -> None:
    found = plan(*at_hand(), epochs=2)
    assert found.training is not None
    assert found.training.tokens == 2 * 10_000 * 500
    assert found.bill is not None
    assert found.bill.on_demand is not None
    assert found.bill.on_demand.expected > 0
    assert any("500 tokens" in said for said in found.assumptions)


def test_twice_the_epochs_take_more_and_lora_takes_less() -> None:
    hours = {}
    for name, spec in {
        "once": {"epochs": 200},
        "twice": {"epochs": 400},
        "lora": {"epochs": 200, "tuning": {"lora": {}}},
    }.items():
        bill = plan(*at_hand(), **spec).bill
        assert bill is not None
        hours[name] = bill.device_hours.expected
    assert hours["once"] < hours["twice"] < 2.1 * hours["once"]
    assert 0.6 < hours["lora"] / hours["once"] < 0.8


def test_the_way_that_the_spec_asks_for_is_marked_among_those_compared() -> None:
    chosen = [
        one.what for one in plan(*at_hand(), tuning={"lora": {"rank": 8}}).options if one.chosen
    ]
    assert len(chosen) == 1
    assert chosen[0].startswith("LoRA of rank 8")
    full = [one.what for one in plan(*at_hand()).options if one.chosen]
    assert full[0].startswith("all weights")


def test_adapters_need_less_memory() -> None:
    adapters, full = plan(*at_hand(), tuning={"lora": {}}).training, plan(*at_hand()).training
    assert adapters is not None
    assert full is not None
    assert adapters.memory.optimizer < 0.05 * full.memory.optimizer
    assert adapters.memory.weights == full.memory.weights
    assert adapters.checkpoint_bytes < full.checkpoint_bytes


def test_without_a_finished_dataset_it_has_a_price_of_a_million_tokens_and_no_bill() -> None:
    found = plan(planning.dataset(), planning.pretraining())
    assert found.bill is None
    assert any("price of a million tokens" in note for note in found.notes)
    assert {one.tokens for one in found.options} == {1_000_000}
    assert all(one.cost for one in found.options)
    assert found.training is not None
    assert not found.training.whole


def test_without_its_base_it_does_not_know() -> None:
    found = plan(planning.dataset())
    assert found.bill is None
    assert found.training is None
    assert "PretrainJob base, or what it is made from, is not at hand" in found.notes[0]


def test_the_base_of_a_base_is_found() -> None:
    middle = planning.resource("FineTune", "middle", base={"pretrainJob": "base"}, dataset="web")
    found = plan(*at_hand(), middle, base={"fineTune": "middle"})
    assert found.training is not None
    assert found.training.parameters == pytest.approx(1e9, rel=0.05)


def test_what_does_not_fit_has_no_bill() -> None:
    base = planning.pretraining(model={"size": "70B", "context": 4096})
    found = plan(at_hand()[0], base)
    assert not found.runs
    assert found.bill is None
    assert any("does not fit" in note for note in found.notes)
