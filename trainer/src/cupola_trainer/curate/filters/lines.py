"""Lines that are taken out of documents, after C4: menus, notices and calls for scripts.

Raffel et al. 2019, arXiv 1910.10683, section 2.2, and their code (tensorflow_datasets, c4_utils.py).
What stays of a document are its other lines, without the white space around them, one below the
other; marks of citations such as [12] and [edit] go too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from cupola_trainer.curate.filters.spans import ends_with, stands
from cupola_trainer.curate.patterns import Pattern, pattern
from cupola_trainer.curate.texts import Flags, Texts

_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
_JAVASCRIPT = pattern(rb"(?i)javascript")
_POLICY = pattern(
    rb"(?i)terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies"
)
_MARKS = ".?!\"'"


def clean(
    documents: Sequence[str], thresholds: Mapping[str, float]
) -> tuple[list[str], Counter[str]]:
    """The documents without the lines that break a rule, and how many lines each rule took.

    `thresholds` holds the rules that count. A document may be empty afterwards.
    """
    texts = Texts([_CITATION.sub("", d) if "[" in d else d for d in documents])
    lines = texts.lines
    flags = flagged(texts, thresholds)
    removed: Counter[str] = Counter()
    keep: Flags = np.ones(len(lines.start), bool)
    for name, broken in flags.items():
        removed[name] += int(np.count_nonzero(keep & broken))
        keep &= ~broken
    return _joined(texts, keep), +removed


def _joined(texts: Texts, keep: Flags) -> list[str]:
    """The documents with their kept lines alone, and a line end between two of them."""
    lines = texts.lines
    start, end = lines.start[keep], lines.end[keep]
    data = texts.data.copy()
    data[end] = ord("\n")  # what is behind a line is white space
    edges = np.zeros(len(data) + 1, np.int8)
    edges[start] += 1
    edges[end + 1] -= 1
    inside = np.cumsum(edges[:-1], dtype=np.int8).astype(bool)
    left = data[inside].tobytes()
    before = np.concatenate(([0], np.cumsum(inside)))
    cuts = [0, *before[texts.end + 1].tolist()]
    return [left[low : max(low, high - 1)].decode() for low, high in pairwise(cuts)]


def flagged(texts: Texts, thresholds: Mapping[str, float]) -> dict[str, Flags]:
    """For each rule that counts, the lines that break it."""
    lines = texts.lines
    found: dict[str, Flags] = {}
    tokens = texts.tokens
    line = np.searchsorted(lines.start, tokens.start, side="right") - 1
    if "line-long-word" in thresholds:
        long = texts.lengths(tokens) > thresholds["line-long-word"]
        found["line-long-word"] = np.bincount(line[long], minlength=len(lines.start)) > 0
    if "line-unfinished" in thresholds:
        teaser = stands(texts, "...", np.maximum(lines.end - 3, lines.start))
        found["line-unfinished"] = ~ends_with(texts, lines, _MARKS) | teaser
    if "line-few-words" in thresholds:
        words = np.bincount(line, minlength=len(lines.start))
        found["line-few-words"] = words < thresholds["line-few-words"]
    for name, said in (("line-javascript", _JAVASCRIPT), ("line-policy", _POLICY)):
        if name in thresholds:
            found[name] = _saying(texts, said)
    return found


def _saying(texts: Texts, said: Pattern) -> Flags:
    """The lines in which a pattern is found."""
    lines = texts.lines
    places = np.array([m.span()[0] for m in said.finditer(texts.data.tobytes())], np.int64)
    line = np.searchsorted(lines.start, places, side="right") - 1
    return np.bincount(line[line >= 0], minlength=len(lines.start)) > 0
