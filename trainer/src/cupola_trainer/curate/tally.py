"""Counts of what happened to documents: read, dropped by rule, private data replaced by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cupola_api.dataset import RuleCount

_FIELDS = 20


@dataclass
class Tally:
    """The counts of one source."""

    read: int = 0
    pairs: int = 0
    """Records read that hold a prompt and its answer."""
    dropped: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)
    fields: list[str] = field(default_factory=list)
    """Names of the fields of the first record that lacked one that was asked for."""

    def see(self, names: Iterable[str]) -> None:
        """Remember the names of a record's fields, if none are yet."""
        self.fields = self.fields or [name[:64] for name in names][:_FIELDS]

    def add(self, other: Tally) -> None:
        """Add the counts of another part."""
        self.read += other.read
        self.pairs += other.pairs
        self.dropped += other.dropped
        self.redacted += other.redacted
        self.fields = self.fields or other.fields

    @property
    def kept(self) -> int:
        """Documents that were not dropped."""
        return self.read - self.dropped.total()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "read": self.read,
            "pairs": self.pairs,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "redacted": dict(sorted(self.redacted.items())),
            "fields": self.fields,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Tally:
        """The inverse of `to_json`."""
        return cls(
            read=value["read"],
            pairs=value["pairs"],
            dropped=Counter(value["dropped"]),
            redacted=Counter(value["redacted"]),
            fields=value["fields"],
        )


def merge(tallies: Iterable[Tally]) -> Tally:
    """The sum."""
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def rule_counts(counts: Counter[str]) -> list[RuleCount]:
    """Counts for a summary, most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [RuleCount(name=name, count=count) for name, count in ordered if count]
