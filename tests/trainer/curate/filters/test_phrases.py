from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.curate.filters.phrases import HashSet, Words, parts, whole

TEXT = st.lists(st.sampled_from(["aa", "b", "cc", "d"]), max_size=12).map(" ".join)


def test_a_set_holds_what_was_put_in_and_nothing_else() -> None:
    values = np.random.default_rng(0).integers(0, 2**64, 3000, np.uint64)
    held = HashSet(np.concatenate((values[:1000], values[:10])))
    assert len(held) == 1000
    assert held.holds(values).tolist() == [*range(1000)]
    assert held.holds(values[:0]).tolist() == []
    assert HashSet(values[:0]).holds(values).tolist() == []


def runs(text: str, n: int) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4))
def test_parts_are_found_wherever_they_stand(wanted: list[str], documents: list[str]) -> None:
    grams = {run for text in wanted for run in runs(text, 4)}
    short = {tuple(text.split()) for text in wanted if 2 <= len(text.split()) < 4}
    expected = [
        sum(run in grams for run in runs(text, 4))
        + sum(run in short for n in (2, 3) for run in runs(text, n))
        for text in documents
    ]
    assert parts([wanted], 4, 2).found_in(Words(documents)).tolist() == expected


def test_whole_passages_are_not_found_across_documents_or_within_words() -> None:
    phrases = whole([["Pig Iron", "slag", "one two three four"]], 3)
    assert len(phrases) == 2
    found = phrases.found_in(
        Words(["pig-iron, SLAG!", "the pig", "iron slags", "one two three four"])
    )
    assert found.tolist() == [2, 0, 0, 0]
