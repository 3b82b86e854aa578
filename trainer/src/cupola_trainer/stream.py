"""The tokens of a split as one stream, read anywhere: memory stays small whatever its length."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cupola_trainer.shards import Index, dtype_for
from cupola_trainer.storage.pieces import pieces_of
from cupola_trainer.storage.place import Place

Tokens = npt.NDArray[np.int64]


class Stream:
    """A split of a Dataset as one stream of tokens."""

    def __init__(
        self, place: Place, index: Path, vocabulary: int, *, room: int, opened: int = 128
    ) -> None:
        """`place`: the split's folder; `index`: its index, on this machine, checked.

        `room`: bytes on disk for what is brought from S3; `opened`: pieces that are mapped at a
        time, each of which takes a file descriptor. Raises OSError.
        """
        self._index = Index(index, vocabulary)
        self._dtype = dtype_for(vocabulary)
        self._pieces = pieces_of(place, self._index.count, room)
        self._opened = opened
        self._open: OrderedDict[int, npt.NDArray[Any]] = OrderedDict()

    def __len__(self) -> int:
        """Tokens of the split."""
        return self._index.tokens

    def read(self, starts: Tokens, length: int) -> Tokens:
        """`length` tokens from each of `starts`: int64, [starts, length]; none beyond the end.

        Raises ArtifactInvalid if a piece is not what it should be, or OSError.
        """
        result = np.empty((len(starts), length), np.int64)
        first, last = self._index.find(starts), self._index.find(starts + (length - 1))
        places = zip(result, starts.tolist(), first.tolist(), last.tolist(), strict=True)
        for row, start, number, final in places:
            tokens, begin = self._piece(number)
            at = start - begin
            filled = len(tokens) - at
            if number == final:
                row[:] = tokens[at : at + length]
                continue
            row[:filled] = tokens[at:]
            for following in range(number + 1, final + 1):
                tokens, _ = self._piece(following)
                part = tokens[: length - filled]
                row[filled : filled + len(part)] = part
                filled += len(part)
        return result

    def bring(self, *ranges: Tokens) -> None:
        """Have tokens at hand soon: of the first [ranges, 2] from and to, then of the next, ...

        Ranks of one machine begin at different ones of each.
        """
        wanted: dict[int, None] = {}
        local, ranks = (int(os.environ.get(n, d)) for n, d in _RANK)
        for range_ in ranges:
            first, last = self._index.find(range_[:, 0]), self._index.find(range_[:, 1] - 1)
            numbers = [n for a, b in zip(first, last, strict=True) for n in range(a, b + 1)]
            turn = local * len(numbers) // ranks
            wanted |= dict.fromkeys(numbers[turn:] + numbers[:turn])
        self._pieces.bring(self._index.piece(number) for number in wanted)

    def _piece(self, number: int) -> tuple[npt.NDArray[Any], int]:
        """The tokens of a piece, and where it begins."""
        if number in self._open:
            self._open.move_to_end(number)
        else:
            while len(self._open) >= self._opened:
                self._open.popitem(last=False)
            data = self._pieces.open(self._index.piece(number))
            self._open[number] = np.asarray(data).view(self._dtype)
        return self._open[number], self._index.start(number)


_RANK = (("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1"))
