"""The status of a pod by value, field by field as a kubelet writes it."""

from __future__ import annotations

from cupola_api.outcome import MAX_BYTES
from cupola_operator.cluster import Object
from cupola_operator.local.clock import rfc3339

_LOG_BYTES = 2048
NODE_LOST = "NodeLost"
SHUTDOWN = "Terminated"


def waiting(pod: Object, reason: str, now: float) -> Object:
    """Pending, as its turn has not come for a reason in words; that is no obstacle, and passes."""
    return {
        "phase": "Pending",
        "conditions": _conditions(
            pod, now, PodScheduled=("False", "SchedulingGated", reason), Ready=("False", "", "")
        ),
    }


def running(pod: Object, *, address: str, started: float) -> Object:
    """Running since `started`."""
    return {
        "phase": "Running",
        "hostIP": "127.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": rfc3339(started),
        "conditions": _conditions(
            pod, started, PodScheduled=("True", "", ""), Ready=("True", "", "")
        ),
        "containerStatuses": [
            _container(pod, {"running": {"startedAt": rfc3339(started)}}, ready=True)
        ],
    }


def ended(
    pod: Object,
    *,
    exit_code: int,
    signal: int | None,
    reason: str,
    message: str,
    finished: float,
    disruption: tuple[str, str] | None = None,
) -> Object:
    """Succeeded or Failed after `running`, with the termination message.

    `disruption`: why the node, not the program, ended it: the pod's own reason and message.
    """
    status = pod.get("status", {})
    before = (status.get("containerStatuses") or [{}])[0].get("state", {}).get("running", {})
    started = before.get("startedAt") or status.get("startTime") or rfc3339(finished)
    terminated: Object = {
        "exitCode": exit_code,
        "reason": reason,
        "startedAt": started,
        "finishedAt": rfc3339(finished),
    }
    if signal is not None:
        terminated["signal"] = signal
    if message:
        terminated["message"] = message
    conditions = {"PodScheduled": ("True", "", ""), "Ready": ("False", "PodCompleted", "")}
    new: Object = {**status, "phase": "Succeeded" if exit_code == 0 else "Failed"}
    if disruption and exit_code != 0:
        new["reason"], new["message"] = disruption
        kind = "TerminationByKubelet" if disruption[0] == SHUTDOWN else "DeletionByPodGC"
        conditions["DisruptionTarget"] = ("True", kind, disruption[1])
    new.setdefault("startTime", started)
    new["conditions"] = _conditions(pod, finished, **conditions)
    new["containerStatuses"] = [_container(pod, {"terminated": terminated}, ready=False)]
    return new


def end_reason(
    exit_code: int, signal: int | None, *, out_of_memory: bool, oom_kills: int, said: bool
) -> str:
    """The word that a kubelet has for an end: Completed, OOMKilled or Error.

    `out_of_memory`: killed for its own limit. Without control groups of its own, a pod also counts
    as killed for memory if the kernel killed something for memory during its life (`oom_kills`),
    and it was killed itself or ended without a word.
    """
    if exit_code == 0:
        return "Completed"
    killed = signal == 9 or exit_code == 137 or not said
    return "OOMKilled" if out_of_memory or (oom_kills > 0 and killed) else "Error"


def termination_message(data: bytes, log: bytes, *, failed: bool, policy: str) -> str:
    """The message from its file, the last 4,096 bytes at most; or the end of the log if asked for.

    `policy` is terminationMessagePolicy: FallbackToLogsOnError takes the last 2,048 bytes (80
    lines) of a failed container's log when the file is empty.
    """
    if not data and failed and policy == "FallbackToLogsOnError":
        data = b"\n".join(log[-_LOG_BYTES:].splitlines()[-80:])
    return data[-MAX_BYTES:].decode(errors="replace")


def _container(pod: Object, state: Object, *, ready: bool) -> Object:
    container = pod["spec"]["containers"][0]
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": state,
        "lastState": {},
    }


def _conditions(pod: Object, now: float, **wanted: tuple[str, str, str]) -> list[Object]:
    """Conditions by type as (status, reason, message); a status that stays keeps its time."""
    old = {c["type"]: c for c in pod.get("status", {}).get("conditions", [])}
    conditions = []
    for kind, (status, reason, message) in wanted.items():
        same = old.get(kind, {}).get("status") == status
        condition = {
            "type": kind,
            "status": status,
            "lastTransitionTime": old[kind]["lastTransitionTime"] if same else rfc3339(now),
        }
        condition |= {"reason": reason} if reason else {}
        condition |= {"message": message} if message else {}
        conditions.append(condition)
    return conditions
