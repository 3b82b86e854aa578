from __future__ import annotations

import math

import pytest

from cupola_operator.plan import calibration


def test_a_factor_is_the_geometric_mean_of_families() -> None:
    fit = calibration.fit([("a", 1.0), ("a", 1.0), ("a", 1.0), ("b", 4.0)])
    assert fit.factor == pytest.approx(2.0)


def test_runs_that_agree_leave_no_range() -> None:
    fit = calibration.fit([("a", 1.5), ("b", 1.5), ("c", 1.5)])
    assert fit.range.ends == pytest.approx((1.5, 1.5, 1.5))


def test_a_range_is_that_of_students_t_for_another_run() -> None:
    fit = calibration.fit([("a", math.exp(-0.1)), ("b", math.exp(0.1)), ("c", 1.0)])
    assert fit.spread == pytest.approx(0.1)
    assert math.log(fit.range.high) == pytest.approx(1.886 * 0.1 * math.sqrt(4 / 3))
    assert fit.range.low == pytest.approx(1 / fit.range.high)


def test_more_runs_of_the_same_spread_narrow_the_range() -> None:
    def width(runs: int) -> float:
        logs = [0.2 * (-1) ** index for index in range(runs)]
        return calibration.fit([(str(i), math.exp(one)) for i, one in enumerate(logs)]).range.high

    assert width(4) > width(8) > width(16) > width(40)


def test_one_run_is_no_fit() -> None:
    with pytest.raises(ValueError, match="two runs at least"):
        calibration.fit([("a", 1.0)])
