"""A few of many, evenly spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def spread(items: Sequence[Item], most: int | None) -> list[Item]:
    """All items, or `most` of them at equal distances from the first on."""
    if most is None or most >= len(items):
        return [*items]
    return [items[i * len(items) // most] for i in range(most)]
