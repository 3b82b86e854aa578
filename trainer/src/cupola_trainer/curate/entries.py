"""What `dedup` needs to know of each document, in the order of the listing: some 30 bytes, no text.

`clean` writes it each time it writes rows: `entries-TIME.parquet`, sorted by position. `dedup` reads
the files of all parts one after the other, in blocks, so it never holds the numbers of all documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from cupola_trainer.curate import rows

PREFIX = "entries-"
"""How the names of all files begin."""

COLUMNS = ("part", "position", "source", "key", "lot", "bytes", "pair")
"""As in `rows`."""

MOST = 1 << 18
"""Documents of a file, about, at most."""

_BLOCK = 1 << 18
"""Documents of a block, at least; a block ends with a file."""


def write(folder: Path, index: int, tables: list[pl.DataFrame]) -> None:
    """Write the entries of rows that are in the order of their position, for the `index`-th time."""
    chosen = pl.concat([table.select(COLUMNS) for table in tables])
    chosen.write_parquet(folder / f"{PREFIX}{index:06d}.parquet", compression="zstd")


def blocks(folders: Sequence[Path]) -> Iterator[pl.DataFrame]:
    """The entries of all parts in the order of part and position."""
    held: list[pl.DataFrame] = []
    for folder in folders:
        for path in sorted(folder.glob(f"{PREFIX}*.parquet")):
            held.append(pl.read_parquet(path))
            if sum(table.height for table in held) >= _BLOCK:
                yield pl.concat(held)
                held = []
    yield pl.concat(held) if held else rows.table({}).select(COLUMNS)


def counts(folders: Sequence[Path]) -> list[int]:
    """How many documents each part left."""
    return [
        sum(
            int(pl.scan_parquet(path).select(pl.len()).collect().item())
            for path in folder.glob(f"{PREFIX}*.parquet")
        )
        for folder in folders
    ]
