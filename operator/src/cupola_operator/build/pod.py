"""What all pods of Cupola have in common: the run file, identity, security, resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cupola_api import metrics, quantities
from cupola_api.run import ATTEMPT, POD_IP, TERMINATION_LOG
from cupola_operator.children import RUN_FILE, Resolved
from cupola_operator.cluster import Object
from cupola_operator.settings import Device, Pool

FOLDER = "/etc/cupola"
RUN_PATH = f"{FOLDER}/{RUN_FILE}"
MESSAGE_PATH = "/dev/termination-log"
GRACE_SECONDS = 60
"""Between SIGTERM and SIGKILL: the time that a save may take."""


def template(
    resolved: Resolved,
    *,
    container: str,
    command: list[str],
    labels: dict[str, str],
    attempt: str,
    threads: int,
    resources: Object,
    shared_memory: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Object:
    """A pod template of one container that works on the run of `resolved`.

    `threads`: CPU threads of one process; `shared_memory`: a /dev/shm as large as memory allows,
    for the ranks of a node to talk through; `environment`: more variables.
    """
    volumes: list[Object] = [{"name": "run", "configMap": {"name": resolved.name}}]
    mounts: list[Object] = [{"name": "run", "mountPath": FOLDER, "readOnly": True}]
    if shared_memory:
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory"}})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108  of the container
    return {
        "metadata": {"labels": labels},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": container,
                    "image": resolved.placement.image,
                    "command": command,
                    "env": _environment(attempt, threads, environment or {}),
                    "ports": [{"name": "metrics", "containerPort": metrics.PORT}],
                    "resources": resources,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "terminationMessagePath": MESSAGE_PATH,
                    "volumeMounts": mounts,
                }
            ],
            "volumes": volumes,
        },
    }


def device_resources(pool: Pool, gpus: int) -> Object:
    """Resources of a pod that computes on `gpus` devices of the pool."""
    if pool.device is Device.GPU:
        return _resources(pool, gpus, limits={"nvidia.com/gpu": gpus})
    return _resources(pool, gpus, requests={"cpu": str(gpus * pool.threads_per_gpu)})


def thread_resources(pool: Pool) -> Object:
    """Resources of a pod that computes on the CPU threads of one slot of the pool alone."""
    return _resources(pool, 1, requests={"cpu": str(pool.threads_per_gpu)})


def _resources(
    pool: Pool, gpus: int, *, requests: Object | None = None, limits: Object | None = None
) -> Object:
    """These, and the host memory of so many devices where the pool states it.

    Memory is requested whole: a pod that was promised less than its limit could be killed by
    what its neighbours take.
    """
    each = pool.memory_per_gpu
    memory = {"memory": quantities.times(gpus, each)} if each else {}
    both = {"requests": {**(requests or {}), **memory}, "limits": {**(limits or {}), **memory}}
    return {kind: values for kind, values in both.items() if values}


def _environment(attempt: str, threads: int, more: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": ATTEMPT, "value": attempt},
        {"name": POD_IP, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": TERMINATION_LOG, "value": MESSAGE_PATH},
        {"name": "OMP_NUM_THREADS", "value": str(threads)},
        *({"name": name, "value": value} for name, value in more.items()),
    ]
