"""Events by which there is no room: queues, evictions, full pools."""

from __future__ import annotations

from . import kueue
from .events import bad, good, pick
from .simulation import Simulation
from .specs import POOLS


@good(1)
def admit(sim: Simulation, a: int, b: int) -> str | None:
    return "Kueue admits what waits" if kueue.admit(sim) else None


@bad(1.5)
def queue(sim: Simulation, a: int, b: int) -> str | None:
    """A person has the later attempts queued, or not any more."""
    value = sim.resource
    if value is None:
        return None
    queued = None if value["spec"].get("queue") else "team"
    sim.api.respec(value, queue=queued)
    return f"spec.queue is {queued}"


@bad(2)
def evict(sim: Simulation, a: int, b: int) -> str | None:
    key = pick(kueue.admitted(sim), a)
    if key is None:
        return None
    kueue.evict(sim, key)
    return f"Kueue evicts {key.name}"


@bad(1)
def crowd(sim: Simulation, a: int, b: int) -> str | None:
    """A pool has no room for a while, or has room again."""
    pool = POOLS[a % len(POOLS)]
    sim.nodes.full ^= {pool}
    return f"pool {pool} {'is full' if pool in sim.nodes.full else 'has room'}"
