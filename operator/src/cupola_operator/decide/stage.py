"""A stage of a run: what is tried, in attempts, until it is done. A run has one or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cupola_api.common import Attempt
from cupola_api.outcome import Outcome
from cupola_operator.children import Job, Pod, Resolved
from cupola_operator.cluster import Object
from cupola_operator.cost.intervals import MAX_PODS
from cupola_operator.world import World


@dataclass(frozen=True)
class Stage:
    """What the attempts of a stage have in common."""

    label: str
    """The label `cupola.dev/stage` of its Jobs and pods."""
    reason: str
    """Reason of the resource's conditions while it runs."""
    resolved: Resolved
    make: Callable[[int], Object]
    """The Job or PyTorchJob of an attempt, by number."""
    done: Callable[[Outcome], bool]
    """Whether what a pod said ends the stage well."""
    devices: int
    """Devices that an attempt holds at most."""
    parts: int = 1
    """Pods that a Job needs in all."""
    gang: int | None = None
    """Pods of a PyTorchJob, which start and end together. None: a Job, whose pods come and go."""
    checkpoints: bool = False
    """Whether an attempt goes on from the checkpoints of earlier ones."""
    repeat: bool = False
    """Whether its success came to nothing, so that another attempt must follow it."""
    silent: bool = False
    """Whether the Job's completion ends it well too, without a word."""
    recorded: str | None = None
    """The name in status.attempts; None where a run has one stage only."""

    def attempts(self, world: World) -> list[Attempt]:
        """Its attempts so far, oldest first."""
        return [a for a in world.status.attempts if a.stage == self.recorded]

    def job(self, world: World, number: int) -> Job | None:
        """The Job or PyTorchJob of an attempt, if it is there."""
        for job in world.jobs:
            if (job.attempt, job.stage, job.revision) == (number, self.label, world.revision):
                return job
        return None

    def jobs(self, world: World) -> list[Job]:
        """Those of all its attempts that are there, oldest first."""
        revision = world.revision
        mine = [j for j in world.jobs if j.revision == revision and j.stage == self.label]
        return sorted(mine, key=lambda job: job.attempt)

    def ends_by_itself(self, attempt: Attempt, pods: Sequence[Pod], now: datetime) -> bool:
        """Whether the controller of the Job ends what is left of it, and keeps the pods that ended.

        It does so for a Job of one pod and for a gang, once a pod has ended. But a pod of a gang
        that was deleted is made again, and that one would wait for the others for long.
        """
        if not any(pod.terminal for pod in pods):
            return False
        if self.gang is None:
            return self.parts == 1
        first = {time.uid for time in attempt.pods[: self.gang]}
        return all(pod.uid in first for pod in pods if pod.lingers(now)) or (
            len(attempt.pods) == MAX_PODS
        )

    def pods(self, world: World, attempt: Attempt) -> list[Pod]:
        """The pods of an attempt, rank 0 first; also those whose Job is gone."""
        job = self.job(world, attempt.number)
        if job:
            mine = [pod for pod in world.pods if pod.owner == job.uid]
        else:
            ours = (world.uid, world.revision, self.label, attempt.number)
            mine = [p for p in world.pods if (p.resource, p.revision, p.stage, p.attempt) == ours]
        return sorted(mine, key=lambda pod: (not pod.master, pod.index, pod.name))
