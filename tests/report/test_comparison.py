from __future__ import annotations

from typing import Any

import pytest

from cupola_api.common import Attempt, Status
from cupola_api.forecast import Actual, Forecast, Range
from cupola_api.spent import Causes
from cupola_operator.cluster import Key
from cupola_operator.report import comparison
from cupola_operator.report.evidence import Subject


def span(low: float, expected: float, high: float) -> Range:
    return Range(low=str(low), expected=str(expected), high=str(high))


def status(hours: float, step: float | None = 2.0, causes: Any = None, **plan: Any) -> Status:
    """A training of 1,800 steps of 2 s on 2 devices: 2 device hours of steps, 0.5 beside."""
    planned: dict[str, Any] = {
        "pool": "cpu",
        "nodes": 1,
        "devices": 2,
        "steps": 1800,
        "gpu_hours": span(1, 2.5, 5),
        "step_seconds": span(1, 2, 4),
        "cost": span(1, 2, 3),
        "currency": "EUR",
        "actual": Actual(
            gpu_hours=str(hours),
            cost="3.5",
            step_seconds=None if step is None else str(step),
            loss="2.5",
            outside=["cost"],
        ),
    }
    attempt = Attempt(number=1, name="a", causes=causes and Causes(**causes))
    return Status(plan=Forecast(**planned | plan), attempts=[attempt])


@pytest.mark.parametrize(
    ("hours", "step", "causes", "said"),
    [
        (2.6, 2.0, {}, ""),
        (
            4.5,
            4.0,
            {"start_up": "1800"},
            "It took 80% more device hours than expected, most of it for the time of its steps, 2.00 times",
        ),
        (
            5.0,
            2.0,
            {"lost_work": "9000", "start_up": "1800"},
            "It took 100% more device hours than expected, most of it for work that was lost.",
        ),
        (
            1.5,
            1.0,
            {"start_up": "1800"},
            "It took 40% fewer device hours than expected, most of it for the time of its steps, 0.50 times",
        ),
        (
            2.0,
            2.0,
            {},
            "It took 20% fewer device hours than expected, most of it for less start-up, saving and",
        ),
        (5.0, None, {}, ""),
        (5.0, 2.0, {"start_up": "100"}, ""),
    ],
)
def test_the_largest_reason_is_told_where_it_can_be(
    hours: float, step: float | None, causes: Any, said: str
) -> None:
    found = comparison.reason_of(status(hours, step, causes))
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_without_a_plan_of_device_hours_there_is_no_reason() -> None:
    assert comparison.reason_of(Status()) == ""
    assert comparison.reason_of(status(5.0, 4.0, {}, gpu_hours=None)) == ""
    assert comparison.reason_of(status(5.0, 4.0, {}, actual=None)) == ""


def page(one: Status) -> str:
    subject = Subject(key=Key("PretrainJob", "default", "base"), resource=None, status=one)  # type: ignore[arg-type]
    sections = comparison.sections(subject)
    return "".join(str(part) for section in sections for part in section.body)


def test_each_figure_stands_beside_its_range_and_whether_it_held() -> None:
    text = page(status(4.5, 4.0, {}, notes=["the loss is not known"]))
    assert "Cost, EUR" in text
    for cells in (("2.5", "1 to 5", "4.5", "yes"), ("2", "1 to 3", "3.5", "no")):
        assert "".join(f">{cell}</td>" for cell in cells[:1]) in text
        assert all(cell in text for cell in cells)
    assert "Loss" in text
    assert "80% more device hours" in text
    assert "the loss is not known." in text
    assert "MFU" not in text


def test_before_it_ended_there_is_the_plan_alone() -> None:
    text = page(status(4.5, 4.0, {}, actual=None))
    assert "1 to 5" in text
    assert "yes" not in text
    assert page(Status()) == ""
    bare = Forecast(pool="cpu", nodes=1, devices=2)
    assert page(Status(plan=bare)) == ""
