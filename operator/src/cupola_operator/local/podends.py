"""How pods end, written into their status: as their shim told it, or as far as it can be known."""

from __future__ import annotations

import time

from cupola_operator.cluster import Conflict, NotFound, Object, key_of
from cupola_operator.local import podstatus
from cupola_operator.local.podfiles import PodFiles
from cupola_operator.local.processes import End
from cupola_operator.local.store import Store

_SHUTDOWN_MESSAGE = "the pod was stopped because cupola run was stopped"


def set_status(store: Store, pod: Object, status: Object) -> Object | None:
    """Write a pod's status, whatever version it has; None if that pod is gone. Raises OSError."""
    while True:
        now = store.get(key_of(pod))
        if now is None or now["metadata"]["uid"] != pod["metadata"]["uid"]:
            return None
        try:
            return store.patch_status(key_of(pod), status, now["metadata"]["resourceVersion"])
        except Conflict:
            continue
        except NotFound:
            return None


class PodEnds:
    """Writes the last status of pods. Its methods raise OSError; they may then be called again."""

    def __init__(self, store: Store, files: PodFiles) -> None:
        self._store = store
        self._files = files

    def told(self, pod: Object, end: End, *, shutdown: bool) -> None:
        """A pod ended as its shim wrote; `shutdown`: because its node stops."""
        message = podstatus.termination_message(
            self._files.message(pod),
            self._files.log_tail(pod),
            failed=end.exit_code != 0,
            policy=pod["spec"]["containers"][0].get("terminationMessagePolicy", "File"),
        )
        reason = podstatus.end_reason(
            end.exit_code,
            end.signal,
            out_of_memory=end.out_of_memory,
            oom_kills=end.oom_kills,
            said=bool(message),
        )
        disruption = (podstatus.SHUTDOWN, _SHUTDOWN_MESSAGE) if shutdown else None
        self._write(
            pod,
            exit_code=end.exit_code,
            signal=end.signal,
            reason=reason,
            message=message,
            finished=end.finished_at,
            disruption=disruption,
        )

    def lost(self, pod: Object, finished: float, how: str) -> None:
        """Nobody saw a pod end; `finished`: the last evidence of its life, Unix time."""
        message = self._files.message(pod).decode(errors="replace")
        disruption = (podstatus.NODE_LOST, f"the pod was lost with its node: {how}")
        self._write(
            pod,
            exit_code=137,
            signal=9,
            reason="ContainerStatusUnknown",
            message=message,
            finished=finished,
            disruption=disruption,
        )

    def never_started(self, pod: Object, why: str) -> None:
        """A pod could not be started."""
        self._write(
            pod,
            exit_code=128,
            signal=None,
            reason="StartError",
            message=why,
            finished=time.time(),
            disruption=None,
        )

    def _write(
        self,
        pod: Object,
        *,
        exit_code: int,
        signal: int | None,
        reason: str,
        message: str,
        finished: float,
        disruption: tuple[str, str] | None,
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
        set_status(self._store, pod, status)
