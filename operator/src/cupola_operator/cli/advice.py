"""What a person can do about a resource that does not go on by itself, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cupola_api.common import FailureClass, Phase, Status
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.decide import hold
from cupola_operator.resources import parse_status


def after(objects: Sequence[Object], given: Collection[Key]) -> list[str]:
    """What to do after a run in which `given` were to be made; nothing if all of it succeeded."""
    there = {key_of(value) for value in objects}
    gone = [
        f"{key} was deleted; to make it again, run its file." for key in given if key not in there
    ]
    return gone + [text for text in map(advice, objects) if text]


def advice(value: Object) -> str:
    """What makes the resource go on; empty if nothing has to be done by a person."""
    key = key_of(value)
    status = parse_status(key.kind, value.get("status"))
    if status.phase is Phase.SUSPENDED:
        return f"To go on with {key}: {_resumed(key, value, status)}."
    if status.phase is Phase.FAILED:
        return f"To try {key} again: {_retried(key, value, status)}."
    if status.phase is Phase.STALLED:
        return f"{key} goes on when what its message names is corrected."
    return ""


def _resumed(key: Key, value: Object, status: Status) -> str:
    if (value.get("spec") or {}).get("suspend"):
        return f"cupola resume {key}"
    if _reason(status) == hold.NAMESPACE:
        return "wait for the next month, or raise the budget of its namespace in the settings"
    return _raised(value, status) if _reason(status) == hold.BUDGET else "look at its message"


def _retried(key: Key, value: Object, status: Status) -> str:
    reason = _reason(status)
    retry = f"cupola retry {key}"
    revision = "raise its spec.revision"
    if reason == hold.BUDGET:
        return f"{_raised(value, status)}, then {retry}"
    if reason == hold.NAMESPACE:
        return f"raise the budget of its namespace in the settings, then {retry}"
    if reason == hold.DEADLINE:
        return f"{retry}, and its deadline counts anew; raise spec.deadline if that is too short"
    if reason == "ThresholdMissed":
        return f"change its thresholds; or, when the models have changed, {revision}"
    if status.attempts and status.attempts[-1].failure is FailureClass.USER:
        return (
            f"correct what its message names; if that changes its spec, {revision}; if not, {retry}"
        )
    return f"{retry}; or, to change its spec, {revision}"


def _raised(value: Object, status: Status) -> str:
    budget = ((value.get("spec") or {}).get("budget") or {}).get("maxCost")
    spent = (
        f" (now {budget}; spent {status.cost.accrued})"
        if status.cost and status.cost.accrued and budget
        else ""
    )
    return f"raise its spec.budget.maxCost{spent}, and run or apply its file"


def _reason(status: Status) -> str:
    ready = status.condition("Ready")
    return ready.reason if ready else ""
