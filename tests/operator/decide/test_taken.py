from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cupola_api.artifact import digest_of
from cupola_api.common import Artifact, Attempt, Cost, Phase
from cupola_api.forecast import Forecast, Projection, Range, TimeRange
from cupola_api.training import ModelSummary
from cupola_operator.children import text_of
from cupola_operator.cluster import key_of
from cupola_operator.decide import taken
from cupola_operator.decide.verdict import Verdict

DONE = Verdict(Phase.SUCCEEDED, "Completed", "")
ARTIFACT = Artifact(uri="file:///a", digest=digest_of("a"), bytes=1)


def span(low: str, expected: str, high: str) -> Range:
    return Range(low=low, expected=expected, high=high)


PLAN = Forecast(
    pool="cpu",
    nodes=1,
    devices=2,
    gpu_hours=span("1", "2", "4"),
    wall_clock_hours=span("0.5", "1", "1.4"),
    cost=span("1", "2", "4"),
    energy_kwh=span("1", "2", "3"),
    step_seconds=span("1", "2", "4"),
    mfu=span("0.2", "0.4", "0.5"),
    loss=span("2", "3", "3.5"),
)
COST = Cost(currency="USD", accrued="4", projected="4", wasted="0", gpu_hours="3", energy_kwh="3.5")


def world(kit: Any, kind: str = "PretrainJob", **status: Any) -> Any:
    cluster = kit.Cluster()
    seen = kit.world(cluster, key_of(cluster.create(kit.resource(kind))))
    start = text_of(kit.START - timedelta(hours=2))
    end = text_of(kit.START - timedelta(minutes=30))
    attempt = Attempt(number=1, name="a", started_at=start, ended_at=end)
    update = {"plan": PLAN, "cost": COST, "artifact": ARTIFACT, "attempts": [attempt], **status}
    return replace(seen, status=seen.status.model_copy(update=update))


def compared(seen: Any, said: float | None = None, verdict: Verdict = DONE) -> Any:
    return taken.compared(seen, verdict._replace(status=seen.status), said).status


def test_a_finished_run_says_what_it_took_and_what_was_not_as_planned(kit: Any) -> None:
    model = ModelSummary(parameters=10, train_loss=2.0, validation_loss=2.5)
    actual = compared(world(kit, model=model), 3.2).plan.actual
    assert actual.to_json() == {
        "gpuHours": "3",
        "wallClockHours": "1.5",
        "cost": "4",
        "energyKwh": "3.5",
        "stepSeconds": "3.2",
        "mfu": "0.25",
        "loss": "2.5",
        "outside": ["wallClockHours", "energyKwh"],
    }


def test_the_ends_of_a_range_are_within_it(kit: Any) -> None:
    low = COST.model_copy(update={"accrued": "1", "gpu_hours": "1", "energy_kwh": "3"})
    assert compared(world(kit, cost=low), 4.0).plan.actual.outside == ["wallClockHours"]
    assert compared(world(kit, cost=low), 5.0).plan.actual.outside == [
        "wallClockHours",
        "stepSeconds",
        "mfu",
    ]


def test_what_was_not_planned_cannot_be_missed(kit: Any) -> None:
    bare = Forecast(pool="cpu", nodes=1, devices=2)
    model = ModelSummary(parameters=10, train_loss=2.0)
    actual = compared(world(kit, plan=bare, model=model), 3.0).plan.actual
    assert (actual.gpu_hours, actual.loss, actual.mfu, actual.outside) == ("3", "2", None, [])


def test_what_was_not_measured_is_absent(kit: Any) -> None:
    seen = compared(world(kit, "Dataset", cost=None, attempts=[])).plan.actual
    assert seen.to_json() == {"outside": []}
    free = COST.model_copy(update={"accrued": None})
    assert compared(world(kit, cost=free)).plan.actual.cost is None


@pytest.mark.parametrize("loss", [float("inf"), float("nan"), -1e300])
def test_a_loss_that_is_no_figure_is_left_out(kit: Any, loss: float) -> None:
    model = ModelSummary.model_construct(parameters=1, train_loss=loss, validation_loss=None)
    assert compared(world(kit, model=model)).plan.actual.loss is None


def test_without_a_last_word_the_last_projection_tells_the_time_of_a_step(kit: Any) -> None:
    hours = span("1", "2", "3")
    end = TimeRange(low="a", expected="b", high="c")
    last = Projection(
        after=20,
        step_seconds=span("1", "1.6", "2"),
        wall_clock_hours=hours,
        gpu_hours=hours,
        end=end,
    )
    plan = PLAN.model_copy(update={"projection": last})
    found = compared(world(kit, plan=plan)).plan
    assert (found.actual.step_seconds, found.actual.mfu, found.projection) == ("1.6", "0.5", None)
    assert compared(world(kit, plan=plan), 1e-9).plan.actual.mfu is None


def test_attempts_add_up_without_the_time_between_them(kit: Any) -> None:
    def attempt(number: int, begin: int, end: int | None) -> Attempt:
        return Attempt(
            number=number,
            name="a",
            started_at=text_of(kit.START - timedelta(hours=begin)),
            ended_at=None if end is None else text_of(kit.START - timedelta(hours=end)),
        )

    seen = world(kit, attempts=[attempt(1, 9, 8), attempt(2, 3, None), Attempt(number=3, name="b")])
    assert compared(seen).plan.actual.wall_clock_hours == "4"
    early = attempt(1, -5, None)
    assert taken.seconds_of(early, kit.START) == 0


def test_only_what_made_something_is_compared(kit: Any) -> None:
    assert compared(world(kit, artifact=None)).plan.actual is None
    assert compared(world(kit, plan=None)).plan is None
    assert compared(world(kit), verdict=Verdict(Phase.RUNNING, "Training", "")).plan.actual is None
    missed = Verdict(Phase.FAILED, "ThresholdMissed", "")
    assert compared(world(kit), verdict=missed).plan.actual is not None
    assert taken.compared(world(kit), DONE) is DONE
