from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.plan.estimate import Estimate

values = st.floats(1e-6, 1e12)
estimates = st.lists(values, min_size=3, max_size=3).map(lambda v: Estimate(*sorted(v)))


def test_a_range_has_its_ends_in_order_and_is_finite_and_not_negative() -> None:
    for ends in ((2, 1, 3), (1, 3, 2), (-1, 0, 1), (0, 1, math.inf), (math.nan, 1, 2)):
        with pytest.raises(ValueError, match="is no range"):
            Estimate(*ends)


@given(estimates, estimates, values, values)
def test_results_hold_what_any_two_values_of_the_ranges_would_give(
    first: Estimate, second: Estimate, a: float, b: float
) -> None:
    a = min(max(a, first.low), first.high)
    b = min(max(b, second.low), second.high)
    for result, value in (
        (first + second, a + b),
        (first * second, a * b),
        (first / second, a / b),
    ):
        assert result.low <= value * (1 + 1e-12)
        assert value <= result.high * (1 + 1e-12)


@given(estimates)
def test_a_multiple_has_multiplied_ends(one: Estimate) -> None:
    assert (one * 2).ends == tuple(2 * value for value in one.ends)
    assert (one / 2).ends == tuple(value / 2 for value in one.ends)


@given(estimates, estimates)
def test_independent_errors_make_up_for_each_other_in_part(
    first: Estimate, second: Estimate
) -> None:
    together, apart = first * second, first.times(second)
    assert apart.expected == pytest.approx(together.expected)
    assert together.low <= apart.low * (1 + 1e-9)
    assert apart.high <= together.high * (1 + 1e-9)
    widest = max(first.high / first.expected, second.high / second.expected)
    assert apart.high / apart.expected >= widest * (1 - 1e-9)
    assert first.over(second).expected == pytest.approx(first.expected / second.expected)


def test_a_range_that_begins_at_0_stays_so() -> None:
    assert Estimate(0, 1, 2).times(Estimate(1, 2, 3)).low == 0
    assert Estimate(0, 0, 0).times(Estimate(1, 2, 3)).ends == (0, 0, 0)


def test_what_is_known_exactly_stays_so() -> None:
    assert (Estimate.exactly(3) * Estimate.exactly(4)).ends == (12, 12, 12)


def test_a_least_value_holds_for_all_ends() -> None:
    assert Estimate(0, 2, 5).at_least(3).ends == (3, 3, 5)


def test_json_has_three_ends_of_six_digits() -> None:
    assert Estimate(1, 4 / 3, 123456789).to_json() == {
        "low": 1.0,
        "expected": 1.33333,
        "high": 123457000.0,
    }


def test_what_is_expected_to_be_nothing_stays_so_and_keeps_its_end() -> None:
    nothing = Estimate(0, 0, 4)
    assert nothing.times(Estimate(1, 2, 3)) == Estimate(0, 0, 12)
    assert Estimate(1, 2, 3).times(nothing) == Estimate(0, 0, 12)
