"""What the pods of a run need to reach what it reads and writes: claims, an endpoint, credentials.

The operator reads no storage and no secret: it only tells pods by what name they get what they need.
"""

from __future__ import annotations

from typing import Any

from cupola_api import run as contract
from cupola_operator.cluster import Object
from cupola_operator.settings import Storage

CLAIMS = "/mnt/cupola"
"""`pvc://claim/path` is the folder `/mnt/cupola/claim/path` of a pod."""

_SCHEMES = ("store://", "file://", "s3://", "pvc://")


def places(run: contract.Run) -> list[str]:
    """The URIs that a run reads and writes, sorted, each once."""
    return sorted(set(_uris(run.to_json())))


def claims(run: contract.Run) -> list[str]:
    """The PersistentVolumeClaims that hold what a run reads and writes, sorted."""
    found = (uri.removeprefix("pvc://") for uri in places(run) if uri.startswith("pvc://"))
    return sorted({place.partition("/")[0] for place in found})


def uses_s3(run: contract.Run) -> bool:
    """Whether a run reads or writes in S3."""
    return any(uri.startswith("s3://") for uri in places(run))


def environment(run: contract.Run, storage: Storage) -> dict[str, str]:
    """Variables by which pods find S3: the names that boto3 and other clients read."""
    if not uses_s3(run):
        return {}
    found = {
        "AWS_ENDPOINT_URL_S3": storage.endpoint,
        "AWS_REGION": storage.region,
        "AWS_DEFAULT_REGION": storage.region,
    }
    return {name: value for name, value in found.items() if value}


def volumes(run: contract.Run) -> tuple[list[Object], list[Object]]:
    """The volumes of a run's claims, and their mounts."""
    names = claims(run)
    sources = [
        {"name": f"claim-{i}", "persistentVolumeClaim": {"claimName": name}}
        for i, name in enumerate(names)
    ]
    mounts = [
        {"name": f"claim-{i}", "mountPath": f"{CLAIMS}/{name}"} for i, name in enumerate(names)
    ]
    return sources, mounts


def log(run: contract.Run, attempt: str, pod: str) -> str | None:
    """The URI of the file that keeps what a pod prints, beside what its run makes.

    None for a folder of one machine, whose shell keeps the logs of its pods itself. `pod` may be a
    reference that Kubernetes expands, which takes nothing else in it for one.
    """
    if run.folder.startswith("file://"):
        return None
    return f"{run.folder.replace('$', '$$')}/logs/{attempt}/{pod}.log"


def _uris(value: Any) -> list[str]:
    """Every string of a JSON value that is a URI of storage; a run has them in fields of their own."""
    if isinstance(value, dict):
        return [uri for item in value.values() for uri in _uris(item)]
    if isinstance(value, list):
        return [uri for item in value for uri in _uris(item)]
    return [value] if isinstance(value, str) and value.startswith(_SCHEMES) else []
