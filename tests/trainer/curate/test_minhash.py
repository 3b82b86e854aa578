from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.curate.minhash import (
    SHINGLE_WORDS,
    Banding,
    band_hashes,
    choose_banding,
    jaccard,
    shingle,
)


def shingle_set(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)}


TEXTS = st.lists(st.sampled_from(["a", "b", "C", "c"]), max_size=30).map(" ".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=2, max_size=5))
def test_jaccard_is_that_of_the_sets_of_five_words(texts: list[str]) -> None:
    shingles = shingle(texts)
    sets = [shingle_set(text) for text in texts]
    assert [len(shingles.of(i)) for i in range(len(texts))] == [len(s) for s in sets]
    for i, one in enumerate(sets):
        for k, other in enumerate(sets):
            expected = len(one & other) / len(one | other) if one and other else 0.0
            assert jaccard(shingles.of(i), shingles.of(k)) == pytest.approx(expected)


def test_punctuation_case_and_line_breaks_make_no_difference() -> None:
    shingles = shingle(["One, two: three\nfour (five) six.", "one two three four five six"])
    assert jaccard(shingles.of(0), shingles.of(1)) == 1.0


def test_text_without_spaces_is_compared_by_characters() -> None:
    shingles = shingle(["鋳鉄を溶かす炉である", "鋳鉄を溶かす窯である"])
    assert 0 < jaccard(shingles.of(0), shingles.of(1)) < 1


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [(0.5, (42, 3)), (0.75, (21, 6)), (0.8, (18, 7)), (0.85, (16, 8)), (0.95, (8, 16))],
)
def test_banding_follows_from_the_similarity(similarity: float, expected: tuple[int, int]) -> None:
    assert choose_banding(similarity) == expected


@settings(max_examples=50, deadline=None)
@given(st.floats(0.5, 0.999))
def test_banding_finds_nearly_all_pairs_at_the_similarity(similarity: float) -> None:
    banding = choose_banding(similarity)
    assert banding.bands * banding.rows <= 128
    assert banding.probability(similarity) >= 0.98


def pairs(similarity: float, count: int, size: int = 200) -> list[str]:
    """Pairs of texts of `size` shingles each, of about that similarity, one after the other."""
    draw = random.Random(5)
    shared = round(2 * size * similarity / (1 + similarity))
    texts = []
    for _ in range(count):
        words = [f"w{draw.randrange(10**6)}" for _ in range(2 * size)]
        common = words[: shared + SHINGLE_WORDS - 1]
        texts += [
            " ".join(common + words[size : 2 * size - shared]),
            " ".join(common + [w + "x" for w in words[size : 2 * size - shared]]),
        ]
    return texts


@pytest.mark.parametrize("similarity", [0.6, 0.75, 0.9])
def test_pairs_share_a_band_as_often_as_theory_says(similarity: float) -> None:
    banding = Banding(18, 7)
    shingles = shingle(pairs(similarity, 400))
    bands = band_hashes(shingles, banding)
    found = (bands[0::2] == bands[1::2]).any(axis=1).mean()
    true = np.mean([jaccard(shingles.of(2 * i), shingles.of(2 * i + 1)) for i in range(400)])
    # Three standard deviations of a share of 400 draws.
    assert found == pytest.approx(banding.probability(float(true)), abs=0.08)


def test_bands_do_not_depend_on_the_batch() -> None:
    texts = [*pairs(0.5, 3), "", "four words are few"]
    banding = Banding(9, 4)
    together = band_hashes(shingle(texts), banding)
    alone = np.concatenate([band_hashes(shingle([text]), banding) for text in texts])
    assert (together == alone).all()


def test_bands_of_many_blocks_are_those_of_one() -> None:
    texts = [" ".join(f"w{i * k}" for i in range(20_000)) for k in range(1, 5)]
    banding = Banding(2, 2)
    together = band_hashes(shingle(texts), banding)
    assert (together[2:3] == band_hashes(shingle(texts[2:3]), banding)).all()


def test_no_documents_have_no_bands() -> None:
    assert band_hashes(shingle([]), Banding(2, 2)).shape == (0, 2)
