from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.pretrain.permutation import permute, unpermute

KEYS = st.integers(0, 2**64 - 1)


def permuted(indices: list[int], size: int, key: int) -> list[int]:
    index = np.array(indices, np.int64)
    sizes, keys = np.full_like(index, size), np.full(index.shape, key, np.uint64)
    found = permute(index, sizes, keys)
    assert unpermute(found, sizes, keys).tolist() == indices
    return found.tolist()


@settings(deadline=None)
@given(st.integers(1, 2000), KEYS)
def test_every_number_comes_exactly_once(size: int, key: int) -> None:
    assert sorted(permuted([*range(size)], size, key)) == list(range(size))


@settings(deadline=None)
@given(st.integers(1, 2**62), st.integers(0), KEYS)
def test_a_large_range_is_kept(size: int, index: int, key: int) -> None:
    assert 0 <= permuted([index % size], size, key)[0] < size


def test_each_number_has_a_size_and_a_key_of_its_own() -> None:
    together = permute(np.array([3, 3, 3]), np.array([10, 10, 99]), np.array([1, 2, 1], np.uint64))
    alone = [permuted([3], size, key)[0] for size, key in ((10, 1), (10, 2), (99, 1))]
    assert together.tolist() == alone


def test_permutations_differ_and_are_mixed_well() -> None:
    size = 1000
    first, second = (permuted([*range(size)], size, key) for key in (1, 2))
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 10
    assert sum(a == i for i, a in enumerate(first)) < 10
    distance = sum(abs(a - i) for i, a in enumerate(first)) / size
    assert distance == pytest.approx(size / 3, rel=0.1)


def test_every_arrangement_of_a_small_range_is_about_as_likely() -> None:
    keys = np.arange(6000, dtype=np.uint64) << np.uint64(20)
    sizes = np.full(len(keys), 3)
    found = [permute(np.full(len(keys), i), sizes, keys).tolist() for i in range(3)]
    seen = Counter(zip(*found, strict=True))
    assert len(seen) == 6
    assert all(count == pytest.approx(1000, rel=0.15) for count in seen.values())
