"""A pod as it truly is, and its gang; the object in the cluster is what its kubelet last said of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from cupola_api.outcome import Timing
from cupola_operator import labels
from cupola_operator.children import COMPLETION_INDEX, REPLICA_INDEX, REPLICA_TYPE
from cupola_operator.cluster import Key, Object

NODES = 2
SAVING = 5
"""Seconds that a pod may take to stop, when all goes well."""


@dataclass(eq=False)
class Run:
    """A pod as it truly is. Times are seconds of the simulation."""

    uid: str
    key: Key
    resource: str
    """uid of the resource whose attempt it is."""
    name: str
    """Its name."""
    job: str
    revision: int
    stage: str
    attempt: int
    gpus: int
    index: int
    master: bool
    node: int
    size: int
    """Pods of its gang; 0 of a Job."""
    digest: str = ""
    folder: str = ""
    taken: float | None = None
    """When its node took it, and with it the devices."""
    begun: float | None = None
    over: float | None = None
    silent: Object | None = None
    """What its node would say of its end, if it could."""
    said: str = ""
    """Its termination message."""
    worked: float | None = None
    """When it began with its work, as it said."""
    asked: float | None = None
    """When its deletion was asked for."""

    @classmethod
    def of(cls, key: Key, pod: Object, job: Object | None) -> Run:
        """A new pod, of a job that may be gone already."""
        metadata = pod["metadata"]
        notes = metadata["labels"]
        replicas = job["spec"].get("pytorchReplicaSpecs", {}) if job else {}
        index = int(notes.get(REPLICA_INDEX) or notes.get(COMPLETION_INDEX))
        master = notes.get(REPLICA_TYPE) == "master"
        return cls(
            uid=metadata["uid"],
            key=key,
            resource=notes.get(labels.UID, "") if job else "",
            name=notes.get(labels.NAME, ""),
            job=metadata["ownerReferences"][0]["uid"],
            revision=int(notes.get(labels.REVISION, 0)),
            stage=notes.get(labels.STAGE, ""),
            attempt=int(notes.get(labels.ATTEMPT, 0)),
            gpus=int(notes.get(labels.GPUS, 0)),
            index=index,
            master=master,
            node=(index if master or not replicas else index + 1) % NODES,
            size=sum(one["replicas"] for one in replicas.values()),
        )

    @property
    def alive(self) -> bool:
        """Whether its program runs."""
        return self.begun is not None and self.over is None

    @property
    def stops(self) -> float:
        """When it will have stopped, if its deletion was asked for: most take a while."""
        return (self.asked or 0.0) + SAVING * (int(self.uid[:8], 16) % 4 > 0)

    def begins_work(self) -> None:
        """It says when it began with its work, alone; some lie, and some say nothing."""
        kind = int(self.uid[:8], 16) % 8
        if self.begun is not None and kind > 1:
            self.worked = self.begun + (-9, 9_999, 0, 1, 2, 3)[kind - 2]

    @property
    def identity(self) -> tuple[str, int, str, int, str]:
        return self.resource, self.revision, self.stage, self.attempt, self.job


@dataclass(eq=False)
class Gang:
    """The ranks of a training."""

    members: list[Run] = field(default_factory=list)
    formed: bool = False
    step: int = 0
    weights: str = ""
    resumed: int = 0
    saved: tuple[int, float] | None = None
    first: float | None = None
    """When its first step began."""
    waited: float = 0.0
    """Seconds that steps waited for checkpoints."""
    validated: float = 0.0
    """Seconds of validation."""
    kept: float = 0.0
    """Those before its newest checkpoint."""

    def timing(self, clock: float, *, finished: bool = False) -> Timing:
        """What its rank 0 says of its time; `clock`: Unix time of its node at second 0."""
        return Timing(
            first_step_at=None if self.first is None else clock + self.first,
            checkpoint_seconds=self.waited,
            evaluation_seconds=self.validated if finished else self.kept,
        )

    @property
    def whole(self) -> bool:
        """Whether it can go on."""
        return self.formed and all(run.alive for run in self.members)
