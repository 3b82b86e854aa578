"""Which documents are copies of an earlier one that stays. Pure: arrays in, positions out.

Documents are numbered in the order of the listing, and the first of its kind stays. A near copy
goes only against a document that stays, by its true Jaccard similarity: removing against removed
documents would let a chain of small differences take away text that nothing kept is like.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from cupola_trainer.curate.minhash import jaccard
from cupola_trainer.curate.texts import Flags, Hashes, Ints

_COMPARED = 1000
"""Kept documents of one bucket that a document is compared with, at most: a bound on the work that
text made from one template can cause."""


class Candidates(NamedTuple):
    """Documents that share a band with another: for each, the buckets that it is in."""

    documents: Ints
    """Their numbers, ascending."""
    start: Ints
    """Where the buckets of each begin in `buckets`, and the end of all."""
    buckets: Ints
    """Numbers of buckets."""
    last_in: Ints
    """For each bucket the last document in it."""


def first_of_each(hashes: Hashes) -> Flags:
    """Whether each hash (uint64[documents, 2]) has not occurred before it."""
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))  # stable: the first of equals comes first
    ordered = hashes[order]
    first = np.ones(len(hashes), bool)
    first[order[1:]] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return first


def find_candidates(bands: Iterable[Hashes], among: Flags) -> Candidates:
    """Group documents by band, one band (uint64[documents]) after the other, so that memory is low.

    `among`: the documents that take part.
    """
    numbers = np.flatnonzero(among)
    members: list[Ints] = []
    buckets: list[Ints] = []
    last_in: list[Ints] = []
    used = 0
    for band in bands:
        _, bucket, counts = np.unique(band[numbers], return_inverse=True, return_counts=True)
        shared = np.cumsum(counts > 1) - 1 + used  # a number for each bucket of two or more
        inside = counts[bucket] > 1
        last = np.zeros(int(np.count_nonzero(counts > 1)), np.int64)
        np.maximum.at(last, shared[bucket[inside]] - used, numbers[inside])
        members.append(numbers[inside])
        buckets.append(shared[bucket[inside]])
        last_in.append(last)
        used += len(last)
    member = np.concatenate([*members, np.empty(0, np.int64)])
    order = np.argsort(member, kind="stable")
    documents, counts = np.unique(member, return_counts=True)
    return Candidates(
        documents,
        np.concatenate(([0], np.cumsum(counts))),
        np.concatenate([*buckets, np.empty(0, np.int64)])[order],
        np.concatenate([*last_in, np.empty(0, np.int64)]),
    )


def near_copies(
    candidates: Candidates, shingles: Iterable[Hashes], similarity: float
) -> Iterator[tuple[int, int]]:
    """(copy, the document it is a copy of) for each near copy.

    `shingles`: the sorted set of shingles of each candidate, in the order of `candidates`. Those of
    a document that stays are held until the last document that shares a bucket with it.
    """
    kept: dict[int, list[int]] = defaultdict(list)
    sets: dict[int, Hashes] = {}
    release: dict[int, list[int]] = defaultdict(list)
    for i, (document, own) in enumerate(zip(candidates.documents.tolist(), shingles, strict=True)):
        buckets = candidates.buckets[candidates.start[i] : candidates.start[i + 1]].tolist()
        original = _original(own, [kept[b] for b in buckets], sets, similarity)
        if original is not None:
            yield document, original
        else:
            sets[document] = own
            for bucket in buckets:
                kept[bucket].append(document)
            release[int(candidates.last_in[buckets].max())].append(document)
        for bucket in buckets:
            if candidates.last_in[bucket] == document:
                del kept[bucket]
        for done in release.pop(document, ()):
            del sets[done]


def _original(
    own: Hashes, groups: list[list[int]], sets: dict[int, Hashes], similarity: float
) -> int | None:
    """The first kept document that `own` is a copy of, or None."""
    others = {other for group in groups for other in group[:_COMPARED]}
    for other in sorted(others):
        theirs = sets[other]
        small, large = sorted((len(own), len(theirs)))
        # The similarity of two sets is at most the ratio of their sizes.
        if small >= similarity * large and jaccard(own, theirs) >= similarity:
            return other
    return None
