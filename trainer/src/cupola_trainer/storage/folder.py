"""What is done with a place, be it a folder of this machine or a prefix in S3."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cupola_api import artifact as local
from cupola_api.artifact import MANIFEST, ArtifactInvalid, Manifest, write_atomic
from cupola_api.common import Artifact
from cupola_api.outcome import FailureClass
from cupola_api.part import verify_part
from cupola_api.run import Input
from cupola_trainer.failures import storage_error
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import remote, s3, scratch
from cupola_trainer.storage.place import Place, S3Place, place_of, uri_of


def entries(place: Place) -> list[Place]:
    """What lies in a folder, of S3 the folders in it; nothing if there is none. Raises OSError."""
    if isinstance(place, S3Place):
        return [*s3.folders(place)]
    try:
        return [*place.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def read(place: Place) -> bytes:
    """A small file. Raises OSError."""
    return place.read_bytes() if isinstance(place, Path) else s3.read(place)[0]


def write(place: Place, data: bytes) -> None:
    """Make or replace a small file; a reader, or a crash, sees all of it or none. Raises OSError."""
    if isinstance(place, Path):
        write_atomic(place, data)
    else:
        s3.write(place, data)


def discard(place: Place) -> None:
    """Delete what lies at a place, as far as that is possible."""
    if isinstance(place, Path):
        shutil.rmtree(place, ignore_errors=True)
    else:
        with suppress(OSError):
            remote.remove(place)


def copied(wanted: Sequence[tuple[Place, int]], into: Path) -> list[Path]:
    """Files of this machine with the content of places, whose sizes are known.

    Of those in S3 they are copies in the folder `into`; one of another size is not there. Raises
    OSError.
    """
    found: list[Path] = []
    copies = []
    for number, (place, size) in enumerate(wanted):
        if isinstance(place, S3Place):
            copy = into / str(number) / place.name
            copy.parent.mkdir(parents=True)
            copies.append((place, size, copy))
            found.append(copy)
        else:
            found.append(place)
    if copies:
        with scratch.room_for(str(copies[0][0])):
            for _ in s3.download(copies):
                pass
    return found


def copied_tree(place: Place, into: Path) -> Path:
    """A folder of this machine with all that lies at a place: for S3 a new one in `into`.

    Nothing is checked. Raises OSError.
    """
    if isinstance(place, Path):
        return place
    copy = Path(tempfile.mkdtemp(dir=into)) / (place.name or place.bucket)
    remote.copy_tree(place, copy)
    return copy


def read_manifest(place: Place) -> tuple[Manifest, Artifact]:
    """The manifest of an artifact, its files not yet checked. Raises ArtifactInvalid or OSError."""
    if isinstance(place, S3Place):
        return remote.read_manifest(place)
    return _placed(local.read_manifest(place), place)


def check(place: Place, *, digest: str | None = None) -> tuple[Manifest, Artifact]:
    """As `artifact.verify`, but an outage of storage, which says nothing of it, is an OSError."""
    if isinstance(place, S3Place):
        return remote.verify(place, digest)
    with _said_here():
        return _placed(local.verify(place, digest=digest), place)


@contextmanager
def _said_here() -> Iterator[None]:
    """Around checking a folder: an outage of the disk, which says nothing of it, is an OSError."""
    try:
        yield
    except ArtifactInvalid as error:
        if error.__cause__ and storage_error(error.__cause__):
            raise error.__cause__ from None
        raise


def complete(place: Place, manifest: Manifest) -> bool:
    """Whether every file of an artifact is there with its size. Raises OSError."""
    if isinstance(place, S3Place):
        there = remote.sizes(place)
        return all(there.get(file.path) == file.bytes for file in manifest.files)
    return all((place / file.path).stat().st_size == file.bytes for file in manifest.files)


def fetch(place: Place, *only: str, digest: str | None = None) -> Path:
    """The folder of an artifact on this machine, checked.

    `only` limits it to the files whose paths begin so. The copy of what lies in S3 needs as much
    room below TMPDIR as they have bytes, once for all ranks of a machine, and goes with the last of
    them. Raises ArtifactInvalid or OSError.
    """
    if isinstance(place, S3Place):
        return remote.fetch(place, digest, only)
    with _said_here():
        verify_part(place, *only, digest=digest) if only else local.verify(place, digest=digest)
    return place


def forget(copy: Path, place: Place) -> None:
    """Remove what `fetch` brought in, before the end; files that are open stay readable."""
    if isinstance(place, S3Place):
        shutil.rmtree(copy, ignore_errors=True)


def open_input(source: Input, *only: str, check_here: bool = True) -> Path:
    """The folder of an input on this machine, after every file was checked against its digest.

    `only`: see `fetch`. With `check_here` false, what is used in place was checked by another rank.
    Raises PodFailure, or OSError if storage does not answer.
    """
    place = place_of(source.uri)
    if isinstance(place, Path) and not check_here:
        return place
    try:
        return fetch(place, *only, digest=source.digest)
    except ArtifactInvalid as error:
        raise input_invalid(source, error) from error


def input_invalid(source: Input, error: ArtifactInvalid) -> PodFailure:
    """The failure of a run whose input is damaged."""
    return PodFailure(
        "InputInvalid",
        f"{source.kind} {source.name} is not as it was made: {error}; make it again with a new "
        "spec.revision",
        FailureClass.DATA,
    )


def finished(place: Place, run: str) -> Artifact | None:
    """The verified artifact of run `run` at a place, or None if there is none.

    Says so of one that is damaged: it will be made again. Raises OSError if storage does not
    answer: that is no reason to do the work again.
    """
    try:
        manifest, artifact = check(place)
    except ArtifactInvalid as error:
        if not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            print(
                f"warning: the artifact of this run is damaged: {error}; it is made again",
                flush=True,
            )
        return None
    return artifact if manifest.run == run else None


@contextmanager
def workplace(place: Place) -> Iterator[Path]:
    """Where to make what `publish` or `put` then puts at a place: there itself, or below TMPDIR.

    Raises StoreError if there is no room below TMPDIR.
    """
    if isinstance(place, Path):
        yield place
        return
    folder = scratch.folder(place.name)
    try:
        with scratch.room_for(str(place)):
            yield folder
    finally:
        scratch.remove(folder)


def put(file: Path, place: Place) -> None:
    """Put a file that was made in a `workplace` at its place. Raises OSError."""
    if isinstance(place, S3Place):
        s3.upload([(file, place)])


def is_sealed(place: S3Place) -> bool:
    """Whether there is a manifest. Raises OSError."""
    return s3.find(place / MANIFEST) is not None


def delete(place: S3Place) -> None:
    """Delete all that lies at a place, its manifests first. Raises OSError."""
    remote.remove(place)


def publish(folder: Path, place: Place) -> Artifact:
    """Put a sealed folder at its place, the manifest last. Raises OSError."""
    if isinstance(place, S3Place):
        return remote.publish(folder, place)
    return read_manifest(place)[1]


def _placed(found: tuple[Manifest, Artifact], place: Path) -> tuple[Manifest, Artifact]:
    """What was found in a folder, under the name that other pods know the folder by."""
    manifest, artifact = found
    return manifest, artifact.model_copy(update={"uri": uri_of(place)})
