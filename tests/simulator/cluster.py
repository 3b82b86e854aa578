"""An API server in memory whose objects are never changed in place, and its lists of the past.

As objects are replaced and never mutated, they are given out without a copy, an old list is an old
dict, and what was read from an object may be remembered by its identity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import count

from cupola_operator.cluster import AlreadyExists, Conflict, Key, NotFound, Object, key_of
from cupola_operator.local.clock import rfc3339

EPOCH = 1_767_225_600
"""2026-01-01T00:00:00Z; times of a simulation are seconds since then."""

GRACE = 30


def text(now: int) -> str:
    """A time as Kubernetes writes it."""
    return rfc3339(EPOCH + now)


class Api:
    """Objects by kind, with uids, versions, conflicts, marked deletion, and every earlier list."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.objects: defaultdict[str, dict[Key, Object]] = defaultdict(dict)
        """By kind, as they are now."""
        self.past: defaultdict[str, list[dict[Key, Object]]] = defaultdict(lambda: [{}])
        """Every list of a kind, the newest last."""
        self.watchers: list[Callable[[Key, Object], None]] = []
        self.before_removal: Callable[[], object] = lambda: None
        """The Job controller counts a pod before it goes: its pods have a finalizer for that."""
        self.uids: set[str] = set()
        self.changes = 0
        """Creations and removals so far."""
        self._uid, self._version = count(1), count(1)

    def list(self, kind: str) -> dict[Key, Object]:
        """The objects of a kind as they are now."""
        return self.objects[kind]

    def get(self, key: Key) -> Object | None:
        return self.objects[key.kind].get(key)

    def create(self, value: Object) -> Object:
        key = key_of(value)
        if key in self.objects[key.kind]:
            raise AlreadyExists(str(key))
        uid = f"{next(self._uid):08x}-uid"
        self.uids.add(uid)
        self.changes += 1
        metadata = {
            "namespace": "default",
            **value["metadata"],
            "uid": uid,
            "generation": 1,
            "creationTimestamp": text(int(self.clock())),
            "resourceVersion": str(next(self._version)),
        }
        value = {**value, "metadata": metadata}
        self._set(key, {**self.objects[key.kind], key: value}, value)
        return value

    def put(self, value: Object, key: Key | None = None) -> Object:
        """Replace or add an object as it is, with a new version; tells the watchers."""
        value = {
            **value,
            "metadata": {**value["metadata"], "resourceVersion": str(next(self._version))},
        }
        key = key or key_of(value)
        self._set(key, {**self.objects[key.kind], key: value}, value)
        return value

    def patch_status(self, key: Key, status: Mapping[str, object], version: str) -> Object:
        value = self.get(key)
        if value is None:
            raise NotFound(str(key))
        if value["metadata"]["resourceVersion"] != version:
            raise Conflict(str(key))
        return self.put({**value, "status": status}, key)

    def replace(self, value: Object) -> Object:
        """Replace an object in the version that `value` has."""
        there = self.get(key_of(value))
        if there is None:
            raise NotFound(str(key_of(value)))
        if there["metadata"]["resourceVersion"] != value["metadata"]["resourceVersion"]:
            raise Conflict(str(key_of(value)))
        return self.put(value)

    def finalize(self, key: Key, finalizers: Sequence[str], version: str) -> Object:
        """Set the finalizers of an object; one that is deleted goes with the last of them."""
        value = self.get(key)
        if value is None:
            raise NotFound(str(key))
        if value["metadata"]["resourceVersion"] != version:
            raise Conflict(str(key))
        value = self.edit(value, finalizers=list(finalizers))
        if not finalizers and "deletionTimestamp" in value["metadata"]:
            self.remove(key)
        return value

    def edit(self, value: Object, **metadata: object) -> Object:
        """Change metadata of an object."""
        return self.put({**value, "metadata": {**value["metadata"], **metadata}})

    def respec(self, value: Object, **fields: object) -> Object:
        """Change fields of an object's spec; None takes one away."""
        spec = {k: v for k, v in {**value["spec"], **fields}.items() if v is not None}
        generation = value["metadata"]["generation"] + 1
        metadata = {**value["metadata"], "generation": generation}
        return self.put({**value, "metadata": metadata, "spec": spec})

    def delete(self, key: Key, uid: str | None = None) -> None:
        """Ask for deletion: a pod that a node has stays, marked; anything else goes at once."""
        value = self.get(key)
        if value is None or uid not in (None, value["metadata"]["uid"]):
            return
        held = key.kind == "Pod" and value.get("status", {}).get("startTime")
        if not held and not value["metadata"].get("finalizers"):
            self.remove(key)
        elif "deletionTimestamp" not in value["metadata"]:
            grace = value["spec"].get("terminationGracePeriodSeconds", GRACE) if held else 0
            self.edit(
                value,
                deletionTimestamp=text(int(self.clock() + grace)),
                deletionGracePeriodSeconds=grace,
            )

    def remove(self, key: Key) -> None:
        """Take an object away; what it owned stays for the garbage collector."""
        if key.kind == "Pod":
            self.before_removal()
        now = dict(self.objects[key.kind])
        if key not in now:  # a controller was faster
            return
        value = now.pop(key)
        self.uids.discard(value["metadata"]["uid"])
        self.changes += 1
        self._set(key, now, value)

    def orphans(self) -> list[Object]:
        """Objects whose owners are gone and whose deletion was not asked for yet."""
        return [
            value
            for kind in ("ConfigMap", "Job", "PyTorchJob", "Pod")
            for value in self.objects[kind].values()
            if (owners := value["metadata"].get("ownerReferences"))
            and not any(owner["uid"] in self.uids for owner in owners)
            and "deletionTimestamp" not in value["metadata"]
        ]

    def _set(self, key: Key, objects: dict[Key, Object], value: Object) -> None:
        """Replace the list of a kind; tells the watchers what changed."""
        self.objects[key.kind] = objects
        self.past[key.kind].append(objects)
        for watcher in self.watchers:
            watcher(key, value)
