"""Which pods are on nodes that can be taken away: read once, where a pool says which nodes are."""

from __future__ import annotations

from typing import Any

import pytest

from cupola_api.common import Attempt, PodTime, Status
from cupola_operator import spot
from cupola_operator.children import Placement, Pod, Resolved
from cupola_operator.cluster import Forbidden, Key, Object
from cupola_operator.cost.intervals import MAX_PODS
from cupola_operator.world import World


class Nodes:
    """A cluster of nodes, and which of them were read."""

    def __init__(self, **labels: dict[str, str]) -> None:
        self.labels = labels
        self.read: list[str] = []

    def get(self, key: Key) -> Object | None:
        assert key[:2] == ("Node", "")
        self.read.append(key.name)
        if key.name == "secret":
            raise Forbidden("nodes may not be read")
        if key.name not in self.labels:
            return None
        return {"metadata": {"name": key.name, "labels": self.labels[key.name]}}


@pytest.fixture
def world(kit: Any) -> World:
    pools = [
        kit.SETTINGS.pools[0].model_copy(update={"name": name, "spot_nodes": labels})
        for name, labels in (("plain", {}), ("cheap", {"spot": "yes", "zone": "a"}))
    ]
    placement = Placement(pool=pools[0], others=pools[1:], currency="USD", image="i")
    resolved = Resolved("run", "d", None, placement)  # type: ignore[arg-type]
    return World(
        runs={"run": resolved, "torn": None},
        key=Key("PretrainJob", "default", "base"),
        now=kit.START,
        settings=kit.SETTINGS,
        uid="u",
        resource_version="1",
        status=Status(),
    )


def pod(uid: str, node: str, pool: str | None = "cheap") -> Pod:
    return Pod(name=uid, uid=uid, node=node, pool=pool)


def seen(world: World, cluster: Any, *pods: Pod) -> list[bool | None]:
    return [one.spot for one in spot.seen(cluster, world.but(pods=pods)).pods]


def test_a_node_with_all_the_labels_can_be_taken_away(world: World) -> None:
    nodes = Nodes(a={"spot": "yes", "zone": "a", "x": "y"}, b={"spot": "yes"}, c={})
    pods = [pod(uid, uid) for uid in "abc"]
    assert seen(world, nodes, *pods) == [True, False, False]


def test_a_node_that_is_gone_or_may_not_be_read_says_nothing(world: World) -> None:
    assert seen(world, Nodes(), pod("a", "gone"), pod("b", "secret")) == [None, None]


def test_only_nodes_of_such_a_pool_are_read(world: World) -> None:
    nodes = Nodes(a={})
    pods = (pod("a", "a", "plain"), pod("b", "a", None), pod("c", ""))
    assert seen(world, nodes, *pods) == [None, None, None]
    assert nodes.read == []


def test_without_such_a_pool_the_world_stays_as_it_is(world: World) -> None:
    plain = world.but(runs={"torn": None}, pods=(pod("a", "a"),))
    assert spot.seen(Nodes(a={}), plain) is plain  # type: ignore[arg-type]


def test_what_status_holds_is_not_read_again(world: World) -> None:
    times = [PodTime(uid="a", spot=True), PodTime(uid="b")]
    status = world.status.model_copy(update={"attempts": [Attempt(number=1, name="a", pods=times)]})
    nodes = Nodes(n={"spot": "yes", "zone": "a"})
    assert seen(world.with_status(status), nodes, pod("a", "n"), pod("b", "n")) == [None, True]
    assert nodes.read == ["n"]


def test_no_more_nodes_are_read_than_pods_that_status_holds(world: World) -> None:
    times = [PodTime(uid=f"p{number}", spot=False) for number in range(MAX_PODS)]
    status = world.status.model_copy(update={"attempts": [Attempt(number=1, name="a", pods=times)]})
    nodes = Nodes(n={})
    assert seen(world.with_status(status), nodes, pod("more", "n")) == [None]
    assert nodes.read == []
