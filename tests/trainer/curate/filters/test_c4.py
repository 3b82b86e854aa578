from __future__ import annotations

import pytest

from cupola_trainer.curate.filters import c4
from cupola_trainer.curate.texts import Texts


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("A title", 1),
        ("One. Two! Three?", 3),
        ('He said: "Yes." Then he left. "No!"', 3),
        ("Version 1.2 of e.g. this", 1),
        ("The end.\nThe beginning. \nof it", 3),
        ("Это так. Да!", 2),
        ("完了。次へ", 1),
    ],
)
def test_sentences_end_with_a_mark_and_do_not_go_on_with_a_small_letter(
    text: str, count: int
) -> None:
    assert c4.sentences(Texts(["x. Y", text, "Z"]))["few-sentences"].tolist() == [2, count, 1]


def test_lines_that_end_like_sentences_are_counted_with_closing_marks() -> None:
    text = 'One.\nTwo!)\n"Three?"\nFour,\nFive\u2026\n完了。\nSix:'
    assert c4.finished_lines(Texts([text]))["terminal-punctuation"].tolist() == [5]


def test_filler_is_counted_by_words_and_not_across_documents() -> None:
    found = c4.filler(Texts(["LOREM  ipsum, lorem-ipsum", "of lorem", "ipsum dolor"]))
    assert found["lorem-ipsum"].tolist() == [2, 0, 0]
