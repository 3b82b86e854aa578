"""Permutations of `range(size)` that need no memory, over arrays of numbers.

A balanced Feistel network over the next power of four, walked until the result lies in range (Black
and Rogaway 2002, "Ciphers with Arbitrary Finite Domains", method 2).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_ROUNDS = 8


def permute(index: Numbers, size: Numbers, key: Words) -> Numbers:
    """Where each `index` goes in the permutation of `range(size)` that its `key` chooses."""
    return _walked(index, size, key, range(_ROUNDS))


def unpermute(index: Numbers, size: Numbers, key: Words) -> Numbers:
    """What `permute` puts at each `index`."""
    return _walked(index, size, key, range(_ROUNDS - 1, -1, -1))


def mix(key: Words, value: Numbers) -> Words:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014) over keys and values."""
    word = key + value.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ word >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ word >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    mixed: Words = word ^ word >> np.uint64(31)
    return mixed


def _walked(index: Numbers, size: Numbers, key: Words, turns: range) -> Numbers:
    bits = np.frexp((size - 1).astype(np.float64))[1]
    # A float rounds sizes above 2**53 up: a bit too many costs a few steps more, no result.
    half = np.maximum(1, (bits + 1) // 2).astype(np.uint64)
    found = _network(index.astype(np.uint64), half, key, turns)
    while (outside := np.flatnonzero(found >= size.astype(np.uint64))).size:
        found[outside] = _network(found[outside], half[outside], key[outside], turns)
    return found.astype(np.int64)


def _network(word: Words, half: Words, key: Words, turns: range) -> Words:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = word >> half, word & mask
    if turns.step < 0:  # the network is its own inverse with its halves and its turns reversed
        left, right = right, left
    for turn in turns:
        drawn = mix(key + np.uint64(turn), right.astype(np.int64)) & mask
        left, right = right, left ^ drawn
    if turns.step < 0:
        left, right = right, left
    return left << half | right
