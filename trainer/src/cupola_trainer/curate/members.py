"""A gzip file of many members, such as a web archive with one a record, whole or damaged in between.

A member is given out when it was unpacked to its end and its checksum was right; what follows a
damaged one is found by how a member begins. (One larger than `WHOLE` is given out as it comes.)
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cupola_trainer.curate.packed import FREE, RATIO, Damaged

WHOLE = 64 << 20
"""Bytes of a member, unpacked, that are held until it ends."""

_MAGIC = b"\x1f\x8b\x08"
_PIECE = 16 << 10
_MOST_DAMAGED = 1000
"""Damages of a file after which the rest of it is given up."""


def members(path: Path) -> Iterator[bytes | Damaged]:
    """What a file holds, in pieces, and what is wrong in between.

    Raises Damaged where the rest of it is given up, or OSError.
    """
    start = given = damages = 0
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if not size:
            raise Damaged("cut-short", "the file is empty")
        while start < size:
            begin = start
            try:
                for piece, start in _member(file, begin):
                    given += len(piece)
                    if given > max(FREE, RATIO * start):
                        raise Damaged("bomb", f"it grows to more than {RATIO} times its size")
                    yield piece
            except Damaged as error:
                damages += 1
                if error.rule == "bomb" or damages >= _MOST_DAMAGED:
                    raise
                yield error
                start = _next(file, begin + 1)


def _member(file: IO[bytes], begin: int) -> Iterator[tuple[bytes, int]]:
    """Pieces of the member that begins there, and where what follows begins. Raises Damaged."""
    member = zlib.decompressobj(wbits=31)
    held: list[bytes] = []
    at = begin
    file.seek(at)
    while not member.eof:
        data = file.read(_PIECE)
        if at == begin and not data.strip(b"\0"):  # what fills up the last block of a tape
            yield b"", at + len(data)
            return
        if not data:
            raise Damaged("cut-short", "the compressed data ends too early")
        at += len(data)
        try:
            held.append(member.decompress(data))
        except zlib.error as error:
            raise Damaged("corrupt", str(error)) from error
        if sum(map(len, held)) > WHOLE:
            whole = b"".join(held)
            held.clear()
            yield whole, at
            file.seek(at)
    yield b"".join(held), at - len(member.unused_data)


def _next(file: IO[bytes], start: int) -> int:
    """Where the next member begins, at or after `start`, or the file ends."""
    file.seek(start)
    before = b""
    while data := file.read(_PIECE):
        window = before + data
        if (at := window.find(_MAGIC)) >= 0:
            return start + at
        before = window[-2:]
        start += len(window) - len(before)
    return start + len(before)
