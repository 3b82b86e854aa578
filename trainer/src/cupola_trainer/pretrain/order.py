"""Which sequence is trained on when: a pure function of the sample's number.

Step `s` of a run takes the samples `s * batch` to `(s + 1) * batch`, over any number of ranks, so a
run that goes on from step `s` with another layout sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

PERIOD = 1 << 16
"""Samples after which the pattern of datasets repeats; shares are exact to one in that many."""

_ROUNDS = 8
_WORD = (1 << 64) - 1


class Sample(NamedTuple):
    """A place in the data."""

    dataset: int
    epoch: int
    """How often the dataset was seen in full before."""
    sequence: int
    """Which of the dataset's."""


def permute(index: int, size: int, key: int) -> int:
    """Where `index` goes in the permutation of `range(size)` that `key` chooses.

    Needs no memory: a balanced Feistel network over the next power of four, walked until the result
    lies in range (Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains", method 2).
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = index >> half, index & mask
        for turn in range(_ROUNDS):
            left, right = right, left ^ (_mix(key + turn, right) & mask)
        index = left << half | right
        if index < size:
            return index


def _mix(key: int, value: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014) over a key and a value."""
    word = (key + value * 0x9E3779B97F4A7C15) & _WORD
    word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ word >> 27) * 0x94D049BB133111EB) & _WORD
    return word ^ word >> 31


@lru_cache(maxsize=1024)
def _key(seed: int, dataset: int, epoch: int) -> int:
    text = f"{seed}/{dataset}/{epoch}".encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


class Order:
    """The order of a run's samples, over datasets of known sizes mixed by weight."""

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], seed: int) -> None:
        """`sizes`: sequences in each dataset, at least one; `weights`: their shares, positive."""
        self._sizes = sizes
        self._seed = seed
        self._shares = _shares(weights)
        # Each dataset's places lie evenly in the period, so any stretch has nearly its share.
        times = np.concatenate([(np.arange(n) + 0.5) / n for n in self._shares])
        owners = np.repeat(np.arange(len(sizes)), self._shares)
        turns = np.concatenate([np.arange(n) for n in self._shares])
        by_time = np.argsort(times, kind="stable")
        self._owners, self._turns = owners[by_time], turns[by_time]

    def __getitem__(self, number: int) -> Sample:
        """Sample `number` of the run, from 0."""
        period, place = divmod(number, PERIOD)
        dataset = int(self._owners[place])
        drawn = period * self._shares[dataset] + int(self._turns[place])
        epoch, position = divmod(drawn, self._sizes[dataset])
        key = _key(self._seed, dataset, epoch)
        return Sample(dataset, epoch, permute(position, self._sizes[dataset], key))


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
