from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_api.common import Attempt, PodTime
from cupola_operator.children import Placement, Pod, text_of
from cupola_operator.cost import ledger

ZERO = datetime(2026, 1, 1, tzinfo=UTC)
UIDS = count()
PRICE = Decimal("0.36")  # a device second costs 0.0001


def at(second: float) -> datetime:
    return ZERO + timedelta(seconds=second)


@pytest.fixture(scope="module")
def placement(kit: Any) -> Placement:
    return Placement(pool=kit.SETTINGS.pools[0], currency="USD", image="i")


def pod(
    start: float | None, end: float | None = None, *, gpus: int = 2, code: int = 0, **more: Any
) -> Pod:
    return Pod(
        name="p",
        uid=more.pop("uid", None) or f"u{next(UIDS)}",
        gpus=gpus,
        started=None if start is None else at(start),
        finished=None if end is None else at(end),
        terminal=more.pop("terminal", end is not None),
        exit_code=code,
        **more,
    )


def attempt(**fields: Any) -> Attempt:
    return Attempt(number=1, name="a", **fields)


def test_a_running_attempt_is_charged_until_now(placement: Placement) -> None:
    charged = ledger.charge(attempt(), [pod(0), pod(10)], now=at(100), placement=placement, gang=2)
    assert (charged.gpu_seconds, charged.cost, charged.wasted) == ("380", "0.038", "0.002")
    assert (charged.started_at, charged.ended_at) == (text_of(ZERO), None)
    assert charged.estimated is False


def test_a_gang_that_succeeded_wasted_nothing(placement: Placement) -> None:
    pods = [pod(0, 101), pod(0, 101, code=1)]
    charged = ledger.charge(
        attempt(outcome="Succeeded"), pods, now=at(500), placement=placement, gang=2
    )
    assert (charged.gpu_seconds, charged.wasted) == ("404", "0")
    assert charged.ended_at == text_of(at(101))


@pytest.mark.parametrize(
    ("checkpoint", "wasted"), [(None, "0.04"), (60, "0.016"), (-50, "0.04"), (100, "0"), (999, "0")]
)
def test_a_failed_gang_wasted_what_came_after_its_checkpoint(
    placement: Placement, checkpoint: float | None, wasted: str
) -> None:
    charged = ledger.charge(
        attempt(outcome="Failed"),
        [pod(0, 100, code=1), pod(0, 100, code=1)],
        now=at(500),
        placement=placement,
        gang=2,
        checkpoint=None if checkpoint is None else at(checkpoint),
    )
    assert (charged.cost, charged.wasted) == ("0.04", wasted)


def test_a_job_keeps_the_parts_that_were_finished(placement: Placement) -> None:
    pods = [pod(0, 10), pod(0, 30, code=1), pod(30)]
    running = ledger.charge(attempt(), pods, now=at(50), placement=placement)
    assert (running.gpu_seconds, running.wasted) == ("120", "0.006")
    failed = ledger.charge(attempt(outcome="Failed"), pods, now=at(50), placement=placement)
    assert (failed.gpu_seconds, failed.wasted) == ("120", "0.01")


def seen(uid: str, start: int | None, until: int, outcome: str | None = None) -> PodTime:
    """A pod's time as status holds it."""
    if start is None:
        return PodTime(uid=uid, gpus=2)
    started, end = text_of(at(start)), text_of(at(until))
    return PodTime(uid=uid, gpus=2, started_at=started, until=end, outcome=outcome)


def test_a_pod_counts_when_it_is_gone(placement: Placement) -> None:
    before = attempt(
        pods=[seen("u", 0, 100, "Failed"), seen("v", 0, 100, "Failed")], outcome="Lost"
    )
    charged = ledger.charge(before, [], now=at(900), placement=placement, gang=2, checkpoint=at(60))
    assert (charged.gpu_seconds, charged.cost, charged.wasted) == ("400", "0.04", "0.016")
    assert (charged.estimated, charged.ended_at) == (False, text_of(at(100)))
    assert charged.pods == before.pods


def test_a_pod_that_vanished_is_charged_until_it_was_last_seen(placement: Placement) -> None:
    before = attempt(pods=[seen("u", 0, 50), seen("v", 0, 50)], outcome="Lost")
    rest = [pod(0, 80, code=1, uid="u")]
    charged = ledger.charge(before, rest, now=at(900), placement=placement, gang=2)
    assert (charged.gpu_seconds, charged.wasted, charged.estimated) == ("260", "0.026", True)
    assert charged.ended_at == text_of(at(80))


