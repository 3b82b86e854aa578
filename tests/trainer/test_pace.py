from __future__ import annotations

import itertools

import pytest

from cupola_api import metrics
from cupola_api.outcome import Resumed
from cupola_trainer.pace import Pace
from cupola_trainer.timesheet import Timesheet


def test_the_first_step_and_saves_are_left_out_of_the_time_of_steps() -> None:
    times = iter([0.0, 100.0, 102.0, 150.0, 153.0])
    pace = Pace(lambda: next(times))
    pace.step()
    assert pace.metrics() == {}
    assert pace.mean is None
    pace.step()
    pace.resume()  # after a save of 48 s
    pace.step()
    assert pace.metrics() == {
        metrics.MEASURED_STEPS: 2,
        metrics.STEP_SECONDS: 5.0,
        metrics.STEP_SQUARES: 13.0,
    }
    assert pace.mean == 2.5


def test_the_termination_message_holds_the_mean_of_the_steps() -> None:
    times = iter([0.0, 5.0, 7.0, 7.0, 30.0, 31.0, 32.333333333])
    sheet = Timesheet(Resumed(step=0), lambda: next(times), lambda: 1e9)
    sheet.step()
    assert sheet.timing(finished=False).step_seconds is None
    sheet.pace.step()
    sheet.pace.step()
    assert sheet.timing(finished=False).step_seconds == 2.0
    sheet.saving()
    sheet.saved()
    sheet.pace.step()
    assert sheet.metrics()[metrics.MEASURED_STEPS] == 2
    assert sheet.timing(finished=True).step_seconds == 1.66667


def test_the_sums_say_how_much_steps_differ() -> None:
    ends = itertools.accumulate([0.0, 9.0, 1.0, 3.0, 1.0, 3.0])
    pace = Pace(lambda: next(ends))
    for _ in range(5):
        pace.step()
    said = pace.metrics()
    mean = said[metrics.STEP_SECONDS] / said[metrics.MEASURED_STEPS]
    variance = said[metrics.STEP_SQUARES] / said[metrics.MEASURED_STEPS] - mean**2
    assert (mean, variance) == pytest.approx((2.0, 1.0))
