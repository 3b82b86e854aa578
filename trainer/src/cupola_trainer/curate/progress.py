"""How far a task is: a line on standard output every few seconds, and metrics for the operator."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

from cupola_api import metrics

if TYPE_CHECKING:
    from cupola_trainer.meter import Meter

SECONDS = 5.0


class Progress:
    """Counts documents and bytes of one task and says so now and then."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._started = self._said = time.monotonic()
        self._documents = 0
        self._bytes = 0
        self._served: dict[str, float] = {}

    def add(self, documents: int, size: int) -> None:
        """Count documents and their bytes; print if some seconds have passed."""
        self._documents += documents
        self._bytes += size
        if time.monotonic() - self._said >= SECONDS:
            self.say()
            if self._served and (meter := _meter()):
                meter.set(self._served)

    def reach(self, documents: int, size: int, share: float, of_stage: int | None = None) -> None:
        """What the pod's part of a stage came to, to be served with the next line.

        `documents`, `size`: worked on so far, of a size in bytes; `share`: of the part, 0 to 1;
        `of_stage`: documents of all parts together. Who never calls this serves nothing.
        """
        self._served = {
            metrics.CURATED_DOCUMENTS: documents,
            metrics.CURATED_BYTES: size,
            metrics.PROGRESS: share,
        }
        if of_stage is not None:
            self._served[metrics.STAGE_DOCUMENTS] = of_stage

    def say(self) -> None:
        """Print the line."""
        self._said = time.monotonic()
        seconds = max(self._said - self._started, 1e-9)
        print(
            f"{self._task}: {self._documents:,} documents, {self._bytes / 1e6:,.1f} MB, "
            f"{self._bytes / 1e6 / seconds:,.1f} MB/s",
            flush=True,
        )


@cache
def _meter() -> Meter | None:
    """What serves the metrics of this pod to its end; None if it cannot.

    Made when there is something to say after some seconds: most pods of a small Dataset end before.
    """
    from cupola_trainer.meter import Meter  # noqa: PLC0415

    try:
        return Meter()
    except OSError as error:
        print(f"warning: no metrics are served: {error.strerror}", flush=True)
        return None
