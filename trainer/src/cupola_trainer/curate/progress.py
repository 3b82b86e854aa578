"""A line on standard output every few seconds, so that a person sees that work goes on."""

from __future__ import annotations

import time

SECONDS = 5.0


class Progress:
    """Counts documents and bytes of one task and says so now and then."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._started = self._said = time.monotonic()
        self._documents = 0
        self._bytes = 0

    def add(self, documents: int, size: int) -> None:
        """Count documents and their bytes; print if some seconds have passed."""
        self._documents += documents
        self._bytes += size
        if time.monotonic() - self._said >= SECONDS:
            self.say()

    def say(self) -> None:
        """Print the line."""
        self._said = time.monotonic()
        seconds = max(self._said - self._started, 1e-9)
        print(
            f"{self._task}: {self._documents:,} documents, {self._bytes / 1e6:,.1f} MB, "
            f"{self._bytes / 1e6 / seconds:,.1f} MB/s",
            flush=True,
        )
