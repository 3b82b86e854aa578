"""The API server of one machine: objects in memory, mirrored to disk before a write returns.

Semantics are those of Kubernetes where the core can see them: uid and resourceVersion, generation
that counts changes of spec, conflicts, immutable ConfigMaps, deletion that cascades to what an
object owns, objects that stay, marked, while they have finalizers, and pods that stay until their
node has stopped them. A write that raises OSError (a full disk) has changed nothing.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cupola_api import kinds
from cupola_api.common import Resource
from cupola_operator.cluster import AlreadyExists, Conflict, Key, NotFound, Object, key_of
from cupola_operator.local.applied import applied
from cupola_operator.local.clock import Clock, rfc3339
from cupola_operator.local.mirror import Mirror
from cupola_operator.resources import parse

EVENTS = 200
"""Events that are kept in a work directory; the oldest go first."""

GRACE_SECONDS = 30
"""Kubernetes' default of terminationGracePeriodSeconds."""

Callback = Callable[[Object, bool], None]
"""Called with an object after each change, and whether it is gone."""

_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,198}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_KIND = re.compile(r"[A-Z][A-Za-z]{0,62}")
_DELETION_FIELDS = ("deletionTimestamp", "deletionGracePeriodSeconds")
_SERVER_FIELDS = (
    *("uid", "resourceVersion", "generation", "creationTimestamp", *_DELETION_FIELDS),
    "finalizers",  # one in a file names a controller that is not here to take it off again
)


class Refused(Exception):
    """A write that the API server would refuse; the message says why and what to do."""


