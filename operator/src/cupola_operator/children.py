"""The children of a resource as values: resolved runs, Jobs and PyTorchJobs, pods.

Whatever a pod or a person can write in an object is untrusted: it is typed or left out, and never
raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from cupola_api import GROUP, outcome
from cupola_api import run as contract
from cupola_api.base import Model
from cupola_api.outcome import Outcome, OutcomeKind
from cupola_operator import labels
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.settings import Pool

DIGEST = f"{GROUP}/digest"
"""Annotation of a run's ConfigMap: the digest of the run."""

PLACEMENT = f"{GROUP}/placement"
"""Annotation of a run's ConfigMap: its `Placement` as JSON."""

RUN_FILE = "run.yaml"
"""Key of the run in its ConfigMap, and the file's name in a pod."""

CONTAINERS = ("pytorch", "main")
"""The container that does the work, in a PyTorchJob's pods and in a Job's."""

_UNOBSERVED = "ContainerStatusUnknown"
"""What a kubelet calls a container whose end it did not see."""

REPLICA_TYPE = "training.kubeflow.org/replica-type"
REPLICA_INDEX = "training.kubeflow.org/replica-index"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"

PATIENCE = timedelta(seconds=60)
"""How long a deleted pod may overrun its grace before it is given up, with the node it is on."""

_BY_NODE = {"NodeLost", "NodeAffinity", "Evicted", "Preempting", "Shutdown", "Terminated"}
"""Reasons of a pod's status by which its node, not its program, ended it."""

START_ERRORS = {"StartError", "ContainerCannotRun"}
"""Reasons of a container that never ran: its message is then its node's."""

_LONGEST_MESSAGE = 256

_RUN: TypeAdapter[contract.Run] = TypeAdapter(contract.Run)


class Placement(Model):
    """Where a run computes and what that costs, as decided when the run was resolved."""

    pool: Pool = Field(description="The pool, with the price that the run pays to its end.")
    currency: str = Field(description="ISO 4217 code of the price.")
    image: str = Field(description="Image of its pods.")


@dataclass(frozen=True)
class Resolved:
    """A run as it was resolved, read back from its ConfigMap."""

    name: str
    digest: str
    run: contract.Run
    placement: Placement

    @classmethod
    def of(cls, value: Object) -> Resolved | None:
        """The run that a ConfigMap holds, or None if it holds none that can be read."""
        try:
            notes = value["metadata"]["annotations"]
            return cls(
                name=value["metadata"]["name"],
                digest=notes[DIGEST],
                run=_run_of(value["data"][RUN_FILE]),
                placement=Placement.model_validate_json(notes[PLACEMENT]),
            )
        except (KeyError, TypeError, ValidationError, yaml.YAMLError):
            return None


@dataclass(frozen=True)
class Job:
    """A PyTorchJob or Job of the resource: one attempt."""

    key: Key
    uid: str
    revision: int
    stage: str
    attempt: int
    complete: bool = False
    failed: bool = False
    deleting: bool = False

    @classmethod
    def of(cls, value: Object) -> Job:
        """The view of a Job or PyTorchJob."""
        notes = value["metadata"].get("labels") or {}
        true = {kind for kind, c in _conditions(value).items() if c.get("status") == "True"}
        return cls(
            key=key_of(value),
            uid=value["metadata"]["uid"],
            revision=_number(notes.get(labels.REVISION)),
            stage=notes.get(labels.STAGE, ""),
            attempt=_number(notes.get(labels.ATTEMPT)),
            complete=bool(true & {"Complete", "Succeeded"}),
            failed="Failed" in true,
            deleting=bool(value["metadata"].get("deletionTimestamp")),
        )


