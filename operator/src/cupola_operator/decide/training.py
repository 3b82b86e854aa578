"""Policy: the attempts of a PretrainJob or FineTune, to the end of the run."""

from __future__ import annotations

from cupola_api.common import Progress, Status
from cupola_api.outcome import Outcome
from cupola_api.run import FineTuneRun, PretrainRun
from cupola_operator.build.pytorchjob import VERBS, pytorch_job
from cupola_operator.decide import finished, pools, progress, projection, resolve, taken
from cupola_operator.decide.attempts import drive
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import Verdict
from cupola_operator.world import World

REASONS = {"PretrainRun": "Training", "FineTuneRun": "Tuning"}


def run(world: World) -> Verdict:
    """A training is a PyTorchJob an attempt; it has Succeeded when rank 0 says where the model is.

    While it runs, status.progress is what rank 0 serves on /metrics, and status.plan.projection what
    follows from its measured steps. A lost pod ends the attempt. The next one goes on from the newest
    checkpoint. What a finished run took is in status.plan.actual.
    """
    resolved = world.resolved()
    if resolved is None or not isinstance(resolved.run, PretrainRun | FineTuneRun):
        raise TypeError(f"ConfigMap {world.run_name()} holds no training")
    training = resolved.run
    resolved = pools.placed(world, resolved)
    stage = Stage(
        label=VERBS[training.kind],
        reason=REASONS[training.kind],
        resolved=resolved,
        make=lambda number: pytorch_job(world, resolved, training, number),
        done=lambda outcome: outcome.artifact is not None,
        devices=training.world.size,
        checkpoints=True,
        gang=training.world.nodes,
    )
    world = progress.heard(resolve.recorded(world, resolved))
    foretold = projection.foretold(world, training, resolved.placement.pool)
    world = projection.heard(world, foretold)
    step = drive(world, stage)
    status = _finished(step.status, step.result) if step.result else step.status
    verdict = step.verdict or finished.succeeded(world, status)
    verdict = progress.told(world, verdict, status, resolved.placement)
    verdict = projection.told(world, verdict, foretold, stage.devices)
    timing = step.result.timing if step.result else None
    return taken.compared(world, verdict, timing.step_seconds if timing else None)


def _finished(status: Status, result: Outcome) -> Status:
    """Status with the model and its figures."""
    update: dict[str, object] = {"artifact": result.artifact, "model": result.model}
    if result.model:
        update["progress"] = (status.progress or Progress()).model_copy(
            update={
                "step": result.model.steps,
                "steps": result.model.steps,
                "tokens": result.model.tokens,
                "loss": progress.rounded(result.model.train_loss, 4),
            }
        )
    return status.model_copy(update=update)
