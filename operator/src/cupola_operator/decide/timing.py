"""What a training says of its own time: as it runs on /metrics, at its end in its message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from cupola_api import metrics
from cupola_api.common import Attempt
from cupola_api.outcome import LATEST, Resumed, Timing
from cupola_api.spent import Told
from cupola_operator.children import Pod, text_of
from cupola_operator.cost.ledger import amount
from cupola_operator.decide.progress import counted
from cupola_operator.decide.stage import Stage
from cupola_operator.world import World


def heard(world: World, stage: Stage, attempt: Attempt, pods: Sequence[Pod]) -> Told | None:
    """What is known of the time of an attempt; a message at the end is later than all else.

    A clock that is ahead is not believed beyond the time of the look.
    """
    if not stage.checkpoints:
        return None
    said = next((pod.outcome.timing for pod in pods if pod.outcome and pod.outcome.timing), None)
    if said is None and any(pod.running for pod in pods):
        said = _served(world.metrics)
    if said is None:
        return attempt.told
    old = attempt.told or Told()
    first = said.first_step_at
    return Told(
        first_step_at=_time(first, world.now) if first else old.first_step_at,
        checkpoint_seconds=_seconds(said.checkpoint_seconds),
        evaluation_seconds=_seconds(said.evaluation_seconds),
    )


def resumed(world: World, stage: Stage, pods: Sequence[Pod]) -> Resumed | None:
    """Where an attempt says that it went on from; its message at the end says it once more.

    An attempt that is short may end before anybody has asked it.
    """
    if not stage.checkpoints:
        return None
    said = (pod.outcome.timing for pod in pods if pod.outcome and pod.outcome.timing)
    told = next((one.resumed for one in said if one.resumed), None)
    if told or not any(pod.running for pod in pods):
        return told
    step = counted(world.metrics, metrics.RESUMED_STEP)
    if step is None:
        return None
    seconds = world.metrics.get(metrics.RESUMED_TIME, 0.0)
    return Resumed(
        step=step,
        saved_at=seconds if 0 <= seconds <= LATEST else 0,
        passed_over=counted(world.metrics, metrics.PASSED_OVER) or 0,
    )


def _served(served: Mapping[str, float]) -> Timing | None:
    """What rank 0 serves; None if it does not, or if that is nonsense."""
    first = served.get(metrics.FIRST_STEP_TIME)
    saving = served.get(metrics.CHECKPOINT_SECONDS, 0.0)
    validating = served.get(metrics.EVALUATION_SECONDS, 0.0)
    if first is None or not all(0 <= value <= LATEST for value in (first, saving, validating)):
        return None
    return Timing(first_step_at=first, checkpoint_seconds=saving, evaluation_seconds=validating)


def _time(seconds: float, now: datetime) -> str:
    return text_of(min(now, datetime.fromtimestamp(seconds, UTC)))


def _seconds(value: float) -> str:
    """Seconds as status holds them: to the thousandth."""
    return amount(round(Decimal(value), 3))
