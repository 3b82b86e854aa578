"""What device time of a gang went into: it is cut at what changed for all pods."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_api.common import Attempt
from cupola_api.spent import Causes
from cupola_operator.children import Pod, text_of
from cupola_operator.cost import causes, ledger
from cupola_operator.cost.causes import NAMES, Tally

from .charging import SECOND, TIMES, ZERO, add_up, at, charge, placement, pod, split, told

GANG = [pod("m", 0, 100), pod("w", 10, 110)]


def test_a_gang_is_idle_until_all_have_started_and_after_one_has_ended() -> None:
    found = charge("Succeeded", GANG)
    assert split(found) == {"productive": "360", "idle": "40"}
    assert split(found, money=True) == {"productive": "0.036", "idle": "0.004"}
    assert found.wasted == "0.004"


def test_up_to_the_first_step_it_starts_up() -> None:
    assert split(charge("Succeeded", GANG, told(25))) == {
        "productive": "300",
        "start_up": "60",
        "idle": "40",
    }
    assert split(charge("Succeeded", GANG, told(5))) == {"productive": "360", "idle": "40"}
    assert split(charge("Succeeded", GANG, told(500))) == {"start_up": "360", "idle": "40"}


def test_a_running_gang_starts_up_until_a_first_step_was_heard_of() -> None:
    running = [pod("m", 0), pod("w", 10)]
    assert split(charge(None, running)) == {"start_up": "760", "idle": "20"}
    assert split(charge(None, running, told(60))) == {
        "productive": "560",
        "start_up": "200",
        "idle": "20",
    }


def test_a_gang_that_is_not_whole_yet_is_idle() -> None:
    assert split(charge(None, [pod("m", 0), pod("w", None)])) == {"idle": "400"}
    assert split(charge("Failed", [pod("m", 0, 50), pod("w", None)])) == {"idle": "100"}


@pytest.mark.parametrize(
    ("checkpoint", "expected"),
    [
        (None, {"lost_work": "360", "idle": "40"}),
        (-9, {"lost_work": "360", "idle": "40"}),
        (10, {"lost_work": "360", "idle": "40"}),
        (20, {"start_up": "40", "lost_work": "320", "idle": "40"}),
        (60, {"start_up": "80", "productive": "120", "lost_work": "160", "idle": "40"}),
        (100, {"start_up": "80", "productive": "280", "idle": "40"}),
        (999, {"start_up": "80", "productive": "280", "idle": "40"}),
    ],
)
def test_what_came_after_the_last_checkpoint_is_lost(
    checkpoint: int | None, expected: dict[str, str]
) -> None:
    time = None if checkpoint is None else at(checkpoint)
    found = charge("Lost", GANG, told(30), checkpoint=time)
    assert split(found) == expected
    wasted = sum(Decimal(expected.get(name, "0")) for name in ("lost_work", "idle"))
    assert Decimal(found.wasted or 0) == wasted * SECOND


def test_a_first_step_that_was_never_told_of_is_no_start_up() -> None:
    assert split(charge("Lost", GANG, checkpoint=at(60))) == {
        "productive": "200",
        "lost_work": "160",
        "idle": "40",
    }


def test_waiting_for_checkpoints_and_validation_is_set_apart_from_what_is_kept() -> None:
    found = charge("Succeeded", GANG, told(30, "2.5", "10"))
    assert split(found) == {
        "productive": "230", "start_up": "80", "checkpoint": "10", "evaluation": "40", "idle": "40",
    }  # fmt: skip
    assert split(found, money=True)["checkpoint"] == "0.001"
    lost = charge("Failed", GANG, told(30, "2.5", "10"), checkpoint=at(33))
    assert split(lost) == {
        "start_up": "80", "checkpoint": "10", "evaluation": "2", "lost_work": "268", "idle": "40",
    }  # fmt: skip


def test_what_nobody_saw_start_had_started_if_it_worked() -> None:
    one = [pod("m", 0, 100)]
    assert split(charge("Lost", one)) == {"idle": "200"}
    assert split(charge("Lost", one, told(20))) == {"lost_work": "200"}
    assert split(charge("Succeeded", one)) == {"productive": "200"}
    assert split(charge("Lost", one, checkpoint=at(40))) == {"productive": "80", "lost_work": "120"}
    assert split(charge("Lost", one, checkpoint=at(-1))) == {"idle": "200"}


def test_a_pod_that_took_the_place_of_one_that_ended_is_idle() -> None:
    before = charge(None, [pod("m", 0), pod("w", 0)], told(0), now=at(50))
    failed = before.model_copy(update={"outcome": "Lost"})
    pods = [pod("m", 0, 90), pod("w", 0, 60), pod("w2", 70, 95)]
    found = ledger.charge(
        failed, pods, now=at(200), placement=placement(), gang=2, checkpoint=at(30)
    )
    assert split(found) == {"productive": "120", "lost_work": "120", "idle": "110"}


def test_of_more_pods_than_status_holds_the_gang_is_whole_when_the_last_has_started() -> None:
    size = ledger.MAX_PODS + 2
    pods = [pod(f"p{number}", 0, gpus=1) for number in range(size - 1)]
    waits = charge(None, [*pods, pod("last", None)], gang=size, now=at(10))
    assert split(waits) == {"idle": str(10 * (size - 1))}
    runs = charge(None, [*pods, pod("last", 0, gpus=1)], told(4), gang=size, now=at(10))
    assert split(runs) == {"productive": str(6 * size), "start_up": str(4 * size)}


def test_what_was_charged_beyond_the_end_is_lost_if_the_attempt_is() -> None:
    ahead = charge(None, [pod("m", 0), pod("w", 0)], told(0), now=at(60))
    for outcome, cause in (("Failed", "lost_work"), ("Succeeded", "productive")):
        ended = ahead.model_copy(update={"outcome": outcome})
        pods = [pod("m", 0, 50), pod("w", 0, 50)]
        found = ledger.charge(ended, pods, now=at(61), placement=placement(), gang=2)
        assert split(found) == {cause: "240"}
        assert split(found, money=True) == {cause: "0.024"}
        assert found.estimated


def test_a_price_that_changes_while_pods_run_counts_from_then_on() -> None:
    prices = [{"from": "2026-01-01T00:00:40Z", "pricePerGpuHour": "0.72"}]
    found = charge("Lost", GANG, told(30), checkpoint=at(60), placement=placement(prices=prices))
    assert split(found) == {"start_up": "80", "productive": "120", "lost_work": "160", "idle": "40"}
    # of the work that is kept 10 s cost half, and of idle time the first 20 device seconds
    assert split(found, money=True) == {
        "start_up": "0.008", "productive": "0.02", "lost_work": "0.032", "idle": "0.006",
    }  # fmt: skip
    assert (found.cost, found.wasted) == ("0.066", "0.038")


def test_pods_on_nodes_that_can_be_taken_away_cost_the_spot_price() -> None:
    cheap = placement(spotPricePerGpuHour="0.036", spotNodes={"spot": "yes"})
    pods = [pod("m", 0, 100, spot=True), pod("w", 0, 100, spot=False)]
    found = charge("Succeeded", pods, told(0), placement=cheap)
    assert (found.gpu_seconds, found.cost) == ("400", "0.022")
    assert [time.spot for time in found.pods] == [True, False]
    later = [pod("m", 0, 100), pod("w", 0, 100)]  # nobody looked again
    again = ledger.charge(found, later, now=at(200), placement=cheap, gang=2)
    assert (again.cost, again.pods) == (found.cost, found.pods)


def test_of_more_pods_than_status_holds_those_beyond_are_as_those_that_it_holds() -> None:
    cheap = placement(spotPricePerGpuHour="0.036", spotNodes={"spot": "yes"})
    size = ledger.MAX_PODS + 2
    held = [pod(f"p{n}", 0, gpus=1, spot=True) for n in range(ledger.MAX_PODS)]
    beyond = [pod(f"q{n}", 0, gpus=1) for n in range(2)]
    found = charge(None, [*held, *beyond], gang=size, now=at(100), placement=cheap)
    assert Decimal(found.cost or 0) == size * 100 * SECOND / 10
    mixed = [*held[1:], pod("p0", 0, gpus=1, spot=False), *beyond]
    found = charge(None, mixed, gang=size, now=at(100), placement=cheap)
    assert Decimal(found.cost or 0) == ((size - 3) + 3 * 10) * 100 * SECOND / 10


def test_without_a_price_there_is_time_and_no_money() -> None:
    free = placement(pricePerGpuHour=None)
    found = charge("Lost", GANG, placement=free, checkpoint=at(60))
    assert (found.gpu_seconds, found.cost, found.costs, found.wasted) == ("400", None, None, None)
    assert split(found) == {"productive": "200", "lost_work": "160", "idle": "40"}
    cost = ledger.total([found], free, to_come=Decimal(100), rate=None)
    assert (cost.accrued, cost.projected, cost.wasted, cost.causes) == (None,) * 4
    assert (cost.currency, cost.gpu_hours, cost.energy_kwh) == (None, "0.111111", "0.000144")


def test_money_that_was_spent_stays_when_the_price_is_not_known_any_more() -> None:
    found = charge("Lost", GANG)
    free = placement(pricePerGpuHour=None)
    again = ledger.charge(found, GANG, now=at(200), placement=free, gang=2)
    assert again.cost == found.cost == "0.04"
    assert ledger.total([again], free).accrued == "0.04"


def test_each_cause_is_rounded_down_and_the_largest_takes_the_rest() -> None:
    thirds = placement(pricePerGpuHour="0.000001")
    pods = [pod("m", 0, 40), pod("w", 10, 50)]
    found = charge("Lost", pods, told(20), checkpoint=at(30), placement=thirds)
    assert split(found) == {"start_up": "40", "productive": "40", "lost_work": "40", "idle": "40"}
    assert found.cost == "0"
    dear = placement(pricePerGpuHour="0.0005")
    found = charge("Lost", pods, told(20), checkpoint=at(30), placement=dear)
    # 40 device seconds cost 5.55 millionths, and all 160 of them 22.2
    assert (found.cost, split(found, money=True)) == (
        "0.000022",
        {"productive": "0.000007", "lost_work": "0.000005", "start_up": "0.000005", "idle": "0.000005"},
    )  # fmt: skip
    assert found.wasted == "0.00001"


@pytest.mark.parametrize(
    ("units", "total"),
    [(0, 0), (1, 0), (3, 2), (4, 2), (5, 2), (6, 3), (7, 4), (9, 4)],
)
def test_the_whole_is_rounded_to_the_nearest_and_half_to_even(units: int, total: int) -> None:
    half = 1_800_000_000  # microseconds x millionths an hour of half a millionth
    tally = Tally([0] * 6, [0, units * half, 0, 0, 0, 0])
    assert causes.amounts(tally)[0] == total


def test_the_time_that_it_waited_for_devices() -> None:
    def queued(pods: list[Pod], now: float, **fields: Any) -> str | None:
        attempt = Attempt(number=1, name="a", queued_at=text_of(ZERO), **fields)
        found = ledger.charge(attempt, pods, now=at(now), placement=placement(), gang=1)
        return found.queue_seconds

    assert queued([], 30) == "30"
    assert queued([pod("m", None)], 31) == "31"
    assert queued([pod("m", 12)], 40) == "12"
    assert queued([pod("m", -5)], 40) == "0"
    assert queued([], 40, outcome="Lost", ended_at=text_of(at(20))) == "20"
    unknown = ledger.charge(
        Attempt(number=1, name="a"), [pod("m", 12)], now=at(40), placement=placement(), gang=1
    )
    assert unknown.queue_seconds is None


def test_what_evicted_pods_did_and_how_long_it_waited_stays() -> None:
    attempt = Attempt(number=1, name="a", queued_at=text_of(at(-30)), told=told(20, "5"))
    ran = ledger.charge(attempt, GANG, now=at(150), placement=placement(), gang=2)
    assert split(ran) == {
        "start_up": "40", "productive": "300", "checkpoint": "20", "idle": "40",
    }  # fmt: skip
    waits = ledger.evicted(ran)
    assert (waits.told, waits.queued_at) == (None, text_of(at(110)))
    assert waits.evicted
    assert (waits.evicted.queue_seconds, waits.evicted.cost) == ("30", "0.04")
    back = [pod("x", 300), pod("y", 300)]
    again = ledger.charge(waits, back, now=at(310), placement=placement(), gang=2)
    assert split(again) == {
        "start_up": "80", "productive": "300", "checkpoint": "20", "idle": "40",
    }  # fmt: skip
    assert (again.queue_seconds, again.cost) == ("220", "0.044")
    lost = again.model_copy(update={"outcome": "Lost"})
    ended = [pod("x", 300, 320), pod("y", 300, 320)]
    found = ledger.charge(lost, ended, now=at(330), placement=placement(), gang=2)
    assert split(found)["lost_work"] == "80"
    assert split(found, money=True) == {
        "start_up": "0.004", "productive": "0.03", "checkpoint": "0.002", "idle": "0.004",
        "lost_work": "0.008",
    }  # fmt: skip


def test_evicted_before_any_charge_by_cause_it_was_all_work() -> None:
    old = Attempt(number=1, name="a", gpu_seconds="50", queued_at=text_of(ZERO))
    waits = ledger.evicted(old)
    assert waits.evicted
    assert waits.evicted.causes == Causes(productive="50")
    assert (waits.evicted.queue_seconds, waits.queued_at) == ("0", text_of(ZERO))


def test_what_a_device_hour_costs_now() -> None:
    cheap = placement(
        spotPricePerGpuHour="0.04",
        spotNodes={"spot": "yes"},
        prices=[{"from": "2026-01-01T00:01:00Z", "pricePerGpuHour": "0.8"}],
    )
    assert ledger.rate([], cheap, ZERO) == Decimal("0.36")
    assert ledger.rate([], cheap, at(60)) == Decimal("0.8")
    assert ledger.rate([], placement(pricePerGpuHour=None), ZERO) is None
    pods = [pod("m", 0, gpus=3, spot=True), pod("w", 0, gpus=1)]
    runs = charge(None, pods, placement=cheap, now=at(30))
    assert ledger.rate([runs], cheap, at(30)) == Decimal("0.12")  # (3 x 0.04 + 0.36) / 4
    over = charge("Failed", [pod("m", 0, 9, spot=True)], placement=cheap)
    assert ledger.rate([runs, over], cheap, at(30)) == Decimal("0.36")


def test_prices_to_come_count_for_what_is_to_come_after_them() -> None:
    cheap = placement(
        spotPricePerGpuHour="0.04",
        spotNodes={"spot": "yes"},
        prices=[
            {"from": "2026-01-01T00:01:00Z", "pricePerGpuHour": "0.8"},
            {"from": "2026-01-01T00:02:00Z", "pricePerGpuHour": "1.6"},
        ],
    )
    pods = [pod("m", 0, gpus=3, spot=True), pod("w", 0, gpus=1)]
    runs = charge(None, pods, placement=cheap, now=at(30))

    def rate(seconds: int, held: list[Attempt]) -> Decimal | None:
        return ledger.rate(held, cheap, at(30), Decimal(4 * seconds))

    assert rate(30, [runs]) == Decimal("0.12")
    assert rate(40, [runs]) == Decimal("0.1475")  # a quarter of it at (3 x 0.04 + 0.8) / 4
    # 30 s at 0.36, 60 at 0.8 and 30 at 1.6 an hour for one; 0.04 for three
    assert rate(120, [runs]) == (3 * Decimal("0.04") + Decimal("0.89")) / 4
    assert rate(120, []) == Decimal("0.36")  # nothing is held, nobody knows until when
    forever = ledger.rate([runs], cheap, at(30), Decimal(10) ** 15)
    assert forever
    assert Decimal("0.42") < forever <= Decimal("0.43")  # (3 x 0.04 + 1.6) / 4


def test_the_total_is_split_as_its_attempts_are() -> None:
    first = charge("Lost", GANG, told(30), checkpoint=at(60))
    second = charge("Succeeded", GANG, told(30, "2.5", "10"))
    queued = [one.model_copy(update={"queue_seconds": "1.5"}) for one in (first, second)]
    cost = ledger.total(queued, placement())
    assert cost.causes
    assert {name: getattr(cost.causes, name) for name in NAMES} == {
        "productive": "0.035", "lost_work": "0.016", "start_up": "0.016", "checkpoint": "0.001",
        "evaluation": "0.004", "idle": "0.008",
    }  # fmt: skip
    assert (cost.accrued, cost.wasted, cost.queue_seconds) == ("0.08", "0.024", "3")
    both = ledger.added(*queued)
    assert (both.cost, both.wasted, both.queue_seconds) == ("0.08", "0.024", "3")
    assert (both.costs, both.gpu_seconds) == (cost.causes, "800")
    assert both.causes
    assert both.causes.lost_work == "160"


def test_entries_without_money_add_up_to_none() -> None:
    first = Attempt(number=1, name="a", gpu_seconds="1")
    both = ledger.added(first, first.model_copy(update={"cost": "2", "gpu_seconds": "2"}))
    assert (both.cost, both.wasted, both.causes, both.gpu_seconds) == ("2", None, None, "3")


@given(
    pods=st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 8), st.booleans()),
        min_size=1,
        max_size=5,
    ),
    outcome=st.sampled_from([None, "Succeeded", "Failed", "Lost", "Stopped"]),
    first=TIMES,
    kept=TIMES,
    saving=st.decimals(0, 90, places=3),
    validating=st.decimals(0, 90, places=3),
    change=st.integers(1, 100),
    price=st.decimals("0", "9", places=6),
)
def test_the_causes_always_add_up(
    *,
    pods: list[Any],
    outcome: str | None,
    first: int | None,
    kept: int | None,
    saving: Decimal,
    validating: Decimal,
    change: int,
    price: Decimal,
) -> None:
    gang = [pod(str(n), start, start + length, gpus=gpus, spot=spot)
            for n, (start, length, gpus, spot) in enumerate(pods)]  # fmt: skip
    moment = text_of(at(change))
    somewhere = placement(
        pricePerGpuHour=str(price),
        spotPricePerGpuHour="0.123457",
        spotNodes={"spot": "yes"},
        prices=[{"from": moment, "pricePerGpuHour": "1.000001"}],
    )
    found = charge(
        outcome,
        gang,
        told(first, str(saving), str(validating)),
        gang=len(gang),
        placement=somewhere,
        checkpoint=None if kept is None else at(kept),
    )
    add_up(found)
    assert found.costs
    wasted = Decimal(found.costs.lost_work) + Decimal(found.costs.idle)
    assert Decimal(found.wasted or 0) == wasted


def test_money_that_was_charged_by_a_clock_that_was_ahead_stays_as_a_guess() -> None:
    """As much time in all, but less of it at the higher price."""
    cheap = placement(spotPricePerGpuHour="0.036", spotNodes={"spot": "yes"})
    ahead = charge(None, [pod("m", -10), pod("w", 0, spot=True)], now=at(0), placement=cheap)
    pods = [pod("m", -10, -5), pod("w", 0, 5, spot=True)]
    ended = ahead.model_copy(update={"outcome": "Failed"})
    found = ledger.charge(ended, pods, now=at(9), placement=cheap, gang=2)
    assert (found.gpu_seconds, found.cost, found.estimated) == ("20", "0.002", True)
