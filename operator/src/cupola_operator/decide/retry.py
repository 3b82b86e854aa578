"""Whether an attempt is followed by another, and when.

Progress is a checkpoint beyond those of all earlier attempts; what counts are the failures without
progress between them. Each class of failure has its own number of retries (spec.recovery), and its own
pause: a failure of the infrastructure is repeated at once, the next after 10 s, then 20 s, doubling
up to 5 minutes; of the others the first already after 10 s. An attempt that was stopped in good
order (a drained node, a stopped laptop) counts as the infrastructure's, but is repeated at once; one
that Cupola itself stopped (suspended, out of budget), that never started (`obstacles`), or that a
person forgave, does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cupola_api.common import Attempt, FailureClass
from cupola_api.control import Recovery
from cupola_operator.children import time_of
from cupola_operator.decide.ending import LOST, STOPPED, SUCCEEDED
from cupola_operator.decide.failure import DISRUPTED
from cupola_operator.decide.failure import STOPPED as ASKED
from cupola_operator.decide.obstacles import NOT_STARTED

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(minutes=5)


def spent(attempts: Sequence[Attempt], recovery: Recovery) -> bool:
    """Whether no further attempt of a stage may follow `attempts`, all ended."""
    counted = _counted(attempts)
    if attempts[-1] not in counted:
        return False
    cause = _cause(attempts[-1])
    of_class = [attempt for attempt in counted if _cause(attempt) is cause]
    return len(of_class) > recovery.retries(cause) or len(counted) >= recovery.max_attempts


def not_before(attempts: Sequence[Attempt]) -> datetime | None:
    """When the next attempt may start, after the last of `attempts` ended; None: at once."""
    last, counted = attempts[-1], _counted(attempts)
    ended = time_of(last.ended_at)
    if last.outcome in (STOPPED, SUCCEEDED) or last not in counted or ended is None:
        return None
    cause = _cause(last)
    times = sum(_cause(attempt) is cause for attempt in counted)
    if cause is FailureClass.INFRASTRUCTURE:
        times -= 1
    if times == 0:
        return None
    return ended + min(LONGEST_DELAY, FIRST_DELAY * (1 << min(times - 1, 16)))


def _counted(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The attempts that count: the last one that went further than all before it, and what followed."""
    best, recent = -1, list[Attempt]()
    for attempt in attempts:
        step = -1 if attempt.checkpoint_step is None else attempt.checkpoint_step
        if step > best:
            best, recent = step, []
        recent.append(attempt)
    return [
        attempt
        for attempt in recent
        if attempt.outcome != SUCCEEDED
        and not attempt.forgiven
        and not _held(attempt)
        and not _unstarted(attempt)
    ]


def _held(attempt: Attempt) -> bool:
    """Whether Cupola itself stopped it."""
    return attempt.outcome == STOPPED and attempt.reason not in (ASKED, DISRUPTED)


def _unstarted(attempt: Attempt) -> bool:
    """Whether it ended before all of its pods began."""
    return attempt.outcome == LOST and attempt.reason in NOT_STARTED


def _cause(attempt: Attempt) -> FailureClass:
    if attempt.failure is None:
        return FailureClass.INFRASTRUCTURE if attempt.outcome == STOPPED else FailureClass.UNKNOWN
    return attempt.failure
