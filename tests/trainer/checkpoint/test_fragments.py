from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_trainer.checkpoint.fragments import key, parse_key, pieces


def _cut(total: int, cuts: list[int]) -> list[tuple[int, int]]:
    edges = sorted({0, total, *(cut % total for cut in cuts)})
    return [(a, b - a) for a, b in pairwise(edges)]


@given(
    st.integers(1, 100).flatmap(
        lambda total: st.tuples(
            st.just(total),
            st.lists(st.lists(st.integers(0, 200), max_size=6), min_size=1, max_size=3),
            st.integers(0, total - 1),
            st.integers(1, total),
        )
    )
)
def test_any_stretch_is_found_whatever_the_cuts(
    value: tuple[int, list[list[int]], int, int],
) -> None:
    total, layouts, start, length = value
    length = min(length, total - start)
    stored = [stretch for cuts in layouts for stretch in _cut(total, cuts)]
    found = pieces(stored, start, length)
    assert found is not None
    numbers = [part.at + i for part in found for i in range(part.begin, part.end)]
    assert numbers == list(range(start, start + length))
    for part in found:
        assert any(at == part.at and part.end <= size for at, size in stored)


@pytest.mark.parametrize("stored", [[], [(0, 4)], [(0, 4), (5, 5)], [(1, 9)], [(0, 9)]])
def test_what_is_not_stored_is_not_found(stored: list[tuple[int, int]]) -> None:
    assert pieces(stored, 0, 10) is None


@given(st.sampled_from(["weight", "exp_avg"]), st.text("abc.@/01", min_size=1), st.integers(0))
def test_a_key_is_parsed_back(quantity: str, name: str, start: int) -> None:
    assert parse_key(key(quantity, name, start)) == (quantity, name, start)


@pytest.mark.parametrize("text", ["", "weight", "other/a@0", "weight/@0", "weight/a@x", "weight/a"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not the name|invalid literal"):
        parse_key(text)
