from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api.common import Attempt, Phase
from cupola_operator.cluster import key_of
from cupola_operator.decide import decide
from cupola_operator.decide.forecast import of_world, planned

UPSTREAM = {
    "Dataset": (),
    "PretrainJob": ("Dataset",),
    "FineTune": ("Dataset", "PretrainJob"),
    "Evaluation": ("Dataset", "PretrainJob", "FineTune"),
}
KINDS = [*UPSTREAM]


def world(kit: Any, kind: str, *, finished: bool = True, **fields: Any) -> Any:
    cluster = kit.Cluster()
    for other in UPSTREAM[kind]:
        task = {"task": {"input": "q", "output": "a"}} if other == "Dataset" else {}
        made = kit.done(other, **task) if finished else kit.resource(other)
        if other == "Dataset" and finished:
            made["status"]["summary"]["examples"] = 5
        cluster.create(made)
    return kit.world(cluster, key_of(cluster.create(kit.resource(kind, **fields))))


@pytest.mark.parametrize("kind", ["PretrainJob", "FineTune", "Evaluation"])
def test_a_run_is_planned_before_it_is_resolved(kit: Any, kind: str) -> None:
    status = decide(world(kit, kind)).status
    assert status
    assert status.plan
    assert status.plan.cost
    assert status.plan.gpu_hours
    assert status.plan.currency == "USD"


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_planned_while_it_waits(kit: Any, kind: str) -> None:
    status = decide(world(kit, kind, finished=False)).status
    assert status
    assert status.plan
    assert status.plan.cost or status.plan.notes


def test_a_pretraining_that_waits_for_its_data_has_its_price(kit: Any) -> None:
    waits = decide(world(kit, "PretrainJob", finished=False)).status
    ready = decide(world(kit, "PretrainJob")).status
    assert waits
    assert ready
    assert waits.phase is Phase.WAITING
    assert waits.plan
    assert ready.plan
    assert waits.plan.cost
    assert waits.plan.parameters != ready.plan.parameters  # the tokenizer has another size


def test_a_dataset_is_planned_by_what_was_listed(kit: Any) -> None:
    before = world(kit, "Dataset")
    plan = planned(before).status.plan
    assert plan
    assert plan.cost is None
    assert "known when they are listed" in plan.notes[0]
    status = before.status.model_copy(update={"input_bytes": 10**9, "plan": plan})
    after = planned(before.with_status(status)).status.plan
    assert after
    assert after.cost
    assert after.gpu_hours


def test_a_plan_stays_when_the_run_has_begun(kit: Any) -> None:
    first = planned(world(kit, "PretrainJob"))
    pool = first.settings.pools[0].model_copy(update={"price_per_gpu_hour": "1000"})
    dearer = first.settings.model_copy(update={"pools": [pool, *first.settings.pools[1:]]})
    waiting = first.but(settings=dearer)
    assert planned(waiting).status.plan != first.status.plan
    begun = first.status.model_copy(update={"attempts": [Attempt(number=1, name="a")]})
    assert planned(waiting.with_status(begun)).status.plan == first.status.plan
    resolved = waiting.but(runs={waiting.run_name(): None})
    assert planned(resolved).status.plan == first.status.plan


def test_the_listing_of_a_dataset_is_no_beginning(kit: Any) -> None:
    one = planned(world(kit, "Dataset"))
    attempts = [Attempt(number=1, name="a", stage="list", outcome="Succeeded")]
    listed = one.status.model_copy(update={"attempts": attempts, "input_bytes": 10**9})
    plan = planned(one.with_status(listed)).status.plan
    assert plan
    assert plan.cost


