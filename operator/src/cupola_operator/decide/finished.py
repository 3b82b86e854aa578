"""Policies: a run that ended stays as it ended."""

from __future__ import annotations

from cupola_api.common import Phase, Status
from cupola_api.evaluation import Evaluation, EvaluationStatus
from cupola_api.quantities import seconds
from cupola_operator.children import time_of
from cupola_operator.decide import thresholds
from cupola_operator.decide.verdict import SOON, Delete, Verdict, stalled
from cupola_operator.resources import refers_to
from cupola_operator.world import World


def run(world: World) -> Verdict | None:
    """A run that Succeeded or Failed does not run again until spec.revision is raised.

    If something that it was made from has another artifact now, the condition Outdated is True
    with reason UpstreamChanged. What runs all the same is deleted. So are its PyTorchJobs and Jobs,
    with their pods and logs, when keepFinished of the installation's settings is over; they are not
    made again. Status stays.
    """
    status = world.status
    if status.phase not in (Phase.SUCCEEDED, Phase.FAILED):
        return None
    ready = status.condition("Ready")
    left, kept = _left_running(world), _kept(world)
    if not left and kept is not None and kept <= 0:
        left = tuple(Delete(job.key, job.uid) for job in world.jobs if not job.deleting)
    return Verdict(
        status.phase,
        ready.reason if ready else status.phase.value,
        ready.message if ready else "",
        actions=left,
        again=SOON if left else kept,
        outdated=changed_upstream(world),
    )


def evaluation(world: World) -> Verdict | None:
    """A finished Evaluation is judged anew by its thresholds, which may change at any time.

    Its measured scores stay as they are; one that could not be measured stays Failed.
    """
    verdict = run(world)
    if verdict is None or world.status.artifact is None:
        return verdict
    judged = measured(world, world.status_as(EvaluationStatus))
    return judged._replace(actions=verdict.actions, again=verdict.again)


def succeeded(world: World, status: Status) -> Verdict:
    """A run has its artifact: phase Succeeded, reason Completed.

    Stalled with ArtifactLost if somebody took the artifact out of status.
    """
    if status.artifact is None:
        return stalled("ArtifactLost", "status names no artifact any more; raise spec.revision")
    return Verdict(
        Phase.SUCCEEDED,
        "Completed",
        f"revision {world.revision} is finished; its artifact is {status.artifact.uri}",
        status=status,
        outdated=changed_upstream(world.with_status(status)),
    )


def measured(world: World, status: EvaluationStatus) -> Verdict:
    """An Evaluation has its scores: Succeeded, or Failed with ThresholdMissed and which."""
    spec = world.resource_as(Evaluation).spec
    missed = thresholds.missed(spec.thresholds, status.scores)
    verdict = succeeded(world, status.model_copy(update={"failed_thresholds": missed}))
    if not missed or verdict.phase is not Phase.SUCCEEDED:
        return verdict
    return verdict._replace(phase=Phase.FAILED, reason="ThresholdMissed", message="; ".join(missed))


def changed_upstream(world: World) -> str:
    """What the run was made from and is another now, in a sentence; empty if nothing is."""
    if world.resource is None:
        return ""
    read = {(entry.kind, entry.name): entry.digest for entry in world.status.lineage}
    changed = []
    for key in refers_to(world.resource):
        artifact = world.references[key].status.artifact
        if artifact and read.get((key.kind, key.name), artifact.digest) != artifact.digest:
            changed.append(f"{key.kind} {key.name}")
    if not changed:
        return ""
    return (
        f"{' and '.join(changed)} changed since revision {world.revision} read it; raise "
        "spec.revision to run again"
    )


def _kept(world: World) -> float | None:
    """Seconds for which the children of a run that ended stay; None: there are none, or they stay."""
    keep = world.settings.keep_finished
    ended = world.status.condition(world.status.phase.value)
    since = time_of(ended.last_transition_time) if ended else None
    if keep is None or since is None or all(job.deleting for job in world.jobs):
        return None
    return seconds(keep) - (world.now - since).total_seconds()


def _left_running(world: World) -> tuple[Delete, ...]:
    """Children with live pods: nothing ran when the run ended, so somebody made it run again."""
    owners = {pod.owner for pod in world.pods if pod.lingers(world.now)}
    return tuple(
        Delete(job.key, job.uid) for job in world.jobs if job.uid in owners and not job.deleting
    )
