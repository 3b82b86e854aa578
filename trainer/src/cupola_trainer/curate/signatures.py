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
from cupola_trainer.curate.batches import batches
from cupola_trainer.curate.identity import Identity
from cupola_trainer.curate.minhash import Shingles, band_hashes, near_banding, shingle
from cupola_trainer.curate.pairs_on_disk import Pairs, Runs
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

_SAME = ("band", "value", "content")

_PIECE = 1 << 18
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


def pieces(
    folders: Sequence[Path], number: int, exact: Runs, scratch: Path
) -> Iterator[pl.DataFrame]:
    """The values of bands that several documents of a range have, by band, value and document.

    Of documents with one value and one content there is the first alone; later ones with its content
    go to `exact`, beside the first. Equal values are in one piece, which is made of about `_PIECE`
    signatures; of those with one content it holds a single one, however many there are.
    """
    paths = [path for folder in folders for path in sorted(folder.glob(f"{prefix(number)}*"))]
    for piece in scattered(paths, scratch / "bands", _PIECE):
        yield _shared(piece, exact)


def scattered(paths: Sequence[Path], scratch: Path, most: int) -> Iterator[list[Path]]:
    """The rows of files cut by value into pieces of about `most`: the files of each, in order.

    They lie in `scratch`, until the next piece is asked for.
    """
    count = -(-sum(map(height, paths)) // most)
    scratch.mkdir()
    for index, group in enumerate(batches(paths, most, height)):
        found = pl.read_parquet(group).with_columns(piece=pl.col("value") % max(count, 1))
        for (piece,), own in found.partition_by("piece", as_dict=True, maintain_order=True).items():
            path = scratch / f"{piece:06d}-{index:06d}.parquet"
            own.drop("piece").write_parquet(path, compression="zstd")
    for piece in range(count):
        files = sorted(scratch.glob(f"{piece:06d}-*"))
        yield files
        for path in files:
            path.unlink()


def height(path: Path) -> int:
    """Rows of a file."""
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())


def _shared(piece: list[Path], exact: Runs) -> pl.DataFrame:
    """Of the signatures in the files of a piece those that `pieces` yields."""
    first = pl.DataFrame(schema=SCHEMA)
    for group in batches(piece, _PIECE, height):
        chosen = pl.read_parquet(group)
        # In the order of the documents, as files are, and rows within each band.
        both = pl.concat([first, chosen])
        first = both.unique(_SAME, keep="first", maintain_order=True)
        exact.add(_copies(chosen, first))
    bands = first.filter(pl.col("band") != EXACT)
    several = bands.filter(pl.len().over("band", "value") > 1)
    return several.sort("band", "value", "document")


def _copies(chosen: pl.DataFrame, first: pl.DataFrame) -> Pairs:
    """Of some documents those with the content of an earlier one, and that one."""
    found = (
        chosen.filter(pl.col("band") == EXACT)
        .select("value", "content", "document")
        .join(
            first.filter(pl.col("band") == EXACT).select(
                "value", "content", original=pl.col("document")
            ),
            on=("value", "content"),
        )
        .filter(pl.col("document") != pl.col("original"))
    )
    return found.select("document", "original").to_numpy()
