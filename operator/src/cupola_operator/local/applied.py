"""What `kubectl apply` makes of an object: the file is the truth about what it names. Pure.

Labels, annotations and spec.suspend are changed by others too (`cupola suspend`, `cupola retry`).
What of these the file does not name, and did not name when it was last applied, stays as it is.
"""

from __future__ import annotations

import json
from typing import Any

from cupola_api import GROUP
from cupola_api.common import Resource
from cupola_operator.cluster import Object

NAMED = f"{GROUP}/last-applied"
"""Annotation: what the file named, of what others change too; a JSON list of paths."""

SUSPEND = "spec/suspend"


def applied(resource: Resource, old: Object | None) -> Object:
    """The object that applying `resource` asks for, without what the server adds and without status.

    `old` is the object that is there. The spec has its defaults filled in.
    """
    value = resource.to_json()
    now = _names(resource)
    kept = set(now)
    if old:
        kept |= named(old)
    metadata, spec = {**value["metadata"]}, {**value["spec"]}
    for field in ("labels", "annotations"):
        there: dict[str, Any] = ((old or {}).get("metadata") or {}).get(field) or {}
        foreign = {k: v for k, v in there.items() if f"{field}/{k}" not in kept}
        metadata[field] = foreign | metadata.get(field, {})
    metadata["annotations"][NAMED] = json.dumps(now)
    there = (old or {}).get("spec") or {}
    if SUSPEND not in kept and "suspend" in there:
        spec["suspend"] = there["suspend"]
    return {
        "apiVersion": value["apiVersion"],
        "kind": value["kind"],
        "metadata": metadata,
        "spec": spec,
    }


def _names(resource: Resource) -> list[str]:
    metadata = resource.metadata
    found = [f"labels/{name}" for name in metadata.labels]
    found += [f"annotations/{name}" for name in metadata.annotations if name != NAMED]
    if "suspend" in resource.spec.model_fields_set:
        found.append(SUSPEND)
    return sorted(found)


def named(value: Object) -> set[str]:
    """What the file of an object named when it was last applied, as paths: `SUSPEND`, and others."""
    try:
        return {str(path) for path in json.loads(value["metadata"]["annotations"][NAMED])}
    except (KeyError, TypeError, ValueError):
        return set()
