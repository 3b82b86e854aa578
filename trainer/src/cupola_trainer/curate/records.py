"""From the files of a source to documents, one after the other, whatever is wrong with some.

A record that cannot be used becomes a `Rejected` with the rule that drops it, or with what is broken
about it. So does the rest of a file from where it is damaged: a document that nobody can count.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cupola_api.dataset import Format, Source, Task
from cupola_trainer.curate import row_groups
from cupola_trainer.curate.packed import Damaged, unpacked

if TYPE_CHECKING:
    import polars as pl

MAX_BYTES = 8 << 20
"""Largest document: rules hold some forty times its size while they look at it."""
MAX_LINE_BYTES = 4 * MAX_BYTES
"""Longest line of a Jsonl file: escapes make a document longer."""
_PASSED = 1 << 20
"""Bytes of a longer one that are passed over at a time."""

BROKEN = ("invalid-utf8", "invalid-json", "broken-record", "nul", "too-large", "too-deep")
"""What may be broken about a record."""
DAMAGED = ("cut-short", "corrupt", "bomb")
"""What may be wrong with a file from some place on."""
RULE_NAMES = ("missing-field", "empty", "not-fetched", "not-text")
"""Rules that drop a record which is not broken."""

URL = "url"
"""The field of a record that says where its document is from."""
_URL_LENGTH = 2048

_TELL_APART = 1000
"""Rows of a Parquet file that are given up together, if one of them cannot be read."""

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
    url: str = ""
    """Where it is from, if the source says so."""
    date: str = ""
    """When a crawler fetched it, as it wrote that."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is no document."""

    rule: str
    """One of RULE_NAMES, BROKEN or DAMAGED."""
    fields: tuple[str, ...] = ()
    """The names of the fields that it does have, if one is missing."""
    place: str = ""
    """Where in the file it is, if it is broken."""
    detail: str = ""
    """What the library said that could not read it."""
    count: int = 1
    """Documents that it stands for."""
    rest: bool = False
    """Whether it stands for the rest of the file, of which nobody knows what it holds."""


def read(path: Path, source: Source, task: Task | None) -> Iterator[Record | Rejected]:
    """The records of one file, in order.

    Raises OSError if storage does not answer.
    """
    readers = {
        Format.JSONL: _jsonl,
        Format.PARQUET: _parquet,
        Format.TEXT: _whole,
        Format.PYTHON: _whole,
        Format.WARC: _web,
        Format.WET: _web,
    }
    return readers[source.format](path, source, task)


def compose(prompt: str, answer: str) -> str:
    """The document that a prompt and its answer make."""
    return f"{prompt}\n\n{answer}"


def field(record: Mapping[str, Any], name: str) -> Any:
    """The field of a record that has this name, or of a record within it (`meta.url`); else None."""
    if name in record or "." not in name:
        return record.get(name)
    outer, _, rest = name.partition(".")
    inner = record.get(outer)
    return field(inner, rest) if isinstance(inner, Mapping) else None


def _jsonl(path: Path, source: Source, task: Task | None) -> Iterator[Record | Rejected]:
    number = 0
    try:
        with unpacked(path) as file:
            for number, line in enumerate(_lines(file), start=1):
                data = line and (line.removeprefix(_BOM) if number == 1 else line).strip()
                if data is None:
                    yield Rejected("too-large", place=f"line {number}")
                elif data:
                    yield _of_line(data, f"line {number}", source, task)
    except Damaged as error:
        yield Rejected(error.rule, place=f"after line {number}", detail=str(error), rest=True)


def _of_line(data: bytes, place: str, source: Source, task: Task | None) -> Record | Rejected:
    try:
        value = json.loads(data.decode())
    except UnicodeDecodeError:
        return Rejected("invalid-utf8", place=place)
    except (ValueError, RecursionError):
        return Rejected("invalid-json", place=place)
    if not isinstance(value, dict):
        return Rejected("invalid-json", place=place)
    return _record(value, tuple(value), place, source, task)


def _parquet(path: Path, source: Source, task: Task | None) -> Iterator[Record | Rejected]:
    import polars as pl  # noqa: PLC0415  only this format needs it

    failures = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
    try:
        pieces = row_groups.pieces(path)
        schema = pl.read_parquet_schema(path)
    except Damaged as error:
        yield Rejected(error.rule, place="footer", detail=str(error), rest=True)
        return
    except failures as error:
        yield Rejected("corrupt", place="footer", detail=str(error), rest=True)
        return
    columns = _columns(schema, [*_asked(source, task), URL])
    if not set(columns) & set(_asked(source, task)):
        yield Rejected("missing-field", tuple(schema), count=sum(one.height for one in pieces))
        return
    for piece in pieces:
        if piece.bytes > row_groups.LARGEST:
            why = f"a row group has more than {row_groups.LARGEST:,} bytes"
            yield Rejected("too-large", place=str(piece), detail=why, count=piece.height)
            continue
        for rows, found in _rows(path, piece, [*columns.values()]):
            if isinstance(found, str):
                yield Rejected("corrupt", place=str(rows), detail=found, count=rows.height)
                continue
            for number, row in enumerate(found.iter_rows(), start=rows.first + 1):
                value = dict(zip(columns, row, strict=True))
                yield _record(value, tuple(schema), f"row {number}", source, task)


