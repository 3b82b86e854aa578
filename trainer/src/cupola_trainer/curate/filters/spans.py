"""What the rules ask of words and lines: how many of a document's are flagged, how they begin and end."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from cupola_trainer.curate.texts import Flags, Ints, Spans, Texts

Values = npt.NDArray[np.float64]
"""One number a document."""


def count(spans: Spans, flags: Flags, texts: Texts) -> Ints:
    """For each document, how many of its spans are flagged."""
    return np.bincount(spans.document[flags], minlength=len(texts))


def share(spans: Spans, flags: Flags, texts: Texts) -> Values:
    """For each document the share of its spans that are flagged; 0 where it has none."""
    return ratio(count(spans, flags, texts), spans.counts)


def ratio(part: npt.NDArray[np.generic], whole: npt.NDArray[np.generic]) -> Values:
    """`part / whole`, where a whole of 0 counts as 1."""
    values: Values = part.astype(np.float64) / np.maximum(whole.astype(np.float64), 1)
    return values


def stands(texts: Texts, text: str, places: Ints) -> Flags:
    """Whether `text`, of at most three bytes, stands at each place."""
    found: Flags = np.ones(len(places), bool)
    for i, byte in enumerate(text.encode()):
        found &= texts.data[places + i] == byte
    return found


def ends_with(texts: Texts, spans: Spans, characters: Iterable[str]) -> Flags:
    """Whether each span, none of which is empty, ends with one of some characters."""
    sizes = spans.end - spans.start
    found: Flags = np.zeros(len(sizes), bool)
    codes: dict[int, list[int]] = {}
    for encoded in (character.encode() for character in characters):
        codes.setdefault(len(encoded), []).append(int.from_bytes(encoded, "big"))
    value = np.zeros(len(sizes), np.uint32)
    for i in range(max(codes, default=0)):
        byte = texts.data[np.maximum(spans.end - 1 - i, spans.start)].astype(np.uint32)
        value |= byte << np.uint32(8 * i)
        if i + 1 in codes:
            found |= np.isin(value, np.array(codes[i + 1], np.uint32)) & (sizes > i)
    return found
