"""One `cupola run` a work directory: a lock that ends with the process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class WorkdirUnusable(Exception):
    """A work directory cannot be used; the message says why and what to do."""


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Make the work directory and hold its lock. Raises WorkdirUnusable."""
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
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise WorkdirUnusable(
                f"{folder} is in use by another cupola run (pid {holder}); wait for it, stop it, "
                "or name another --workdir"
            ) from error
        except OSError as error:
            raise WorkdirUnusable(
                f"{folder} cannot be locked: {error.strerror}; name a --workdir on a local disk"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