def _rows(
    path: Path, rows: row_groups.Rows, columns: list[pl.Expr]
) -> Iterator[tuple[row_groups.Rows, pl.DataFrame | str]]:
    """Rows of a file, or what is wrong with them: as few of them as can be told apart soon."""
    import polars as pl  # noqa: PLC0415

    try:
        found = pl.scan_parquet(path).slice(rows.first, rows.height).select(columns).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if rows.height <= _TELL_APART:
            yield rows, str(error)
            return
        for half in rows.halves():
            yield from _rows(path, half, columns)
    else:
        yield rows, found


def _columns(schema: Mapping[str, Any], wanted: list[str]) -> dict[str, Any]:
    """How Polars selects the fields, by name, of those that there are."""
    import polars as pl  # noqa: PLC0415

    found: dict[str, Any] = {}
    for name in wanted:
        if name in schema:
            found[name] = pl.col(name).alias(name)
            continue
        outer, *inner = name.split(".")
        kind, column = schema.get(outer), pl.col(outer)
        for step in inner:
            fields = (
                {one.name: one.dtype for one in kind.fields} if isinstance(kind, pl.Struct) else {}
            )
            kind, column = fields.get(step), column.struct.field(step)
        if kind is not None:
            found[name] = column.alias(name)
    return found


def _whole(path: Path, source: Source, task: Task | None) -> Iterator[Record | Rejected]:
    del source, task
    try:
        with unpacked(path) as file:
            data = file.read(MAX_BYTES + 1)
    except Damaged as error:
        yield Rejected(error.rule, detail=str(error))
        return
    if len(data) > MAX_BYTES:
        yield Rejected("too-large")
        return
    try:
        text = data.removeprefix(_BOM).decode()
    except UnicodeDecodeError:
        yield Rejected("invalid-utf8")
        return
    if "\0" in text:
        yield Rejected("nul")
    else:
        yield Record(text) if text.strip() else Rejected("empty")


def _web(path: Path, source: Source, task: Task | None) -> Iterator[Record | Rejected]:
    from cupola_trainer.curate import web  # noqa: PLC0415  only these formats need it

    del task
    return web.wet(path) if source.format is Format.WET else web.warc(path)


def _asked(source: Source, task: Task | None) -> tuple[str, ...]:
    """The fields of a record that may be its document."""
    return (source.text, *((task.input, task.output) if task else ()))


def _record(
    value: Mapping[str, Any], names: tuple[str, ...], place: str, source: Source, task: Task | None
) -> Record | Rejected:
    """The document in the fields of a record; `names` are all its fields, `value` may be a part.

    With a task a record is a document with a pair if it has prompt and answer, else only text.
    """
    found = {name: field(value, name) for name in _asked(source, task)}
    texts = {name: one for name, one in found.items() if isinstance(one, str)}
    full = {name: one for name, one in texts.items() if one.strip()}
    pair = (full.get(task.input), full.get(task.output)) if task else (None, None)
    text = full.get(source.text)
    if text is None and None in pair:
        blank = len(full) < len(texts)
        return Rejected("empty") if blank else Rejected("missing-field", fields=names)
    for one in full.values():
        if broken := _broken(one):
            return Rejected(broken, place=place)
    prompt, answer = pair
    url = value.get(URL)
    where = url[:_URL_LENGTH] if isinstance(url, str) and not _broken(url) else ""
    if prompt is None or answer is None:
        return Record(text or "", fields=names if task else (), url=where)
    if text is None:
        return Record(compose(prompt, answer), prompt, answer, composed=True, url=where)
    return Record(text, prompt, answer, url=where)


def _broken(text: str) -> str | None:
    """What is broken about a text, of BROKEN."""
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, written as an escape
        return "invalid-utf8"
    if size > MAX_BYTES:
        return "too-large"
    return "nul" if "\0" in text else None


def _lines(file: io.BufferedIOBase) -> Iterator[bytes | None]:
    """The lines of a file; None for each that is longer than a document may be."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(_PASSED)) and not rest.endswith(b"\n"):
            pass
        yield None
