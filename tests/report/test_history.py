from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.report.history import MAX_POINTS, Point, curve, histories, parse, thin


def test_lines_are_read_and_a_torn_one_is_left_out() -> None:
    line = {
        "step": 3,
        "loss": 2.5,
        "lr": 0.1,
        "grad_norm": 1,
        "tokens": 9,
        "tokens_per_second": 7.0,
    }
    assert parse(
        [json.dumps(line), "\n", '{"step": 4, "lo', "null", '{"loss": 1}', '{"step": true}']
    ) == (Point(3, 2.5, 0.1, 1.0, 7.0),)


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", '"2.5"', "null", "true", "[]", "1" * 400]
)
def test_a_value_that_is_no_finite_number_is_left_out(value: str) -> None:
    (point,) = parse([f'{{"step": 1, "loss": {value}, "lr": 0.5}}'])
    assert point.loss is None
    assert curve([point], "loss") == []
    assert curve([point], "rate") == [(1.0, 0.5)]


def steps(first: int, last: int) -> tuple[Point, ...]:
    return tuple(Point(step, loss=1.0) for step in range(first, last + 1))


def test_work_that_was_done_again_was_lost() -> None:
    found = histories([(2, steps(6, 20)), (1, steps(1, 9))], {})
    assert [(h.attempt, h.lost_after) for h in found] == [(1, 5), (2, None)]


def test_work_after_the_last_checkpoint_of_a_failed_attempt_was_lost() -> None:
    assert histories([(1, steps(1, 9))], {1: 4})[0].lost_after == 4
    assert histories([(1, steps(1, 9))], {1: None})[0].lost_after == 0
    assert histories([(1, steps(1, 9))], {1: 9})[0].lost_after is None
    assert histories([(1, steps(1, 9))], {})[0].lost_after is None


def test_an_attempt_without_steps_is_left_out() -> None:
    assert [h.attempt for h in histories([(1, ()), (2, steps(1, 2))], {1: None})] == [2]


POINTS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300).map(
    lambda values: [(float(i), value) for i, value in enumerate(values)]
)


@given(points=POINTS, limit=st.integers(3, 100))
def test_thinning_keeps_the_ends_and_the_order(
    points: list[tuple[float, float]], limit: int
) -> None:
    kept = thin(points, limit)
    assert len(kept) == min(limit, len(points))
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert kept == [point for point in points if point in set(kept)]


def test_thinning_keeps_a_spike() -> None:
    points = [(float(i), math.sin(i / 1000)) for i in range(100_000)]
    points[54_321] = (54_321.0, 50.0)
    kept = thin(points, MAX_POINTS)
    assert len(kept) == MAX_POINTS
    assert (54_321.0, 50.0) in kept
