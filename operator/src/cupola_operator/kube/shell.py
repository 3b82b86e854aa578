"""The shell of a cluster: wires client, watches, queue and Lease to the reconciler.

It decides nothing about resources. Every replica watches and keeps its queue; the workers of the
queue run in the one that holds the Lease.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cupola_api.kinds import KINDS
from cupola_operator.cluster import ClusterError, Object, key_of
from cupola_operator.cost import book
from cupola_operator.kube import checks
from cupola_operator.kube.api import Api
from cupola_operator.kube.checks import Installation
from cupola_operator.kube.client import Client
from cupola_operator.kube.lease import Election, Terms
from cupola_operator.kube.seen import Seen
from cupola_operator.kube.serve import METRICS, Page, Server
from cupola_operator.kube.watching import DEAD_SECONDS, Signs, Watching
from cupola_operator.measure.namespaces import Namespaces
from cupola_operator.measure.process import Measures
from cupola_operator.queue import Queue
from cupola_operator.reconcile import Reconciler, wakes
from cupola_operator.settings import Settings

log = logging.getLogger(__name__)

STUCK_SECONDS = 300.0
"""After this long without a move the queue is dead: every call of a worker has a shorter timeout."""

STOP_SECONDS = 10.0
"""For the keys that are worked on when the operator stops. With 5 s for what is asked of the Lease, 5
for giving it back and 3 for the watches, it stops within 25 s, also if the API server is mute."""

_SURE_SECONDS = 2.0
"""After which it is looked once more whether something that was there is missing."""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    namespaces: Sequence[str]
    """Those that are served; none means all."""
    own_namespace: str
    identity: str
    host: str = "0.0.0.0"  # noqa: S104 - a pod serves on its own address
    port: int = 8080
    workers: int = 4
    progress_every: float = 60.0
    terms: Terms = field(default_factory=Terms)
    check_every: float = 10.0
    """Seconds between two looks at an installation that is not whole."""
    resync_every: float = 600.0
    """Seconds after which everything is looked at, whatever the watches said."""


class Shell:
    """One replica of the operator. Raises OSError if its port cannot be listened on."""

    def __init__(self, configuration: Any, settings: Settings, options: Options) -> None:
        self._options = options
        self._stop = threading.Event()
        self._resign = threading.Event()
        self._due = threading.Event()
        self._installation: Installation | None = None
        self._listed = False
        self._seen = Seen()
        self._signs = Signs()
        self._measures = Measures(
            self._objects,
            {
                "cupola_leader": self._leads,
                "cupola_ready": lambda: self._readiness().good,
                "cupola_queue_depth": lambda: self._queue.depth() if self._leads() else 0,
                "cupola_watch_age_seconds": self._signs.ages,
            },
            Namespaces(
                settings,
                self._objects,
                lambda namespace: self._client.find("ConfigMap", namespace, book.SELECTOR),
            ),
        )
        observe = self._measures.request
        # What is not bound to the Lease: the Lease itself, and reviews of permissions.
        self._free = Api(configuration, observe=observe)
        self._election = Election(
            self._free,
            namespace=options.own_namespace,
            identity=options.identity,
            begin=self._begin,
            end=self._end,
            terms=options.terms,
        )
        self._api = Api(configuration, left=self._election.left, observe=observe)
        self._client = Client(self._api)
        self._reconciler = Reconciler(self._client, settings, progress_every=options.progress_every)
        self._queue = Queue(self._measures.timed(self._reconciler.reconcile))
        self._watching = Watching(
            configuration,
            namespaces=options.namespaces,
            changed=self._changed,
            observe=observe,
            signs=self._signs,
        )
        self._threads = {
            name: threading.Thread(target=target, name=name, daemon=True)
            for name, target in (("tend", self._tend), ("lease", self._elect))
        }

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set; then stop in good order and return."""
        pages = {"/metrics": self._page, "/healthz": self._health, "/readyz": self._readiness}
        server = Server(self._options.host, self._options.port, pages)
        log.info("serving /metrics, /healthz and /readyz on port %d", server.port)
        for thread in self._threads.values():
            thread.start()
        stop.wait()
        log.info("stopping")
        self._stop.set()
        self._due.set()
        self._api.hurry()
        self._free.hurry()
        self._queue.stop(STOP_SECONDS)
        self._resign.set()
        self._threads["lease"].join(self._options.terms.renew)
        self._election.release()
        self._watching.stop()
        server.close()
        log.info("stopped")

    # What every replica does.

    def _changed(self, value: Object, gone: bool) -> None:
        """A watch says that an object changed."""
        key = key_of(value)
        woken = wakes(value, self._seen.dependents)
        if key.kind in KINDS:
            if gone:
                self._seen.drop(key)
            else:
                self._seen.put(value)
        for one in woken:
            self._queue.wake(one)

    def _tend(self) -> None:
        """Look after the installation, the watches and what they may have missed."""
        checked, resync = float("-inf"), 0.0
        while not self._stop.is_set():
            now, options = time.monotonic(), self._options
            whole = self._installation is not None and self._installation.whole
            well = whole and self._watching.alive
            changed = False
            if now - checked >= (options.resync_every if well else options.check_every):
                changed, checked = self._inspect(), now
            if changed or now >= resync or self._due.is_set():
                self._due.clear()
                done = self._resync()
                resync = now + (options.resync_every if done else options.check_every)
            self._stop.wait(1.0)

    def _inspect(self) -> bool:
        """See what is missing, and watch what can be watched; whether that is another than before."""
        look = (self._free, self._options.namespaces, self._options.own_namespace)
        found, before = checks.inspect(*look), self._installation
        if before is not None and before.whole and not found.whole:
            self._stop.wait(_SURE_SECONDS)  # an API server that starts may not know all it has
            found = checks.inspect(*look)
        self._installation = found
        for sentence in (*found.missing, *found.lacking):
            if before is None or sentence not in (*before.missing, *before.lacking):
                log.warning(sentence)
        if found.whole and before is not None and not before.whole:
            log.info("nothing is missing any more")
        if found.watchable and (
            found.watchable != self._watching.kinds or not self._watching.alive
        ):
            self._watching.start(found.watchable)
            return True
        return before is None or (found.missing, found.lacking) != (before.missing, before.lacking)

    def _resync(self) -> bool:
        """Wake every resource, and forget those that are gone: a watch may miss what happens.

        Whether all could be listed.
        """
        listed = [self._list(kind) for kind in KINDS]
        self._listed = self._listed or all(listed)
        return all(listed)

    def _list(self, kind: str) -> bool:
        known = {key for key in self._seen.keys() if key.kind == kind}  # noqa: SIM118
        try:
            found = [
                value
                for namespace in self._options.namespaces or [""]
                for value in self._client.find(kind, namespace, {})
            ]
        except ClusterError as error:
            log.warning("not every %s is looked at: %s", kind, error)
            return False
        for value in found:
            self._changed(value, False)
        for key in known - {key_of(value) for value in found}:
            self._seen.drop(key)
            self._queue.wake(key)
        return True

    # What the leader does.

    def _elect(self) -> None:
        self._election.run(self._resign)

    def _leads(self) -> bool:
        return self._election.left() > 0

    def _begin(self) -> None:
        """Act from now on."""
        if not self._stop.is_set():
            self._queue.run(self._options.workers)
            self._due.set()

    def _end(self) -> None:
        """Act no more."""
        self._queue.stop(STOP_SECONDS)

    # What it says of itself.

    def _objects(self) -> list[Object]:
        """The resources that this replica speaks of: none if it does not act."""
        return self._seen.objects() if self._leads() else []

    def _page(self) -> Page:
        return Page(self._measures.page(), kind=METRICS)

    def _health(self) -> Page:
        """Whether a restart would help: a watch or the queue is dead, or a thread is."""
        dead = [
            f"the watch of {resource} gave no sign for {age:.0f} s"
            for resource, age in self._signs.ages().items()
            if age > DEAD_SECONDS
        ]
        if (stuck := self._queue.stuck()) > STUCK_SECONDS:
            dead.append(f"the queue has not moved for {stuck:.0f} s")
        dead += [
            f"thread {one.name} has ended" for one in self._threads.values() if not one.is_alive()
        ]
        return Page("".join(f"{line}\n" for line in dead) or "ok\n", good=not dead)

    def _readiness(self) -> Page:
        """Whether it can do its work; what it lacks is said in any case."""
        found = self._installation
        if found is None:
            return Page("the cluster is being looked at\n", good=False)
        said = [*found.missing, *found.lacking]
        if not self._listed:
            said.append("the resources are being listed")
        return Page(
            "".join(f"{line}\n" for line in said) or "ok\n",
            good=not found.missing and self._listed,
        )
