"""Where artifacts live: from a URI of run.yaml to a folder of this machine.

The one place that knows what a scheme means. `file://` folders are used in place.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from cupola_api.artifact import MANIFEST, ArtifactInvalid, Manifest, verify
from cupola_api.common import Artifact
from cupola_api.outcome import FailureClass
from cupola_api.run import Input
from cupola_trainer.failures import storage_error
from cupola_trainer.pod import PodFailure


def path_of(uri: str) -> Path:
    """The folder or file of a resolved URI. Raises PodFailure for a scheme that is not known."""
    place = unquote(uri.removeprefix("file://"))
    if not uri.startswith("file:///") or "\0" in place:
        raise PodFailure(
            "StorageUnknown",
            f"{uri} cannot be opened: this trainer reads file:/// only",
            FailureClass.USER,
        )
    return Path(place)


def check(folder: Path, *, digest: str | None = None) -> tuple[Manifest, Artifact]:
    """As `verify`, but an outage of storage, which says nothing of the artifact, is an OSError."""
    try:
        return verify(folder, digest=digest)
    except ArtifactInvalid as error:
        if error.__cause__ and storage_error(error.__cause__):
            raise error.__cause__ from None
        raise


def open_input(source: Input) -> Path:
    """The folder of an input, after every file of it was checked against its digest.

    Raises PodFailure, or OSError if storage does not answer.
    """
    folder = path_of(source.uri)
    try:
        check(folder, digest=source.digest)
    except ArtifactInvalid as error:
        raise PodFailure(
            "InputInvalid",
            f"{source.kind} {source.name} is not as it was made: {error}; make it again with a new "
            "spec.revision",
            FailureClass.DATA,
        ) from error
    return folder


def finished(folder: Path, run: str) -> Artifact | None:
    """The verified artifact of run `run` in `folder`, or None if there is none.

    Says so of one that is damaged: it will be made again. Raises OSError if storage does not
    answer: that is no reason to do the work again.
    """
    try:
        manifest, artifact = check(folder)
    except ArtifactInvalid as error:
        if (folder / MANIFEST).exists():
            print(
                f"warning: the artifact of this run is damaged: {error}; it is made again",
                flush=True,
            )
        return None
    return artifact if manifest.run == run else None
