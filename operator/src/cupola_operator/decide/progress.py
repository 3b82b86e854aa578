"""How far a run is, when it should end, and what it will have cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from cupola_api import metrics
from cupola_api.common import Phase, Progress, Status
from cupola_operator.children import Placement, text_of, time_of
from cupola_operator.cost import ledger
from cupola_operator.decide.verdict import Verdict
from cupola_operator.world import World

_LONGEST = timedelta(days=3650)
"""An end that is further away is not said."""

_LARGEST = 2.0**53
"""Counts above it are no whole numbers in JSON."""

_SMALLEST_SHARE = 0.001
"""Before that share is done, the rest is not foretold from it."""


def heard(world: World) -> World:
    """The world with status.progress as rank 0 says; unchanged if it says nothing."""
    said = world.metrics
    if not said:
        return world
    old = world.status.progress or Progress()
    fraction = min(1.0, max(0.0, said.get(metrics.PROGRESS, old.fraction)))
    progress = Progress(
        fraction=round(fraction, 4),
        eta=_eta(world, fraction),
        step=counted(said, metrics.STEP),
        steps=counted(said, metrics.STEPS),
        loss=rounded(said.get(metrics.LOSS), 4),
        tokens=counted(said, metrics.TOKENS),
        tokens_per_second=rounded(said.get(metrics.TOKENS_PER_SECOND), 1),
        checkpoint_step=counted(said, metrics.CHECKPOINT_STEP) or old.checkpoint_step,
        checkpoint_time=_time(said, world.now) or old.checkpoint_time,
    )
    return world.with_status(world.status.model_copy(update={"progress": progress}))


def rounded(value: float | None, places: int) -> float | None:
    """A figure as people read it: kubectl prints what status holds."""
    return None if value is None else round(value, places)


def told(world: World, verdict: Verdict, status: Status, placement: Placement) -> Verdict:
    """The verdict with status completed by cost; of a finished run also by progress."""
    done = verdict.phase in (Phase.SUCCEEDED, Phase.FAILED)
    progress = status.progress
    if progress and verdict.phase is not Phase.RUNNING:
        progress = _at_rest(progress, status)
    if done and status.artifact:
        progress = (progress or Progress()).model_copy(update={"fraction": 1.0, "stage": None})
    to_come = Decimal(0) if done else _to_come(world, status)
    attempts = status.attempts
    rate = ledger.rate(attempts, placement, world.now, to_come)
    cost = ledger.total(attempts, placement, to_come=to_come, rate=rate) if attempts else None
    return verdict._replace(status=status.model_copy(update={"progress": progress, "cost": cost}))


def _at_rest(progress: Progress, status: Status) -> Progress:
    """Progress while no attempt runs: what is saved, without the speed and the loss of the last one."""
    update: dict[str, object] = {"eta": None}
    kept = progress.checkpoint_step
    if status.artifact is None and progress.step is not None and progress.steps:
        share = (kept or 0) / progress.steps
        update |= {
            "step": kept or 0,
            "fraction": min(1.0, share),
            "loss": None,
            "tokens": None,
            "tokens_per_second": None,
        }
    return progress.model_copy(update=update)


def _to_come(world: World, status: Status) -> Decimal:
    """Device seconds until the end: by the time it should end, or else by the share that is done."""
    progress = status.progress
    if progress is None:
        return Decimal(0)
    eta = time_of(progress.eta)
    if eta:
        left = max(0, round((eta - world.now).total_seconds()))
        running = [pod for pod in world.pods if pod.running and pod.revision == world.revision]
        return Decimal(left * sum(pod.gpus for pod in running))
    if progress.fraction < _SMALLEST_SHARE:
        return Decimal(0)
    used = sum((Decimal(a.gpu_seconds) for a in status.attempts), Decimal(0))
    return used * (1 / Decimal(str(progress.fraction)) - 1)


def _eta(world: World, fraction: float) -> str | None:
    """When the run should end at the speed of now; where that is not said, at the average one."""
    if not 0 < fraction <= 1:
        return None
    said = world.metrics
    tokens, speed = said.get(metrics.TOKENS, 0), said.get(metrics.TOKENS_PER_SECOND, 0)
    if tokens > 0 and speed > 0:
        done = tokens / speed
    else:
        attempts = world.status.attempts
        started = time_of(attempts[-1].started_at) if attempts else None
        if started is None:
            return None
        done = (world.now - started).total_seconds()
    left = done * (1 / fraction - 1)
    if not 0 <= left < _LONGEST.total_seconds():
        return None
    return text_of(world.now + timedelta(seconds=left))


def counted(said: Mapping[str, float], name: str) -> int | None:
    """A metric that counts something; None if it is not said or is no sensible count."""
    return int(said[name]) if name in said and 0 <= said[name] <= _LARGEST else None


def _time(said: Mapping[str, float], now: datetime) -> str | None:
    """When the newest checkpoint was complete; not later than now, whatever the pod's clock says."""
    seconds = said.get(metrics.CHECKPOINT_TIME, 0)
    return (
        text_of(datetime.fromtimestamp(min(seconds, now.timestamp()), UTC)) if seconds > 0 else None
    )
