"""Processes of pods: started under a shim, and found again by what their environment says.

A shell that was killed leaves shims that end their pods; a shim that was killed too leaves
processes that carry the mark of their pod in their environment. Both are waited for or ended before
a pod is called ended: two writers of one attempt must never be alive.

No pid is kept from one shell to the next, so none can be mistaken for another after a restart of
the machine, and a mark holds the identity of the work directory, so that a copy of one does not
answer for the pods of the other. What is not found: a process that wiped its environment, whose
parent has ended, and whose shim was killed by SIGKILL. Nothing that is left tells whose it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError

from cupola_api.base import Model
from cupola_operator.local import shim

MARKER = "CUPOLA_POD"
"""Environment variable that every process of a pod inherits: its mark, see `PodFiles.mark`."""


class ProcessStuck(Exception):
    """A process did not end after SIGKILL; the message names it."""


class End(Model):
    """How a pod's program ended, as its shim wrote it; see `shim`."""

    exit_code: int = Field(ge=0, le=255)
    signal: int | None = None
    finished_at: float
    orphaned: bool
    out_of_memory: bool = False
    oom_kills: int

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The content of exit.json, or None if there is no whole one."""
        try:
            return cls.model_validate(json.loads(path.read_bytes()))
        except (OSError, ValueError, ValidationError):
            return None


class Process:
    """A pod's program under its shim."""

    def __init__(
        self,
        command: list[str],
        *,
        environment: dict[str, str],
        folder: Path,
        log: Path,
        end: Path,
        memory: int | None = None,
    ) -> None:
        """Start it in `folder`, its output appended to `log`; the shim writes `end`.

        `memory`: bytes that all of it together may hold; what takes more is killed.
        Raises OSError if the shim cannot be started.
        """
        self._end = end
        log.parent.mkdir(parents=True, exist_ok=True)
        read, write = os.pipe()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # of this thread alone
        try:
            with log.open("ab") as output:
                self._shim = subprocess.Popen(
                    [
                        sys.executable,
                        "-I",
                        "-S",
                        shim.__file__,
                        str(end),
                        str(memory or 0),
                        *command,
                    ],
                    stdin=read,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=folder,
                    start_new_session=True,
                )
        except BaseException:
            os.close(write)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(read)
        self._pipe: int | None = write
        self._closing = threading.Lock()

    @property
    def pid(self) -> int:
        """The pid of the shim."""
        return self._shim.pid

    def terminate(self) -> None:
        """Ask the program to end (SIGTERM)."""
        self._shim.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End everything of the pod now (SIGKILL)."""
        with self._closing:
            if self._pipe is not None:
                os.close(self._pipe)
                self._pipe = None
        self._shim.send_signal(signal.SIGCONT)  # one that was stopped could not see the pipe end

    def wait(self) -> End | None:
        """Wait for the end of all of it; None if the shim was killed and left no word."""
        self._shim.wait()
        self.kill()
        return End.read(self._end)


def marked(mark: str) -> set[int]:
    """The living processes of a pod: those that carry its mark, and what these started."""
    entry = f"{MARKER}={mark}".encode()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
        except OSError:
            continue
    found |= shim.children_of(found)
    return {pid for pid in found - {os.getpid()} if not _is_zombie(pid)}


def end_all(mark: str, *, patience: float = 0.0, timeout: float = 30.0) -> None:
    """Return when no process of the pod is alive: wait `patience` seconds, then SIGKILL.

    Raises ProcessStuck after `timeout` further seconds.
    """
    start = time.monotonic()
    while living := marked(mark):
        waited = time.monotonic() - start
        if waited > patience + timeout:
            raise ProcessStuck(
                f"process {min(living)} of a pod ({MARKER}={mark}) does not end after SIGKILL; "
                "end it, or restart the machine, then run the same command again"
            )
        if waited >= patience:
            _kill_all(mark)
        time.sleep(0.02)


def _kill_all(mark: str) -> None:
    """SIGKILL the processes of a pod, stopped first so that none starts another meanwhile.

    One that is known by its parent alone could not be told any more once that is dead. Signals go
    through handles, so that a pid used again meanwhile is not hit.
    """
    handles: dict[int, int] = {}
    try:
        while new := marked(mark) - handles.keys():
            opened = {pid: _handle(pid) for pid in new}
            still = marked(mark)
            for pid, handle in opened.items():
                if handle is None:
                    continue
                if pid in still:
                    handles[pid] = handle
                    _send(handle, signal.SIGSTOP)
                else:
                    os.close(handle)
        for handle in handles.values():
            _send(handle, signal.SIGKILL)
    finally:
        for handle in handles.values():
            os.close(handle)


def _handle(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _send(handle: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in b"ZX"
    except OSError:
        return True
