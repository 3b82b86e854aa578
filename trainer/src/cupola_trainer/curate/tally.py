"""Counts of what happened to documents: read, dropped by rule, quarantined, private data replaced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cupola_api.dataset import RuleCount

_FIELDS = 20
OTHER = "other"
"""The name in a summary of all rules, or languages, that it has no room for."""


@dataclass
class Tally:
    """The counts of one source."""

    read: int = 0
    pairs: int = 0
    """Records read that hold a prompt and its answer."""
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    """Documents that could not be read, by what was broken. A file that is damaged from some place
    on counts as one."""
    files: int = 0
    damaged: int = 0
    """Files of which not all could be read."""
    first_bad: str = ""
    """The first file with something quarantined, and why."""
    redacted: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    """Documents by language, where that is told."""
    lines: Counter[str] = field(default_factory=Counter)
    """Lines taken out of documents, by rule."""
    line_bytes: Counter[str] = field(default_factory=Counter)
    """Bytes of those that occurred before."""
    scores: Counter[str] = field(default_factory=Counter)
    """Documents by the tenth that the classifier's score begins with."""
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
        self.quarantined += other.quarantined
        self.files += other.files
        self.damaged += other.damaged
        self.first_bad = self.first_bad or other.first_bad
        self.redacted += other.redacted
        self.languages += other.languages
        self.lines += other.lines
        self.line_bytes += other.line_bytes
        self.scores += other.scores
        self.fields = self.fields or other.fields

    @property
    def kept(self) -> int:
        """Documents that were neither dropped nor quarantined."""
        return self.read - self.dropped.total() - self.quarantined.total()

    def to_json(self) -> dict[str, Any]:
        """As JSON values; languages, lines and scores only if there are any."""
        counted = {
            "languages": self.languages,
            "lines": self.lines,
            "lineBytes": self.line_bytes,
            "scores": self.scores,
        }
        return {
            "read": self.read,
            "pairs": self.pairs,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "quarantined": dict(sorted(self.quarantined.items())),
            "files": self.files,
            "damaged": self.damaged,
            "firstBad": self.first_bad,
            "redacted": dict(sorted(self.redacted.items())),
            "fields": self.fields,
            **{name: dict(sorted(counts.items())) for name, counts in counted.items() if counts},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Tally:
        """The inverse of `to_json`."""
        return cls(
            read=value["read"],
            pairs=value["pairs"],
            dropped=Counter(value["dropped"]),
            quarantined=Counter(value["quarantined"]),
            files=value["files"],
            damaged=value["damaged"],
            first_bad=value["firstBad"],
            redacted=Counter(value["redacted"]),
            fields=value["fields"],
            languages=Counter(value.get("languages", {})),
            lines=Counter(value.get("lines", {})),
            line_bytes=Counter(value.get("lineBytes", {})),
            scores=Counter(value.get("scores", {})),
        )


def merge(tallies: Iterable[Tally]) -> Tally:
    """The sum."""
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def rule_counts(counts: Counter[str], most: int = 24) -> list[RuleCount]:
    """Counts for a summary, most frequent first; those beyond the `most` frequent are one, `other`."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if rest := sum(count for _, count in ordered[most:]):
        ordered = [*ordered[:most], (OTHER, rest)]
    return [RuleCount(name=name, count=count) for name, count in ordered if count]
