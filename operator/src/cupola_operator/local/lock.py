"""One `cupola run` a work directory: a lock that ends with the process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_POLL_SECONDS = 0.05


class WorkdirUnusable(Exception):
    """A work directory cannot be used; the message says why and what to do."""


class WorkdirBusy(WorkdirUnusable):
    """Another process holds the lock."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"{folder} is in use by another cupola run (pid {holder}); wait for it, stop it, or "
            "name another --workdir"
        )
        self.holder = holder


@contextlib.contextmanager
def hold(folder: Path, *, patience: float = 0) -> Iterator[None]:
    """Make the work directory and hold its lock. Raises WorkdirUnusable, WorkdirBusy.

    `patience`: seconds to wait for another holder: a command needs the lock for a moment only.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise WorkdirUnusable(
            f"{folder} cannot be used as a work directory: {error.strerror}; name another with "
            "--workdir"
        ) from error
    with file:
        try:
            _take(file, patience)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise WorkdirBusy(folder, holder) from error
        except OSError as error:
            raise WorkdirUnusable(
                f"{folder} cannot be locked: {error.strerror}; name a --workdir on a local disk"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def is_held(folder: Path) -> bool:
    """Whether somebody holds the lock of a work directory."""
    try:
        with (folder / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _take(file: IO[str], patience: float) -> None:
    """Lock a file. Raises BlockingIOError if another process has it for longer than `patience`."""
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return
