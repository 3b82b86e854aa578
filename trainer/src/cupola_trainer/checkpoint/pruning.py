"""Which checkpoints of a run are of no more use, and their deletion.

On a disk a folder is renamed to a hidden name before it is deleted, in S3 its manifest goes first:
a kill on the way leaves no broken checkpoint in sight, and what it leaves goes with the next deletion.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cupola_api.artifact import ArtifactInvalid
from cupola_trainer import storage
from cupola_trainer.checkpoint.choose import CHECKPOINTS, natural, step_of
from cupola_trainer.storage import Place

_ATTEMPT = re.compile(r"a(\d+)-(.+)")


def earlier_attempts(attempt: Place) -> list[Place]:
    """The attempts of the run that are older than `attempt`; asked by it as it begins.

    Those that are there by then, as a later one comes later. Of the same resource they are also
    numbered: an attempt that was held up as it began knows by that of the one that replaced it.
    Raises OSError.
    """
    return [
        path
        for path in storage.entries(attempt.parent)
        if not (isinstance(path, Path) and not path.is_dir())
        and path != attempt
        and not _after(path.name, attempt.name)
    ]


def prune(folder: Place, keep: int, earlier: Sequence[Place] = ()) -> None:
    """Delete all but the newest `keep` whole checkpoints in `folder`, and what a crash left.

    When there are as many, those of `earlier` attempts of the run are deleted too, but for any
    that are newer by step. Whole here means a manifest and files of the right size: reading
    hundreds of gigabytes again after each save would cost more than it guards against. Raises
    OSError.
    """
    mine = [path for path in storage.entries(folder) if step_of(path) is not None]
    mine.sort(key=lambda path: natural(path.name), reverse=True)
    kept = [path for path in mine if _whole(path)][:keep]
    _delete(folder, [path for path in mine if path not in kept])
    if len(kept) < keep:
        return
    for attempt in earlier:
        theirs = attempt / CHECKPOINTS
        _delete(theirs, [path for path in storage.entries(theirs) if _replaced(path, kept[-1])])
        if isinstance(theirs, Path):
            with suppress(OSError):  # not empty, or not there
                theirs.rmdir()


def prune_or_warn(folder: Place, keep: int, earlier: Sequence[Place] = ()) -> None:
    """Prune after a save; a training does not fail for what it cannot delete."""
    try:
        prune(folder, keep, earlier)
    except OSError as error:  # the next one tries again
        print(f"warning: not every old checkpoint could be deleted: {error}", flush=True)


def _delete(folder: Place, paths: list[Place]) -> None:
    """Delete checkpoints of a folder, and what was left hidden in it."""
    if isinstance(folder, Path):
        _clear(folder)
    for path in paths:
        if isinstance(path, Path):
            path.rename(path.with_name(f".{path.name}.old"))
        else:
            storage.delete(path)
    if isinstance(folder, Path):
        _clear(folder)


def _clear(folder: Path) -> None:
    for path in folder.iterdir() if folder.exists() else ():
        if path.name.startswith(".step-"):
            shutil.rmtree(path)


def _whole(path: Place) -> bool:
    try:
        return storage.complete(path, storage.read_manifest(path)[0])
    except (ArtifactInvalid, OSError):
        return False


def _replaced(path: Place, by: Place) -> bool:
    """Whether a checkpoint of another attempt has a successor in a whole one of the same run."""
    step, newer = step_of(path), step_of(by)
    if step is None or newer is None or step > newer:
        return False
    try:
        return storage.read_manifest(path)[0].run == storage.read_manifest(by)[0].run
    except ArtifactInvalid:
        return True  # damaged


def _after(name: str, other: str) -> bool:
    """Whether an attempt's name says that it comes after another of the same resource."""
    found, mine = _ATTEMPT.fullmatch(name), _ATTEMPT.fullmatch(other)
    return bool(found and mine and found[2] == mine[2] and int(found[1]) > int(mine[1]))
