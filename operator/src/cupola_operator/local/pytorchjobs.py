"""The Kubeflow training operator (v1.9) for one machine: PyTorchJob -> pods -> conditions.

Reproduced from its code where the core can see it: names, labels, environment, conditions and
their reasons, when a job counts as failed, what cleanPodPolicy and suspend delete, and that a missing
pod of a running job is made again, alone. MASTER_ADDR is an address, not a service's name: one machine has
no cluster DNS.
"""

from __future__ import annotations

from typing import Any

from cupola_operator.cluster import Object
from cupola_operator.local.clock import rfc3339
from cupola_operator.local.controller import Changes, child, phase_of
from cupola_operator.local.network import address, free_port

_PREFIX = "training.kubeflow.org"


def sync(job: Object, pods: list[Object], now: float) -> Changes:
    """What the training operator would do with a PyTorchJob and its pods."""
    status = _status(job, pods, now)
    done = any(_holds(status, kind) for kind in ("Succeeded", "Failed"))
    if done:
        policy = job["spec"].get("runPolicy", {}).get("cleanPodPolicy", "None")
        unwanted = {"Running": ("Pending", "Running"), "None": ()}.get(policy)
        delete = [pod for pod in pods if unwanted is None or phase_of(pod) in unwanted]
        return Changes([], delete, status)
    if job["spec"].get("runPolicy", {}).get("suspend"):
        return Changes([], pods, status)
    names = {pod["metadata"]["name"] for pod in pods}
    missing = [
        (kind, index)
        for kind, index in _replicas(job)
        if f"{job['metadata']['name']}-{kind.lower()}-{index}" not in names
    ]
    port = _port_of(pods)
    if missing and port is None:
        port = free_port(job["metadata"]["uid"])
    return Changes([_pod(job, kind, index, port or 0) for kind, index in missing], [], status)


def _replicas(job: Object) -> list[tuple[str, int]]:
    """(replica type, index) of each pod, the master first."""
    specs = job["spec"]["pytorchReplicaSpecs"]
    return [
        (kind, index)
        for kind in ("Master", "Worker")
        if kind in specs
        for index in range(specs[kind].get("replicas", 1))
    ]


def _pod(job: Object, kind: str, index: int, port: int) -> Object:
    replica = job["spec"]["pytorchReplicaSpecs"][kind]
    name = job["metadata"]["name"]
    labels = {
        f"{_PREFIX}/job-name": name,
        f"{_PREFIX}/operator-name": "pytorchjob-controller",
        f"{_PREFIX}/replica-type": kind.lower(),
        f"{_PREFIX}/replica-index": str(index),
    }
    if kind == "Master":
        labels[f"{_PREFIX}/job-role"] = "master"
    pod = child(job, replica["template"], f"{name}-{kind.lower()}-{index}", labels)
    pod["spec"]["restartPolicy"] = replica.get("restartPolicy", "Never")
    environment = _environment(job, kind, index, port)
    for container in pod["spec"]["containers"]:
        added = [{"name": key, "value": value} for key, value in environment.items()]
        container["env"] = [*container.get("env", []), *added]
    return pod


def _environment(job: Object, kind: str, index: int, port: int) -> dict[str, str]:
    """What the operator adds. RANK is that of the node; WORLD_SIZE counts nodes x nprocPerNode."""
    nodes = len(_replicas(job))
    per_node = str(job["spec"].get("nprocPerNode", "auto"))
    rank = str(index + 1 if kind == "Worker" else 0)
    master = address(job["metadata"]["uid"], f"{job['metadata']['name']}-master-0")
    return {
        "PYTHONUNBUFFERED": "1",
        "MASTER_PORT": str(port),
        "PET_MASTER_PORT": str(port),
        "MASTER_ADDR": master,
        "PET_MASTER_ADDR": master,
        "WORLD_SIZE": str(nodes * (int(per_node) if per_node.isdecimal() else 1)),
        "RANK": rank,
        "PET_NPROC_PER_NODE": per_node,
        "PET_NODE_RANK": rank,
        "PET_NNODES": str(nodes),
    }


def _port_of(pods: list[Object]) -> int | None:
    """The port that the pods there are were given."""
    for pod in pods:
        for variable in pod["spec"]["containers"][0]["env"]:
            if variable["name"] == "MASTER_PORT":
                return int(variable["value"])
    return None


def _status(job: Object, pods: list[Object], now: float) -> Object:
    """Counts by replica type and the conditions that follow from them."""
    old: Object = job.get("status", {})
    status: dict[str, Any] = {**old, "conditions": list(old.get("conditions", []))}
    name = job["metadata"]["name"]
    _set(status, "Created", f"PyTorchJob {name} is created.", now)
    if _holds(status, "Succeeded") or _holds(status, "Failed"):
        return status
    if job["spec"].get("runPolicy", {}).get("suspend"):
        status["conditions"] = [
            {**c, "status": "False"} if c["type"] == "Running" else c for c in status["conditions"]
        ]
        status |= {"startTime": None, "replicaStatuses": {}}
        _set(status, "Suspended", f"PyTorchJob {name} is suspended.", now)
        return status
    status["conditions"] = [c for c in status["conditions"] if c["type"] != "Suspended"]
    status["startTime"] = status.get("startTime") or rfc3339(now)
    status["replicaStatuses"] = {}
    for kind, spec in sorted(job["spec"]["pytorchReplicaSpecs"].items()):
        counts = _counts([pod for pod in pods if _type_of(pod) == kind.lower()])
        status["replicaStatuses"][kind] = {k: v for k, v in counts.items() if v}
        wanted = spec.get("replicas", 1)
        if kind == "Master" and counts["active"]:
            _set(status, "Running", f"PyTorchJob {name} is running.", now)
        if kind == "Master" and counts["succeeded"] == wanted:
            _finish(status, "Succeeded", f"PyTorchJob {name} is successfully completed.", now)
            break
        if counts["failed"] and wanted > counts["succeeded"] + counts["active"]:
            text = (
                f"PyTorchJob {name} is failed because {counts['failed']} {kind} replica(s) failed."
            )
            _finish(status, "Failed", text, now)
    return status


def _counts(pods: list[Object]) -> dict[str, int]:
    """A running pod that is being deleted counts as failed, as in the operator."""
    counts = {"active": 0, "succeeded": 0, "failed": 0}
    for pod in pods:
        match phase_of(pod):
            case "Running":
                counts["failed" if "deletionTimestamp" in pod["metadata"] else "active"] += 1
            case "Succeeded":
                counts["succeeded"] += 1
            case "Failed":
                counts["failed"] += 1
    return counts


def _type_of(pod: Object) -> str:
    return str(pod["metadata"]["labels"][f"{_PREFIX}/replica-type"])


def _holds(status: Object, kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in status["conditions"])


def _finish(status: dict[str, Any], kind: str, message: str, now: float) -> None:
    if _holds(status, "Failed"):
        return
    status.setdefault("completionTime", rfc3339(now))
    status["conditions"] = [
        {**c, "status": "False"} if c["type"] == "Running" else c for c in status["conditions"]
    ]
    _set(status, kind, message, now)


def _set(status: dict[str, Any], kind: str, message: str, now: float) -> None:
    """Add a condition that is true, unless it is there."""
    if _holds(status, kind):
        return
    status["conditions"] = [
        *(c for c in status["conditions"] if c["type"] != kind),
        {
            "type": kind,
            "status": "True",
            "reason": f"PyTorchJob{kind}",
            "message": message,
            "lastUpdateTime": rfc3339(now),
            "lastTransitionTime": rfc3339(now),
        },
    ]
