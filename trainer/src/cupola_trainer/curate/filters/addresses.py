"""Looking up addresses of documents in a list of domains and of beginnings of paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np
import xxhash

from cupola_trainer.curate.filters.phrases import HashSet
from cupola_trainer.curate.texts import Flags

_SEGMENTS = 32
"""Parts of a path that are looked at; and of a host name."""


class Addresses:
    """A list of domains (with all below them), and of domains with the beginning of a path."""

    def __init__(self, entries: Iterable[str]) -> None:
        hashes = [_hash("/".join((host, *path))) for host, path in map(_split, entries) if host]
        self._known = HashSet(np.array(hashes, np.uint64))

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._known)

    def hold(self, urls: Sequence[str | None]) -> Flags:
        """Whether each address is in the list; None is not."""
        found: Flags = np.zeros(len(urls), bool)
        asked = [_forms(url) for url in urls]
        hashes = np.array([_hash(form) for forms in asked for form in forms], np.uint64)
        owner = np.repeat(np.arange(len(urls)), [len(forms) for forms in asked])
        found[owner[self._known.holds(hashes)]] = True
        return found


def domain(url: str) -> str:
    """The domain that an address is of, without www.; empty if there is none."""
    return _split(url)[0]


def _forms(url: str | None) -> list[str]:
    """The entries that an address would match."""
    host, path = _split(url or "")
    if not host:
        return []
    labels = host.split(".")[-_SEGMENTS:]
    domains = accumulate(reversed(labels), lambda below, label: f"{label}.{below}")
    return [*domains, *list(accumulate((host, *path), lambda whole, part: f"{whole}/{part}"))[1:]]


def _split(url: str) -> tuple[str, list[str]]:
    """Host without www., in small letters, and the parts of the path; no scheme, port or query."""
    rest = url.strip().partition("://")[2] or url.strip()
    rest = rest.removeprefix("//").partition("?")[0].partition("#")[0]
    host, _, path = rest.partition("/")
    host = host.rpartition("@")[2].partition(":")[0].lower().strip(".").removeprefix("www.")
    return host, [part for part in path.split("/") if part][:_SEGMENTS]


def _hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode(errors="surrogatepass"))
