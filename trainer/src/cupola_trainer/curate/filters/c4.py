"""Quality rules after C4: pages that hold running text.

Raffel et al. 2019, arXiv 1910.10683, section 2.2, with the thresholds of their code
(tensorflow_datasets, c4_utils.py). The lines that C4 takes out of a page are in `lines`.
"""

from __future__ import annotations

import numpy as np

from cupola_trainer.curate.filters.spans import Values, count, ends_with, stands
from cupola_trainer.curate.texts import Flags, Spans, Texts

_CLOSING = np.zeros(256, bool)
_CLOSING[[*b"\"')]"]] = True


def finished_lines(texts: Texts) -> dict[str, Values]:
    """Lines that end like a sentence. C4 keeps no other line: without any, nothing would stay."""
    lines = texts.lines
    last = texts.data[lines.end - 1]
    before = texts.data[np.maximum(lines.end - 2, lines.start)]
    final = np.where(_CLOSING[last], before, last)
    sentence = (final == ord(".")) | (final == ord("!")) | (final == ord("?"))
    for wide in ("\u2026", "\u201d", "\u3002"):
        sentence |= stands(texts, wide, np.maximum(lines.end - 3, lines.start))
    return {"terminal-punctuation": count(lines, sentence, texts).astype(np.float64)}


def filler(texts: Texts) -> dict[str, Values]:
    """How often lorem ipsum stands in it."""
    words = texts.words
    hashes = texts.hashes(words)
    known = Texts(["lorem", "ipsum"])
    lorem, ipsum = known.hashes(known.words)
    together = words.document[:-1] == words.document[1:]
    pairs = np.flatnonzero((hashes[:-1] == lorem) & (hashes[1:] == ipsum) & together)
    found = np.bincount(words.document[pairs], minlength=len(texts))
    return {"lorem-ipsum": found.astype(np.float64)}


def brackets(texts: Texts) -> dict[str, Values]:
    """How many curly brackets open in it."""
    return {"curly-bracket": texts.total(texts.data == ord("{")).astype(np.float64)}


def sentences(texts: Texts) -> dict[str, Values]:
    """How many sentences there are: a line holds one, and one more for each that ends inside it.

    A sentence ends with a word that ends so, if what follows does not begin with a small letter.
    """
    tokens = texts.tokens
    ended = sentence_ends(texts, tokens)
    following = np.concatenate((tokens.start[1:], [len(texts.data) - 1]))[: len(tokens.start)]
    same_line = texts.newlines[following] == texts.newlines[tokens.start]
    begins = texts.data[following]
    small = (begins >= ord("a")) & (begins <= ord("z"))
    inside = count(tokens, ended & same_line & ~small, texts)
    return {"few-sentences": (texts.lines.counts + inside).astype(np.float64)}


def sentence_ends(texts: Texts, tokens: Spans) -> Flags:
    """Whether each word ends a sentence: with . ! ? or their wide forms, and quotes behind."""
    last = texts.data[tokens.end - 1]
    before = texts.data[np.maximum(tokens.end - 2, tokens.start)]
    final = np.where(_CLOSING[last], before, last)
    plain = (final == ord(".")) | (final == ord("!")) | (final == ord("?"))
    wide = ends_with(texts, tokens, "\u2026\u3002\uff01\uff1f\u061f\u0964\u06d4")
    found: Flags = plain | wide
    return found