def test_a_run_whose_plan_is_lost_is_planned_on_its_own_pool(kit: Any) -> None:
    cluster = kit.Cluster()
    cluster.create(kit.done("Dataset"))
    key = key_of(cluster.create(kit.resource("PretrainJob")))
    (made,) = [
        action for action in decide(kit.world(cluster, key)).actions if hasattr(action, "value")
    ]
    cluster.create(made.value)
    seen = kit.world(cluster, key)
    assert seen.is_resolved()
    dear = [one.model_copy(update={"price_per_gpu_hour": "1000"}) for one in seen.settings.pools]
    later = replace(seen, settings=seen.settings.model_copy(update={"pools": dear}))
    found = planned(later).status.plan
    assert found
    assert found == planned(replace(kit.world(cluster, key))).status.plan
    assert float(found.cost.high) < 100


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
def test_a_run_that_ended_is_not_planned_afterwards(kit: Any, phase: Phase) -> None:
    one = world(kit, "PretrainJob")
    ended = one.status.model_copy(update={"phase": phase})
    assert planned(one.with_status(ended)).status.plan is None


def test_a_run_without_a_pool_has_no_plan(kit: Any) -> None:
    assert planned(world(kit, "PretrainJob", pools=["tpu"])).status.plan is None


def test_a_spec_that_is_not_valid_has_no_plan(kit: Any) -> None:
    assert planned(world(kit, "PretrainJob", datasets=[])).status.plan is None


@pytest.mark.parametrize(
    ("kind", "fields", "note"),
    [
        ("PretrainJob", {"model": {"size": "1"}}, "nearest model"),
        ("FineTune", {"examplesPerStep": 7, "pools": ["cpu"]}, "cannot be shared evenly"),
    ],
)
def test_what_cannot_be_planned_is_a_note(
    kit: Any, kind: str, fields: dict[str, Any], note: str
) -> None:
    plan = planned(world(kit, kind, **fields)).status.plan
    assert plan
    assert plan.cost is None
    assert note in plan.notes[0]
    assert plan.devices >= 1


def test_the_largest_run_that_can_be_written_is_planned_in_a_status_that_can_be_read(
    kit: Any,
) -> None:
    largest = {
        "model": {"shape": {"layers": 512, "hidden": 65_536, "heads": 512}, "context": 1_048_576},
        "tokens": "999999999999999T",
    }
    plan = planned(world(kit, "PretrainJob", **largest)).status.plan
    assert plan
    assert plan.tokens is None
    assert type(plan).model_validate(plan.to_json()) == plan


def test_a_pool_whose_gpu_nobody_knows_is_a_note(kit: Any) -> None:
    one = world(kit, "PretrainJob", pools=["h100"], parallelism={"nodes": 2, "gpusPerNode": 4})
    pools = [pool.model_copy(update={"name": pool.name + "x"}) for pool in one.settings.pools]
    settings = one.settings.model_copy(update={"pools": [*pools, *one.settings.pools]})
    strange = pools[1].model_copy(update={"name": "h100", "gpu": None})
    settings = settings.model_copy(update={"pools": [strange.model_copy(update={"name": "thing"})]})
    spec = one.resource.spec.model_copy(update={"pools": ["thing"]})
    seen = one.but(settings=settings, resource=one.resource.model_copy(update={"spec": spec}))
    plan = planned(seen).status.plan
    assert plan
    assert (plan.pool, plan.nodes, plan.devices) == ("thing", 2, 8)
    assert "does not say which GPU it has" in plan.notes[0]


def test_a_price_that_has_changed_by_its_date_counts(kit: Any) -> None:
    one = world(kit, "PretrainJob")
    dated = [
        {"from": "2025-01-01T00:00:00Z", "pricePerGpuHour": "3.6"},
        {"from": "2027-01-01T00:00:00Z", "pricePerGpuHour": "99"},
    ]
    kind = type(one.settings.pools[0])
    pools = [
        kind.model_validate(pool.to_json() | {"prices": dated}) if pool.name == "cpu" else pool
        for pool in one.settings.pools
    ]
    later = one.but(settings=one.settings.model_copy(update={"pools": pools}))
    before, after = planned(one).status.plan, planned(later).status.plan
    assert before
    assert after
    assert float(after.cost.expected) == pytest.approx(10 * float(before.cost.expected), rel=0.01)


def test_only_a_valid_resource_is_planned_on_a_pool(kit: Any) -> None:
    one = world(kit, "PretrainJob", datasets=[])
    with pytest.raises(TypeError, match="is not valid"):
        of_world(one, one.settings.pools[0], "USD")