def test_nobody_guesses_at_pods_that_were_never_seen_running(placement: Placement) -> None:
    before = attempt(pods=[seen("u", None, 0)], outcome="Lost")
    charged = ledger.charge(before, [], now=at(900), placement=placement, gang=1)
    assert (charged.gpu_seconds, charged.started_at, charged.estimated) == ("0", None, True)
    assert charged.ended_at == text_of(at(900))
    waits = [pod(None, uid="u")]
    charged = ledger.charge(before, waits, now=at(900), placement=placement, gang=1)
    assert charged.estimated is False


def test_what_was_charged_stays_when_the_end_lies_before_the_last_look(
    placement: Placement,
) -> None:
    ahead = ledger.charge(attempt(), [pod(0, uid="u")], now=at(60), placement=placement)
    assert ahead.gpu_seconds == "120"
    ended = ledger.charge(
        ahead.model_copy(update={"outcome": "Failed"}),
        [pod(0, 55, code=1, uid="u")],
        now=at(61),
        placement=placement,
    )
    assert (ended.gpu_seconds, ended.wasted, ended.estimated) == ("120", "0.012", True)


def test_an_older_view_of_a_pod_takes_nothing_back(placement: Placement) -> None:
    ended = attempt(pods=[seen("u", 0, 100, "Failed")], outcome="Lost")
    for view in (pod(None, uid="u"), pod(0, uid="u")):
        charged = ledger.charge(ended, [view], now=at(150), placement=placement)
        assert charged.pods == ended.pods
    running = attempt(pods=[seen("u", 0, 100)])
    charged = ledger.charge(running, [pod(0, uid="u")], now=at(90), placement=placement)
    assert charged.gpu_seconds == "200"
    charged = ledger.charge(running, [pod(0, uid="u")], now=at(120), placement=placement)
    assert charged.gpu_seconds == "240"


def test_a_gang_is_known_when_all_of_it_was_seen(placement: Placement) -> None:
    def uids(pods: list[Pod]) -> list[str]:
        charged = ledger.charge(attempt(), pods, now=at(9), placement=placement, gang=2)
        return [time.uid for time in charged.pods]

    assert uids([pod(None, uid="u")]) == []
    assert uids([pod(None, uid="u"), pod(None, uid="v")]) == ["u", "v"]
    assert uids([pod(0, uid="u")]) == ["u"]
    assert (
        ledger.charge(attempt(), [pod(None), pod(None)], now=at(9), placement=placement).pods == []
    )


@pytest.mark.parametrize(("seen_pods", "estimated"), [(0, True), (1, True), (2, False)])
def test_a_gang_that_was_not_seen_whole_is_estimated(
    placement: Placement, seen_pods: int, estimated: bool
) -> None:
    pods = [pod(0, 10, code=1) for _ in range(seen_pods)]
    charged = ledger.charge(attempt(outcome="Lost"), pods, now=at(90), placement=placement, gang=2)
    assert charged.estimated is estimated


@pytest.mark.parametrize(("outcome", "estimated"), [("Lost", True), ("Failed", False)])
def test_a_lost_job_of_which_no_pod_was_seen_is_estimated(
    placement: Placement, outcome: str, estimated: bool
) -> None:
    charged = ledger.charge(attempt(outcome=outcome), [], now=at(90), placement=placement)
    assert charged.estimated is estimated


def test_status_stays_bounded_and_no_cent_is_lost(placement: Placement) -> None:
    many = [pod(0, 10, uid=f"p{i}") for i in range(ledger.MAX_PODS + 6)]
    charged = ledger.charge(attempt(), many, now=at(90), placement=placement)
    assert len(charged.pods) == ledger.MAX_PODS
    assert charged.gpu_seconds == str(20 * len(many))
    later = ledger.charge(
        charged.model_copy(update={"outcome": "Failed"}), many[:9], now=at(99), placement=placement
    )
    assert (later.gpu_seconds, later.estimated) == (charged.gpu_seconds, True)


def test_pods_that_were_never_seen_together_are_not_guessed(placement: Placement) -> None:
    charged = ledger.charge(attempt(), [pod(0)], now=at(50), placement=placement, gang=4)
    assert charged.gpu_seconds == "100"


def test_an_end_that_was_not_seen_is_the_last_evidence(placement: Placement) -> None:
    pods = [pod(0, terminal=True, code=1, last_seen=at(40))]
    charged = ledger.charge(attempt(outcome="Lost"), pods, now=at(900), placement=placement)
    assert (charged.gpu_seconds, charged.estimated) == ("80", True)
    believed = [pod(0, 30, code=137, estimated=True)]
    charged = ledger.charge(attempt(outcome="Lost"), believed, now=at(900), placement=placement)
    assert (charged.gpu_seconds, charged.estimated) == ("60", True)
    nothing = [pod(0, terminal=True, code=1)]
    charged = ledger.charge(attempt(outcome="Lost"), nothing, now=at(900), placement=placement)
    assert (charged.gpu_seconds, charged.estimated) == ("0", True)


