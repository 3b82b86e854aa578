from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

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
