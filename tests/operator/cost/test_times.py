"""The times of pods as status holds them, and what becomes of them when pods are many or gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cupola_api.common import Attempt
from cupola_operator.children import Placement, Pod, text_of
from cupola_operator.cost import ledger

ZERO = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: float) -> datetime:
    return ZERO + timedelta(seconds=second)


@pytest.fixture(scope="module")
def placement(kit: Any) -> Placement:
    return Placement(pool=kit.SETTINGS.pools[0], currency="USD", image="i")


def attempt(**fields: Any) -> Attempt:
    return Attempt(number=1, name="a", **fields)


def pod(uid: str, start: float | None) -> Pod:
    return Pod(name=uid, uid=uid, gpus=2, started=None if start is None else at(start))


def test_pods_beyond_those_that_status_holds_are_charged_until_now(placement: Placement) -> None:
    pods = [pod(f"p{number}", 0) for number in range(ledger.MAX_PODS + 2)]
    charged = ledger.charge(attempt(), pods, now=at(30), placement=placement)
    assert charged.gpu_seconds == str(2 * 30 * len(pods))
    assert len(charged.pods) == ledger.MAX_PODS


def test_an_end_that_was_told_stays_when_nothing_is_left_of_the_attempt(
    placement: Placement,
) -> None:
    ended = attempt(outcome="Failed", ended_at=text_of(at(40)))
    assert ledger.charge(ended, [], now=at(90), placement=placement).ended_at == text_of(at(40))


def test_a_pod_that_waits_holds_devices_of_its_gang_and_no_time(placement: Placement) -> None:
    pods = [pod("u", 0), pod("v", None)]
    charged = ledger.charge(attempt(), pods, now=at(30), placement=placement, gang=2)
    assert [(time.uid, time.gpus, time.started_at) for time in charged.pods] == [
        ("u", 2, text_of(at(0))),
        ("v", 2, None),
    ]
    assert charged.gpu_seconds == "60"


def test_that_a_pod_runs_is_seen_and_not_estimated(placement: Placement) -> None:
    charged = ledger.charge(attempt(), [pod("u", 0)], now=at(30), placement=placement)
    (time,) = charged.pods
    assert (time.until, time.outcome, time.estimated) == (text_of(at(30)), None, False)
    assert charged.estimated is False
