from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.curate.duplicates import Alike, against_staying
from cupola_trainer.curate.minhash import band_hashes, choose_banding, jaccard, shingle
from cupola_trainer.curate.pairs_on_disk import Pairs, in_order

SENTENCES = [
    "the furnace is lit before dawn and burns until night",
    "coke and limestone are charged in layers from above",
    "molten iron collects at the bottom and is tapped",
    "slag floats on top of it and runs off behind",
    "a cupola can be built from an old boiler shell",
]
NONE = np.empty((0, 2), np.uint64)
MOST = 20
"""Pairs that are held."""


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


def copies_of(texts: list[str], similarity: float, pods: int = 1) -> dict[int, int]:
    """Near copies, the buckets divided among so many that each look at theirs."""
    shingles = shingle(texts)
    bands = band_hashes(shingles, choose_banding(similarity))
    near = np.flatnonzero(np.diff(shingles.start))
    pairs = [NONE]
    for pod in range(pods):
        alike = Alike(similarity, MOST, pairs.append)
        buckets = sorted(
            (int(bands[i, band]), int(i)) for i in near for band in range(bands.shape[1])
        )
        alike.compare((v, i, shingles.of(i)) for v, i in buckets if v % pods == pod)
        alike.flush()
    return dict(against_staying(in_order(np.concatenate(pairs))).tolist())


@settings(max_examples=60, deadline=None)
@given(documents(), st.sampled_from([0.5, 0.7, 0.8, 0.9]))
def test_every_removed_document_is_a_true_copy_of_an_earlier_one_that_stays(
    texts: list[str], similarity: float
) -> None:
    found = copies_of(texts, similarity)
    shingles = shingle(texts)
    for copy, original in found.items():
        assert original < copy
        assert original not in found
        assert jaccard(shingles.of(copy), shingles.of(original)) >= similarity


@settings(max_examples=40, deadline=None)
@given(documents(), st.integers(2, 5))
def test_the_copies_are_the_same_however_the_buckets_are_divided(
    texts: list[str], pods: int
) -> None:
    assert copies_of(texts, 0.7, pods) == copies_of(texts, 0.7)


@settings(max_examples=40, deadline=None)
@given(documents())
def test_no_two_equal_documents_stay(texts: list[str]) -> None:
    gone = copies_of(texts, 0.8)
    kept = [texts[i] for i in range(len(texts)) if i not in gone]
    long = [text for text in kept if len(text.split()) >= 5]
    assert len(set(long)) == len(long)


def test_a_chain_of_small_changes_does_not_take_away_its_far_end() -> None:
    words = [f"w{i}" for i in range(200)]
    chain = [" ".join([f"new{i}" for i in range(n)] + words[n:]) for n in range(0, 100, 10)]
    gone = copies_of(chain, 0.8)
    shingles = shingle(chain)
    assert gone[1] == 0
    for i in range(len(chain)):
        if i not in gone:
            kept = [k for k in range(i) if k not in gone]
            assert all(jaccard(shingles.of(i), shingles.of(k)) < 0.8 for k in kept)
    assert len(chain) - len(gone) >= 2


def test_of_many_documents_of_one_bucket_each_goes_for_the_first_that_it_is_like() -> None:
    # Two groups in one bucket, far larger than what every document of it is compared with.
    texts = [f"{i} " + " ".join(f"g{i % 2}w{k}" for k in range(60)) for i in range(400)]
    shingles = shingle(texts)
    found: list[Pairs] = []
    alike = Alike(0.8, MOST, found.append)
    alike.compare((7, i, shingles.of(i)) for i in range(len(texts)))
    # However many there are of one bucket, few are held.
    held = MOST - 1 + 8
    assert all(MOST <= len(pairs) <= held for pairs in found)
    alike.flush()
    pairs = in_order(np.concatenate(found))
    assert len(pairs) == sum(map(len, found)) < 5 * len(texts)
    gone = against_staying(pairs)
    assert dict(gone.tolist()) == {i: i % 2 for i in range(2, 400)}
    written = len(found)
    alike.flush()
    assert [len(pairs) for pairs in found[written:]] == [0]
