from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cupola_api import metrics
from cupola_api.common import Attempt, Phase, Progress
from cupola_api.forecast import Forecast, Projection
from cupola_api.run import FineTuneRun, PretrainRun
from cupola_operator.children import Placement, Pod, text_of, time_of
from cupola_operator.cluster import key_of
from cupola_operator.decide import Create, decide, progress, projection, resolve
from cupola_operator.decide.verdict import Verdict
from cupola_operator.plan.money import reliability

RUNNING = Verdict(Phase.RUNNING, "Training", "")
PLAN = Forecast(pool="cpu", nodes=1, devices=2, parameters=1000)
TASK = {"input": "q", "output": "a"}


def said(measured: int = 40, each: float = 2.0, **more: float) -> dict[str, float]:
    """40 steps of 1 and 3 seconds in turns, by default."""
    return {
        metrics.STEP: measured + 1,
        metrics.STEPS: 100_000,
        metrics.PROGRESS: 0.1,
        metrics.MEASURED_STEPS: measured,
        metrics.STEP_SECONDS: measured * each,
        metrics.STEP_SQUARES: measured * (each**2 + 1),
        **more,
    }


def resolved(kit: Any, kind: str = "PretrainJob", **fields: Any) -> Any:
    cluster = kit.Cluster()
    for other in ("Dataset", "PretrainJob"):
        if other != kind:
            cluster.create(kit.done(other, **({"task": TASK} if other == "Dataset" else {})))
    key = key_of(cluster.create(kit.resource(kind, **fields)))
    (create,) = decide(kit.world(cluster, key)).actions
    assert isinstance(create, Create)
    cluster.create(create.value)
    seen = resolve.recorded(kit.world(cluster, key), kit.world(cluster, key).resolved())
    return seen.with_status(seen.status.model_copy(update={"plan": PLAN}))


def training(world: Any) -> PretrainRun | FineTuneRun:
    run = world.resolved().run
    assert isinstance(run, PretrainRun | FineTuneRun)
    return run


def foretold(world: Any, heard: dict[str, float]) -> Any:
    run = training(world)
    if isinstance(run, PretrainRun):
        run = run.model_copy(update={"steps": 100_000})
    return projection.foretold(replace(world, metrics=heard), run, world.resolved().placement.pool)


def test_what_is_to_come_is_the_steps_that_are_left_with_saves_and_failures(kit: Any) -> None:
    found = foretold(resolved(kit), said())
    assert found.after == 40
    assert found.step.expected == 2.0
    work = 2.0 * (100_000 - 41)
    assert found.to_come.expected > work
    assert found.to_come.low < found.to_come.expected < found.to_come.high


def test_a_save_counts_as_it_was_measured(kit: Any) -> None:
    world = resolved(kit)
    every = training(world).checkpoint_seconds
    measured = 100 * every // 2  # steps of two seconds: a hundred saves
    quick = foretold(world, said(measured, **{metrics.CHECKPOINT_SECONDS: 100 * 0.001}))
    slow = foretold(world, said(measured, **{metrics.CHECKPOINT_SECONDS: 100.0 * every}))
    # as much time for saving as for steps
    assert slow.to_come.expected / quick.to_come.expected == pytest.approx(2.0, rel=0.02)


def test_before_a_save_its_time_is_that_of_the_plan(kit: Any) -> None:
    world = resolved(kit)
    small = foretold(world, said())
    huge = PLAN.model_copy(update={"parameters": 10**12})
    large = foretold(world.with_status(world.status.model_copy(update={"plan": huge})), said())
    assert large.to_come.expected > 2 * small.to_come.expected
    unplanned = foretold(world.with_status(world.status.model_copy(update={"plan": None})), said())
    assert unplanned.to_come.expected == pytest.approx(small.to_come.expected, rel=1e-3)


def test_adapters_are_saved_at_once(kit: Any) -> None:
    huge = PLAN.model_copy(update={"parameters": 10**12})

    def expected(**fields: Any) -> float:
        world = resolved(kit, "FineTune", **fields)
        world = world.with_status(world.status.model_copy(update={"plan": huge}))
        return float(foretold(world, said()).to_come.expected)

    assert expected() > 2 * expected(tuning={"lora": {}})


def test_a_pool_that_states_its_failures_is_believed(kit: Any) -> None:
    world = resolved(kit)
    pool = world.resolved().placement.pool
    heard = replace(world, metrics=said())

    def at(rate: float | None) -> Any:
        stated = pool.model_copy(update={"failures_per_node_day": rate})
        run = training(world).model_copy(update={"steps": 100_000})
        return projection.foretold(heard, run, stated)

    assert at(50.0).to_come.expected > at(0.0).to_come.expected
    assert at(None).to_come.expected > at(0.0).to_come.expected
    assert at(None).to_come.high / at(None).to_come.low > at(0.0).to_come.high / at(0.0).to_come.low


@pytest.mark.parametrize(
    "heard",
    [
        {},
        said(19),
        said() | {metrics.STEP: 100_000},
        {name: value for name, value in said().items() if name != metrics.STEP},
        {name: value for name, value in said().items() if name != metrics.STEP_SQUARES},
        said() | {metrics.STEP_SECONDS: 0.0},
        said() | {metrics.STEP_SECONDS: 1e300},
        said() | {metrics.STEP_SQUARES: 1e300},
        said() | {metrics.MEASURED_STEPS: -1.0},
        said(each=1e5),
    ],
)
def test_nothing_follows_from_too_little_or_from_nonsense(
    kit: Any, heard: dict[str, float]
) -> None:
    world = resolved(kit)
    assert foretold(world, heard) is None
    assert projection.heard(world, None) is world


