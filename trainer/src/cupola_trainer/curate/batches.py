"""Texts in lists of about a size, which the rules over batches work on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def batches(texts: Iterable[str], most: int) -> Iterator[list[str]]:
    """The texts in lists that end with the text that brings them to `most` characters; none is empty."""
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
