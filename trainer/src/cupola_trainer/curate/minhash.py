"""Shingles and MinHash bands: how documents that share most of their text find each other.

A document is the set of its word 5-grams. MinHash (Broder 1997) keeps for each of many hash
functions the smallest value over the set; two sets agree in one such value with the probability of
their Jaccard similarity. Locality-sensitive hashing (Indyk and Motwani 1998) hashes `rows` values
together into a band: two documents share at least one of `bands` bands with probability
1 - (1 - similarity**rows)**bands. Who shares a band is a candidate; `duplicates` decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cupola_api.dataset import Dedup
from cupola_trainer.curate.texts import Hashes, Ints, Texts, mix, n_grams

SHINGLE_WORDS = 5
_PERMUTATIONS = 128
_RECALL = 0.98


Set = npt.NDArray[np.uint32]
"""Hashes of a document's shingles, each once and sorted. Of two documents of a thousand words each
there are two that are equal by chance in one of four thousand pairs."""


class Banding(NamedTuple):
    """How many bands of how many MinHash values each."""

    bands: int
    rows: int

    def probability(self, similarity: float) -> float:
        """That two documents of that Jaccard similarity share a band."""
        return float(1 - (1 - similarity**self.rows) ** self.bands)


class Shingles(NamedTuple):
    """The word 5-grams of a batch of documents, hashed; a document's may hold one twice."""

    hashes: Hashes
    start: Ints
    """Position of the first shingle of each document, and after the last of all."""

    def of(self, document: int) -> Set:
        """The set of one document's shingles, sorted."""
        own = self.hashes[self.start[document] : self.start[document + 1]]
        values: Set = (own >> np.uint64(32)).astype(np.uint32)
        values.sort()
        first: Set = values[np.diff(values, prepend=~values[:1]) != 0]
        return first


def choose_banding(similarity: float) -> Banding:
    """The most selective banding of 128 values that finds 98 % of the pairs at `similarity`.

    0.85 gives 16 bands of 8, 0.8 18 of 7, 0.75 21 of 6.
    """
    for rows in range(32, 1, -1):
        banding = Banding(_PERMUTATIONS // rows, rows)
        if banding.probability(similarity) >= _RECALL:
            return banding
    return Banding(_PERMUTATIONS, 1)


def near_banding(dedup: Dedup | None) -> Banding | None:
    """The banding of a Dataset's near dedup, or None if it does without."""
    return choose_banding(dedup.similarity) if dedup and dedup.similarity < 1 else None


def shingle(documents: Sequence[str]) -> Shingles:
    """The word 5-grams of each document, upper case as lower; fewer words than five give none."""
    texts = Texts([document.lower() for document in documents])
    words = texts.words
    counts = np.maximum(words.counts - (SHINGLE_WORDS - 1), 0)
    start = np.concatenate(([0], np.cumsum(counts)))
    first_word = np.cumsum(words.counts) - words.counts
    places = np.arange(start[-1]) + np.repeat(first_word - start[:-1], counts)
    return Shingles(n_grams(texts.hashes(words), places, SHINGLE_WORDS), start)


def band_hashes(shingles: Shingles, banding: Banding) -> Hashes:
    """uint64[documents, bands]: documents with an equal value in a column are candidates.

    A document without shingles has a row like every other such document.
    """
    documents = len(shingles.start) - 1
    used = banding.bands * banding.rows
    factors, terms = _permutations(used)
    smallest = np.zeros((used, documents), np.uint32)
    present = np.flatnonzero(np.diff(shingles.start))
    values = (shingles.hashes >> np.uint64(32)).astype(np.uint32)
    for begin, end in _blocks(shingles.start[present]):
        inside = present[begin:end]
        low = shingles.start[inside[0]]
        block = values[low : shingles.start[inside[-1] + 1]]
        offsets = shingles.start[inside] - low
        permuted = np.empty_like(block)
        for i in range(used):
            np.multiply(block, factors[i], out=permuted)
            permuted += terms[i]
            smallest[i, inside] = np.minimum.reduceat(permuted, offsets)
    bands = np.zeros((documents, banding.bands), np.uint64)
    for band in range(banding.bands):
        value = np.full(documents, band + 1, np.uint64)
        for row in range(banding.rows):
            value = mix(value ^ smallest[band * banding.rows + row])
        bands[:, band] = value
    return bands


def jaccard(one: Set, other: Set) -> float:
    """Jaccard similarity of two sorted sets: shared shingles over all."""
    if not len(one) or not len(other):
        return 0.0
    small, large = (one, other) if len(one) <= len(other) else (other, one)
    places = np.minimum(np.searchsorted(large, small), len(large) - 1)
    shared = int(np.count_nonzero(large[places] == small))
    return shared / (len(one) + len(other) - shared)


def _permutations(count: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Fixed parameters of h(x) = factor * x + term modulo 2**32, a permutation for odd factors."""
    seeds = mix(np.arange(1, 2 * count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    values = (seeds >> np.uint64(32)).astype(np.uint32)
    return values[:count] | np.uint32(1), values[count:]


def _blocks(starts: Ints, size: int = 1 << 15) -> list[tuple[int, int]]:
    """Ranges of documents of about `size` shingles, so that a block stays in the cache."""
    if not len(starts):
        return []
    number = starts // size
    edges = np.flatnonzero(np.diff(number, prepend=-1))
    return list(zip(edges.tolist(), [*edges[1:].tolist(), len(starts)], strict=True))
