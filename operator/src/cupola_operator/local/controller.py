"""What the two job controllers share: from the pods there are to those that should be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from cupola_operator.cluster import AlreadyExists, Conflict, Key, NotFound, Object, key_of
from cupola_operator.local.store import Store


class Changes(NamedTuple):
    """What a controller wants done: pods created and deleted, then its status replaced."""

    create: list[Object]
    delete: list[Object]
    status: Object
    again: float | None = None
    """Seconds after which to look again."""


Sync = Callable[[Object, list[Object], float], Changes]
"""A controller's decision: (job, its pods sorted by name, Unix time) -> Changes. Pure."""


def reconcile(store: Store, key: Key, sync: Sync) -> float | None:
    """Do what `sync` decides for the job `key`; the seconds after which to call again, or None."""
    job = store.get(key)
    if job is None:
        return None
    uid = job["metadata"]["uid"]
    pods = [
        pod
        for pod in store.find("Pod", key.namespace)
        if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences", []))
    ]
    changes = sync(job, pods, time.time())
    for pod in changes.delete:
        store.delete(key_of(pod), pod["metadata"]["uid"])
    try:
        store.patch_status(key, changes.status, job["metadata"]["resourceVersion"])
    except (Conflict, NotFound):
        return 0.0
    for pod in changes.create:
        try:
            store.create(pod)
        except AlreadyExists:
            continue  # one of that name is on its way out; its removal wakes this job again
    return changes.again


def child(job: Object, template: Object, name: str, labels: dict[str, str]) -> Object:
    """A pod from a job's template, owned by the job."""
    metadata: dict[str, Any] = template.get("metadata", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": job["metadata"]["namespace"],
            "labels": {**metadata.get("labels", {}), **labels},
            "annotations": dict(metadata.get("annotations", {})),
            "ownerReferences": [
                {
                    "apiVersion": job["apiVersion"],
                    "kind": job["kind"],
                    "name": job["metadata"]["name"],
                    "uid": job["metadata"]["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            **template["spec"],
            "containers": [dict(c) for c in template["spec"]["containers"]],
        },
    }


def phase_of(pod: Object) -> str:
    """The phase of a pod; Pending before the node has seen it."""
    return str(pod.get("status", {}).get("phase", "Pending"))
