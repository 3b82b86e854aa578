"""Documents with copies planted among them, whose exact similarity is known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

WORDS = 5
"""Words of a shingle, as `cupola_trainer.curate.minhash` counts them; written anew, to check it."""


class Pair(NamedTuple):
    """A document and a copy of it with some words changed, added or taken away."""

    original: str
    copy: str
    similarity: float


def shingles(text: str) -> set[tuple[str, ...]]:
    """The sets of five words that follow one another."""
    words = text.lower().split()
    return {tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1)}


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of the two sets of shingles, by Python's own sets."""
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b) if a and b else 0.0


def document(draw: random.Random, words: int) -> str:
    """Words as often as in natural text: the n-th most frequent a n-th of the first (Zipf)."""
    return " ".join(f"w{int(20_000 ** draw.random())}" for _ in range(words))


def pairs(seed: int, count: int, least: float, words: int = 400) -> Iterator[Pair]:
    """Pairs whose similarity is at least `least`, and below it with one edit more."""
    draw = random.Random(seed)
    for number in range(count):
        text = document(draw, words)
        edited = text.split()
        best = Pair(text, text, 1.0)
        places = draw.sample(range(words), words)
        for place in places:
            kind = draw.randrange(3)
            if kind == 0 and place < len(edited):
                edited[place] = f"new{number}x{place}"
            elif kind == 1:
                edited.insert(min(place, len(edited)), f"more{number}x{place}")
            elif place < len(edited):
                del edited[place]
            copy = " ".join(edited)
            found = similarity(text, copy)
            if found < least:
                break
            best = Pair(text, copy, found)
        yield best
