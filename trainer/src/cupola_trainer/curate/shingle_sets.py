"""The sets of shingles that `clean` wrote, read in any order and piece by piece.

What is asked for at a time is sorted by place, and what lies near one another is one read: on a disk,
or of S3 a request for a range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cupola_trainer.curate.minhash import Set
from cupola_trainer.curate.signatures import shingles_file
from cupola_trainer.storage import Place, S3Place, s3

_WORD = 4
"""Bytes of a shingle's hash."""
_GAP = 1 << 14
"""Shingles between two sets up to which both are one read: 64 KiB."""
_RUN = 1 << 21
"""Shingles of a read, about, at most: 8 MiB."""
_AT_ONCE = 16


class Where(NamedTuple):
    """Where the set of a document lies."""

    part: int
    file: int
    start: int
    size: int


class _Run(NamedTuple):
    """Sets that are read at once."""

    part: int
    file: int
    begin: int
    end: int
    sets: list[Where]


def read(parts: Sequence[Place], wanted: set[Where]) -> dict[Where, Set]:
    """The sets that lie at these places of the folders that `clean` made. Raises OSError."""
    found: dict[Where, Set] = {}
    runs = [*_runs(wanted)]
    # One array for all: thousands of small ones would leave holes in memory that stay.
    held: Set = np.empty(sum(one.size for one in wanted), np.uint32)
    end = 0
    for run, sets in zip(runs, _all(parts, runs), strict=True):
        for place, values in zip(run.sets, sets, strict=True):
            begin, end = end, end + place.size
            held[begin:end] = values
            found[place] = held[begin:end]
    return found


def _all(parts: Sequence[Place], runs: list[_Run]) -> Iterator[list[Set]]:
    """The sets of each run; on a disk the reads take turns, requests do not wait for one another."""
    if not isinstance(parts[0], S3Place):
        yield from (_read(parts, run) for run in runs)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # Copied, as what lies between the sets would be held until their turn.
        yield from pool.map(lambda run: [one.copy() for one in _read(parts, run)], runs)


def _runs(wanted: set[Where]) -> Iterator[_Run]:
    run: _Run | None = None
    for one in sorted(wanted):
        end = one.start + one.size
        if (
            run
            and (run.part, run.file) == (one.part, one.file)
            and one.start - run.end <= _GAP
            and end - run.begin <= _RUN
        ):
            run.sets.append(one)
            run = run._replace(end=end)
        else:
            if run:
                yield run
            run = _Run(one.part, one.file, one.start, end, [one])
    if run:
        yield run


def _read(parts: Sequence[Place], run: _Run) -> list[Set]:
    """The sets of a run, without what lies between them."""
    place = parts[run.part] / shingles_file(run.file)
    size = (run.end - run.begin) * _WORD
    if isinstance(place, Path):
        with place.open("rb") as file:
            file.seek(run.begin * _WORD)
            data = file.read(size)
    else:
        data, _ = s3.read_range(place, run.begin * _WORD, run.end * _WORD)
    if len(data) != size:
        raise OSError(f"{place} ends too early")
    values: Set = np.frombuffer(data, "<u4")
    return [values[one.start - run.begin :][: one.size] for one in run.sets]
