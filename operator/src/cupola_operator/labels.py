"""Labels and annotations of the objects that Cupola makes, and the selectors over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cupola_api import GROUP

MANAGED_BY = "app.kubernetes.io/managed-by"
CUPOLA = "cupola"
"""The value of MANAGED_BY; the watches of children select by it."""

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

FINALIZER = f"{GROUP}/ledger"
"""Finalizer of a resource that had pods: it goes when what they cost is in the ledger."""

LADDER = f"{GROUP}/ladder"
"""Label of a resource: the ladder that it is a rung of."""

QUEUE = "kueue.x-k8s.io/queue-name"
"""Label of a Job or PyTorchJob: the LocalQueue of Kueue that admits it."""

GPUS = f"{GROUP}/gpus"
"""Devices that the pod holds; the ledger multiplies its time by it."""


_LONGEST_TOKEN = 253
"""Of a longer token that much is read."""


def retry_token(metadata: Mapping[str, Any]) -> str:
    """The token of the annotation cupola.dev/retry; empty if there is none."""
    return str((metadata.get("annotations") or {}).get(RETRY) or "")[:_LONGEST_TOKEN]


def selector(kind: str, name: str) -> dict[str, str]:
    """What every child of a resource, and every pod of those, is labelled with."""
    return {MANAGED_BY: CUPOLA, KIND: kind, NAME: name}
