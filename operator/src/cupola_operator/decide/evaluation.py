"""Policy: the attempts of an Evaluation, and its verdict."""

from __future__ import annotations

from cupola_api.evaluation import EvaluationStatus
from cupola_api.run import EvaluateRun
from cupola_operator.build.job import evaluation_gpus, evaluation_job
from cupola_operator.decide import finished, pools, progress, resolve, taken
from cupola_operator.decide.attempts import drive
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import Verdict
from cupola_operator.world import World


def run(world: World) -> Verdict:
    """An Evaluation is one pod an attempt; what it says are the scores, and thresholds judge them."""
    resolved = world.resolved()
    if resolved is None or not isinstance(resolved.run, EvaluateRun):
        raise TypeError(f"ConfigMap {world.run_name()} holds no evaluation")
    measurement = resolved.run
    resolved = pools.placed(world, resolved)
    stage = Stage(
        label="evaluate",
        reason="Evaluating",
        resolved=resolved,
        make=lambda number: evaluation_job(world, resolved, measurement, number),
        done=lambda outcome: outcome.artifact is not None,
        devices=evaluation_gpus(resolved.placement.pool),
    )
    world = progress.heard(resolve.recorded(world, resolved))
    step = drive(world, stage)
    status = world.with_status(step.status).status_as(EvaluationStatus)
    if step.result:
        update = {"artifact": step.result.artifact, "scores": step.result.scores}
        status = status.model_copy(update=update)
    if step.verdict:
        return progress.told(world, step.verdict, status, resolved.placement)
    verdict = finished.measured(world, status)
    verdict = progress.told(world, verdict, verdict.status or status, resolved.placement)
    return taken.compared(world, verdict)
