from __future__ import annotations

import random

import pytest

from cupola_operator.plan.speed.pace import Pace


def of(times: list[float]) -> Pace:
    return Pace(len(times), sum(times), sum(time * time for time in times))


def test_steps_that_are_all_alike_foretell_exactly() -> None:
    assert of([2.0] * 50).step(1000).ends == pytest.approx((2.0, 2.0, 2.0))


def test_the_range_is_wider_the_more_steps_differ_and_the_fewer_were_seen() -> None:
    def width(pace: Pace, to_come: int = 1000) -> float:
        found = pace.step(to_come)
        return found.high / found.low

    calm, busy = [1.0, 1.1] * 20, [1.0, 2.0] * 20
    assert width(of(calm)) < width(of(busy)) < width(of(busy[:20]))
    assert width(of(busy), 10) > width(of(busy), 1000)


def test_half_of_the_spread_never_averages_out() -> None:
    times = [0.5, 1.5] * 50_000
    found = of(times).step(10**9)
    # t of many is 1.28, half of the spread 0.25 of the mean
    assert found.high == pytest.approx(1.0 * 2.718281828 ** (1.28155 * 0.5 * 0.5), rel=1e-3)
    assert found.low * found.high == pytest.approx(1.0)


def test_what_differs_beyond_sense_has_a_range_all_the_same() -> None:
    wild = Pace(20, 20.0, 20.0**2)
    found = wild.step(1)
    assert 0 < found.low < 1.0 < found.high < 25


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_stays_within_the_range(seed: int) -> None:
    dice = random.Random(seed)
    times = [dice.gauss(1.0, 0.1) for _ in range(400)]
    found = of(times[:100]).step(300)
    assert found.low < sum(times[100:]) / 300 < found.high
