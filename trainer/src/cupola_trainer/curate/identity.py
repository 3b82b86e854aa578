"""What a document is called and what follows from its name: its place in the shuffle and its split.

All three depend on the content and the run alone, never on which file or part it came from, so that
the result is the same however the work was divided.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

_LOT = 0x686F6C64


class Identity(NamedTuple):
    """Numbers of 64 bits that a document's content gives."""

    high: int
    low: int
    """The content hash in two halves (xxh3-128)."""
    key: int
    """Place in the shuffled order of this run."""
    lot: int
    """Place in the draw for the validation split, the same in every run."""


def identify(text: str, seed: int) -> Identity:
    """The identity of a document; equal for texts that differ in white space or composition only.

    Normalised to Unicode NFC, every run of white space is one space, none at the ends.
    """
    digest = xxhash.xxh3_128_digest(normal_form(text).encode())
    return Identity(
        int.from_bytes(digest[:8], "big"),
        int.from_bytes(digest[8:], "big"),
        xxhash.xxh3_64_intdigest(digest, seed),
        xxhash.xxh3_64_intdigest(digest, _LOT),
    )


def normal_form(text: str) -> str:
    """What texts have in common that differ in white space or composition only."""
    return " ".join(unicodedata.normalize("NFC", text).split())


class Draw:
    """Which documents are for validation: those whose lot lies in the lowest `share` of all lots.

    First it sees the lots of all documents, in any order. Where a split would be empty and there are
    two documents that differ, the document with the lowest lot is held out, or the one with the
    highest is not.
    """

    def __init__(self, share: float) -> None:
        self._limit = int(share * (1 << 64))
        self._low, self._high = 1 << 64, -1

    def see(self, lots: npt.NDArray[np.uint64]) -> None:
        """Lots of some of the documents."""
        if len(lots):
            self._low = min(self._low, int(lots.min()))
            self._high = max(self._high, int(lots.max()))

    def held(self, lots: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Which documents are held out, of some whose lots were seen."""
        if self._low >= self._high:
            return np.zeros(len(lots), bool)
        # At least the lowest lot, and not the highest.
        limit = min(max(self._limit, self._low + 1), self._high)
        found: npt.NDArray[np.bool_] = lots < np.uint64(limit)
        return found
