"""Artifacts in S3: brought to this machine, checked where they lie, put there, removed.

The manifest is the last object that is put and the first that is removed: what lacks it is not
there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cupola_api.artifact import (
    MANIFEST,
    ArtifactInvalid,
    File,
    Manifest,
    parse_manifest,
)
from cupola_api.artifact import read_manifest as read_local
from cupola_api.common import Artifact
from cupola_api.part import read_part
from cupola_trainer.storage import s3, scratch
from cupola_trainer.storage.place import S3Place


def read_manifest(place: S3Place) -> tuple[Manifest, Artifact]:
    """As `artifact.read_manifest`. Raises ArtifactInvalid, or StoreError."""
    return parse_manifest(_read(place)[0], where=str(place / MANIFEST), uri=str(place))


def verify(place: S3Place, digest: str | None) -> tuple[Manifest, Artifact]:
    """As `artifact.verify`: all is read and nothing is kept. Raises ArtifactInvalid or StoreError."""
    manifest, artifact = read_manifest(place)
    if digest is not None:
        _expect(place, artifact.digest, digest)
    found = s3.digests([(place / file.path, file.bytes) for file in manifest.files])
    _compare(place, manifest.files, found)
    return manifest, artifact


def fetch(place: S3Place, digest: str | None, only: Sequence[str]) -> Path:
    """A copy of an artifact, checked; of `only` what begins so, if anything is named.

    It stays until the last rank of this machine ends; its size is that of the files. The manifest of
    the copy has the time of the original. Raises ArtifactInvalid, or StoreError, also if there is no
    room for the copy.
    """
    # A large manifest is that of an input, whose digest is known.
    small = None if digest else _read(place)
    expected = digest or ("sha256:" + hashlib.sha256(small[0]).hexdigest() if small else "")
    asked = "\n".join([str(place), expected, *only])
    with scratch.alone(hashlib.sha256(asked.encode()).hexdigest()[:16]) as copy:
        if (copy / MANIFEST).exists():
            return copy
        shutil.rmtree(copy, ignore_errors=True)  # left by a rank that was killed
        try:
            begun = time.monotonic()
            with scratch.room_for(str(place)):
                size = _fetch(place, expected, only or ("",), copy, small)
            seconds = time.monotonic() - begun
            print(f"copied {size / 1e6:,.1f} MB from {place} in {seconds:,.1f} s", flush=True)
        except BaseException:
            shutil.rmtree(copy, ignore_errors=True)
            raise
        (copy / _COMING).rename(copy / MANIFEST)
        return copy


_COMING = ".manifest"


def _fetch(
    place: S3Place,
    expected: str,
    only: Sequence[str],
    copy: Path,
    small: tuple[bytes, float] | None,
) -> int:
    """Bring the manifest, under another name, and files; returns how many bytes the files have.

    `small`: the manifest and its time, if it was read already.
    """
    copy.mkdir()
    whole, where = copy / _COMING, place / MANIFEST
    with _there(where):
        modified = small[1] if small else s3.copy(where, whole)
    if small:
        whole.write_bytes(small[0])
    os.utime(whole, (modified, modified))
    part = read_part(whole, *only, where=str(where))
    _expect(place, part.digest, expected)
    _compare(place, part.files, _bring(place, [(f.path, f.bytes) for f in part.files], copy))
    return sum(file.bytes for file in part.files)


def publish(folder: Path, place: S3Place) -> Artifact:
    """Put a sealed folder of this machine at a place. Raises StoreError."""
    manifest, artifact = read_local(folder)
    s3.upload((folder / file.path, place / file.path) for file in manifest.files)
    s3.write(place / MANIFEST, (folder / MANIFEST).read_bytes())
    return artifact.model_copy(update={"uri": str(place)})


def remove(place: S3Place) -> None:
    """Delete all objects below a place. Raises StoreError."""
    found = {entry.path for entry in s3.below(place)}
    manifests = {path for path in found if path.rpartition("/")[2] == MANIFEST}
    s3.delete(place / path for path in sorted(manifests))
    s3.delete(place / path for path in sorted(found - manifests))


def sizes(place: S3Place) -> dict[str, int]:
    """The objects below a place, and their bytes."""
    return {entry.path: entry.bytes for entry in s3.below(place)}


def copy_tree(place: S3Place, folder: Path) -> None:
    """Bring all that lies below a place, unchecked. Raises StoreError, or OSError."""
    found = [(entry.path, entry.bytes) for entry in s3.below(place)]
    inside = [entry for entry in found if not {"", ".", ".."} & set(entry[0].split("/"))]
    with scratch.room_for(str(place)):
        for _ in _bring(place, inside, folder):
            pass


def _read(place: S3Place) -> tuple[bytes, float]:
    with _there(place / MANIFEST):
        return s3.read(place / MANIFEST)


@contextmanager
def _there(manifest: S3Place) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactInvalid(f"{manifest} cannot be read: {error.strerror}") from error


def _bring(place: S3Place, wanted: Sequence[tuple[str, int]], folder: Path) -> Iterator[s3.Digest]:
    """Copy files, by path and size, as they are asked for; says what each holds."""
    for parent in {folder, *((folder / name).parent for name, _ in wanted)}:
        parent.mkdir(parents=True, exist_ok=True)
    return s3.download([(place / name, size, folder / name) for name, size in wanted])


def _compare(place: S3Place, files: Sequence[File], found: Iterator[s3.Digest]) -> None:
    """Raises ArtifactInvalid for the first of `files` that is not as the manifest says."""
    try:
        for file, (size, sha256) in zip(files, found, strict=True):
            if size != file.bytes:
                raise ArtifactInvalid(
                    f"{place / file.path} has {size} bytes, expected {file.bytes}"
                )
            if sha256 != file.sha256:
                raise ArtifactInvalid(
                    f"{place / file.path} has other content than its manifest says"
                )
    except FileNotFoundError as error:
        raise ArtifactInvalid(f"{error.filename} is missing") from None


def _expect(place: S3Place, found: str, expected: str) -> None:
    if found != expected:
        raise ArtifactInvalid(f"{place} has digest {found}, expected {expected}")
