"""Token shards: the form in which a Dataset's text lies in storage and is read by training.

A split is a folder of shards `00000`, `00001`, ... of two files each:

- `NNNNN.tokens`: the documents' token ids one after the other, each document closed by the end
  token; little-endian uint16 where the vocabulary fits, else uint32;
- `NNNNN.ends`: for each document the position after its last token, little-endian uint64.

To a reader a split is one stream of tokens. Files are mapped, not read: memory stays small. So that
training can read anywhere without reading all, a split is made of pieces, `PIECE_BYTES` of a shard
or what is left of it, and the file `index` says where each begins and what it holds:

- how many pieces there are, uint64;
- the token of the stream that each begins with, and how many tokens there are, uint64;
- the number of each one's shard, uint32;
- the sha256 of each one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

END_TOKEN = "<|endoftext|>"  # noqa: S105
PAD_TOKEN = "<|pad|>"  # noqa: S105
SPECIAL_TOKENS = (END_TOKEN, PAD_TOKEN)
"""Ids 0 and 1 of every tokenizer that Cupola trains."""

INDEX = "index"
"""The file of a split that knows its pieces."""
PIECE_BYTES = 4 << 20
"""Bytes of a shard that are read, checked and kept together: one request of object storage."""

TokenArray = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


def dtype_for(vocabulary: int) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
    """The type of token ids on disk for a vocabulary of that many entries."""
    return np.dtype("<u2") if vocabulary <= 1 << 16 else np.dtype("<u4")


def write_shard(
    folder: Path, index: int, documents: Sequence[Sequence[int] | TokenArray], vocabulary: int
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


class Piece(NamedTuple):
    """A part of a shard."""

    number: int
    """Which of the split's."""
    file: str
    """The shard's file."""
    begin: int
    """Its first byte in that file."""
    size: int
    """Bytes."""
    sha256: bytes


def write_index(folder: Path, vocabulary: int) -> None:
    """Write the index of the shards of a split; each is read once."""
    itemsize = dtype_for(vocabulary).itemsize
    starts, shards, digests = [0], [], []
    for path in _shards(folder):
        with path.open("rb") as file:
            while data := file.read(PIECE_BYTES):
                starts.append(starts[-1] + len(data) // itemsize)
                shards.append(int(path.stem))
                digests.append(hashlib.sha256(data).digest())
    temporary = folder / f".{INDEX}.tmp"
    with temporary.open("wb") as out:
        out.write(np.array([len(shards), *starts], "<u8").tobytes())
        out.write(np.array(shards, "<u4").tobytes())
        out.write(b"".join(digests))
    temporary.replace(folder / INDEX)


def _shards(folder: Path) -> list[Path]:
    """The token files of a split by number: names of more than 100,000 sort otherwise."""
    return sorted(folder.glob("*.tokens"), key=lambda path: int(path.stem))


class Index:
    """The pieces of a split, found without reading the index: it is mapped."""

    def __init__(self, path: Path, vocabulary: int) -> None:
        """Raises OSError."""
        self._itemsize = dtype_for(vocabulary).itemsize
        data = np.memmap(path, np.uint8, "r")
        self.count = int(data[:8].view("<u8")[0])
        """Pieces of the split."""
        ends = np.cumsum([8, 8 * (self.count + 1), 4 * self.count, 32 * self.count])
        starts, shards, digests = (data[a:b] for a, b in pairwise(ends))
        self._starts: npt.NDArray[np.uint64] = np.asarray(starts).view("<u8")
        self._shards: npt.NDArray[np.uint32] = np.asarray(shards).view("<u4")
        self._digests = digests

    @property
    def tokens(self) -> int:
        """Tokens of the split."""
        return int(self._starts[-1])

    def find(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The number of the piece that holds each of these tokens of the stream."""
        wanted = tokens.astype(np.uint64)
        found: npt.NDArray[np.int64] = np.searchsorted(self._starts, wanted, "right") - 1
        return found

    def start(self, number: int) -> int:
        """The token of the stream that a piece begins with; the end of the stream after the last."""
        return int(self._starts[number])

    def piece(self, number: int) -> Piece:
        """That piece of the split."""
        shard = self._shards[number]
        first = int(np.searchsorted(self._shards, shard))
        tokens = self.start(number + 1) - self.start(number)
        return Piece(
            number,
            f"{shard:05d}.tokens",
            (number - first) * PIECE_BYTES,
            tokens * self._itemsize,
            self._digests[32 * number : 32 * (number + 1)].tobytes(),
        )


def read_documents(folder: Path, vocabulary: int) -> list[npt.NDArray[np.int64]]:
    """Every document of a split, its end token included, in stream order. For what fits memory."""
    found = []
    for path in _shards(folder):
        tokens = np.fromfile(path, dtype_for(vocabulary)).astype(np.int64)
        ends = np.fromfile(path.with_suffix(".ends"), "<u8").tolist()
        found += [tokens[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    return found
