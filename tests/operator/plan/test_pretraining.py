from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from cupola_operator.build import run as build
from cupola_operator.plan import Refused
from cupola_operator.plan.answers import pretraining
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.settings import Settings
from cupola_operator.world import World

from . import planning

CPU = {
    "name": "cpu",
    "device": "Cpu",
    "gpusPerNode": 2,
    "pricePerGpuHour": "0.05",
    "gpuWatts": 15,
}


def plan(
    settings: Settings | None = None,
    wanted: str | None = None,
    tokens: int | None = None,
    **spec: Any,
) -> Plan:
    data = planning.dataset()
    known = planning.known(planning.finished(data, tokens) if tokens else data)
    return pretraining.plan(
        planning.pretraining(**spec), settings or planning.settings(), known, wanted=wanted
    )


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"model": {"size": "125M", "context": 512}, "tokens": "3B", "precision": "FP32"},
        {"model": {"shape": {"layers": 4, "hidden": 512, "heads": 8}, "context": 256}},
        {"parallelism": {"nodes": 4, "gpusPerNode": 4, "zeroStage": 3}, "batch": "2M"},
        {"parallelism": {"activationCheckpointing": True}, "tokensPerParameter": 100},
    ],
)
def test_the_plan_is_of_the_run_that_the_spec_resolves_to(spec: dict[str, Any]) -> None:
    settings, data = planning.settings(), planning.finished(planning.dataset(), 10**9)
    one = planning.pretraining(**spec)
    world = World(
        key=planning.key(one),
        now=datetime(2026, 1, 1, tzinfo=UTC),
        settings=settings,
        uid="u",
        resource_version="1",
        status=planning.STATUS["PretrainJob"](),
        resource=one,
        references={data.key: data},
    )
    run = build.pretrain_run(world, settings.pools[0])
    found = pretraining.plan(one, settings, planning.known(data)).training
    assert found is not None
    assert found.steps == run.steps
    assert found.batch_tokens == run.sequences_per_step * run.shape.context
    assert found.layout.micro_batch == run.micro_batch
    assert found.layout.world == run.world.size
    assert found.layout.zero == run.zero_stage
    assert (found.layout.checkpointing == "Full") == run.activation_checkpointing
    assert found.precision == run.hyperparameters.precision
    assert found.model.layers == run.shape.layers
    assert found.model.hidden == run.shape.hidden


def test_money_is_hours_times_the_price_of_the_pool() -> None:
    found = plan()
    assert found.bill is not None
    assert found.bill.on_demand is not None
    assert float(found.bill.on_demand.expected) == pytest.approx(
        found.bill.device_hours.expected * 1.5
    )
    assert found.bill.on_demand.currency == "USD"


def test_datasets_that_are_finished_say_how_often_they_are_passed_over() -> None:
    found = plan(tokens=10**9)
    assert any("web has fewer tokens" in note and "passes over it" in note for note in found.notes)
    assert found.training is not None
    assert found.training.data is not None
    assert found.training.data.enough is False
    repeated, new = found.training.loss, plan().training
    assert repeated is not None
    assert new is not None
    assert new.loss is not None
    assert repeated.expected > new.loss.expected


def test_a_dataset_that_is_not_among_the_files_has_the_usual_vocabulary_and_it_is_said() -> None:
    found = pretraining.plan(planning.pretraining(), planning.settings(), planning.known())
    assert any("32,000 entries" in note for note in found.notes)
    assert found.training is not None
    assert found.training.model.vocabulary == 32_000


def test_what_does_not_fit_has_no_bill_and_says_what_would() -> None:
    large = {"size": "7B", "context": 4096}
    found = plan(model=large, parallelism={"zeroStage": 0})
    assert not found.runs
    assert found.bill is None
    assert "does not fit" in found.notes[0]
    remedied = plan(model=large, parallelism={"zeroStage": 0} | remedy(found))
    assert remedied.runs
    assert remedied.bill is not None


