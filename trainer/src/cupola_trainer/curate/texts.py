"""Documents laid end to end as bytes, so that a rule looks at all of them in a few array operations.

Rules need words, lines and their hashes. One document at a time, in Python, that runs at less than
a megabyte a second; over a batch of about a mebibyte with numpy at a hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

_BREAK = b"\n\n"
_FACTOR = 0x9E3779B97F4A7C15
"""Base of the rolling hash: odd, so that it has an inverse modulo 2**64."""

_SPACE = np.zeros(256, bool)
_SPACE[[9, 10, 11, 12, 13, 28, 29, 30, 31, 32]] = True
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[65:91] += 32
_WORD = np.zeros(256, bool)
_WORD[48:58] = _WORD[65:91] = _WORD[97:123] = _WORD[95] = _WORD[128:] = True


class Spans(NamedTuple):
    """Pieces of the documents: words, lines or paragraphs, in order."""

    start: Ints
    """Offset of the first byte of each piece."""
    end: Ints
    """Offset after its last byte."""
    document: Ints
    """The document that it is in."""
    counts: Ints
    """For each document, how many pieces it has."""


class Texts:
    """A batch of documents as one array of UTF-8 bytes."""

    def __init__(self, documents: Sequence[str]) -> None:
        encoded = [document.encode() for document in documents]
        sizes = np.fromiter((len(e) for e in encoded), np.int64, len(encoded))
        self.data: Bytes = np.frombuffer(_BREAK.join([*encoded, b""]), np.uint8)
        self.end: Ints = np.cumsum(sizes + len(_BREAK)) - len(_BREAK)
        self.start: Ints = self.end - sizes

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.start)

    @cached_property
    def characters(self) -> Ints:
        """`characters[i]`: characters that begin before byte i; `[len(data)]` is all of them."""
        return _before((self.data & 0xC0) != 0x80)

    @cached_property
    def newlines(self) -> Ints:
        """`newlines[i]`: line ends before byte i."""
        return _before(self.data == 10)

    @cached_property
    def _hash_before(self) -> Hashes:
        powers, _ = _powers(len(self.data))
        before = np.zeros(len(self.data) + 1, np.uint64)
        lowered = _LOWER[self.data].astype(np.uint64)
        np.cumsum((lowered + np.uint64(1)) * powers, out=before[1:])
        return before

    def lengths(self, spans: Spans) -> Ints:
        """Length of each span, in characters."""
        return self.characters[spans.end] - self.characters[spans.start]

    def hashes(self, spans: Spans) -> Hashes:
        """A 64-bit hash of each span's bytes; A to Z count as a to z. The same in every process."""
        _, inverse = _powers(len(self.data))
        before = self._hash_before
        return mix((before[spans.end] - before[spans.start]) * inverse[spans.start])

    def total(self, flags_or_values: npt.NDArray[np.generic]) -> Ints:
        """For each document the sum of a value given for each byte."""
        before = _before(flags_or_values)
        return before[self.end] - before[self.start]

    @cached_property
    def tokens(self) -> Spans:
        """Runs of anything but white space: the words of Gopher's rules."""
        inside = ~_SPACE[self.data]
        edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
        return self._spans(edges[0::2], edges[1::2])

    @cached_property
    def words(self) -> Spans:
        """Runs of letters, digits and underscores, without punctuation.

        A character of three or four bytes in UTF-8 is a word of its own: scripts that write no
        spaces (Han, Kana, Thai) begin there.
        """
        data = self.data
        inside = _WORD[data]
        begins = inside & ~np.concatenate(([False], inside[:-1]))
        wide = np.flatnonzero(data >= 0xE0)
        after = wide + 3 + (data[wide] >= 0xF0)
        begins[wide] = True
        begins[after] = inside[after]
        ends = inside & ~np.concatenate((inside[1:] & ~begins[1:], [False]))
        return self._spans(np.flatnonzero(begins), np.flatnonzero(ends) + 1)

    @cached_property
    def lines(self) -> Spans:
        """Lines that hold something, without the white space around it."""
        return self._groups(breaks=1)

    @cached_property
    def paragraphs(self) -> Spans:
        """Blocks of lines between empty lines, without the white space around them."""
        return self._groups(breaks=2)

    def _groups(self, breaks: int) -> Spans:
        """Tokens joined until there are `breaks` line ends between two of them."""
        tokens = self.tokens
        if not len(tokens.start):
            return tokens
        before = self.newlines
        gap = before[tokens.start[1:]] - before[tokens.end[:-1]] >= breaks
        first = np.concatenate(([True], gap))
        last = np.concatenate((gap, [True]))
        return self._spans(tokens.start[first], tokens.end[last])

    def _spans(self, start: Ints, end: Ints) -> Spans:
        edges = np.searchsorted(start, [*self.start, len(self.data)])
        counts = np.diff(edges)
        return Spans(start, end, np.repeat(np.arange(len(self)), counts), counts)


def mix(values: Hashes) -> Hashes:
    """Spread every bit over all bits: the finaliser of splitmix64 (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def n_grams(hashes: Hashes, places: Ints, n: int) -> Hashes:
    """A hash of the n values from each place on."""
    out = np.zeros(len(places), np.uint64)
    for i in range(n):
        out = out * np.uint64(_FACTOR) + hashes[places + i]
    return mix(out)


def _before(values: npt.NDArray[np.generic]) -> Ints:
    """Exclusive prefix sums: one more entry than there are values."""
    out = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=out[1:])
    return out


_tables: tuple[Hashes, Hashes] = (np.empty(0, np.uint64), np.empty(0, np.uint64))


def _powers(size: int) -> tuple[Hashes, Hashes]:
    """Powers of the base and of its inverse modulo 2**64, at least `size` of each; kept."""
    global _tables  # noqa: PLW0603  a cache that only grows
    if len(_tables[0]) < size:
        count = 1 << max(20, size.bit_length())
        _tables = (_geometric(_FACTOR, count), _geometric(pow(_FACTOR, -1, 1 << 64), count))
    return _tables[0][:size], _tables[1][:size]


def _geometric(base: int, count: int) -> Hashes:
    values = np.full(count, base, np.uint64)
    values[0] = 1
    return np.cumprod(values)
