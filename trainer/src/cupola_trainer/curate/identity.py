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
    normal = " ".join(unicodedata.normalize("NFC", text).split())
    digest = xxhash.xxh3_128_digest(normal.encode())
    return Identity(
        int.from_bytes(digest[:8], "big"),
        int.from_bytes(digest[8:], "big"),
        xxhash.xxh3_64_intdigest(digest, seed),
        xxhash.xxh3_64_intdigest(digest, _LOT),
    )


def held_out(lots: npt.NDArray[np.uint64], share: float) -> npt.NDArray[np.bool_]:
    """Which documents are for validation: those whose lot lies in the lowest `share` of all lots.

    Where that leaves a split empty and there are two documents that differ, the document with the
    lowest lot is held out, or the one with the highest is not.
    """
    held: npt.NDArray[np.bool_] = lots < np.uint64(int(share * (1 << 64)))
    if not len(lots) or lots.min() == lots.max():
        held = np.zeros(len(lots), bool)
    elif not held.any():
        held = lots == lots.min()
    elif held.all():
        held = lots < lots.max()
    return held
