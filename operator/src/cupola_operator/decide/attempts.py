"""Attempts of a stage: start one, watch it, record how it ended, make the next. Never two at once.

What ended is recorded in status before anything is done about it, so that a crash in between
forgets nothing. An attempt enters status when its Job is seen, not when its creation is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cupola_api import metrics
from cupola_api.common import Attempt, Phase, Status
from cupola_api.outcome import Outcome
from cupola_operator.children import Pod, text_of, time_of
from cupola_operator.cluster import Key, key_of
from cupola_operator.cost import ledger
from cupola_operator.decide import retry
from cupola_operator.decide.ending import MAX_UIDS, SUCCEEDED, Ending, ending
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

    An attempt that did not succeed is followed by another, unless its end is the user's or the
    data's fault (the run Failed with the pod's own reason and sentence) or `retry.exhausted` (the
    run Failed with AttemptsExhausted). The next one starts when `retry.not_before` has passed and
    the Job of the old one and its pods are gone; a pod that should be gone and is on a node that
    does not answer is waited for until a minute after its grace.
    """
    status, end = _settled(world, stage)
    world = replace(world, status=status)
    attempts = stage.attempts(world)
    if not attempts:
        return Step(status, _start(world, stage, attempts))
    last = attempts[-1]
    if last.outcome is None:
        return Step(status, _watch(world, stage, last))
    if last.outcome == SUCCEEDED:
        return Step(status, None, end.result if end else None)
    if end and end.final:
        return Step(status, Verdict(Phase.FAILED, end.reason, end.message, again=SOON))
    if retry.exhausted(attempts):
        message = f"{last.number} attempts were made, the last without progress: {last.message}"
        return Step(status, Verdict(Phase.FAILED, "AttemptsExhausted", message, again=SOON))
    return Step(status, _recover(world, stage, attempts, recorded=end is None))


def _settled(world: World, stage: Stage) -> tuple[Status, Ending | None]:
    """Status with what was seen of the newest attempt, and its end if that was seen now."""
    attempts = stage.attempts(world)
    last = attempts[-1] if attempts else None
    if last is None or last.outcome is not None:
        number = last.number if last else 0
        job = next((job for job in stage.jobs(world) if job.attempt > number), None)
        if job is None:
            return world.status, None
        last = Attempt(number=job.attempt, name=job.key.name, stage=stage.recorded)
    pods = stage.pods(world, last)
    end = ending(stage, last, stage.job(world, last.number), pods, world.now)
    seen = last.model_copy(
        update={
            "pods": _members(stage, last, pods),
            "checkpoint_step": _checkpoint_step(world, stage, last, pods),
            "outcome": end.outcome if end else None,
            "reason": end.reason if end else None,
            "message": end.message[:512] if end and end.message else None,
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
    entries = {(a.stage, a.number): a for a in world.status.attempts}
    entries[charged.stage, charged.number] = charged
    return world.status.model_copy(update={"attempts": bounded([*entries.values()])}), end


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
    """Create the next attempt, when the last one's Job is gone: that is read live."""
    number = before[-1].number + 1 if before else 1
    value = stage.make(number)
    after = (Key(value["kind"], world.key.namespace, before[-1].name),) if before else ()
    return Verdict(
        Phase.RECOVERING if before else Phase.PENDING,
        stage.reason,
        f"attempt {number} starts as {key_of(value).name}",
        actions=(Create(value, after),),
        again=SOON,
    )


def _watch(world: World, stage: Stage, attempt: Attempt) -> Verdict:
    """Say how the attempt is; look again when there is news of its progress."""
    pods = stage.pods(world, attempt)
    if any(pod.started for pod in pods):
        message = f"attempt {attempt.number} ({attempt.name}) is running"
        return Verdict(Phase.RUNNING, stage.reason, message, again=world.every)
    obstacle = next((pod.waiting for pod in pods if pod.waiting), "")
    return Verdict(
        Phase.RECOVERING if attempt.number > 1 else Phase.PENDING,
        stage.reason,
        f"attempt {attempt.number} ({attempt.name}) waits for its pods to start"
        + (f": {obstacle}" if obstacle else ""),
        again=world.every,
    )


def _recover(world: World, stage: Stage, attempts: Sequence[Attempt], *, recorded: bool) -> Verdict:
    """From the end of an attempt to the start of the next: record, clean up, wait, create."""
    last = attempts[-1]
    reason = f"Attempt{last.outcome}"
    ended = f"attempt {last.number} ended ({last.reason}): {last.message}"
    if not recorded:
        return Verdict(Phase.RECOVERING, reason, ended, again=0)
    jobs = stage.jobs(world)
    lingering = [
        pod
        for pod in world.pods
        if (pod.revision, pod.stage) == (world.revision, stage.label) and pod.lingers(world.now)
    ]
    if jobs or lingering:
        return Verdict(
            Phase.RECOVERING,
            reason,
            f"{ended}; the next one starts when its pods are gone",
            actions=tuple(Delete(job.key, job.uid) for job in jobs if not job.deleting),
            again=SOON,
        )
    time = retry.not_before(attempts)
    if time and time > world.now:
        return Verdict(
            Phase.RECOVERING,
            reason,
            f"{ended}; the next one starts at {text_of(time)}",
            again=(time - world.now).total_seconds(),
        )
    return _start(world, stage, attempts)


def _members(stage: Stage, attempt: Attempt, pods: Sequence[Pod]) -> list[str]:
    """The uids of the attempt's pods; of a gang those first seen in it, when all were there."""
    uids = [pod.uid for pod in pods]
    if stage.gang:
        whole = len(pods) == stage.gang.pods
        return attempt.pods or (uids[:MAX_UIDS] if whole else [])
    return list(dict.fromkeys([*attempt.pods, *uids]))[:MAX_UIDS]


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
