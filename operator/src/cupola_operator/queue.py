"""The keyed work queue behind both shells: whatever happens only wakes a key.

As the work queue of controller-runtime: a key waits at most once however often it was woken, at
most one worker works on a key, a key that was woken while it was worked on is worked on once more,
and a key that fails is tried again later and later while the others go on.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable
from itertools import count

from cupola_operator.cluster import ClusterError, Key
from cupola_operator.resources import StatusUnreadable

log = logging.getLogger(__name__)

FIRST_DELAY = 1.0
"""Seconds until a key is tried again after its first error; doubled by each further one."""

LONGEST_DELAY = 300.0
"""Seconds between two tries at most, however often a key failed."""


class Queue:
    """Calls `reconcile` with every woken key, from worker threads.

    `reconcile` returns the seconds after which it wants to be called again, or None.
    """

    def __init__(self, reconcile: Callable[[Key], float | None]) -> None:
        self._reconcile = reconcile
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = count()
        self._busy: set[Key] = set()
        self._errors: dict[Key, int] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._moved = time.monotonic()
        self._workers: list[threading.Thread] = []

    def wake(self, key: Key, after: float = 0) -> None:
        """Have `key` worked on in `after` seconds; an earlier time that was asked for stays."""
        with self._changed:
            self._add(key, time.monotonic() + after)

    def run(self, workers: int) -> None:
        """Start that many worker threads and return; `stop` ends them."""
        with self._changed:
            self._stopping = False
            self._moved = time.monotonic()
        for number in range(workers):
            thread = threading.Thread(target=self._work, name=f"reconcile-{number}", daemon=True)
            self._workers.append(thread)
            thread.start()

    def stop(self, timeout: float = 30) -> None:
        """Let every worker finish the key it works on, start no other, and end.

        Waits for `timeout` seconds at most. What was waiting is forgotten: start-up wakes all.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + timeout
        for thread in self._workers:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._workers.clear()

    def depth(self) -> int:
        """Keys that are due and wait for a worker."""
        now = time.monotonic()
        with self._changed:
            return sum(due <= now for key, due in self._due.items() if key not in self._busy)

    def stuck(self) -> float:
        """Seconds for which there was work and no worker began or finished any; 0 if all is well.

        Without workers there is nothing to be stuck.
        """
        now = time.monotonic()
        with self._changed:
            if not self._workers:
                return 0.0
            waiting = [
                due for key, due in self._due.items() if key not in self._busy and due <= now
            ]
            if not waiting and not self._busy:
                return 0.0
            since = self._moved if self._busy else max(self._moved, min(waiting))
            return now - since

    def _add(self, key: Key, due: float) -> None:
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            if key not in self._busy:
                heapq.heappush(self._heap, (due, next(self._order), key))
                self._changed.notify()

    def _take(self) -> Key | None:
        """The next key whose time has come, marked busy; None when the queue stops."""
        with self._changed:
            while not self._stopping:
                while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
                    heapq.heappop(self._heap)
                wait = self._heap[0][0] - time.monotonic() if self._heap else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    continue
                key = heapq.heappop(self._heap)[2]
                del self._due[key]
                self._busy.add(key)
                self._moved = time.monotonic()
                return key
            return None

    def _give_back(self, key: Key, after: float | None) -> None:
        with self._changed:
            self._busy.discard(key)
            self._moved = time.monotonic()
            woken = self._due.pop(key, None)
            asked = None if after is None else time.monotonic() + after
            times = [due for due in (woken, asked) if due is not None]
            if times:
                self._add(key, min(times))

    def _work(self) -> None:
        while (key := self._take()) is not None:
            after: float | None = None
            try:
                after = self._reconcile(key)
                self._errors.pop(key, None)
            except Exception as error:  # one key must not stop the others
                failures = self._errors.get(key, 0)
                self._errors[key] = failures + 1
                after = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures, 16))
                log.warning("%s: %s; next try in %.0f s", key, _sentence(error), after)
                log.debug("%s", key, exc_info=True)
            finally:
                self._give_back(key, after)


def _sentence(error: Exception) -> str:
    """What went wrong, for a person."""
    if isinstance(error, (StatusUnreadable, ClusterError)):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the cluster'} cannot be used: {error.strerror}"
    return f"{type(error).__name__}: {error}"
