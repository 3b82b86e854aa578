"""What Kopf watches: changes of the four kinds and of their children, which only wake resources.

Kopf gets no handler that stores anything in an object: no finalizer of its own, no annotation, no
state. What is filtered by label is filtered by the API server, so that no other pod of the cluster is
streamed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import kopf

from cupola_operator import labels
from cupola_operator.cluster import Object
from cupola_operator.kube.places import CHILDREN, PLACES, WATCHED

SERVER_SECONDS = 300
"""How long the API server keeps a watch open."""

Changed = Callable[[Object, bool], None]
"""Told of an object that is new, listed or changed, and whether it is gone. Must not block."""


def registry(kinds: Iterable[str], changed: Changed, login: Callable[[], Any]) -> Any:
    """The handlers of `kinds`; `login` makes Kopf's connection, in Kopf's event loop."""
    handlers = kopf.OperatorRegistry()

    async def connect(**_: Any) -> Any:
        return login()

    kopf.on.login(registry=handlers, retries=3, backoff=1.0)(connect)
    for kind in WATCHED:
        if kind in kinds:
            _watch(handlers, kind, changed)
    return handlers


def _watch(handlers: Any, kind: str, changed: Changed) -> None:
    place = PLACES[kind]

    async def wake(event: Any, **_: Any) -> None:
        value = {**event["object"], "apiVersion": place.api_version, "kind": kind}
        changed(value, event["type"] == "DELETED")

    identity = f"wake-{place.plural}"
    kopf.on.event(place.group, place.version, place.plural, id=identity, registry=handlers)(wake)


def settings() -> kopf.OperatorSettings:
    """How Kopf watches; each value that matters is said here."""
    chosen = kopf.OperatorSettings()
    chosen.watching.server_timeout = SERVER_SECONDS
    chosen.watching.client_timeout = SERVER_SECONDS + 30
    chosen.watching.connect_timeout = 10
    chosen.watching.inactivity_timeout = 70
    chosen.watching.reconnect_backoff = 0.5
    chosen.watching.chunk_size = 500
    for kind in CHILDREN:
        place = PLACES[kind]
        chosen.watching.label_selectors[place.group, place.version, place.plural] = (
            f"{labels.MANAGED_BY}={labels.CUPOLA}"
        )
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 10
    chosen.networking.error_backoffs = (1, 1, 2, 3, 5)
    chosen.networking.enforce_retry_after = True
    chosen.queueing.worker_limit = None
    chosen.queueing.idle_timeout = 0.5
    chosen.queueing.exit_timeout = 2.0
    chosen.scanning.disabled = True  # kinds are looked for by `kube.checks`
    chosen.posting.enabled = False
    chosen.peering.standalone = True  # one Lease elects the replica that acts
    chosen.process.ultimate_exiting_timeout = None
    return chosen
