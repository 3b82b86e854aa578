from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from cupola_api import metrics
from cupola_api.outcome import Resumed, Timing
from cupola_trainer import timesheet
from cupola_trainer.timesheet import Timesheet

RESUMED = Resumed(step=40, saved_at=1_799_999_999.5, passed_over=1)


@pytest.fixture
def sheet(monkeypatch: pytest.MonkeyPatch) -> Iterator[Timesheet]:
    monkeypatch.setattr(timesheet, "_open", None)
    ticks = count(100)
    return Timesheet(RESUMED, clock=lambda: float(next(ticks)), now=lambda: 1_800_000_000.12345)


def test_before_the_first_step_nothing_is_served_and_no_step_is_said(sheet: Timesheet) -> None:
    assert sheet.metrics() == {}
    assert timesheet.said() == Timing(resumed=RESUMED)


def test_the_first_step_alone_ends_the_start_up(sheet: Timesheet) -> None:
    assert sheet.step()
    assert not sheet.step()
    assert sheet.metrics()[metrics.FIRST_STEP_TIME] == 1_800_000_000.12345
    assert timesheet.said() == Timing(first_step_at=1_800_000_000.123, resumed=RESUMED)


def test_seconds_of_saving_add_up(sheet: Timesheet) -> None:
    sheet.step()
    for _ in range(3):
        sheet.saving()
        sheet.saved()
    assert sheet.metrics()[metrics.CHECKPOINT_SECONDS] == 3.0


def test_validation_counts_when_it_is_saved_or_at_the_end(sheet: Timesheet) -> None:
    sheet.step()
    sheet.validated(2.5)
    assert sheet.metrics()[metrics.EVALUATION_SECONDS] == 0.0
    assert sheet.timing(finished=False).evaluation_seconds == 0.0
    assert sheet.timing(finished=True).evaluation_seconds == 2.5
    sheet.saving()
    sheet.saved()
    sheet.validated(1.5)
    assert sheet.metrics()[metrics.EVALUATION_SECONDS] == 2.5
    assert sheet.timing(finished=False).evaluation_seconds == 2.5
    assert sheet.timing(finished=True).evaluation_seconds == 4.0


def test_validation_that_is_broken_off_counts_too(sheet: Timesheet) -> None:
    with pytest.raises(KeyError), timesheet.validating():
        raise KeyError
    assert sheet.timing(finished=True).evaluation_seconds == 1.0


def test_a_process_that_trains_nothing_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timesheet, "_open", None)
    with timesheet.validating():
        pass
    assert timesheet.said(finished=True) is None


def test_a_pod_of_a_job_says_when_it_first_began_with_its_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timesheet, "_first_work", None)
    ticks = iter([1_800_000_000.12345, 1_800_000_099.0])
    monkeypatch.setattr("cupola_trainer.timesheet.time.time", lambda: next(ticks))
    assert timesheet.first_work() is None
    timesheet.works()
    timesheet.works()
    assert timesheet.first_work() == 1_800_000_000.123
