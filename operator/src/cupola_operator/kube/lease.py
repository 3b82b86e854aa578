"""One Lease elects the replica that acts.

A replica may act until `MARGIN` before its Lease ends, counted on its own clock from the moment
before it asked for the last renewal. Another one takes an abandoned Lease only when it has seen no
renewal for the Lease's whole lifetime, counted on its own clock from the moment it saw the last
one. So no two act at a time, however wrong their clocks are, as long as these run at one speed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from cupola_operator.cluster import ClusterError, Object
from cupola_operator.kube.api import Answer, Api, Request
from cupola_operator.kube.places import PLACES

log = logging.getLogger(__name__)

NAME = "cupola-operator"


@dataclass(frozen=True)
class Terms:
    """The times of a Lease, in seconds."""

    lifetime: float = 15.0
    """After this long without a renewal another replica takes over."""
    renew: float = 5.0
    """Between two renewals."""
    retry: float = 2.0
    """Between two looks at another's Lease."""
    margin: float = 5.0
    """How long before its Lease ends a replica acts no more."""


@dataclass(frozen=True)
class Sight:
    """A Lease as it was first seen in this version, and when by one's own clock."""

    version: str
    at: float


def claim(
    lease: Object | None, me: str, seen: Sight | None, *, now: float, time: datetime, terms: Terms
) -> tuple[Sight | None, Object | None]:
    """What to remember of the Lease, and its new `spec` if it is mine to have; else None. Pure.

    It is mine to have if there is none, if I hold it, if its holder gave it back, and if it was not
    renewed for its lifetime since I first saw it so.
    """
    stamp = time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    old: dict[str, Any] = (lease or {}).get("spec") or {}
    holder = old.get("holderIdentity") or ""
    wanted = {
        "holderIdentity": me,
        "leaseDurationSeconds": max(1, round(terms.lifetime)),
        "acquireTime": old.get("acquireTime") if holder == me else stamp,
        "renewTime": stamp,
        "leaseTransitions": int(old.get("leaseTransitions") or 0) + (lease is not None),
    }
    if holder == me:
        return None, wanted | {"leaseTransitions": int(old.get("leaseTransitions") or 0)}
    if lease is None or not holder:
        return None, wanted
    version = str(lease["metadata"]["resourceVersion"])
    if seen is None or seen.version != version:
        seen = Sight(version, now)
    lifetime = max(terms.lifetime, float(old.get("leaseDurationSeconds") or 0))
    return seen, wanted if now - seen.at > lifetime else None


def released(spec: Object) -> Object:
    """The spec of a Lease that its holder gives back."""
    return {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}


class Election:
    """Holds the Lease, or waits for it.

    `begin` is called when this replica may act, `end` when it may no more; both in the thread of
    `run`.
    """

    def __init__(
        self,
        api: Api,
        *,
        namespace: str,
        identity: str,
        begin: Callable[[], None],
        end: Callable[[], None],
        terms: Terms | None = None,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._me = identity
        self._begin, self._end = begin, end
        self._terms = terms or Terms()
        self._until = float("-inf")
        self._seen: Sight | None = None
        self._lease: Object | None = None
        self._acts = False
        self._told = ""

    def left(self) -> float:
        """Seconds for which this replica may still act; 0 or less: it may not."""
        return self._until - time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Take part until `stop` is set."""
        while not stop.is_set():
            begun = time.monotonic()
            pause = self._terms.renew if self._turn() else self._terms.retry
            if self._acts:
                pause = min(pause, max(0.0, self.left()))
            stop.wait(max(0.0, pause - (time.monotonic() - begun)))

    def release(self) -> None:
        """Give the Lease back, so that another replica takes over at once. To be called last."""
        held, self._until, self._acts = self.left() > 0, float("-inf"), False
        if not held or self._lease is None:
            return
        try:
            self._write({**self._lease, "spec": released(self._lease["spec"])})
            log.info("gave the Lease %s/%s back", self._namespace, NAME)
        except ClusterError as error:
            log.warning("the Lease is not given back, and ends by itself: %s", error)

    def _turn(self) -> bool:
        """Look at the Lease, renew or take it if that may be; whether it is held."""
        held = False
        try:
            held = self._try()
        except ClusterError as error:
            self._tell(f"the Lease {self._namespace}/{NAME} is not had: {error}", logging.WARNING)
        if held and not self._acts:
            self._acts, self._told = True, ""
            log.info("%s holds the Lease %s/%s and acts", self._me, self._namespace, NAME)
            self._begin()
        if self._acts and self.left() <= 0:
            self._acts = False
            log.warning("%s does not hold the Lease any more and stops acting", self._me)
            self._end()
        return held

    def _try(self) -> bool:
        begun = time.monotonic()
        lease = (self._lease if self._acts else None) or self._read()
        now = time.monotonic()
        self._seen, spec = claim(
            lease, self._me, self._seen, now=now, time=datetime.now(UTC), terms=self._terms
        )
        if spec is None:
            self._until = float("-inf")
            self._tell(f"{(lease or {})['spec'].get('holderIdentity')} holds the Lease; waiting")
            return False
        if not self._write({**(lease or self._new()), "spec": spec}):
            self._lease = None  # it is read again
            return False
        self._until = begun + self._terms.lifetime - self._terms.margin
        return True

    def _tell(self, sentence: str, level: int = logging.INFO) -> None:
        """Log a sentence if it is new."""
        if sentence != self._told:
            self._told = sentence
            log.log(level, sentence)

    def _new(self) -> Object:
        return {
            "apiVersion": PLACES["Lease"].api_version,
            "kind": "Lease",
            "metadata": {"name": NAME, "namespace": self._namespace},
        }

    def _read(self) -> Object | None:
        path = PLACES["Lease"].path(self._namespace, NAME)
        answer = self._ask(Request("get", "leases", path))
        if answer.code == HTTPStatus.NOT_FOUND:
            return None
        if not answer.ok:
            raise ClusterError(answer.message)
        return answer.value

    def _ask(self, request: Request) -> Answer:
        """An answer in the time that a replica that acts has left, so that it ends in time."""
        return self._api.ask(
            request, min(self._terms.renew, self.left()) if self._acts else self._terms.renew
        )

    def _write(self, lease: Object) -> bool:
        """Create or replace the Lease, if nobody did meanwhile; whether that went well."""
        create = "resourceVersion" not in lease["metadata"]
        name = "" if create else NAME
        path = PLACES["Lease"].path(self._namespace, name)
        verb = "create" if create else "update"
        answer = self._ask(Request(verb, "leases", path, {"fieldManager": "cupola"}, lease))
        if answer.code == HTTPStatus.CONFLICT:
            return False
        if answer.code == HTTPStatus.NOT_FOUND and not create:
            self._until = float("-inf")  # somebody deleted it, and another may have made it anew
            return False
        if not answer.ok:
            raise ClusterError(answer.message)
        self._lease = answer.value
        return True
