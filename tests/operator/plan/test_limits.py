from __future__ import annotations

from typing import Any

import pytest

from cupola_api.control import Control
from cupola_api.forecast import Forecast
from cupola_operator.plan.answers import limits

COST = {"low": "10", "expected": "15", "high": "30"}
HOURS = {"low": "1", "expected": "2", "high": "4"}


def plan(**fields: Any) -> Forecast:
    value = {"pool": "a100", "nodes": 1, "devices": 8, "cost": COST, "currency": "EUR"}
    return Forecast.model_validate(value | {"wallClockHours": HOURS} | fields)


def spec(most: str | None = None, **fields: Any) -> Control:
    return Control.model_validate({"budget": most and {"maxCost": most}} | fields)


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        (spec(), None),
        (spec("9.99"), limits.BUDGET),
        (spec("10"), None),
        (spec(deadline="59m59s"), limits.DEADLINE),
        (spec(deadline="1h"), None),
        (spec("1", deadline="1s"), limits.BUDGET),
        (spec("1", admission="Ignore"), limits.BUDGET),
    ],
)
def test_a_limit_below_all_of_the_range_is_exceeded(control: Control, reason: str | None) -> None:
    found = limits.exceeded(control, plan())
    assert (found.reason if found else None) == reason


def test_what_is_not_known_exceeds_nothing() -> None:
    unknown = plan(cost=None, currency=None, wallClockHours=None)
    assert limits.exceeded(spec("1", deadline="1s"), unknown) is None
    assert limits.doubted(spec("1", deadline="1s"), unknown) == []
    assert limits.spelled(unknown) == ""


@pytest.mark.parametrize(
    ("least", "most", "reason"),
    [(81, 80, limits.MEMORY), (80, 80, None), (None, 80, None), (81, None, None)],
)
def test_memory_is_exceeded_only_by_what_is_certain(
    least: int | None, most: int | None, reason: str | None
) -> None:
    size = {"memoryAtLeast": least and least << 30, "memoryCapacity": most and most << 30}
    found = limits.exceeded(spec(), plan(memoryPerGpu=900 << 30, **size))
    assert (found.reason if found else None) == reason
    if found:
        assert "take 81.0 GiB on each rank, and a device of pool a100 has 80.0 GiB" in found.message


@pytest.mark.parametrize(
    ("control", "doubts"),
    [
        (spec("9"), 0),
        (spec("10"), 1),
        (spec("29.99"), 1),
        (spec("30"), 0),
        (spec(deadline="1h"), 1),
        (spec(deadline="4h"), 0),
        (spec("20", deadline="2h"), 2),
    ],
)
def test_a_limit_within_the_range_is_doubted(control: Control, doubts: int) -> None:
    assert len(limits.doubted(control, plan())) == doubts


def test_sentences_say_limit_pool_and_range() -> None:
    budget = limits.exceeded(spec("9"), plan())
    deadline = limits.exceeded(spec(deadline="30m"), plan())
    assert budget
    assert deadline
    assert budget.message == (
        "spec.budget.maxCost is 9 EUR, and on pool a100 the run costs 10 to 30, expected 15"
    )
    assert deadline.message == (
        "spec.deadline is 30m, and on pool a100 the run takes 1 to 4, expected 2 hours"
    )
    assert limits.doubted(spec("20", deadline="2h"), plan()) == [
        "spec.budget.maxCost of 20 EUR may be less than the run costs",
        "spec.deadline of 2h may be shorter than the run takes",
    ]


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (("0.00139", "0.00556", "0.0333"), "5 to 120, expected 20 seconds"),
        (("0.01", "0.0166", "0.0201"), "36 to 72.4, expected 59.8 seconds"),
        (("0.05", "0.1", "0.25"), "3 to 15, expected 6 minutes"),
        (("24", "48", "5520"), "1 to 230, expected 2 days"),
        (("3", "3", "3"), "3 hours"),
    ],
)
def test_time_is_in_the_unit_that_suits_it(hours: tuple[str, str, str], said: str) -> None:
    low, expected, high = hours
    found = plan(cost=None, wallClockHours={"low": low, "expected": expected, "high": high})
    assert limits.spelled(found) == said


def test_money_and_time_make_a_line() -> None:
    small = {"low": "0.0000123", "expected": "0.5", "high": "123456.7"}
    assert limits.spelled(plan(cost=small)) == (
        "0.0000123 to 123,457, expected 0.5 EUR; 1 to 4, expected 2 hours"
    )


@pytest.mark.parametrize(
    ("control", "fields", "said"),
    [
        (spec(), {}, []),
        (spec("1000"), {}, []),
        (spec("9"), {}, ["it does not start without spec.admission: Ignore"]),
        (spec("9", admission="Ignore"), {}, ["it starts all the same"]),
        (spec("20"), {}, ["may be less"]),
        (spec("9"), {"cost": None, "gpuHours": HOURS}, ["pool a100 has no price"]),
        (spec("9"), {"cost": None}, []),
        (spec(), {"memoryAtLeast": 2, "memoryCapacity": 1}, []),
    ],
)
def test_who_plans_is_warned(control: Control, fields: dict[str, Any], said: list[str]) -> None:
    found = limits.warnings(control, plan(**fields))
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))
