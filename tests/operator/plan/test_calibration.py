from __future__ import annotations

import math

import pytest

from cupola_operator.plan.speed import calibration
from cupola_operator.plan.speed.calibration import Fit, Ratio


def fitted(*ratios: tuple[str, float], unknown: float = 0.0) -> Fit:
    return calibration.fit([Ratio(family, value, unknown) for family, value in ratios])


def test_a_factor_is_the_geometric_mean_of_families() -> None:
    fit = fitted(("a", 1.0), ("a", 1.0), ("a", 1.0), ("b", 4.0))
    assert fit.factor == pytest.approx(2.0)


def test_runs_that_agree_leave_no_range() -> None:
    fit = fitted(("a", 1.5), ("b", 1.5), ("c", 1.5))
    assert fit.range.ends == pytest.approx((1.5, 1.5, 1.5))


def test_a_range_is_that_of_students_t_for_another_run() -> None:
    fit = fitted(("a", math.exp(-0.1)), ("b", math.exp(0.1)), ("c", 1.0))
    assert fit.spread == pytest.approx(0.1)
    assert math.log(fit.range.high) == pytest.approx(1.886 * 0.1 * math.sqrt(4 / 3))
    assert fit.range.low == pytest.approx(1 / fit.range.high)


def test_more_families_of_the_same_spread_narrow_the_range() -> None:
    def width(runs: int) -> float:
        logs = [0.2 * (-1) ** index for index in range(runs)]
        return fitted(*((str(i), math.exp(one)) for i, one in enumerate(logs))).range.high

    assert width(4) > width(8) > width(16) > width(40)


def test_what_is_not_known_of_a_run_widens_its_range() -> None:
    fit = fitted(("a", math.exp(-0.1)), ("b", math.exp(0.1)), ("c", 1.0))
    wider = fit.with_unknown(0.2)
    assert wider.expected == fit.factor
    assert math.log(wider.high) == pytest.approx(1.886 * math.sqrt(0.1**2 * 4 / 3 + 0.2**2))


def test_spread_that_has_another_cause_is_not_the_factors() -> None:
    ratios = [("a", math.exp(-0.1)), ("b", math.exp(0.1)), ("c", 1.0)]
    assert fitted(*ratios, unknown=0.05).spread == pytest.approx(math.sqrt(0.01 - 1.5 * 0.05**2))
    assert fitted(*ratios, unknown=1.0).spread == 0


def test_more_runs_of_the_same_families_do_not_narrow_the_range() -> None:
    once = [("a", math.exp(-0.1)), ("b", math.exp(0.1)), ("c", 1.0)]
    assert fitted(*once, *once, *once).range.ends == pytest.approx(fitted(*once).range.ends)


def test_one_family_is_no_fit() -> None:
    with pytest.raises(ValueError, match="two families at least"):
        fitted(("a", 1.0), ("a", 1.1))
