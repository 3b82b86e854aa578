"""From a URI of run.yaml to a place: a folder of this machine, or a prefix in an S3 bucket.

file:///folder        on this machine, percent-encoded
pvc://claim/folder    on a volume, mounted at MOUNT/claim; percent-encoded
s3://bucket/prefix    in object storage; the key as it is, as in other tools
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

from cupola_api.outcome import FailureClass
from cupola_trainer.pod import PodFailure

MOUNT = Path("/mnt/cupola")
"""Where pods find the volumes of claims."""

_CLAIM = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, order=True)
class S3Place:
    """An object or a prefix of a bucket; it joins and splits like a path."""

    bucket: str
    key: str
    """Without a slash at either end; empty for the whole bucket."""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def __truediv__(self, name: str) -> S3Place:
        return S3Place(self.bucket, f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> S3Place:
        """All but the last part."""
        return S3Place(self.bucket, self.key.rpartition("/")[0])


Place = Path | S3Place
"""Where something lies. What is on a disk is used in place; S3 is reached by this package alone."""


def place_of(uri: str) -> Place:
    """The place of a resolved URI. Raises PodFailure for one that names none."""
    scheme, _, rest = uri.partition("://")
    if scheme == "s3":
        bucket, _, key = rest.partition("/")
        key = key.strip("/")
        if _BUCKET.fullmatch(bucket) and not {"", ".", ".."} & set(key.split("/") if key else ()):
            return S3Place(bucket, key)
        raise _unknown(uri, "write s3://bucket/prefix, without '..'")
    if scheme == "pvc":
        claim, _, path = rest.partition("/")
        parts = PurePosixPath(unquote(path)).parts
        if _CLAIM.fullmatch(claim) and not {"/", ".."} & set(parts) and "\0" not in unquote(path):
            return MOUNT.joinpath(claim, *parts)
        raise _unknown(uri, "write pvc://claim/path, without '..'")
    if scheme == "file" and rest.startswith("/") and "\0" not in unquote(rest):
        return Path(unquote(rest))
    raise _unknown(uri, "a trainer reads s3://, pvc:// and file:///")


def uri_of(place: Place) -> str:
    """The inverse of `place_of`."""
    if isinstance(place, S3Place):
        return str(place)
    path = place.absolute()
    if path.is_relative_to(MOUNT) and path != MOUNT:
        claim, *parts = path.relative_to(MOUNT).parts
        return f"pvc://{claim}/{quote('/'.join(parts))}"
    return path.as_uri()


def _unknown(uri: str, remedy: str) -> PodFailure:
    return PodFailure("StorageUnknown", f"{uri} cannot be opened: {remedy}", FailureClass.USER)
