from __future__ import annotations

import pytest

from cupola_trainer.curate.filters import fineweb
from cupola_trainer.curate.texts import Texts


def test_lines_are_told_by_the_mark_at_their_end_and_by_their_length() -> None:
    text = f'{"x" * 30}\n\n{"漢" * 30}。 \nQuestion?\n{"long " * 9}\nHe said "no."'
    found = fineweb.lines(Texts([text, "", "."]))
    assert found["unpunctuated-lines"].tolist() == pytest.approx([2 / 5, 0, 1])
    assert found["short-lines"].tolist() == pytest.approx([3 / 5, 0, 1])


def test_characters_of_lines_that_occurred_before_are_counted() -> None:
    found = fineweb.repeated_lines(Texts(["same\nother one\nsame\nsame", "same"]))
    assert found["repeated-lines"].tolist() == pytest.approx([8 / 21, 0])


def test_a_list_has_many_line_ends_for_its_words() -> None:
    found = fineweb.line_ends(Texts(["one\ntwo\nthree four", "a whole line of words", ""]))
    assert found["list-like"].tolist() == [0.5, 0, 0]
