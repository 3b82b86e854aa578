"""Token shards: the form in which a Dataset's text lies in storage and is read by training.

A split is a folder of shards `00000`, `00001`, ... of two files each:

- `NNNNN.tokens`: the documents' token ids one after the other, each document closed by the end
  token; little-endian uint16 where the vocabulary fits, else uint32;
- `NNNNN.ends`: for each document the position after its last token, little-endian uint64.

To a reader a split is one stream of tokens. Files are mapped, not read: memory stays small.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt

END_TOKEN = "<|endoftext|>"  # noqa: S105
PAD_TOKEN = "<|pad|>"  # noqa: S105
SPECIAL_TOKENS = (END_TOKEN, PAD_TOKEN)
"""Ids 0 and 1 of every tokenizer that Cupola trains."""

TokenArray = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


def dtype_for(vocabulary: int) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
    """The type of token ids on disk for a vocabulary of that many entries."""
    return np.dtype("<u2") if vocabulary <= 1 << 16 else np.dtype("<u4")


def write_shard(
    folder: Path, index: int, documents: Sequence[Sequence[int]], vocabulary: int
) -> None:
    """Write shard `index`; every document must already be closed by the end token."""
    folder.mkdir(parents=True, exist_ok=True)
    lengths = np.fromiter((len(d) for d in documents), dtype="<u8", count=len(documents))
    tokens = np.concatenate(
        [np.asarray(d, dtype=dtype_for(vocabulary)) for d in documents]
        or [np.empty(0, dtype_for(vocabulary))]
    )
    for suffix, data in (("tokens", tokens), ("ends", np.cumsum(lengths, dtype="<u8"))):
        temporary = folder / f".{index:05d}.{suffix}.tmp"
        data.tofile(temporary)
        temporary.replace(folder / f"{index:05d}.{suffix}")


class Split:
    """A split of a Dataset as one stream of tokens."""

    def __init__(self, folder: Path, vocabulary: int) -> None:
        paths = [p for p in sorted(folder.glob("*.tokens")) if p.stat().st_size]
        self._shards = [np.memmap(p, dtype=dtype_for(vocabulary), mode="r") for p in paths]
        self._ends = [np.fromfile(p.with_suffix(".ends"), dtype="<u8") for p in paths]
        self._starts = [0, *accumulate(len(s) for s in self._shards)]

    def __len__(self) -> int:
        """Tokens of the split."""
        return self._starts[-1]

    def read(self, start: int, length: int) -> npt.NDArray[np.int64]:
        """Tokens `start` to `start + length` of the stream, which wraps around at its end."""
        out = np.empty(length, dtype=np.int64)
        filled = 0
        while filled < length:
            position = (start + filled) % len(self)
            shard = bisect_right(self._starts, position) - 1
            offset = position - self._starts[shard]
            piece = self._shards[shard][offset : offset + length - filled]
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
        return out

    def documents(self) -> list[npt.NDArray[np.int64]]:
        """Every document, its end token included, in stream order. For splits that fit memory."""
        found = []
        for shard, ends in zip(self._shards, self._ends, strict=True):
            starts = [0, *ends[:-1].tolist()]
            found += [
                shard[a:b].astype(np.int64) for a, b in zip(starts, ends.tolist(), strict=True)
            ]
        return found
