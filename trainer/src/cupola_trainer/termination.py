"""SIGTERM, Kubernetes' way to ask a pod to end, in every phase of a pod's program.

The main thread may be inside a library for minutes (it imports, or waits for another rank), and
Python runs no signal handler meanwhile. So a thread of its own waits for the signal from the first
line of the program on. It writes the termination message at once: even a pod that is killed in the
end has said why. Then it

- ends the process, where nothing is lost by that;
- leaves the end to the work, once that has opened a `Termination`: it looks at `asked` where it
  can stop, saves, and ends in good order.

This file is imported before anything else, and imports nothing slow before it listens.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

EXIT_CODE = 143
"""Of a process that SIGTERM ended: 128 and the signal's number."""

CAUSE_SECONDS = 5.0
"""For how long a rank that follows a dead one may still say what it saw itself."""

_deciding = threading.Lock()
_left_to_work = False
_forking = threading.local()


def listen() -> None:
    """Be ready for SIGTERM from now on; for the main thread of a program, once."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, _ignore)
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_forget)
    # What the thread needs to speak: loaded here, since it could meet a half-loaded module there.
    from cupola_trainer import failures, pod, timesheet  # noqa: F401, PLC0415

    threading.Thread(target=_wait, args=(read,), name="termination", daemon=True).start()


def leave_to_work() -> None:
    """From now on SIGTERM does not end this process: its work will, or its end is near."""
    global _left_to_work  # noqa: PLW0603  signals belong to the process
    with _deciding:
        _left_to_work = True


class Termination:
    """From its opening on SIGTERM is noted; while it is open `asked` says whether it came.

    For the main thread.
    """

    def __init__(self) -> None:
        self.asked = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def __enter__(self) -> Self:
        self._old = signal.signal(signal.SIGTERM, self._note)
        leave_to_work()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGTERM, self._old)


def _ignore(number: int, frame: FrameType | None) -> None:
    """The signal has gone to the thread, through the wake-up pipe."""


def _hold() -> None:
    """Before a fork: a signal to the child must not come before `_forget`."""
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _forget() -> None:
    """A child of this process has no such thread: SIGTERM ends it, and wakes nobody here."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _release()


def _wait(pipe: int) -> None:
    while signal.SIGTERM not in os.read(pipe, 512):
        pass  # another signal with a handler
    from cupola_api.outcome import Outcome, OutcomeKind  # noqa: PLC0415
    from cupola_trainer import failures, pod, timesheet  # noqa: PLC0415

    if _lost_a_rank() and not pod.stopped():
        # The launcher ends the ranks that are left. What one of them saw comes first.
        if not _left_to_work:
            time.sleep(CAUSE_SECONDS)
        outcome = failures.rank_lost("a process of this pod ended").outcome()
        pod.leave(outcome)
        code = 1
    else:
        outcome = Outcome(
            outcome=OutcomeKind.STOPPED,
            reason="Terminated",
            message="stopped as asked (SIGTERM); the next attempt goes on from what is saved",
            timing=timesheet.said(),
            first_work_at=timesheet.first_work(),
        )
        pod.leave(outcome)
        code = EXIT_CODE
    with _deciding:
        if not _left_to_work:
            with contextlib.suppress(OSError):
                os.write(2, outcome.write().encode() + b"\n")
            os._exit(code)


def _lost_a_rank() -> bool:
    """Whether torchrun started more ranks in this pod than are alive."""
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return ranks > 1 and len(_living_children(os.getppid())) < ranks


def _living_children(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in parentheses may itself hold spaces and parentheses.
            state, its_parent = path.read_text().rpartition(")")[2].split()[:2]
            if int(its_parent) == parent and state not in "ZX":
                found.append(int(path.parent.name))
    return found
