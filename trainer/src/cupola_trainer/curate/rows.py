"""The rows of `clean`: one table of documents, in the files that one stage writes and others read.

A part's rows lie in files `rows-000000.parquet`, `rows-000001.parquet`, ... in the order in which they
were read, but each file is sorted by shuffle key, so that who wants a range of keys reads little.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

SCHEMA = {
    "part": pl.UInt32,
    "position": pl.UInt32,
    "source": pl.UInt8,
    "high": pl.UInt64,
    "low": pl.UInt64,
    "key": pl.UInt64,
    "lot": pl.UInt64,
    "bytes": pl.UInt32,
    "near": pl.Boolean,
    "pair": pl.Boolean,
    "text": pl.String,
    "input": pl.String,
    "output": pl.String,
}
"""part and position: where it was read. position counts within the part. source: place in the run's list. high, low, key, lot: see
`identity`. bytes: of text. near: whether it is long enough for near dedup. pair: whether it has
input and output. Then the columns
`band00`, `band01`, ... of uint64 where near dedup is on."""

KEEP = "keep.parquet"
"""In the folder of `dedup`, the rows that stay: key, part, position, and whether it is held out."""

_ROW_GROUP = 1024


def table(columns: dict[str, Any], bands: npt.NDArray[np.uint64]) -> pl.DataFrame:
    """Rows in memory: the columns of SCHEMA, and uint64[rows, bands]."""
    numbered = {band_name(i): bands[:, i] for i in range(bands.shape[1])}
    return pl.DataFrame(
        {**columns, **numbered}, schema={**SCHEMA, **dict.fromkeys(numbered, pl.UInt64)}
    )


def band_name(number: int) -> str:
    """The column of a band."""
    return f"band{number:02d}"


def write(folder: Path, index: int, tables: list[pl.DataFrame]) -> None:
    """Write one file of rows."""
    pl.concat(tables).sort("key", "position").write_parquet(
        folder / f"rows-{index:06d}.parquet", compression="zstd", row_group_size=_ROW_GROUP
    )


def files(folder: Path) -> list[Path]:
    """The files of a part, in order."""
    return sorted(folder.glob("rows-*.parquet"))


def columns_of(folders: Sequence[Path], names: Sequence[str]) -> pl.DataFrame:
    """Some columns of all rows of all parts, in the same order whatever the columns are."""
    return _scan(folders, names).collect()


def between(folders: Sequence[Path], low: int, high: int) -> pl.DataFrame:
    """The rows of all parts with `low <= key < high`, without bands."""
    return _scan(folders, list(SCHEMA)).filter(in_range(low, high)).collect()


def in_range(low: int, high: int) -> pl.Expr:
    """`low <= key < high`, where high may be 2**64."""
    return pl.col("key").is_between(pl.lit(low, pl.UInt64), pl.lit(high - 1, pl.UInt64))


def texts_at(folders: Sequence[Path], wanted: pl.DataFrame) -> Iterator[list[str]]:
    """The texts of `wanted` (part, position), in that order, in pieces of one file at most."""
    by_part = {part: rows for (part,), rows in wanted.partition_by("part", as_dict=True).items()}
    for part, folder in enumerate(folders):
        if part not in by_part:
            continue
        positions = by_part[part].select("position")
        for path in files(folder):
            found = (
                pl.scan_parquet(path)
                .select("position", "text")
                .join(positions.lazy(), on="position", how="semi")
                .sort("position")
                .collect()
            )
            if found.height:
                yield found["text"].to_list()


def _scan(folders: Sequence[Path], names: Sequence[str]) -> pl.LazyFrame:
    paths = [path for folder in folders for path in files(folder)]
    if not paths:
        return pl.LazyFrame(schema={name: SCHEMA.get(name, pl.UInt64) for name in names})
    return pl.scan_parquet(paths).select(names)
