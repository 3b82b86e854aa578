"""Attempts of a stage: start one, watch it, record how it ended, make the next. Never two at once.

What ended is recorded in status before anything is done about it, so that a crash in between
forgets nothing. An attempt enters status when its Job is seen, not when its creation is asked for.
It is over when none of its pods runs any more: until then they are charged, and the last ones may
still tell better why it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cupola_api import metrics
from cupola_api.common import Attempt, FailureClass, Phase, Status
from cupola_api.control import Recovery
from cupola_api.outcome import Outcome
from cupola_operator.children import Pod, text_of, time_of
from cupola_operator.cluster import Key, key_of
from cupola_operator.cost import ledger
from cupola_operator.decide import hold, retry
from cupola_operator.decide.ending import (
    PODS_LOST,
    STOPPED,
    SUCCEEDED,
    Ending,
    ending,
    recorded,
    truer,
)
from cupola_operator.decide.hold import Hold
from cupola_operator.decide.progress import counted
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import SOON, Create, Delete, Verdict
from cupola_operator.world import World

MAX_ENTRIES = 64
"""Attempts that status holds; the oldest are added up."""


@dataclass(frozen=True)
class Step:
    """How far a stage is: a verdict while it is under way, none when it is done."""

    status: Status
    verdict: Verdict | None
    result: Outcome | None = None
    """What a pod said at its end, if that was seen just now."""


def drive(world: World, stage: Stage) -> Step:
    """The next step of a stage.

    What holds the run (`hold.of`) stops an attempt that runs: its Job is deleted, its pods save
    within their grace. An attempt that ended is over when nothing of it runs any more; a pod that
    should be gone and is on a node that does not answer is waited for until a minute after its
    grace. If it did not succeed, another one follows when `retry.not_before` has passed, unless
    `retry.spent`: then the run has Failed, with the pod's own reason and sentence where that class
    of failure is not retried at all, else with AttemptsExhausted.
    """
    before = {a.number: a.outcome for a in stage.attempts(world)}
    status, end = _settled(world, stage)
    world = replace(world, status=status)
    held = hold.of(world, stage.resolved.placement, stage.devices)
    attempts = stage.attempts(world)
    if not attempts:
        return Step(status, held.verdict() if held else _start(world, stage, attempts))
    last = attempts[-1]
    result = end.result if end else None
    if last.outcome is None:
        return Step(status, _stop(world, stage, last, held) if held else _watch(world, stage, last))
    if last.outcome not in (SUCCEEDED, before.get(last.number)):
        return Step(status, _ended(last, "", again=0), result)
    if verdict := _close(world, stage, last):
        return Step(status, verdict, result)
    if last.outcome == SUCCEEDED:
        return Step(status, None, result)
    return Step(status, _next(world, stage, attempts, held))


def _settled(world: World, stage: Stage) -> tuple[Status, Ending | None]:
    """Status with what is seen of the newest attempt, and its end if that is seen now."""
    attempts = stage.attempts(world)
    last = attempts[-1] if attempts else None
    if last is None or last.outcome is not None:
        number = last.number if last else 0
        job = next((job for job in stage.jobs(world) if job.attempt > number), None)
        if job:
            last = Attempt(number=job.attempt, name=job.key.name, stage=stage.recorded)
    if last is None:
        return world.status, None
    pods = stage.pods(world, last)
    old = recorded(last)
    if old and not pods:
        return world.status, None
    end = _named(world, stage, ending(stage, last, stage.job(world, last.number), pods, world.now))
    if old:
        end = truer(old, end)
    seen = last.model_copy(
        update={
            "checkpoint_step": _checkpoint_step(world, stage, last, pods),
            "resumed_step": _resumed_step(world, stage, last, pods),
            "outcome": end.outcome if end else None,
            "reason": end.reason if end else None,
            "message": end.message[:512] if end and end.message else None,
            "failure": end.cause if end else None,
        }
    )
    charged = ledger.charge(
        seen,
        pods,
        now=world.now,
        placement=stage.resolved.placement,
        gang=stage.gang,
        checkpoint=_checkpoint_time(world, stage, pods, end),
    )
    entries = {(a.stage, a.number): _folded(a, stage) for a in world.status.attempts}
    entries[charged.stage, charged.number] = charged
    return world.status.model_copy(update={"attempts": bounded([*entries.values()])}), end


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
    return replace(end, outcome=STOPPED, reason=reason, message=message, cause=None)


def _folded(attempt: Attempt, stage: Stage) -> Attempt:
    """An attempt that is no longer the newest of its stage: its sums stay, its pods' times go."""
    return attempt.model_copy(update={"pods": []}) if attempt.stage == stage.recorded else attempt


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


