"""What status records of the attempts of a stage: their pods' times, their ends, their money."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cupola_api import metrics
from cupola_api.common import Attempt, Status
from cupola_api.outcome import Resumed
from cupola_operator.children import Pod, text_of, time_of
from cupola_operator.cost import ledger
from cupola_operator.decide import hold, timing
from cupola_operator.decide.ending import (
    PODS_LOST,
    STOPPED,
    SUCCEEDED,
    Ending,
    ending,
    recorded,
    truer,
)
from cupola_operator.decide.progress import counted
from cupola_operator.decide.stage import Stage
from cupola_operator.world import World

MAX_ENTRIES = 64
"""Attempts that status holds; the oldest are added up."""


def settled(world: World, stage: Stage) -> tuple[Status, Ending | None]:
    """Status with what is seen of the newest attempt, and its end if that is seen now."""
    attempts = stage.attempts(world)
    last = attempts[-1] if attempts else None
    if last is None or last.outcome is not None:
        last = _begun(world, stage, last.number if last else 0) or last
    if last is None:
        return world.status, None
    pods = stage.pods(world, last)
    if _is_final(last, pods):
        return world.status, None
    last = _readmitted(world, stage, last, pods)
    old = recorded(last)
    if old and not pods:
        return _gone(world.status, last), None
    end = _named(world, stage, ending(stage, last, stage.job(world, last.number), pods, world.now))
    if old:
        end = truer(old, end)
    origin = timing.resumed(world, stage, pods)
    seen = last.model_copy(
        update={
            "queued_at": last.queued_at or _made(world, stage, last),
            "told": timing.heard(world, stage, last, pods),
            "checkpoint_step": _checkpoint_step(world, stage, last, pods),
            **_resumed(origin),
            "outcome": end.outcome if end else None,
            "reason": end.reason if end else None,
            "message": end.message[:512] if end and end.message else None,
            "failure": end.cause if end else None,
        }
    )
    charged = _charged(world, stage, seen, pods, _checkpoint_time(world, stage, pods, end))
    entries = {(a.stage, a.number): a for a in world.status.attempts}
    entries[charged.stage, charged.number] = charged
    for known in attempts:
        if known.number < charged.number:
            entries[known.stage, known.number] = _earlier(
                world, stage, known, newest=charged.number, origin=origin, attempts=attempts
            )
    return world.status.model_copy(update={"attempts": bounded([*entries.values()])}), end


def _is_final(attempt: Attempt, pods: Sequence[Pod]) -> bool:
    """Whether nothing that is seen of an attempt can change what is recorded of it any more.

    It succeeded, and the end of each of its pods was observed.
    """
    ended = {time.uid for time in attempt.pods if time.outcome and not time.estimated}
    return (
        attempt.outcome == SUCCEEDED
        and len(ended) == len(attempt.pods)
        and all(pod.uid in ended for pod in pods)
    )


def _readmitted(world: World, stage: Stage, attempt: Attempt, pods: Sequence[Pod]) -> Attempt:
    """The attempt, whose gang Kueue evicted, without the pods that it had: others take their place.

    All of them are gone. Where only some are, the gang is broken as any other.
    """
    job = stage.job(world, attempt.number)
    if attempt.outcome or not attempt.pods or not stage.gang or job is None or not job.queue:
        return attempt
    known = {time.uid for time in attempt.pods}
    if any(pod.uid in known for pod in pods) or job.complete or job.failed or job.deleting:
        return attempt
    return ledger.evicted(attempt)


def _gone(status: Status, last: Attempt) -> Status:
    """Status when nothing is left of the newest attempt: a pod whose end was not seen is a guess."""
    if last.estimated or all(time.outcome for time in last.pods):
        return status
    guess = last.model_copy(update={"estimated": True})
    attempts = [guess if attempt is last else attempt for attempt in status.attempts]
    return status.model_copy(update={"attempts": attempts})


def _begun(world: World, stage: Stage, after: int) -> Attempt | None:
    """An attempt that status does not hold yet: its Job is there, or pods that outlived the Job."""
    for job in stage.jobs(world):
        if job.attempt > after:
            return Attempt(
                number=job.attempt, name=job.key.name, stage=stage.recorded, pool=job.pool
            )
    for pod in world.pods:
        ours = (pod.resource, pod.revision, pod.stage) == (world.uid, world.revision, stage.label)
        if ours and pod.attempt == after + 1:
            name = str(stage.make(pod.attempt)["metadata"]["name"])
            return Attempt(number=pod.attempt, name=name, stage=stage.recorded, pool=pod.pool)
    return None


def _made(world: World, stage: Stage, attempt: Attempt) -> str | None:
    """When the Job of an attempt was made, if it is there."""
    job = stage.job(world, attempt.number)
    return text_of(job.made) if job and job.made else None


def _charged(
    world: World, stage: Stage, attempt: Attempt, pods: Sequence[Pod], checkpoint: datetime | None
) -> Attempt:
    return ledger.charge(
        attempt,
        pods,
        now=world.now,
        placement=stage.resolved.placement,
        gang=stage.gang,
        checkpoint=checkpoint,
    )


def _earlier(
    world: World,
    stage: Stage,
    attempt: Attempt,
    *,
    newest: int,
    origin: Resumed | None,
    attempts: Sequence[Attempt],
) -> Attempt:
    """An earlier attempt beside the newest one: of all but the last its pods' times are folded.

    Where the newest one goes on from is the truth about the one before it: that may have been lost
    before its last checkpoint was heard of, or the checkpoint may be damaged.
    """
    if attempt.number < newest - 1:
        return attempt.model_copy(update={"pods": []})
    known = max((a.checkpoint_step or 0 for a in attempts if a.number < newest), default=0)
    if origin is None or origin.step == known or attempt.outcome == SUCCEEDED:
        return attempt
    if origin.step and not origin.saved_at:
        return attempt
    seconds = min(origin.saved_at, world.now.timestamp())
    time = datetime.fromtimestamp(seconds, UTC) if origin.step else None
    told = attempt.model_copy(update={"checkpoint_step": origin.step or None})
    return _charged(world, stage, told, (), time)


def _named(world: World, stage: Stage, end: Ending | None) -> Ending | None:
    """The end of an attempt; of one that Cupola stopped because the run was held, with that reason.

    Pods that are deleted may be gone before anybody saw how they ended. That they were to stop is in
    status; if not, because the operator died before it wrote that, it is still so.
    """
    if end is None or not (end.outcome == STOPPED or end.reason == PODS_LOST):
        return end
    ready = world.status.condition("Ready")
    reason = ready.reason if ready else ""
    if reason not in hold.STOPPED:
        held = hold.of(world, stage.resolved.placement, stage.devices)
        if held is None:
            return end
        reason = held.reason
    message = hold.STOPPED[reason]
    return end._replace(outcome=STOPPED, reason=reason, message=message, cause=None)


def bounded(attempts: Sequence[Attempt]) -> list[Attempt]:
    """At most `MAX_ENTRIES` attempts: the oldest two of a stage that came to nothing become one."""
    kept = list(attempts)
    while len(kept) > MAX_ENTRIES:
        pairs = zip(range(len(kept)), kept, kept[1:], strict=False)
        first = next(
            i for i, a, b in pairs if a.stage == b.stage and b.outcome not in (None, SUCCEEDED)
        )
        kept[first : first + 2] = [ledger.added(kept[first], kept[first + 1])]
    return kept


def _resumed(origin: Resumed | None) -> dict[str, int | None]:
    """What status holds of where an attempt went on from, if it says it now."""
    return (
        {"resumed_step": origin.step, "passed_over": origin.passed_over or None} if origin else {}
    )


def _checkpoint_step(
    world: World, stage: Stage, attempt: Attempt, pods: Sequence[Pod]
) -> int | None:
    """Step of the newest checkpoint that is known of."""
    if not stage.checkpoints:
        return None
    steps = [pod.outcome.step for pod in pods if pod.outcome]
    if any(pod.running for pod in pods):
        steps.append(counted(world.metrics, metrics.CHECKPOINT_STEP))
    known = [step for step in [*steps, attempt.checkpoint_step] if step is not None]
    return max(known, default=None)


def _checkpoint_time(
    world: World, stage: Stage, pods: Sequence[Pod], end: Ending | None
) -> datetime | None:
    """When the newest checkpoint of the run was complete, as far as is known."""
    if not stage.checkpoints:
        return None
    if end and end.saved:
        return max((pod.finished for pod in pods if pod.finished), default=world.now)
    progress = world.status.progress
    return time_of(progress.checkpoint_time) if progress else None
