"""Quality rules for prose after Gopher: text that reads like text.

Rae et al. 2021, arXiv 2112.11446, appendix A1.1. Words are runs of anything but white space. Stop
words are those of English: text in other languages needs to skip that rule. How much a document
repeats itself is in `repetition`.
"""

from __future__ import annotations

import numpy as np

from cupola_trainer.curate.filters.spans import Values, count, ratio, share, stands
from cupola_trainer.curate.texts import Texts

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")

_LETTER = np.zeros(256, bool)
_LETTER[65:91] = _LETTER[97:123] = _LETTER[128:] = True
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
    """Share of words that hold a letter; 1 where there are none."""
    tokens = texts.tokens
    before = np.concatenate(([0], np.cumsum(_LETTER[texts.data])))
    letters = share(tokens, before[tokens.end] > before[tokens.start], texts)
    return {"alphabetic-words": np.where(tokens.counts > 0, letters, 1.0)}


def stop_words(texts: Texts) -> dict[str, Values]:
    """How many different ones of eight frequent English words it has."""
    words = texts.words
    hashes = texts.hashes(words)
    known = Texts(STOP_WORDS)
    found = np.zeros(len(texts), np.float64)
    for stop in known.hashes(known.words):
        found += count(words, hashes == stop, texts) > 0
    return {"stop-words": found}
