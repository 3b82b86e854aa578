"""From the files of a source to documents, one after the other, whatever is wrong with some.

A record that cannot be used becomes a `Rejected` with the rule that drops it; only a file that
cannot be read as what it should be is a failure.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cupola_api.dataset import Format, Source, Task
from cupola_api.errors import plain
from cupola_api.outcome import FailureClass
from cupola_trainer.curate.unreadable import LONGEST
from cupola_trainer.failures import storage_error
from cupola_trainer.pod import PodFailure

if TYPE_CHECKING:
    from zstandard import ZstdDecompressionObj

MAX_BYTES = 8 << 20
"""Largest document: rules hold some forty times its size while they look at it."""
MAX_LINE_BYTES = 4 * MAX_BYTES
"""Longest line of a Jsonl file: escapes make a document longer."""

RULE_NAMES = ("invalid-utf8", "invalid-json", "missing-field", "empty", "too-large")
"""Every rule that a `Rejected` may name."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Record:
    """A document, with its prompt and answer if it has them."""

    text: str
    input: str | None = None
    output: str | None = None
    composed: bool = False
    """Whether text is only input and output together."""
    fields: tuple[str, ...] = ()
    """The names of the record's fields, if the task's are not both among them."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is no document."""

    rule: str
    excerpt: str = ""
    """Its beginning."""
    fields: tuple[str, ...] = ()
    """The names of the fields that it does have, if one is missing."""


def read(path: Path, source: Source, task: Task | None) -> Iterator[Record | Rejected]:
    """The records of one file, in order.

    Raises PodFailure if the file is damaged, OSError if storage does not answer.
    """
    readers = {
        Format.JSONL: _jsonl,
        Format.PARQUET: _parquet,
        Format.TEXT: _whole,
        Format.PYTHON: _whole,
    }
    try:
        yield from readers[source.format](path, source, task)
    except (OSError, EOFError, zlib.error) as error:
        if storage_error(error):
            raise
        raise _damaged(path, source, str(error)) from error


def compose(prompt: str, answer: str) -> str:
    """The document that a prompt and its answer make."""
    return f"{prompt}\n\n{answer}"


def _damaged(path: Path, source: Source, why: str) -> PodFailure:
    return PodFailure(
        "SourceUnreadable",
        f"source {source.name}: {plain(path.name, LONGEST)} cannot be read as {source.format}: "
        f"{plain(why, 160)}; repair or remove the file",
        FailureClass.DATA,
    )


def _jsonl(path: Path, source: Source, task: Task | None) -> Iterator[Record | Rejected]:
    with _open(path) as file:
        for number, line in enumerate(_lines(file)):
            if line is None:
                yield Rejected("too-large")
                continue
            data = (line.removeprefix(_BOM) if number == 0 else line).strip()
            if not data:
                continue
            try:
                value = json.loads(data.decode())
            except UnicodeDecodeError:
                yield Rejected("invalid-utf8", _excerpt(data))
            except (ValueError, RecursionError):
                yield Rejected("invalid-json", _excerpt(data))
            else:
                if isinstance(value, dict):
                    yield _record(value, source, task)
                else:
                    yield Rejected("invalid-json", _excerpt(data))


def _parquet(path: Path, source: Source, task: Task | None) -> Iterator[Record | Rejected]:
    import polars as pl  # noqa: PLC0415  only this format needs it

    try:
        schema = pl.read_parquet_schema(path)
        wanted = [source.text, *((task.input, task.output) if task else ())]
        there = [name for name in dict.fromkeys(wanted) if name in schema]
        names = tuple(schema)
        frames = pl.scan_parquet(path).select(there or names[:1]).collect_batches(chunk_size=4096)
        for frame in frames:
            for row in frame.iter_rows(named=True):
                found = {name: row[name] for name in there}
                yield _record(found, source, task, names)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _damaged(path, source, str(error)) from error


def _whole(path: Path, source: Source, task: Task | None) -> Iterator[Record | Rejected]:
    del source, task
    with _open(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        yield Rejected("too-large", _excerpt(data))
        return
    try:
        text = data.removeprefix(_BOM).decode()
    except UnicodeDecodeError:
        yield Rejected("invalid-utf8", _excerpt(data))
        return
    yield Record(text) if text.strip() else Rejected("empty")


def _record(
    value: dict[str, Any], source: Source, task: Task | None, names: tuple[str, ...] | None = None
) -> Record | Rejected:
    """The document in the fields of a record; `names` are all its fields if `value` is a part.

    With a task a record is a document with a pair if it has prompt and answer, else only text.
    """
    wanted = [source.text, *((task.input, task.output) if task else ())]
    found = {name: value[name] for name in wanted if isinstance(value.get(name), str)}
    full = {name: field for name, field in found.items() if field.strip()}
    pair = (full.get(task.input), full.get(task.output)) if task else (None, None)
    text = full.get(source.text)
    if text is None and None in pair:
        blank = len(full) < len(found)
        return (
            Rejected("empty") if blank else Rejected("missing-field", fields=names or tuple(value))
        )
    for field in full.values():
        try:
            size = len(field) if field.isascii() else len(field.encode())
        except UnicodeEncodeError:  # half of a surrogate pair, written as an escape
            return Rejected("invalid-utf8")
        if size > MAX_BYTES:
            return Rejected("too-large", field[:1000])
    prompt, answer = pair
    if prompt is None or answer is None:
        return Record(text or "", fields=(names or tuple(value)) if task else ())
    if text is None:
        return Record(compose(prompt, answer), prompt, answer, composed=True)
    return Record(text, prompt, answer)


def _excerpt(data: bytes) -> str:
    return data[:1000].decode(errors="replace")


def _lines(file: io.BufferedIOBase) -> Iterator[bytes | None]:
    """The lines of a file; None for each that is longer than a document may be."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield None


def _open(path: Path) -> io.BufferedIOBase:
    """The content of a file, decompressed as it is read."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rb")
    if path.name.lower().endswith(".zst"):
        return io.BufferedReader(_Zstandard(path), 1 << 20)
    return path.open("rb")


class _Zstandard(io.RawIOBase):
    """Decompresses frame after frame; a file that ends inside one raises EOFError.

    The reader of the library takes a cut file for a whole one. It is fed in pieces so small that no
    piece can grow to more than some hundred megabytes.
    """

    def __init__(self, path: Path) -> None:
        import zstandard  # noqa: PLC0415  only this suffix needs it

        self._error = zstandard.ZstdError
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._file = path.open("rb")
        self._frame: ZstdDecompressionObj | None = None
        self._rest = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._rest or self._file.read(4096)
            self._rest = b""
            if not data:
                if self._frame is not None:
                    raise EOFError("the compressed data ends too early")
                return 0
            self._frame = self._frame or self._new()
            try:
                self._ready = memoryview(self._frame.decompress(data))
            except self._error as error:
                raise EOFError(str(error)) from error
            if self._frame.eof:
                self._rest = self._frame.unused_data
                self._frame = None
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()
