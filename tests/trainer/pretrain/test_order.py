from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.pretrain.order import PERIOD, WINDOW, Order, Samples

SIZES = st.integers(1, 400)
BLOCKS = st.integers(1, 9)
SEEDS = st.integers(0, 2**31 - 1)


def samples(order: Order, *numbers: int | range) -> Samples:
    wanted = np.concatenate([np.atleast_1d(np.array(n, np.int64)) for n in numbers])
    return order.samples(wanted)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0.5, 20)), min_size=1, max_size=4),
    SEEDS,
    BLOCKS,
)
def test_each_dataset_is_seen_epoch_by_epoch(
    data: list[tuple[int, float]], seed: int, block: int
) -> None:
    sizes = [size for size, _ in data]
    order = Order(sizes, [weight for _, weight in data], seed, block=block)
    drawn = samples(order, range(600))
    for dataset, size in enumerate(sizes):
        mine = drawn.dataset == dataset
        sequences, epochs = drawn.sequence[mine], drawn.epoch[mine]
        for epoch in range(len(sequences) // size):
            part = slice(epoch * size, (epoch + 1) * size)
            assert sorted(sequences[part].tolist()) == list(range(size))
            assert set(epochs[part].tolist()) == {epoch}


@settings(max_examples=50, deadline=None)
@given(SIZES, BLOCKS, SEEDS)
def test_one_window_follows_the_other_and_holds_its_blocks(
    size: int, block: int, seed: int
) -> None:
    order = Order([size], [1.0], seed, block=block)
    blocks_there = -(-size // block)
    windows = -(-blocks_there // WINDOW)
    drawn = samples(order, range(2 * size))
    for epoch in range(2):
        part = slice(epoch * size, (epoch + 1) * size)
        assert np.all(np.diff(drawn.window[part]) >= 0)
        assert set(drawn.window[part].tolist()) == set(range(windows))
        for window in range(windows):
            seen = drawn.sequence[part][drawn.window[part] == window]
            blocks = order.blocks_of(0, epoch, window)
            assert len(blocks) <= WINDOW
            held = np.concatenate([np.arange(first, end) for first, end in blocks])
            assert sorted(held.tolist()) == sorted(seen.tolist())
    after = order.blocks_of(0, 0, windows)
    assert after.tolist() == order.blocks_of(0, 1, 0).tolist()


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(0, 10**12), st.integers(1, 40), st.sampled_from([1, 2, 3, 8]))
def test_any_number_of_ranks_sees_the_same_order(
    seed: int, step: int, share: int, ranks: int
) -> None:
    order = Order([10**9, 977], [3.0, 1.0], seed, block=64)
    batch = share * ranks
    whole = samples(order, range(step * batch, (step + 1) * batch))
    shares = [
        samples(order, range(step * batch + rank * share, step * batch + (rank + 1) * share))
        for rank in range(ranks)
    ]
    for field, values in zip(Samples._fields, whole, strict=True):
        parts = np.concatenate([getattr(share, field) for share in shares])
        assert parts.tolist() == values.tolist()


def _mean_jump(sequence: npt.NDArray[np.int64]) -> float:
    return float(np.abs(np.diff(sequence)).mean())


def test_sequences_are_mixed_over_the_dataset_and_within_a_window() -> None:
    size, block = 64_000, 100
    drawn = samples(Order([size], [1.0], 0, block=block), range(size)).sequence
    # Of two random numbers below n the distance is n / 3 on average.
    assert _mean_jump(drawn) == pytest.approx(size / 3, rel=0.1)
    begins = drawn.reshape(-1, WINDOW * block) // block
    assert all(len(set(window.tolist())) == WINDOW for window in begins)
    in_block = drawn.reshape(-1, WINDOW * block)[0] % block
    assert _mean_jump(in_block) == pytest.approx(block / 3, rel=0.1)


def test_epochs_have_different_orders() -> None:
    order = Order([100], [1.0], 0, block=10)
    first, second = (samples(order, range(e * 100, e * 100 + 100)).sequence for e in (0, 1))
    assert first.tolist() != second.tolist()


@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=16), st.integers(1, 3000))
@settings(deadline=None)
def test_any_beginning_holds_nearly_the_wanted_shares(weights: list[float], count: int) -> None:
    order = Order([10**6] * len(weights), weights, 0, block=1000)
    seen = Counter(samples(order, range(count)).dataset.tolist())
    for dataset, weight in enumerate(weights):
        wanted = count * weight / sum(weights)
        assert abs(seen[dataset] - wanted) <= 2 + 2 * count * len(weights) / PERIOD


def test_the_pattern_goes_on_over_periods() -> None:
    order = Order([7, 10**6], [1.0, 3.0], 5, block=2)
    around = samples(order, range(PERIOD - 40, PERIOD + 40))
    spanning = PERIOD // 4 // 7
    mine = around.sequence[(around.dataset == 0) & (around.epoch == spanning)]
    assert PERIOD // 4 % 7 != 0
    assert sorted(mine.tolist()) == list(range(7))


def test_a_tiny_share_is_not_none() -> None:
    order = Order([9] * 16, [1000.0] + [0.001] * 15, 0, block=4)
    seen = Counter(samples(order, range(PERIOD)).dataset.tolist())
    assert [seen[dataset] for dataset in range(16)] == [PERIOD - 15] + [1] * 15


def test_the_order_is_fixed_for_ever() -> None:
    order = Order([1000, 50], [3.0, 1.0], 42, block=8)
    found = samples(order, 0, 1, 2, 3, 5000, 10**9)
    assert [*zip(*(values.tolist() for values in found), strict=True)] == [
        (0, 0, 0, 333),
        (0, 0, 0, 465),
        (1, 0, 0, 26),
        (0, 0, 0, 473),
        (0, 3, 5, 417),
        (0, 750000, 0, 509),
    ]
