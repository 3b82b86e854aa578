from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api.common import Attempt
from cupola_operator.children import Placement, Resolved
from cupola_operator.cluster import key_of
from cupola_operator.decide import decide, pools


def world(kit: Any, kind: str, **fields: Any) -> Any:
    cluster = kit.Cluster()
    return kit.world(cluster, key_of(cluster.create(kit.resource(kind, **fields))))


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("PretrainJob", {}, None),
        ("PretrainJob", {"pools": ["tpu"]}, "PoolNotFound"),
        ("PretrainJob", {"parallelism": {"nodes": 5}}, "PoolTooSmall"),
        ("PretrainJob", {"parallelism": {"gpusPerNode": 9}}, "PoolTooSmall"),
        ("PretrainJob", {"pools": ["cpu"], "parallelism": {"gpusPerNode": 3}}, "PoolTooSmall"),
        ("PretrainJob", {"pools": ["cpu", "tpu"]}, "PoolNotFound"),
        ("PretrainJob", {"pools": ["h100", "cpu"]}, "PoolsDiffer"),
        ("Evaluation", {"pools": ["h100", "cpu"]}, "PoolsDiffer"),
        ("FineTune", {}, None),
        ("FineTune", {"pools": ["tpu"]}, "PoolNotFound"),
        ("Evaluation", {}, None),
        ("Evaluation", {"pools": ["tpu"]}, "PoolNotFound"),
    ],
)
def test_a_run_that_no_pool_can_take_is_stalled(
    kit: Any, kind: str, fields: dict[str, Any], reason: str | None
) -> None:
    seen = world(kit, kind, **fields)
    verdict = pools.unfit(seen)
    assert (verdict.reason if verdict else None) == reason
    if reason:
        status = decide(seen).status
        assert status
        assert status.phase == "Stalled"


@pytest.mark.parametrize(
    ("kind", "layout", "nodes", "gpus", "reason"),
    [
        ("PretrainJob", {"nodes": 2}, 1, 2, "PoolTooSmall"),
        ("PretrainJob", {"nodes": 2}, 2, 2, None),
        ("PretrainJob", {"gpusPerNode": 1}, 1, 1, None),
        ("PretrainJob", {"gpusPerNode": 2}, 1, 1, "PoolTooSmall"),
        ("PretrainJob", {}, 1, 1, "PoolTooSmall"),
        ("Evaluation", None, 1, 1, None),
    ],
)
def test_each_pool_must_take_what_the_first_one_does(
    kit: Any, kind: str, layout: dict[str, int] | None, nodes: int, gpus: int, *, reason: str | None
) -> None:
    first = kit.SETTINGS.pools[0].model_copy(update={"nodes": 4, "gpus_per_node": 2})
    second = first.model_copy(update={"name": "b", "nodes": nodes, "gpus_per_node": gpus})
    settings = kit.SETTINGS.model_copy(update={"pools": [first, second]})
    fields = {} if layout is None else {"parallelism": layout}
    seen = replace(world(kit, kind, pools=[first.name, "b"], **fields), settings=settings)
    verdict = pools.unfit(seen)
    assert (verdict.reason if verdict else None) == reason
    if reason is None:
        assert pools.others(seen, first) == [second]


def test_it_is_said_before_anything_is_waited_for(kit: Any) -> None:
    status = decide(world(kit, "PretrainJob", pools=["tpu"])).status
    assert status
    ready = status.condition("Ready")
    assert ready
    assert ready.reason == "PoolNotFound"
    assert "cpu, h100" in ready.message


def test_a_run_that_is_resolved_keeps_its_pool(kit: Any) -> None:
    cluster = kit.Cluster()
    cluster.create(kit.done("Dataset"))
    key = key_of(cluster.create(kit.resource("PretrainJob", pools=["cpu"])))
    cluster.create(decide(kit.world(cluster, key)).actions[0].value)
    gone = kit.SETTINGS.model_copy(update={"pools": kit.SETTINGS.pools[1:]})
    assert pools.unfit(kit.world(cluster, key, settings=gone)) is None
    assert pools.unfit(world(kit, "PretrainJob", pools=["cpu"])) is None


def test_a_dataset_is_made_on_the_data_pool(kit: Any) -> None:
    seen = world(kit, "Dataset")
    for name in ("cpu", "h100"):
        settings = kit.SETTINGS.model_copy(update={"data_pool": name})
        assert pools.chosen(replace(seen, settings=settings)).name == name


@pytest.mark.parametrize(
    ("names", "ends", "expected"),
    [
        ("", [], "a"),
        ("bc", [], "a"),
        ("bc", [("a", "PodsLost")], "a"),
        ("bc", [("a", None)], "a"),
        ("bc", [("a", "Unschedulable")], "b"),
        ("bc", [("a", "Unschedulable"), ("b", None)], "b"),
        ("bc", [("a", "Unschedulable"), ("b", "OOMKilled")], "b"),
        ("bc", [("a", "Unschedulable"), ("b", "Unschedulable")], "c"),
        ("bc", [("b", "Unschedulable"), ("c", "Unschedulable")], "a"),
        ("", [("a", "Unschedulable")], "a"),
        ("bc", [("elsewhere", "PodsLost")], "a"),
        ("bc", [(None, "PodsLost")], "a"),
    ],
)
def test_an_attempt_follows_the_last_one_until_that_found_no_room(
    kit: Any, names: str, ends: list[tuple[str | None, str | None]], expected: str
) -> None:
    cpu = kit.SETTINGS.pools[0]
    first, *others = (cpu.model_copy(update={"name": name}) for name in f"a{names}")
    placement = Placement(pool=first, others=others, currency="USD", image="i")
    attempts = [
        Attempt(number=n, name="x", pool=name, reason=reason, outcome="Lost" if reason else None)
        for n, (name, reason) in enumerate(ends, 1)
    ]
    seen = world(kit, "PretrainJob")
    status = seen.status.model_copy(update={"attempts": attempts})
    resolved = Resolved("m", "sha256:0", None, placement)  # type: ignore[arg-type]
    found = pools.placed(replace(seen, status=status), resolved).placement
    assert found.pool.name == expected
    assert {found.pool.name, *(one.name for one in found.others)} == set(f"a{names}")


def test_the_pools_of_a_run_are_all_in_its_config_map(kit: Any) -> None:
    cluster = kit.Cluster()
    cluster.create(kit.done("Dataset"))
    key = key_of(cluster.create(kit.resource("PretrainJob", pools=["cpu", "slow"])))
    cpu = kit.SETTINGS.pools[0]
    slow = cpu.model_copy(update={"name": "slow", "price_per_gpu_hour": "0.01"})
    settings = kit.SETTINGS.model_copy(update={"pools": [cpu, slow]})
    (create,) = decide(kit.world(cluster, key, settings=settings)).actions
    resolved = Resolved.of(create.value)
    assert resolved
    assert resolved.placement.pool == cpu
    assert resolved.placement.others == [slow]
    assert resolved.placement.on("slow").pool.price_per_gpu_hour == "0.01"