def test_an_end_in_whole_seconds_is_no_surprise_after_a_look_between_them(
    placement: Placement,
) -> None:
    looked = ledger.charge(attempt(), [pod(0, uid="u")], now=at(39.9), placement=placement)
    assert looked.gpu_seconds == "78"
    ended = ledger.charge(
        looked.model_copy(update={"outcome": "Succeeded"}),
        [pod(0, 39, uid="u")],
        now=at(40.1),
        placement=placement,
    )
    assert (ended.gpu_seconds, ended.estimated) == ("78", False)


def test_a_pod_that_never_started_costs_nothing(placement: Placement) -> None:
    charged = ledger.charge(
        attempt(outcome="Failed"), [pod(None)], now=at(900), placement=placement
    )
    assert (charged.gpu_seconds, charged.cost, charged.started_at) == ("0", "0", None)


def test_a_clock_that_runs_backwards_costs_nothing(placement: Placement) -> None:
    charged = ledger.charge(
        attempt(outcome="Failed"), [pod(50, 20, code=1)], now=at(900), placement=placement
    )
    assert charged.gpu_seconds == "0"


def test_the_total_of_a_run(placement: Placement) -> None:
    attempts = [
        attempt(gpu_seconds="3600", cost="0.36", wasted="0.1"),
        attempt(gpu_seconds="1800", cost="0.18"),
    ]
    cost = ledger.total(attempts, placement, to_come=Decimal(3600), rate=PRICE)
    assert (cost.accrued, cost.projected, cost.wasted) == ("0.54", "0.9", "0.1")
    assert (cost.gpu_hours, cost.energy_kwh, cost.currency) == ("1.5", "0.039", "USD")


def test_entries_that_are_added_up_keep_every_figure() -> None:
    first = attempt(
        gpu_seconds="1.5",
        cost="0.1",
        wasted="0.05",
        started_at=text_of(ZERO),
        estimated=True,
        checkpoint_step=9,
        outcome="Failed",
    )
    second = Attempt(
        number=2, name="b", gpu_seconds="2", cost="0.2", outcome="Lost", message="gone"
    )
    both = ledger.added(first, second)
    assert (both.number, both.name, both.outcome) == (2, "b", "Lost")
    assert (both.gpu_seconds, both.cost, both.wasted) == ("3.5", "0.3", "0.05")
    assert (both.started_at, both.estimated, both.checkpoint_step) == (text_of(ZERO), True, 9)
    assert both.message == "attempts up to 2, added up; the last: gone"


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0"), ("100", "100"), ("0.1000004", "0.1"), ("1E+2", "100"), ("0.0000005", "0")],
)
def test_amounts(value: str, text: str) -> None:
    assert ledger.amount(Decimal(value)) == text


