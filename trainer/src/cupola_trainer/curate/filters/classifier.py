"""A learned judgement of quality: how much a document is like one set of documents, not another.

Logistic regression over hashed words and pairs of words, as fastText's classifiers (Joulin et al. 2016,
arXiv 1607.01759), such as DCLM (Li et al. 2024, arXiv 2406.11794) chose its data with. Both sets
count the same, however many documents they have. It is trained once, in seconds, and every machine
finds the same weights.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cupola_trainer.curate.filters.phrases import Words
from cupola_trainer.curate.filters.spans import Values, ratio
from cupola_trainer.curate.texts import Ints

LEAST = 50
"""Documents of a set, at least."""

_BITS = 17
_EPOCHS = 5
_BATCH = 32
_RATE = 0.3
_HELD_OUT = 10
"""Each so many'th document of both sets is not learned but tells how good the classifier is."""


class Features(NamedTuple):
    """What the classifier sees of documents: numbers of words and of pairs of words."""

    numbers: npt.NDArray[np.int32]
    document: Ints
    counts: Ints

    def scores(self, weights: npt.NDArray[np.float32], bias: float) -> Values:
        """The log odds of each document: `bias` and the sum of its weights by the root of their number."""
        found = np.bincount(self.document, weights[self.numbers], len(self.counts))
        return np.asarray(ratio(found, np.sqrt(self.counts)) + bias)


@dataclass(frozen=True)
class Classifier:
    """Weights of words, and what is known of how good they are."""

    weights: npt.NDArray[np.float32]
    bias: float
    facts: dict[str, Any]
    """good, bad: documents learned. heldOut: documents it was tried on; accuracy: the share of those
    that it told right, both sets counting the same."""

    def scores(self, documents: Sequence[str]) -> Values:
        """For each document 0 to 1: how surely it belongs to the good ones."""
        return _logistic(features(documents).scores(self.weights, self.bias))

    def to_json(self) -> bytes:
        """As a file."""
        weights = base64.b64encode(self.weights.astype("<f4").tobytes()).decode()
        return json.dumps({**self.facts, "bias": self.bias, "weights": weights}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Classifier:
        """The inverse. Raises ValueError or KeyError if it is none."""
        value = json.loads(data)
        weights = np.frombuffer(base64.b64decode(value.pop("weights")), "<f4").astype(np.float32)
        if len(weights) != 1 << _BITS:
            raise ValueError("a classifier of another size")
        return cls(weights, float(value.pop("bias")), value)


def features(documents: Sequence[str]) -> Features:
    """Words and pairs of words of documents, by their hashes."""
    words = Words(documents)
    hashes, document = zip(words.in_a_row(1), words.in_a_row(2), strict=True)
    numbers = (np.concatenate(hashes) >> np.uint64(64 - _BITS)).astype(np.int32)
    inside = np.concatenate(document)
    return Features(numbers, inside, np.bincount(inside, minlength=len(documents)))


def train(good: Iterable[Sequence[str]], bad: Iterable[Sequence[str]]) -> Classifier:
    """Learn from two sets, each in batches. The same sets in the same order give the same.

    Raises ValueError if a set has fewer than 50 documents with words.
    """
    sets = [[one for batch in batches for one in _each(features(batch))] for batches in (bad, good)]
    if min(map(len, sets)) < LEAST:
        raise ValueError(f"{len(sets[1])} good and {len(sets[0])} bad documents")
    learned = [one for found in sets for i, one in enumerate(found) if i % _HELD_OUT]
    tried = [one for found in sets for one in found[::_HELD_OUT]]
    sizes = np.array([len(found) - len(found[::_HELD_OUT]) for found in sets])
    labels = np.repeat([0.0, 1.0], sizes)
    weights, bias = _descend(learned, labels, (len(labels) / (2 * sizes))[labels.astype(int)])
    right = _together(tried).scores(weights, bias) > 0
    cut = len(sets[0][::_HELD_OUT])
    accuracy = (float(np.mean(~right[:cut])) + float(np.mean(right[cut:]))) / 2
    facts = {
        "good": int(sizes[1]),
        "bad": int(sizes[0]),
        "heldOut": len(tried),
        "accuracy": round(accuracy, 4),
    }
    return Classifier(weights, bias, facts)


def _descend(
    documents: list[npt.NDArray[np.int32]], labels: Values, importance: Values
) -> tuple[npt.NDArray[np.float32], float]:
    """Stochastic gradient descent with AdaGrad (Duchi et al. 2011) on the logistic loss."""
    weights = np.zeros(1 << _BITS, np.float32)
    seen = np.full(1 << _BITS, 1e-6, np.float32)
    bias, bias_seen = 0.0, 1e-6
    draw = np.random.default_rng(0)
    for _ in range(_EPOCHS):
        for chosen in _chunks(draw.permutation(len(documents))):
            batch = _together([documents[i] for i in chosen])
            odds = batch.scores(weights, bias)
            error = (1 / (1 + np.exp(-np.clip(odds, -60, 60))) - labels[chosen]) * importance[
                chosen
            ]
            each = (error / np.sqrt(batch.counts))[batch.document]
            touched, place = np.unique(batch.numbers, return_inverse=True)
            gradient = (np.bincount(place, each) / len(chosen)).astype(np.float32)
            seen[touched] += gradient**2
            weights[touched] -= np.float32(_RATE) * gradient / np.sqrt(seen[touched])
            slope = sum(error.tolist()) / len(chosen)
            bias_seen += slope**2
            bias -= _RATE * slope / bias_seen**0.5
    return weights, bias


def _logistic(odds: Values) -> Values:
    """1 / (1 + exp(-odds)), with nothing but operations that give the same bits on every machine.

    exp(x) is taken for (1 + x / 2**20) ** 2**20, which is right to 1e-6 where it matters.
    """
    power = 1 - np.clip(odds, -60, 60) / 2**20
    for _ in range(20):
        power *= power
    return np.asarray(1 / (1 + power))


def _chunks(order: Ints) -> Iterator[Ints]:
    for begin in range(0, len(order), _BATCH):
        yield order[begin : begin + _BATCH]


def _each(found: Features) -> Iterator[npt.NDArray[np.int32]]:
    """The features of each document that has any."""
    order = np.argsort(found.document, kind="stable")
    cuts = np.cumsum(found.counts)[:-1]
    return (part for part in np.split(found.numbers[order], cuts) if len(part))


def _together(documents: list[npt.NDArray[np.int32]]) -> Features:
    counts = np.array([len(one) for one in documents], np.int64)
    return Features(np.concatenate(documents), np.repeat(np.arange(len(counts)), counts), counts)
