"""Files of an artifact read piece by piece, each checked against its digest as it is read.

On a disk a file is mapped where it lies, and each piece of it is hashed the first time. What lies in
S3 is brought to a folder below TMPDIR, a file for each piece, named by its digest. The ranks of a
machine share the folder: one brings a piece, the others wait for it. Where the folder would grow
beyond its room, the pieces that were not used for longest go; one that goes too early is brought
again.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cupola_api.artifact import ArtifactInvalid
from cupola_trainer import hang
from cupola_trainer.shards import Piece
from cupola_trainer.storage import s3, scratch
from cupola_trainer.storage.place import Place, S3Place

THREADS = 8
"""Pieces that a process brings at a time."""
_LOCKS = 256
_PART = ".part"

Bytes = npt.NDArray[np.uint8]


class Pieces(Protocol):
    """Where pieces are read."""

    def open(self, piece: Piece) -> Bytes:
        """A piece, mapped. Raises ArtifactInvalid if it is not what it should be, or OSError."""

    def bring(self, pieces: Iterable[Piece]) -> None:
        """Have these at hand soon, in this order, and no others; returns at once."""


def pieces_of(place: Place, count: int, room: int) -> Pieces:
    """The `count` pieces of files in a folder; of S3 at most `room` bytes of them are kept here."""
    return Brought(place, room) if isinstance(place, S3Place) else InPlace(place, count)


class InPlace:
    """Pieces of files of this machine, or of a volume."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._checked = np.zeros(count, bool)

    def open(self, piece: Piece) -> Bytes:
        """See `Pieces`."""
        path = self._folder / piece.file
        try:
            size = path.stat().st_size
            if size < piece.begin + piece.size:
                raise ArtifactInvalid(f"{path} has {size} bytes, fewer than its index says")
            data = np.memmap(path, np.uint8, "r", piece.begin, (piece.size,))
        except FileNotFoundError:
            raise ArtifactInvalid(f"{path} is missing") from None
        if not self._checked[piece.number]:
            _check(data.data, piece, str(path))
            self._checked[piece.number] = True
        return data

    def bring(self, pieces: Iterable[Piece]) -> None:
        """Nothing: they are here."""


class Brought:
    """Pieces of objects, kept on this machine for a while."""

    def __init__(self, place: S3Place, room: int) -> None:
        self._place = place
        self._room = room
        name = hashlib.sha256(str(place).encode()).hexdigest()[:16]
        self._folder = scratch.root() / f"pieces-{name}"
        self._folder.mkdir(exist_ok=True)
        self._ahead: deque[Piece] = deque()
        self._threads: list[threading.Thread] = []
        atexit.register(self._ahead.clear)

    def open(self, piece: Piece) -> Bytes:
        """See `Pieces`."""
        while True:
            self._fetch(piece)
            hang.progress()
            with suppress(FileNotFoundError):  # another rank made room in between
                os.utime(self.path(piece))
                return np.memmap(self.path(piece), np.uint8, "r")

    def bring(self, pieces: Iterable[Piece]) -> None:
        """See `Pieces`. A piece that cannot be had is left to `open`, which says why."""
        self._ahead.clear()
        self._ahead.extend(pieces)
        self._threads = [one for one in self._threads if one.is_alive()]
        for _ in range(min(THREADS, len(self._ahead)) - len(self._threads)):
            # A daemon: the process need not wait for what it will not use.
            thread = threading.Thread(target=self._work, name="pieces", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _work(self) -> None:
        with suppress(IndexError, OSError, ArtifactInvalid):
            while True:
                self._fetch(self._ahead.popleft())

    def path(self, piece: Piece) -> Path:
        """Where a piece is kept."""
        return self._folder / piece.sha256.hex()

    def _fetch(self, piece: Piece) -> None:
        """Bring a piece, unless it is here."""
        path = self.path(piece)
        if path.exists():
            return
        with (self._folder / f".{piece.sha256[0] % _LOCKS:02x}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return
            where = self._place / piece.file
            try:
                data, total = s3.read_range(where, piece.begin, piece.begin + piece.size)
            except FileNotFoundError:
                raise ArtifactInvalid(f"{where} is missing") from None
            if len(data) != piece.size:
                raise ArtifactInvalid(f"{where} has {total} bytes, fewer than its index says")
            _check(data, piece, str(where))
            with scratch.room_for(str(where)):
                self._make_room(piece.size)
                part = path.with_name(f"{path.name}{_PART}")
                part.write_bytes(data)
                part.rename(path)

    def _make_room(self, size: int) -> None:
        """Remove the pieces that were not used for longest, until `size` bytes more find room."""
        found = []
        for entry in os.scandir(self._folder):
            with suppress(FileNotFoundError):
                if not entry.name.startswith("."):
                    found.append((entry.stat().st_mtime_ns, entry.path, entry.stat().st_size))
        over = sum(size for _, _, size in found) + size - self._room
        for _, path, bytes_ in sorted(found):
            if over <= 0:
                return
            if not path.endswith(_PART):
                Path(path).unlink(missing_ok=True)  # who has it open goes on reading
                over -= bytes_


def _check(data: bytes | memoryview, piece: Piece, where: str) -> None:
    if hashlib.sha256(data).digest() != piece.sha256:
        raise ArtifactInvalid(f"{where} has other content than its index says")
