"""Metadata of children: names, labels to find them by, and the owner whose deletion removes them."""

from __future__ import annotations

from typing import Any

from cupola_api import API_VERSION
from cupola_operator import labels
from cupola_operator.cluster import Object
from cupola_operator.world import World


def child(world: World, name: str, tags: dict[str, str]) -> dict[str, Any]:
    """Metadata of a child of the resource; `tags` are labels besides those of every child."""
    return {
        "name": name,
        "namespace": world.key.namespace,
        "labels": labels.selector(world.key.kind, world.key.name) | tags,
        "ownerReferences": [_owner(world)],
    }


def tags(
    world: World, *, component: str, stage: str, attempt: int, pool: str, gpus: int
) -> dict[str, str]:
    """Labels of an attempt's Job and of its pods; the ledger reads pool and devices from them."""
    return {
        labels.COMPONENT: component,
        labels.UID: world.uid,
        labels.REVISION: str(world.revision),
        labels.STAGE: stage,
        labels.ATTEMPT: str(attempt),
        labels.POOL: pool,
        labels.GPUS: str(gpus),
    }


def _owner(world: World) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": world.key.kind,
        "name": world.key.name,
        "uid": world.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
