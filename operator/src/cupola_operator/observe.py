"""One look at the world around a resource. All input of the reconciler is here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from cupola_api.common import Phase, Resource, Status
from cupola_api.finetune import FineTune
from cupola_operator import labels, names, resources
from cupola_operator.children import Job, Pod, Resolved, owner_of
from cupola_operator.cluster import Cluster, Key, Object
from cupola_operator.resources import Reference
from cupola_operator.settings import Settings
from cupola_operator.world import World

Scrape = Callable[[str], Mapping[str, float]]
"""From a pod's address to its metrics; empty if it does not answer."""

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
        child for child in cluster.find(kind, key.namespace, ours) if _is_ours(child, world.uid)
    ]
    listed = {child["metadata"]["name"] for child in owned}
    # A list may lag behind; what is there, and what is not, is only certain if it is read live.
    for name in _expected(key, world.status) - listed:
        child = cluster.get(Key(kind, key.namespace, name))
        owned += [child] if child and _is_ours(child, world.uid) else []
    pods = tuple(Pod.of(pod) for pod in cluster.find("Pod", key.namespace, ours))
    jobs = [Job.of(child) for child in owned]
    jobs = [fresh for job in jobs if (fresh := _read_after_pods(cluster, job))]
    speaker = _speaker(pods, key.kind, world.revision)
    return world.but(
        runs={
            child["metadata"]["name"]: Resolved.of(child)
            for child in cluster.find("ConfigMap", key.namespace, ours)
            if _is_ours(child, world.uid)
        },
        jobs=tuple(jobs),
        pods=pods,
        references=_references(cluster, world.resource) if world.resource else {},
        metrics=scrape(speaker.ip) if speaker and speaker.ip else {},
        every=every,
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
    resource, invalid = resources.parse(value)
    return World(
        key=key,
        now=now,
        settings=settings,
        uid=metadata["uid"],
        resource_version=str(metadata.get("resourceVersion", "")),
        status=resources.read_status(key, value.get("status")),
        generation=int(metadata.get("generation", 1)),
        resource=resource,
        invalid=invalid,
        deleting=bool(metadata.get("deletionTimestamp")),
        retry=labels.retry_token(metadata),
    )


def _expected(key: Key, status: Status) -> set[str]:
    """Names of the Jobs of the newest attempts, and of one that was made and is not recorded yet."""
    newest = {attempt.stage: attempt.name for attempt in status.attempts}
    expected = set(newest.values())
    between = not status.attempts or status.attempts[-1].outcome is not None
    if between and status.run and status.phase is not Phase.SUCCEEDED:
        expected |= set(names.next_jobs(*key[::2], status.run.revision, status.attempts))
    return expected


def _is_ours(child: Object, uid: str) -> bool:
    """Whether the resource of that uid made the child; an earlier one of its name had another."""
    return owner_of(child).get("uid") == uid


def _speaker(pods: tuple[Pod, ...], kind: str, revision: int) -> Pod | None:
    """The running pod that serves the metrics of the run: rank 0; an Evaluation's only one."""
    running = [
        pod
        for pod in pods
        if (pod.master or kind == "Evaluation") and pod.revision == revision and pod.running
    ]
    return max(running, key=lambda pod: pod.attempt, default=None)


def _references(cluster: Cluster, resource: Resource) -> dict[Key, Reference]:
    """What a resource refers to; for a FineTune also the bases of its base, to the first model."""
    found: dict[Key, Reference] = {}
    wanted = [*resources.refers_to(resource)]
    for key in wanted:
        if key in found:
            continue
        found[key] = resources.reference_of(key, cluster.get(key))
        base = found[key].resource
        if isinstance(resource, FineTune) and isinstance(base, FineTune):
            wanted.append(resources.key_of_model(base.spec.base, key.namespace))
    return found
