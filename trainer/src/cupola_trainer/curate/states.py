"""Which documents of a run stay: a byte each in a file that is mapped, and what it follows from.

Nothing here holds all documents, or all pairs, in memory. Pairs come in pieces in the order of their
copies; what an earlier piece decided is looked up in the file, whose pages the system writes out and
forgets as it needs room.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cupola_trainer.curate.duplicates import against_staying
from cupola_trainer.curate.pairs_on_disk import append, mapped, merged
from cupola_trainer.curate.texts import Hashes, Ints

STAYS, EXACT, NEAR, SHORT = range(4)
"""What became of a document; SHORT: of its lines, too few were left."""

SIZES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Upper bounds of the sizes of clusters that are counted together; what is larger is one more."""

Sizes = Counter[int]
"""Clusters by the bound of their size in SIZES; 0: beyond all."""

_BLOCK = 1 << 20
"""Documents of which clusters are counted at a time."""


class States:
    """The state of each document, by its place among all."""

    def __init__(self, folder: Path, counts: Sequence[int]) -> None:
        """`counts`: documents of each part; what is kept on disk lies in `folder`."""
        self._starts = np.concatenate([[0], np.cumsum(np.array(counts, np.int64))])
        self._folder = folder
        self.all = table(folder / "states", int(self._starts[-1]), np.uint8)

    def places(self, documents: Hashes) -> Ints:
        """Where documents with these numbers are among all."""
        part = (documents >> np.uint64(32)).astype(np.int64)
        place: Ints = self._starts[part] + (documents & np.uint64(0xFFFFFFFF)).astype(np.int64)
        return place

    def of(self, documents: Hashes) -> npt.NDArray[np.uint8]:
        """The states of documents with these numbers."""
        found: npt.NDArray[np.uint8] = self.all[self.places(documents)]
        return found

    def decide(self, exact: Sequence[Path], near: Sequence[Path]) -> Sizes:
        """Let copies go, given the files of pairs; returns clusters by size, see `SIZES`.

        A document with the content of an earlier one is an exact copy, whatever else it is alike; a
        near copy goes against the first document that stays.
        """
        for pairs in merged(exact):
            self.all[self.places(pairs[:, 0])] = EXACT
        chosen = self._folder / "chosen"
        chosen.touch()
        for pairs in merged(near):
            found = against_staying(pairs[(self.of(pairs.T) == STAYS).all(axis=0)])
            self.all[self.places(found[:, 0])] = NEAR
            append(chosen, found)
        return self._clusters(exact, chosen)

    def _clusters(self, exact: Sequence[Path], chosen: Path) -> Sizes:
        """Clusters (a document that stays, and its copies) by size: the bound, 0 beyond all."""
        copies = table(self._folder / "copies", len(self.all), np.uint32)
        for pairs in merged([chosen]):
            np.add.at(copies, self.places(pairs[:, 1]), 1)
        near = mapped(chosen)
        for pairs in merged(exact):
            roots = pairs[:, 1].copy()
            again = self.of(roots) == NEAR
            roots[again] = near[np.searchsorted(near[:, 0], roots[again]), 1]
            np.add.at(copies, self.places(roots), 1)
        sizes: Counter[int] = Counter()
        for begin in range(0, len(copies), _BLOCK):
            block = copies[begin : begin + _BLOCK]
            bounds = np.searchsorted(SIZES, block[block > 0].astype(np.int64) + 1)
            for bound, count in enumerate(np.bincount(bounds, minlength=len(SIZES) + 1).tolist()):
                sizes[(*SIZES, 0)[bound]] += count
        return Sizes(+sizes)


def table(path: Path, count: int, kind: type[np.generic]) -> npt.NDArray[Any]:
    """`count` zeros in a file that is mapped; of none there is no file. Raises OSError."""
    if not count:
        return np.zeros(0, kind)
    with path.open("wb") as file:
        # A page that finds no room when it is written to would end the process without a word.
        os.posix_fallocate(file.fileno(), 0, count * np.dtype(kind).itemsize)
    return np.memmap(path, kind, "r+", shape=(count,))
