"""Finished trainings beside what the planner's roofline says of them, and the friction that follows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cupola_api.common import Status
from cupola_api.run import PretrainRun
from cupola_operator.children import Resolved
from cupola_operator.plan import Refused
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.model import of_shape
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.speed import machine
from cupola_operator.plan.speed.friction import Check, fitted, leave_one_out
from cupola_operator.plan.speed.steptime import Clock
from cupola_operator.plan.speed.timing import usual


@dataclass(frozen=True)
class Compared:
    """A finished training on a pool."""

    name: str
    pool: str
    devices: int
    roofline: float
    """Seconds of a step as computed, without any friction."""
    measured: float
    """Mean seconds of its steps."""
    usual: Estimate
    """The friction of such devices, where no run of the pool says it."""

    @property
    def ratio(self) -> float:
        """Its friction."""
        return self.measured / self.roofline


@dataclass(frozen=True)
class Calibration:
    """What the runs of a pool say of it."""

    pool: str
    runs: tuple[Compared, ...]
    friction: Estimate
    check: Check | None
    """None of a single run."""


def compared(name: str, run: Resolved | None, status: Status) -> Compared | str:
    """A training beside the roofline; or why nothing can be learned from it, in words."""
    actual = status.plan.actual if status.plan else None
    if run is None:
        return "the ConfigMap of its run is not at hand"
    if not isinstance(run.run, PretrainRun):
        return "it is no pretraining"
    if actual is None or actual.step_seconds is None or not float(actual.step_seconds):
        return "the time of its steps was not measured"
    done = [attempt for attempt in status.attempts if attempt.outcome == "Succeeded"]
    place = run.placement.on(done[-1].pool if done else None)
    try:
        there = machine.of_pool(place.pool, place.currency)
    except Refused as refused:
        return refused.message
    clock = Clock(of_shape(run.run.shape), there, run.run.hyperparameters.precision.value)
    step = clock.step(_layout(run.run))
    return Compared(
        name=name,
        pool=place.pool.name,
        devices=run.run.world.size,
        roofline=step.total,
        measured=float(actual.step_seconds),
        usual=usual(there),
    )


def calibrated(runs: Iterable[Compared]) -> list[Calibration]:
    """The friction of each pool that runs were on, by name."""
    pools: dict[str, list[Compared]] = defaultdict(list)
    for run in runs:
        pools[run.pool].append(run)
    return [_of_pool(pool, pools[pool]) for pool in sorted(pools)]


def _of_pool(pool: str, runs: Sequence[Compared]) -> Calibration:
    ratios, known = [run.ratio for run in runs], runs[-1].usual
    return Calibration(
        pool=pool,
        runs=tuple(runs),
        friction=fitted(ratios, known),
        check=leave_one_out(ratios, known) if len(runs) > 1 else None,
    )


def _layout(run: PretrainRun) -> Layout:
    world = run.world.size
    return Layout(
        data=world,
        zero=run.zero_stage,
        checkpointing="Full" if run.activation_checkpointing else "None",
        micro_batch=run.micro_batch,
        accumulation=max(1, run.sequences_per_step // (world * run.micro_batch)),
    )
