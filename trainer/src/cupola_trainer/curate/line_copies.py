"""Which lines go: those that occurred before in a document that stays, or earlier in their own.

`match` found the lines that occur more than once, `states` says which documents stay. A file for each
slice of rows tells `tokenise` what to leave out: `gone-SLICE-TIME.parquet` (part, position, line).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import polars as pl

from cupola_api.duplicate_lines import LineUnit
from cupola_trainer.curate.line_signatures import SHARED
from cupola_trainer.curate.line_units import without
from cupola_trainer.curate.states import STAYS, States, table
from cupola_trainer.curate.texts import Flags, Ints

RULE = "few-new-lines"
"""The rule that drops a document of which too little is left."""
LINE = "duplicate-line"
"""The name under which lines are counted that were taken out."""

_ROWS = 1 << 18
"""Lines that are looked at at a time."""


class Lost:
    """How many lines each document lost, and their bytes: numbers in files that are mapped."""

    def __init__(self, folder: Path, documents: int) -> None:
        self.lines = table(folder / "lines", documents, np.uint32)
        self.bytes = table(folder / "bytes", documents, np.uint32)

    def clear(self) -> None:
        """Forget it."""
        self.lines[:] = 0
        self.bytes[:] = 0


def decide(ranges: Sequence[Path], states: States, lost: Lost, target: Path | None) -> None:
    """Say of the lines in the folders of all ranges which go: in `lost`, and in `target`."""
    written = 0
    for folder in ranges:
        paths = sorted(folder.glob(f"{SHARED}*.parquet"))
        for _, files in groupby(paths, key=lambda path: path.stem.split("-")[1]):
            seen = np.zeros(0, bool)
            for lines in _batches(files):
                seen, gone = _after_first(lines, states, seen)
                places = states.places(gone["document"].to_numpy())
                np.add.at(lost.lines, places, 1)
                np.add.at(lost.bytes, places, gone["bytes"].to_numpy())
                if target:
                    _write(gone, target, written)
                    written += 1


def taken(
    folder: Path, slices: Collection[int], texts: pl.DataFrame, unit: LineUnit
) -> pl.DataFrame:
    """Documents (with part, position and text) of some slices without the lines that go.

    `folder`: of `dedup`.
    """
    place = ["part", "position"]
    wanted = texts.select(place).lazy()
    gone = pl.DataFrame(schema={"part": pl.UInt32, "position": pl.UInt32, "line": pl.UInt32})
    for number in sorted(slices):
        for path in sorted(folder.glob(f"{prefix(number)}*")):
            found = pl.scan_parquet(path).join(wanted, on=place, how="semi").collect()
            gone = pl.concat([gone, found.select(gone.columns)])
    lines = texts.select(*place, "text").join(
        gone.group_by(place).agg("line"), on=place, how="left", maintain_order="left"
    )
    cleaned = [
        text if numbers is None else without(text, unit, {*numbers})
        for text, numbers in lines.select("text", "line").iter_rows()
    ]
    return texts.with_columns(text=pl.Series(cleaned, dtype=pl.String))


def prefix(number: int) -> str:
    """How the names of the files of a slice begin."""
    return f"gone-{number:02d}-"


def _batches(paths: Iterator[Path]) -> Iterator[pl.DataFrame]:
    for path in paths:
        yield from pl.read_parquet(path).iter_slices(_ROWS)


def _after_first(lines: pl.DataFrame, states: States, seen: Flags) -> tuple[Flags, pl.DataFrame]:
    """What was seen, and the lines in documents that stay that were seen before."""
    there = lines.filter(pl.Series(states.of(lines["document"].to_numpy()) == STAYS))
    groups: Ints = there["group"].to_numpy().astype(np.int64)
    most = int(groups.max(initial=-1)) + 1
    if most > len(seen):
        seen = np.concatenate([seen, np.zeros(most - len(seen), bool)])
    first = there["group"].is_first_distinct().to_numpy() & ~seen[groups]
    seen[groups] = True
    return seen, there.filter(pl.Series(~first))


def _write(gone: pl.DataFrame, target: Path, time: int) -> None:
    columns = gone.select(
        "slice",
        "line",
        part=(pl.col("document") // (1 << 32)).cast(pl.UInt32),
        position=(pl.col("document") % (1 << 32)).cast(pl.UInt32),
    )
    for (number,), found in columns.partition_by("slice", as_dict=True).items():
        path = target / f"{prefix(int(number))}{time:06d}.parquet"
        found.drop("slice").write_parquet(path, compression="zstd")
