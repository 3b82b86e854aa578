from __future__ import annotations

import random

import numpy as np
import pytest

from cupola_trainer.curate.filters.classifier import LEAST, Classifier, features, train

COMMON = [f"common{i}" for i in range(40)]
GOOD_WORDS = [f"iron{i}" for i in range(60)]
BAD_WORDS = [f"spam{i}" for i in range(60)]


def documents(words: list[str], count: int, seed: int) -> list[str]:
    """Texts of 40 words, of which a fifth are of a kind."""
    draw = random.Random(seed)
    return [
        " ".join([*draw.choices(COMMON, k=32), *draw.choices(words, k=8)]) for _ in range(count)
    ]


def trained(good: int = 200, bad: int = 400) -> Classifier:
    return train([documents(GOOD_WORDS, good, 1)], [documents(BAD_WORDS, bad, 2)])


def test_documents_of_two_kinds_are_told_apart() -> None:
    classifier = trained()
    assert classifier.facts == {"good": 180, "bad": 360, "heldOut": 60, "accuracy": 1.0}
    assert classifier.scores(documents(GOOD_WORDS, 50, 3)).min() > 0.5
    assert classifier.scores(documents(BAD_WORDS, 50, 4)).max() < 0.5


def test_what_cannot_be_told_apart_is_said() -> None:
    same = documents(COMMON, 400, 5)
    assert train([same[:200]], [same[200:]]).facts["accuracy"] < 0.75


def test_both_sets_count_the_same_however_large_they_are() -> None:
    scores = trained(good=50, bad=1000).scores(documents(COMMON, 100, 6))
    assert 0.2 < float(np.median(scores)) < 0.8


def test_the_same_sets_give_the_same_whatever_the_batches() -> None:
    good, bad = documents(GOOD_WORDS, 60, 1), documents(BAD_WORDS, 60, 2)
    one = train([good], [bad]).to_json()
    assert train([good[:7], [], good[7:]], iter([bad[:50], bad[50:]])).to_json() == one


def test_a_classifier_survives_its_file() -> None:
    classifier = trained()
    again = Classifier.from_json(classifier.to_json())
    asked = [*documents(GOOD_WORDS, 3, 7), "", "unknown"]
    assert again.scores(asked).tolist() == classifier.scores(asked).tolist()
    assert again.facts == classifier.facts
    with pytest.raises(ValueError, match="another size"):
        Classifier.from_json(b'{"weights": "AAAAAA==", "bias": 0}')


def test_words_and_pairs_of_words_are_features_and_order_matters() -> None:
    found = features(["Pig iron", "iron pig", "", "iron"])
    assert found.counts.tolist() == [3, 3, 0, 1]
    first, second = (set(found.numbers[found.document == i].tolist()) for i in (0, 1))
    assert len(first & second) == 2
    assert trained().scores([]).tolist() == []


def test_too_few_documents_are_refused() -> None:
    good = documents(GOOD_WORDS, LEAST, 1)
    with pytest.raises(ValueError, match="50 good and 49 bad documents"):
        train([good], [["", *good[1:]]])
