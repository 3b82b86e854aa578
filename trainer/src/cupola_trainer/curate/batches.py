"""Things in lists of about a size, which are worked on together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Thing = TypeVar("Thing")


def batches(
    things: Iterable[Thing], most: int, size: Callable[[Thing], int]
) -> Iterator[list[Thing]]:
    """The things in lists that end with the one that brings their sizes to `most`; none is empty."""
    batch: list[Thing] = []
    held = 0
    for thing in things:
        batch.append(thing)
        held += size(thing)
        if held >= most:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