class Store:
    """A `cluster.Cluster` under a work directory. All methods may be called from any thread.

    Raises `mirror.MirrorBroken` or OSError when what lies there cannot be read.
    """

    def __init__(self, folder: Path, clock: Clock = time.time) -> None:
        self._mirror = Mirror(folder)
        self._mirror.clean()
        self._clock = clock
        self._lock = threading.RLock()
        self._callbacks: list[Callback] = []
        self._objects = {key_of(value): value for value in self._mirror.read()}
        # Objects are given out as copies, and reading JSON is the fastest way to make one.
        self._texts = {key: json.dumps(value) for key, value in self._objects.items()}
        self._events = self._mirror.read_events()
        self._version = max(
            (int(value["metadata"]["resourceVersion"]) for value in self._objects.values()),
            default=0,
        )
        self._collect()

    def subscribe(self, callback: Callback) -> None:
        """Call `callback` after every change from now on, in the thread that made it."""
        self._callbacks.append(callback)

    def get(self, key: Key) -> Object | None:
        """The object, or None."""
        with self._lock:
            return self._out(key) if key in self._objects else None

    def find(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        """Objects of a kind whose labels include `labels`, sorted by namespace and name."""
        with self._lock:
            found = [
                key
                for key, value in self._objects.items()
                if key.kind == kind
                and namespace in (None, key.namespace)
                and (labels or {}).items() <= value["metadata"].get("labels", {}).items()
            ]
            return [self._out(key) for key in sorted(found)]

    def all(self) -> list[Object]:
        """Every object, sorted by kind, namespace and name."""
        with self._lock:
            return [self._out(key) for key in sorted(self._objects)]

    def create(self, value: Object) -> Object:
        """Create an object; returns it as stored. Raises AlreadyExists, Refused (a bad name)."""
        value = {**value, "metadata": {**value["metadata"]}}
        metadata = value["metadata"]
        metadata.setdefault("namespace", "default")
        key = key_of(value)
        _check_name(key)
        with self._lock:
            if key in self._objects:
                raise AlreadyExists(f"{key} exists")
            metadata["uid"] = str(uuid.uuid4())
            metadata["generation"] = 1
            metadata["creationTimestamp"] = rfc3339(self._clock())
            stored = self._put(value)
        self._tell(stored, deleted=False)
        self._collect()
        return stored

    def apply(self, resource: Resource) -> Object:
        """What `kubectl apply` does with a resource; a repetition changes nothing.

        The spec is stored with its defaults filled in; what others changed and the file does not
        name stays (see `applied`). Raises Refused with what `refusal` says, Conflict.
        """
        if sentence := self.refusal(resource):
            raise Refused(sentence)
        old = self.get(Key(resource.kind, resource.metadata.namespace, resource.metadata.name))
        wanted = applied(resource, old)
        metadata = {k: v for k, v in wanted["metadata"].items() if k not in _SERVER_FIELDS}
        if old is None:
            return self.create({**wanted, "metadata": metadata})
        server = {k: old["metadata"][k] for k in _SERVER_FIELDS if k in old["metadata"]}
        return self.replace({**old, "metadata": {**metadata, **server}, "spec": wanted["spec"]})

    def refusal(self, resource: Resource) -> str | None:
        """Why `apply` would refuse a resource, in a sentence, or None.

        What an older version of the API stored, and this one cannot read, may be replaced.
        """
        key = Key(resource.kind, resource.metadata.namespace, resource.metadata.name)
        try:
            _check_name(key)
        except Refused as refused:
            return str(refused)
        old = self.get(key)
        there = parse(old)[0] if old else None
        return kinds.update_error(there, resource) if there else None

    def replace(self, value: Object) -> Object:
        """Replace an object but its status, if it still has the resourceVersion of `value`.

        One that is deleted goes with its last finalizer. Raises Conflict, NotFound, and Refused for
        a change of an immutable ConfigMap.
        """
        key = key_of(value)
        with self._lock:
            old = self._current(key, value["metadata"]["resourceVersion"])
            metadata = {k: v for k, v in value["metadata"].items() if k not in _DELETION_FIELDS}
            deletion = {k: v for k, v in old["metadata"].items() if k in _DELETION_FIELDS}
            new = {**value, "metadata": metadata | deletion}
            new.pop("status", None)
            new |= {"status": old["status"]} if "status" in old else {}
            if new == old:
                return self._out(key)
            if old.get("immutable") and any(
                new.get(f) != old.get(f) for f in ("data", "immutable")
            ):
                raise Refused(f"{key} is immutable; make one of another name")
            if new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] = old["metadata"]["generation"] + 1
            gone = bool(deletion) and key.kind != "Pod" and not metadata.get("finalizers")
            if gone:
                self._forget(key)
            else:
                new = self._put(new)
        self._tell(new, deleted=gone)
        if gone:
            self._collect()
        return new

    def finalize(self, key: Key, finalizers: Sequence[str], resource_version: str) -> Object:
        """Replace the finalizers of an object in that version. Raises Conflict, NotFound."""
        value = self.get(key)
        if value is None:
            raise NotFound(f"{key} is not there")
        metadata = {**value["metadata"], "resourceVersion": resource_version}
        metadata["finalizers"] = list(finalizers)
        if not finalizers:
            del metadata["finalizers"]
        return self.replace({**value, "metadata": metadata})

    def patch_status(self, key: Key, status: Mapping[str, Any], resource_version: str) -> Object:
        """Replace the status decided on that version. Raises Conflict, NotFound."""
        with self._lock:
            old = self._current(key, resource_version)
            if old.get("status") == status:
                return self._out(key)
            stored = self._put({**old, "status": dict(status)})
        self._tell(stored, deleted=False)
        return stored

    def delete(self, key: Key, uid: str) -> None:
        """Ask for deletion: a pod is marked and stays until its node says `remove`.

        An object with finalizers is marked too and stays until it has none (see `replace`). One
        that is absent, or another one by that name, is not an error.
        """
        with self._lock:
            value = self._objects.get(key)
            if value is None or value["metadata"]["uid"] != uid:
                return
            metadata = value["metadata"]
            stays = key.kind == "Pod" or bool(metadata.get("finalizers"))
            if stays:
                if "deletionTimestamp" in metadata:
                    return
                grace = 0
                if key.kind == "Pod":
                    grace = value["spec"].get("terminationGracePeriodSeconds", GRACE_SECONDS)
                going = {
                    "deletionTimestamp": rfc3339(self._clock() + grace),
                    "deletionGracePeriodSeconds": grace,
                }
                stored = self._put({**value, "metadata": {**metadata, **going}})
        if stays:
            self._tell(stored, deleted=False)
        else:
            self.remove(key, uid)

    def remove(self, key: Key, uid: str) -> None:
        """Take an object without finalizers away, and ask for deletion of what it owned."""
        with self._lock:
            value = self._objects.get(key)
            if value is None or value["metadata"]["uid"] != uid:
                return
            if value["metadata"].get("finalizers"):
                return
            self._forget(key)
        self._tell(value, deleted=True)
        self._collect()

    def event(self, key: Key, *, kind: str, reason: str, message: str) -> None:
        """Record an Event; a repetition of one that is kept raises its count."""
        now = rfc3339(self._clock())
        with self._lock:
            value = self._objects.get(key)
            subject = {
                "kind": key.kind,
                "namespace": key.namespace,
                "name": key.name,
                "uid": value["metadata"]["uid"] if value else "",
            }
            said = {"involvedObject": subject, "type": kind, "reason": reason, "message": message}
            same = next((e for e in self._events if said.items() <= e.items()), None)
            first, count = (same["firstTimestamp"], same["count"] + 1) if same else (now, 1)
            event = {**said, "count": count, "firstTimestamp": first, "lastTimestamp": now}
            events = [*(one for one in self._events if one is not same), event][-EVENTS:]
            self._mirror.write_events(events)
            self._events = events

    def events(self) -> list[Object]:
        """The kept Events, the least recent first."""
        with self._lock:
            return [dict(event) for event in self._events]

    def _current(self, key: Key, resource_version: str) -> Object:
        value = self._objects.get(key)
        if value is None:
            raise NotFound(f"{key} is not there")
        if value["metadata"]["resourceVersion"] != resource_version:
            raise Conflict(f"{key} changed since version {resource_version}")
        return value

    def _put(self, value: Object) -> Object:
        """Give `value` the next version, write it to disk, then keep it; returns a copy."""
        self._version += 1
        value = {**value, "metadata": {**value["metadata"], "resourceVersion": str(self._version)}}
        text = json.dumps(value)
        value = json.loads(text)
        self._mirror.write(value)
        key = key_of(value)
        self._objects[key], self._texts[key] = value, text
        return self._out(key)

    def _forget(self, key: Key) -> None:
        """Take an object from disk, then from memory."""
        self._mirror.remove(key)
        del self._objects[key], self._texts[key]

    def _out(self, key: Key) -> Object:
        """A copy of an object, to give out."""
        value: Object = json.loads(self._texts[key])
        return value

    def _tell(self, value: Object, *, deleted: bool) -> None:
        for callback in self._callbacks:
            callback(value, deleted)

    def _collect(self) -> None:
        """Ask for deletion of objects all of whose owners are gone (Kubernetes' garbage collector)."""
        with self._lock:
            uids = {value["metadata"]["uid"] for value in self._objects.values()}
            orphans = [
                (key, value["metadata"]["uid"])
                for key, value in self._objects.items()
                if (owners := value["metadata"].get("ownerReferences"))
                and not any(owner["uid"] in uids for owner in owners)
            ]
        for key, uid in orphans:
            self.delete(key, uid)


def _check_name(key: Key) -> None:
    """Names become paths: only what Kubernetes allows may pass. Raises Refused."""
    for text, pattern, what in (
        (key.kind, _KIND, "kind"),
        (key.namespace, _NAMESPACE, "metadata.namespace"),
        (key.name, _NAME, "metadata.name"),
    ):
        if not pattern.fullmatch(text):
            raise Refused(
                f"{what}: {text!r} is not a name in Kubernetes; write lower-case letters, digits "
                "and '-' only"
            )