def test_twenty_steps_are_enough(kit: Any) -> None:
    assert foretold(resolved(kit), said(20)).after == 20


def test_a_tuning_has_as_many_steps_as_it_says(kit: Any) -> None:
    world = resolved(kit, "FineTune")
    assert foretold(world, said()).to_come.expected > 1e5
    unsaid = {name: value for name, value in said().items() if name != metrics.STEPS}
    assert foretold(world, unsaid) is None


def running(kit: Any, world: Any, heard: dict[str, float]) -> Any:
    """The world as `training.run` has it when it comes to the verdict."""
    start = text_of(kit.START - timedelta(hours=1))
    attempt = Attempt(
        number=1, name="a", started_at=start, gpu_seconds="7200", cost="0.72", wasted="0"
    )
    status = world.status.model_copy(update={"attempts": [attempt]})
    pods = (Pod(name="p", uid="p", gpus=2, started=kit.START, revision=1),)
    seen = progress.heard(replace(world.with_status(status), metrics=heard, pods=pods))
    found = foretold(world, heard) if heard else None
    return projection.heard(seen, found), found


def told(world: Any, found: Any, verdict: Verdict = RUNNING) -> Any:
    placement: Placement = world.resolved().placement
    verdict = progress.told(world, verdict, world.status, placement)
    status = projection.told(world, verdict, found, 2).status
    assert status
    return status


def test_status_tells_the_range_of_time_money_and_end(kit: Any) -> None:
    world, found = running(kit, resolved(kit), said())
    status = told(world, found)
    seen = status.plan.projection
    assert isinstance(seen, Projection)
    assert seen.after == 40
    assert seen.step_seconds.expected == "2"
    assert status.progress.eta == seen.end.expected
    end = time_of(seen.end.expected)
    assert end
    left = (end - kit.START).total_seconds()
    assert left == pytest.approx(found.to_come.expected, abs=1)
    assert float(seen.wall_clock_hours.expected) == pytest.approx(1 + left / 3600, abs=1e-3)
    assert float(seen.gpu_hours.expected) == pytest.approx(2 + 2 * left / 3600, abs=1e-3)
    assert seen.cost
    assert seen.cost.expected == status.cost.projected
    for figure in (seen.step_seconds, seen.wall_clock_hours, seen.gpu_hours, seen.cost):
        assert Decimal(figure.low) < Decimal(figure.expected) < Decimal(figure.high)
    assert seen.end.low < seen.end.expected < seen.end.high


def test_without_a_price_the_projection_goes_without_money(kit: Any) -> None:
    world, found = running(kit, resolved(kit), said())
    verdict = progress.told(world, RUNNING, world.status, world.resolved().placement)
    assert verdict.status
    assert verdict.status.cost
    free = verdict.status.cost.model_copy(update={"accrued": None, "projected": None})
    status = verdict.status.model_copy(update={"cost": free})
    seen = projection.told(world, verdict._replace(status=status), found, 2).status
    assert seen
    assert seen.plan
    assert seen.plan.projection
    assert seen.plan.projection.cost is None


def test_a_projection_stays_while_rank_0_is_silent_and_goes_with_the_attempt(kit: Any) -> None:
    world, found = running(kit, resolved(kit), said())
    first = told(world, found)
    silent = replace(world.with_status(first), metrics={})
    assert told(silent, None).plan.projection == first.plan.projection
    anew = replace(world.with_status(first), metrics=said(3))
    assert told(anew, None).plan.projection is None
    assert projection.kept(first, Phase.RUNNING) is first
    ended = projection.kept(first, Phase.RECOVERING)
    assert ended.plan == first.plan.model_copy(update={"projection": None})
    assert projection.kept(ended, Phase.RECOVERING) is ended
    recovering = Verdict(Phase.RECOVERING, "Because", "")
    assert told(world.with_status(ended), found, recovering).plan.projection is None
    unplanned = world.with_status(world.status.model_copy(update={"plan": None}))
    assert told(unplanned, found).plan is None
    idle = world.with_status(world.status.model_copy(update={"attempts": []}))
    assert told(idle, found).plan.projection is None


def test_progress_that_is_not_told_has_no_end(kit: Any) -> None:
    world = resolved(kit)
    found = foretold(world, said())
    assert projection.heard(world, found) is world
    known = world.with_status(world.status.model_copy(update={"progress": Progress()}))
    assert projection.heard(known, found).status.progress.eta


def test_what_never_ends_is_not_foretold(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reliability, "goodput", lambda *_: 1e-6)
    assert foretold(resolved(kit), said()) is not None
    assert foretold(resolved(kit), said(each=500.0)) is None


def test_the_range_follows_from_how_much_steps_differ(kit: Any) -> None:
    world = resolved(kit)
    calm = foretold(world, said() | {metrics.STEP_SQUARES: 40 * 4.0})
    assert calm.step.low == calm.step.high == 2.0
    busy = foretold(world, said())
    # variance 1 of 40: five count as one, half of it a drift
    spread = 0.5 * math.sqrt(40 / 39 * (5 / 40 + 5 / (100_000 - 41) + 0.25))
    assert math.log(busy.step.high / 2.0) == pytest.approx(1.415 * spread, rel=1e-3)
