"""How often each document of a source comes, so that sources have their shares of the tokens.

Pure: tokens in, numbers of copies out. Which documents come once more than others is drawn by a hash
of their content: the same ones however the work was divided. All copies of a document lie in different
rounds of the stream, each of which is mixed like the whole (`in_round`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cupola_api import quantities
from cupola_api.mixing import Mixing
from cupola_trainer.pretrain.permutation import mix

Numbers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

DRAWN = np.dtype([("draw", "<u8"), ("source", "<u1")])
"""Of each training document: what lots are drawn by, and the place of its source in the run's list."""

_BINS = 1 << 12
_PRECISE = Context(prec=28)
"""Powers of decimals are the same digits on every machine; those of floats need not be."""
_FIRST, _ORDER = 1, 2
"""What a draw is hashed with again: for the first round of a document, and for the order of a round."""


class Copies(NamedTuple):
    """How often the documents of one source come."""

    whole: int
    """Each of them so often, and ..."""
    limit: int
    """... those with a smaller draw once more, 0 to 2**64."""


class Piece(NamedTuple):
    """Some of the documents."""

    draws: Words
    sources: Numbers
    tokens: Numbers

    def only(self, chosen: npt.NDArray[np.bool_] | Numbers) -> Piece:
        """Those of them that a mask or their places choose."""
        return Piece(self.draws[chosen], self.sources[chosen], self.tokens[chosen])


def draws(high: Words, seed: int) -> Words:
    """What lots are drawn by, from half of the content hash; other lots than those of the shuffle."""
    return mix(high, np.full(len(high), seed, np.int64))


def shares(sizes: Sequence[int], weights: Sequence[float] | None, mixing: Mixing) -> list[Fraction]:
    """The share of the tokens that each source should have; they add up to 1.

    `sizes`: training tokens of each source, not all 0; `weights`: of all sources, or None.
    """
    if weights is not None:
        found = [Fraction(weight) for weight in weights]
    else:
        power = _PRECISE.divide(Decimal(1), Decimal(str(mixing.temperature or 1)))
        found = [
            Fraction(_PRECISE.power(Decimal(size), power)) if size else Fraction(0)
            for size in sizes
        ]
    together = sum(found)
    return [one / together for one in found]


def targets(sizes: Sequence[int], wanted: Sequence[Fraction], mixing: Mixing) -> list[int]:
    """Training tokens that each source gives: its share of all, or as many as it may repeat.

    What a source lacks is spread over the others by their shares, until these may give no more.
    """
    most = [mixing.max_repeats * size for size in sizes]
    left = Fraction(quantities.count(mixing.tokens) if mixing.tokens else sum(sizes))
    given = [Fraction(0)] * len(sizes)
    open_ = set(range(len(sizes)))
    while open_:
        together = sum(wanted[i] for i in open_)
        given = [left * wanted[i] / together if i in open_ else given[i] for i in range(len(sizes))]
        full = {i for i in open_ if given[i] >= most[i]}
        if not full:
            break
        for i in full:
            given[i] = Fraction(most[i])
            left -= most[i]
        open_ -= full
    return [round(one) for one in given]


def copies(
    sizes: Sequence[int], given: Sequence[int], documents: Callable[[], Iterator[Piece]]
) -> list[Copies]:
    """How often the documents of each source come, so that their tokens are nearest to `given`.

    `documents`: all of them, piece by piece, as often as it is called. Holds one of 4,096 of them.
    """
    whole = [tokens // size if size else 0 for size, tokens in zip(sizes, given, strict=True)]
    rest = [tokens - times * size for size, tokens, times in zip(sizes, given, whole, strict=True)]
    counts = np.zeros((len(sizes), _BINS), np.int64)
    for piece in documents():
        np.add.at(counts, (piece.sources, _bin(piece.draws)), piece.tokens)
    before = np.cumsum(counts, axis=1) - counts
    # The bin within which the rest is reached; without a rest it is the first one.
    at = np.array(
        [np.searchsorted(row, left, "right") - 1 for row, left in zip(before, rest, strict=True)]
    )
    inside = [_within(piece, at) for piece in documents()]
    found = Piece(*(np.concatenate([piece[i] for piece in inside]) for i in range(3)))
    limits = []
    for source, left in enumerate(rest):
        mine = found.sources == source
        missing = left - int(before[source, at[source]])
        begin = int(at[source]) << 52
        limits.append(_limit(found.draws[mine], found.tokens[mine], missing, begin) if left else 0)
    return [Copies(*one) for one in zip(whole, limits, strict=True)]


def _bin(drawn: Words) -> Numbers:
    return (drawn >> np.uint64(52)).astype(np.int64)


def _within(piece: Piece, at: Numbers) -> Piece:
    """Those documents whose draw is in the bin that decides for their source."""
    return piece.only(_bin(piece.draws) == at[piece.sources])


def _limit(drawn: Words, tokens: Numbers, wanted: int, begin: int) -> int:
    """The draw below which documents of a bin have the number of tokens nearest to `wanted`."""
    order = np.argsort(drawn, kind="stable")
    drawn, sums = drawn[order], np.cumsum(tokens[order])
    last = np.append(drawn[1:] != drawn[:-1], True)  # equal draws go together
    ends, sums = drawn[last], sums[last]
    over = np.abs(np.concatenate([[0], sums]) - wanted)
    best = int(np.argmin(over))
    return begin if best == 0 else int(ends[best - 1]) + 1


def times(piece: Piece, of: Sequence[Copies]) -> Numbers:
    """How often each document comes."""
    whole = np.array([one.whole for one in of], np.int64)
    # 2**64 is no uint64: all are below the limit then.
    last = np.array([max(one.limit - 1, 0) for one in of], np.uint64)
    some = np.array([one.limit > 0 for one in of])
    more = some[piece.sources] & (piece.draws <= last[piece.sources])
    found: Numbers = whole[piece.sources] + more
    return found


def in_round(number: int, rounds: int, drawn: Words, often: Numbers) -> npt.NDArray[np.bool_]:
    """Which documents come in a round of the stream; in all rounds together each comes `often`.

    The copies of a document lie at equal distances, from a round on that is drawn; `often` is at
    most `rounds`.
    """
    first = (mix(drawn, np.full(len(drawn), _FIRST)) % np.uint64(rounds)).astype(np.int64)
    place = (number - first) % rounds
    copy = -(-place * often // rounds)
    found: npt.NDArray[np.bool_] = (copy < often) & (copy * rounds // np.maximum(often, 1) == place)
    return found


def order(number: int, drawn: Words) -> Numbers:
    """A shuffle of documents of its own for each round."""
    found: Numbers = np.argsort(mix(drawn, np.full(len(drawn), number + _ORDER)), kind="stable")
    return found
