"""What scheduler and kubelet say of a pod: what keeps it from starting, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cupola_operator.cluster import Object

CONTAINERS = ("pytorch", "main")
"""The container that does the work, in a PyTorchJob's pods and in a Job's."""

QUEUED = "Queued"
"""Kueue holds the Job, so that there are no pods."""

UNSCHEDULABLE = "Unschedulable"
IMAGE_NOT_PULLED = "ImageNotPulled"
CONTAINER_NOT_CREATED = "ContainerNotCreated"

_OBSTACLES = {
    **dict.fromkeys(
        (
            *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
            *("ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"),
        ),
        IMAGE_NOT_PULLED,
    ),
    **dict.fromkeys(("CreateContainerConfigError", "CreateContainerError"), CONTAINER_NOT_CREATED),
}
"""Reasons of a waiting container that stay until a person acts, and what they come to."""

START_ERRORS = {"StartError", "ContainerCannotRun"}
"""Reasons of a container that never ran: its message is then its node's."""

_LONGEST_MESSAGE = 256


def conditions(value: Object) -> dict[str, dict[str, Any]]:
    """The conditions of an object, by type."""
    found = (value.get("status") or {}).get("conditions") or []
    return {str(c.get("type")): c for c in found}


def obstacle(status: Mapping[str, Any], told: Mapping[str, dict[str, Any]]) -> str:
    """Why a pod does not start, as one word, where it does not get better by itself."""
    scheduled = told.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return UNSCHEDULABLE if scheduled.get("reason") == "Unschedulable" else ""
    for container in _containers(status):
        why = (container.get("state") or {}).get("waiting") or {}
        if why.get("reason") in _OBSTACLES:
            return _OBSTACLES[why["reason"]]
    return ""


def failed_before(status: Mapping[str, Any]) -> bool:
    """Whether a container that runs before the program failed."""
    for container in status.get("initContainerStatuses") or []:
        code = ((container.get("state") or {}).get("terminated") or {}).get("exitCode")
        if code:
            return True
    return False


def _containers(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All containers of a pod, those that run before the program first."""
    kinds = ("initContainerStatuses", "containerStatuses")
    return [container for kind in kinds for container in status.get(kind) or []]


def state(status: Mapping[str, Any]) -> dict[str, Any]:
    """The state of the container that does the work."""
    for container in status.get("containerStatuses") or []:
        if container.get("name") in CONTAINERS:
            return container.get("state") or {}
    return {}


def waiting(status: Mapping[str, Any], told: Mapping[str, dict[str, Any]]) -> str:
    """What keeps a pod from starting, as a reason and a message; empty if nothing does."""
    scheduled = told.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"{scheduled.get('reason')}: {scheduled.get('message')}"
    why = state(status).get("waiting") or {}
    for container in _containers(status):
        other = (container.get("state") or {}).get("waiting") or {}
        if other.get("reason") in _OBSTACLES:
            why = other
    return ": ".join(str(why[part]) for part in ("reason", "message") if why.get(part))


def message(
    status: Mapping[str, Any], ended: Mapping[str, Any], disruption: Mapping[str, Any]
) -> str:
    """What the node says in words; a program's own termination message is no part of it."""
    said = status.get("message") or disruption.get("message")
    if not said and ended.get("reason") in START_ERRORS:
        said = ended.get("message")
    return str(said or "")[:_LONGEST_MESSAGE]


def exit_code(ended: Mapping[str, Any], status: Mapping[str, Any]) -> int | None:
    """The exit code of a pod that ended, if it is known."""
    code = ended.get("exitCode")
    if isinstance(code, int):
        return code
    return 0 if status.get("phase") == "Succeeded" else None
