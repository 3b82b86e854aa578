"""What an error of Python or of a library means for the run: whose move it is, and the remedy.

Torch is not imported: not every pod has it.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from cupola_api.outcome import FailureClass
from cupola_trainer.pod import RANK_LOST, PodFailure

TRAINING = (
    "use more devices or a higher spec.parallelism.zeroStage, or set "
    "spec.parallelism.activationCheckpointing"
)
"""What to do about a training that does not fit its memory."""

MEMORY_EVENTS = Path("/sys/fs/cgroup/memory.events")
"""Where the kernel counts the processes of this container that it killed for want of memory."""

_ROOM = "make room in the store"
_CARE = "see to the volume; the next attempt goes on from what is saved"
_STORAGE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: "mount the store for writing",
    errno.EACCES: "let the user of the pod read and write there",
    errno.EPERM: "let the user of the pod read and write there",
    errno.EIO: _CARE,
    errno.ESTALE: _CARE,
    errno.ENOTCONN: _CARE,
    errno.ENODEV: _CARE,
    errno.ENXIO: _CARE,
}
"""Errors of storage itself, whatever was done with it -> the remedy."""

_NO_MEMORY = ("DefaultCPUAllocator", "can't allocate memory", "out of memory", "ALLOC_FAILED")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # how libraries in Rust write errno
_TRANSPORT = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")


class StoreError(OSError):
    """An object store did not do what it was asked for; `strerror` says why, `filename` where."""

    def __init__(
        self, number: int, why: str, uri: str, *, reason: str, remedy: str, failure: FailureClass
    ) -> None:
        """`number`: the errno of a disk in that state; `why` and `remedy`: parts of a sentence."""
        super().__init__(number, why, uri)
        self.failure = PodFailure(reason, f"{uri} cannot be used: {why}; {remedy}", failure)
        """Whose move it is, and the remedy."""


def failure_of(
    error: BaseException, *, remedy: str = TRAINING, store: str = "the store"
) -> PodFailure | None:
    """The failure that an error stands for, by itself or by its cause; None for an unknown one.

    `remedy`: what to do about too little memory; `store`: what to name where the error names no
    path.
    """
    for one in _causes(error):
        if isinstance(one, PodFailure):
            return one
        if isinstance(one, StoreError):
            return one.failure
        if is_memory(one):
            return out_of_memory(remedy)
        if number := storage_error(one):
            return storage_failed(one, number, store)
        if _is_transport(one):
            return _follows(one, remedy)
    return None


def out_of_memory(remedy: str) -> PodFailure:
    """A process needed more memory than there is."""
    return PodFailure(
        "OutOfMemory", f"the pod ran out of memory; {remedy}", FailureClass.OUT_OF_MEMORY
    )


def storage_failed(error: BaseException, number: int, store: str) -> PodFailure:
    """Storage did not do what it was asked for."""
    path = getattr(error, "filename", None) or store
    return PodFailure(
        "StorageFailed",
        f"{path} cannot be used: {os.strerror(number)}; {storage_remedy(number)}",
        FailureClass.INFRASTRUCTURE,
    )


def storage_remedy(number: int | None) -> str:
    """What a person can do about an error of storage, by its errno."""
    return _STORAGE.get(number or 0, _CARE)


def rank_lost(detail: str) -> PodFailure:
    """Another rank is gone; this is a consequence, and the cause is that rank's to say."""
    return PodFailure(
        RANK_LOST,
        f"another rank ended or cannot be reached ({detail[:200]}); its own message or log says "
        "why",
        FailureClass.INFRASTRUCTURE,
    )


def storage_error(error: BaseException) -> int | None:
    """The errno of an error of storage itself; None for any other error."""
    if isinstance(error, OSError) and error.errno:
        return error.errno if error.errno in _STORAGE else None
    if found := _OS_ERROR.search(str(error)):
        return int(found[1]) if int(found[1]) in _STORAGE else None
    return None


def is_memory(error: BaseException) -> bool:
    """Whether an error says that there is too little memory, of the machine or of a device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)


def memory_kills() -> int:
    """Processes of this container that the kernel has killed for want of memory."""
    try:
        found = re.search(r"^oom_kill (\d+)$", MEMORY_EVENTS.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


_kills_before = memory_kills()


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on."""
    one: BaseException | None = error
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _is_transport(error: BaseException) -> bool:
    if not isinstance(error, RuntimeError):
        return False
    of_torch = any(kind.__name__ == "DistError" for kind in type(error).__mro__)
    return of_torch or any(text in str(error) for text in _TRANSPORT)


def _follows(error: BaseException, remedy: str) -> PodFailure:
    """The failure of a rank that lost another one: one that the kernel killed says nothing itself."""
    if memory_kills() > _kills_before:
        return out_of_memory(remedy)
    first = (str(error).splitlines() or [""])[0]
    return rank_lost(re.sub(r"^\[[^]]*\] ", "", first).partition(". ")[0])
