from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.speed.friction import fitted, leave_one_out

USUAL = Estimate(0.7, 1.0, 2.0)
RATIO = st.floats(0.05, 20)


def test_without_runs_it_is_the_usual_one() -> None:
    assert fitted([], USUAL) == USUAL


def test_one_run_nearby_moves_it_half_of_the_way() -> None:
    assert fitted([1.44], USUAL).expected == pytest.approx(1.2)


def test_runs_that_are_far_off_are_believed() -> None:
    found = fitted([11.8, 9.4, 12.4, 12.5], USUAL)
    assert found.expected == pytest.approx(11.4, rel=0.02)
    check = leave_one_out([11.8, 9.4, 12.4, 12.5], USUAL)
    assert check.error < 0.12
    assert (check.held, check.usual_held) == (4, 0)


def test_many_runs_speak_for_themselves() -> None:
    dice = random.Random(1)
    ratios = [math.exp(math.log(1.5) + dice.gauss(0, 0.1)) for _ in range(200)]
    found = fitted(ratios, USUAL)
    assert found.expected == pytest.approx(1.5, rel=0.02)
    assert math.log(found.high / found.expected) == pytest.approx(1.2816 * 0.1, rel=0.15)
    inside = sum(found.low <= ratio <= found.high for ratio in ratios)
    assert 0.75 <= inside / len(ratios) <= 0.85


@given(st.lists(RATIO, min_size=1, max_size=20))
def test_it_lies_between_the_usual_one_and_the_mean_of_the_runs(ratios: list[float]) -> None:
    mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
    found = fitted(ratios, USUAL)
    assert min(1.0, mean) * (1 - 1e-9) <= found.expected <= max(1.0, mean) * (1 + 1e-9)
    assert found.low < found.expected < found.high


@given(st.lists(RATIO, min_size=1, max_size=10), st.floats(0.1, 10))
def test_the_unit_does_not_matter(ratios: list[float], unit: float) -> None:
    usual = Estimate(*(end * unit for end in USUAL.ends))
    scaled = fitted([ratio * unit for ratio in ratios], usual)
    assert scaled.expected == pytest.approx(fitted(ratios, USUAL).expected * unit)


def test_runs_alike_make_the_range_narrower_and_one_that_is_not_wider() -> None:
    def width(found: Estimate) -> float:
        return found.high / found.low

    alike = fitted([1.5] * 6, USUAL)
    assert width(alike) < width(fitted([1.5, 1.5], USUAL)) < width(fitted([1.5], USUAL))
    assert width(fitted([1.5] * 5 + [4.0], USUAL)) > width(alike)


def test_runs_that_are_left_out_are_predicted_from_the_others() -> None:
    found = leave_one_out([1.45, 1.5, 1.55, 1.6], USUAL)
    assert found.better
    assert found.error < 0.12
    assert found.usual_error > 0.3
    assert (found.held, found.usual_held, found.runs) == (4, 4, 4)
    even = leave_one_out([0.5, 2.0], USUAL)
    assert not even.better
    with pytest.raises(ValueError, match="takes two runs"):
        leave_one_out([1.0], USUAL)
