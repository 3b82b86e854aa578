from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_api.mixing import Mixing
from cupola_trainer.curate import mixing
from cupola_trainer.curate.mixing import Copies, Piece, targets

sizes = st.lists(st.integers(0, 10_000), min_size=1, max_size=6).filter(any)
repeats = st.integers(1, 6)


def wanted(of: list[int], weights: list[float] | None, **fields: object) -> list[Fraction]:
    return mixing.shares(of, weights, Mixing.model_validate(fields))


def test_weights_are_shares_of_their_sum() -> None:
    assert wanted([10, 90], [1, 3]) == [Fraction(1, 4), Fraction(3, 4)]


def test_a_temperature_of_one_leaves_sizes_and_a_high_one_makes_all_alike() -> None:
    assert wanted([10, 90], None, temperature=1) == [Fraction(1, 10), Fraction(9, 10)]
    assert wanted([16, 81], None, temperature=4) == pytest.approx([0.4, 0.6])
    assert wanted([1, 1_000_000], None, temperature=100)[0] == pytest.approx(0.465, abs=0.001)
    assert wanted([0, 5], None, temperature=2) == [0, 1]


@pytest.mark.parametrize(
    ("weights", "fields", "expected"),
    [
        ([3, 7], {}, [300, 700]),  # of 1,000 tokens
        ([1, 9], {}, [100, 900]),
        ([9, 1], {}, [400, 600]),  # four passes over the small one, the rest from the large one
        ([1, 1], {"tokens": "200"}, [100, 100]),
        ([1, 1], {"tokens": "1K", "maxRepeats": 1}, [100, 900]),
        ([1, 1], {"tokens": "100K"}, [400, 3600]),  # no source may give more
        ([1, 1], {"tokens": "300", "maxRepeats": 1}, [100, 200]),
    ],
)
def test_a_source_gives_its_share_or_what_it_may_repeat(
    weights: list[float], fields: dict[str, object], expected: list[int]
) -> None:
    of = [100, 900]
    wish = Mixing.model_validate(fields)
    assert targets(of, mixing.shares(of, weights, wish), wish) == expected


@given(sizes, st.data(), repeats)
def test_all_is_given_that_may_be_and_no_source_gives_more_than_it_may(
    of: list[int], data: st.DataObject, most: int
) -> None:
    weights = data.draw(st.lists(st.floats(0.01, 100), min_size=len(of), max_size=len(of)))
    total = data.draw(st.integers(1, 100_000))
    wish = Mixing(max_repeats=most, tokens=str(total))
    shares = mixing.shares(of, weights, wish)
    given_ = targets(of, shares, wish)
    assert all(tokens <= most * size for tokens, size in zip(given_, of, strict=True))
    assert abs(sum(given_) - min(total, most * sum(of))) <= len(of)
    # Sources that are not at their bound stand to one another as their weights do.
    free = [i for i, size in enumerate(of) if given_[i] < most * size - 1]
    for i in free:
        for j in free:
            assert given_[i] * shares[j] == pytest.approx(given_[j] * shares[i], abs=1)
        # A bounded source would have had more at the level of the free ones.
        for j in set(range(len(of))) - set(free):
            assert given_[j] * shares[i] <= (given_[i] + 1) * shares[j]


@st.composite
def documents(draw: st.DrawFn) -> tuple[Piece, int]:
    """Training documents of some sources, and how many sources there are."""
    count = draw(st.integers(1, 4))
    size = draw(st.integers(1, 300))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    draws = mixing.draws(random.integers(0, 2**64, size, np.uint64), draw(st.integers(0, 9)))
    return Piece(draws, random.integers(0, count, size), random.integers(1, 60, size)), count


def cut(piece: Piece, at: list[int]) -> list[Piece]:
    """The same documents in several pieces."""
    cuts = zip(*(np.split(values, sorted(at)) for values in piece), strict=True)
    return [Piece(*parts) for parts in cuts]


@given(documents(), st.data())
def test_documents_come_so_often_that_tokens_are_nearest_to_what_a_source_gives(
    made: tuple[Piece, int], data: st.DataObject
) -> None:
    piece, count = made
    of = np.bincount(piece.sources, piece.tokens, count).astype(int).tolist()
    given_ = [data.draw(st.integers(0, 4 * size)) for size in of]
    copies = mixing.copies(of, given_, lambda: iter([piece]))
    often = mixing.times(piece, copies)
    for source in range(count):
        mine = piece.sources == source
        reached = int((often * piece.tokens)[mine].sum())
        longest = int(piece.tokens[mine].max(initial=0))
        assert abs(reached - given_[source]) <= longest / 2
        assert np.ptp(often[mine]) <= 1 if mine.any() else True


@given(documents(), st.lists(st.integers(0, 300), max_size=5))
def test_the_choice_is_the_same_however_documents_are_divided_and_ordered(
    made: tuple[Piece, int], at: list[int]
) -> None:
    piece, count = made
    of = np.bincount(piece.sources, piece.tokens, count).astype(int).tolist()
    given_ = [size * 3 // 2 for size in of]
    whole = mixing.copies(of, given_, lambda: iter([piece]))
    parts = cut(Piece(*(values[::-1] for values in piece)), at)
    assert mixing.copies(of, given_, lambda: iter(parts)) == whole


def test_a_document_of_the_smaller_choice_is_in_the_larger_one_too() -> None:
    random = np.random.default_rng(0)
    size = 5000
    draws = mixing.draws(random.integers(0, 2**64, size, np.uint64), 0)
    piece = Piece(draws, np.zeros(size, np.int64), random.integers(1, 90, size))
    total = int(piece.tokens.sum())
    chosen = [
        mixing.times(piece, mixing.copies([total], [part], lambda: iter([piece])))
        for part in (total // 5, total // 2)
    ]
    assert 0 < chosen[0].sum() < chosen[1].sum()
    assert (chosen[0] <= chosen[1]).all()


@given(documents(), st.integers(1, 7), st.data())
def test_a_document_comes_as_often_as_it_should_and_once_in_a_round_at_most(
    made: tuple[Piece, int], rounds: int, data: st.DataObject
) -> None:
    draws = made[0].draws
    often = np.array([data.draw(st.integers(0, rounds)) for _ in range(min(len(draws), 20))])
    draws = draws[: len(often)]
    turns = np.array([mixing.in_round(i, rounds, draws, often) for i in range(rounds)])
    assert turns.sum(axis=0).tolist() == often.tolist()


def test_each_round_has_about_the_same_share_of_a_source() -> None:
    size, rounds = 20_000, 4
    draws = mixing.draws(np.arange(size, dtype=np.uint64), 0)
    for often in (1, 2, 3):
        counts = [
            int(mixing.in_round(i, rounds, draws, np.full(size, often)).sum())
            for i in range(rounds)
        ]
        assert counts == pytest.approx([size * often / rounds] * rounds, rel=0.05)


def test_each_round_has_an_order_of_its_own() -> None:
    draws = mixing.draws(np.arange(100, dtype=np.uint64), 0)
    orders = [mixing.order(i, draws).tolist() for i in range(3)]
    assert all(sorted(one) == list(range(100)) for one in orders)
    assert orders[0] != orders[1] != orders[2]


def test_equal_draws_are_taken_together() -> None:
    piece = Piece(np.full(4, 77, np.uint64), np.zeros(4, np.int64), np.full(4, 10))
    assert mixing.copies([40], [19], lambda: iter([piece])) == [Copies(0, 0)]
    assert mixing.times(piece, mixing.copies([40], [21], lambda: iter([piece]))).tolist() == [1] * 4
