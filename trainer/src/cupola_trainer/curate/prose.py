"""Quality rules for prose: which documents a language model should not learn from.

After Gopher (Rae et al. 2021, arXiv 2112.11446, appendix A1.1) and C4 (Raffel et al. 2019, arXiv
1910.10683, section 2.2), with their thresholds. Stop words and punctuation are those of English:
text in other languages needs rules of its own.

A rule is a function of a batch that says for each document whether it drops it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cupola_trainer.curate.repetition import NGrams, repeated_spans
from cupola_trainer.curate.texts import Flags, Ints, Spans, Texts

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
DEFAULT_MIN_WORDS = 50

_LETTER = np.zeros(256, bool)
_LETTER[65:91] = _LETTER[97:123] = _LETTER[128:] = True
_CLOSING = np.zeros(256, bool)
_CLOSING[[*b"\"')]"]] = True
_BULLETS = ("-", "*", "\u2022", "\u2023", "\u25aa", "\u25cf", "\u25e6", "\u2013")
_TOP = {2: 0.20, 3: 0.18, 4: 0.16}
_REPEATED = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}


def mean_word_length(texts: Texts) -> Flags:
    """Words of fewer than 3 or more than 10 characters on average: code, tables or noise."""
    tokens = texts.tokens
    total = np.bincount(tokens.document, texts.lengths(tokens), len(texts))
    mean = total / np.maximum(tokens.counts, 1)
    return (mean < 3) | (mean > 10)


def symbols(texts: Texts) -> Flags:
    """More than one hash sign, or more than one ellipsis, for every ten words."""
    data = texts.data
    hashes = texts.total(data == ord("#"))
    dots = np.flatnonzero(data == ord("."))
    runs = dots[np.diff(dots, prepend=-2) > 1]
    wide = np.flatnonzero(data == 0xE2)
    found = np.concatenate(
        (runs[_stands(texts, "...", runs)], wide[_stands(texts, "\u2026", wide)])
    )
    document = np.searchsorted(texts.start, found, side="right") - 1
    ellipses = np.bincount(document, minlength=len(texts))
    return np.maximum(hashes, ellipses) > 0.1 * texts.tokens.counts


def bullets(texts: Texts) -> Flags:
    """More than 90 % of the lines begin with a bullet."""
    lines = texts.lines
    begins = np.zeros(len(lines.start), bool)
    for bullet in _BULLETS:
        begins |= _stands(texts, bullet, lines.start)
    return _count(lines, begins, texts) > 0.9 * np.maximum(lines.counts, 1)


def ellipses(texts: Texts) -> Flags:
    """More than 30 % of the lines end with an ellipsis: teasers."""
    lines = texts.lines
    ends = np.zeros(len(lines.start), bool)
    for ellipsis in ("...", "\u2026"):
        ends |= _stands(texts, ellipsis, np.maximum(lines.end - 3, lines.start))
    return _count(lines, ends, texts) > 0.3 * np.maximum(lines.counts, 1)


def alphabetic_words(texts: Texts) -> Flags:
    """Fewer than 80 % of the words hold a letter."""
    tokens = texts.tokens
    before = np.concatenate(([0], np.cumsum(_LETTER[texts.data])))
    letters = before[tokens.end] > before[tokens.start]
    return _count(tokens, letters, texts) < 0.8 * tokens.counts


def stop_words(texts: Texts) -> Flags:
    """Fewer than two different ones of: the, be, to, of, and, that, have, with."""
    words = texts.words
    hashes = texts.hashes(words)
    known = Texts(STOP_WORDS)
    found = np.zeros(len(texts), np.int64)
    for stop in known.hashes(known.words):
        found += np.bincount(words.document[hashes == stop], minlength=len(texts)) > 0
    few: Flags = found < 2
    return few


def terminal_punctuation(texts: Texts) -> Flags:
    """No line ends like a sentence. C4 keeps no other line: nothing of the document would stay."""
    lines = texts.lines
    last = texts.data[lines.end - 1]
    before = texts.data[np.maximum(lines.end - 2, lines.start)]
    final = np.where(_CLOSING[last], before, last)
    sentence = (final == ord(".")) | (final == ord("!")) | (final == ord("?"))
    for wide in ("\u2026", "\u201d", "\u3002"):
        sentence |= _stands(texts, wide, np.maximum(lines.end - 3, lines.start))
    none: Flags = _count(lines, sentence, texts) == 0
    return none


def lorem_ipsum(texts: Texts) -> Flags:
    """Filler text."""
    words = texts.words
    hashes = texts.hashes(words)
    known = Texts(["lorem", "ipsum"])
    lorem, ipsum = known.hashes(known.words)
    pairs = np.flatnonzero((hashes[:-1] == lorem) & (hashes[1:] == ipsum))
    return np.bincount(words.document[pairs], minlength=len(texts)) > 0


def curly_bracket(texts: Texts) -> Flags:
    """A curly bracket: code or a template."""
    return texts.total(texts.data == ord("{")) > 0


def duplicate_lines(texts: Texts) -> Flags:
    """Lines that occurred before are more than 30 % of the lines or hold over 20 % of the text."""
    share, characters = repeated_spans(texts, texts.lines)
    return (share > 0.30) | (characters > 0.20)


def duplicate_paragraphs(texts: Texts) -> Flags:
    """As for lines: more than 30 % of the paragraphs, or over 20 % of the text."""
    share, characters = repeated_spans(texts, texts.paragraphs)
    return (share > 0.30) | (characters > 0.20)


def repeated_n_grams(texts: Texts) -> Flags:
    """One n-gram of 2 to 4 words, or all repeated ones of 5 to 10 words, make up too much of it.

    The thresholds fall from 20 % (2 words) to 16 % and from 15 % (5 words) to 10 %.
    """
    repetition = NGrams(texts)
    drop: Flags = np.zeros(len(texts), bool)
    for n, threshold in _TOP.items():
        drop |= repetition.top(n) > threshold
    for n, threshold in _REPEATED.items():
        drop |= repetition.repeated(n) > threshold
    return drop


RULES: dict[str, Callable[[Texts], Flags]] = {
    "mean-word-length": mean_word_length,
    "symbols": symbols,
    "bullets": bullets,
    "ellipses": ellipses,
    "alphabetic-words": alphabetic_words,
    "stop-words": stop_words,
    "terminal-punctuation": terminal_punctuation,
    "lorem-ipsum": lorem_ipsum,
    "curly-bracket": curly_bracket,
    "duplicate-lines": duplicate_lines,
    "duplicate-paragraphs": duplicate_paragraphs,
    "repeated-n-grams": repeated_n_grams,
}
"""Name in counts -> rule, in the order in which a drop is put down to one."""


def _count(spans: Spans, flags: Flags, texts: Texts) -> Ints:
    """For each document, how many of its spans are flagged."""
    return np.bincount(spans.document[flags], minlength=len(texts))


def _stands(texts: Texts, text: str, places: Ints) -> Flags:
    """Whether `text`, of at most three bytes, stands at each place."""
    found: Flags = np.ones(len(places), bool)
    for i, byte in enumerate(text.encode()):
        found &= texts.data[places + i] == byte
    return found
