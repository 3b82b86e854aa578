"""Quality rules of FineWeb: pages that are lists, menus or the same lines over and over.

Penedo et al. 2024, arXiv 2406.17557, section 3.5; thresholds as they released them. They look at
pages from which the lines of `lines` are gone.
"""

from __future__ import annotations

import numpy as np

from cupola_trainer.curate.filters.repetition import repeated_spans
from cupola_trainer.curate.filters.spans import Values, ends_with, ratio, share
from cupola_trainer.curate.texts import Texts

_SHORT = 30
TERMINAL = (
    ".?!\u2026\u3002\uff01\uff1f\uff0e\uff61\u2047\u2048\u2049\u203c\u061f\u06d4\u0589\u0964\u0965"
    "\u1362\u1367\u1368\u17d4\u17d5\u104a\u104b\u0f0d\u0f0e"
)
"""Marks that end sentences, in the scripts of larger languages."""


def lines(texts: Texts) -> dict[str, Values]:
    """Shares of lines that end with a mark that ends sentences, and that are short."""
    found = texts.lines
    return {
        "unpunctuated-lines": share(found, ends_with(texts, found, TERMINAL), texts),
        "short-lines": share(found, texts.lengths(found) <= _SHORT, texts),
    }


def repeated_lines(texts: Texts) -> dict[str, Values]:
    """Share of characters in lines that occurred before."""
    return {"repeated-lines": repeated_spans(texts, texts.lines)[1]}


def line_ends(texts: Texts) -> dict[str, Values]:
    """Line ends a word."""
    ends = texts.total(texts.data == ord("\n"))
    return {"list-like": ratio(np.asarray(ends), texts.tokens.counts)}
