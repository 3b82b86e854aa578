"""Documents that hold words of a block-list, or whose address is in one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cupola_api.filters import BlockList, Matches
from cupola_trainer.curate.filters.addresses import Addresses
from cupola_trainer.curate.filters.phrases import Phrases, Words, whole

MAX_WORDS = 8
"""Words of an entry, at most."""


class Blocking:
    """The block-lists of a Dataset, read."""

    def __init__(self) -> None:
        self._words: list[tuple[str, int, Phrases]] = []
        self._urls: list[tuple[str, Addresses]] = []

    def add(self, block_list: BlockList, entries: Sequence[str]) -> int:
        """Take a list with its entries; returns how many of those are used."""
        rule = f"block-{block_list.name}"
        if block_list.matches is Matches.URL:
            addresses = Addresses(entries)
            self._urls.append((rule, addresses))
            return len(addresses)
        phrases = whole([entries], MAX_WORDS)
        self._words.append((rule, block_list.min_matches, phrases))
        return len(phrases)

    def judge(self, documents: Sequence[str], urls: Sequence[str | None]) -> list[str | None]:
        """For each document the rule of the first list that it matches; addresses come first."""
        verdicts: list[str | None] = [None] * len(documents)
        broken = [(rule, addresses.hold(urls)) for rule, addresses in self._urls]
        if self._words:
            words = Words(documents)
            broken += [
                (rule, phrases.found_in(words) >= least) for rule, least, phrases in self._words
            ]
        for rule, flags in reversed(broken):
            for i in np.flatnonzero(flags).tolist():
                verdicts[i] = rule
        return verdicts
