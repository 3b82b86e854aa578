from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.curate.duplicates import find_candidates, first_of_each, near_copies
from cupola_trainer.curate.minhash import band_hashes, choose_banding, jaccard, shingle

SENTENCES = [
    "the furnace is lit before dawn and burns until night",
    "coke and limestone are charged in layers from above",
    "molten iron collects at the bottom and is tapped",
    "slag floats on top of it and runs off behind",
    "a cupola can be built from an old boiler shell",
]


@st.composite
def documents(draw: st.DrawFn) -> list[str]:
    """Documents that share many sentences, some with a word changed."""
    found = []
    for _ in range(draw(st.integers(1, 12))):
        words = " ".join(draw(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=6))).split()
        for place in draw(st.lists(st.integers(0, len(words) - 1), max_size=2)):
            words[place] = "changed"
        found.append(" ".join(words))
    return found


def copies_of(texts: list[str], similarity: float) -> dict[int, int]:
    shingles = shingle(texts)
    bands = band_hashes(shingles, choose_banding(similarity))
    among = np.diff(shingles.start) > 0
    candidates = find_candidates(iter(bands.T), among)
    sets = (shingles.of(int(i)) for i in candidates.documents)
    return dict(near_copies(candidates, sets, similarity))


@settings(max_examples=80, deadline=None)
@given(documents(), st.sampled_from([0.5, 0.7, 0.8, 0.9]))
def test_every_removed_document_is_a_true_copy_of_an_earlier_one_that_stays(
    texts: list[str], similarity: float
) -> None:
    removed = copies_of(texts, similarity)
    shingles = shingle(texts)
    for copy, original in removed.items():
        assert original < copy
        assert original not in removed
        assert jaccard(shingles.of(copy), shingles.of(original)) >= similarity


@settings(max_examples=60, deadline=None)
@given(documents())
def test_no_two_equal_documents_stay(texts: list[str]) -> None:
    removed = copies_of(texts, 0.8)
    kept = [texts[i] for i in range(len(texts)) if i not in removed]
    long = [text for text in kept if len(text.split()) >= 5]
    assert len(set(long)) == len(long)


def test_a_chain_of_small_changes_does_not_take_away_its_far_end() -> None:
    words = [f"w{i}" for i in range(200)]
    chain = [" ".join([f"new{i}" for i in range(n)] + words[n:]) for n in range(0, 100, 10)]
    removed = copies_of(chain, 0.8)
    shingles = shingle(chain)
    assert removed
    for i in range(len(chain)):
        if i not in removed:
            kept = [k for k in range(i) if k not in removed]
            assert all(jaccard(shingles.of(i), shingles.of(k)) < 0.8 for k in kept)
    assert copies_of(chain, 0.8)[1] == 0
    assert len(chain) - len(removed) >= 2


def test_documents_that_do_not_take_part_remove_nothing() -> None:
    text = " ".join(SENTENCES)
    shingles = shingle([text, text])
    bands = band_hashes(shingles, choose_banding(0.8))
    candidates = find_candidates(iter(bands.T), np.array([False, True]))
    assert len(candidates.documents) == 0
    assert list(near_copies(candidates, iter(()), 0.8)) == []


def test_exact_copies_after_the_first_are_found() -> None:
    hashes = np.array([[1, 5], [2, 5], [1, 5], [1, 6], [2, 5], [1, 5]], np.uint64)
    assert first_of_each(hashes).tolist() == [True, True, False, True, False, False]
    assert first_of_each(np.empty((0, 2), np.uint64)).tolist() == []


def test_shingles_are_let_go_when_no_later_document_can_need_them() -> None:
    # Many pairs: of each only the first stays, and only until the second was seen.
    texts = [f"{i} " + " ".join(f"p{i // 2}w{k}" for k in range(30)) for i in range(200)]
    removed = copies_of(texts, 0.8)
    assert sorted(removed) == list(range(1, 200, 2))
