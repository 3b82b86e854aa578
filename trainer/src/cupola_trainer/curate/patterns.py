"""RE2 with types: patterns over bytes, whose time is linear in the text whatever the text is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import re2  # type: ignore[import-untyped]


class Match(Protocol):
    """Where a pattern was found."""

    def span(self, group: int = 0) -> tuple[int, int]:
        """First byte and the byte after the last."""


class Pattern(Protocol):
    """A compiled pattern."""

    @property
    def groups(self) -> int:
        """Number of groups."""

    def search(self, text: bytes) -> Match | None:
        """The first match."""

    def fullmatch(self, text: bytes) -> Match | None:
        """The match of the whole text."""

    def finditer(self, text: bytes) -> Iterator[Match]:
        """All matches that do not overlap."""


def pattern(source: bytes) -> Pattern:
    """Compile; raises re2.error if RE2 does not know the syntax."""
    compiled: Pattern = re2.compile(source)
    return compiled
