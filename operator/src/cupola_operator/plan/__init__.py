"""From what a person asks for to what runs, and what it takes. Pure functions.

What runs:

- `shape`: a model of about so many parameters.
- `schedule`: how many tokens, in what batches, at which learning rate.
- `pool`: where it computes.

What it takes, where each figure that is not exact is an `estimate`:

- `anatomy`: parameters, FLOPs and memory of a model under a layout.
- `speed`: how long a step takes on which hardware, the best layout, and how that compares with
  published runs. Its `catalogue` is data: devices, instances, prices.
- `money`: the bill of device hours: price, energy, failures.
- `answers`: the plan of a resource of each kind, of a size, of an amount of money; the data that it
  needs and the loss that it should reach; all of it as JSON.

What cannot be planned is `Refused`, with a sentence for the person who asked.
"""

from __future__ import annotations


class Refused(Exception):
    """What is asked for cannot be done: a reason in one CamelCase word, and what to write instead."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
