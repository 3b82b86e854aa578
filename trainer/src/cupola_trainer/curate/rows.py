"""The rows of `clean`: one table of documents, in the files that one stage writes and others read.

As a part is read, its rows are written out several times; each time they are cut into slices of the
shuffle key, a file each: `rows-SLICE-TIME.parquet`. So who wants a range of keys reads, and of S3
fetches, the files of a slice or two. Within a file rows are sorted by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cupola_trainer.curate.texts import Hashes, Ints

SCHEMA = {
    "part": pl.UInt32,
    "position": pl.UInt32,
    "source": pl.UInt8,
    "high": pl.UInt64,
    "low": pl.UInt64,
    "key": pl.UInt64,
    "lot": pl.UInt64,
    "bytes": pl.UInt32,
    "pair": pl.Boolean,
    "text": pl.String,
    "input": pl.String,
    "output": pl.String,
    "url": pl.String,
    "date": pl.String,
}
"""part and position: where it was read. position counts within the part. source: place in the run's list. high, low, key, lot: see
`identity`. bytes: of text. pair: whether it has input and output. url, date: where a
crawler fetched it, and when, if the source says so."""

PREFIX = "rows-"
"""How the names of all files begin."""

SLICES = 16
"""Slices of the keys, at most: with more than that many parts, a reader of one range of keys in as
many ranges as there are parts fetches up to parts / 16 times as much as it needs."""

KEYS = 1 << 64
"""How many shuffle keys there are."""

_ROW_GROUP = 1024


def table(columns: dict[str, Any]) -> pl.DataFrame:
    """Rows in memory: the columns of SCHEMA."""
    return pl.DataFrame(columns, schema=SCHEMA)


def slices(parts: int) -> int:
    """Into how many slices a run of that many parts cuts the keys."""
    return min(parts, SLICES)


def slices_between(low: int, high: int, count: int) -> list[int]:
    """The numbers of the slices, of `count`, that may hold keys in [low, high)."""
    edges = _edges(count)
    return [i for i in range(count) if edges[i] < high and low < edges[i + 1]]


def slices_of(keys: Hashes, count: int) -> Ints:
    """The number of the slice, of `count`, that each key is in."""
    found: Ints = np.searchsorted(np.array(_edges(count)[1:-1], np.uint64), keys, "right")
    return found


def prefix(number: int) -> str:
    """How the names of the files of a slice begin."""
    return f"{PREFIX}{number:02d}-"


def write(folder: Path, index: int, tables: list[pl.DataFrame], count: int) -> None:
    """Write rows out for the `index`-th time, in `count` slices; an empty one has no file."""
    rows = pl.concat(tables).sort("key", "position")
    inner = np.array(_edges(count)[1:-1], np.uint64)
    cuts = [0, *np.searchsorted(rows["key"].to_numpy(), inner).tolist(), rows.height]
    for number, (begin, end) in enumerate(pairwise(cuts)):
        if begin < end:
            rows[begin:end].write_parquet(
                folder / f"{prefix(number)}{index:06d}.parquet",
                compression="zstd",
                row_group_size=_ROW_GROUP,
            )


def files(folder: Path, *begins: str) -> list[Path]:
    """The files of a part whose names begin so, in the order in which they were written."""
    found = (path for path in folder.glob(f"{PREFIX}*.parquet") if path.name.startswith(begins))
    return sorted(found, key=lambda path: (_index(path), path.name))


def between(folders: Sequence[Path], low: int, high: int, count: int) -> pl.DataFrame:
    """The rows of all parts with `low <= key < high`; `count`: of slices."""
    begins = [prefix(number) for number in slices_between(low, high, count)]
    return _scan(folders, list(SCHEMA), *begins).filter(in_range(low, high)).collect()


def in_range(low: int, high: int) -> pl.Expr:
    """`low <= key < high`, where high may be 2**64."""
    return pl.col("key").is_between(pl.lit(low, pl.UInt64), pl.lit(high - 1, pl.UInt64))


def texts_at(folders: Mapping[int, Path], wanted: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Part, position and text of `wanted`, by part and position, in pieces of what was written at once.

    `folders`: of the parts that `wanted` has documents of.
    """
    for part, folder in sorted(folders.items()):
        chosen = wanted.filter(pl.col("part") == part).select("part", "position").lazy()
        for _, paths in groupby(files(folder, PREFIX), key=_index):
            found = (
                pl.scan_parquet([*paths])
                .select("part", "position", "text")
                .join(chosen, on=("part", "position"), how="semi")
                .sort("position")
                .collect()
            )
            if found.height:
                yield found


def _scan(folders: Sequence[Path], names: Sequence[str], *begins: str) -> pl.LazyFrame:
    paths = [path for folder in folders for path in files(folder, *(begins or (PREFIX,)))]
    if not paths:
        return pl.LazyFrame(schema={name: SCHEMA[name] for name in names})
    return pl.scan_parquet(paths).select(names)


def _edges(count: int) -> list[int]:
    return [number * KEYS // count for number in range(count + 1)]


def _index(path: Path) -> str:
    return path.stem.rpartition("-")[2]
