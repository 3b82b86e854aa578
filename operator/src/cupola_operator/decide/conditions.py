"""Conditions from a verdict, in the words of kstatus: Ready, Reconciling, Stalled, and how it ended."""

from __future__ import annotations

from cupola_api.common import Condition, ConditionStatus, Phase
from cupola_operator.children import text_of
from cupola_operator.decide.verdict import Verdict
from cupola_operator.world import World

_LONGEST = 1024
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
    true = _TRUE.get(verdict.phase, {"Reconciling"})
    wanted = [
        (kind, kind in true, verdict.reason, verdict.message if kind in true | {"Ready"} else "")
        for kind in ("Ready", "Reconciling", "Stalled", "Suspended", "Succeeded", "Failed")
    ]
    if verdict.outdated is not None:
        changed = bool(verdict.outdated)
        reason = "UpstreamChanged" if changed else "UpToDate"
        wanted.append(("Outdated", changed, reason, verdict.outdated))
    return [_condition(world, *one) for one in wanted]


def _condition(world: World, kind: str, holds: bool, reason: str, message: str) -> Condition:
    status = ConditionStatus.TRUE if holds else ConditionStatus.FALSE
    old = world.status.condition(kind)
    since = old.last_transition_time if old and old.status is status else text_of(world.now)
    if len(message) > _LONGEST:
        message = message[: _LONGEST - 3] + "..."
    if old and (old.status, old.reason, old.message, old.observed_generation) == (
        status,
        reason,
        message,
        world.generation,
    ):
        return old
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=world.generation,
    )
