"""What people change while a run goes on does what it says: suspend, budget, deadline."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from cupola_operator.build.pod import GRACE_SECONDS

from .fast import fast
from .program import STEPS
from .runs import Run
from .simulation import Simulation

STEP = 50
"""Seconds of a step."""


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast():
        yield


def trained(sim: Simulation, until: float, *, stopping: int) -> None:
    """Let a training go on, a step every STEP seconds; a pod takes `stopping` seconds to stop."""
    next_step = sim.now + STEP
    while sim.now < until:
        sim.controllers.sync()
        sim.controllers.collect()
        for run in sim.runs():
            _tend(sim, run, stopping)
        if sim.now >= next_step:
            next_step += STEP
            for run in sim.alive():
                if run.master:
                    sim.nodes.train(run)
        for operator in sim.operators:
            if operator.due is not None and operator.due <= sim.now:
                operator.look()
        sim.now += 1


def _tend(sim: Simulation, run: Run, stopping: int) -> None:
    if run.asked is None:
        sim.nodes.start(run)
    elif run.over is not None and run.over < sim.now:
        sim.nodes.remove(run)
    elif sim.now >= run.asked + stopping:
        sim.nodes.stop(run)


def change(sim: Simulation, **spec: Any) -> None:
    value = sim.resource
    assert value
    sim.api.respec(value, **spec)


@pytest.mark.parametrize("cost", ["6", "8.5", "11"])
@pytest.mark.parametrize("stopping", [0, GRACE_SECONDS])
def test_a_run_costs_no_more_than_its_budget(cost: str, stopping: int) -> None:
    sim = Simulation("PretrainJob")
    change(sim, budget={"maxCost": cost})
    trained(sim, 900, stopping=stopping)
    assert sim.status["phase"] == "Suspended"
    spent = Decimal(sim.status["cost"]["accrued"])
    # Room is left for a stop that takes the whole grace; what is not needed of it is not spent.
    assert Decimal(cost) - Decimal("3.5") <= spent <= Decimal(cost)
    sim.end()
    assert sim.status["phase"] == "Succeeded"


def test_a_deadline_is_kept() -> None:
    sim = Simulation("PretrainJob")
    change(sim, deadline="2m")
    trained(sim, 119, stopping=0)
    assert sim.status["phase"] == "Running"
    trained(sim, 130, stopping=0)
    assert sim.status["phase"] == "Failed"
    sim.blame["Hand"] += 1
    sim.end()
    assert sim.status["phase"] == "Succeeded"


def test_a_suspended_run_goes_on_where_it_stopped() -> None:
    sim = Simulation("PretrainJob")
    trained(sim, 3 * STEP + 20, stopping=5)
    change(sim, suspend=True)
    trained(sim, 6 * STEP, stopping=5)
    assert sim.status["phase"] == "Suspended"
    assert not sim.alive()
    (saved,) = (step for saves in sim.store.checkpoints.values() for step, _ in saves)
    assert 0 < saved < STEPS
    change(sim, suspend=None)
    trained(sim, 8 * STEP, stopping=5)
    assert sim.status["attempts"][-1]["resumedStep"] == saved
    sim.end()
    assert sim.status["phase"] == "Succeeded"
