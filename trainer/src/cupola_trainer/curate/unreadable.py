"""What an error means that comes up while the files of a source are found and read."""

from __future__ import annotations

import errno

from cupola_api.dataset import Source
from cupola_api.errors import plain
from cupola_api.outcome import FailureClass
from cupola_trainer.failures import StoreError, storage_error
from cupola_trainer.pod import PodFailure

LONGEST = 200
"""Characters of a path in a sentence; a termination message has room for 512."""


def failure(source: Source, what: str, error: OSError) -> PodFailure:
    """The failure of a source of which `what` cannot be read.

    A file that is gone has changed; one that may not be read is for a person. Raises `error` if
    storage does not answer: that says nothing of the source, and is tried again.
    """
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return changed(source, what)
    if isinstance(error, StoreError) or storage_error(error) not in (
        None,
        errno.EACCES,
        errno.EPERM,
    ):
        raise error
    return PodFailure(
        "SourceUnreadable",
        f"source {source.name}: {plain(what, LONGEST)} cannot be read: {error.strerror}; let the pod read it, or "
        "correct the uri",
        FailureClass.USER,
    )


def changed(source: Source, what: str) -> PodFailure:
    """The failure of a source that is not any more what it was."""
    return PodFailure(
        "SourceChanged",
        f"source {source.name}: {plain(what, LONGEST)} is not as it was listed; leave the files as they are while "
        "a run reads them, or start a new run with a higher spec.revision",
        FailureClass.DATA,
    )
