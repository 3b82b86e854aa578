"""The kubelet of one machine: runs pods as processes, each under a shim, and reports their status.

A pod is called Running before its process exists, so that after a crash a Pending pod is one that
never ran. What differs from a container: there is no image (the environment is that of this
installation), no file system of its own (mount paths are rewritten, see `paths`), and memory is
measured, not confined (see `shim`).
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cupola_operator.cluster import Object, key_of
from cupola_operator.local import container, podstatus, slots
from cupola_operator.local.network import address
from cupola_operator.local.podends import PodEnds, set_status
from cupola_operator.local.podfiles import PodFiles
from cupola_operator.local.processes import MARKER, End, Process, ProcessStuck, end_all
from cupola_operator.local.store import GRACE_SECONDS, Store

log = logging.getLogger(__name__)

_ORPHAN_SECONDS = 3.0
"""How long the shims of a dead shell get to end their pods and write how they ended."""

_DRAIN_SECONDS = 10.0
"""How long SIGKILL may take when the shell ends."""

_RETRY_SECONDS = 5.0
"""Pause between two tries to record an end, on a full disk for example."""

_READABLE_SECONDS = 1.0
"""How long a deleted pod that has ended can still be read: watchers then see how it ended."""


class Node:
    """Runs the pods of `store`, in `size` slots, with files under the work directory `folder`."""

    def __init__(self, store: Store, folder: Path, *, size: int, wake: Callable[[], None]) -> None:
        """`wake` is called when a pod ended: `sync` has something to do."""
        self._store = store
        self._files = PodFiles(folder)
        self._ends = PodEnds(store, self._files)
        self._size = size
        self._wake = wake
        self._running: dict[str, tuple[Object, Process]] = {}
        self._kill_at: dict[str, float] = {}
        self._remove_at: dict[str, float] = {}
        self._unstartable: dict[str, tuple[Object, str]] = {}
        self._waiters: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._draining = False

    def adopt(self) -> None:
        """Settle what an earlier shell left: afterwards no process of a pod is alive.

        A pod that left word of its end has that end. Any other is lost with the node: its processes
        are killed and its end is the last sign of life, its log. Raises ProcessStuck, OSError.
        """
        deadline = time.monotonic() + _ORPHAN_SECONDS
        for pod in self._store.find("Pod"):
            if pod.get("status", {}).get("phase") != "Running":
                continue
            end_all(self._files.mark(pod), patience=max(0.0, deadline - time.monotonic()))
            end = End.read(self._files.end(pod))
            if end is None:
                self._ends.lost(pod, self._files.last_sign(pod), "its end was not observed")
            elif end.orphaned:
                self._ends.lost(pod, end.finished_at, "cupola run ended before it")
            else:
                self._ends.told(pod, end, shutdown=False)
        self._files.sweep(self._store.find("Pod"))

    def sync(self) -> float | None:
        """Start the pods whose turn it is; end and remove those that are deleted.

        One thread at a time calls it, after every change of a pod. Returns the seconds after which
        it wants to be called again, or None. Raises OSError (a full disk, say): call it again then.
        """
        self._report_unstartable()
        pods = self._store.find("Pod")
        gone = [pod for pod in pods if "deletionTimestamp" in pod["metadata"]]
        waits = [wait for pod in gone if (wait := self._stop(pod)) is not None]
        with self._lock:
            taken = sum(slots.slots_of(pod) for pod, _ in self._running.values())
        verdict = slots.admit(pods, taken=taken, slots=self._size)
        now = time.time()
        for pod, reason in verdict.wait:
            set_status(self._store, pod, podstatus.waiting(pod, reason, now))
        for pod in verdict.start:
            self._start(pod)
        return min(waits, default=None)

    def drain(self, hurry: threading.Event) -> None:
        """Stop every pod: SIGTERM, SIGKILL when its grace is over or `hurry` is set; return then.

        Each is reported as ended by the shutdown of its node. No pod is started from now on.
        """
        with self._lock:
            self._draining = True
            running = list(self._running.values())
        kill_at = {pod["metadata"]["uid"]: self._ask(pod, process) for pod, process in running}
        give_up_at = max(kill_at.values(), default=0.0) + _DRAIN_SECONDS
        left = list(running)
        while left and not hurry.wait(0.05) and time.monotonic() < give_up_at:
            left = [one for one in left if one[0]["metadata"]["uid"] in self._running]
            for pod, process in left:
                if time.monotonic() >= kill_at[pod["metadata"]["uid"]]:
                    process.kill()
        for _, process in left:
            process.kill()
        deadline = time.monotonic() + _DRAIN_SECONDS
        for waiter in list(self._waiters):
            waiter.join(max(0.0, deadline - time.monotonic()))

    def _stop(self, pod: Object) -> float | None:
        """Take a deleted pod a step towards its removal; the seconds until the next, or None."""
        uid = pod["metadata"]["uid"]
        with self._lock:
            _, process = self._running.get(uid, (None, None))
        if process is None:
            return self._remove(pod)
        wait = self._ask(pod, process) - time.monotonic()
        if wait > 0:
            return wait
        process.kill()
        return None

    def _ask(self, pod: Object, process: Process) -> float:
        """Ask a pod to end, once; when its grace is over, of the monotonic clock."""
        uid = pod["metadata"]["uid"]
        at = self._kill_at.get(uid)
        if at is None:
            at = self._kill_at[uid] = time.monotonic() + _grace(pod)
            process.terminate()
        return at

    def _remove(self, pod: Object) -> float | None:
        """Remove a deleted pod of which nothing runs, once its end could be read for a while.

        The while begins when this node first finds it so: an earlier shell may have died in it.
        """
        uid = pod["metadata"]["uid"]
        now = time.monotonic()
        latest = self._store.get(key_of(pod)) or pod
        if latest.get("status", {}).get("phase", "Pending") != "Pending":
            wait = self._remove_at.setdefault(uid, now + _READABLE_SECONDS) - now
            if wait > 0:
                return wait
        self._files.remove(pod)
        self._store.remove(key_of(pod), uid)
        self._remove_at.pop(uid, None)
        return None

    def _start(self, pod: Object) -> None:
        """Make the pod's files, call it Running, start it; a pod that cannot start is Failed."""
        uid = pod["metadata"]["uid"]
        try:
            launch = self._prepare(pod)
        except (container.CannotStart, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise  # it waits until there is room
            self._fail(pod, str(error))
            return
        running = podstatus.running(pod, address=_address(pod), started=time.time())
        started = set_status(self._store, pod, running)
        if started is None:
            return
        try:
            process = Process(
                launch.command,
                environment=launch.environment,
                folder=self._files.folder(pod),
                log=self._files.log(pod),
                end=self._files.end(pod),
                memory=launch.memory,
            )
        except OSError as error:
            self._fail(started, str(error))
            return
        waiter = threading.Thread(target=self._wait, args=(started, process), daemon=True)
        with self._lock:
            self._running[uid] = (started, process)
        self._waiters = [thread for thread in self._waiters if thread.is_alive()] + [waiter]
        waiter.start()

    def _prepare(self, pod: Object) -> container.Launch:
        """Make the pod's files; what to start. Raises CannotStart, OSError, ValueError."""
        base = container.base_environment(dict(os.environ), self._files.scratch(pod))
        launch = container.launch(
            pod,
            address=_address(pod),
            folder=self._files.folder(pod),
            base={**base, MARKER: self._files.mark(pod)},
            python=sys.executable,
        )
        self._files.make(pod, container.files(pod, self._config_maps(key_of(pod).namespace)))
        return launch

    def _fail(self, pod: Object, why: str) -> None:
        """A pod cannot be started; one that is Running already must not stay so for ever."""
        self._unstartable[pod["metadata"]["uid"]] = (pod, why)
        self._report_unstartable()

    def _report_unstartable(self) -> None:
        for uid, (pod, why) in list(self._unstartable.items()):
            self._ends.never_started(pod, why)
            del self._unstartable[uid]

    def _config_maps(self, namespace: str) -> dict[str, Object]:
        return {c["metadata"]["name"]: c for c in self._store.find("ConfigMap", namespace)}

    def _wait(self, pod: Object, process: Process) -> None:
        """In a thread of its own: wait for the pod's end, report it, give its slots back."""
        uid = pod["metadata"]["uid"]
        end = process.wait()
        while True:
            try:
                if end is None:
                    end_all(self._files.mark(pod))
                    self._ends.lost(pod, time.time(), "its supervisor was killed")
                else:
                    self._ends.told(pod, end, shutdown=self._draining)
                break
            except (OSError, ProcessStuck) as error:
                name = pod["metadata"]["name"]
                log.warning("the end of pod %s cannot be recorded yet: %s", name, error)
                if self._draining:
                    break
                time.sleep(_RETRY_SECONDS)
        with self._lock:
            self._running.pop(uid, None)
        self._kill_at.pop(uid, None)
        self._wake()


def _address(pod: Object) -> str:
    metadata = pod["metadata"]
    owners = metadata.get("ownerReferences") or [{"uid": metadata["uid"]}]
    return address(owners[0]["uid"], metadata["name"])


def _grace(pod: Object) -> float:
    return float(pod["spec"].get("terminationGracePeriodSeconds", GRACE_SECONDS))
