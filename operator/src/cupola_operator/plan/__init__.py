"""From what a person asks for to what runs: shape, schedule, batch, pool. Pure functions.

- `shape`: a model of about so many parameters.
- `schedule`: how many tokens, in what batches, at which learning rate.
- `pool`: where it computes.

What cannot be planned is `Refused`, with a sentence for the person who asked.
"""

from __future__ import annotations


class Refused(Exception):
    """What is asked for cannot be done: a reason in one CamelCase word, and what to write instead."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
