"""Which sequence is trained on when: a pure function of the sample's number.

Step `s` of a run takes the samples `s * batch` to `(s + 1) * batch`, over any number of ranks, so a
run that goes on from step `s` with another layout sees what it would have seen.

An epoch of a dataset is shuffled so that little of it need be at hand. Its sequences lie in blocks;
the blocks come in an order of the epoch's own, and `WINDOW` of them that follow one another are
shuffled together. A reader holds the window in use and brings the next one, whatever the size of
the data. What is given up: two sequences of one block always come within one window. A Dataset's
documents are shuffled before they are cut into sequences, so neighbours are strangers but for the
pieces of one long document.

No memory is needed: every permutation is computed, none is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cupola_trainer.pretrain.permutation import mix, permute, unpermute

PERIOD = 1 << 16
"""Samples after which the pattern of datasets repeats; shares are exact to one in that many."""
BLOCK_TOKENS = 1 << 22
"""Tokens of a block, at most; a block holds at least one sequence."""
WINDOW = 16
"""Blocks that are shuffled together."""

Numbers = npt.NDArray[np.int64]


class Samples(NamedTuple):
    """Places in the data; arrays of one length."""

    dataset: Numbers
    epoch: Numbers
    """How often the dataset was seen in full before."""
    window: Numbers
    """Which window of the epoch."""
    sequence: Numbers
    """Which of the dataset's."""


class Order:
    """The order of a run's samples, over datasets of known sizes mixed by weight."""

    def __init__(
        self, sizes: Sequence[int], weights: Sequence[float], seed: int, *, block: int
    ) -> None:
        """`sizes`: sequences in each dataset, at least one; `weights`: their shares, positive.

        `block`: sequences in a block.
        """
        self._sizes = np.array(sizes, np.int64)
        self._block = block
        self._blocks = -(-self._sizes // block)
        self._keys = np.array([_key(seed, dataset) for dataset in range(len(sizes))], np.uint64)
        shares = _shares(weights)
        self._shares = np.array(shares, np.int64)
        # Each dataset's places lie evenly in the period, so any stretch has nearly its share.
        times = np.concatenate([(np.arange(n) + 0.5) / n for n in shares])
        owners = np.repeat(np.arange(len(sizes)), shares)
        turns = np.concatenate([np.arange(n) for n in shares])
        by_time = np.argsort(times, kind="stable")
        self._owners, self._turns = owners[by_time], turns[by_time]

    def samples(self, numbers: Numbers) -> Samples:
        """Those samples of the run, numbered from 0."""
        period, place = np.divmod(numbers, PERIOD)
        dataset = self._owners[place]
        drawn = period * self._shares[dataset] + self._turns[place]
        epoch, position = np.divmod(drawn, self._sizes[dataset])
        window, sequence = self._shuffled(dataset, epoch, position)
        return Samples(dataset, epoch, window, sequence)

    def blocks_of(self, dataset: int, epoch: int, window: int) -> Numbers:
        """The sequences of a window, as [blocks, 2] of first and one after the last.

        One window after the last of an epoch is the first of the next one.
        """
        windows = -(-int(self._blocks[dataset]) // WINDOW)
        epoch, window = epoch + window // windows, window % windows
        last = min((window + 1) * WINDOW, int(self._blocks[dataset]))
        slots = np.arange(window * WINDOW, last)
        same = np.full_like(slots, dataset)
        key = mix(self._keys[same], np.full_like(slots, epoch))
        first = permute(slots, self._blocks[same], key) * self._block
        return np.stack([first, np.minimum(first + self._block, self._sizes[same])], axis=1)

    def _shuffled(
        self, dataset: Numbers, epoch: Numbers, position: Numbers
    ) -> tuple[Numbers, Numbers]:
        """The window and the sequence of each position in its epoch."""
        size, blocks = self._sizes[dataset], self._blocks[dataset]
        block, window_size = self._block, WINDOW * self._block
        key = mix(self._keys[dataset], epoch)
        # The last block may be short; where it comes, `missing` positions are left out.
        missing = blocks * block - size
        end_of_short = (unpermute(blocks - 1, blocks, key) + 1) * block - missing

        def slotted(at: Numbers) -> Numbers:
            return at + np.where(at >= end_of_short, missing, 0)

        def begin(edge: Numbers) -> Numbers:
            return np.minimum(edge - np.where(edge > end_of_short, missing, 0), size)

        window = slotted(position) // window_size
        start = begin(window * window_size)
        inside = begin((window + 1) * window_size) - start
        moved = permute(position - start, inside, mix(key, window + 1))
        slot, offset = np.divmod(slotted(start + moved), block)
        return window, permute(slot, blocks, key) * block + offset


def _key(seed: int, dataset: int) -> int:
    return int.from_bytes(blake2b(f"{seed}/{dataset}".encode(), digest_size=8).digest(), "little")


def _shares(weights: Sequence[float]) -> list[int]:
    """Places of each dataset in a period: largest remainder, and at least one."""
    exact = np.asarray(weights) / sum(weights) * PERIOD
    shares = np.maximum(1, np.floor(exact)).astype(int)
    while (missing := PERIOD - int(shares.sum())) != 0:
        if missing > 0:
            shares[np.argmax(exact - shares)] += 1
        else:
            shares[np.argmax(shares)] -= 1
    return [int(share) for share in shares]
