from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cupola_api import metrics
from cupola_api.artifact import digest_of
from cupola_api.common import Artifact, Attempt, Phase, Progress
from cupola_operator.children import Placement, Pod, text_of
from cupola_operator.cluster import key_of
from cupola_operator.decide import progress
from cupola_operator.decide.verdict import Verdict


def world(kit: Any, said: dict[str, float], **status: Any) -> Any:
    cluster = kit.Cluster()
    seen = kit.world(cluster, key_of(cluster.create(kit.resource("PretrainJob"))))
    return replace(seen, metrics=said, status=seen.status.model_copy(update=status))


def started(kit: Any, seconds: float) -> list[Attempt]:
    time = text_of(kit.START - timedelta(seconds=seconds))
    return [Attempt(number=1, name="a", started_at=time, gpu_seconds="3600", cost="1")]


def test_progress_is_what_rank_0_says(kit: Any) -> None:
    said = {
        metrics.PROGRESS: 0.25,
        metrics.STEP: 10,
        metrics.STEPS: 40,
        metrics.LOSS: 3.5,
        metrics.TOKENS: 1000,
        metrics.TOKENS_PER_SECOND: 10,
        metrics.CHECKPOINT_STEP: 8,
        metrics.CHECKPOINT_TIME: kit.START.timestamp() - 5,
    }
    heard = progress.heard(world(kit, said)).status.progress
    assert heard == Progress(
        fraction=0.25,
        eta="2026-01-01T00:05:00Z",  # 3,000 tokens to come
        step=10,
        steps=40,
        loss=3.5,
        tokens=1000,
        tokens_per_second=10,
        checkpoint_step=8,
        checkpoint_time="2025-12-31T23:59:55Z",
    )


def test_figures_are_as_long_as_people_read_them(kit: Any) -> None:
    said = {
        metrics.PROGRESS: 0.123456,
        metrics.LOSS: 1.234567,
        metrics.TOKENS_PER_SECOND: 1234.5678,
    }
    heard = progress.heard(world(kit, said)).status.progress
    assert heard
    assert (heard.fraction, heard.loss, heard.tokens_per_second) == (0.1235, 1.2346, 1234.6)


def test_silence_changes_nothing(kit: Any) -> None:
    before = world(kit, {}, progress=Progress(fraction=0.5))
    assert progress.heard(before) is before


def test_what_is_not_said_of_a_checkpoint_is_remembered(kit: Any) -> None:
    old = Progress(fraction=0.5, checkpoint_step=8, checkpoint_time="2026-01-01T00:00:00Z")
    heard = progress.heard(world(kit, {metrics.STEP: 9}, progress=old)).status.progress
    assert heard
    assert (heard.checkpoint_step, heard.fraction) == (8, 0.5)
    assert heard.checkpoint_time == old.checkpoint_time


@pytest.mark.parametrize("said", [-1, 0, 0.5, 1, 7])
def test_a_share_is_between_none_and_all(kit: Any, said: float) -> None:
    heard = progress.heard(world(kit, {metrics.PROGRESS: said})).status.progress
    assert heard
    assert heard.fraction == min(1, max(0, said))


def test_a_pod_with_a_wrong_clock_made_no_checkpoint_in_the_future(kit: Any) -> None:
    heard = progress.heard(world(kit, {metrics.CHECKPOINT_TIME: 1e300})).status.progress
    assert heard
    assert heard.checkpoint_time == text_of(kit.START)


@pytest.mark.parametrize(
    ("said", "seconds", "eta"),
    [
        ({metrics.PROGRESS: 0.5}, 100, "2026-01-01T00:01:40Z"),
        ({metrics.PROGRESS: 0}, 100, None),
        ({metrics.PROGRESS: 1}, 100, "2026-01-01T00:00:00Z"),
        ({metrics.PROGRESS: 1e-12}, 100, None),
        ({metrics.PROGRESS: 0.5}, None, None),
        ({metrics.PROGRESS: 0.5, metrics.TOKENS: 9000}, 100, "2026-01-01T00:01:40Z"),
        ({metrics.PROGRESS: 0.5, metrics.TOKENS_PER_SECOND: 9}, 100, "2026-01-01T00:01:40Z"),
        (
            {metrics.PROGRESS: 0.5, metrics.TOKENS: 0, metrics.TOKENS_PER_SECOND: 9},
            100,
            "2026-01-01T00:01:40Z",
        ),
        (
            {metrics.PROGRESS: 0.5, metrics.TOKENS: 9000, metrics.TOKENS_PER_SECOND: 0},
            100,
            "2026-01-01T00:01:40Z",
        ),
        (
            {metrics.PROGRESS: 0.5, metrics.TOKENS: 1, metrics.TOKENS_PER_SECOND: 1},
            100,
            "2026-01-01T00:00:01Z",
        ),
        ({metrics.PROGRESS: 0.5}, 3650 * 86400 - 1, "2035-12-29T23:59:59Z"),
        ({metrics.PROGRESS: 0.5}, 3650 * 86400, None),
        (
            {metrics.PROGRESS: 0.5, metrics.TOKENS: -1, metrics.TOKENS_PER_SECOND: 1},
            100,
            "2026-01-01T00:01:40Z",
        ),
    ],
)
def test_without_a_speed_the_end_follows_from_the_average(
    kit: Any, said: dict[str, float], seconds: float | None, eta: str | None
) -> None:
    attempts = [] if seconds is None else started(kit, seconds)
    heard = progress.heard(world(kit, said, attempts=attempts)).status.progress
    assert heard
    assert heard.eta == eta


@pytest.fixture
def placement(kit: Any) -> Placement:
    return Placement(pool=kit.SETTINGS.pools[0], currency="USD", image="i")