def test_what_fits_no_layout_of_these_devices_is_told_how_many_it_needs() -> None:
    large = {"size": "70B", "context": 4096}
    most = {"zeroStage": 3, "activationCheckpointing": True}
    found = plan(model=large, parallelism=most)
    assert not found.runs
    (devices,) = re.findall(r"it fits on (\d+) such devices", found.notes[0])
    assert remedy(found) == most
    enough = plan(model=large, parallelism=most | {"nodes": int(devices) // 8}, batch="16M")
    assert enough.runs


def remedy(found: Plan) -> Any:
    """What the plan says to write as spec.parallelism."""
    (text,) = re.findall(r"spec\.parallelism: (\{.*\})", found.notes[0])
    return yaml.safe_load(text)


def test_a_better_layout_that_a_spec_can_ask_for_is_shown_with_what_to_write() -> None:
    found = plan(parallelism={"activationCheckpointing": True})
    (first, *_) = found.alternatives
    assert "activationCheckpointing: false" in first.what
    assert "times as fast" in first.reason
    assert first.wall_clock_hours is not None
    assert found.bill is not None
    assert first.wall_clock_hours.expected < found.bill.wall_clock_hours.expected


def test_other_pools_are_alternatives_with_the_reason_why_they_lost() -> None:
    dear = planning.A100 | {"name": "dear", "pricePerGpuHour": "3"}
    tiny = planning.A100 | {"name": "tiny", "nodes": 1}
    found = plan(planning.settings(planning.A100, dear, tiny), parallelism={"nodes": 2})
    others = {one.what: one for one in found.alternatives}
    assert others["pool dear"].reason == "a device hour costs more than in pool a100"
    assert others["pool dear"].cost is not None
    assert "has 1 nodes" in others["pool tiny"].reason
    assert others["pool tiny"].cost is None


def test_a_wanted_pool_replaces_that_of_the_spec() -> None:
    settings = planning.settings(planning.A100, CPU)
    found = plan(settings, wanted="cpu", pools=["a100"], model={"size": "2M", "context": 128})
    assert found.machine.name == "cpu"


def test_a_pool_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match="there is no pool 'b200'"):
        plan(pools=["b200"])


def test_on_one_pool_it_is_the_same_without_alternatives() -> None:
    one, known = planning.pretraining(), planning.known(planning.dataset())
    place = planning.settings().pools[0]
    alone = pretraining.on_pool(one, place, "USD", known)
    assert alone.alternatives == ()
    assert (alone.training, alone.bill) == (plan().training, plan().bill)


def test_a_pool_whose_price_nobody_knows_loses_to_one_with_a_price() -> None:
    free = {key: value for key, value in planning.A100.items() if key != "pricePerGpuHour"}
    found = plan(planning.settings(free | {"name": "aaa"}, planning.A100))
    assert found.machine.name == "a100"
    other = next(one for one in found.alternatives if one.what == "pool aaa")
    assert "what a device hour of it costs is not known" in other.reason
    assert other.cost is None
    assert other.wall_clock_hours


def test_checkpoints_that_are_too_rare_or_too_often_are_said_with_the_best_time() -> None:
    large = planning.settings(planning.A100 | {"nodes": 1024})
    spec: dict[str, Any] = {
        "parallelism": {"nodes": 1024},
        "tokensPerParameter": 10_000,
        "batch": "32M",
    }
    rare = plan(large, checkpoint={"every": "12h"}, **spec)
    (note,) = [note for note in rare.notes if "checkpoint.every" in note]
    assert re.match(r"spec.checkpoint.every of 12h costs \d+% \(\d+% to \d+%\) of", note)
    (best,) = re.findall(r"more than (\S+), the best one", note)
    right = plan(large, checkpoint={"every": best}, **spec)
    assert not any("checkpoint.every" in note for note in right.notes)


def test_of_a_tiny_model_the_loss_is_not_known_and_the_rest_is() -> None:
    known = planning.known(planning.dataset(vocabulary=4096))
    one = planning.pretraining(model={"size": "2M", "context": 256}, tokens="1500K")
    found = pretraining.plan(one, planning.settings(CPU), known)
    assert found.training is not None
    assert found.training.loss is None
    assert any("says nothing" in note for note in found.notes)
    assert found.bill is not None