def _start(world: World, stage: Stage, before: Sequence[Attempt]) -> Verdict:
    """Create the next attempt, when nothing runs that a resource of this name made before.

    That the last one's Job is gone is read live.
    """
    number = before[-1].number + 1 if before else 1
    phase = Phase.RECOVERING if before else Phase.PENDING
    if other := next((pod for pod in world.pods if pod.lingers(world.now)), None):
        return Verdict(
            phase,
            stage.reason,
            f"attempt {number} starts when pod {other.name}, made before it, has ended",
            again=SOON,
        )
    value = stage.make(number)
    after = (Key(value["kind"], world.key.namespace, before[-1].name),) if before else ()
    return Verdict(
        phase,
        stage.reason,
        f"attempt {number} starts as {key_of(value).name}",
        actions=(Create(value, after),),
        again=SOON,
    )


def _watch(world: World, stage: Stage, attempt: Attempt) -> Verdict:
    """Say how the attempt is; look again when there is news of its progress."""
    pods = stage.pods(world, attempt)
    again = hold.again(world, stage.resolved.placement, stage.devices)
    if any(pod.started for pod in pods):
        message = f"attempt {attempt.number} ({attempt.name}) is running" + (
            f", going on from step {attempt.resumed_step}" if attempt.resumed_step else ""
        )
        return Verdict(Phase.RUNNING, stage.reason, message, again=again)
    obstacle = next((pod.waiting for pod in pods if pod.waiting), "")
    return Verdict(
        Phase.RECOVERING if attempt.number > 1 else Phase.PENDING,
        stage.reason,
        f"attempt {attempt.number} ({attempt.name}) waits for its pods to start"
        + (f": {obstacle}" if obstacle else ""),
        again=again,
    )


def _stop(world: World, stage: Stage, attempt: Attempt, held: Hold) -> Verdict:
    """End an attempt because the run is held: its pods get the grace to save."""
    job = stage.job(world, attempt.number)
    return Verdict(
        Phase.RUNNING,
        held.reason,
        f"attempt {attempt.number} saves and stops: {held.message}",
        actions=(Delete(job.key, job.uid),) if job and not job.deleting else (),
        again=SOON,
    )


def _close(world: World, stage: Stage, attempt: Attempt) -> Verdict | None:
    """Until nothing of an ended attempt runs any more: end its pods, wait for them.

    What is left of a gang with a pod that ended is ended by the training operator, which keeps the
    pods that ended, with their logs. In any other case the Job is deleted.
    """
    pods = stage.pods(world, attempt)
    if not any(pod.lingers(world.now) for pod in pods):
        return None
    by_itself = stage.gang is not None and any(pod.terminal for pod in pods)
    jobs = [] if by_itself else stage.jobs(world)
    return replace(
        _ended(attempt, "its pods are ending", again=SOON),
        actions=tuple(Delete(job.key, job.uid) for job in jobs if not job.deleting),
    )


def _ended(attempt: Attempt, then: str, *, again: float) -> Verdict:
    """Say how an attempt ended, and what is done now."""
    why = f"attempt {attempt.number} ended ({attempt.reason})"
    text = f"{why}: {attempt.message}" if attempt.message else why
    return Verdict(
        Phase.RUNNING if attempt.outcome == SUCCEEDED else Phase.RECOVERING,
        f"Attempt{attempt.outcome}",
        f"{text}; {then}" if then else text,
        again=again,
    )


def _next(world: World, stage: Stage, attempts: Sequence[Attempt], held: Hold | None) -> Verdict:
    """What follows an attempt that did not succeed, now that it is over."""
    last = attempts[-1]
    recovery = world.resource.spec.recovery if world.resource else Recovery()
    if retry.spent(attempts, recovery):
        return _failed(last, recovery)
    if held:
        return held.verdict()
    if jobs := stage.jobs(world):
        return replace(
            _ended(last, "the next one starts when it is gone", again=SOON),
            actions=tuple(Delete(job.key, job.uid) for job in jobs if not job.deleting),
        )
    time = retry.not_before(attempts)
    if time and time > world.now:
        return _ended(
            last,
            f"the next one starts at {text_of(time)}",
            again=(time - world.now).total_seconds(),
        )
    return _start(world, stage, attempts)


def _failed(last: Attempt, recovery: Recovery) -> Verdict:
    """The run has Failed with its last attempt."""
    cause, message = last.failure or FailureClass.UNKNOWN, last.message or ""
    if recovery.retries(cause) == 0:
        return Verdict(Phase.FAILED, last.reason or "Failed", message)
    return Verdict(
        Phase.FAILED,
        "AttemptsExhausted",
        f"attempt {last.number} failed like those before it, without progress between them: {message}",
    )


def _resumed_step(world: World, stage: Stage, attempt: Attempt, pods: Sequence[Pod]) -> int | None:
    """Step of the checkpoint that the attempt went on from, once it says so."""
    if not stage.checkpoints or not any(pod.running for pod in pods):
        return attempt.resumed_step
    said = counted(world.metrics, metrics.RESUMED_STEP)
    return attempt.resumed_step if said is None else said


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
