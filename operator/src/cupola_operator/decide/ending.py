"""How an attempt ended, from what its pods said and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cupola_api.common import Attempt
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind
from cupola_operator.children import Job, Pod
from cupola_operator.decide.stage import Stage

SUCCEEDED, FAILED, LOST = "Succeeded", "Failed", "Lost"
STOPPED, DISRUPTED = "Stopped", "Disrupted"
"""Reasons of attempts that were ended from outside, in good order."""

MAX_UIDS = 64
"""Pods of an attempt that status remembers."""

_SIGTERM = 143


@dataclass(frozen=True)
class Ending:
    """The end of an attempt."""

    outcome: str
    """Succeeded; Failed: its program's doing; Lost: the cluster's."""
    reason: str
    message: str
    final: bool = False
    """Whether another attempt would end in the same way: the user's move, or the data's."""
    result: Outcome | None = None
    """What the pod said that ended it well."""
    saved: bool = False
    """Whether it made a checkpoint as its last act."""


def ending(
    stage: Stage, attempt: Attempt, job: Job | None, pods: Sequence[Pod], now: datetime
) -> Ending | None:
    """How the attempt ended, or None if it did not.

    A gang ends with the first pod that fails, and with its rank 0; so it does when one of the pods
    first seen in it is missing or another one, because the training operator makes a missing pod
    again, alone, and the others wait for it in vain. A Job ends as its conditions say; a pod of it
    that failed by the user's or the data's fault ends it at once.
    """
    speakers = [pod for pod in pods if pod.succeeded and (pod.master or not stage.gang)]
    for pod in speakers:
        if pod.outcome and stage.done(pod.outcome):
            return Ending(SUCCEEDED, "Completed", pod.outcome.message, result=pod.outcome)
    failed = [_failure(pod) for pod in pods if pod.failed]
    worst = min(failed, key=_rank, default=None)
    if worst and (worst.final or stage.gang):
        return worst
    if job is None:
        return _lost(f"{attempt.name} is gone")
    if stage.gang:
        return _unanswered(speakers) or _broken(attempt, job, pods, now)
    if job.complete and stage.silent:
        return Ending(SUCCEEDED, "Completed", "")
    if job.complete or job.failed:
        end = worst if job.failed else _unanswered(speakers)
        return end or _lost(f"Job {attempt.name} ended, and no pod is left to say how")
    return None


def _unanswered(speakers: Sequence[Pod]) -> Ending | None:
    """The end of an attempt whose pods ended well by exit code, and did not say what came of it."""
    if not speakers:
        return None
    return Ending(
        FAILED,
        "NoResult",
        f"pod {speakers[0].name} ended with exit code 0 and did not say with what result; its log "
        "may tell",
    )


def _broken(attempt: Attempt, job: Job, pods: Sequence[Pod], now: datetime) -> Ending | None:
    """The end of a gang of which pods are missing, new, or on a node that does not answer."""
    for pod in pods:
        if pod.overdue(now):
            return _lost(f"pod {pod.name} should be gone and is not; its node does not answer")
    if job.failed or job.complete:
        return _lost(f"PyTorchJob {attempt.name} ended, and no pod is left to say how")
    here = {pod.uid for pod in pods[:MAX_UIDS]}
    if attempt.pods and here != set(attempt.pods):
        return _lost(
            f"{len(set(attempt.pods) - here)} of the {len(attempt.pods)} pods of {attempt.name} "
            "are gone, and the others cannot go on without them"
        )
    return None


def _lost(message: str) -> Ending:
    return Ending(LOST, "PodsLost", message)


def _failure(pod: Pod) -> Ending:
    """The end that a failed pod stands for."""
    said = pod.outcome
    if said and said.outcome is OutcomeKind.FAILED:
        cause = said.failure or FailureClass.UNKNOWN
        if cause in (FailureClass.USER, FailureClass.DATA):
            return Ending(FAILED, said.reason, said.message, final=True)
        if pod.by_node:
            return Ending(LOST, DISRUPTED, f"pod {pod.name} was ended by its node: {said.message}")
        kind = LOST if cause is FailureClass.INFRASTRUCTURE else FAILED
        return Ending(kind, said.reason, said.message)
    if pod.by_node:
        saved = bool(said and said.step is not None)
        why = pod.reason or "its node went away"
        return Ending(LOST, DISRUPTED, f"pod {pod.name} was ended by its node: {why}", saved=saved)
    if said or pod.exit_code == _SIGTERM:
        message = said.message if said else ""
        return Ending(
            LOST,
            STOPPED,
            message or f"pod {pod.name} was asked to stop (SIGTERM)",
            saved=bool(said and said.step is not None),
        )
    if pod.reason == "OOMKilled":
        return Ending(
            FAILED, "OOMKilled", f"pod {pod.name} was killed because it ran out of memory"
        )
    return Ending(
        FAILED,
        "NoMessage",
        f"pod {pod.name} ended with exit code {pod.exit_code} and did not say why; its log may tell",
    )


def _rank(end: Ending) -> int:
    """Which of several failed pods is to blame: the others mostly failed because it did."""
    if end.final:
        return 0
    if end.reason in ("OutOfMemory", "OOMKilled"):
        return 1
    if end.reason == DISRUPTED:
        return 2
    if end.reason == STOPPED:
        return 5
    return 4 if end.reason == "NoMessage" else 3
