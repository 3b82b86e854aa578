from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.curate.filters.repetition import (
    NGrams,
    find_repeats,
    n_gram_shares,
    repeated_spans,
)
from cupola_trainer.curate.texts import Texts, mix

WORDS = st.lists(st.sampled_from(["aa", "b", "ccc", "d"]), max_size=40)


def top_share(words: list[str], n: int) -> float:
    grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    sizes = [count * len("".join(gram)) for gram, count in grams.items() if count > 1]
    total = sum(map(len, words))
    return min(1.0, max(sizes, default=0) / max(total, 1))


def repeated_share(words: list[str], n: int) -> float:
    seen: set[tuple[str, ...]] = set()
    inside: set[int] = set()
    for i in range(len(words) - n + 1):
        gram = tuple(words[i : i + n])
        if gram in seen:
            inside.update(range(i, i + n))
        seen.add(gram)
    return sum(len(words[i]) for i in inside) / max(sum(map(len, words)), 1)


@settings(max_examples=80, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4))
def test_shares_are_those_of_the_obvious_definitions(documents: list[list[str]]) -> None:
    grams = NGrams(Texts([" ".join(words) for words in documents]))
    for n in (2, 3, 4):
        assert grams.top(n).tolist() == pytest.approx([top_share(d, n) for d in documents])
    for n in (5, 7, 10):
        expected = [repeated_share(d, n) for d in documents]
        assert grams.repeated(n).tolist() == pytest.approx(expected)


def test_repeats_name_first_and_later_positions() -> None:
    hashes = mix(np.array([5, 6, 5, 7, 6, 5], np.uint64))
    repeats = find_repeats(hashes, np.arange(6))
    found = dict(zip(repeats.first.tolist(), repeats.counts.tolist(), strict=True))
    assert found == {0: 3, 1: 2}
    assert sorted(repeats.later.tolist()) == [2, 4, 5]


def test_lines_repeat_only_within_a_document() -> None:
    texts = Texts(["one line\ntwo\none line\n", "one line\n"])
    share, characters = repeated_spans(texts, texts.lines)
    assert share.tolist() == pytest.approx([1 / 3, 0])
    assert characters.tolist() == pytest.approx([8 / 19, 0])


def test_nothing_repeats_in_nothing() -> None:
    texts = Texts([""])
    assert NGrams(texts).top(2).tolist() == [0.0]
    assert [s.tolist() for s in repeated_spans(texts, texts.lines)] == [[0.0], [0.0]]


def test_a_document_that_repeats_long_passages_but_no_line_is_found() -> None:
    passage = " ".join(f"word{i}" for i in range(30))
    shares = n_gram_shares(Texts([f"first {passage} middle {passage} last"]))
    assert shares["top-2-gram"] < 0.2
    assert shares["repeated-10-grams"] > 0.4
