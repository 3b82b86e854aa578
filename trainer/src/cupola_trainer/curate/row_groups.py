"""How a Parquet file is divided: its row groups, so that it can be read piece by piece.

Polars reads a part of a file by row numbers, but does not tell where a row group begins or how large
it is. Both stand in the footer, in Thrift's compact protocol; the rest of it is passed over.
https://parquet.apache.org/docs/file-format/ and parquet.thrift
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

from cupola_trainer.curate.packed import Damaged

LARGEST = 1 << 30
"""Bytes of a row group, unpacked, that are read at most: that much memory holds it."""

_PIECE = 32 << 20
_ROWS = 1 << 20
_MOST = 1 << 31
"""Rows of a row group, at most: Parquet's own numbers in it have 32 bits."""
_MAGIC = b"PAR1"
_FOOTER = 256 << 20


class Rows(NamedTuple):
    """Rows of a file that are read at once: one row group, or small ones that follow each other."""

    first: int
    height: int
    bytes: int
    """Of all their columns, unpacked, as the file says."""

    def __str__(self) -> str:
        return f"rows {self.first + 1} to {self.first + self.height}"

    def halves(self) -> tuple[Rows, Rows]:
        """The same in two pieces."""
        half = self.height // 2
        return (
            Rows(self.first, half, self.bytes),
            Rows(self.first + half, self.height - half, self.bytes),
        )


def pieces(path: Path) -> list[Rows]:
    """All rows of a file, in order, in pieces of about 32 MiB. Raises Damaged, or OSError."""
    groups = row_groups(_footer(path))
    found: list[Rows] = []
    first = 0
    for count, size in groups:
        if found and found[-1].bytes + size <= _PIECE and found[-1].height + count <= _ROWS:
            last = found.pop()
            found.append(Rows(last.first, last.height + count, last.bytes + size))
        else:
            parts = range(first, first + count, _ROWS)
            found += [Rows(at, min(_ROWS, first + count - at), size) for at in parts]
        first += count
    return found


def _footer(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        tail = file.read(8)
        if size < 12 or tail[4:] != _MAGIC:
            raise Damaged("cut-short", "it does not end as a Parquet file")
        (length,) = struct.unpack("<I", tail[:4])
        if length > min(size - 12, _FOOTER):
            raise Damaged("corrupt", "its footer is longer than the file")
        file.seek(size - 8 - length)
        return file.read(length)


def row_groups(footer: bytes) -> list[tuple[int, int]]:
    """(rows, bytes) of each row group. Raises Damaged."""
    try:
        groups = _Compact(footer).struct({4: {}})[4]
        found = [(group[3], group[2]) for group in groups]
        if all(0 <= rows <= _MOST and size >= 0 for rows, size in found):
            return found
    except (IndexError, KeyError, TypeError, RecursionError):
        pass
    raise Damaged("corrupt", "its footer cannot be read")


class _Compact:
    """A reader of Thrift's compact protocol: integers, and of lists of structs those asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self, wanted: dict[int, Any]) -> dict[int, Any]:
        """The integers of a struct, and the lists in `wanted`, which says so of their structs too."""
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            if kind in (1, 2):  # a boolean is in its head
                found[number] = kind == 1
            else:
                found[number] = self._value(kind, wanted.get(number))
        return found

    def _value(self, kind: int, wanted: dict[int, Any] | None) -> Any:
        if kind in (1, 2, 3):
            self._at += 1
        elif kind in (4, 5, 6):
            return self._integer()
        elif kind == 7:
            self._at += 8
        elif kind == 8:
            length = self._varint()
            self._at += length
        elif kind in (9, 10):
            return self._list(wanted)
        elif kind == 12:
            return self.struct(wanted or {})
        else:
            raise Damaged("corrupt", "its footer cannot be read")
        if self._at > len(self._data):
            raise IndexError
        return None

    def _list(self, wanted: dict[int, Any] | None) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        if count > len(self._data):
            raise IndexError
        items = (self._value(head & 15, wanted) for _ in range(count))
        if wanted is None:
            for _ in items:
                pass
            return []
        return [*items]

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise IndexError
        return value | byte << shift

    def _byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value
