"""Files as they are read: plain, or unpacked on the way (.gz, .zst), within bounds of memory and size.

The readers of the libraries take some cut files for whole ones, and unpack whatever they are given.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any, Protocol

RATIO = 300
"""A file that grows to more than this many times its size is no text: 3 to 10 times is usual."""
FREE = 64 << 20
"""Bytes that any file may grow to."""
WINDOW = 256 << 20
"""How far back a zstd frame may look, at most (`zstd --long=28`): that much memory holds it."""

_GZIP_PIECE = 16 << 10
_ZSTD_PIECE = 1 << 10
"""Packed bytes that are unpacked at once: they can grow to 16 MiB, and to 32 MiB."""


class Damaged(Exception):
    """A file, or the rest of one, that cannot be read; `str` of it says why."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(why)
        self.rule = rule
        """One of `records.BAD`."""


class _Frame(Protocol):
    """What unpacks a gzip member or a zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def unpacked(path: Path) -> io.BufferedIOBase:
    """The content of a file. What is read of it raises Damaged where that ends, or OSError."""
    name = path.name.lower()
    if name.endswith(".gz"):
        return io.BufferedReader(_Gzip(path), 1 << 20)
    if name.endswith(".zst"):
        return io.BufferedReader(_Zstandard(path), 1 << 20)
    return path.open("rb")


class _Unpacked(io.RawIOBase):
    """Unpacks frame after frame; a file that ends inside one is damaged."""

    piece: int
    errors: tuple[type[Exception], ...]

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._frame: _Frame | None = None
        self._rest = b""
        self._ready = memoryview(b"")
        self._taken = self._given = 0

    def new(self) -> _Frame:
        raise NotImplementedError

    def begins(self, data: bytes) -> bytes:
        """`data` from where the next frame begins."""
        return data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._rest or self._file.read(self.piece)
            self._taken += 0 if self._rest else len(data)
            self._rest = b""
            if not data:
                if self._frame is not None or not self._taken:
                    raise Damaged("cut-short", "the compressed data ends too early")
                return 0
            if self._frame is None:
                data = self.begins(data)
                if not data:
                    continue
                self._frame = self.new()
            try:
                self._ready = memoryview(self._frame.decompress(data))
            except self.errors as error:
                raise Damaged("corrupt", str(error)) from error
            if self._frame.eof:
                self._rest = self._frame.unused_data
                self._frame = None
            self._given += len(self._ready)
            if self._given > max(FREE, RATIO * self._taken):
                raise Damaged("bomb", f"it grows to more than {RATIO} times its size")
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()


class _Gzip(_Unpacked):
    piece = _GZIP_PIECE
    errors = (zlib.error,)

    def new(self) -> _Frame:
        return zlib.decompressobj(wbits=31)

    def begins(self, data: bytes) -> bytes:
        return data.lstrip(b"\0")  # what fills up the last block of a tape


class _Zstandard(_Unpacked):
    piece = _ZSTD_PIECE

    def __init__(self, path: Path) -> None:
        import zstandard  # noqa: PLC0415  only this suffix needs it

        super().__init__(path)
        self.errors = (zstandard.ZstdError,)
        self._library = zstandard.ZstdDecompressor(max_window_size=WINDOW)

    def new(self) -> _Frame:
        return self._library.decompressobj()
