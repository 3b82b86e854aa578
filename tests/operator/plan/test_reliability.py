from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import reliability

HOUR = 3600.0
saves = st.floats(1, 600)
gaps = st.floats(2 * HOUR, 1e7)


def test_the_first_term_is_youngs() -> None:
    """Where failures are rare the interval is sqrt(2 d M), less the save itself."""
    found = reliability.best_interval(1.0, 1e9)
    assert found == pytest.approx(math.sqrt(2 * 1e9), rel=1e-3)


@given(saves, gaps, st.floats(0.3, 3))
def test_no_other_interval_is_much_better(save: float, between: float, factor: float) -> None:
    best = reliability.best_interval(save, between)
    here = reliability.goodput(best, save, 300, between)
    assert reliability.goodput(best * factor, save, 300, between) <= here * (1 + 1e-3)


def test_where_failures_are_faster_than_saves_it_is_the_time_between_them() -> None:
    assert reliability.best_interval(100, 10) == 10


def test_goodput_agrees_with_failures_that_are_drawn() -> None:
    """A run that is simulated failure by failure makes the progress that the formula says."""
    interval, save, restart, between = 1800.0, 120.0, 600.0, 4 * HOUR
    drawn = random.Random(7)
    clock = done = 0.0
    failure = drawn.expovariate(1 / between)
    while done < 3_000 * interval:
        need = interval + save
        while clock + need > failure:
            clock = failure
            failure = clock + drawn.expovariate(1 / between)
            need = restart + interval + save
        clock += need
        done += interval
    assert done / clock == pytest.approx(
        reliability.goodput(interval, save, restart, between), rel=0.02
    )


def test_hardly_anything_is_done_where_nothing_is_ever_saved() -> None:
    assert reliability.goodput(1e6, 10, 10, 1.0) == 0
    assert reliability.goodput(10, 10, 1e6, 1.0) == 0


def run(nodes: int, days: float, interval: float | None = None) -> reliability.Reliability:
    return reliability.of_run(
        work=Estimate.exactly(days * reliability.DAY),
        nodes=nodes,
        save=Estimate(30, 60, 120),
        restart=Estimate(120, 300, 900),
        interval=interval,
        failures_per_node_day=Estimate(0.0038, 0.0038, 0.0141),
    )


def test_54_days_of_llama_3_meet_as_many_failures_as_were_counted() -> None:
    """419 unexpected ones on 2,048 nodes in 54 days of wall-clock time (arXiv 2407.21783, 3.3.4)."""
    share = run(2048, 1).goodput.expected
    found = run(2048, 54 * share)
    assert found.failures.expected == pytest.approx(419, rel=0.01)
    assert found.failures.low <= 419 <= found.failures.high


def test_what_is_uncertain_widens_the_range_of_goodput() -> None:
    known = reliability.of_run(
        work=Estimate.exactly(1e6),
        nodes=1024,
        save=Estimate.exactly(60),
        restart=Estimate.exactly(300),
        interval=None,
        failures_per_node_day=Estimate.exactly(0.0038),
    )
    assert known.goodput.low == known.goodput.high
    assert run(1024, 10).goodput.low < known.goodput.expected < run(1024, 10).goodput.high


@given(st.integers(1, 4000), st.floats(0.1, 100))
def test_more_nodes_fail_more_often_and_want_to_be_saved_more_often(
    nodes: int, days: float
) -> None:
    few, many = run(nodes, days), run(2 * nodes, days)
    assert many.failures.expected > few.failures.expected
    assert many.interval.expected < few.interval.expected
    assert many.goodput.expected < few.goodput.expected
    assert 0 <= many.goodput.low <= many.goodput.expected <= many.goodput.high <= 1


def test_an_interval_of_the_spec_is_not_better_than_the_best_which_is_said_all_the_same() -> None:
    best, given_one = run(256, 30), run(256, 30, interval=6 * HOUR)
    assert given_one.goodput.expected < best.goodput.expected
    assert given_one.interval == best.interval


def test_a_share_of_a_month_becomes_a_daily_rate() -> None:
    rate = reliability.preemptions_per_node_day(Estimate(0.05, 0.1, 0.25)).expected
    assert 1 - math.exp(-rate * 30.44) == pytest.approx(0.1)


def test_a_save_that_takes_no_time_has_no_best_interval() -> None:
    with pytest.raises(ValueError, match="must take time"):
        reliability.best_interval(0, 10)
