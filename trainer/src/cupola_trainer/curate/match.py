"""Stage `dedup`, its first half: in one range of signatures, find the documents that are copies.

There is a pod for each range, and none needs another. Memory is bounded: signatures are looked at in
pieces, and the shingles of candidates are brought in pieces too. What grows is the list of copies
found, by some 100 bytes each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cupola_api.run import CurateRun
from cupola_trainer.curate import shingle_sets, signatures, work
from cupola_trainer.curate.duplicates import Alike, Pairs, copies_of_first
from cupola_trainer.curate.minhash import Set
from cupola_trainer.curate.progress import Progress
from cupola_trainer.curate.shingle_sets import Where
from cupola_trainer.storage import Place

STAGE = "match"
EXACT = "exact.parquet"
NEAR = "near.parquet"

_SHINGLES = 1 << 24
"""Shingles that are held at a time, about: 64 MiB."""


def match(run: CurateRun, number: int, folder: Path) -> dict[str, Any]:
    """Look for copies in a range, and write the pairs that were found into `folder`."""
    dedup = run.curation.dedup
    if dedup is None:
        return {}
    made = work.require_parts(run, "clean", signatures.prefix(number))
    folders = [part.folder for part in made]
    parts = [work.stage_folder(run, "clean", part) for part in range(run.parts)]
    exact = [np.empty((0, 2), np.uint64)]
    alike = Alike(dedup.similarity)
    progress = Progress(f"dedup {number}: compare")
    for piece in signatures.pieces(folders, number):
        same = signatures.shared_contents(piece)
        contents = same.select("value", "content").to_numpy()
        exact.append(copies_of_first(contents, same["document"].to_numpy()))
        alike.compare(_with_shingles(parts, signatures.shared_bands(piece), progress))
    _write(folder / EXACT, np.concatenate(exact))
    _write(folder / NEAR, alike.pairs())
    progress.say()
    return {}


def found(run: CurateRun) -> tuple[Pairs, Pairs]:
    """The pairs of all ranges: exact copies, and documents that are alike. Raises PodFailure."""
    folders = [
        work.require(work.stage_folder(run, STAGE, number), run).folder
        for number in range(run.ranges)
    ]
    exact, near = (
        np.concatenate(
            [pl.read_parquet(folder / name).to_numpy().reshape(-1, 2) for folder in folders]
        )
        for name in (EXACT, NEAR)
    )
    return exact, near


def _with_shingles(
    parts: list[Place], found: pl.DataFrame, progress: Progress
) -> Iterator[tuple[int, int, Set]]:
    """(value, document, sorted set of its shingles) for each signature."""
    piece = (found["count"].cast(pl.UInt64).cum_sum() // _SHINGLES).alias("piece")
    for rows in found.with_columns(piece).partition_by("piece", maintain_order=True):
        values, documents = rows["value"].to_list(), rows["document"].to_list()
        places = [
            Where(document >> 32, file, start, size)
            for document, (file, start, size) in zip(
                documents, rows.select("file", "start", "count").iter_rows(), strict=True
            )
        ]
        sets = shingle_sets.read(parts, set(places))
        progress.add(len(places), 4 * sum(place.size for place in places))
        for value, document, place in zip(values, documents, places, strict=True):
            yield value, document, sets[place]


def _write(path: Path, pairs: Pairs) -> None:
    pl.DataFrame(
        {"copy": pairs[:, 0], "original": pairs[:, 1]},
        schema={"copy": pl.UInt64, "original": pl.UInt64},
    ).write_parquet(path, compression="zstd")
