from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_api.duplicate_lines import LineUnit
from cupola_trainer.curate.line_units import cut, without

LINE, PARAGRAPH = LineUnit.LINE, LineUnit.PARAGRAPH
TEXT = "\n \n  a title\n\nfirst\nof two\n \t\n\n    second\nlast"


@given(st.text("ab \n\t\r\u2028"), st.sampled_from(LineUnit))
def test_the_units_are_the_text_and_none_is_empty(text: str, unit: LineUnit) -> None:
    found = cut(text, unit)
    assert "".join(found) == text
    if text.strip():
        assert all(one.strip() for one in found)
    else:
        assert len(found) <= 1


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (
            LINE,
            ["\n \n  a title\n\n", "first\n", "of two\n \t\n\n", "    second\n", "last"],
        ),
        (PARAGRAPH, ["\n \n  a title\n\n", "first\nof two\n \t\n\n", "    second\nlast"]),
    ],
)
def test_lines_have_the_empty_lines_after_them(unit: LineUnit, expected: list[str]) -> None:
    assert cut(TEXT, unit) == expected


def test_what_goes_takes_its_line_end_along() -> None:
    assert without("a\nb\nc", LINE, {1}) == "a\nc"
    assert without("a\nb\nc", LINE, {2}) == "a\nb"
    assert without("    a\n    b\n", LINE, {0}) == "    b"
    assert without("a\nb\n\nc\nd\n", PARAGRAPH, {0}) == "c\nd"
