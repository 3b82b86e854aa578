"""The kubelet of one machine: runs pods as processes, each under a shim, and reports their status.

A pod is called Running before its process exists, so that after a crash a Pending pod is one that
never ran. What differs from a container: there is no image (the environment is that of this
installation), no file system of its own (mount paths are rewritten, see `paths`), no memory limit.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cupola_operator.cluster import Conflict, NotFound, Object, key_of
from cupola_operator.local import container, podstatus, slots
from cupola_operator.local.network import address
from cupola_operator.local.podfiles import PodFiles
from cupola_operator.local.processes import End, Process, ProcessStuck, end_all
from cupola_operator.local.store import GRACE_SECONDS, Store

log = logging.getLogger(__name__)

_ORPHAN_SECONDS = 3.0
"""How long the shims of a dead shell get to end their pods and write how they ended."""

_DRAIN_SECONDS = 10.0
"""How long SIGKILL may take when the shell ends."""

_RETRY_SECONDS = 5.0
"""Pause between two tries to record an end, on a full disk for example."""

_SHUTDOWN_MESSAGE = "the pod was stopped because cupola run was stopped"


class Node:
    """Runs the pods of `store`, in `size` slots, with files under the work directory `folder`."""

    def __init__(self, store: Store, folder: Path, *, size: int, wake: Callable[[], None]) -> None:
        """`wake` is called when a pod ended: `sync` has something to do."""
        self._store = store
        self._files = PodFiles(folder)
        self._size = size
        self._wake = wake
        self._running: dict[str, tuple[Object, Process]] = {}
        self._kill_at: dict[str, float] = {}
        self._waiters: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._draining = False

    def adopt(self) -> None:
        """Settle what an earlier shell left: afterwards no process of a pod is alive.

        A pod that left word of its end has that end. Any other is lost with the node: its processes
        are killed and its end is the last sign of life, its log. Raises ProcessStuck.
        """
        for pod in self._store.find("Pod"):
            if pod.get("status", {}).get("phase") != "Running":
                continue
            end_all(pod["metadata"]["uid"], patience=_ORPHAN_SECONDS)
            end = End.read(self._files.end(pod))
            if end is None:
                self._report_lost(pod, self._files.last_sign(pod), "its end was not observed")
            elif end.orphaned:
                self._report_lost(pod, end.finished_at, "cupola run ended before it")
            else:
                self._report_end(pod, end)
        self._files.sweep(self._store.find("Pod"))

    def sync(self) -> float | None:
        """Start the pods whose turn it is; end and remove those that are deleted.

        One thread at a time calls it, after every change of a pod. Returns the seconds after which
        it wants to be called again, or None.
        """
        pods = self._store.find("Pod")
        gone = [pod for pod in pods if "deletionTimestamp" in pod["metadata"]]
        waits = [wait for pod in gone if (wait := self._stop(pod)) is not None]
        with self._lock:
            taken = sum(slots.slots_of(pod) for pod, _ in self._running.values())
        verdict = slots.admit(pods, taken=taken, slots=self._size)
        now = time.time()
        for pod, reason in verdict.wait:
            self._set(pod, podstatus.waiting(pod, reason, now))
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
        for _, process in running:
            process.terminate()
        start = time.monotonic()
        left = list(running)
        while left and not hurry.wait(0.05):
            left = [one for one in left if one[0]["metadata"]["uid"] in self._running]
            waited = time.monotonic() - start
            for pod, process in left:
                if waited >= _grace(pod):
                    process.kill()
            if waited > _DRAIN_SECONDS + max((_grace(pod) for pod, _ in left), default=0):
                break
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
            self._files.remove(pod)
            self._store.remove(key_of(pod), uid)
            return None
        now = time.monotonic()
        if uid not in self._kill_at:
            self._kill_at[uid] = now + _grace(pod)
            process.terminate()
        if now >= self._kill_at[uid]:
            process.kill()
            return None
        return self._kill_at[uid] - now

    def _start(self, pod: Object) -> None:
        """Make the pod's files, call it Running, start it; a pod that cannot start is Failed."""
        uid = pod["metadata"]["uid"]
        owners = pod["metadata"].get("ownerReferences") or [{"uid": uid}]
        ip = address(owners[0]["uid"], pod["metadata"]["name"])
        folder = self._files.folder(pod)
        base = base_environment(dict(os.environ), self._files.scratch(pod))
        try:
            launch = container.launch(
                pod, address=ip, folder=folder, base=base, python=sys.executable
            )
            self._files.make(pod, container.files(pod, self._config_maps(key_of(pod).namespace)))
            started = self._set(pod, podstatus.running(pod, address=ip, started=time.time()))
            if started is None:
                return
            process = Process(
                launch.command,
                environment=launch.environment,
                folder=folder,
                log=self._files.log(pod),
                end=self._files.end(pod),
            )
        except (container.CannotStart, OSError, ValueError) as error:
            self._finish(
                pod,
                exit_code=128,
                signal=None,
                reason="StartError",
                message=str(error),
                finished=time.time(),
            )
            return
        with self._lock:
            self._running[uid] = (started, process)
        waiter = threading.Thread(target=self._wait, args=(started, process), daemon=True)
        self._waiters = [thread for thread in self._waiters if thread.is_alive()] + [waiter]
        waiter.start()

    def _config_maps(self, namespace: str) -> dict[str, Object]:
        return {c["metadata"]["name"]: c for c in self._store.find("ConfigMap", namespace)}

    def _wait(self, pod: Object, process: Process) -> None:
        """In a thread of its own: wait for the pod's end, report it, give its slots back."""
        uid = pod["metadata"]["uid"]
        end = process.wait()
        while True:
            try:
                if end is None:
                    end_all(uid)
                    self._report_lost(pod, time.time(), "its supervisor was killed")
                else:
                    self._report_end(pod, end)
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

    def _report_end(self, pod: Object, end: End) -> None:
        message = podstatus.termination_message(
            self._files.message(pod),
            self._files.log_tail(pod),
            failed=end.exit_code != 0,
            policy=pod["spec"]["containers"][0].get("terminationMessagePolicy", "File"),
        )
        reason = podstatus.end_reason(
            end.exit_code, end.signal, oom_kills=end.oom_kills, said=bool(message)
        )
        disruption = (podstatus.SHUTDOWN, _SHUTDOWN_MESSAGE) if self._draining else None
        self._finish(
            pod,
            exit_code=end.exit_code,
            signal=end.signal,
            reason=reason,
            message=message,
            finished=end.finished_at,
            disruption=disruption,
        )

    def _report_lost(self, pod: Object, finished: float, how: str) -> None:
        message = self._files.message(pod).decode(errors="replace")
        disruption = (podstatus.NODE_LOST, f"the pod was lost with its node: {how}")
        self._finish(
            pod,
            exit_code=137,
            signal=9,
            reason="ContainerStatusUnknown",
            message=message,
            finished=finished,
            disruption=disruption,
        )

    def _finish(
        self,
        pod: Object,
        *,
        exit_code: int,
        signal: int | None,
        reason: str,
        message: str,
        finished: float,
        disruption: tuple[str, str] | None = None,
    ) -> None:
        status = podstatus.ended(
            pod,
            exit_code=exit_code,
            signal=signal,
            reason=reason,
            message=message,
            finished=finished,
            disruption=disruption,
        )
        self._files.clear_scratch(pod)
        self._set(pod, status)

    def _set(self, pod: Object, status: Object) -> Object | None:
        """Write a pod's status, whatever version it has; None if that pod is gone."""
        while True:
            now = self._store.get(key_of(pod))
            if now is None or now["metadata"]["uid"] != pod["metadata"]["uid"]:
                return None
            try:
                version = now["metadata"]["resourceVersion"]
                return self._store.patch_status(key_of(pod), status, version)
            except Conflict:
                continue
            except NotFound:
                return None


def base_environment(environment: dict[str, str], scratch: Path) -> dict[str, str]:
    """What an image would set, and the few variables of the user that a program cannot miss."""
    programs = f"{Path(sys.executable).parent}:{environment.get('PATH', os.defpath)}"
    return {
        "PATH": programs,
        "HOME": environment.get("HOME", str(scratch)),
        "LANG": "C.UTF-8",
        "TMPDIR": str(scratch),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "TP_SOCKET_IFNAME": "lo",
    }


def _grace(pod: Object) -> float:
    return float(pod["spec"].get("terminationGracePeriodSeconds", GRACE_SECONDS))
