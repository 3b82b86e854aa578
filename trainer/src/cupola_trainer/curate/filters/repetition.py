"""How much of a document repeats itself: lines, paragraphs and word n-grams, as Gopher counts them.

Rae et al. 2021, arXiv 2112.11446, appendix A1.1. All functions give one share (0 to 1) a document.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cupola_trainer.curate.filters.spans import Values, ratio
from cupola_trainer.curate.texts import Flags, Hashes, Ints, Spans, Texts, mix, n_grams


class Repeats(NamedTuple):
    """Values that occur more than once, by their positions."""

    first: Ints
    """Position of the first of each such value."""
    counts: Ints
    """How often it occurs."""
    later: Ints
    """Positions of all but the first."""


def find_repeats(hashes: Hashes, positions: Ints) -> Repeats:
    """Group equal hashes by one plain sort: the hash in the high bits, the position below it.

    `positions` must be non-negative and ascending. With the bits that a mebibyte of text leaves to
    the hash (46), two values that differ are taken for one about once in ten thousand batches.
    """
    if not len(positions):
        none = np.empty(0, np.int64)
        return Repeats(none, none, none)
    bits = np.uint64(int(positions[-1]).bit_length())
    low = (np.uint64(1) << bits) - np.uint64(1)
    packed = np.sort((hashes & ~low) | positions.astype(np.uint64))
    value, position = packed >> bits, (packed & low).astype(np.int64)
    begins = np.flatnonzero(np.diff(value, prepend=~value[:1]))
    counts = np.diff(begins, append=len(packed))
    several = counts > 1
    again = np.ones(len(packed), bool)
    again[begins] = False
    return Repeats(position[begins[several]], counts[several], position[again])


def repeated_spans(texts: Texts, spans: Spans) -> tuple[Values, Values]:
    """Share of spans that occurred before in their document; share of its characters in those."""
    lengths = texts.lengths(spans)
    later = find_repeats(_within(texts.hashes(spans), spans), np.arange(len(lengths))).later
    documents = len(texts)
    count = np.bincount(spans.document[later], minlength=documents)
    characters = np.bincount(spans.document[later], lengths[later], documents)
    total = np.bincount(spans.document, lengths, documents)
    return ratio(count, spans.counts), ratio(characters, total)


def line_shares(texts: Texts) -> dict[str, Values]:
    """Shares of lines and of paragraphs that occurred before, and of characters in those."""
    lines, line_characters = repeated_spans(texts, texts.lines)
    paragraphs, paragraph_characters = repeated_spans(texts, texts.paragraphs)
    return {
        "duplicate-lines": lines,
        "duplicate-line-characters": line_characters,
        "duplicate-paragraphs": paragraphs,
        "duplicate-paragraph-characters": paragraph_characters,
    }


def n_gram_shares(texts: Texts) -> dict[str, Values]:
    """Shares of characters in the most frequent n-gram (2 to 4 words), or in repeated ones (5 to 10)."""
    grams = NGrams(texts)
    top = {f"top-{n}-gram": grams.top(n) for n in (2, 3, 4)}
    return {**top, **{f"repeated-{n}-grams": grams.repeated(n) for n in range(5, 11)}}


class NGrams:
    """Repetition of word n-grams; ask for ascending n.

    An n-gram can only repeat where the shorter one at its place does, so each n looks only at the
    places that the one before it left.
    """

    def __init__(self, texts: Texts) -> None:
        words = texts.words
        self._documents = len(texts)
        self._words = words
        self._hashes = _within(texts.hashes(words), words)
        self._lengths = texts.lengths(words)
        self._total = np.bincount(words.document, self._lengths, self._documents)
        self._places = np.arange(len(self._hashes))

    def top(self, n: int) -> Values:
        """Share of a document's word characters that its most frequent n-gram makes up.

        An n-gram that occurs once repeats nothing and counts as 0.
        """
        repeats = self._repeats(n)
        size = sum(self._lengths[repeats.first + i] for i in range(n))
        best = np.zeros(self._documents)
        np.maximum.at(best, self._words.document[repeats.first], size * repeats.counts)
        return np.minimum(1.0, ratio(best, self._total))

    def repeated(self, n: int) -> Values:
        """Share of a document's word characters inside n-grams that occurred before in it."""
        later = self._repeats(n).later
        inside: Flags = np.zeros(len(self._hashes), bool)
        for i in range(n):
            inside[later + i] = True
        places = np.flatnonzero(inside)
        document = self._words.document[places]
        return ratio(np.bincount(document, self._lengths[places], self._documents), self._total)

    def _repeats(self, n: int) -> Repeats:
        last = len(self._hashes) - n
        places = self._places[self._places <= last]
        document = self._words.document
        places = places[document[places] == document[places + n - 1]]
        repeats = find_repeats(n_grams(self._hashes, places, n), places)
        self._places = np.sort(np.concatenate((repeats.first, repeats.later)))
        return repeats


def _within(hashes: Hashes, spans: Spans) -> Hashes:
    """Hashes that are equal only inside one document."""
    return mix(hashes ^ mix(spans.document.astype(np.uint64)))
