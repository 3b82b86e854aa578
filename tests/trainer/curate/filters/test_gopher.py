from __future__ import annotations

import pytest

from cupola_api.filters import Quality, QualityRules, rules_of
from cupola_trainer.curate.filters import gopher
from cupola_trainer.curate.filters.quality import judge
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
    "short-words": "a b c d e f g h i j k l m n o p",
    "long-words": "Donaudampfschifffahrt Eisenbahnknotenpunkt Hochofenschlacke",
    "hash-signs": "#one #two three four five six seven eight nine ten #three",
    "dots": "one... two three... four five six seven eight nine ten",
    "bullets": "- one\n* two\n\u2022 three\n- four",
    "ellipses": "Read more about it...\nAnd then this happened\u2026\nA whole line.",
    "alphabetic-words": "total 12 34 56 78 sum",
    "stop-words": "Buy cheap shoes online today best price guaranteed.",
    "terminal-punctuation": "Home\nAbout us\nContact",
    "lorem-ipsum": "The page said Lorem ipsum dolor sit amet to all.",
    "curly-bracket": "The body of a function stands between { and the other one.",
    "duplicate-lines": "Same line here.\nSame line here.\nAnother one.",
    "duplicate-line-characters": "A long line that is there twice.\n" * 2 + "a.\nb.\nc.\nd.\ne.",
    "duplicate-paragraphs": "One and\nthe same.\n\nOne and\nthe same.\n\nAnother.",
    "duplicate-paragraph-characters": "A long one that is\nthere twice.\n\n" * 2
    + "a\n\nb\n\nc\n\nd",
    "top-2-gram": "buy now or buy now and buy now",
    "top-3-gram": "buy it now or buy it now and buy it now",
    "top-4-gram": "buy it right now or buy it right now and buy it right now",
    "repeated-5-grams": "buy now and save " * 8,
    "repeated-10-grams": "one two three four five six seven eight nine ten " * 2,
}
NEARLY = {
    "short-words": "abc def ghi",
    "long-words": "Eisenbahn Hochofen Schlacke",
    "hash-signs": "#one two three four five six seven eight nine ten",
    "dots": "one... two three four five six seven eight nine ten ........... eleven" + " ." * 20,
    "bullets": "- one\n- two\n- three\nfour",
    "ellipses": "Wait...\nOne.\nTwo.\nThree.",
    "alphabetic-words": "one two three four 5",
    "stop-words": "The furnace and a ladle.",
    "terminal-punctuation": 'Home\nHe said "yes."\nContact',
    "lorem-ipsum": "Lorem and ipsum are two words.",
    "curly-bracket": "Round (brackets) and [square] ones are fine.",
    "duplicate-lines": "Same.\nSame.\nThe first of two quite long lines.\nThe second of the long ones.",
    "duplicate-paragraphs": "Same.\n\nSame.\n\nOne quite long paragraph.\n\nAnother long paragraph.",
}


def only(rule: str) -> Quality:
    """The rules of prose but all others."""
    others = [name for name in rules_of(QualityRules.PROSE) if name != rule]
    return Quality(min_words=0, skip=others)


@pytest.mark.parametrize("rule", DROPPED)
def test_rule_drops_what_it_is_for_and_nothing_nearly_like_it(rule: str) -> None:
    judged = judge([NEARLY.get(rule, GOOD), DROPPED[rule], GOOD], only(rule))
    assert judged.rules == [None, rule, None]


def test_good_prose_breaks_no_rule() -> None:
    assert judge([GOOD, GOOD], Quality()).rules == [None, None]


def test_dots_of_a_long_row_count_as_one_ellipsis() -> None:
    contents = "The chapter about iron ............ 12 and the rest of it follows here now"
    assert gopher.symbols(Texts([contents]))["dots"].tolist() == [1 / 14]


def test_letters_of_any_script_make_a_word_alphabetic() -> None:
    values = gopher.alphabetic_words(Texts(["печь 漢字 12 --", ""]))["alphabetic-words"]
    assert values.tolist() == [0.5, 1.0]


def test_marks_beyond_ascii_are_no_letters() -> None:
    texts = Texts(
        ["uno \u2014 \u201c\u2026\u201d \u2022 \U0001f600 \u00d7", "\u00e9\u2014 \U00020000"]
    )
    values = gopher.alphabetic_words(texts)["alphabetic-words"]
    assert values.tolist() == [1 / 6, 1.0]
