"""What a policy says, and what a decision is made of."""

from __future__ import annotations

from typing import NamedTuple

from cupola_api.common import Phase, Status
from cupola_operator.cluster import Key, Object
from cupola_operator.cost.entries import Entry
from cupola_operator.cost.months import Month

SOON = 1.0
"""Seconds until what was asked of the cluster is looked at again, should no event come first."""


class Create(NamedTuple):
    """Create an object, if none of `after` is there any more: that is read live."""

    value: Object
    after: tuple[Key, ...] = ()


class Delete(NamedTuple):
    """Ask for deletion of the object of that uid."""

    key: Key
    uid: str


class Enter(NamedTuple):
    """Write what a run cost in a month into the ledger of its namespace."""

    month: Month
    entry: Entry


class Finalize(NamedTuple):
    """Give the resource these finalizers and no others."""

    finalizers: tuple[str, ...]


Action = Create | Delete | Enter | Finalize


class Verdict(NamedTuple):
    """A policy's answer: where the resource stands and why, what to do, when to look again."""

    phase: Phase
    reason: str
    """CamelCase, one word."""
    message: str
    """For a person."""
    actions: tuple[Action, ...] = ()
    again: float | None = None
    """Seconds; None: only an event changes anything."""
    status: Status | None = None
    """Status with what the policy learned; None: as it was. Phase and conditions are not its part."""
    outdated: str | None = None
    """Of a finished run: what changed upstream, in a sentence; empty if nothing did."""


class Decision(NamedTuple):
    """What to do now: the actions in order, then the status to write.

    After an Enter that could not be done nothing more is done, and no status is written: what it
    was to keep would be forgotten.
    """

    actions: tuple[Action, ...] = ()
    status: Status | None = None
    again: float | None = None


def stalled(reason: str, message: str) -> Verdict:
    """Nothing moves until a person changes something."""
    return Verdict(Phase.STALLED, reason, message)
