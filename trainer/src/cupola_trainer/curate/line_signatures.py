"""The lines that several documents have in common, found range by range as copies of documents are.

`clean` leaves a signature of each line that counts, cut into ranges by value, a file each:
`lines-RANGE-TIME.parquet`. A pod of `match` writes those that occur more than once in its range, in
the order of the documents: `shared-PIECE-GROUP.parquet`. Which of them go is for `dedup` to say, as
it depends on which documents stay (`line_copies`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import xxhash

from cupola_api.dataset import DedupScope
from cupola_api.duplicate_lines import DuplicateLines
from cupola_api.run import CurateRun
from cupola_trainer.curate import rows
from cupola_trainer.curate.batches import batches
from cupola_trainer.curate.identity import normal_form
from cupola_trainer.curate.line_units import cut
from cupola_trainer.curate.signatures import height, numbers, range_of, scattered
from cupola_trainer.curate.texts import mix

SHARED = "shared-"
"""How the names of the files that `match` writes begin."""

_SCHEMA = {
    "value": pl.UInt64,
    "content": pl.UInt64,
    "document": pl.UInt64,
    "line": pl.UInt32,
    "bytes": pl.UInt32,
    "slice": pl.UInt8,
}
"""value, content: the halves of the hash of the line. document: see `signatures.numbers`. line: its
number in the document. bytes: of it in the document. slice: the slice of rows that has the document."""

_HALF = (1 << 64) - 1

_PIECE = 1 << 18
"""Lines that are looked at at a time, about."""


def prefix(number: int) -> str:
    """How the names of the files of a range begin."""
    return f"lines-{number:05d}-"


class LineWriter:
    """The signatures of the lines of a part, written out several times as its rows are."""

    def __init__(self, run: CurateRun, lines: DuplicateLines, part: int, folder: Path) -> None:
        dedup = run.curation.dedup
        self._run = run
        self._lines = lines
        self._apart = dedup is not None and dedup.scope is DedupScope.SOURCE
        self._part = part
        self._folder = folder
        self._files = 0
        self._tables: list[pl.DataFrame] = []

    def add(self, documents: pl.DataFrame) -> None:
        """Add rows of one source; prompts with their answers have no lines."""
        texts = documents.filter(~pl.col("pair"))
        found = [
            (position, line, len(unit.encode()), xxhash.xxh3_128_intdigest(normal.encode()))
            for position, text in texts.select("position", "text").iter_rows()
            for line, unit in enumerate(cut(text, self._lines.unit))
            if len(normal := normal_form(unit)) >= self._lines.min_characters
        ]
        if not found:
            return
        positions, lines, sizes, digests = zip(*found, strict=True)
        place = np.array(positions)
        value, content = (
            np.array([digest >> shift & _HALF for digest in digests], np.uint64)
            for shift in (64, 0)
        )
        if self._apart:
            # Only documents of one source then have a value in common.
            value = mix(value + np.uint64(texts["source"][0] + 1))
        slices = rows.slices_of(documents["key"].to_numpy(), rows.slices(self._run.parts))
        columns = {
            "value": value,
            "content": content,
            "document": numbers(np.full(len(place), self._part), place),
            "line": lines,
            "bytes": sizes,
            "slice": slices[place - documents["position"][0]],
            "range": range_of(value, self._run.ranges),
        }
        self._tables.append(pl.DataFrame(columns, schema={**_SCHEMA, "range": pl.UInt32}))

    def flush(self) -> None:
        """Write what was added since the last time, in the order of the documents."""
        if self._tables:
            table = pl.concat(self._tables)
            for (number,), found in table.partition_by("range", as_dict=True).items():
                name = f"{prefix(int(number))}{self._files:06d}.parquet"
                found.drop("range").write_parquet(self._folder / name, compression="zstd")
        self._files += 1
        self._tables = []


def shared(folders: Sequence[Path], number: int, target: Path, scratch: Path) -> None:
    """Write the lines of a range that occur more than once into `target`.

    However often a line occurs, memory holds it once, and of its occurrences those of a few files.
    """
    paths = [path for folder in folders for path in sorted(folder.glob(f"{prefix(number)}*"))]
    for piece, files in enumerate(scattered(paths, scratch / "lines", _PIECE)):
        seen = pl.DataFrame(schema={"value": pl.UInt64, "content": pl.UInt64, "count": pl.UInt32})
        for group in batches(files, _PIECE, height):
            chosen = pl.read_parquet(group, columns=["value", "content"])
            counted = chosen.group_by("value", "content").agg(count=pl.len())
            together = pl.concat([seen, counted]).group_by("value", "content")
            seen = together.agg(pl.col("count").sum())
        several = seen.filter(pl.col("count") > 1).select("value", "content")
        several = several.sort("value", "content").with_row_index("group")
        for index, group in enumerate(batches(files, _PIECE, height)):
            found = pl.read_parquet(group).join(
                several, on=("value", "content"), maintain_order="left"
            )
            if found.height:
                columns = found.select("group", "document", "line", "bytes", "slice")
                name = f"{SHARED}{piece:06d}-{index:06d}.parquet"
                columns.write_parquet(target / name, compression="zstd")