SECOND = st.integers(0, 60)
PODS = st.lists(
    st.builds(
        lambda start, length, gpus, code: pod(
            start, None if length is None else start + length, gpus=gpus, code=code
        ),
        SECOND,
        st.none() | SECOND,
        st.integers(1, 8),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=6,
)


def by_the_second(pods: list[Pod], now: int, held: Any) -> Decimal:
    """Device seconds, counted one by one."""
    seconds = 0
    for one in pods:
        for second in range(now):
            begun = one.started is not None and one.started <= at(second)
            over = one.finished is not None and one.finished <= at(second)
            if begun and not over and held(one, second):
                seconds += one.gpus
    return Decimal(seconds)


@given(
    pods=PODS,
    outcome=st.sampled_from([None, "Succeeded", "Failed", "Lost"]),
    gang=st.booleans(),
    checkpoint=st.none() | SECOND,
)
def test_figures_equal_those_of_counting_seconds(
    placement: Placement, pods: list[Pod], outcome: str | None, gang: bool, checkpoint: int | None
) -> None:
    now = 130
    charged = ledger.charge(
        attempt(outcome=outcome),
        pods,
        now=at(now),
        placement=placement,
        gang=len(pods) if gang else None,
        checkpoint=None if checkpoint is None else at(checkpoint),
    )
    used = by_the_second(pods, now, lambda *_: True)
    failed = outcome not in (None, "Succeeded")
    if gang:
        whole = max((one.started - ZERO).seconds for one in pods)
        broke = min(((one.finished or at(999)) - ZERO).seconds for one in pods)
        kept = 999 if not failed else checkpoint or 0
        wasted = by_the_second(pods, now, lambda _, t: t < whole or t >= min(broke, kept))
    elif failed:
        wasted = by_the_second(pods, now, lambda one, _: not one.succeeded)
    else:
        wasted = by_the_second(pods, now, lambda one, _: one.failed)
    assert Decimal(charged.gpu_seconds) == used
    assert Decimal(charged.cost) == used * PRICE / 3600
    assert Decimal(charged.wasted) == wasted * PRICE / 3600
    unended = any(one.started and not one.terminal for one in pods)
    assert charged.estimated is (outcome is not None and unended)


@given(pods=PODS, later=st.integers(0, 100))
def test_what_was_charged_is_never_taken_back(
    placement: Placement, pods: list[Pod], later: int
) -> None:
    first = ledger.charge(attempt(), pods, now=at(130), placement=placement)
    fewer = ledger.charge(first, pods[1:], now=at(130 + later), placement=placement)
    assert Decimal(fewer.gpu_seconds) >= Decimal(first.gpu_seconds)
    assert Decimal(fewer.cost) >= Decimal(first.cost)


def test_each_attempt_pays_the_price_and_takes_the_power_of_its_pool(kit: Any) -> None:
    dear = kit.SETTINGS.pools[0].model_copy(
        update={"name": "dear", "price_per_gpu_hour": "3.6", "gpu_watts": 190.0}
    )
    placement = Placement(pool=kit.SETTINGS.pools[0], others=[dear], currency="USD", image="i")
    held = [Pod(name="p", uid="p", gpus=1, started=kit.START)]
    now = kit.START + timedelta(seconds=1000)
    cheap, other = (
        ledger.charge(Attempt(number=1, name="a", pool=name), held, now=now, placement=placement)
        for name in ("cpu", "dear")
    )
    assert (cheap.cost, other.cost) == ("0.1", "1")
    for one in (placement, placement.on("dear")):
        cost = ledger.total([cheap, other], one)
        assert cost.accrued == "1.1"
        assert cost.energy_kwh == ledger.amount(Decimal(1300 * (20 + 200)) / 3_600_000)


def test_what_evicted_pods_used_stays_and_is_not_wasted(kit: Any, placement: Placement) -> None:
    def gang(names: str, start: float, end: float | None = None) -> list[Pod]:
        return [
            Pod(
                name=name,
                uid=name,
                gpus=1,
                started=at(start),
                terminal=end is not None,
                exit_code=1 if end else None,
                finished=at(end) if end else None,
            )
            for name in names
        ]

    def charged(attempt: Attempt, pods: list[Pod], now: float, **more: Any) -> Attempt:
        return ledger.charge(attempt, pods, now=at(now), placement=placement, gang=2, **more)

    first = charged(Attempt(number=1, name="a"), gang("ab", 0, 100), 200)
    assert (first.gpu_seconds, first.started_at) == ("200", text_of(at(0)))
    waits = ledger.evicted(first)
    assert waits.evicted
    assert (waits.pods, waits.evictions, waits.evicted.gpu_seconds, waits.estimated) == (
        *([], 1, "200"),
        False,
    )
    later = charged(waits, [], 900)
    assert later == waits.model_copy(update={"queue_seconds": "800"})
    second = charged(waits, gang("cd", 1000), 1050)
    assert (second.gpu_seconds, second.cost, second.started_at) == ("300", "0.03", text_of(at(0)))
    failed = second.model_copy(update={"outcome": "Failed"})
    ended = charged(failed, gang("cd", 1000, 1060), 1070, checkpoint=at(1040))
    assert (ended.gpu_seconds, ended.wasted, ended.estimated) == ("320", "0.004", False)
    twice = ledger.evicted(second)
    assert twice.evicted
    assert (twice.evictions, twice.evicted.gpu_seconds, twice.estimated) == (2, "300", True)
    guessed = charged(twice, gang("ef", 2000), 2010)
    assert (guessed.estimated, guessed.gpu_seconds) == (True, "320")


def test_evicted_pods_that_were_charged_beyond_their_end_are_a_guess(placement: Placement) -> None:
    """Kueue's gang ends before an operator whose clock is fast last charged it."""

    def pod(**more: Any) -> Pod:
        return Pod(name="a", uid="a", gpus=1, started=at(0), **more)

    attempt = Attempt(number=1, name="a")
    running = ledger.charge(attempt, [pod()], now=at(22), placement=placement, gang=1)
    gone = pod(terminal=True, exit_code=1, finished=at(21))
    ended = ledger.charge(running, [gone], now=at(23), placement=placement, gang=1)
    assert (ended.gpu_seconds, ended.estimated) == ("22", False)
    assert ledger.evicted(ended).estimated


@pytest.mark.parametrize(
    ("outcome", "estimated"),
    [("Lost", True), ("Stopped", True), ("Failed", False), ("Succeeded", False), (None, False)],
)
def test_a_job_that_ended_before_any_pod_was_seen_is_a_guess(
    placement: Placement, outcome: str | None, estimated: bool
) -> None:
    attempt = Attempt(number=1, name="a", outcome=outcome)
    charged = ledger.charge(attempt, [], now=at(9), placement=placement)
    assert charged.estimated is estimated
