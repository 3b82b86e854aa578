"""Stage `dedup`, its first half: in one range of signatures, find the documents that are copies.

There is a pod for each range, and none needs another. Memory is bounded: signatures are looked at in
pieces, the shingles of candidates are brought in pieces too, and the copies that are found are
written out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from cupola_api.run import CurateRun
from cupola_trainer.curate import line_signatures, shingle_sets, signatures, work
from cupola_trainer.curate.duplicates import Alike
from cupola_trainer.curate.minhash import Set
from cupola_trainer.curate.pairs_on_disk import Runs
from cupola_trainer.curate.progress import Progress
from cupola_trainer.curate.shingle_sets import Where
from cupola_trainer.storage import Place

STAGE = "match"
EXACT = "exact.u64"
NEAR = "near.u64"

_SHINGLES = 1 << 22
"""Shingles that are held at a time, about: 16 MiB."""
_ROW = 64
"""What a signature itself takes while it is looked at, in shingles, about."""
_PAIRS = 1 << 16
"""Pairs that are remembered, so as not to be compared again: about 300 bytes each."""


def match(run: CurateRun, number: int, folder: Path) -> dict[str, Any]:
    """Look for copies in a range, and write the pairs that were found into `folder`."""
    dedup = run.curation.dedup
    if dedup is None:
        return {}
    wanted = signatures.prefix(number), line_signatures.prefix(number)
    made = work.require_parts(run, "clean", *wanted)
    folders = [part.folder for part in made]
    parts = [work.stage_folder(run, "clean", part) for part in range(run.parts)]
    progress = Progress(f"dedup {number}: compare")
    with tempfile.TemporaryDirectory() as scratch:
        exact, near = (Runs(Path(scratch), name) for name in (EXACT, NEAR))
        alike = Alike(dedup.similarity, _PAIRS, near.add)
        for shared in signatures.pieces(folders, number, exact, Path(scratch)):
            alike.compare(_with_shingles(parts, shared, progress))
        alike.flush()
        exact.join(folder / EXACT)
        near.join(folder / NEAR)
        if dedup.lines:
            line_signatures.shared(folders, number, folder, Path(scratch))
    progress.say()
    return {}


def found(run: CurateRun) -> list[Path]:
    """The folders of all ranges, which hold the files EXACT and NEAR of pairs. Raises PodFailure."""
    return [
        work.require(work.stage_folder(run, STAGE, number), run).folder
        for number in range(run.ranges)
    ]


def _with_shingles(
    parts: list[Place], found: pl.DataFrame, progress: Progress
) -> Iterator[tuple[int, int, Set]]:
    """(value, document, sorted set of its shingles) for each signature."""
    size = found["count"].cast(pl.UInt64) + _ROW
    piece = (size.cum_sum() // _SHINGLES).alias("piece")
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
        del sets  # before the next ones are read
