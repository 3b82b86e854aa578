"""How an attempt ended, from what its pods said and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from cupola_api.common import Attempt, FailureClass
from cupola_api.outcome import Outcome
from cupola_operator.children import Job, Pod
from cupola_operator.decide import failure, obstacles
from cupola_operator.decide.failure import Failure
from cupola_operator.decide.stage import Stage
from cupola_operator.podstate import UNSCHEDULABLE

SUCCEEDED, FAILED, LOST, STOPPED = "Succeeded", "Failed", "Lost", "Stopped"
"""Outcomes: Failed is its program's doing, Lost the cluster's; Stopped, in good order, from outside."""

PODS_LOST = "PodsLost"


class Ending(NamedTuple):
    """The end of an attempt."""

    outcome: str
    reason: str
    message: str
    cause: FailureClass | None = None
    """Whose move it is, if it Failed or was Lost."""
    result: Outcome | None = None
    """What the pod said that ended it well."""
    saved: bool = False
    """Whether it made a checkpoint as its last act."""


def ending(
    stage: Stage, attempt: Attempt, job: Job | None, pods: Sequence[Pod], now: datetime
) -> Ending | None:
    """How the attempt ended, or None if it did not.

    A gang ends with the first pod that fails, and with its rank 0; so it does when one of its pods
    is missing or another one, because the training operator makes a missing pod again, alone, and
    the others wait for it in vain. A Job ends as its conditions say; a pod of it that failed by the
    user's or the data's fault ends it at once. An attempt whose Job was deleted ends with its last
    pod, which may still say how. What Kueue suspends does not end: other pods take the place of
    those that it evicts. What finds no room in its pool ends if there is another pool.
    """
    speakers = [pod for pod in pods if pod.succeeded and (pod.master or not stage.gang)]
    for pod in speakers:
        if pod.outcome and stage.done(pod.outcome):
            return Ending(SUCCEEDED, "Completed", pod.outcome.message, result=pod.outcome)
    if job and job.held:
        return None
    worst = failure.worst(pods)
    if end := _not_started(stage, pods, now) or _of_pods(stage, worst, pods, now):
        return end
    if job is None or job.deleting:
        if any(pod.lingers(now) for pod in pods):
            return None
        return of_failure(worst) if worst else _lost(f"{attempt.name} is gone")
    if stage.gang:
        return _unanswered(speakers) or _broken(attempt, job, pods)
    if job.complete and stage.silent:
        return Ending(SUCCEEDED, "Completed", "")
    if job.complete or job.failed:
        end = of_failure(worst) if worst and job.failed else _unanswered(speakers)
        return end or _lost(f"Job {attempt.name} ended, and no pod is left to say how")
    return None


def _of_pods(
    stage: Stage, worst: Failure | None, pods: Sequence[Pod], now: datetime
) -> Ending | None:
    """The end of an attempt by one of its pods, whatever its Job says."""
    if worst and (stage.gang or worst.cause in (FailureClass.USER, FailureClass.DATA)):
        return of_failure(worst)
    if overdue := next((pod for pod in pods if pod.overdue(now)), None):
        return _lost(f"pod {overdue.name} should be gone and is not; its node does not answer")
    return None


def of_failure(one: Failure) -> Ending:
    """The end of an attempt that one of its pods stands for."""
    if one.cause is None:
        return Ending(STOPPED, one.reason, one.message, saved=one.saved)
    outcome = LOST if one.cause is FailureClass.INFRASTRUCTURE else FAILED
    return Ending(outcome, one.reason, one.message, one.cause)


def recorded(attempt: Attempt) -> Ending | None:
    """The end that status holds of an attempt."""
    if attempt.outcome is None:
        return None
    return Ending(
        attempt.outcome, attempt.reason or "", attempt.message or "", cause=attempt.failure
    )


def truer(old: Ending, new: Ending | None) -> Ending:
    """Of the recorded end of an attempt and what its last pods say, the one that explains the other.

    A gang's end is recorded with the first pod that fails; the one to blame may end after it.
    """
    if new is None or old.outcome == SUCCEEDED:
        return old
    if new.outcome == SUCCEEDED or _blame(new) <= _blame(old):
        return new
    return old


def _blame(end: Ending) -> tuple[int, bool]:
    return failure.blame(Failure(end.cause, end.reason, end.message, end.saved))


def _unanswered(speakers: Sequence[Pod]) -> Ending | None:
    """The end of an attempt whose pods ended well by exit code, and did not say what came of it."""
    if not speakers:
        return None
    return Ending(
        FAILED,
        "NoResult",
        f"pod {speakers[0].name} ended with exit code 0 and did not say with what result; its log "
        "may tell",
        FailureClass.UNKNOWN,
    )


def _broken(attempt: Attempt, job: Job, pods: Sequence[Pod]) -> Ending | None:
    """The end of a gang of which pods are missing or new."""
    if job.failed or job.complete:
        return _lost(f"PyTorchJob {attempt.name} ended, and no pod is left to say how")
    here = {pod.uid for pod in pods}
    gone = [time for time in attempt.pods if time.uid not in here]
    if gone:
        return _lost(
            f"{len(gone)} of the pods of {attempt.name} are gone, and the others cannot go on "
            "without them"
        )
    return None


def _not_started(stage: Stage, pods: Sequence[Pod], now: datetime) -> Ending | None:
    """The end of an attempt that did not find room, or whose pods gave up waiting for one that did not."""
    if reason := obstacles.no_room(stage, pods, now):
        return _lost(reason, UNSCHEDULABLE)
    if missed := obstacles.unmet(pods):
        return _lost(f"pod {missed.name} did not start: {missed.waiting}", missed.obstacle)
    return None


def _lost(message: str, reason: str = PODS_LOST) -> Ending:
    return Ending(LOST, reason, message, FailureClass.INFRASTRUCTURE)
