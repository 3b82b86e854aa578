"""Documents and tokens by the domain that they are from, where their source says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cupola_api.mixture import DomainShare
from cupola_trainer.curate.filters.addresses import domain

KEPT = 1024
"""Domains of a part that are told apart in what it leaves. Each part is a random share of all
documents, so those that are frequent in all are frequent in each."""
SHOWN = 20
"""Domains of a Dataset that are named."""


@dataclass
class Domains:
    """Counts by domain; sums of them are those of more documents."""

    documents: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    """By domain; that of no name stands for all that are not told apart."""

    def see(self, url: str | None, tokens: int) -> None:
        """Count a document; one without an address does not count."""
        if url:
            name = domain(url)
            self.documents[name] += 1
            self.tokens[name] += tokens

    def add(self, other: Domains) -> None:
        """Add the counts of other documents."""
        self.documents.update(other.documents)
        self.tokens.update(other.tokens)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; beyond the first `KEPT` by tokens, domains are one."""
        first = self._first(KEPT)
        return {"documents": dict(first.documents), "tokens": dict(first.tokens)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Domains:
        """The inverse of `to_json`, but for names that are not told apart."""
        return cls(Counter(value["documents"]), Counter(value["tokens"]))

    def shares(self) -> list[DomainShare]:
        """The first `SHOWN` by tokens; then, without a name, all others, if there are any."""
        found = self._first(SHOWN)
        return [
            DomainShare(name=name or None, documents=found.documents[name], tokens=count)
            for name, count in found.tokens.items()
        ]

    def _first(self, most: int) -> Domains:
        """The first by tokens, then by name; the others together behind them, without a name."""
        ordered = sorted((-count, name) for name, count in self.tokens.items() if name)
        names = [name for _, name in ordered[:most]]
        found = Domains(
            Counter({name: self.documents[name] for name in names}),
            Counter({name: self.tokens[name] for name in names}),
        )
        if len(names) < len(self.tokens):
            found.documents[""] = self.documents.total() - found.documents.total()
            found.tokens[""] = self.tokens.total() - found.tokens.total()
        return found
