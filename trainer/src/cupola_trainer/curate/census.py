"""All documents of a run, block by block in the order of the listing, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from cupola_api.duplicate_lines import DuplicateLines
from cupola_api.run import CurateRun
from cupola_trainer.curate import entries, line_copies, match
from cupola_trainer.curate.line_copies import Lost
from cupola_trainer.curate.states import SHORT, STAYS, Sizes, States
from cupola_trainer.curate.texts import Flags, Ints


class Block(NamedTuple):
    """Some documents."""

    entries: pl.DataFrame
    states: npt.NDArray[np.uint8]
    """What became of each, see `states`; what is written here is so in the file."""
    lines: Ints
    """Lines that were taken out of each."""
    bytes: Ints
    """Bytes of each that are left."""

    @property
    def stay(self) -> Flags:
        """Which of them stay."""
        found: Flags = self.states == STAYS
        return found


class Census:
    """All documents; what is known of them lies in files below `scratch`."""

    def __init__(self, run: CurateRun, folders: Sequence[Path], scratch: Path) -> None:
        """`folders`: of all parts, with their entries."""
        self._run = run
        self._folders = folders
        self._states = States(scratch, entries.counts(folders))
        self._lines = lines_of(run)
        self._lost = Lost(scratch, len(self._states.all) if self._lines else 0)

    def remove_copies(self, target: Path) -> Sizes:
        """Let copies go, as `match` found them: of documents, and of lines, which `target` then says.

        Returns clusters by size, see `states.SIZES`.
        """
        if self._run.curation.dedup is None:
            return Sizes()
        ranges = match.found(self._run)
        exact, near = ([folder / name for folder in ranges] for name in (match.EXACT, match.NEAR))
        sizes = self._states.decide(exact, near)
        if self._lines:
            line_copies.decide(ranges, self._states, self._lost, None)
            for block in self.blocks():
                few = block.bytes < self._lines.min_left
                block.states[block.stay & (block.lines > 0) & few] = SHORT
            # A line that went for one of those would be nowhere.
            self._lost.clear()
            line_copies.decide(ranges, self._states, self._lost, target)
        return sizes

    def blocks(self) -> Iterator[Block]:
        """The documents; there is a block even of none."""
        begin = 0
        for found in entries.blocks(self._folders):
            own = slice(begin, begin + found.height)
            size = found["bytes"].to_numpy().astype(np.int64)
            lines = np.zeros(found.height, np.int64)
            if self._lines:
                lines = self._lost.lines[own].astype(np.int64)
                size -= self._lost.bytes[own]
            yield Block(found, self._states.all[own], lines, size)
            begin += found.height


def lines_of(run: CurateRun) -> DuplicateLines | None:
    """What is done about lines."""
    return run.curation.dedup.lines if run.curation.dedup else None
