from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.curate.filters.spans import count, ends_with, ratio, share, stands
from cupola_trainer.curate.texts import Texts

MARKS = ".\u00bb\u3002\U0001f600"
LINES = st.lists(st.text("a.\u00bb\u3002\U0001f600\u3001\u00ab ", max_size=6), max_size=6)


@settings(max_examples=100, deadline=None)
@given(st.lists(LINES.map("\n".join), max_size=4))
def test_the_last_character_of_lines_is_told_whatever_its_size(documents: list[str]) -> None:
    texts = Texts(documents)
    lines = texts.lines
    expected = [
        [line.strip().endswith(tuple(MARKS)) for line in document.split("\n") if line.strip()]
        for document in documents
    ]
    found = ends_with(texts, lines, MARKS)
    assert found.tolist() == [end for document in expected for end in document]
    assert count(lines, found, texts).tolist() == [sum(ends) for ends in expected]
    assert share(lines, found, texts).tolist() == [
        sum(ends) / max(len(ends), 1) for ends in expected
    ]


def test_a_mark_stands_where_all_its_bytes_do() -> None:
    texts = Texts(["\u2022 one", "\u2023 two", "- three"])
    assert stands(texts, "\u2022", texts.lines.start).tolist() == [True, False, False]


def test_nothing_is_a_share_of_nothing() -> None:
    texts = Texts(["", "a b"])
    assert ratio(texts.tokens.counts, texts.lines.counts).tolist() == [0, 2]
    assert not ends_with(texts, texts.lines, "").any()
