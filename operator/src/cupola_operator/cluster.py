"""The seam to a cluster: the few methods that the core needs.

`local.store` implements it in memory; a Kubernetes client implements it on a cluster. Objects are
plain dicts as Kubernetes writes them. Nothing else in the core does I/O on objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

Object = dict[str, Any]
"""A Kubernetes object as JSON values: apiVersion, kind, metadata, spec, status."""


class Key(NamedTuple):
    """Identity of an object: what a queue holds and what `get` takes."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def key_of(value: Object) -> Key:
    """The key of an object."""
    metadata = value["metadata"]
    return Key(value["kind"], metadata.get("namespace", "default"), metadata["name"])


class Conflict(Exception):
    """A write was refused because the object changed since it was read (HTTP 409)."""


class AlreadyExists(Exception):
    """A create was refused because an object of that name is there (HTTP 409)."""


class NotFound(Exception):
    """The object is not there (HTTP 404)."""


class ClusterError(Exception):
    """The cluster did not do what was asked; the message is a sentence for a person."""


class Unavailable(ClusterError):
    """The API server does not answer, or not now; what was asked may have been done all the same."""


class Obstacle(ClusterError):
    """What is asked will be refused until a person changes something; the message says what."""

    reason: ClassVar[str]
    """Of the condition Stalled."""


class KindMissing(Obstacle):
    """An object of a kind was to be created that the training operator brings, and it is not there."""

    reason = "TrainingOperatorMissing"


class Forbidden(Obstacle):
    """The operator has not the permission; the message names verb, resource and namespace."""

    reason = "PermissionMissing"


class Refused(Obstacle):
    """A quota, a policy or the schema forbids the object; the message is the API server's."""

    reason = "ChildRefused"


class Cluster(Protocol):
    """What the core may do to a cluster. Any method may also raise ClusterError."""

    def get(self, key: Key) -> Object | None:
        """The object, read live, or None."""

    def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        """Objects of a kind whose labels include `labels`, sorted by name.

        None are found of a kind that the cluster does not know.
        """

    def create(self, value: Object) -> Object:
        """Create; returns the stored object.

        Raises AlreadyExists, Obstacle, and NotFound if its namespace is going.
        """

    def replace(self, value: Object) -> Object:
        """Replace an object, its status aside, if it still has the resourceVersion of `value`.

        Raises Conflict, NotFound, Obstacle.
        """

    def finalize(self, key: Key, finalizers: Sequence[str], resource_version: str) -> Object:
        """Replace the finalizers that an object has in that version, and nothing else; returns it.

        One that is being deleted goes with its last finalizer. Raises Conflict, NotFound, Obstacle.
        """

    def delete(self, key: Key, uid: str) -> None:
        """Ask for deletion of the object of that uid; absent or another uid is not an error."""

    def patch_status(self, key: Key, status: Mapping[str, Any], resource_version: str) -> Object:
        """Replace the status decided on that version. Raises Conflict, NotFound."""

    def event(self, key: Key, *, kind: str, reason: str, message: str) -> None:
        """Record an Event on an object for people; `kind` is Normal or Warning."""
