"""The resources of the four kinds as the watches last showed them.

Two things are read from it: whom a change wakes besides, and the metrics. No decision rests on it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable

from cupola_operator import resources
from cupola_operator.cluster import Key, Object, key_of


class Seen:
    """Resources by key, and who refers to whom. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[Key, Object] = {}
        self._refers: dict[Key, list[Key]] = {}
        self._referred: dict[Key, set[Key]] = defaultdict(set)

    def put(self, value: Object) -> None:
        """Take note of a resource, unless a newer version of it is known."""
        key = key_of(value)
        resource, _ = resources.parse(value)
        refers = resources.refers_to(resource) if resource else []
        with self._lock:
            known = self._objects.get(key)
            if known is not None and _version(known) > _version(value):
                return
            self._forget(key)
            self._objects[key] = value
            self._refers[key] = refers
            for other in refers:
                self._referred[other].add(key)

    def drop(self, key: Key) -> None:
        """The resource is gone."""
        with self._lock:
            self._forget(key)

    def keys(self) -> set[Key]:
        """All that are known."""
        with self._lock:
            return set(self._objects)

    def objects(self) -> list[Object]:
        """All that are known, by key. They must not be changed."""
        with self._lock:
            return [self._objects[key] for key in sorted(self._objects)]

    def dependents(self, key: Key) -> Iterable[Key]:
        """What refers to a resource, itself aside."""
        with self._lock:
            return sorted(self._referred.get(key, set()) - {key})

    def _forget(self, key: Key) -> None:
        self._objects.pop(key, None)
        for other in self._refers.pop(key, []):
            self._referred[other].discard(key)
            if not self._referred[other]:
                del self._referred[other]


def _version(value: Object) -> int:
    text = str(value["metadata"].get("resourceVersion") or "")
    return int(text) if text.isascii() and text.isdigit() else 0
