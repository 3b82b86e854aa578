"""Which documents are copies of an earlier one that stays. Pure: numbers of documents in and out.

Documents are numbered in the order of the listing, and the first of its kind stays. A near copy
goes only against a document that stays, by its true Jaccard similarity: removing against removed
documents would let a chain of small differences take away text that nothing kept is like.

First the pairs that are alike are found, bucket by bucket, wherever a bucket is worked on; what stays
follows from all pairs together (`removed`). So the result is the same however the buckets were
divided.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from cupola_trainer.curate.minhash import Set, jaccard
from cupola_trainer.curate.texts import Hashes

Pairs = npt.NDArray[np.uint64]
"""uint64[pairs, 2]: a document, and an earlier one that it is a copy of."""

_COMPARED = 8
"""Documents of a bucket with which every later one of it is compared."""
_APART = 100
"""Further such documents of a bucket, at most, each unlike those before it: a bound on the work that
text made from one template can cause."""

SIZES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Upper bounds of the sizes of clusters that are counted together; what is larger is one more."""


def copies_of_first(contents: Hashes, documents: Hashes) -> Pairs:
    """Of documents sorted by content (uint64[documents, 2]) and number, those after the first."""
    first = np.ones(len(documents), bool)
    first[1:] = (contents[1:] != contents[:-1]).any(axis=1)
    begins = np.maximum.accumulate(np.where(first, np.arange(len(documents)), 0))
    found: Pairs = np.stack([documents, documents[begins]], axis=1)[~first]
    return found


class Alike:
    """Pairs of documents whose similarity was found to be enough."""

    def __init__(self, similarity: float) -> None:
        self._similarity = similarity
        self._known: dict[int, set[int]] = defaultdict(set)

    def compare(self, signatures: Iterable[tuple[int, int, Set]]) -> None:
        """Look at the documents of some buckets: (bucket, document, sorted set of its shingles).

        Sorted by bucket, and in it by document. Who is alike one of the first few documents of a
        bucket, or one that none before it was like, is so noted; others are not compared.
        """
        bucket = None
        members: list[tuple[int, Set]] = []
        for value, document, own in signatures:
            if value != bucket:
                bucket, members = value, []
            known = self._known.get(document, set())
            apart = True
            for other, theirs in members:
                if other in known or self._enough(own, theirs):
                    apart = False
                    self._known[document].add(other)
            if len(members) < _COMPARED or (apart and len(members) < _COMPARED + _APART):
                members.append((document, own))

    def _enough(self, own: Set, theirs: Set) -> bool:
        small, large = sorted((len(own), len(theirs)))
        # The similarity of two sets is at most the ratio of their sizes.
        return small >= self._similarity * large and jaccard(own, theirs) >= self._similarity

    def pairs(self) -> Pairs:
        """All pairs so far, sorted."""
        found = [(one, other) for one, others in self._known.items() for other in others]
        return np.array(sorted(found), np.uint64).reshape(-1, 2)


def removed(exact: Pairs, alike: Pairs) -> tuple[dict[int, int], dict[int, int]]:
    """(exact copies, near copies): of each its original. Of a near copy that is one that stays.

    A document with the content of another is an exact copy, whatever else it is alike.
    """
    same = dict(exact.tolist())
    near: dict[int, int] = {}
    # In order: what decides on an original came before it.
    for copy, original in np.unique(alike, axis=0).tolist():
        if copy not in same and copy not in near and original not in same and original not in near:
            near[copy] = original
    return same, near


def cluster_sizes(exact: dict[int, int], near: dict[int, int]) -> Counter[int]:
    """Clusters (a document that stays, and its copies) by size: the bound in SIZES, 0 beyond them."""
    copies = Counter(_roots(exact, near))
    return Counter(
        next((bound for bound in SIZES if count + 1 <= bound), 0) for count in copies.values()
    )


def _roots(exact: dict[int, int], near: dict[int, int]) -> Iterator[int]:
    yield from near.values()
    yield from (near.get(original, original) for original in exact.values())
