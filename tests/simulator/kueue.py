"""Kueue, as far as the operator can see it: it admits what is queued, and takes devices away again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cupola_operator.children import Job
from cupola_operator.cluster import Key, Object
from cupola_operator.labels import QUEUE
from cupola_operator.local.controller import phase_of

if TYPE_CHECKING:
    from .simulation import Simulation


def admit(sim: Simulation) -> bool:
    """Let every queued job go on of which nothing runs any more; whether there was any."""
    if not sim.queues:
        return False
    waiting = [key for key, job in _queued(sim) if Job.of(job).held and not _active(sim, job)]
    for key in waiting:
        _suspend(sim, key, False)
    return bool(waiting)


def admitted(sim: Simulation) -> list[Key]:
    """What Kueue let go on and what has not ended."""
    jobs = ((key, Job.of(job)) for key, job in _queued(sim))
    return [key for key, job in jobs if not (job.suspended or job.complete or job.failed)]


def evict(sim: Simulation, key: Key) -> None:
    """Take the devices of a job away: its pods are deleted, and it waits in its queue."""
    _suspend(sim, key, True)


def _queued(sim: Simulation) -> list[tuple[Key, Object]]:
    return [
        (key, job)
        for kind in ("Job", "PyTorchJob")
        for key, job in sim.api.list(kind).items()
        if QUEUE in (job["metadata"].get("labels") or {})
        and "deletionTimestamp" not in job["metadata"]
    ]


def _active(sim: Simulation, job: Object) -> bool:
    """Whether a job has pods that have not ended, or that it deletes.

    The Job controller does not count those that it deletes itself; here it cannot tell them from
    others.
    """
    uid = job["metadata"]["uid"]
    return any(
        owner["uid"] == uid
        for pod in sim.api.list("Pod").values()
        if phase_of(pod) not in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]
        for owner in pod["metadata"].get("ownerReferences", [])
    )


def _suspend(sim: Simulation, key: Key, suspend: bool) -> None:
    job = sim.api.get(key)
    if job is None:
        return
    if not suspend:
        sim.nodes.anew(job["metadata"]["uid"])
    spec = job["spec"]
    policy = spec.get("runPolicy")
    spec = (
        {**spec, "runPolicy": {**policy, "suspend": suspend}}
        if policy is not None
        else {**spec, "suspend": suspend}
    )
    sim.api.put({**job, "spec": spec})
