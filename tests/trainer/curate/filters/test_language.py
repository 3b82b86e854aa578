from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from cupola_api.languages import LANGUAGES
from cupola_trainer.curate.filters.language import UNKNOWN, Found, identify

SPOKEN = {
    "en": "A cupola is the furnace in which a foundry melts iron for its castings.",
    "de": "Ein Kupolofen ist der Ofen, in dem eine Gie\u00dferei das Eisen f\u00fcr ihren Guss schmilzt.",
    "fr": "Le cubilot est le four dans lequel une fonderie fait fondre le fer de ses moulages.",
    "es": "El cubilote es el horno en el que una fundici\u00f3n derrite el hierro de sus piezas.",
    "ru": "Вагранка — это печь, в которой литейный цех плавит чугун для своих отливок.",
    "zh": "冲天炉是铸造厂用来熔化铁水的炉子已经使用了两百多年。",
    "ja": "キュポラは鋳物工場が鉄を溶かすために使う炉で、二百年以上使われています。",
    "ar": "فرن الدست هو الفرن الذي يصهر فيه المسبك الحديد لصنع مسبوكاته.",
}


@lru_cache(maxsize=1)
def reference() -> Any:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def test_languages_are_told_apart() -> None:
    assert [found.code for found in identify([*SPOKEN.values()])] == [*SPOKEN]
    assert all(found.score > 0.6 for found in identify([*SPOKEN.values()]))


def test_nothing_is_no_language() -> None:
    assert identify(["", "7"]) == [Found(UNKNOWN, 0.0)] * 2
    assert identify([]) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=200), st.sampled_from([*SPOKEN.values()])), max_size=6))
def test_labels_and_scores_are_those_of_py3langid(documents: list[str]) -> None:
    for document, found in zip(documents, identify(documents), strict=True):
        if found.code == UNKNOWN:
            continue
        code, score = reference().classify(document)
        assert found.score == pytest.approx(score, abs=1e-4)
        assert found.code == code or score < 0.5


def test_a_long_document_is_told_by_its_beginning_middle_and_end() -> None:
    long = SPOKEN["de"] * 30 + SPOKEN["ru"] * 300 + SPOKEN["ja"] * 30
    assert identify([long])[0].code in ("de", "ru", "ja")
    parts = (long[:1000], long[len(long) // 2 - 500 : len(long) // 2 + 500], long[-1000:])
    assert identify([long]) == identify([" ".join(parts)])


def test_the_codes_of_the_api_are_those_of_the_model() -> None:
    assert sorted(reference().labels) == sorted(LANGUAGES)
