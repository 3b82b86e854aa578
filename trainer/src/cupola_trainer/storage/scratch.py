"""Room on this machine for what is brought in and what is made: a folder below TMPDIR.

The ranks that torchrun started on this machine share one, so that a file is fetched once. It goes
with the last of them; what a killed process left goes when the next one comes.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from cupola_api.outcome import FailureClass
from cupola_trainer.failures import StoreError, storage_error

_ALIVE = ".alive"


@cache
def root() -> Path:
    """The folder of this process, or of the ranks that it is one of."""
    base = Path(tempfile.gettempdir())
    mine = f"cupola-{os.getuid()}-"
    for other in base.glob(f"{mine}*"):
        _remove_if_left(other)
    gang = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1
    folder = base / f"{mine}{os.getppid() if gang else os.getpid()}"
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.lstat().st_uid != os.getuid():
            raise PermissionError(1, "belongs to another user", str(folder))
        with suppress(FileNotFoundError):  # the last of other ranks has just left
            handle = os.open(folder / _ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(handle, fcntl.LOCK_SH)
            if os.fstat(handle).st_nlink:
                break
            os.close(handle)
    atexit.register(_leave, folder, handle, os.getpid())
    return folder


def folder(name: str) -> Path:
    """A new, empty folder, in one of its own; its maker removes it with `remove`."""
    made = Path(tempfile.mkdtemp(dir=root())) / name
    made.mkdir()
    return made


def remove(made: Path) -> None:
    """Remove what `folder` made."""
    shutil.rmtree(made.parent, ignore_errors=True)


@contextmanager
def alone(name: str) -> Iterator[Path]:
    """The folder `name`, while no other rank of this machine is in here with the same name."""
    place = root() / name
    with (root() / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield place


@contextmanager
def room_for(uri: str) -> Iterator[None]:
    """Around writing here. Raises StoreError if there is no room, for what belongs to `uri`."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        number = storage_error(error)
        if number not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StoreError(
            number,
            f"{tempfile.gettempdir()} has no room for its files",
            uri,
            reason="ScratchFull",
            remedy="give the pod more scratch space (TMPDIR)",
            failure=FailureClass.INFRASTRUCTURE,
        ) from error


def _leave(folder: Path, handle: int, process: int) -> None:
    if os.getpid() == process:  # not a fork
        os.close(handle)
        _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder that no process uses."""
    with suppress(OSError):
        handle = os.open(folder / _ALIVE, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)
