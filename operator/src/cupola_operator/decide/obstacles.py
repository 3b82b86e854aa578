"""What keeps the pods of an attempt from starting, and when it is a person's move.

An attempt that did not start came to nothing that a run could be blamed for, so it is no failure:
it spends no retry, and is repeated for as long as it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cupola_api.common import Phase
from cupola_api.quantities import seconds
from cupola_operator.children import Job, Pod
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import Verdict
from cupola_operator.podstate import (
    CONTAINER_NOT_CREATED,
    IMAGE_NOT_PULLED,
    QUEUED,
    UNSCHEDULABLE,
)
from cupola_operator.world import World

EVICTED, NO_PODS = "Evicted", "PodsNotCreated"

NOT_STARTED = (UNSCHEDULABLE, IMAGE_NOT_PULLED, CONTAINER_NOT_CREATED)
"""Reasons of attempts that ended before all of their pods began."""

PATIENCE = timedelta(seconds=60)
"""How long a registry, a Secret or a controller may keep pods waiting before a person is told."""


def queued(job: Job | None, pods: Sequence[Pod], now: datetime) -> Verdict | None:
    """What Kueue holds has no devices: reason Queued, phase Pending.

    Kueue may take the devices away again: its pods then save and stop (reason Evicted), and the same
    attempt goes on when it is admitted anew. Neither is the end of an attempt.
    """
    if job is None or not job.held:
        return None
    if any(pod.lingers(now) for pod in pods):
        message = f"Kueue takes the devices of {job.key.name} away; its pods save and stop"
        return Verdict(Phase.PENDING, EVICTED, message)
    return Verdict(
        Phase.PENDING,
        QUEUED,
        f"{job.key.name} waits in queue {job.queue} of Kueue until there is room for it; "
        "kubectl describe workloads says what it waits for",
    )


def stuck(world: World, stage: Stage, job: Job | None, pods: Sequence[Pod]) -> Verdict | None:
    """What cannot start until a person acts is Stalled, and says what to do; it goes on by itself.

    - Unschedulable: no node has had room for as long as the pool's schedulingTimeout says, and the
      run has no other pool, or has tried them all. Those of a Job wait for each other: one that runs
      is enough.
    - ImageNotPulled, ContainerNotCreated: a minute after a node took the pod, or at once if the last
      attempt ended for that.
    - PodsNotCreated: the Job has no pod after a minute. Not on one machine, whose controllers stand
      still while nobody runs them.
    """
    held = _first(stage, pods)
    if held and (_left(stage, held, world.now) <= timedelta(0) or _known(world, stage, held)):
        return Verdict(Phase.STALLED, held.obstacle, _told(world, stage, held))
    if job is None or pods:
        return None
    if world.settings.is_local or job.since is None or world.now < job.since + PATIENCE:
        return None
    return Verdict(
        Phase.STALLED,
        NO_PODS,
        f"{job.key.kind} {job.key.name} has no pods yet; `kubectl describe {job.key.kind.lower()} "
        f"{job.key.name}` says why: a quota, a service account that is not there, or a controller "
        "that does not run",
    )


def again(stage: Stage, pods: Sequence[Pod], now: datetime) -> float | None:
    """Seconds until what keeps pods from starting is a person's move; None if nothing does."""
    held = _first(stage, pods)
    return _left(stage, held, now).total_seconds() if held else None


def no_room(stage: Stage, pods: Sequence[Pod], now: datetime) -> str | None:
    """Why the attempt goes to another pool, or None: it has one, and found no room in this in time."""
    held = _first(stage, pods)
    if held is None or held.obstacle != UNSCHEDULABLE or _left(stage, held, now) > timedelta(0):
        return None
    placement = stage.resolved.placement
    if not placement.others:
        return None
    return (
        f"pod {held.name} found no node in pool {placement.pool.name} for "
        f"{placement.pool.scheduling_timeout} ({held.waiting}); pool {placement.others[0].name} is "
        "tried next"
    )


def unmet(pods: Sequence[Pod]) -> Pod | None:
    """The pod that could not start, if others of its gang gave up waiting for it."""
    if not any(pod.unmet for pod in pods):
        return None
    return next((pod for pod in pods if pod.obstacle), None)


def _first(stage: Stage, pods: Sequence[Pod]) -> Pod | None:
    """The pod whose start has been kept longest by something that stays; a gang needs all of its pods."""
    if stage.gang is None and any(pod.running for pod in pods):
        return None
    held = [pod for pod in pods if pod.obstacle and pod.since]
    return min(held, key=lambda pod: (pod.since, pod.name), default=None)


def _left(stage: Stage, pod: Pod, now: datetime) -> timedelta:
    """How long it may still wait."""
    patience = PATIENCE
    if pod.obstacle == UNSCHEDULABLE:
        patience = timedelta(seconds=seconds(stage.resolved.placement.pool.scheduling_timeout))
    return (pod.since or now) + patience - now


def _known(world: World, stage: Stage, pod: Pod) -> bool:
    """Whether the attempts before this one, on every pool that there is, ended for the same."""
    pools = 1 + len(stage.resolved.placement.others) if pod.obstacle == UNSCHEDULABLE else 1
    last = stage.attempts(world)[-pools - 1 : -1]
    return len(last) == pools and all(attempt.reason == pod.obstacle for attempt in last)


def _told(world: World, stage: Stage, pod: Pod) -> str:
    pool = stage.resolved.placement.pool.name
    match pod.obstacle:
        case "Unschedulable":
            return (
                f"pod {pod.name} finds no node in pool {pool}: {pod.waiting}; make room in the pool, or "
                "name another one in spec.pools and raise spec.revision"
            )
        case "ImageNotPulled":
            return (
                f"the image of pod {pod.name} cannot be pulled: {pod.waiting}; push it, or correct "
                "its name in the installation's settings and raise spec.revision"
            )
        case _:
            return (
                f"a container of pod {pod.name} cannot be made: {pod.waiting}; make what it names in "
                f"namespace {world.key.namespace}"
            )
