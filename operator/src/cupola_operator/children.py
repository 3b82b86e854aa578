"""The children of a resource as values: resolved runs, Jobs and PyTorchJobs, pods.

Whatever a pod or a person can write in an object is untrusted: it is typed or left out, and never
raises.
"""

from __future__ import annotations

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
from cupola_operator import labels, podstate
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.settings import Pool, Storage

DIGEST = f"{GROUP}/digest"
"""Annotation of a run's ConfigMap: the digest of the run."""

PLACEMENT = f"{GROUP}/placement"
"""Annotation of a run's ConfigMap: its `Placement` as JSON."""

RUN_FILE = "run.yaml"
"""Key of the run in its ConfigMap, and the file's name in a pod."""

_UNOBSERVED = "ContainerStatusUnknown"
"""What a kubelet calls a container whose end it did not see."""

REPLICA_TYPE = "training.kubeflow.org/replica-type"
REPLICA_INDEX = "training.kubeflow.org/replica-index"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"

PATIENCE = timedelta(seconds=60)
"""How long a deleted pod may overrun its grace before it is given up, with the node it is on."""

_BY_NODE = {"NodeLost", "NodeAffinity", "Evicted", "Preempting", "Shutdown", "Terminated"}
"""Reasons of a pod's status by which its node, not its program, ended it."""

_RUN: TypeAdapter[contract.Run] = TypeAdapter(contract.Run)


class Placement(Model):
    """Where a run computes and what that costs, as decided when the run was resolved."""

    pool: Pool = Field(description="The pool, with the price that the run pays to its end.")
    others: list[Pool] = Field(
        default_factory=list,
        description="Pools to go to, in this order, when that one has no room.",
    )
    currency: str = Field(description="ISO 4217 code of the price.")
    image: str = Field(description="Image of its pods.")
    image_pull_secrets: list[str] = Field(
        default_factory=list, description="Secrets for the registry of the image."
    )
    storage: Storage = Field(default_factory=Storage, description="How its pods reach s3://.")
    queue: str | None = Field(None, description="LocalQueue of Kueue, unless the spec names one.")

    def on(self, name: str | None) -> Placement:
        """The same on another of its pools, the next ones after it; unchanged if it has none so named."""
        names = [pool.name for pool in self.others]
        if name not in names:
            return self
        at, pools = names.index(name), [self.pool, *self.others]
        return self.model_copy(
            update={"pool": self.others[at], "others": pools[at + 2 :] + pools[: at + 1]}
        )


@dataclass(frozen=True)
class Resolved:
    """A run as it was resolved, read back from its ConfigMap."""

    name: str
    digest: str
    run: contract.Run
    placement: Placement
    made: datetime | None = None
    """When it was resolved: later prices of the settings count for it."""

    @classmethod
    def of(cls, value: Object) -> Resolved | None:
        """The run that a ConfigMap holds, or None if it holds none that can be read."""
        try:
            notes = value["metadata"]["annotations"]
            return cls(
                name=value["metadata"]["name"],
                digest=notes[DIGEST],
                run=_run_of(value["data"][RUN_FILE]),
                placement=_placement_of(notes[PLACEMENT]),
                made=time_of(value["metadata"].get("creationTimestamp")),
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
    pool: str | None = None
    queue: str = ""
    """The LocalQueue of Kueue that admits it; empty if none does."""
    suspended: bool = False
    """Whether it is not admitted, or not any more: it has no pods, or they are ending."""
    made: datetime | None = None
    """When it was made: from then on it waits for devices."""
    since: datetime | None = None
    """When its controller took it up, or was let to; before that, when it was made. None while it
    is suspended, as the controller last said."""

    @property
    def held(self) -> bool:
        """Whether Kueue alone keeps it from having pods."""
        return self.suspended and not (self.deleting or self.complete or self.failed)

    @classmethod
    def of(cls, value: Object) -> Job:
        """The view of a Job or PyTorchJob."""
        notes = value["metadata"].get("labels") or {}
        spec = value.get("spec") or {}
        true = {kind for kind, c in podstate.conditions(value).items() if c.get("status") == "True"}
        return cls(
            key=key_of(value),
            uid=value["metadata"]["uid"],
            revision=_number(notes.get(labels.REVISION)),
            stage=notes.get(labels.STAGE, ""),
            attempt=_number(notes.get(labels.ATTEMPT)),
            complete=bool(true & {"Complete", "Succeeded"}),
            failed="Failed" in true,
            deleting=bool(value["metadata"].get("deletionTimestamp")),
            pool=notes.get(labels.POOL),
            queue=notes.get(labels.QUEUE, ""),
            suspended=bool((spec.get("runPolicy") or spec).get("suspend")),
            made=time_of(value["metadata"].get("creationTimestamp")),
            since=None if "Suspended" in true else _since(value),
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
    node: str = ""
    """The node that it is on; empty before it has one."""
    spot: bool | None = None
    """Whether that node can be taken away and costs the spot price; None where nobody looked."""
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
    pool: str | None = None
    waiting: str = ""
    """What keeps it from starting, if anything does."""
    obstacle: str = ""
    """The same as one word, if a person has to put it right."""
    since: datetime | None = None
    """Since when that keeps it from starting, or may do so."""
    unmet: bool = False
    """Whether it ended before its program began, as it waited for another pod in vain."""
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
        state = podstate.state(status)
        ended = state.get("terminated") or {}
        conditions = podstate.conditions(value)
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
            node=str((value.get("spec") or {}).get("nodeName") or ""),
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
            exit_code=podstate.exit_code(ended, status) if terminal else None,
            reason=str(status.get("reason") or ended.get("reason") or ""),
            message=podstate.message(status, ended, conditions.get("DisruptionTarget", {})),
            pool=notes.get(labels.POOL),
            waiting="" if terminal else podstate.waiting(status, conditions),
            obstacle="" if terminal else podstate.obstacle(status, conditions),
            since=time_of(conditions.get("PodScheduled", {}).get("lastTransitionTime")),
            unmet=terminal and not ended and podstate.failed_before(status),
            outcome=outcome.read(ended.get("message")),
            by_node=status.get("reason") in _BY_NODE
            or conditions.get("DisruptionTarget", {}).get("status") == "True"
            or (terminal and not ended and not podstate.failed_before(status)),
            gone_by=time_of(metadata.get("deletionTimestamp")),
        )


@lru_cache(maxsize=1024)
def _placement_of(text: str) -> Placement:
    return Placement.model_validate_json(text)


@lru_cache(maxsize=1024)
def _run_of(text: str) -> contract.Run:
    """A run is immutable and looked at often; to read it takes milliseconds."""
    return _RUN.validate_python(yaml.safe_load(text))


def owner_of(value: Object) -> dict[str, Any]:
    """The controller's entry of an object's ownerReferences; empty if it has none."""
    owners: list[dict[str, Any]] = value["metadata"].get("ownerReferences") or []
    for owner in owners:
        if owner.get("controller"):
            return owner
    return {}


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


def _since(job: Object) -> datetime | None:
    """When the controller of a Job could begin with it."""
    resumed = podstate.conditions(job).get("Suspended", {}).get("lastTransitionTime")
    started = (job.get("status") or {}).get("startTime")
    times = [time_of(text) for text in (resumed, started)]
    last = max((time for time in times if time), default=None)
    return last or time_of(job["metadata"].get("creationTimestamp"))


def _number(text: Any) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else 0
