"""When a run is over, and how it went. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from cupola_api.common import Phase
from cupola_operator.cluster import Key, Object
from cupola_operator.references import references
from cupola_operator.resources import parse, parse_status


class Ending(StrEnum):
    """How a resource ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    BLOCKED = "Blocked"
    """It waits for something that failed, or that is not there."""


def ending(key: Key, objects: Mapping[Key, Object]) -> Ending | None:
    """How `key` ended, or None while it can still go on.

    Failed and Stalled both need a person. A phase counts only if it was said of the present spec.
    """
    value = objects.get(key)
    if value is None:
        return Ending.BLOCKED
    status = parse_status(key.kind, value.get("status"))
    if status.observed_generation == value["metadata"]["generation"]:
        if status.phase is Phase.SUCCEEDED:
            return Ending.SUCCEEDED
        if status.phase in (Phase.FAILED, Phase.STALLED):
            return Ending.FAILED
    if status.phase in (Phase.PENDING, Phase.WAITING):
        resource, _ = parse(value)
        wanted = [other for _, other in references(resource)] if resource else []
        if any(ending(other, objects) in (Ending.FAILED, Ending.BLOCKED) for other in wanted):
            return Ending.BLOCKED
    return None


def exit_code(given: Collection[Key], objects: Mapping[Key, Object]) -> int | None:
    """0 if all of `given` succeeded, 1 if all ended and one did not, None while one goes on."""
    endings = [ending(key, objects) for key in given]
    if None in endings:
        return None
    return 0 if all(one is Ending.SUCCEEDED for one in endings) else 1
