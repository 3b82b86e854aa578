"""From what a person asks for to what runs, and what it takes. Pure functions.

What runs:

- `shape`: a model of about so many parameters.
- `schedule`: how many tokens, in what batches, at which learning rate.
- `pool`: where it computes.

What it takes:

- `model`, `parameters`, `flops`, `memory`: arithmetic of a model. `families`: published ones.
- `layout`, `search`: how it is spread over devices, and the best way. `steptime`, `calibration`: how
  long a step takes. `hardware`, `machine`, `catalogue`: on what.
- `bill`: hours, money (`price`), `energy`, failures (`reliability`). `data`, `loss`: what goes in and
  what comes of it.
- `plan`: all of it together; `pretraining`, `tuning`, `evaluating`, `curating` of a resource, `sized`
  and `budget` without one. `document`: as JSON.

What cannot be planned is `Refused`, with a sentence for the person who asked.
"""

from __future__ import annotations


class Refused(Exception):
    """What is asked for cannot be done: a reason in one CamelCase word, and what to write instead."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
