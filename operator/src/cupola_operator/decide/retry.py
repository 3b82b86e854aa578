"""Whether an attempt is followed by another, and when.

An attempt that failed is repeated after 10 s, then 20 s, doubling up to 5 minutes; one that the
cluster lost, at once. After `LIMIT` attempts without progress the run has failed; a checkpoint
beyond that of all earlier attempts is progress. An attempt that was ended from outside in good
order (a drained node, a stopped laptop) is no fault of the run, and `EXTERNAL_LIMIT` of them in a
row, whatever lies between, are too many all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cupola_api.common import Attempt
from cupola_operator.children import time_of
from cupola_operator.decide.ending import DISRUPTED, FAILED, STOPPED

LIMIT = 3
EXTERNAL_LIMIT = 10
FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(minutes=5)


def exhausted(attempts: Sequence[Attempt]) -> bool:
    """Whether enough attempts of a stage, all ended, were made without progress."""
    recent = _without_progress(attempts)
    own = [a for a in recent if a.reason not in (STOPPED, DISRUPTED)]
    return len(own) >= LIMIT or len(recent) >= EXTERNAL_LIMIT


def not_before(attempts: Sequence[Attempt]) -> datetime | None:
    """When the next attempt may start, after the last of `attempts` ended; None: at once."""
    last = attempts[-1]
    ended = time_of(last.ended_at)
    if last.outcome != FAILED or ended is None:
        return None
    failures = sum(a.outcome == FAILED for a in _without_progress(attempts))
    return ended + min(LONGEST_DELAY, FIRST_DELAY * (1 << min(max(failures - 1, 0), 16)))


def _without_progress(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The attempts since the last one that went further than all before it."""
    best, recent = -1, list[Attempt]()
    for attempt in attempts:
        step = -1 if attempt.checkpoint_step is None else attempt.checkpoint_step
        if step > best:
            best, recent = step, []
        else:
            recent.append(attempt)
    return recent
