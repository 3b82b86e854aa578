"""One look at the world around a resource. All input of the reconciler is here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cupola_api.common import Phase, Status
from cupola_api.kinds import KINDS
from cupola_operator import labels, names, resources, spot
from cupola_operator.children import Job, Pod, Resolved, owner_of, time_of
from cupola_operator.cluster import Cluster, Key, Object
from cupola_operator.cost import book, entries, prices
from cupola_operator.cost.entries import Entry
from cupola_operator.cost.months import month_of
from cupola_operator.cost.namespace import Spending, of_others
from cupola_operator.resources import Reference
from cupola_operator.settings import Period, Settings
from cupola_operator.speakers import Scrape, heard
from cupola_operator.world import World

_ENDED = (Phase.SUCCEEDED, Phase.FAILED)

JOB_KIND = {
    "Dataset": "Job",
    "PretrainJob": "PyTorchJob",
    "FineTune": "PyTorchJob",
    "Evaluation": "Job",
}
"""What the attempts of each kind are."""


def observe(
    cluster: Cluster,
    settings: Settings,
    key: Key,
    now: datetime,
    scrape: Scrape,
    *,
    every: float = 60.0,
) -> World | None:
    """The world around `key`, or None if there is no such resource.

    Raises resources.StatusUnreadable, and what the cluster raises.
    """
    world = alone(cluster, settings, key, now)
    if world is None:
        return None
    ours = labels.selector(key.kind, key.name)
    kind = JOB_KIND[key.kind]
    owned = [
        child
        for child in cluster.find(kind, key.namespace, ours)
        if _is_ours(child, world.uid) or (world.deleting and _is_orphan(child, world.uid))
    ]
    listed = {child["metadata"]["name"] for child in owned}
    # A list may lag behind; what is there, and what is not, is only certain if it is read live.
    for name in _expected(key, world.status) - listed:
        child = cluster.get(Key(kind, key.namespace, name))
        owned += [child] if child and _is_ours(child, world.uid) else []
    pods = tuple(Pod.of(pod) for pod in cluster.find("Pod", key.namespace, ours))
    jobs = [Job.of(child) for child in owned]
    jobs = [fresh for job in jobs if (fresh := _read_after_pods(cluster, job))]
    run = world.status.run
    revision = run.revision if run else world.revision
    world = world.but(
        runs={
            child["metadata"]["name"]: prices.known(Resolved.of(child), settings)
            for child in cluster.find("ConfigMap", key.namespace, ours)
            if _is_ours(child, world.uid)
        },
        jobs=tuple(jobs),
        pods=pods,
        metrics=heard(pods, key.kind, revision, scrape),
        every=every,
    )
    world = spot.seen(cluster, world)
    world = world.but(references=_references(cluster, world))
    if _starts(world):
        world = world.but(before=_before(cluster, world))
    if settings.namespaces and not world.deleting:
        world = world.but(spending=_spending(cluster, world))
    return world


def _spending(cluster: Cluster, world: World) -> Spending:
    """What the other resources of the namespace spent, if that has a budget and this one may spend."""
    settings, namespace = world.settings, world.key.namespace
    rule = settings.namespace(namespace)
    if rule is None or rule.budget is None or _rests(world):
        return Spending()
    return of_others(
        [value for kind in KINDS for value in cluster.find(kind, namespace, {})],
        cluster.find("ConfigMap", namespace, book.SELECTOR),
        settings,
        uid=world.uid,
        month=month_of(world.now) if rule.budget.per is Period.MONTH else None,
        now=world.now,
    )


def _rests(world: World) -> bool:
    """Whether the run has ended and nobody asks for another try or a new run."""
    status = world.status
    same = status.run is not None and status.run.revision == world.revision
    return status.phase in _ENDED and same and world.retry == (status.retry or "")


def _starts(world: World) -> bool:
    """Whether the run was resolved and its start is not recorded yet."""
    run = world.status.run
    begun = run is not None and run.revision == world.revision and run.started_at is not None
    return not begun and any(map(world.is_resolved, (None, *names.STAGES[:2])))


def _before(cluster: Cluster, world: World) -> tuple[Entry, ...]:
    """What the ledger of the namespace says of earlier resources of this kind and name."""
    key = world.key
    values = cluster.find("ConfigMap", key.namespace, book.SELECTOR)
    return tuple(
        entries.before(
            book.entries(values),
            kind=key.kind,
            name=key.name,
            revision=world.revision,
            uid=world.uid,
        )
    )


def _read_after_pods(cluster: Cluster, job: Job) -> Job | None:
    """A Job as it is now, if it is one that Kueue may suspend; None if it is gone.

    Kueue suspends it first and its pods end then: whoever sees these end must know of that.
    """
    if not job.queue or job.complete or job.failed:
        return job
    value = cluster.get(job.key)
    return Job.of(value) if value and value["metadata"]["uid"] == job.uid else None


def alone(cluster: Cluster, settings: Settings, key: Key, now: datetime) -> World | None:
    """A resource without anything around it, or None if there is none. Raises as `observe`."""
    value = cluster.get(key)
    if value is None:
        return None
    metadata = value["metadata"]
    deleting = bool(metadata.get("deletionTimestamp"))
    resource, invalid = resources.parse(value)
    # A status that cannot be read must not keep a resource from going.
    read = _readable if deleting else resources.read_status
    return World(
        key=key,
        now=now,
        settings=settings,
        uid=metadata["uid"],
        resource_version=str(metadata.get("resourceVersion", "")),
        status=read(key, value.get("status")),
        generation=int(metadata.get("generation", 1)),
        resource=resource,
        invalid=invalid,
        deleting=deleting,
        deleted_at=time_of(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        retry=labels.retry_token(metadata),
    )


def _readable(key: Key, value: Any) -> Status:
    return resources.parse_status(key.kind, value)


def _expected(key: Key, status: Status) -> set[str]:
    """Names of the Jobs of the newest attempts, and of one that was made and is not recorded yet."""
    newest = {attempt.stage: attempt.name for attempt in status.attempts}
    expected = set(newest.values())
    between = not status.attempts or status.attempts[-1].outcome is not None
    if between and status.run and status.phase is not Phase.SUCCEEDED:
        expected |= set(names.next_jobs(*key[::2], status.run.revision, status.attempts))
    return expected


def _is_orphan(child: Object, uid: str) -> bool:
    """Whether a child is one of that resource, which was deleted without what it owns."""
    notes = child["metadata"].get("labels") or {}
    return not owner_of(child) and notes.get(labels.UID) == uid


def _is_ours(child: Object, uid: str) -> bool:
    """Whether the resource of that uid made the child; an earlier one of its name had another."""
    return owner_of(child).get("uid") == uid


def _references(cluster: Cluster, world: World) -> dict[Key, Reference]:
    """What a resource refers to; until its run is resolved, also what that was made from.

    The model that a chain of bases goes back to has the shape, and its Dataset the vocabulary.
    """
    found: dict[Key, Reference] = {}
    wanted = [*resources.refers_to(world.resource)] if world.resource else []
    origins = not world.is_resolved()
    for key in wanted:
        if key in found:
            continue
        found[key] = resources.reference_of(key, cluster.get(key))
        behind = found[key].resource
        if origins and behind:
            wanted += resources.refers_to(behind)
    return found
