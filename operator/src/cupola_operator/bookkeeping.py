"""What a run cost, written into the ledger of its namespace: for a while, and then no longer tried."""

from __future__ import annotations

from datetime import timedelta

from cupola_operator.cluster import AlreadyExists, Cluster, Conflict, NotFound, Obstacle
from cupola_operator.cost import book
from cupola_operator.decide import Enter
from cupola_operator.world import World

LEDGER_PATIENCE = timedelta(minutes=10)
"""How long after its deletion a resource stays while something keeps the operator from writing what
it cost into the ledger, or from seeing its pods; then it goes without that."""


def is_overdue(world: World) -> bool:
    """Whether a resource that is to go was kept for its ledger as long as it may be."""
    return world.deleted_at is not None and world.now - world.deleted_at > LEDGER_PATIENCE


def enter(cluster: Cluster, action: Enter, world: World) -> bool:
    """Write an entry into the ledger; whether it is there. Raises Obstacle.

    Of a resource that is being deleted it is given up when it cannot be done for long, and an Event
    says what is lost: that the resource may go comes first.
    """
    namespace = world.key.namespace
    key = book.key(namespace, action.month)
    try:
        there = cluster.get(key)
        value = book.entered(there, namespace, action.month, action.entry)
        if value is not None:
            write = cluster.replace if there else cluster.create
            write(value)
    except (AlreadyExists, Conflict):
        return False  # another resource was entered meanwhile
    except NotFound:  # the namespace is going, and its ledger with it; or the ledger is just gone
        return there is None
    except (Obstacle, book.Foreign) as problem:
        if not is_overdue(world):
            raise
        cluster.event(
            world.key,
            kind="Warning",
            reason="LedgerNotWritten",
            message=f"what it cost in {action.month} is not in the ledger: {problem}",
        )
    return True
