"""Progress for a person: what is done now, and how long it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Steps:
    """Prints a line when a step ends, with its seconds and those since the beginning."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    def say(self, line: str) -> None:
        """One line, with the seconds since the beginning."""
        print(f"[{time.monotonic() - self._begin:5.1f} s] {line}", file=sys.stderr, flush=True)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """One step."""
        begin = time.monotonic()
        yield
        self.say(f"{name}: {time.monotonic() - begin:.1f} s")
