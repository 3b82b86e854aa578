"""What all pods of Cupola have in common: the run file, identity, security, storage, placement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cupola_api import metrics
from cupola_api.pods import PodTemplate, Volume
from cupola_api.run import ATTEMPT, LOG, POD_IP, POD_NAME, TERMINATION_LOG
from cupola_api.synthetic import SecretKey
from cupola_operator.build import storage
from cupola_operator.children import RUN_FILE, Resolved
from cupola_operator.cluster import Object
from cupola_operator.pools import Pool, Security
from cupola_operator.world import World

FOLDER = "/etc/cupola"
RUN_PATH = f"{FOLDER}/{RUN_FILE}"
MESSAGE_PATH = "/dev/termination-log"
SCRATCH = "/scratch"
"""The one place where a pod may write besides its volumes."""

EXTRA = "/mnt"
"""Volumes of spec.podTemplate lie here, by name."""

GRACE_SECONDS = 60
"""Between SIGTERM and SIGKILL: the time that a save may take."""

KEEPING = ("python", "-m", "cupola_trainer.logs")
"""Runs a pod's program and keeps what it prints where `LOG` says."""

USER = 65532
"""User and group of a pod's processes, and the group of its volumes."""


def template(
    world: World,
    resolved: Resolved,
    *,
    container: str,
    args: list[str],
    labels: dict[str, str],
    attempt: str,
    threads: int,
    resources: Object,
    shared_memory: str | None = None,
    security: Security | None = None,
    affinity: Object | None = None,
    environment: Mapping[str, str] | None = None,
    keys: Mapping[str, SecretKey] | None = None,
) -> Object:
    """A pod template of one container that works on the run of `resolved`.

    `args`: the program, which the image's init runs; `threads`: CPU threads of one process;
    `shared_memory`: the size of a /dev/shm of its own, for the ranks of a node to talk through;
    `security`: what it may do beyond the restricted profile of Pod Security; `environment`: more
    variables; `keys`: those that are in a Secret. What spec.podTemplate adds is in it; where a variable or label is given twice,
    Cupola's own wins, then the person's, then the pool's.
    """
    placement, pool = resolved.placement, resolved.placement.pool
    extra = _extra(world)
    volumes, mounts = _volumes(resolved, extra, shared_memory)
    variables = {**storage.environment(resolved.run, placement.storage), **pool.env}
    variables |= {variable.name: variable.value for variable in extra.env}
    log = storage.log(resolved.run, attempt, f"$({POD_NAME})")
    notes = pool.annotations | extra.annotations
    return {
        "metadata": {"labels": extra.labels | labels} | ({"annotations": notes} if notes else {}),
        "spec": {
            "restartPolicy": "Never",
            **_account(resolved, extra),
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            **_scheduling(pool),
            **({"affinity": affinity} if affinity else {}),
            "securityContext": {
                "runAsNonRoot": not (security and security.run_as_root),
                "runAsUser": 0 if security and security.run_as_root else USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                # A claim with a million files would otherwise be walked through at every start.
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": container,
                    "image": placement.image,
                    "args": [*(KEEPING if log else ()), *args],
                    "env": [
                        *_environment(attempt, log, threads, {**variables, **(environment or {})}),
                        *_keys(keys or {}),
                    ],
                    **_secrets(resolved, extra),
                    "ports": [{"name": "metrics", "containerPort": metrics.PORT}],
                    "resources": resources,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": _capabilities(security),
                    },
                    "terminationMessagePath": MESSAGE_PATH,
                    "volumeMounts": mounts,
                }
            ],
            "volumes": volumes,
        },
    }


_NOTHING = PodTemplate()


def _extra(world: World) -> PodTemplate:
    """What spec.podTemplate adds."""
    template: PodTemplate | None = world.resource.spec.pod_template if world.resource else None
    return template or _NOTHING


def _account(resolved: Resolved, extra: PodTemplate) -> Object:
    """Who the pod is, and what it may pull; its token is never mounted.

    An account for storage is taken by what reads or writes in S3, unless the person names another.
    """
    placement = resolved.placement
    ours = placement.storage.service_account if storage.uses_s3(resolved.run) else None
    account = extra.service_account_name or ours
    pull = [{"name": name} for name in placement.image_pull_secrets]
    return {
        **({"serviceAccountName": account} if account else {}),
        "automountServiceAccountToken": False,
        **({"imagePullSecrets": pull} if pull else {}),
    }


def _scheduling(pool: Pool) -> Object:
    """Where the pods of a pool go, and before whom."""
    found: Object = {
        "nodeSelector": dict(pool.node_selector),
        "tolerations": [one.to_json() for one in pool.tolerations],
        "priorityClassName": pool.priority_class,
        "runtimeClassName": pool.runtime_class,
    }
    return {name: value for name, value in found.items() if value}


def _volumes(
    resolved: Resolved, extra: PodTemplate, shared_memory: str | None
) -> tuple[list[Object], list[Object]]:
    """The volumes of a pod, and where they are mounted; the run comes first."""
    volumes: list[Object] = [
        {"name": "run", "configMap": {"name": resolved.name}},
        {"name": "scratch", "emptyDir": {}},
    ]
    mounts: list[Object] = [
        {"name": "run", "mountPath": FOLDER, "readOnly": True},
        {"name": "scratch", "mountPath": SCRATCH},
    ]
    if shared_memory:
        memory = {"medium": "Memory", "sizeLimit": shared_memory}
        volumes.append({"name": "shm", "emptyDir": memory})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108  of the container
    more, places = storage.volumes(resolved.run)
    theirs = [{"name": f"extra-{one.name}", **_source(one)} for one in extra.volumes]
    mounted = [{"name": f"extra-{v.name}", "mountPath": f"{EXTRA}/{v.name}"} for v in extra.volumes]
    return [*volumes, *more, *theirs], [*mounts, *places, *mounted]


def _source(volume: Volume) -> Object:
    """The source of a volume that a person adds, as Kubernetes writes it: with the same names."""
    source: Object = volume.to_json()
    del source["name"]
    return source


def _secrets(resolved: Resolved, extra: PodTemplate) -> Object:
    """Secrets whose entries are variables: that of S3 where it is used, and the person's."""
    ours = resolved.placement.storage.secret if storage.uses_s3(resolved.run) else None
    names = [*([ours] if ours else []), *extra.env_from_secrets]
    return {"envFrom": [{"secretRef": {"name": name}} for name in names]} if names else {}


def _keys(keys: Mapping[str, SecretKey]) -> list[Object]:
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": one.name, "key": one.key}}}
        for name, one in keys.items()
    ]


def _capabilities(security: Security | None) -> Object:
    added = [one.value for one in security.capabilities] if security else []
    return {"drop": ["ALL"]} | ({"add": added} if added else {})


def _environment(
    attempt: str, log: str | None, threads: int, more: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Cupola's own variables first, as a value may refer to those before it."""
    kept: list[dict[str, Any]] = [
        {"name": POD_NAME, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": LOG, "value": log},
    ]
    own: list[dict[str, Any]] = [
        {"name": ATTEMPT, "value": attempt},
        *(kept if log else []),
        {"name": POD_IP, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": TERMINATION_LOG, "value": MESSAGE_PATH},
        {"name": "TMPDIR", "value": SCRATCH},
        {"name": "HOME", "value": SCRATCH},
        {"name": "OMP_NUM_THREADS", "value": str(threads)},
    ]
    return [*own, *({"name": name, "value": value} for name, value in more.items())]
