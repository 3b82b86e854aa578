"""Which pods are on nodes that can be taken away, and cost the spot price."""

from __future__ import annotations

from collections.abc import Mapping

from cupola_operator.children import Pod
from cupola_operator.cluster import Cluster, Key, Obstacle
from cupola_operator.cost.intervals import MAX_PODS
from cupola_operator.world import World


def seen(cluster: Cluster, world: World) -> World:
    """The world with what the nodes of its pods say, where their pool names such nodes.

    A node is read until status holds what it said. One that cannot be read says nothing, and its pod
    is charged as on demand.
    """
    new = {pod.uid for pod in world.pods if pod.node}
    if not new:
        return world
    times = [time for attempt in world.status.attempts for time in attempt.pods]
    known = {time.uid for time in times if time.spot is not None}
    new -= known
    if not new or len(known) >= MAX_PODS:
        return world
    wanted = {
        pool.name: pool.spot_nodes
        for resolved in world.runs.values()
        if resolved
        for pool in (resolved.placement.pool, *resolved.placement.others)
        if pool.spot_nodes
    }
    if not wanted:
        return world
    return world.but(
        pods=tuple(
            marked(pod, _is_spot(cluster, pod.node, wanted[pod.pool]))
            if pod.uid in new and pod.pool in wanted
            else pod
            for pod in world.pods
        )
    )


def marked(pod: Pod, spot: bool | None) -> Pod:
    """The pod with what its node says."""
    copy = object.__new__(Pod)  # dataclasses.replace takes ten times as long
    object.__setattr__(copy, "__dict__", {**pod.__dict__, "spot": spot})
    return copy


def _is_spot(cluster: Cluster, name: str, labels: Mapping[str, str]) -> bool | None:
    """Whether a node has the labels; None if it is gone or may not be read."""
    try:
        node = cluster.get(Key("Node", "", name))
    except Obstacle:
        return None
    if node is None:
        return None
    return labels.items() <= (node["metadata"].get("labels") or {}).items()
