"""Private data: found by patterns, context and checksums; replaced by typed placeholders.

A pattern alone finds little and flags much, so each kind also asks for what makes a finding likely:
a checksum, numbers that are really given out, or a word before it. What is public by definition
stays: networks that are not global, domains and telephone numbers reserved for examples, keys that
documentation prints.

Patterns run over bytes in RE2, whose time is linear in the text whatever the text is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from cupola_api.dataset import PiiKind
from cupola_trainer.curate.pii import account, contact, keyed, network, secret

FINDERS = (
    *secret.FINDERS,
    *contact.FINDERS[:1],
    *account.FINDERS,
    *contact.FINDERS[1:],
    *network.FINDERS,
)
"""In the order in which they are applied: what may lie inside another comes after it."""

SCREENS = frozenset(finder.screen for finder in FINDERS if finder.screen)

PLACEHOLDERS = {
    PiiKind.EMAIL: b"<EMAIL>",
    PiiKind.PHONE: b"<PHONE>",
    PiiKind.IP_ADDRESS: b"<IP_ADDRESS>",
    PiiKind.CREDIT_CARD: b"<CREDIT_CARD>",
    PiiKind.IBAN: b"<IBAN>",
    PiiKind.SSN: b"<SSN>",
    PiiKind.SECRET: b"<SECRET>",
}


_ROUNDS = 8
"""A bound for text that is made to need many."""


def rule_name(kind: PiiKind) -> str:
    """The rule that a document is dropped by where private data drops it: `pii-email`."""
    return "pii-" + PLACEHOLDERS[kind].strip(b"<>").decode().lower().replace("_", "-")


def redact(
    text: str, kinds: Collection[PiiKind], key: bytes | None = None
) -> tuple[str, Counter[PiiKind]]:
    """The text with every finding of `kinds` replaced, and how many of each kind there were.

    With a `key` a placeholder is the same for the same finding, and differs for another.

    What is left is searched again until nothing is found: a number that ran into another one is one
    of its own once the other is replaced.
    """
    data = text.encode()
    counts: Counter[PiiKind] = Counter()
    for _ in range(_ROUNDS):
        before = counts.total()
        worth = {screen: screen.search(data) is not None for screen in SCREENS}
        for finder in FINDERS:
            wanted = finder.kind in kinds and (not finder.screen or worth[finder.screen])
            spans = finder.find(data) if wanted else []
            if spans:
                counts[finder.kind] += len(spans)
                data = _replace(data, spans, PLACEHOLDERS[finder.kind], key)
        if counts.total() == before:
            break
    return (data.decode() if counts else text), counts


def _replace(
    data: bytes, spans: list[tuple[int, int]], placeholder: bytes, key: bytes | None
) -> bytes:
    pieces = []
    position = 0
    for start, end in spans:
        shown = keyed.placeholder(placeholder, data[start:end], key) if key else placeholder
        pieces += [data[position:start], shown]
        position = end
    return b"".join([*pieces, data[position:]])
