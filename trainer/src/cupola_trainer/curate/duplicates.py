"""Which documents are copies of an earlier one that stays. Pure: numbers of documents in and out.

Documents are numbered in the order of the listing, and the first of its kind stays. A near copy
goes only against a document that stays, by its true Jaccard similarity: removing against removed
documents would let a chain of small differences take away text that nothing kept is like.

First the pairs that are alike are found, bucket by bucket, wherever a bucket is worked on; what stays
follows from all pairs together (`states`). So the result is the same however the buckets were
divided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np

from cupola_trainer.curate.minhash import Set, jaccard
from cupola_trainer.curate.pairs_on_disk import Pairs

_COMPARED = 8
"""Documents of a bucket with which every later one of it is compared."""
_APART = 100
"""Further such documents of a bucket, at most, each unlike those before it: a bound on the work that
text made from one template can cause."""


class Alike:
    """Pairs of documents whose similarity was found to be enough."""

    def __init__(self, similarity: float, most: int, write: Callable[[Pairs], None]) -> None:
        """`write` takes the pairs whenever there are `most`; those may then be found again."""
        self._similarity = similarity
        self._most = most
        self._write = write
        self._known: dict[int, set[int]] = defaultdict(set)
        self._count = 0

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
            alike = {
                other for other, theirs in members if other in known or self._enough(own, theirs)
            }
            if alike - known:
                self._count += len(alike - known)
                self._known[document] |= alike
            if len(members) < _COMPARED or (not alike and len(members) < _COMPARED + _APART):
                # Copied, as it is a part of what was read at once, which would be held with it.
                members.append((document, own.copy()))
            if self._count >= self._most:
                self.flush()

    def _enough(self, own: Set, theirs: Set) -> bool:
        small, large = sorted((len(own), len(theirs)))
        # The similarity of two sets is at most the ratio of their sizes.
        return small >= self._similarity * large and jaccard(own, theirs) >= self._similarity

    def flush(self) -> None:
        """Write the pairs that were not yet written."""
        found = [(one, other) for one, others in self._known.items() for other in others]
        self._known.clear()
        self._count = 0
        self._write(np.array(found, np.uint64).reshape(-1, 2))


def against_staying(alike: Pairs) -> Pairs:
    """Of sorted pairs of documents that are alike: each near copy, and the first that stays."""
    found: dict[int, int] = {}
    # In order: what decides on an original came before it.
    for copy, original in alike.tolist():
        if copy not in found and original not in found:
            found[copy] = original
    return np.array([*found.items()], np.uint64).reshape(-1, 2)
