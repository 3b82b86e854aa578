"""The Job controller of Kubernetes (batch/v1) for one machine: Job -> pods -> conditions. Pure.

What Cupola uses of it: Indexed completion, parallelism, suspend, backoffLimit and
backoffLimitPerIndex. A pod is replaced only when it has ended (podReplacementPolicy: Failed), and a Job is Failed only when no
pod of it is left running. One difference: a failed pod is replaced after 1, 2, 4, ... seconds, not
10, 20, 40.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import count
from typing import Any, NamedTuple

from cupola_operator.cluster import Object
from cupola_operator.local.clock import rfc3339, unix
from cupola_operator.local.controller import Changes, child, phase_of

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"

_BACKOFF_LIMIT = 6
_LONGEST_DELAY = 600.0


class _Index(NamedTuple):
    """What the pods of one completion index came to."""

    number: int
    names: frozenset[str]
    active: bool
    done: bool
    failures: int
    last_failure: float
    given_up: bool


def sync(job: Object, pods: list[Object], now: float) -> Changes:
    """What the Job controller would do with a Job and its pods."""
    spec = job["spec"]
    status: dict[str, Any] = {**job.get("status", {})}
    status.setdefault("conditions", [])
    if _holds(status, "Complete") or _holds(status, "Failed"):
        return Changes([], [], status)
    active = [pod for pod in pods if phase_of(pod) in ("Pending", "Running")]
    if spec.get("suspend"):
        # Those that it deletes itself do not count as failed.
        pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    else:
        status.setdefault("startTime", rfc3339(now))
    indexes = _indexes(job, pods)
    failed = [pod for pod in pods if phase_of(pod) == "Failed"]
    status["active"] = len(active)
    status["succeeded"] = sum(index.done for index in indexes)
    status["failed"] = max(len(failed), status.get("failed", 0))
    status["completedIndexes"] = intervals(i.number for i in indexes if i.done)
    if "backoffLimitPerIndex" in spec:
        status["failedIndexes"] = intervals(i.number for i in indexes if i.given_up)
    if verdict := _failure(spec, indexes, status["failed"]):
        _set(status, "FailureTarget", *verdict, now)
    if _holds(status, "FailureTarget"):
        if not active:
            target = next(c for c in status["conditions"] if c["type"] == "FailureTarget")
            _set(status, "Failed", target["reason"], target["message"], now)
        return Changes([], active, status)
    if all(index.done for index in indexes):
        text = "Reached expected number of succeeded pods"
        _set(status, "Complete", "CompletionsReached", text, now)
        status["completionTime"] = rfc3339(now)
        return Changes([], active, status)
    if spec.get("suspend"):
        status.pop("startTime", None)
        return Changes([], active, {**status, "active": 0})
    return _next_pods(job, indexes, len(active), status, now)


def intervals(numbers: Iterable[int]) -> str:
    """Sorted numbers as Kubernetes writes them: `1,3-5,7`."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def numbers(text: str) -> set[int]:
    """What `intervals` wrote."""
    found: set[int] = set()
    for span in filter(None, text.split(",")):
        first, _, last = span.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _next_pods(
    job: Object, indexes: list[_Index], active: int, status: Object, now: float
) -> Changes:
    """Pods for the lowest indexes that have none, as many as parallelism allows."""
    room = job["spec"].get("parallelism", 1) - active
    create: list[Object] = []
    waits: list[float] = []
    for index in indexes:
        if index.done or index.given_up or index.active or len(create) >= room:
            continue
        delay = min(_LONGEST_DELAY, 2.0 ** (index.failures - 1)) if index.failures else 0.0
        wait = index.last_failure + delay - now
        if wait > 0:
            waits.append(wait)
        else:
            create.append(_pod(job, index))
    return Changes(create, [], status, min(waits, default=None))


def _indexes(job: Object, pods: list[Object]) -> list[_Index]:
    """Every completion index of the Job."""
    by_index: dict[int, list[Object]] = {}
    for pod in pods:
        by_index.setdefault(int(pod["metadata"]["annotations"][INDEX]), []).append(pod)
    completions = job["spec"].get("completions", 1)
    return [_index(job, number, by_index.get(number, [])) for number in range(completions)]


def _index(job: Object, number: int, pods: list[Object]) -> _Index:
    """What the pods of one index came to; what status says stays true when they are gone."""
    status, limit = job.get("status", {}), job["spec"].get("backoffLimitPerIndex")
    failed = [pod for pod in pods if phase_of(pod) == "Failed"]
    failures = max((_failures_with(pod) for pod in pods), default=0)
    return _Index(
        number=number,
        names=frozenset(pod["metadata"]["name"] for pod in pods),
        active=any(phase_of(pod) in ("Pending", "Running") for pod in pods),
        done=number in numbers(status.get("completedIndexes", ""))
        or any(phase_of(pod) == "Succeeded" for pod in pods),
        failures=failures,
        last_failure=max((_finished(pod) for pod in failed), default=0.0),
        given_up=number in numbers(status.get("failedIndexes", ""))
        or (limit is not None and failures > limit),
    )


def _failures_with(pod: Object) -> int:
    """Failures of an index up to and with this pod of it."""
    return int(pod["metadata"]["annotations"][FAILURES]) + (phase_of(pod) == "Failed")


def _failure(spec: Object, indexes: list[_Index], failed: int) -> tuple[str, str] | None:
    """Why the whole Job has failed, as reason and message, or None."""
    if "backoffLimitPerIndex" in spec:
        over = all(index.done or index.given_up for index in indexes)
        lost = any(index.given_up for index in indexes)
        return ("FailedIndexes", "Job has failed indexes") if over and lost else None
    if failed > spec.get("backoffLimit", _BACKOFF_LIMIT):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    return None


def _finished(pod: Object) -> float:
    """When a pod ended, Unix time; 0 if it is not known."""
    containers: list[Object] = pod["status"].get("containerStatuses", [])
    text = (
        containers[0].get("state", {}).get("terminated", {}).get("finishedAt")
        if containers
        else None
    )
    return unix(text) if text else 0.0


def _pod(job: Object, index: _Index) -> Object:
    """The next pod of an index."""
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    number = str(index.number)
    labels = {
        "batch.kubernetes.io/job-name": name,
        "batch.kubernetes.io/controller-uid": uid,
        "job-name": name,
        "controller-uid": uid,
        INDEX: number,
    }
    tries = (f"{name}-{number}-{_suffix(uid, number, n)}" for n in count(len(index.names)))
    free = next(one for one in tries if one not in index.names)
    pod = child(job, job["spec"]["template"], free, labels)
    pod["metadata"]["annotations"] |= {INDEX: number, FAILURES: str(index.failures)}
    field = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}
    for container in pod["spec"]["containers"]:
        variable = {"name": "JOB_COMPLETION_INDEX", "valueFrom": field}
        container["env"] = [*container.get("env", []), variable]
    return pod


def _suffix(uid: str, number: str, tries: int) -> str:
    """Five characters that tell the tries of an index apart."""
    return hashlib.sha256(f"{uid}/{number}/{tries}".encode()).hexdigest()[:5]


def _holds(status: Object, kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in status["conditions"])


def _set(status: dict[str, Any], kind: str, reason: str, message: str, now: float) -> None:
    if _holds(status, kind):
        return
    condition = {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastProbeTime": rfc3339(now),
        "lastTransitionTime": rfc3339(now),
    }
    status["conditions"] = [*status["conditions"], condition]
