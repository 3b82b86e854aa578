"""What a training says of its own time: whom the operator believes, and what it keeps."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cupola_api import metrics
from cupola_api.common import Attempt
from cupola_api.outcome import Outcome, OutcomeKind, Resumed, Timing
from cupola_api.spent import Told
from cupola_operator.children import Pod, text_of
from cupola_operator.decide import timing
from cupola_operator.decide.stage import Stage

SERVED = {metrics.CHECKPOINT_SECONDS: 2.0004, metrics.EVALUATION_SECONDS: 7.0}
TRAINING = cast("Stage", SimpleNamespace(checkpoints=True))


def heard(kit: Any, pods: list[Pod], *, stage: Stage = TRAINING, **more: Any) -> Told | None:
    world = cast("Any", SimpleNamespace(now=kit.START, metrics=more.get("served", {})))
    attempt = Attempt(number=1, name="a", told=more.get("told"))
    return timing.heard(world, stage, attempt, pods)


@pytest.fixture
def running(kit: Any) -> list[Pod]:
    return [Pod(name="m", uid="m", started=kit.START)]


def first(kit: Any, after: float = -50.0) -> dict[str, float]:
    return {metrics.FIRST_STEP_TIME: kit.START.timestamp() + after}


def test_what_rank_0_serves_is_kept_to_the_thousandth(kit: Any, running: list[Pod]) -> None:
    told = heard(kit, running, served={**SERVED, **first(kit)})
    assert told == Told(
        first_step_at=text_of(kit.START - kit.seconds(50)),
        checkpoint_seconds="2",
        evaluation_seconds="7",
    )


def test_a_clock_that_is_ahead_is_believed_until_now(kit: Any, running: list[Pod]) -> None:
    told = heard(kit, running, served=first(kit, 90.0))
    assert told == Told(first_step_at=text_of(kit.START))


def test_silence_changes_nothing(kit: Any, running: list[Pod]) -> None:
    known = Told(first_step_at=text_of(kit.START), checkpoint_seconds="3")
    assert heard(kit, running, told=known) == known
    assert heard(kit, running, told=known, served=SERVED) == known
    assert heard(kit, running) is None


def test_what_is_served_after_the_end_is_another_attempt(kit: Any) -> None:
    over = [Pod(name="m", uid="m", started=kit.START, terminal=True)]
    assert heard(kit, over, served=first(kit)) is None


@pytest.mark.parametrize("nonsense", [-1.0, 1e12, math.inf])
def test_nonsense_is_not_heard(kit: Any, running: list[Pod], nonsense: float) -> None:
    for name in (*SERVED, metrics.FIRST_STEP_TIME):
        assert heard(kit, running, served={**SERVED, **first(kit), name: nonsense}) is None


def test_the_last_word_of_a_pod_counts_more_than_what_was_served(kit: Any) -> None:
    said = Timing(first_step_at=kit.START.timestamp() - 9, checkpoint_seconds=4.5)
    outcome = Outcome(outcome=OutcomeKind.STOPPED, timing=said)
    pods = [
        Pod(name="w", uid="w", started=kit.START),
        Pod(name="m", uid="m", started=kit.START, terminal=True, outcome=outcome),
    ]
    told = heard(kit, pods, served={**SERVED, **first(kit)})
    assert told == Told(first_step_at=text_of(kit.START - kit.seconds(9)), checkpoint_seconds="4.5")


def test_a_pod_that_did_no_step_does_not_unsay_when_the_first_one_was(kit: Any) -> None:
    outcome = Outcome(outcome=OutcomeKind.FAILED, timing=Timing(checkpoint_seconds=1))
    pods = [Pod(name="m", uid="m", started=kit.START, terminal=True, outcome=outcome)]
    known = Told(first_step_at=text_of(kit.START))
    told = heard(kit, pods, told=known)
    assert told == Told(first_step_at=known.first_step_at, checkpoint_seconds="1")


def test_a_job_without_checkpoints_says_nothing_of_its_time(kit: Any, running: list[Pod]) -> None:
    stage = cast("Stage", SimpleNamespace(checkpoints=False))
    assert heard(kit, running, stage=stage, served=first(kit)) is None


GONE_ON = {metrics.RESUMED_STEP: 40.0, metrics.RESUMED_TIME: 1e9, metrics.PASSED_OVER: 2.0}


def origin(pods: list[Pod], served: dict[str, float], *, saves: bool = True) -> Any:
    world = cast("Any", SimpleNamespace(metrics=served))
    return timing.resumed(world, cast("Stage", SimpleNamespace(checkpoints=saves)), pods)


def test_where_a_running_attempt_went_on_from_is_served(running: list[Pod]) -> None:
    assert origin(running, GONE_ON) == Resumed(step=40, saved_at=1e9, passed_over=2)
    assert origin(running, {metrics.RESUMED_STEP: 0.0}) == Resumed(step=0)
    assert origin(running, {metrics.RESUMED_TIME: 1e9}) is None
    assert origin(running, GONE_ON, saves=False) is None
    assert origin([Pod(name="m", uid="m", terminal=True)], GONE_ON) is None


@pytest.mark.parametrize("nonsense", [-1.0, 1e12, math.inf, math.nan])
def test_a_time_that_is_nonsense_is_not_known(running: list[Pod], nonsense: float) -> None:
    served = {**GONE_ON, metrics.RESUMED_TIME: nonsense}
    assert origin(running, served) == Resumed(step=40, passed_over=2)


def test_the_message_at_the_end_says_once_more_where_it_went_on_from(running: list[Pod]) -> None:
    said = Timing(resumed=Resumed(step=30))
    outcome = Outcome(outcome=OutcomeKind.SUCCEEDED, timing=said)
    over = Pod(name="w", uid="w", terminal=True, outcome=outcome)
    assert origin([over], {}) == said.resumed
    assert origin([*running, over], GONE_ON) == said.resumed
    silent = Outcome(outcome=OutcomeKind.SUCCEEDED, timing=Timing())
    assert origin([replace(over, outcome=silent)], GONE_ON) is None
