"""Attempts of a stage: start one, watch it, record how it ended, make the next. Never two at once.

What ended is recorded in status before anything is done about it, so that a crash in between
forgets nothing. An attempt enters status when its Job is seen, not when its creation is asked for.
It is over when none of its pods runs any more: until then they are charged, and the last ones may
still tell better why it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cupola_api.common import Attempt, FailureClass, Phase, Status
from cupola_api.control import Recovery
from cupola_api.outcome import Outcome
from cupola_operator.children import Job, text_of
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import hold, obstacles, permitted, retry
from cupola_operator.decide.ending import (
    SUCCEEDED,
)
from cupola_operator.decide.hold import Hold
from cupola_operator.decide.record import settled
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import SOON, Create, Delete, Verdict
from cupola_operator.world import World


class Step(NamedTuple):
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
    status, end = settled(world, stage)
    world = world.with_status(status)
    attempts = stage.attempts(world)
    done = bool(attempts) and attempts[-1].outcome == SUCCEEDED and not stage.repeat
    held = None if done else hold.of(world, stage.resolved.placement, stage.devices)
    if not attempts:
        free = not any(pod.lingers(world.now) for pod in world.pods)
        return Step(status, held.verdict() if held and free else _start(world, stage, attempts))
    last = attempts[-1]
    result = end.result if end else None
    if last.outcome is None and held:
        recorded = last.number in before
        return Step(status, _stop(world, stage, last, held, recorded=recorded))
    if last.outcome is None:
        return Step(status, _watch(world, stage, last))
    if last.outcome not in (SUCCEEDED, before.get(last.number)):
        return Step(status, _ended(last, "", again=0))
    if verdict := _close(world, stage, last):
        return Step(status, verdict, result)
    if done:
        return Step(status, None, result)
    return Step(status, _next(world, stage, attempts, held))


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
    if barred := permitted.forbidden(world):
        return barred
    value = stage.make(number)
    where = (
        f" on pool {stage.resolved.placement.pool.name}" if stage.resolved.placement.others else ""
    )
    after = (Key(value["kind"], world.key.namespace, before[-1].name),) if before else ()
    return Verdict(
        phase,
        stage.reason,
        f"attempt {number} starts as {key_of(value).name}{where}",
        actions=(Create(value, after),),
        again=SOON,
    )


def _watch(world: World, stage: Stage, attempt: Attempt) -> Verdict:
    """Say how the attempt is; look again when there is news of its progress."""
    pods, job = stage.pods(world, attempt), stage.job(world, attempt.number)
    again = hold.again(world, stage.resolved.placement, stage.devices)
    held = obstacles.queued(job, pods, world.now) or obstacles.stuck(world, stage, job, pods)
    if held:
        return held._replace(again=again)
    waits = obstacles.again(stage, pods, world.now)
    again = min(again, waits) if waits else again
    if any(pod.started for pod in pods) and not any(pod.obstacle for pod in pods if stage.gang):
        message = f"attempt {attempt.number} ({attempt.name}) is running{_origin(attempt)}"
        return Verdict(Phase.RUNNING, stage.reason, message, again=again)
    obstacle = next((pod.waiting for pod in pods if pod.waiting), "")
    return Verdict(
        Phase.RECOVERING if attempt.number > 1 else Phase.PENDING,
        stage.reason,
        f"attempt {attempt.number} ({attempt.name}) waits for its pods to start"
        + (f": {obstacle}" if obstacle else ""),
        again=again,
    )


def _origin(attempt: Attempt) -> str:
    """Where an attempt went on from, and what it passed over."""
    text = f", going on from step {attempt.resumed_step}" if attempt.resumed_step else ""
    if attempt.passed_over:
        text += f"; damaged and passed over: {attempt.passed_over} newer checkpoints"
    return text


def _stop(world: World, stage: Stage, attempt: Attempt, held: Hold, *, recorded: bool) -> Verdict:
    """End an attempt because the run is held, once it is recorded: its pods get the grace to save."""
    job = stage.job(world, attempt.number) if recorded else None
    return Verdict(
        Phase.RUNNING,
        held.reason,
        f"attempt {attempt.number} saves and stops: {held.message}",
        actions=(Delete(job.key, job.uid),) if job and not job.deleting else (),
        again=SOON if recorded else 0,
    )


def _close(world: World, stage: Stage, attempt: Attempt) -> Verdict | None:
    """Until nothing of an ended attempt runs any more: end its pods, wait for them.

    Where the Job's controller does that by itself, it is left to it: the pods that ended then stay,
    with their logs. In any other case the Job is deleted.
    """
    pods = stage.pods(world, attempt)
    if not any(pod.lingers(world.now) for pod in pods):
        return None
    jobs = [] if stage.ends_by_itself(attempt, pods, world.now) else stage.jobs(world)
    return _ended(attempt, "its pods are ending", again=SOON)._replace(
        actions=tuple(Delete(job.key, job.uid) for job in jobs if not job.deleting)
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
    """What follows an attempt that did not do, now that it is over."""
    last = attempts[-1]
    jobs = stage.jobs(world)
    alive = [job for job in jobs if not (job.failed or job.complete)]
    recovery = world.resource.spec.recovery if world.resource else Recovery()
    spent = last.outcome != SUCCEEDED and retry.spent(attempts, recovery)
    if alive and spent and stage.ends_by_itself(last, stage.pods(world, last), world.now):
        return _ended(last, f"{last.name} is ending", again=SOON)
    if alive:
        return _clear(last, alive)
    if spent:
        return _failed(last, recovery)
    if held:
        return held.verdict()
    if jobs:
        return _clear(last, jobs)
    time = retry.not_before(attempts)
    if time and time > world.now:
        return _ended(
            last,
            f"the next one starts at {text_of(time)}",
            again=(time - world.now).total_seconds(),
        )
    return _start(world, stage, attempts)


def _clear(last: Attempt, jobs: Sequence[Job]) -> Verdict:
    """Delete the Jobs of ended attempts; one that did not end itself would make its pods again."""
    return _ended(last, f"{jobs[0].key.name} is deleted", again=SOON)._replace(
        actions=tuple(Delete(job.key, job.uid) for job in jobs if not job.deleting)
    )


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