VERDICT = Verdict(Phase.RUNNING, "Training", "")


def told(seen: Any, placement: Placement, verdict: Verdict = VERDICT) -> Any:
    status = progress.told(seen, verdict, seen.status, placement).status
    assert status
    return status


def test_what_is_to_come_is_time_left_on_the_devices_that_run(
    kit: Any, placement: Placement
) -> None:
    eta = text_of(kit.START + timedelta(hours=2))
    seen = world(kit, {}, attempts=started(kit, 10), progress=Progress(fraction=0.9, eta=eta))
    pods = (
        Pod(name="a", uid="a", gpus=4, started=kit.START, revision=1),
        Pod(name="b", uid="b", gpus=4, started=kit.START, revision=1, terminal=True),
        Pod(name="c", uid="c", gpus=1, started=kit.START, revision=9),
    )
    cost = told(replace(seen, pods=pods), placement).cost
    assert (cost.accrued, cost.projected) == ("1", "3.88")  # 8 device hours at 0.36
    late = replace(seen, pods=pods, now=kit.START + timedelta(hours=3))
    assert told(late, placement).cost.projected == "1"


@pytest.mark.parametrize(
    ("fraction", "projected"), [(0.5, "1.36"), (0.001, "360.64"), (0.0, "1"), (1.0, "1")]
)
def test_or_the_share_that_is_left(
    kit: Any, placement: Placement, fraction: float, projected: str
) -> None:
    seen = world(kit, {}, attempts=started(kit, 10), progress=Progress(fraction=fraction))
    assert told(seen, placement).cost.projected == projected


def test_without_progress_nothing_is_foretold(kit: Any, placement: Placement) -> None:
    cost = told(world(kit, {}, attempts=started(kit, 10)), placement).cost
    assert Decimal(cost.projected) == Decimal(cost.accrued)
    assert told(world(kit, {}), placement).cost is None


def test_what_is_finished_has_no_end_to_wait_for(kit: Any, placement: Placement) -> None:
    eta = text_of(kit.START + timedelta(hours=2))
    running = Progress(fraction=0.9, eta=eta)
    seen = world(kit, {}, attempts=started(kit, 10), progress=running)
    failed = told(seen, placement, Verdict(Phase.FAILED, "Because", ""))
    assert (failed.progress.fraction, failed.progress.eta) == (0.9, None)
    assert failed.cost.projected == failed.cost.accrued
    artifact = Artifact(uri="file:///a", digest=digest_of("a"), bytes=1)
    half = world(kit, {}, attempts=started(kit, 10), progress=Progress(fraction=0.5))
    failed = told(half, placement, Verdict(Phase.FAILED, "Because", ""))
    assert failed.cost.projected == failed.cost.accrued
    seen = world(kit, {}, attempts=started(kit, 10), artifact=artifact)
    assert told(seen, placement, Verdict(Phase.SUCCEEDED, "Completed", "")).progress.fraction == 1


def test_what_is_finished_keeps_its_figures_and_is_in_no_stage(
    kit: Any, placement: Placement
) -> None:
    artifact = Artifact(uri="file:///a", digest=digest_of("a"), bytes=1)
    last = Progress(fraction=0.9, step=100, steps=100, loss=2.5, stage="publish")
    seen = world(kit, {}, attempts=started(kit, 10), artifact=artifact, progress=last)
    shown = told(seen, placement, Verdict(Phase.SUCCEEDED, "Completed", "")).progress
    assert shown == Progress(fraction=1, step=100, steps=100, loss=2.5)


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({"fraction": 0.3, "step": 5, "loss": 2.5}, {"fraction": 0.3, "step": 5, "loss": 2.5}),
        (
            {"step": 100, "steps": 100, "checkpoint_step": 120},
            {"fraction": 1, "step": 120, "steps": 100, "checkpoint_step": 120},
        ),
    ],
)
def test_at_rest_a_share_is_at_most_all_and_never_made_up(
    kit: Any, placement: Placement, known: dict[str, Any], shown: dict[str, Any]
) -> None:
    seen = world(kit, {}, attempts=started(kit, 10), progress=Progress(**known))
    rests = told(seen, placement, Verdict(Phase.RECOVERING, "Because", "")).progress
    assert rests == Progress(**shown)


@pytest.mark.parametrize(
    ("said", "count"), [(0, 0), (7.9, 7), (2.0**53, 2**53), (2.0**53 + 2, None), (-1, None)]
)
def test_a_count_is_a_whole_number_that_json_can_hold(said: float, count: int | None) -> None:
    assert progress.counted({"n": said}, "n") == count
    assert progress.counted({}, "n") is None


@pytest.mark.parametrize("phase", [Phase.RECOVERING, Phase.SUSPENDED, Phase.FAILED])
@pytest.mark.parametrize(("kept", "share"), [(40, 0.4), (None, 0)])
def test_between_attempts_what_is_saved_is_what_is_done(
    kit: Any, placement: Placement, phase: Phase, kept: int | None, share: float
) -> None:
    running = Progress(
        fraction=0.9,
        eta=text_of(kit.START + timedelta(hours=2)),
        step=90,
        steps=100,
        loss=2.5,
        tokens=900,
        tokens_per_second=10,
        checkpoint_step=kept,
        checkpoint_time="2026-01-01T00:00:00Z",
    )
    seen = world(kit, {}, attempts=started(kit, 10), progress=running)
    shown = told(seen, placement, Verdict(phase, "Because", "")).progress
    assert shown == Progress(
        fraction=share,
        step=kept or 0,
        steps=100,
        checkpoint_step=kept,
        checkpoint_time="2026-01-01T00:00:00Z",
    )
    assert told(seen, placement).progress == running
