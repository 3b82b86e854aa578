"""Pairs of documents in files, sorted by the first of them: written in pieces, read as one.

A file holds uint64[pairs, 2] as it lies in memory. However many pairs there are, who reads them holds
a piece of a bounded size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Pairs = npt.NDArray[np.uint64]
"""uint64[pairs, 2]: a document, and an earlier one that it is a copy of."""

PIECE = 1 << 20
"""Pairs of a piece, about."""


class Runs:
    """Pairs that come in any order, kept in sorted files below a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._files: list[Path] = []

    def add(self, pairs: Pairs) -> None:
        """Write some of the pairs."""
        if len(pairs):
            path = self._folder / f"{self._name}-{len(self._files):06d}.run"
            append(path, in_order(pairs))
            self._files.append(path)

    def join(self, path: Path) -> None:
        """Write all of them to one file, sorted, each once; the files they were in go."""
        path.touch()
        for pairs in merged(self._files):
            append(path, pairs)
        for one in self._files:
            one.unlink()


def append(path: Path, pairs: Pairs) -> None:
    """Write pairs behind those of a file."""
    with path.open("ab") as file:
        file.write(pairs.astype("<u8").tobytes())


def in_order(pairs: Pairs) -> Pairs:
    """The pairs sorted, each once."""
    found = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    first = np.ones(len(found), bool)
    first[1:] = (found[1:] != found[:-1]).any(axis=1)
    return found[first]


def mapped(path: Path) -> Pairs:
    """The pairs of a file, read as they are looked at."""
    if not path.stat().st_size:
        return np.empty((0, 2), np.uint64)
    found: Pairs = np.memmap(path, "<u8", "r").reshape(-1, 2)
    return found


def merged(paths: Sequence[Path]) -> Iterator[Pairs]:
    """The pairs of sorted files, sorted, each once; all of one first document are in one piece.

    A piece has about `PIECE` pairs at most, but for what one document has.
    """
    files = [mapped(path) for path in paths]
    places = [0] * len(files)
    step = max(1, PIECE // max(1, len(files)))
    while any(place < len(pairs) for place, pairs in zip(places, files, strict=True)):
        ends = [
            int(pairs[place + step, 0])
            for place, pairs in zip(places, files, strict=True)
            if place + step < len(pairs)
        ]
        last = np.uint64(min(ends, default=(1 << 64) - 1))
        taken = []
        for i, pairs in enumerate(files):
            end = int(np.searchsorted(pairs[:, 0], last, "right"))
            taken.append(np.asarray(pairs[places[i] : end]))
            places[i] = end
        yield in_order(np.concatenate(taken))
