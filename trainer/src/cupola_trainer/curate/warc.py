"""Records of web archives (WARC, ISO 28500), plain or with a gzip member a record, good and broken.

https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cupola_trainer.curate.members import members
from cupola_trainer.curate.packed import Damaged

LARGEST = 32 << 20
"""Bytes of a record's content that are held; one that has more is passed over."""

_HEAD = 64 << 10
"""Bytes that the headers of a record may have."""
_PIECE = 1 << 20
_END = b"\r\n\r\n"
_BEGIN = b"WARC/"
_HEADER = re.compile(rb"^([^:\s][^:\r\n]*):[ \t]*([^\r\n]*)", re.MULTILINE)


class WarcRecord(NamedTuple):
    """A record of an archive."""

    number: int
    """The how manieth of its file, from 1; broken ones count."""
    headers: dict[str, str]
    """By their names in lower case."""
    content: bytes | None
    """None if it is larger than LARGEST."""


class Broken(NamedTuple):
    """A record that cannot be read, or what lies between two that can."""

    number: int
    rule: str
    why: str
    rest: bool
    """Whether nothing of the file can be read from there on."""


def warc_records(path: Path) -> Iterator[WarcRecord | Broken]:
    """The records of a file, in order. Raises OSError."""
    stream = _Stream(path)
    number = 0
    in_sync = True
    while in_sync:
        number += 1
        try:
            found = stream.record()
        except Damaged as error:
            in_sync = stream.find_next()
            yield Broken(number, error.rule, str(error), not in_sync)
        else:
            if found is None:
                return
            yield WarcRecord(number, *found)


class _Stream:
    """The bytes of a file from where a record begins."""

    def __init__(self, path: Path) -> None:
        packed = path.name.lower().endswith(".gz")
        self._pieces = members(path) if packed else _plain(path)
        self._data = bytearray()

    def record(self) -> tuple[dict[str, str], bytes | None] | None:
        """Headers and content of the next record; None at the end. Raises Damaged."""
        while (
            not self._data or self._data[0] in b"\r\n"
        ):  # at most what ends a record: no bomb of them
            del self._data[:1]
            if not self._data and not self._more():
                return None
        begin = self._head()
        headers = {
            name.decode("latin-1").strip().lower(): value.decode(errors="replace").strip()
            for name, value in _HEADER.findall(self._data[:begin])
        }
        length = headers.get("content-length", "")
        if not re.fullmatch(r"[0-9]{1,15}", length):
            raise Damaged("broken-record", "it has no Content-Length")
        end = begin + int(length)
        if end - begin > LARGEST:
            self._pass_over(end)
            return headers, None
        self._hold(end + len(_END))
        after = bytes(self._data[end : end + len(_END)])
        if len(self._data) < end or after not in (_END, b""):
            raise Damaged("broken-record", "it is not as long as its Content-Length says")
        content = bytes(self._data[begin:end])
        del self._data[: end + len(after)]
        return headers, content

    def find_next(self) -> bool:
        """Go to where the next record begins after one that is broken; False if there is none."""
        while True:
            at = self._data.find(b"\n" + _BEGIN)
            if at >= 0:
                del self._data[: at + 1]
                return True
            del self._data[: -len(_BEGIN)]
            try:
                if not self._more():
                    return False
            except Damaged:
                continue  # what is lost is counted already

    def _head(self) -> int:
        """How long the headers are, with the empty line that ends them."""
        while (end := self._data.find(_END)) < 0:
            if len(self._data) > _HEAD or not self._more():
                raise Damaged("broken-record", "its headers do not end")
        if not self._data.startswith(_BEGIN) or end > _HEAD:
            raise Damaged("broken-record", "it does not begin as a record")
        return end + len(_END)

    def _hold(self, size: int) -> None:
        while len(self._data) < size and self._more():
            pass

    def _pass_over(self, size: int) -> None:
        while size > len(self._data):
            size -= len(self._data)
            self._data.clear()
            if not self._more():
                raise Damaged("cut-short", "the file ends within a record")
        del self._data[:size]

    def _more(self) -> bool:
        """Get more of the file; False at its end. Raises Damaged where there is a damage."""
        piece = next(self._pieces, None)
        if isinstance(piece, Damaged):
            self._data[:] = b"\n"  # what follows begins a line
            raise piece
        self._data += piece or b""
        return piece is not None


def _plain(path: Path) -> Iterator[bytes | Damaged]:
    with path.open("rb") as file:
        while data := file.read(_PIECE):
            yield data
