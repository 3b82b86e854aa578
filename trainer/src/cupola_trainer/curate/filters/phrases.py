"""Looking for many passages at once: words in a row, by their hashes, upper case as lower."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cupola_trainer.curate.texts import Flags, Hashes, Ints, Texts, n_grams

_LEAST_BITS = 16
_SPARSE = 4
"""Bits by which the screen is larger than the number of hashes in it: one in 16 is a false alarm."""


class HashSet:
    """A set of 64-bit hashes that many others are looked up in."""

    def __init__(self, hashes: Hashes) -> None:
        ordered = np.sort(hashes)  # np.unique takes forty times as long
        self._sorted = ordered[np.diff(ordered, prepend=~ordered[:1]) != 0]
        bits = max(_LEAST_BITS, len(self._sorted).bit_length() + _SPARSE)
        self._shift = np.uint64(64 - bits)
        self._screen: Flags = np.zeros(1 << bits, bool)
        self._screen[self._sorted >> self._shift] = True

    def __len__(self) -> int:
        """How many different hashes it holds."""
        return len(self._sorted)

    def holds(self, hashes: Hashes) -> Ints:
        """Positions of those that are in the set."""
        likely = np.flatnonzero(self._screen[hashes >> self._shift])
        if not len(likely):
            return likely
        asked = hashes[likely]
        places = np.minimum(np.searchsorted(self._sorted, asked), len(self._sorted) - 1)
        found: Ints = likely[self._sorted[places] == asked]
        return found


class Words:
    """A batch of documents as hashes of words, from which it makes those of n words in a row."""

    def __init__(self, documents: Sequence[str]) -> None:
        texts = Texts([document.lower() for document in documents])
        spans = texts.words
        self._hashes = texts.hashes(spans)
        self._document = spans.document
        self._made: dict[int, tuple[Hashes, Ints]] = {}
        self.counts = spans.counts

    def in_a_row(self, n: int) -> tuple[Hashes, Ints]:
        """Hashes of all n words in a row, and the document that each is in."""
        if n not in self._made:
            last = max(len(self._hashes) - n + 1, 0)
            places = np.flatnonzero(self._document[:last] == self._document[n - 1 : n - 1 + last])
            self._made[n] = n_grams(self._hashes, places, n), self._document[places]
        return self._made[n]


class Phrases:
    """Passages to look for, of one or several lengths in words."""

    def __init__(self, by_length: dict[int, Hashes]) -> None:
        self._sets = {n: HashSet(hashes) for n, hashes in sorted(by_length.items())}

    def __len__(self) -> int:
        """How many there are."""
        return sum(map(len, self._sets.values()))

    def found_in(self, words: Words) -> Ints:
        """For each document how many of its places hold one."""
        found = np.zeros(len(words.counts), np.int64)
        for n, wanted in self._sets.items():
            hashes, document = words.in_a_row(n)
            found += np.bincount(document[wanted.holds(hashes)], minlength=len(found))
        return found


def whole(texts: Iterable[Sequence[str]], longest: int) -> Phrases:
    """Each of the texts (in batches) as one passage; those without a word, or of too many, are not."""
    return _gathered(_whole(Words(batch), 1, longest) for batch in texts)


def parts(texts: Iterable[Sequence[str]], size: int, least: int) -> Phrases:
    """All `size` words in a row of the texts, and those with fewer words, but `least`, as a whole."""
    return _gathered(
        {size: words.in_a_row(size)[0], **_whole(words, least, size - 1)}
        for words in map(Words, texts)
    )


def _whole(words: Words, least: int, most: int) -> dict[int, Hashes]:
    found = {}
    for n in range(least, most + 1):
        hashes, document = words.in_a_row(n)
        found[n] = hashes[words.counts[document] == n]
    return found


def _gathered(batches: Iterable[dict[int, Hashes]]) -> Phrases:
    gathered: dict[int, list[Hashes]] = {}
    for batch in batches:
        for n, hashes in batch.items():
            if len(hashes):
                gathered.setdefault(n, []).append(hashes)
    return Phrases({n: np.concatenate(found) for n, found in gathered.items()})
