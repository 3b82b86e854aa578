"""Texts of strangers in our sentences: one line, printable, short."""

from __future__ import annotations

import pytest

from cupola_api import errors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('it\'s "ü"', 'it\'s "ü"'),
        ("a\nb", r"a\nb"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("", ""),
    ],
)
def test_a_text_stays_on_one_line_of_printable_characters(text: str, said: str) -> None:
    assert errors.plain(text) == said


@pytest.mark.parametrize("letter", ["x", "\n"])
def test_a_long_text_is_cut(letter: str) -> None:
    text = errors.plain(letter * 10_000_000)
    assert len(text) == 63
    assert text.endswith("...")
    assert text.isprintable()


def test_sixty_characters_are_not_long() -> None:
    assert errors.plain("x" * 60) == "x" * 60
    assert errors.plain("x" * 61) == f"{'x' * 60}..."


def test_a_caller_may_allow_more() -> None:
    assert errors.plain("x" * 100, 100) == "x" * 100
    assert errors.plain("x" * 101, 100) == f"{'x' * 100}..."


def test_a_field_without_a_name_is_still_seen() -> None:
    assert errors.path_of(("spec", "")) == "spec.''"
    assert errors.path_of(("a\nb", 0)) == r"a\nb[0]"
