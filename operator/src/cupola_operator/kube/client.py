"""The cluster behind the seam: `cluster.Cluster` over the REST API, with plain dicts.

Children are created under deterministic names and never patched, so that a create whose answer was
lost ends as AlreadyExists. Status and ledgers are replaced whole (PUT), and finalizers patched, under
the version that they were decided on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from cupola_operator.cluster import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Key,
    KindMissing,
    NotFound,
    Object,
    Refused,
    Unavailable,
    key_of,
)
from cupola_operator.kube import recorder, sentences
from cupola_operator.kube.api import Answer, Api, Request
from cupola_operator.kube.places import PLACES

log = logging.getLogger(__name__)

FIELD_MANAGER = "cupola"

PAGE = 500
"""Objects of one page of a list."""

_FRESH_STARTS = 3
"""How often a list is begun anew because its next page had expired."""


class Client:
    """A `cluster.Cluster`. All methods may be called from any thread.

    Besides what the Protocol says, `find` of namespace "" means all namespaces.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def get(self, key: Key) -> Object | None:
        """The object, read live, or None; of a kind that the cluster does not know, too."""
        place = PLACES[key.kind]
        answer = self._ask("get", key.kind, place.path(key.namespace, key.name))
        if answer.code == HTTPStatus.NOT_FOUND:
            return None
        return self._done(answer, "get", key)

    def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        """Objects of a kind whose labels include `labels`, sorted by namespace and name."""
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
        for _ in range(_FRESH_STARTS):
            found = self._pages(kind, namespace, selector)
            if found is not None:
                return sorted(found, key=key_of)
        raise Unavailable(f"a list of {PLACES[kind].plural} expires before it is read to its end")

    def _pages(self, kind: str, namespace: str, selector: str) -> list[Object] | None:
        """All pages of a list; None if one expired, and the list has to be begun anew."""
        place = PLACES[kind]
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        found: list[Object] = []
        while True:
            answer = self._ask("list", kind, place.path(namespace), query=query)
            if answer.code == HTTPStatus.NOT_FOUND:
                return []
            if answer.code == HTTPStatus.GONE:
                return None
            page = self._done(answer, "list", Key(kind, namespace, ""))
            # Items of built-in kinds come without kind and apiVersion.
            found += [
                {**value, "apiVersion": place.api_version, "kind": kind}
                for value in page.get("items") or []
            ]
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return found
            query["continue"] = more

    def create(self, value: Object) -> Object:
        """Create; returns the stored object. Raises AlreadyExists, Obstacle, NotFound."""
        key = key_of(value)
        place = PLACES[key.kind]
        answer = self._ask(
            "create",
            key.kind,
            place.path(key.namespace),
            query={"fieldManager": FIELD_MANAGER},
            body=value,
        )
        if answer.code == HTTPStatus.CONFLICT:
            raise AlreadyExists(f"{key} exists")
        if answer.code == HTTPStatus.NOT_FOUND and not _names_namespace(answer):
            raise KindMissing(sentences.kind_missing(key.kind))
        if answer.code == HTTPStatus.FORBIDDEN and _is_ending(answer):
            raise NotFound(f"namespace {key.namespace} is being deleted")
        stored = self._done(answer, "create", key)
        log.info("created %s %s/%s", key.kind, key.namespace, key.name)
        return stored

    def replace(self, value: Object) -> Object:
        """Replace an object that has the resourceVersion of `value`. Raises Conflict, NotFound, Obstacle.

        One whose answer was lost ends as Conflict when it is sent again.
        """
        key = key_of(value)
        answer = self._ask(
            "update",
            key.kind,
            PLACES[key.kind].path(key.namespace, key.name),
            query={"fieldManager": FIELD_MANAGER},
            body=value,
        )
        return self._done(answer, "update", key)

    def finalize(self, key: Key, finalizers: Sequence[str], resource_version: str) -> Object:
        """Replace the finalizers of an object in that version. Raises Conflict, NotFound, Obstacle."""
        answer = self._ask(
            "patch",
            key.kind,
            PLACES[key.kind].path(key.namespace, key.name),
            query={"fieldManager": FIELD_MANAGER},
            body={
                "metadata": {"finalizers": list(finalizers), "resourceVersion": resource_version}
            },
        )
        return self._done(answer, "patch", key)

    def delete(self, key: Key, uid: str) -> None:
        """Ask for deletion of the object of that uid, and of what it owns after it."""
        answer = self._ask(
            "delete",
            key.kind,
            PLACES[key.kind].path(key.namespace, key.name),
            body={
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "preconditions": {"uid": uid},
                "propagationPolicy": "Background",
            },
        )
        if answer.code in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            return  # it is gone, or an object of another uid has its name
        self._done(answer, "delete", key)
        log.info("deleted %s %s/%s", key.kind, key.namespace, key.name)

    def patch_status(self, key: Key, status: Mapping[str, Any], resource_version: str) -> Object:
        """Replace the status decided on that version. Raises Conflict, NotFound."""
        place = PLACES[key.kind]
        answer = self._ask(
            "update",
            key.kind,
            place.path(key.namespace, key.name, "status"),
            subresource="status",
            query={"fieldManager": FIELD_MANAGER},
            body={
                "apiVersion": place.api_version,
                "kind": key.kind,
                "metadata": {
                    "name": key.name,
                    "namespace": key.namespace,
                    "resourceVersion": resource_version,
                },
                "status": dict(status),
            },
        )
        return self._done(answer, "update", key, subresource="status")

    def event(self, key: Key, *, kind: str, reason: str, message: str) -> None:
        """Record an Event for people; a failure to do so is logged and no more."""
        level = logging.WARNING if kind == "Warning" else logging.INFO
        log.log(level, "%s %s/%s: %s: %s", key.kind, key.namespace, key.name, reason, message)
        recorder.record(self._api, self.get, key, kind=kind, reason=reason, message=message)

    def _ask(
        self,
        verb: str,
        kind: str,
        path: str,
        *,
        subresource: str = "",
        query: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        resource = PLACES[kind].plural + (f"/{subresource}" if subresource else "")
        return self._api.ask(Request(verb, resource, path, dict(query or {}), body))

    def _done(self, answer: Answer, verb: str, key: Key, subresource: str = "") -> Object:
        """The object of an answer. Raises what the status says."""
        if answer.ok:
            return answer.value
        raise _error(answer, verb, key, subresource)


def _error(answer: Answer, verb: str, key: Key, subresource: str) -> Exception:
    """The exception that an answer stands for."""
    place = PLACES[key.kind]
    match answer.code:
        case HTTPStatus.NOT_FOUND:
            return NotFound(f"{key} is not there")
        case HTTPStatus.CONFLICT:
            return Conflict(f"{key} has changed")
        case HTTPStatus.UNAUTHORIZED:
            return Unavailable("the API server does not accept the operator's credentials")
        case HTTPStatus.FORBIDDEN if answer.lacks_permission:
            return Forbidden(
                sentences.forbidden([verb], place, namespace=key.namespace, subresource=subresource)
            )
    what = f"{key.kind} {key.name}".strip()
    return Refused(f"the API server refuses to {verb} {what}: {answer.message}")


def _names_namespace(answer: Answer) -> bool:
    """Whether what was not found is the namespace, not the kind."""
    return (answer.value.get("details") or {}).get("kind") == "namespaces"


def _is_ending(answer: Answer) -> bool:
    """Whether a namespace that is being deleted refuses new objects."""
    causes = (answer.value.get("details") or {}).get("causes") or []
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
