"""Conditions from a verdict, in the words of kstatus: Ready, Reconciling, Stalled, and how it ended."""

from __future__ import annotations

from cupola_api.common import Condition, ConditionStatus, Phase
from cupola_operator.children import text_of
from cupola_operator.decide.verdict import Verdict
from cupola_operator.world import World

_LONGEST = 1024
_KINDS = ("Ready", "Reconciling", "Stalled", "Suspended", "Succeeded", "Failed")
_UNDER_WAY = {"Reconciling"}
_TRUE = {
    Phase.SUCCEEDED: {"Ready", "Succeeded"},
    Phase.FAILED: {"Stalled", "Failed"},
    Phase.STALLED: {"Stalled"},
    Phase.SUSPENDED: {"Suspended"},
}
"""What is true in a phase; in any other it is Reconciling alone."""


def conditions(world: World, verdict: Verdict) -> list[Condition]:
    """The conditions of a resource on which `verdict` was passed.

    The reason is everywhere the verdict's; its sentence is on Ready and on what is true.
    lastTransitionTime changes with status only. Outdated is there for a finished run only.
    """
    true = _TRUE.get(verdict.phase, _UNDER_WAY)
    message = _short(verdict.message)
    before = {condition.type: condition for condition in world.status.conditions}
    told = [
        _condition(
            world,
            before.get(kind),
            kind,
            kind in true,
            verdict.reason,
            message if kind == "Ready" or kind in true else "",
        )
        for kind in _KINDS
    ]
    if verdict.outdated is not None:
        changed = bool(verdict.outdated)
        reason = "UpstreamChanged" if changed else "UpToDate"
        text = _short(verdict.outdated)
        told.append(_condition(world, before.get("Outdated"), "Outdated", changed, reason, text))
    return told


def _short(message: str) -> str:
    return message if len(message) <= _LONGEST else message[: _LONGEST - 3] + "..."


def _condition(  # noqa: PLR0917  a row of the table above
    world: World, old: Condition | None, kind: str, holds: bool, reason: str, message: str
) -> Condition:
    status = ConditionStatus.TRUE if holds else ConditionStatus.FALSE
    if old is None or old.status is not status:
        since = text_of(world.now)
    elif (
        old.reason == reason
        and old.message == message
        and old.observed_generation == world.generation
    ):
        return old
    else:
        since = old.last_transition_time
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=world.generation,
    )
