"""The verdict on documents' quality: for each the first rule that it breaks, and what stays of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cupola_api.filters import Quality, QualityRules, rules_of
from cupola_trainer.curate.filters import c4, fineweb, gopher, lines, repetition, source_code
from cupola_trainer.curate.filters.spans import Values
from cupola_trainer.curate.texts import Flags, Texts

Measure = Callable[[Texts], dict[str, Values]]
"""What one or several rules look at: name of the rule -> a number for each document of a batch."""

MIN_WORDS = {
    QualityRules.PROSE: 50,
    QualityRules.CODE: 5,
    QualityRules.WEB: 50,
    QualityRules.C4: 0,
}

_CHEAP: tuple[Measure, ...] = (
    gopher.word_length,
    gopher.symbols,
    gopher.line_marks,
    gopher.alphabetic_words,
)
_REPETITION: tuple[Measure, ...] = (repetition.line_shares, repetition.n_gram_shares)
_C4: tuple[Measure, ...] = (c4.filler, c4.brackets)

BEFORE: dict[QualityRules, tuple[tuple[Measure, ...], ...]] = {
    QualityRules.PROSE: (_CHEAP, (gopher.stop_words, c4.finished_lines, *_C4), _REPETITION),
    QualityRules.CODE: (source_code.MEASURES,),
    QualityRules.WEB: (_CHEAP, (gopher.stop_words,), _REPETITION),
    QualityRules.C4: (),
}
"""What is measured of documents as they are, in the order in which a drop is put down to one.

The dear come last: each group is only measured of documents that the ones before it let pass.
"""

AFTER: dict[QualityRules, tuple[Measure, ...]] = {
    QualityRules.WEB: (
        *_C4,
        c4.sentences,
        fineweb.lines,
        fineweb.repeated_lines,
        fineweb.line_ends,
    ),
    QualityRules.C4: (*_C4, c4.sentences),
}
"""What is measured of documents from which lines were taken."""

TOO_LOW = {
    "short-words",
    "alphabetic-words",
    "stop-words",
    "terminal-punctuation",
    "few-sentences",
    "unpunctuated-lines",
    "few-letters",
}
"""Rules that drop what lies below their threshold; the others what lies above."""

_LINE = "line-"
_PAYS = 0.8
"""Share of the bytes of a batch below which to lay out the rest anew costs less than it saves."""
EMPTY = "no-lines"

RULE_NAMES = ("min-words", "max-words", EMPTY)
"""The rules that `judge` may name besides those of the family."""


@dataclass
class Judged:
    """What became of a batch."""

    rules: list[str | None]
    """For each document the rule that drops it."""
    texts: list[str]
    """The documents, without the lines that were taken out."""
    lines: Counter[str] = field(default_factory=Counter)
    """Lines taken out, by rule."""


def judge(documents: Sequence[str], quality: Quality, whole: Container[int] = ()) -> Judged:
    """Which rule of its family drops each document; of those numbered in `whole` no line is taken."""
    family = quality.rules_for
    named = {name: quality.threshold(name) for name in rules_of(family)}
    thresholds = {name: value for name, value in named.items() if value is not None}
    judged = Judged([None] * len(documents), [*documents])
    laid = _Laid(judged)
    words = laid.texts.tokens.counts
    least = MIN_WORDS[family] if quality.min_words is None else quality.min_words
    laid.drop("min-words", words < least)
    laid.drop("max-words", words > quality.max_words)
    for measures in BEFORE[family]:
        laid = laid.narrowed()
        laid.measure(measures, thresholds)
    if family is QualityRules.CODE:
        _look_closer(judged, thresholds)
    if family in AFTER:
        del laid  # a large document is held many times over
        _clean(judged, thresholds, whole)
        _Laid(judged).measure(AFTER[family], thresholds)
    return judged


class _Laid:
    """The documents of a batch that stay so far, laid out to be measured."""

    def __init__(self, judged: Judged) -> None:
        self._judged = judged
        self._places = [i for i, rule in enumerate(judged.rules) if rule is None]
        self.texts = Texts([judged.texts[i] for i in self._places])

    def narrowed(self) -> _Laid:
        """The same without what was dropped since, if that is so much that it pays."""
        rules = self._judged.rules
        sizes = self.texts.end - self.texts.start
        left = sum(
            size for i, size in zip(self._places, sizes.tolist(), strict=True) if not rules[i]
        )
        return _Laid(self._judged) if left < _PAYS * len(self.texts.data) else self

    def measure(self, measures: Sequence[Measure], thresholds: Mapping[str, float]) -> None:
        """Drop what the rules over the batch drop that have a threshold."""
        for measure in measures:
            for name, values in measure(self.texts).items():
                if name in thresholds:
                    limit = thresholds[name]
                    self.drop(name, values < limit if name in TOO_LOW else values > limit)

    def drop(self, name: str, flags: Flags) -> None:
        """Put flagged documents down to a rule, unless they are to another."""
        for i in np.flatnonzero(flags).tolist():
            place = self._places[i]
            self._judged.rules[place] = self._judged.rules[place] or name


def _look_closer(judged: Judged, thresholds: Mapping[str, float]) -> None:
    """Drop what a rule over one source file drops."""
    for i, rule in enumerate(judged.rules):
        if rule is None:
            judged.rules[i] = source_code.first_broken(judged.texts[i], thresholds)


def _clean(judged: Judged, thresholds: Mapping[str, float], whole: Container[int]) -> None:
    """Take lines out of what stays so far."""
    places = [i for i, rule in enumerate(judged.rules) if rule is None and i not in whole]
    wanted = {name: value for name, value in thresholds.items() if name.startswith(_LINE)}
    cleaned, judged.lines = lines.clean([judged.texts[i] for i in places], wanted)
    for i, text in zip(places, cleaned, strict=True):
        judged.texts[i] = text
        judged.rules[i] = None if text else EMPTY
