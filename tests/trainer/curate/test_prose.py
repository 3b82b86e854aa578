from __future__ import annotations

import pytest

from cupola_trainer.curate import prose
from cupola_trainer.curate.texts import Texts

GOOD = (
    "A cupola is the furnace in which a foundry melts iron. It is charged from above with coke, "
    "limestone and pig iron, and air is blown in through openings near the bottom of the shaft.\n"
    "The molten metal collects in the well and is tapped into ladles. Slag, which is lighter, "
    "floats on it and runs off at the back.\n\n"
    "Small foundries have used such furnaces for more than two hundred years, because they are "
    "cheap to build and can be lit for a single day of work."
)

DROPPED = {
    "mean-word-length": "a b c d e f g h i j k l m n o p",
    "symbols": "#one #two three four five six seven eight nine ten #three",
    "bullets": "- one\n* two\n\u2022 three\n- four",
    "ellipses": "Read more about it...\nAnd then this happened\u2026\nA whole line.",
    "alphabetic-words": "total 12 34 56 78 sum",
    "stop-words": "Buy cheap shoes online today best price guaranteed.",
    "terminal-punctuation": "Home\nAbout us\nContact",
    "lorem-ipsum": "The page said Lorem ipsum dolor sit amet to all.",
    "curly-bracket": "The body of a function stands between { and the other one.",
    "duplicate-lines": "Same line here.\nSame line here.\nAnother one.",
    "duplicate-paragraphs": "One and\nthe same.\n\nOne and\nthe same.\n\nAnother.",
    "repeated-n-grams": "buy now and save " * 8,
}
NEARLY = {
    "mean-word-length": "abc def ghi",
    "symbols": "#one two three four five six seven eight nine ten",
    "bullets": "- one\n- two\n- three\nfour",
    "ellipses": "Wait...\nOne.\nTwo.\nThree.",
    "alphabetic-words": "one two three four 5",
    "stop-words": "The furnace and a ladle.",
    "terminal-punctuation": 'Home\nHe said "yes."\nContact',
    "lorem-ipsum": "Lorem and ipsum are two words.",
    "curly-bracket": "Round (brackets) and [square] ones are fine.",
    "duplicate-lines": "Same.\nSame.\nThe first of two quite long lines.\nThe second of the long ones.",
    "duplicate-paragraphs": "Same.\n\nSame.\n\nOne quite long paragraph.\n\nAnother long paragraph.",
    "repeated-n-grams": GOOD,
}


@pytest.mark.parametrize("rule", prose.RULES)
def test_rule_drops_what_it_is_for_and_nothing_nearly_like_it(rule: str) -> None:
    batch = [NEARLY[rule], DROPPED[rule], GOOD]
    assert prose.RULES[rule](Texts(batch)).tolist() == [False, True, False]


@pytest.mark.parametrize("rule", prose.RULES)
def test_rule_takes_an_empty_batch_and_an_empty_document(rule: str) -> None:
    assert prose.RULES[rule](Texts([])).tolist() == []
    assert len(prose.RULES[rule](Texts([""]))) == 1


def test_dots_of_a_long_row_count_as_one_ellipsis() -> None:
    contents = "The chapter about iron ............ 12 and the rest of it follows here now"
    assert not prose.symbols(Texts([contents])).any()


def test_a_document_that_repeats_long_passages_but_no_line_is_found() -> None:
    passage = " ".join(f"word{i}" for i in range(30))
    document = f"first {passage} middle {passage} last"
    assert prose.repeated_n_grams(Texts([document])).tolist() == [True]
