"""What `clean` leaves for the search of copies: each document's signatures, and its shingles.

A signature is a value that copies have in common: the hash of the content, or that of a band of
MinHash values. All signatures of a run are cut into ranges by value, a file each:
`match-RANGE-TIME.parquet`. So a pod that looks for copies reads the files of its range and sees
every document that has a value in it, whichever part it is from.

The shingles that decide whether two documents are near copies lie in `shingles-TIME.u32`, one set
after the other; a signature says where. They are read piece by piece, for candidates only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from cupola_api.dataset import Dedup, DedupScope
from cupola_trainer.curate.identity import Identity
from cupola_trainer.curate.minhash import Shingles, band_hashes, near_banding, shingle
from cupola_trainer.curate.texts import Hashes, Ints, mix

EXACT = 255
"""In the column `band`: this signature is that of the content."""

SCHEMA = {
    "band": pl.UInt8,
    "value": pl.UInt64,
    "content": pl.UInt64,
    "document": pl.UInt64,
    "file": pl.UInt32,
    "start": pl.UInt64,
    "count": pl.UInt32,
}
"""band: the number of a band, or EXACT. value: what copies have in common. content: the other half of
the content's hash. document: see `numbers`. file, start, count: which time of writing, and where its
shingles begin and how many there are, in units of 4 bytes."""

_PIECE = 1 << 21
"""Signatures that are looked at at a time, about."""


def numbers(part: Ints, position: Ints) -> Hashes:
    """A number for each document; their order is that of the listing."""
    found: Hashes = part.astype(np.uint64) << np.uint64(32) | position.astype(np.uint64)
    return found


def prefix(number: int) -> str:
    """How the names of the files of a range begin."""
    return f"match-{number:05d}-"


def shingles_file(index: int) -> str:
    """The name of the shingles that were written at a time."""
    return f"shingles-{index:06d}.u32"


class Writer:
    """The signatures of a part, written out several times as its rows are."""

    def __init__(self, dedup: Dedup, part: int, folder: Path, ranges: int) -> None:
        self._banding = near_banding(dedup)
        self._apart = dedup.scope is DedupScope.SOURCE
        self._part = part
        self._folder = folder
        self._ranges = ranges
        self._files = 0
        self._words = 0
        self._columns: list[tuple[npt.NDArray[np.generic], ...]] = []

    def add(
        self, source: int, position: int, identities: Sequence[Identity], texts: Sequence[str]
    ) -> None:
        """Add documents of a source, the first of which is at `position` of the part."""
        high, low = (np.array([i[half] for i in identities], np.uint64) for half in (0, 1))
        places = np.arange(position, position + len(texts))
        documents = numbers(np.full(len(texts), self._part), places)
        if self._apart:
            # Only documents of one source then have a value in common.
            high = mix(high + np.uint64(source + 1))
        self._append(EXACT, high, low, documents)
        if self._banding is None:
            return
        shingles = shingle(texts)
        near = np.flatnonzero(np.diff(shingles.start))
        bands = band_hashes(shingles, self._banding)[near]
        sets = self._write(shingles, near)
        for band in range(self._banding.bands):
            value = bands[:, band]
            if self._apart:
                value = mix(value + np.uint64(source + 1))
            self._append(band, value, low[near], documents[near], sets)

    def flush(self) -> None:
        """Write what was added since the last time, in the order of band and document."""
        if self._columns:
            columns = [np.concatenate(column) for column in zip(*self._columns, strict=True)]
            rows = pl.DataFrame(
                dict(zip([*SCHEMA, "range"], columns, strict=True)),
                schema={**SCHEMA, "range": pl.UInt32},
            ).sort("range", "band", "document")
            for (number,), found in rows.partition_by("range", as_dict=True).items():
                name = f"{prefix(number)}{self._files:06d}.parquet"
                found.drop("range").write_parquet(self._folder / name, compression="zstd")
        self._files += 1
        self._words = 0
        self._columns = []

    def _write(self, shingles: Shingles, near: Ints) -> tuple[Ints, Ints]:
        """Append the sets of the documents `near`; returns where each begins and its size."""
        sets = [shingles.of(i) for i in near.tolist()]
        count = np.array([len(one) for one in sets], np.int64)
        start = self._words + np.cumsum(count) - count
        with (self._folder / shingles_file(self._files)).open("ab") as file:
            for one in sets:
                file.write(one.astype("<u4").tobytes())
        self._words += int(count.sum())
        return start, count

    def _append(
        self,
        band: int,
        value: Hashes,
        content: Hashes,
        documents: Hashes,
        sets: tuple[Ints, Ints] | None = None,
    ) -> None:
        nothing = np.zeros(len(value), np.int64)
        start, count = sets or (nothing, nothing)
        number, file = (np.full(len(value), one, np.uint32) for one in (band, self._files))
        ranges = range_of(value, self._ranges)
        self._columns.append((number, value, content, documents, file, start, count, ranges))


def range_of(values: Hashes, ranges: int) -> Hashes:
    """The range of each value."""
    found: Hashes = (values >> np.uint64(32)) * np.uint64(ranges) >> np.uint64(32)
    return found


def pieces(folders: Sequence[Path], number: int) -> Iterator[pl.DataFrame]:
    """All signatures of a range, sorted by band, value and document; equal values in one piece.

    A piece has about so many rows at most, whatever the data.
    """
    paths = [path for folder in folders for path in sorted(folder.glob(f"{prefix(number)}*"))]
    if not paths:
        return
    scan = pl.scan_parquet(paths)
    count = -(-int(scan.select(pl.len()).collect().item()) // _PIECE)
    for piece in range(count):
        inside = scan.filter(pl.col("value") % count == piece)
        yield inside.collect().sort("band", "value", "document")


def shared_contents(piece: pl.DataFrame) -> pl.DataFrame:
    """The contents that several documents have, sorted by content and document."""
    contents = piece.filter(pl.col("band") == EXACT)
    several = contents.filter(pl.len().over("value", "content") > 1)
    return several.sort("value", "content", "document")


def shared_bands(piece: pl.DataFrame) -> pl.DataFrame:
    """The values of bands that several documents have; of those with one content the first alone."""
    bands = piece.filter(pl.col("band") != EXACT)
    first = bands.unique(("band", "value", "content"), keep="first", maintain_order=True)
    return first.filter(pl.len().over("band", "value") > 1)
