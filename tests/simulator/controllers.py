"""The Job controller, the training operator and the garbage collector, on their own time.

What they decide is the code of the local run (`cupola_operator.local`), so that one model of them is
kept.
"""

from __future__ import annotations

from cupola_operator.cluster import AlreadyExists, Key, Object
from cupola_operator.local import jobs, pytorchjobs

from .cluster import EPOCH, Api

SYNC = {"Job": jobs.sync, "PyTorchJob": pytorchjobs.sync}


class Controllers:
    """Controllers that look at what changed since they last looked."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.changed: dict[Key, None] = {}
        self.due: dict[Key, float] = {}
        self.idle: dict[Key, tuple[str, ...]] = {}
        """Versions of a job and its pods that need nothing, whatever the time."""
        self.collected = -1
        """Creations and removals after which nothing was left to collect."""
        api.watchers.append(self._seen)
        api.before_removal = lambda: self.sync("Job")

    def sync(self, *kinds: str) -> bool:
        """Look at every Job and PyTorchJob that changed, or those of `kinds`; whether that did anything."""
        now = self.api.clock()
        for key in [key for key, due in self.due.items() if due <= now]:
            del self.due[key]
            self.changed[key] = None
        keys = [key for key in self.changed if not kinds or key.kind in kinds]
        for key in keys:
            del self.changed[key]
        return sum(self._sync(key, now) for key in keys) > 0

    def collect(self) -> bool:
        """Ask for deletion of what has lost its owner; whether there was any."""
        if self.collected == self.api.changes:
            return False
        orphans = self.api.orphans()
        if not orphans:
            self.collected = self.api.changes
        for value in orphans:
            metadata = value["metadata"]
            self.api.delete(Key(value["kind"], metadata["namespace"], metadata["name"]))
        return bool(orphans)

    def _sync(self, key: Key, now: float) -> bool:
        job = self.api.get(key)
        if job is None:
            return False
        uid = job["metadata"]["uid"]
        mine = [
            (one, pod)
            for one, pod in self.api.list("Pod").items()
            for owner in pod["metadata"].get("ownerReferences", ())
            if owner["uid"] == uid
        ]
        pods = [pod for _, pod in sorted(mine)]
        versions = tuple(one["metadata"]["resourceVersion"] for one in (job, *pods))
        if self.idle.get(key) == versions:
            return False
        changes = SYNC[key.kind](job, pods, EPOCH + now)
        moved = changes.status != job.get("status")
        if moved:
            self.api.put({**job, "status": changes.status}, key)
        for pod in changes.delete:
            moved = moved or "deletionTimestamp" not in pod["metadata"]
            self.api.delete(Key("Pod", key.namespace, pod["metadata"]["name"]))
        for pod in changes.create:
            try:
                self.api.create(pod)
                moved = True
            except AlreadyExists:
                continue  # one of that name is on its way out; its removal wakes this job again
        if changes.again is not None:
            self.due[key] = now + changes.again
        elif not (moved or changes.create):
            self.idle[key] = versions
        return moved

    def _seen(self, key: Key, value: Object) -> None:
        if key.kind in SYNC:
            self.changed[key] = None
        elif key.kind == "Pod" and key in self.api.objects["Pod"]:
            for owner in value["metadata"].get("ownerReferences", []):
                self.changed[Key(owner["kind"], key.namespace, owner["name"])] = None
        elif key.kind == "Pod":
            # Also those whose owner is another one: a name that becomes free lets a pod be made.
            for kind in SYNC:
                self.changed |= dict.fromkeys(self.api.objects[kind])
