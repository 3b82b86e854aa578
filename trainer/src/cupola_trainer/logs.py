"""`python -m cupola_trainer.logs PROGRAM...`: run a pod's program, and keep what it prints in storage.

All that the program and its children print goes on to this process's own output, at once and
complete. A copy is put at `LOG` of the environment, whole lines only: every `SECONDS` while there is
news, and at the end, whatever the end was; a pod that is killed leaves what was put last. The copy
holds the first `HEAD` and the last `TAIL` bytes. Storage that fails is a warning, never the end of
a run.

SIGTERM goes on to the program; the exit code is the program's. The program begins at once: what is
slow to import is so with the first copy.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections import deque
from types import FrameType

LOG = "CUPOLA_LOG"
"""Environment variable: `cupola_api.run.LOG`, which is not imported for its cost."""

SECONDS = 30.0
"""Between two copies, at least."""

HEAD, TAIL = 1 << 20, 3 << 20
"""Bytes of a log that are kept."""

LAST_SECONDS = 10.0
"""For how long the last copy, or a child that outlives the program, may hold up the end."""

_CHUNK = 1 << 16


class Kept:
    """The beginning and the end of what was printed."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._size = 0
        self._left_out = 0
        self._lock = threading.Lock()
        self.changes = 0
        """Counts what was added."""

    def add(self, lines: bytes) -> None:
        """Keep more, of which the oldest goes that is neither head nor tail."""
        with self._lock:
            self.changes += 1
            if not self._tail and len(self._head) + len(lines) <= HEAD:
                self._head += lines
                return
            self._tail.append(lines)
            self._size += len(lines)
            while self._size > TAIL:
                gone = len(self._tail.popleft())
                self._size -= gone
                self._left_out += gone

    def content(self) -> bytes:
        """All that is kept."""
        with self._lock:
            gap = b"[%d bytes are left out here]\n" % self._left_out if self._left_out else b""
            return bytes(self._head) + gap + b"".join(self._tail)


class Copies:
    """Puts what is kept in storage, until it is closed."""

    def __init__(self, kept: Kept, uri: str) -> None:
        self._kept = kept
        self._uri = uri
        self._put = 0
        self._fails = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Put the last copy, or give up."""
        self._closed.set()
        self._thread.join(LAST_SECONDS)
        if self._thread.is_alive():
            self._warn("storage does not answer")

    def _work(self) -> None:
        while not self._closed.wait(SECONDS):
            self._copy()
        self._copy()

    def _copy(self) -> None:
        if (changes := self._kept.changes) == self._put:
            return
        try:
            from cupola_trainer import storage  # noqa: PLC0415  see the module

            storage.write(storage.place_of(self._uri), self._kept.content())
        except Exception as error:  # noqa: BLE001  no failure here may end a run
            if not self._fails:
                self._warn(str(error))
            self._fails = True
        else:
            self._put, self._fails = changes, False

    def _warn(self, why: str) -> None:
        text = f"warning: what this pod prints is not kept at {self._uri}: {why}\n"
        _write(2, text.encode(errors="replace"))


def _pass_on(source: int, to: int, kept: Kept) -> None:
    """Copy one file descriptor to another as it comes, and keep its lines."""
    rest = b""
    while data := os.read(source, _CHUNK):
        _write(to, data)
        rest += data
        end = rest.rfind(b"\n") + 1
        if len(rest) - end >= _CHUNK:  # a line without an end
            end = len(rest)
        if end:
            kept.add(rest[:end])
            rest = rest[end:]
    if rest:
        kept.add(rest + b"\n")


def _write(to: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(to, data) :]
    except OSError:
        pass  # nobody reads any more


def _run(command: list[str], kept: Kept) -> int:
    """Run a program, which gets the signals that this process gets, and pass on what it prints.

    Returns its exit code, as shells count. Raises OSError.
    """
    started: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        for process in started:
            process.send_signal(number)
        if not started:
            early.append(number)

    # A handler runs between two instructions: a signal that came right before a call that waits
    # for the child would be seen only after it. The pipe remembers that one came.
    wake, wake_end = os.pipe()
    os.set_blocking(wake_end, False)
    signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, forward)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    (out, its_out), (err, its_err) = os.pipe(), os.pipe()
    process = subprocess.Popen(command, stdout=its_out, stderr=its_err)
    started.append(process)
    os.close(its_out)
    os.close(its_err)
    for number in early:
        process.send_signal(number)
    passing = [
        threading.Thread(target=_pass_on, args=(source, to, kept), daemon=True)
        for source, to in ((out, 1), (err, 2))
    ]
    for thread in passing:
        thread.start()
    while (code := process.poll()) is None:
        select.select([wake], [], [])
        os.read(wake, _CHUNK)
    for thread in passing:
        thread.join(LAST_SECONDS)
    return 128 - code if code < 0 else code


def main(command: list[str]) -> int:
    """Run a command and keep what it prints; returns its exit code. Once a process."""
    uri, kept = os.environ.get(LOG), Kept()
    copies = Copies(kept, uri) if uri else None
    try:
        code = _run(command, kept)
    except OSError as error:
        print(f"{command[0]} cannot be run: {error.strerror}", file=sys.stderr)
        return 127
    if copies:
        copies.close()
    return code


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("say what to run: python -m cupola_trainer.logs PROGRAM...")
    os._exit(main(sys.argv[1:]))  # what storage still waits for does not hold it up
