"""What a running training should take, by the speed that was measured of it.

The plan says it before there is a step; from `LEAST_STEPS` measured steps of an attempt on, its rank 0
says how long they took. Saves and failures to come are counted as the plan counts them, a save by what
it was measured to take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from cupola_api import metrics
from cupola_api.common import Cost, Phase, Status
from cupola_api.forecast import Projection, Range, TimeRange
from cupola_api.run import FineTuneRun, PretrainRun
from cupola_operator.children import text_of
from cupola_operator.cost.ledger import amount
from cupola_operator.decide.progress import counted
from cupola_operator.decide.taken import seconds_of
from cupola_operator.decide.verdict import Verdict
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import energy, reliability
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.pace import LEAST_STEPS, Pace
from cupola_operator.pools import Pool
from cupola_operator.world import World

_BYTES = 12
"""A parameter in a checkpoint."""

_LONGEST = 3650 * 86_400.0
"""Seconds; an end that is further away is not said."""

_HOUR = 3600


class Foretold(NamedTuple):
    """What was measured, and what follows from it."""

    after: int
    """Steps that were measured."""
    step: Estimate
    """Seconds of a step."""
    to_come: Estimate
    """Seconds until the end: saves and expected failures included."""


def foretold(world: World, run: PretrainRun | FineTuneRun, pool: Pool) -> Foretold | None:
    """What follows from what rank 0 says now; None before enough was measured."""
    said = world.metrics
    pace = _pace(said)
    done = counted(said, metrics.STEP)
    steps = run.steps if isinstance(run, PretrainRun) else counted(said, metrics.STEPS)
    if pace is None or done is None or steps is None or done >= steps:
        return None
    step = pace.step(steps - done)
    work = step * (steps - done)
    if work.high > _LONGEST:
        return None
    to_come = work.over(_goodput(world, run, pool, work).at_least(0.01))
    return Foretold(pace.steps, step, to_come) if to_come.high < _LONGEST else None


def heard(world: World, found: Foretold | None) -> World:
    """The world whose status.progress ends when it is foretold to."""
    progress = world.status.progress
    if found is None or progress is None:
        return world
    end = text_of(world.now + timedelta(seconds=found.to_come.expected))
    told = progress.model_copy(update={"eta": end})
    return world.with_status(world.status.model_copy(update={"progress": told}))


def told(world: World, verdict: Verdict, found: Foretold | None, devices: int) -> Verdict:
    """The verdict of a run, its status with the projection in the plan.

    `devices`: that the run holds. While rank 0 does not answer, what was foretold last stays.
    """
    status = verdict.status
    silent = found is None and not world.metrics
    if status is None or status.plan is None or verdict.phase is not Phase.RUNNING or silent:
        return verdict
    seen = _projection(world, status, found, devices) if found else None
    if seen == status.plan.projection:
        return verdict
    plan = status.plan.model_copy(update={"projection": seen})
    return verdict._replace(status=status.model_copy(update={"plan": plan}))


def kept(status: Status, phase: Phase) -> Status:
    """The status of that phase: of what does not run nothing is foretold."""
    if phase is Phase.RUNNING or status.plan is None or status.plan.projection is None:
        return status
    plan = status.plan.model_copy(update={"projection": None})
    return status.model_copy(update={"plan": plan})


def _projection(world: World, status: Status, found: Foretold, devices: int) -> Projection | None:
    cost = status.cost
    if cost is None:
        return None
    before = sum(seconds_of(attempt, world.now) for attempt in status.attempts)
    used, to_come = Decimal(cost.gpu_hours), found.to_come
    ends = [text_of(world.now + timedelta(seconds=seconds)) for seconds in to_come.ends]
    return Projection(
        after=found.after,
        step_seconds=ranged(found.step),
        wall_clock_hours=ranged((Estimate.exactly(before) + to_come) * (1 / _HOUR)),
        gpu_hours=_beyond(used, to_come * (devices / _HOUR)),
        cost=_money(cost, to_come),
        end=TimeRange(low=ends[0], expected=ends[1], high=ends[2]),
    )


def _money(cost: Cost, to_come: Estimate) -> Range | None:
    """Accrued, and what the ledger expects to come in proportion to the time that it takes."""
    if cost.accrued is None or cost.projected is None:
        return None
    accrued, more = Decimal(cost.accrued), Decimal(cost.projected) - Decimal(cost.accrued)
    shares = [Decimal(repr(end / to_come.expected)) for end in to_come.ends]
    low, expected, high = (amount(accrued + more * share) for share in shares)
    return Range(low=low, expected=expected, high=high)


def _beyond(used: Decimal, to_come: Estimate) -> Range:
    low, expected, high = (amount(used + Decimal(repr(more))) for more in to_come.ends)
    return Range(low=low, expected=expected, high=high)


def ranged(estimate: Estimate) -> Range:
    """An estimate as status holds it."""
    return _beyond(Decimal(0), estimate)


def _pace(said: Mapping[str, float]) -> Pace | None:
    """The sums of the steps, if they are said and make sense."""
    steps = counted(said, metrics.MEASURED_STEPS)
    seconds = said.get(metrics.STEP_SECONDS, 0.0)
    squares = said.get(metrics.STEP_SQUARES, -1.0)
    if steps is None or steps < LEAST_STEPS or squares < 0:
        return None
    if not 1e-6 * steps <= seconds <= _LONGEST or squares > seconds**2 * (1 + 1e-9):
        return None
    return Pace(steps, seconds, squares)


def _goodput(world: World, run: PretrainRun | FineTuneRun, pool: Pool, work: Estimate) -> Estimate:
    """The share of the time to come that makes progress."""
    stated = pool.failures_per_node_day
    usual = catalogue.assumptions().node.failures_per_node_day.value
    rate = energy.within(
        usual if stated is None else stated,
        reliability.FAILURES_PER_NODE_DAY,
        assumed=stated is None,
    )
    return reliability.of_run(
        work=work,
        nodes=run.world.nodes,
        save=_save(world, run).at_least(1e-3),
        restart=reliability.RESTART_SECONDS,
        interval=float(run.checkpoint_seconds),
        failures_per_node_day=rate,
    ).goodput


def _save(world: World, run: PretrainRun | FineTuneRun) -> Estimate:
    """Seconds of a save: as measured, if there was one; else as the plan takes them to be."""
    said, interval = world.metrics, run.checkpoint_seconds
    waited = said.get(metrics.CHECKPOINT_SECONDS, 0.0)
    if 0 < waited <= _LONGEST:
        return Estimate.exactly(waited / max(1, math.floor(said[metrics.STEP_SECONDS] / interval)))
    adapters = isinstance(run, FineTuneRun) and run.tuning.lora is not None
    plan = world.status.plan
    parameters = 0 if adapters or plan is None else plan.parameters or 0
    return Estimate.exactly(_BYTES * parameters) / (reliability.SAVE_BANDWIDTH * run.world.nodes)
