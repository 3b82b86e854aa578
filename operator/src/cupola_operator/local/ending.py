"""When a run is over, and how it went. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from cupola_api.common import Phase, Status
from cupola_operator import labels
from cupola_operator.cluster import Key, Object
from cupola_operator.references import references
from cupola_operator.resources import parse, parse_status


class Ending(StrEnum):
    """How a resource ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SUSPENDED = "Suspended"
    """Nothing more happens until a person acts."""
    BLOCKED = "Blocked"
    """It waits for something that did not succeed, or that is not there."""
    DELETED = "Deleted"


_ENDINGS = {
    Phase.SUCCEEDED: Ending.SUCCEEDED,
    Phase.FAILED: Ending.FAILED,
    Phase.STALLED: Ending.FAILED,
    Phase.SUSPENDED: Ending.SUSPENDED,
}
"""Failed and Stalled both need a person."""


def ending(key: Key, objects: Mapping[Key, Object]) -> Ending | None:
    """How `key` ended, or None while it can still go on.

    A phase counts only if it was said of the present spec, and of a Failed one only if it is not to
    be tried again.
    """
    value = objects.get(key)
    if value is None:
        return Ending.DELETED
    status = parse_status(key.kind, value.get("status"))
    current = status.observed_generation == value["metadata"]["generation"]
    if current and status.phase in _ENDINGS and not _asked_again(value, status):
        return _ENDINGS[status.phase]
    if status.phase in (Phase.PENDING, Phase.WAITING):
        resource, _ = parse(value)
        wanted = [other for _, other in references(resource)] if resource else []
        if any(ending(other, objects) not in (None, Ending.SUCCEEDED) for other in wanted):
            return Ending.BLOCKED
    return None


def exit_code(given: Collection[Key], objects: Mapping[Key, Object]) -> int | None:
    """0 if all of `given` succeeded, 1 if all ended and one did not, None while one goes on."""
    endings = [ending(key, objects) for key in given]
    if None in endings:
        return None
    return 0 if all(one is Ending.SUCCEEDED for one in endings) else 1


def _asked_again(value: Object, status: Status) -> bool:
    """Whether a person asked for a retry that was not handled yet."""
    if status.phase is not Phase.FAILED:
        return False
    return labels.retry_token(value["metadata"]) != (status.retry or "")
