"""A few of the documents that each rule dropped, for a person to judge the rule by."""

from __future__ import annotations

from cupola_api.dataset import PiiKind
from cupola_trainer.curate import pii

PER_RULE = 3
"""Documents of a part that are shown for each rule, at most."""
CHARACTERS = 200
"""Of each document."""


class Samples:
    """The first few documents that each rule dropped, as a person may see them.

    Private data is always replaced, and documents that were dropped for it are not shown.
    """

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, rule: str, text: str) -> None:
        """Show the beginning of a text under its rule, if there is room."""
        found = self._found.setdefault(rule, [])
        if len(found) < PER_RULE and text:
            # Redacted before it is cut: half an address would no longer look like one.
            clean, _ = pii.redact(text[: 10 * CHARACTERS], set(PiiKind))
            found.append(clean[:CHARACTERS])

    def to_json(self) -> dict[str, list[str]]:
        """Rule -> beginnings of documents."""
        return {rule: texts for rule, texts in sorted(self._found.items()) if texts}
