"""How long the steps of an attempt take, as sums: what the end of the run is foretold from.

The first step of an attempt is left out, which compiles kernels and fills caches, and so is what is
not a step: saves. Sums go up only, so that whoever looks late or seldom misses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cupola_api import metrics


class Pace:
    """The clock of an attempt's steps; it runs from when it is made, or from `resume`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._first = True
        self.steps = 0
        """Steps that were measured."""
        self.seconds = 0.0
        """What they took together."""
        self._squares = 0.0

    def resume(self) -> None:
        """A step begins now: what was done since the last one was no step."""
        self._begun = self._clock()

    def step(self) -> None:
        """A step has ended, and the next one begins."""
        now = self._clock()
        took, self._begun = now - self._begun, now
        if self._first:
            self._first = False
            return
        self.steps += 1
        self.seconds += took
        self._squares += took * took

    @property
    def mean(self) -> float | None:
        """Seconds of a step; None before one was measured."""
        return self.seconds / self.steps if self.seconds else None

    def metrics(self) -> dict[str, float]:
        """The sums by name; empty before a step was measured."""
        if not self.steps:
            return {}
        return {
            metrics.MEASURED_STEPS: self.steps,
            metrics.STEP_SECONDS: self.seconds,
            metrics.STEP_SQUARES: self._squares,
        }
