"""A training that makes no progress for too long: each of its ranks says where it hung, and ends.

A collective waits for ever for a rank that hangs or that the network does not reach, and nobody
else can tell that from a long step. Progress is

- what the work tells of with `progress`: a micro-batch, a step, a part of the held-out text;
- a MiB that this process has read from files or written to them: a Dataset that it hashes, a
  checkpoint, a model;
- progress of any other rank: the ranks count theirs in the store in which they met. One that waits
  while rank 0 hashes waits on; one that is cut off hears nothing.

Without any for the time of `HANG_TIMEOUT`, a thread of its own leaves the termination message,
prints the stacks of all threads and ends the process. A rank that waits for others leaves the word
to one that hangs in its own work, for a tenth of that time. Where Python itself does not run any
more (a library holds its lock), nobody can speak: after twice the time the process ends all the
same, with its stacks.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol, Self

from cupola_api import quantities
from cupola_api.outcome import FailureClass
from cupola_api.run import HANG_TIMEOUT
from cupola_api.training import Stability
from cupola_trainer.pod import PodFailure, say

HUNG = "Hung"
"""The reason of a training that ended for want of progress."""

LAST_WORDS_SECONDS = 10
"""For how long a process that ends may be held up by a pipe that nobody reads."""

_STDERR = 2
_LOOKS = 50
"""How often is looked within the time; but at least every `_LONGEST` seconds."""
_LONGEST = 15.0
_BYTES = 1 << 20
_FOREVER = 10**9
"""Seconds; what a timer takes."""


class Store(Protocol):
    """What of a store of torch.distributed is needed."""

    def add(self, key: str, amount: int, /) -> int:
        """Add to a number that all ranks see; returns it."""

    def clone(self) -> Store:
        """A connection of its own, which waits for no other."""


class Watch:
    """Looks after this process while it is open; one at a time."""

    def __init__(self, rank: int) -> None:
        self._rank = rank
        self._limit = os.environ.get(HANG_TIMEOUT) or Stability().hang_timeout
        self._seconds = float(quantities.seconds(self._limit))
        self._every = min(self._seconds / _LOOKS, _LONGEST)
        self.doing = "its start"
        """What the work is at, for people."""
        self.told = 0
        """Progress that the work told of."""
        self._worked = 0
        """Looks that found this process at work."""
        self._heard = 0
        """What all ranks have counted."""
        self._closed = threading.Event()
        self._threads = [self._thread(self._look)]

    def share(self, store: Store) -> None:
        """Tell the other ranks of progress, and hear of theirs, from now on."""
        self._threads.append(self._thread(lambda: self._exchange(store)))
        self._threads[-1].start()

    def __enter__(self) -> Self:
        global _watch  # noqa: PLW0603  there is one main thread to look after
        _watch = self
        _end_after(2 * self._seconds)
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        global _watch  # noqa: PLW0603
        _watch = None
        self._closed.set()
        for thread in self._threads:
            thread.join(LAST_WORDS_SECONDS)  # it may wait for a store that does not answer
        faulthandler.cancel_dump_traceback_later()

    @staticmethod
    def _thread(work: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=work, name="hang", daemon=True)

    def _look(self) -> None:
        """End the process when it is time; until then put off its end without a word."""
        last, told, heard, size = time.monotonic(), 0, 0, _transferred()
        while not self._closed.wait(self._every):
            now, told_now, heard_now, size_now = (
                time.monotonic(),
                self.told,
                self._heard,
                _transferred(),
            )
            mine = told_now != told or size_now - size >= _BYTES
            if mine:
                self._worked += 1
            if mine or heard_now != heard:
                last = now
            told, heard, size = told_now, heard_now, size_now
            _end_after(2 * self._seconds)
            silent = now - last
            if silent > self._seconds and not (_waits() and silent <= 1.1 * self._seconds):
                self._end()

    def _exchange(self, store: Store) -> None:
        counted = 0
        try:
            ours = store.clone()
            while not self._closed.wait(self._every):
                worked = self._worked
                self._heard = ours.add("progress", worked - counted)
                counted = worked
        except RuntimeError:
            pass  # its rank has ended; this one will notice

    def _end(self) -> None:
        _end_after(LAST_WORDS_SECONDS)
        others = ", waiting for a rank that hangs or cannot be reached" if _waits() else ""
        failure = PodFailure(
            HUNG,
            f"rank {self._rank} made no progress for {self._limit}: it was at {self.doing}{others}; "
            "the stacks of its threads are in its log. The next attempt goes on from what is saved. "
            "If it hangs there again, see to the cause in the log, or set a longer "
            "spec.stability.hangTimeout where the work takes so long",
            FailureClass.INFRASTRUCTURE,
        )
        say(failure.outcome())
        faulthandler.dump_traceback(_STDERR)
        os._exit(1)


_watch: Watch | None = None


def progress(doing: str | None = None) -> None:
    """Tell that the work goes on, and what it is at from now on, if that is something else."""
    if _watch:
        _watch.told += 1
        _watch.doing = doing or _watch.doing


def _end_after(seconds: float) -> None:
    """End this process then, without Python; instead of what was said before."""
    faulthandler.dump_traceback_later(min(seconds, _FOREVER), exit=True, file=_STDERR)


def _transferred() -> int:
    """Bytes that this process has read from files and written to them; 0 where nobody counts."""
    try:
        with open("/proc/self/io", "rb") as file:  # noqa: PTH123  at every look
            return sum(int(line.split()[1]) for line in file if line[:6] in (b"rchar:", b"wchar:"))
    except OSError:
        return 0


def _waits() -> bool:
    """Whether the main thread is inside a call to other ranks."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001
    while frame:
        if "/torch/distributed/" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False
