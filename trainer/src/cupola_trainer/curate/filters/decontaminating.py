"""Documents that hold passages of benchmarks: a model that learned them would be measured too well.

A passage is a number of words in a row, 13 by default as for GPT-3 (Brown et al. 2020, arXiv
2005.14165, appendix C); white space, punctuation and upper case make no difference. A document with
one passage goes as a whole. Shorter questions count as one passage each if they have eight words,
the least that GPT-3 looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cupola_trainer.curate.filters.phrases import Phrases, Words, parts

MIN_WORDS = 8


class Decontaminating:
    """The benchmarks of a Dataset, read."""

    def __init__(self, words: int) -> None:
        self._size = words
        self._benchmarks: list[tuple[str, Phrases]] = []

    def add(self, name: str, texts: Iterable[Sequence[str]]) -> int:
        """Take a benchmark with its texts in batches; returns how many passages it has."""
        phrases = parts(texts, self._size, MIN_WORDS)
        self._benchmarks.append((f"benchmark-{name}", phrases))
        return len(phrases)

    def judge(self, documents: Sequence[str]) -> list[str | None]:
        """For each document the rule of the first benchmark of which it holds a passage."""
        verdicts: list[str | None] = [None] * len(documents)
        words = Words(documents)
        for rule, phrases in reversed(self._benchmarks):
            for i in np.flatnonzero(phrases.found_in(words)).tolist():
                verdicts[i] = rule
        return verdicts
