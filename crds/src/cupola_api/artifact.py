"""The artifact: a folder whose `manifest.json` is written last.

The manifest lists every file with its size and sha256, and the digests of what the artifact was
made from. It holds no time, no path outside the folder and no name of a machine, so the same work
gives the same digest anywhere. A folder without a manifest that verifies is not an artifact.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from cupola_api.base import Model
from cupola_api.common import Artifact, Digest, Lineage

MANIFEST = "manifest.json"


class ArtifactInvalid(Exception):
    """A folder is not a whole artifact; the message says which file and why."""


class File(Model):
    """A file of an artifact."""

    path: str = Field(min_length=1, max_length=1024, description="Relative, with forward slashes.")
    bytes: int = Field(ge=0, description="Size.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Hash of the content.")


class Manifest(Model):
    """The content of manifest.json."""

    format: int = Field(1, ge=1, le=1, description="Version of this format.")
    kind: str = Field(description="Dataset, Model, Checkpoint, Scores or a part of one.")
    run: Digest = Field(description="Digest of the run that made it.")
    inputs: list[Lineage] = Field(default_factory=list, description="What it was made from.")
    facts: dict[str, Any] = Field(
        default_factory=dict, description="A small summary, such as counts; JSON values."
    )
    files: list[File] = Field(description="Every file but the manifest, sorted by path.")


def canonical(value: Any) -> bytes:
    """JSON in one spelling: sorted keys, no spaces, UTF-8. Digests are taken over it."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest_of(value: Any) -> str:
    """`sha256:...` of a JSON value in canonical form."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()


def hash_file(path: Path) -> str:
    """The sha256 of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash at any point, sees all of it or none.

    Content and rename are synced to disk before this returns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # on a full disk it would be in the way
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def seal(
    folder: Path,
    *,
    kind: str,
    run: str,
    inputs: list[Lineage] | None = None,
    facts: dict[str, Any] | None = None,
) -> Artifact:
    """Hash every file under `folder`, then write its manifest; the folder is an artifact after it.

    All is flushed to disk before the manifest is there: a node may lose power at any time. Hidden
    temporary files are not part of it. Sealing again after a crash gives the same result.
    """
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST and not path.name.startswith("."):
            relative = path.relative_to(folder).as_posix()
            files.append(File(path=relative, bytes=path.stat().st_size, sha256=hash_file(path)))
            sync(path)
        elif path.is_dir():
            sync(path)
    manifest = Manifest(
        kind=kind,
        run=run,
        inputs=inputs or [],
        facts=facts or {},
        files=sorted(files, key=lambda f: f.path),
    )
    data = canonical(manifest.to_json())
    write_atomic(folder / MANIFEST, data)
    return _artifact(manifest, data, folder.absolute().as_uri())


def read_manifest(folder: Path) -> tuple[Manifest, Artifact]:
    """The manifest of an artifact, its files not yet checked. Raises ArtifactInvalid."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactInvalid(f"{path} cannot be read: {error.strerror}") from error
    return parse_manifest(data, where=str(path), uri=folder.absolute().as_uri())


def parse_manifest(data: bytes, *, where: str, uri: str) -> tuple[Manifest, Artifact]:
    """The manifest of the artifact at `uri` from its bytes. Raises ArtifactInvalid.

    `where`: what to call it in a sentence.
    """
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise ArtifactInvalid(f"{where} is not a manifest") from error
    for file in manifest.files:
        if file.path.startswith("/") or ".." in file.path.split("/"):
            raise ArtifactInvalid(f"{where} names a path outside it: {file.path}")
    return manifest, _artifact(manifest, data, uri)


def verify(folder: Path, *, digest: str | None = None) -> tuple[Manifest, Artifact]:
    """Check that every file is there with its size and hash, and the manifest's own digest.

    Raises ArtifactInvalid with the first difference.
    """
    manifest, artifact = read_manifest(folder)
    if digest is not None and artifact.digest != digest:
        raise ArtifactInvalid(f"{folder} has digest {artifact.digest}, expected {digest}")
    for file in manifest.files:
        check_file(folder, file)
    return manifest, artifact


def check_file(folder: Path, file: File) -> None:
    """Check that a file of an artifact is there with its size and hash. Raises ArtifactInvalid."""
    path = folder / file.path
    if not path.is_file():
        raise ArtifactInvalid(f"{path} is missing")
    if path.stat().st_size != file.bytes:
        raise ArtifactInvalid(f"{path} has {path.stat().st_size} bytes, expected {file.bytes}")
    if hash_file(path) != file.sha256:
        raise ArtifactInvalid(f"{path} has other content than its manifest says")


def _artifact(manifest: Manifest, data: bytes, uri: str) -> Artifact:
    return Artifact(
        uri=uri,
        digest="sha256:" + hashlib.sha256(data).hexdigest(),
        bytes=sum(file.bytes for file in manifest.files),
    )
