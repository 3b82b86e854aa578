from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.pretrain.order import PERIOD, Order, Sample, permute

KEYS = st.integers(0, 2**64 - 1)


@given(st.integers(1, 2000), KEYS)
def test_every_sample_of_an_epoch_comes_exactly_once(size: int, key: int) -> None:
    assert sorted(permute(i, size, key) for i in range(size)) == list(range(size))


@given(st.integers(1, 2**60), st.integers(0), KEYS)
def test_a_large_range_is_kept(size: int, index: int, key: int) -> None:
    assert 0 <= permute(index % size, size, key) < size


def test_permutations_differ_and_are_mixed_well() -> None:
    size = 1000
    first, second = ([permute(i, size, key) for i in range(size)] for key in (1, 2))
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 10
    assert sum(a == i for i, a in enumerate(first)) < 10
    distance = sum(abs(a - i) for i, a in enumerate(first)) / size
    assert distance == pytest.approx(size / 3, rel=0.1)


def test_every_arrangement_of_a_small_range_is_about_as_likely() -> None:
    seen = Counter(tuple(permute(i, 3, key << 20) for i in range(3)) for key in range(6000))
    assert len(seen) == 6
    assert all(count == pytest.approx(1000, rel=0.15) for count in seen.values())


@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0.5, 20)), min_size=1, max_size=4),
    st.integers(0, 2**31 - 1),
)
@settings(max_examples=20, deadline=None)
def test_each_dataset_is_seen_epoch_by_epoch(data: list[tuple[int, float]], seed: int) -> None:
    sizes = [size for size, _ in data]
    order = Order(sizes, [weight for _, weight in data], seed)
    drawn: list[list[Sample]] = [[] for _ in sizes]
    for number in range(600):
        sample = order[number]
        drawn[sample.dataset].append(sample)
    for size, samples in zip(sizes, drawn, strict=True):
        for epoch in range(len(samples) // size):
            part = samples[epoch * size : (epoch + 1) * size]
            assert sorted(sample.sequence for sample in part) == list(range(size))
            assert {sample.epoch for sample in part} == {epoch}


def test_epochs_have_different_orders() -> None:
    order = Order([100], [1.0], 0)
    first, second = ([order[e * 100 + i].sequence for i in range(100)] for e in (0, 1))
    assert first != second


@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=16), st.integers(1, 3000))
@settings(deadline=None)
def test_any_beginning_holds_nearly_the_wanted_shares(weights: list[float], count: int) -> None:
    order = Order([10**6] * len(weights), weights, 0)
    seen = Counter(order[number].dataset for number in range(count))
    for dataset, weight in enumerate(weights):
        wanted = count * weight / sum(weights)
        assert abs(seen[dataset] - wanted) <= 2 + 2 * count * len(weights) / PERIOD


def test_the_pattern_goes_on_over_periods() -> None:
    order = Order([7, 10**6], [1.0, 3.0], 5)
    around = [order[number] for number in range(PERIOD - 40, PERIOD + 40)]
    spanning = PERIOD // 4 // 7
    mine = [s.sequence for s in around if s.dataset == 0 and s.epoch == spanning]
    assert PERIOD // 4 % 7 != 0
    assert sorted(mine) == list(range(7))


def test_a_tiny_share_is_not_none() -> None:
    order = Order([9] * 16, [1000.0] + [0.001] * 15, 0)
    seen = Counter(order[number].dataset for number in range(PERIOD))
    assert [seen[dataset] for dataset in range(16)] == [PERIOD - 15] + [1] * 15


def test_the_order_is_fixed_for_ever() -> None:
    order = Order([1000, 50], [3.0, 1.0], 42)
    assert [tuple(order[number]) for number in (0, 1, 2, 3, 5000, 10**9)] == [
        (0, 0, 775),
        (0, 0, 319),
        (1, 0, 11),
        (0, 0, 865),
        (0, 3, 674),
        (0, 750000, 729),
    ]