@dataclass(frozen=True)
class Pod:
    """A pod as evidence: when it held devices, how it ended, what it said."""

    name: str
    uid: str
    owner: str = ""
    """uid of the Job or PyTorchJob that made it."""
    resource: str = ""
    """uid of the resource that it works for."""
    revision: int = 0
    stage: str = ""
    attempt: int = 0
    gpus: int = 0
    master: bool = False
    index: int = 0
    terminal: bool = False
    started: datetime | None = None
    finished: datetime | None = None
    estimated: bool = False
    """Whether its node did not observe when it ended."""
    last_seen: datetime | None = None
    """When one of its conditions last changed: the last evidence where no end was observed."""
    ip: str | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    """Why its node ended it or could not start it, in words."""
    waiting: str = ""
    """What keeps it from starting, if anything does."""
    outcome: Outcome | None = None
    by_node: bool = False
    """Whether its node, not its program, ended it."""
    gone_by: datetime | None = None
    """When a pod that is being deleted should be gone."""

    @property
    def running(self) -> bool:
        """Whether it started and did not end."""
        return self.started is not None and not self.terminal

    @property
    def succeeded(self) -> bool:
        """Whether it ended well: by what it said, else by its exit code."""
        if self.outcome:
            return self.outcome.outcome is OutcomeKind.SUCCEEDED
        return self.terminal and self.exit_code == 0

    @property
    def failed(self) -> bool:
        """Whether it ended in another way than well."""
        return self.terminal and not self.succeeded

    def overdue(self, now: datetime) -> bool:
        """Whether it should be gone and is not: its node does not answer."""
        return not self.terminal and self.gone_by is not None and now > self.gone_by + PATIENCE

    def lingers(self, now: datetime) -> bool:
        """Whether it may still be at work."""
        return not self.terminal and not self.overdue(now)

    @classmethod
    def of(cls, value: Object) -> Pod:
        """The view of a pod."""
        metadata, status = value["metadata"], value.get("status") or {}
        notes = metadata.get("labels") or {}
        state = _state(status)
        ended = state.get("terminated") or {}
        conditions = _conditions(value)
        terminal = bool(ended) or status.get("phase") in ("Succeeded", "Failed")
        changes = [time_of(c.get("lastTransitionTime")) for c in conditions.values()]
        return cls(
            name=metadata["name"],
            uid=metadata["uid"],
            owner=owner_of(value).get("uid", ""),
            resource=notes.get(labels.UID, ""),
            revision=_number(notes.get(labels.REVISION)),
            stage=notes.get(labels.STAGE, ""),
            attempt=_number(notes.get(labels.ATTEMPT)),
            gpus=_number(notes.get(labels.GPUS)),
            master=notes.get(REPLICA_TYPE) == "master",
            index=_number(notes.get(REPLICA_INDEX) or notes.get(COMPLETION_INDEX)),
            terminal=terminal,
            started=time_of(
                status.get("startTime")
                or ended.get("startedAt")
                or (state.get("running") or {}).get("startedAt")
            ),
            finished=time_of(ended.get("finishedAt")) if terminal else None,
            estimated=ended.get("reason") == _UNOBSERVED,
            last_seen=max((change for change in changes if change), default=None),
            ip=status.get("podIP"),
            exit_code=_exit_code(ended, status) if terminal else None,
            reason=str(status.get("reason") or ended.get("reason") or ""),
            message=_message(status, ended, conditions.get("DisruptionTarget", {})),
            waiting="" if terminal else _waiting(state, conditions),
            outcome=outcome.read(ended.get("message")),
            by_node=status.get("reason") in _BY_NODE
            or conditions.get("DisruptionTarget", {}).get("status") == "True"
            or (terminal and not ended),
            gone_by=time_of(metadata.get("deletionTimestamp")),
        )


@lru_cache(maxsize=1024)
def _run_of(text: str) -> contract.Run:
    """A run is immutable and looked at often; to read it takes milliseconds."""
    return _RUN.validate_python(yaml.safe_load(text))


def owner_of(value: Object) -> dict[str, Any]:
    """The controller's entry of an object's ownerReferences; empty if it has none."""
    owners = value["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def time_of(text: Any) -> datetime | None:
    """The time of an RFC 3339 string, in UTC, or None if it is none."""
    return _time_of(text) if isinstance(text, str) else None


@lru_cache(maxsize=4096)
def _time_of(text: str) -> datetime | None:
    """The same few times are read at every look."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


@lru_cache(maxsize=4096)
def text_of(time: datetime) -> str:
    """A time as status holds it: RFC 3339, UTC, whole seconds."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _number(text: Any) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else 0


def _conditions(value: Object) -> dict[str, dict[str, Any]]:
    conditions = (value.get("status") or {}).get("conditions") or []
    return {str(c.get("type")): c for c in conditions}


def _state(status: Mapping[str, Any]) -> dict[str, Any]:
    """The state of the container that does the work."""
    for container in status.get("containerStatuses") or []:
        if container.get("name") in CONTAINERS:
            return container.get("state") or {}
    return {}


def _waiting(state: Mapping[str, Any], conditions: Mapping[str, dict[str, Any]]) -> str:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"{scheduled.get('reason')}: {scheduled.get('message')}"
    waiting = state.get("waiting") or {}
    return ": ".join(str(waiting[part]) for part in ("reason", "message") if waiting.get(part))


def _message(
    status: Mapping[str, Any], ended: Mapping[str, Any], disruption: Mapping[str, Any]
) -> str:
    """What the node says in words; a program's own termination message is no part of it."""
    said = status.get("message") or disruption.get("message")
    if not said and ended.get("reason") in START_ERRORS:
        said = ended.get("message")
    return str(said or "")[:_LONGEST_MESSAGE]


def _exit_code(ended: Mapping[str, Any], status: Mapping[str, Any]) -> int | None:
    code = ended.get("exitCode")
    if isinstance(code, int):
        return code
    return 0 if status.get("phase") == "Succeeded" else None
