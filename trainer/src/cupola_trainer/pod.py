"""What a pod says to the operator: failures with a class, and the termination message at the end."""

from __future__ import annotations

import os
from pathlib import Path

from cupola_api.outcome import FailureClass, Outcome, OutcomeKind, read
from cupola_api.run import ATTEMPT, TERMINATION_LOG


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

    The ranks of a pod share the place. The first failure stays: what other ranks say after it is
    only that they lost a rank.
    """
    text = outcome.write()
    print(text, flush=True)
    place = os.environ.get(TERMINATION_LOG)
    if place and not _failed(Path(place)):
        Path(place).write_text(text)


def _failed(place: Path) -> bool:
    said = read(place.read_text()) if place.is_file() else None
    return said is not None and said.outcome is OutcomeKind.FAILED
