"""Counts of the documents that stay, by source, domain and length, and how diverse their text is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from cupola_api.mixture import Diversity, Length, Mixture, SourceShare
from cupola_trainer.curate.domains import Domains
from cupola_trainer.shards import dtype_for

SAMPLE_TOKENS = 1 << 20
"""Tokens that diversity is measured on. Documents lie in the order of hashes of their content, so
the first ones are a random sample."""

SAMPLE_BYTES = 1 << 20
"""Bytes of the text of a shard that are compressed to see how well that goes."""


@dataclass
class Counts:
    """What is counted of some documents; sums of it are those of more."""

    sources: dict[str, Counter[str]] = field(default_factory=dict)
    """Name -> documents, bytes, tokens."""
    lengths: Counter[int] = field(default_factory=Counter)
    """Documents by the least power of two that their tokens do not exceed."""
    text: int = 0
    compressed: int = 0
    """Bytes of a sample of text, and what is left of them when it is compressed."""
    domains: Domains = field(default_factory=Domains)

    def see(
        self,
        names: Iterable[str],
        texts: Sequence[str],
        tokens: Sequence[int],
        urls: Iterable[str | None],
    ) -> None:
        """Count documents of the sources `names`: text, its length in tokens, where it is from."""
        sample: list[bytes] = []
        room = SAMPLE_BYTES
        for name, text, length, url in zip(names, texts, tokens, urls, strict=True):
            self.domains.see(url, length)
            data = text.encode()
            mine = self.sources.setdefault(name, Counter())
            mine.update(documents=1, bytes=len(data), tokens=length)
            self.lengths[1 << max(0, length - 1).bit_length()] += 1
            if room > 0:
                sample.append(data[:room])
                room -= len(data)
        if sample:
            joined = b"\n".join(sample)
            self.text += len(joined)
            self.compressed += len(zstandard.compress(joined, 3))

    def add(self, other: Counts) -> None:
        """Add the counts of other documents."""
        for name, counts in other.sources.items():
            self.sources.setdefault(name, Counter()).update(counts)
        self.lengths.update(other.lengths)
        self.text += other.text
        self.compressed += other.compressed
        self.domains.add(other.domains)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "sources": {name: dict(counts) for name, counts in sorted(self.sources.items())},
            "lengths": {str(length): count for length, count in sorted(self.lengths.items())},
            "text": self.text,
            "compressed": self.compressed,
            **({"domains": self.domains.to_json()} if self.domains.tokens else {}),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Counts:
        """The inverse of `to_json`."""
        return cls(
            {name: Counter(counts) for name, counts in value["sources"].items()},
            Counter({int(length): count for length, count in value["lengths"].items()}),
            value["text"],
            value["compressed"],
            Domains.from_json(value["domains"]) if "domains" in value else Domains(),
        )


def mixture(counts: Counts, sources: Sequence[str], train: Path, vocabulary: int) -> Mixture:
    """The mixture of a Dataset whose training shards lie in `train`."""
    tokens = first_tokens(train, vocabulary)
    ratio = counts.text / counts.compressed if counts.compressed else 0.0
    return Mixture(
        sources=[
            SourceShare(
                name=name,
                **{"documents": 0, "bytes": 0, "tokens": 0} | counts.sources.get(name, {}),
            )
            for name in sources
        ],
        lengths=[Length(tokens=size, documents=n) for size, n in sorted(counts.lengths.items())],
        domains=counts.domains.shares() or None,
        diversity=diversity(tokens, ratio) if len(tokens) else None,
    )


def first_tokens(folder: Path, vocabulary: int) -> npt.NDArray[np.int64]:
    """The first `SAMPLE_TOKENS` tokens of a split."""
    parts: list[npt.NDArray[np.int64]] = []
    left = SAMPLE_TOKENS
    for path in sorted(folder.glob("*.tokens")):
        if left <= 0:
            break
        part = np.fromfile(path, dtype_for(vocabulary), count=left).astype(np.int64)
        parts.append(part)
        left -= len(part)
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def diversity(tokens: npt.NDArray[np.int64], compression: float) -> Diversity:
    """How diverse a stream of tokens is; at least one."""
    counts = np.bincount(tokens)
    shares = counts[counts > 0] / len(tokens)
    return Diversity(
        tokens=len(tokens),
        entropy=round(max(0.0, float(-(shares * np.log(shares)).sum())), 4),
        distinct_bigrams=_distinct(tokens, 2),
        distinct_trigrams=_distinct(tokens, 3),
        compression=round(compression, 3),
    )


def _distinct(tokens: npt.NDArray[np.int64], n: int) -> float:
    """Different n-grams by all of them; 1 where there are none. Ids are below 2**21."""
    count = len(tokens) - n + 1
    if count < 1:
        return 1.0
    grams = np.zeros(count, np.int64)
    for i in range(n):
        grams = grams << 21 | tokens[i : i + count]
    grams.sort()  # np.unique of integers hashes them, which takes forty times as long
    different = 1 + int(np.count_nonzero(grams[1:] != grams[:-1]))
    return round(different / count, 4)
