"""Labels and annotations of the objects that Cupola makes, and the selectors over them."""

from __future__ import annotations

from cupola_api import GROUP

MANAGED_BY = "app.kubernetes.io/managed-by"
COMPONENT = "app.kubernetes.io/component"
KIND = f"{GROUP}/kind"
NAME = f"{GROUP}/name"
UID = f"{GROUP}/uid"
"""uid of the resource: tells its pods from those of an earlier one of its name."""

REVISION = f"{GROUP}/revision"
ATTEMPT = f"{GROUP}/attempt"
STAGE = f"{GROUP}/stage"
POOL = f"{GROUP}/pool"
RETRY = f"{GROUP}/retry"
"""Annotation of a resource: a new token asks for another try of a run that failed."""

GPUS = f"{GROUP}/gpus"
"""Devices that the pod holds; the ledger multiplies its time by it."""


def selector(kind: str, name: str) -> dict[str, str]:
    """What every child of a resource, and every pod of those, is labelled with."""
    return {MANAGED_BY: "cupola", KIND: kind, NAME: name}
