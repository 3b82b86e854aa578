"""The list of the documents that stay, which `dedup` writes and `tokenise` reads a range of.

A file for each slice of rows and each block of documents: `keep-SLICE-BLOCK.parquet`, sorted by key.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from cupola_trainer.curate import rows

_COLUMNS = ("key", "part", "position", "held")


def prefix(number: int) -> str:
    """How the names of the files of a slice begin."""
    return f"keep-{number:02d}-"


def write(folder: Path, block: int, documents: pl.DataFrame, slices: int) -> None:
    """Write the documents of a block that stay: key, part, position, and whether it is held out."""
    number = pl.Series(rows.slices_of(documents["key"].to_numpy(), slices))
    chosen = documents.select(*_COLUMNS, slice=number).sort("key", "part", "position")
    for (slice_,), found in chosen.partition_by("slice", as_dict=True).items():
        path = folder / f"{prefix(int(slice_))}{block:06d}.parquet"
        found.drop("slice").write_parquet(path, compression="zstd", row_group_size=1 << 16)


def between(folder: Path, low: int, high: int, slices: int) -> pl.DataFrame:
    """Part, position and whether it is held out, of those with `low <= key < high`."""
    wanted = [prefix(number) for number in rows.slices_between(low, high, slices)]
    return read(folder, wanted).filter(rows.in_range(low, high)).drop("key").collect()


def read(folder: Path, begins: list[str] | None = None) -> pl.LazyFrame:
    """The documents that stay, of the files whose names begin so; of all by default."""
    paths = [
        path
        for path in sorted(folder.glob("keep-*.parquet"))
        if begins is None or path.name.startswith(tuple(begins))
    ]
    if not paths:
        return pl.LazyFrame(
            schema={**{name: rows.SCHEMA[name] for name in _COLUMNS[:3]}, "held": pl.Boolean}
        )
    return pl.scan_parquet(paths)
