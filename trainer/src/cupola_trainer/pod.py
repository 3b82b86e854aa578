"""What a pod says to the operator: failures with a class, and the termination message at the end."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from cupola_api.outcome import MAX_BYTES, FailureClass, Outcome, OutcomeKind, read
from cupola_api.run import ATTEMPT, TERMINATION_LOG

RANK_LOST = "RankLost"
"""The reason of a failure that only follows from that of another rank."""


class PodFailure(Exception):
    """The pod cannot do its work. A reason in one word, a sentence with a remedy, whose move it is."""

    def __init__(self, reason: str, message: str, failure: FailureClass) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.failure = failure

    def outcome(self) -> Outcome:
        """The termination message of this failure."""
        return Outcome(
            outcome=OutcomeKind.FAILED,
            reason=self.reason,
            failure=self.failure,
            message=self.message[:512],
        )


def attempt() -> str:
    """The id of this attempt: the folder of the run that only it writes in. `manual` by hand."""
    return os.environ.get(ATTEMPT, "manual")


def say(outcome: Outcome) -> None:
    """Write the termination message, where there is a place for it; print it for people.

    The ranks of a pod share the place. The first failure stays, but for one that only follows from
    another rank's: that gives way to whatever else is said.
    """
    _put(outcome, only_into_silence=False)  # first: a pipe that nobody reads would hold it up
    print(outcome.write(), flush=True)


def leave(outcome: Outcome) -> None:
    """Write the termination message if there is none yet, for the case that no other one follows."""
    _put(outcome, only_into_silence=True)


def stopped() -> bool:
    """Whether the termination message says that the pod was stopped."""
    place = os.environ.get(TERMINATION_LOG)
    try:
        said = read(Path(place).read_text()) if place else None
    except (OSError, UnicodeDecodeError):
        return False
    return said is not None and said.outcome is OutcomeKind.STOPPED


def _put(outcome: Outcome, *, only_into_silence: bool) -> None:
    place = os.environ.get(TERMINATION_LOG)
    if not place:
        return
    try:
        file = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            data = os.pread(file, 4 * MAX_BYTES, 0)
            said = read(data.decode(errors="replace"))
            if said is None or (not only_into_silence and _gives_way(said, outcome)):
                # In place, as it is a mount of its own; in one call, so that a kill leaves the old
                # message or the new one: spaces behind it do not harm it.
                text = outcome.write().encode()
                os.pwrite(file, text.ljust(len(data)), 0)
                os.ftruncate(file, len(text))
        finally:
            os.close(file)
    except OSError as error:
        print(f"warning: {place} cannot be written: {error.strerror}", file=sys.stderr, flush=True)


def _gives_way(old: Outcome, new: Outcome) -> bool:
    """Whether a message may take the place of an older one."""
    if old.outcome is OutcomeKind.FAILED:
        return old.reason == RANK_LOST
    return new.reason != RANK_LOST
