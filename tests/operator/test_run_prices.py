"""A run that is under way: which prices it knows, and which of its pods can be taken away."""

from __future__ import annotations

from typing import Any

import pytest

from cupola_operator import labels
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import decide
from cupola_operator.pools import Pool
from cupola_operator.settings import Settings

LATER = {"from": "2026-01-01T00:10:00Z", "pricePerGpuHour": "0.72"}
SPOT = {"spotPricePerGpuHour": "0.1", "spotNodes": {"spot": "yes"}}


def settings(kit: Any, **fields: Any) -> Settings:
    """The settings with other fields of each pool."""
    found: Settings = kit.SETTINGS
    pools = [Pool.model_validate(pool.to_json() | fields) for pool in found.pools]
    return found.model_copy(update={"pools": pools})


@pytest.fixture
def begun(kit: Any) -> Any:
    """A cluster with a resolved training that pays by `settings`, and its key."""

    def begin(paid: Settings) -> tuple[Any, Key]:
        cluster = kit.Cluster()
        cluster.create(kit.done("Dataset"))
        key = key_of(cluster.create(kit.resource("PretrainJob")))
        for _ in range(3):
            for action in decide(kit.world(cluster, key, settings=paid)).actions:
                if value := getattr(action, "value", None):
                    value["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
                    cluster.create(value)
                else:
                    cluster.objects[key]["metadata"]["finalizers"] = [*action.finalizers]
            if kit.world(cluster, key, settings=paid).runs:
                return cluster, key
        raise AssertionError

    return begin


def prices(kit: Any, cluster: Any, key: Key, now: Settings) -> list[str]:
    world = kit.world(cluster, key, settings=now)
    return [price.since for price in world.resolved().placement.pool.prices]


def test_a_later_price_that_is_written_down_while_it_runs_counts(kit: Any, begun: Any) -> None:
    cluster, key = begun(settings(kit))
    assert prices(kit, cluster, key, settings(kit)) == []
    assert prices(kit, cluster, key, settings(kit, prices=[LATER])) == [LATER["from"]]


def test_a_price_that_began_before_it_was_resolved_does_not(kit: Any, begun: Any) -> None:
    cluster, key = begun(settings(kit))
    earlier = LATER | {"from": "2025-12-31T00:00:00Z"}
    assert prices(kit, cluster, key, settings(kit, prices=[earlier])) == []


def test_a_pod_on_a_node_that_can_be_taken_away_is_seen_as_such(kit: Any, begun: Any) -> None:
    cluster, key = begun(settings(kit, **SPOT))
    notes = labels.selector(key.kind, key.name) | {labels.POOL: kit.SETTINGS.pools[0].name}
    for name, node in (("here", {"spot": "yes"}), ("there", {})):
        cluster.objects[Key("Node", "", name)] = {"metadata": {"name": name, "labels": node}}
        pod = {"metadata": {"name": name, "labels": notes}, "spec": {"nodeName": name}}
        cluster.create({"apiVersion": "v1", "kind": "Pod", **pod})
    world = kit.world(cluster, key, settings=settings(kit, **SPOT))
    assert {pod.name: pod.spot for pod in world.pods} == {"here": True, "there": False}
