"""The language of each document, by n-grams of its bytes: naive Bayes as in langid.py.

Lui and Baldwin 2012, "langid.py: An Off-the-shelf Language Identification Tool", with the model of
py3langid, which finds the n-grams of one to six bytes by an automaton, one byte after the other.
Here the automaton runs over all documents of a batch at once, each cut into pieces: where it stands
depends on the last six bytes only. Labels and scores are those of py3langid.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]

from cupola_trainer.curate.texts import Ints

UNKNOWN = "und"
"""The code of a document in which nothing was recognised."""

_WINDOW = 1000
_LONGEST = 6
"""Bytes of the longest n-gram of the model."""
_PIECE = 58
"""Bytes that the automaton goes on from the place up to which it only found its bearings."""


class Found(NamedTuple):
    """The language of a document."""

    code: str
    """ISO 639."""
    score: float
    """0 to 1: how much likelier it is than the others."""


class _Model(NamedTuple):
    next_row: npt.NDArray[np.uint32]
    """State after a byte, at `row_of[state] + byte`."""
    row_of: Ints
    feature_of: Ints
    """The n-gram that ends where a state is reached, or -1."""
    weights: npt.NDArray[np.float32]
    """Log likelihood of each n-gram in each language."""
    priors: npt.NDArray[np.float32]
    codes: list[str]
    twins: list[tuple[int, int]]
    """Pairs of columns of one language (in two scripts): the second counts to the first."""


def identify(documents: Sequence[str]) -> list[Found]:
    """The language of each document, told by its beginning, middle and end, 1,000 characters each."""
    samples = [_sample(document) for document in documents]
    found = _features(samples, _model())
    return [
        _decide(features, len(sample), _model())
        for features, sample in zip(found, samples, strict=True)
    ]


def _sample(document: str) -> bytes:
    """What is looked at, as py3langid prepares it."""
    if len(document) > 3 * _WINDOW:
        middle = (len(document) - _WINDOW) // 2
        inner = document[middle : middle + _WINDOW]
        document = f"{document[:_WINDOW]} {inner} {document[-_WINDOW:]}"
    if document.isupper():
        document = document.lower()
    return unicodedata.normalize("NFC", document).encode()


@lru_cache(maxsize=1)
def _model() -> _Model:
    loaded = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    codes = list(loaded.nb_classes)
    return _Model(
        np.asarray(loaded.tk_nextmove),
        np.asarray(loaded.tk_row, np.int64) << 8,
        np.asarray(loaded.tk_output, np.int64),
        loaded.nb_ptc.astype(np.float32),
        loaded.nb_pc,
        codes,
        [(codes.index(code), i) for i, code in enumerate(codes) if codes.index(code) < i],
    )


def _features(samples: list[bytes], model: _Model) -> list[tuple[Ints, Ints]]:
    """For each sample the n-grams in it, sorted, and how often each occurs."""
    ends = np.cumsum([len(sample) for sample in samples])
    starts = ends - np.array([len(sample) for sample in samples], np.int64)
    pieces = np.concatenate(
        [np.empty(0, np.int64)]
        + [np.arange(s, e, _PIECE) for s, e in zip(starts, ends, strict=True)]
    )
    sample_of = np.searchsorted(ends, pieces, side="right")
    data = np.frombuffer(b"".join([*samples, bytes(_PIECE)]), np.uint8)
    state = np.zeros(len(pieces), np.int64)
    count = np.int64(len(model.weights))
    hits = []
    for step in range(-_LONGEST, _PIECE):
        places = pieces + step
        inside = places >= starts[sample_of]
        moved = model.next_row[model.row_of[state] + data[np.maximum(places, 0)]]
        state = np.where(inside, moved, 0)
        if step >= 0:
            feature = model.feature_of[state]
            counts = (feature >= 0) & (places < ends[sample_of])
            hits.append(sample_of[counts] * count + feature[counts])
    keys, times = np.unique(np.concatenate(hits), return_counts=True)
    cuts = np.searchsorted(keys, np.arange(len(samples) + 1) * count)
    return [(keys[a:b] - i * count, times[a:b]) for i, (a, b) in enumerate(pairwise(cuts))]


def _decide(features: tuple[Ints, Ints], size: int, model: _Model) -> Found:
    """The likeliest language; the square root of the size keeps scores comparable."""
    places, times = features
    if not len(places):
        return Found(UNKNOWN, 0.0)
    scores = np.log1p(times.astype(np.float32)) @ model.weights[places] + model.priors
    scores *= 1 / np.sqrt(np.float32(size))
    scores = np.exp(scores - scores.max())
    scores /= scores.sum()
    for first, second in model.twins:
        scores[first] += scores[second]
        scores[second] = 0
    best = int(scores.argmax())
    return Found(model.codes[best], float(scores[best]))
