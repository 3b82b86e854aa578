from __future__ import annotations

from collections import Counter

import pytest

from cupola_api.dataset import PiiKind
from cupola_trainer.curate import pii

from .generator import planted
from .lookalikes import hard_negatives

ALL = set(PiiKind)


@pytest.mark.parametrize("seed", [101, 202])
def test_of_each_kind_98_percent_are_found_and_97_percent_of_findings_are_right(seed: int) -> None:
    found: Counter[PiiKind] = Counter()
    wrong: Counter[PiiKind] = Counter()
    count = 150
    for text, kind, value in planted(seed, count):
        redacted, counts = pii.redact(text, ALL)
        right = redacted == text.replace(value, pii.PLACEHOLDERS[kind].decode(), 1)
        found[kind] += right
        wrong.update(counts)
        wrong[kind] -= right
    for text in hard_negatives(seed, 20):
        wrong.update(pii.redact(text, ALL)[1])
    for kind in PiiKind:
        assert found[kind] >= 0.98 * count, kind
        assert found[kind] >= 0.97 * (found[kind] + wrong[kind]), kind


@pytest.mark.parametrize("text", hard_negatives(7, 2))
def test_what_is_often_taken_for_private_data_stays(text: str) -> None:
    assert pii.redact(text, ALL) == (text, {})


def test_a_screen_holds_nothing_back() -> None:
    for text, _, _ in planted(5, 60):
        for finder in pii.FINDERS:
            data = text.encode()
            if finder.screen and finder.pattern.search(data):
                assert finder.screen.search(data), (finder.kind, text)
