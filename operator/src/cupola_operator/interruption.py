"""Signals that ask a program to stop, as events that any thread can wait for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Asked to stop: the first signal sets `asked`, a second one `hurry`.

    A handler runs in the main thread between any two of its instructions. Were it to set an event
    that the main thread is about to wait for, it would wait for ever for the event's lock, which
    that thread holds. So it only puts the signal into a queue (`SimpleQueue.put` may be called
    there), and a thread sets the events.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.hurry = threading.Event()
        self.number = 0
        """The first signal, once `asked` is set."""
        self._came: SimpleQueue[int | None] = SimpleQueue()

    @contextmanager
    def caught(self) -> Iterator[None]:
        """While open, SIGINT, SIGTERM and SIGHUP end up here. For the main thread, once."""
        teller = threading.Thread(target=self._tell, name="interruption", daemon=True)
        teller.start()
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._came.put(None)
            teller.join()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._came.put(number)

    def _tell(self) -> None:
        while (number := self._came.get()) is not None:
            if self.asked.is_set():
                self.hurry.set()
            else:
                self.number = number
                self.asked.set()
