"""Events, as `kubectl describe` shows them: one object a sentence, counted when it is said again.

The name of an Event follows from what it says, so that a replica that was restarted, or took over,
counts the same Event on instead of making another.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from cupola_operator.cluster import ClusterError, Key, Object
from cupola_operator.kube.api import Answer, Api, Request
from cupola_operator.kube.places import PLACES

log = logging.getLogger(__name__)

COMPONENT = "cupola-operator"
LONGEST = 1023
"""Characters of a message that the API server takes."""


def event(value: Object, *, kind: str, reason: str, message: str, now: datetime) -> Object:
    """The Event that says something of an object for the first time."""
    metadata = value["metadata"]
    time = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    mark = hashlib.sha256("\0".join((metadata["uid"], kind, reason, message)).encode())
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{mark.hexdigest()[:16]}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": value["apiVersion"],
            "kind": value["kind"],
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": kind,
        "reason": reason,
        "message": message if len(message) <= LONGEST else message[: LONGEST - 3] + "...",
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
    }


def again(there: Object, now: Object) -> Object:
    """The merge patch of an Event that is said once more."""
    return {"count": int(there.get("count") or 1) + 1, "lastTimestamp": now["lastTimestamp"]}


def record(
    api: Api,
    get: Callable[[Key], Object | None],
    key: Key,
    *,
    kind: str,
    reason: str,
    message: str,
) -> None:
    """Record an Event on the object `key`. Never raises: an Event is worth no failed reconcile."""
    try:
        value = get(key)
        if value is None:
            return
        wanted = event(value, kind=kind, reason=reason, message=message, now=datetime.now(UTC))
        answer = _send(api, "create", wanted, wanted)
        if answer.code == HTTPStatus.CONFLICT:
            answer = _send(api, "get", wanted)
            if answer.ok:
                answer = _send(api, "patch", wanted, again(answer.value, wanted))
        if not answer.ok:
            log.warning("an Event of %s is not recorded: %s", key, answer.message)
    except ClusterError as error:
        log.warning("an Event of %s is not recorded: %s", key, error)


def _send(api: Api, verb: str, wanted: Object, body: Any = None) -> Answer:
    metadata = wanted["metadata"]
    name = "" if verb == "create" else metadata["name"]
    path = PLACES["Event"].path(metadata["namespace"], name)
    query = {} if verb == "get" else {"fieldManager": "cupola"}
    return api.ask(Request(verb, "events", path, query, body))
