from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.report.scale import Scale, fit, label

FINITE = st.floats(-1e12, 1e12)


@given(values=st.lists(FINITE, min_size=1, max_size=20), zero=st.booleans())
def test_all_values_lie_on_the_axis_in_their_order(values: list[float], *, zero: bool) -> None:
    scale = fit(values, 0, 100, zero=zero)
    places = [scale.at(value) for value in sorted(values)]
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    assert all(a <= b + 1e-6 for a, b in itertools.pairwise(places))


@given(low=st.floats(-1e6, 1e6), size=st.floats(1e-3, 1e9))
def test_ticks_are_few_and_on_the_axis(low: float, size: float) -> None:
    scale = Scale(low, low + size, 0, 100)
    ticks = scale.ticks()
    assert len(ticks) <= 8
    assert all(-1 <= scale.at(tick) <= 101 for tick in ticks)


def test_ticks_are_round() -> None:
    assert Scale(0, 1, 0, 100).ticks() == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert Scale(3, 488, 0, 100).ticks(5) == [100, 200, 300, 400]
    assert Scale(0, 2.4e-3, 0, 1).ticks() == [0, 0.0005, 0.001, 0.0015, 0.002]
    assert Scale(0, 10.6, 0, 1).ticks() == [0, 5, 10]


def test_a_logarithmic_axis_has_powers() -> None:
    scale = fit([8, 4096], 0, 100, logarithmic=True)
    assert scale.logarithmic
    assert scale.ticks() == [10, 100, 1000]
    assert fit([8, 90], 0, 100, logarithmic=True).ticks() == [10, 20, 50, 100]
    middle = math.sqrt(scale.low * scale.high)
    assert scale.at(middle) == pytest.approx(50)
    assert fit([1e-3, 1e9], 0, 1, logarithmic=True).ticks()[:2] == [1e-3, 1e-2]


def test_an_axis_of_one_value_or_of_none_has_room() -> None:
    assert fit([5.0], 0, 100).at(5.0) == pytest.approx(50)
    assert fit([0.0], 0, 100).at(0.0) == pytest.approx(50)
    assert fit([], 0, 100).ticks()
    assert fit([math.nan, 1.0], 0, 100).low < 1
    assert fit([2.0, 3.0], 0, 100, zero=True).low == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (2000, "2k"),
        (1.5e6, "1.5M"),
        (3e-4, "3e-4"),
        (-2500, "-2.5k"),
        (2e9, "2B"),
    ],
)
def test_labels_are_short(value: float, text: str) -> None:
    assert label(value) == text
