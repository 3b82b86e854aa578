"""Quality rules for prose after Gopher: text that reads like text.

Rae et al. 2021, arXiv 2112.11446, appendix A1.1. Words are runs of anything but white space. Stop
words are those of English: text in other languages needs to skip that rule. How much a document
repeats itself is in `repetition`.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from cupola_trainer.curate.filters.spans import Values, count, ratio, share, stands
from cupola_trainer.curate.texts import Bytes, Flags, Ints, Texts

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")

_LETTER = np.zeros(256, bool)
_LETTER[65:91] = _LETTER[97:123] = True
_ONE_TABLE = 1 << 17
"""Characters from here on are ideographs, or are not assigned."""
_BULLETS = ("-", "*", "\u2022", "\u2023", "\u25aa", "\u25cf", "\u25e6", "\u2013")


def word_length(texts: Texts) -> dict[str, Values]:
    """Mean characters a word: few in code and tables, many in noise."""
    tokens = texts.tokens
    mean = ratio(
        np.bincount(tokens.document, texts.lengths(tokens), len(texts)), texts.tokens.counts
    )
    return {"short-words": mean, "long-words": mean}


def symbols(texts: Texts) -> dict[str, Values]:
    """Hash signs a word, and ellipses a word; a row of dots is one ellipsis."""
    data = texts.data
    dots = np.flatnonzero(data == ord("."))
    runs = dots[np.diff(dots, prepend=-2) > 1]
    wide = np.flatnonzero(data == 0xE2)
    found = np.concatenate((runs[stands(texts, "...", runs)], wide[stands(texts, "\u2026", wide)]))
    document = np.searchsorted(texts.start, found, side="right") - 1
    ellipses = np.bincount(document, minlength=len(texts))
    return {
        "hash-signs": ratio(texts.total(data == ord("#")), texts.tokens.counts),
        "dots": ratio(ellipses, texts.tokens.counts),
    }


def line_marks(texts: Texts) -> dict[str, Values]:
    """Shares of lines that begin with a bullet, and that end with an ellipsis as teasers do."""
    lines = texts.lines
    begins = np.zeros(len(lines.start), bool)
    for bullet in _BULLETS:
        begins |= stands(texts, bullet, lines.start)
    ends = np.zeros(len(lines.start), bool)
    for ellipsis in ("...", "\u2026"):
        ends |= stands(texts, ellipsis, np.maximum(lines.end - 3, lines.start))
    return {"bullets": share(lines, begins, texts), "ellipses": share(lines, ends, texts)}


def alphabetic_words(texts: Texts) -> dict[str, Values]:
    """Share of words that hold a letter of any script; 1 where there are no words."""
    tokens = texts.tokens
    letter = _LETTER[texts.data]
    wide = np.flatnonzero(texts.data >= 0xC0)
    if len(wide):
        letter[wide] = _letters()[np.minimum(_characters(texts.data, wide), _ONE_TABLE)]
    before = np.concatenate(([0], np.cumsum(letter)))
    letters = share(tokens, before[tokens.end] > before[tokens.start], texts)
    return {"alphabetic-words": np.where(tokens.counts > 0, letters, 1.0)}


@cache
def _letters() -> Flags:
    """Whether each character is a letter; the last one stands for all above."""
    return np.array([*(chr(number).isalpha() for number in range(_ONE_TABLE)), True])


def _characters(data: Bytes, places: Ints) -> Ints:
    """The numbers of the characters, of two bytes or more in UTF-8, that begin at some places."""
    first = data[places].astype(np.int64)
    size = 2 + (first >= 0xE0) + (first >= 0xF0)
    number = first & (0x7F >> size)
    for i in (1, 2, 3):
        inside = size > i
        number[inside] = number[inside] << 6 | data[places[inside] + i] & 0x3F
    return number


def stop_words(texts: Texts) -> dict[str, Values]:
    """How many different ones of eight frequent English words it has."""
    words = texts.words
    hashes = texts.hashes(words)
    known = Texts(STOP_WORDS)
    found = np.zeros(len(texts), np.float64)
    for stop in known.hashes(known.words):
        found += count(words, hashes == stop, texts) > 0
    return {"stop-words": found}
