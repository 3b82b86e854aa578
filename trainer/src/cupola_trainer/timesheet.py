"""Where the time of an attempt of a training goes besides steps, as its rank 0 sees it.

The operator makes money of it. It hears of it while the training runs (`metrics`) and at its end, in
the termination message (`said`), however that comes. Of a pod of a Job it hears in that message when
its start-up was over (`works`, `first_work`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cupola_api import metrics
from cupola_api.outcome import Resumed, Timing
from cupola_trainer.pace import Pace

_PLACES = 3

_open: Timesheet | None = None
_first_work: float | None = None


class Timesheet:
    """The time of this process's attempt. What is made last is what the process says at its end."""

    def __init__(
        self,
        resumed: Resumed,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._resumed = resumed
        self.clock = clock
        self._now = now
        self._first: float | None = None
        self._since = 0.0
        self._saving = self._validating = self._kept = 0.0
        self.pace = Pace(clock)
        global _open  # noqa: PLW0603  a process says one termination message
        _open = self

    def step(self) -> bool:
        """A step begins; whether it is the first one, which ends the start-up."""
        if self._first is not None:
            return False
        self._first = self._now()
        return True

    def saving(self) -> None:
        """Steps wait for a checkpoint from now on."""
        self._since = self.clock()

    def saved(self) -> None:
        """The checkpoint is complete: what was done up to it is kept."""
        self._saving += self.clock() - self._since
        self._kept = self._validating
        self.pace.resume()

    def validated(self, seconds: float) -> None:
        """So many seconds went into validation."""
        self._validating += seconds

    def metrics(self) -> dict[str, float]:
        """What rank 0 serves; nothing before the first step."""
        if self._first is None:
            return {}
        return {
            metrics.FIRST_STEP_TIME: self._first,
            metrics.CHECKPOINT_SECONDS: self._saving,
            metrics.EVALUATION_SECONDS: self._kept,
            **self.pace.metrics(),
        }

    def timing(self, *, finished: bool) -> Timing:
        """What a termination message says; of a `finished` attempt all is kept."""
        return Timing(
            first_step_at=None if self._first is None else round(self._first, _PLACES),
            checkpoint_seconds=round(self._saving, _PLACES),
            evaluation_seconds=round(self._validating if finished else self._kept, _PLACES),
            step_seconds=self.pace.mean and float(f"{self.pace.mean:.6g}"),
            resumed=self._resumed,
        )


def works() -> None:
    """Say that this process of a Job has its imports done and begins with its work; the first time counts."""
    global _first_work  # noqa: PLW0603  a process says one termination message
    if _first_work is None:
        _first_work = round(time.time(), _PLACES)


def first_work() -> float | None:
    """When this process of a Job began with its work, Unix time; None before it did."""
    return _first_work


@contextmanager
def validating() -> Iterator[None]:
    """What is done inside is validation."""
    sheet = _open
    begun = sheet.clock() if sheet else 0.0
    try:
        yield
    finally:
        if sheet:
            sheet.validated(sheet.clock() - begun)


def said(*, finished: bool = False) -> Timing | None:
    """What this process has to say of its time; None where it trains nothing, or is not rank 0."""
    return _open.timing(finished=finished) if _open else None
