"""Kueue: what is queued is made suspended, and is Kueue's from then on.

Kueue admits it by taking the suspension away and writing node selectors into its pod templates, and
evicts it by suspending it again. Cupola never writes those fields a second time.
"""

from __future__ import annotations

from cupola_operator.children import Resolved
from cupola_operator.cluster import Object
from cupola_operator.labels import QUEUE
from cupola_operator.world import World


def of(world: World, resolved: Resolved) -> str | None:
    """The LocalQueue of the next attempt: spec.queue, else that of the installation.

    None on one machine, where the node itself queues.
    """
    if world.settings.is_local:
        return None
    named: str | None = world.resource.spec.queue if world.resource else None
    return named or resolved.placement.queue


def labelled(metadata: Object, queue: str | None) -> Object:
    """Metadata of a Job with the label that Kueue reads; its pods do not have it."""
    if queue is None:
        return metadata
    return {**metadata, "labels": {**metadata["labels"], QUEUE: queue}}


def suspended(queue: str | None) -> Object:
    """The field that keeps a Job from making pods until it is admitted."""
    return {"suspend": True} if queue else {}
