"""The end of the operator: its finalizer goes from all resources, and it does not set it again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

from cupola_api.kinds import KINDS
from cupola_operator import labels
from cupola_operator.cluster import ClusterError, Conflict, Key, NotFound, key_of
from cupola_operator.kube.api import Api, Request
from cupola_operator.kube.client import Client
from cupola_operator.kube.lease import NAME, Terms
from cupola_operator.kube.places import PLACES

log = logging.getLogger(__name__)

HELD_SECONDS = 120
"""How long no replica of the operator acts afterwards: until then it should be uninstalled."""

_TRIES = 5
"""How often a resource, or the Lease, that changes meanwhile is read again."""


def take_lease(
    api: Api,
    namespace: str,
    *,
    terms: Terms | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Take the Lease from whoever holds it, and wait until no replica acts; whether there was one.

    A replica acts on for `lifetime - margin` at most. Raises ClusterError.
    """
    terms = terms or Terms()
    path = PLACES["Lease"].path(namespace, NAME)
    for _ in range(_TRIES):
        answer = api.ask(Request("get", "leases", path))
        if answer.code == HTTPStatus.NOT_FOUND:
            return False
        if answer.ok:
            held = bool((answer.value.get("spec") or {}).get("holderIdentity"))
            stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            spec = {
                **(answer.value.get("spec") or {}),
                "holderIdentity": "cupola-release",
                "leaseDurationSeconds": HELD_SECONDS,
                "acquireTime": stamp,
                "renewTime": stamp,
            }
            body = {**answer.value, "spec": spec}
            answer = api.ask(Request("update", "leases", path, {"fieldManager": "cupola"}, body))
            if answer.ok:
                sleep(terms.lifetime - terms.margin if held else 0)
                return True
        if answer.code != HTTPStatus.CONFLICT:
            raise ClusterError(f"the Lease {namespace}/{NAME} is not had: {answer.message}")
    raise ClusterError(f"the Lease {namespace}/{NAME} is not had: it changes all the time")


def release(client: Client, namespaces: Sequence[str]) -> tuple[int, list[str]]:
    """Take the finalizer off every resource; how many had it, and what could not be done, in sentences.

    `namespaces`: those that were served; none means all.
    """
    done, problems = 0, []
    for kind in KINDS:
        for namespace in namespaces or [""]:
            try:
                found = client.find(kind, namespace, {})
            except ClusterError as error:
                problems.append(str(error))
                continue
            for value in found:
                try:
                    done += _let_go(client, key_of(value))
                except ClusterError as error:
                    problems.append(f"{key_of(value)}: {error}")
    return done, problems


def _let_go(client: Client, key: Key) -> bool:
    """Take the finalizer off a resource; whether it had it."""
    for _ in range(_TRIES):
        value = client.get(key)
        if value is None:
            return False
        metadata = value["metadata"]
        before = metadata.get("finalizers") or []
        others = [one for one in before if one != labels.FINALIZER]
        if others == before:
            return False
        try:
            client.finalize(key, others, str(metadata["resourceVersion"]))
        except Conflict:
            continue
        except NotFound:
            return False
        log.info("%s %s/%s has no finalizer any more", *key)
        return True
    raise ClusterError("it changes all the time; run this again")
