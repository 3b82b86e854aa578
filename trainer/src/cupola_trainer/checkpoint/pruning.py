"""Which checkpoints of a run are of no more use, and their deletion.

A folder is renamed to a hidden name before it is deleted, so that a kill on the way leaves no
broken checkpoint in sight; what it leaves hidden goes with the next deletion.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cupola_api.artifact import ArtifactInvalid, read_manifest
from cupola_trainer.checkpoint.choose import CHECKPOINTS, entries, natural, step_of

_ATTEMPT = re.compile(r"a(\d+)-(.+)")


def earlier_attempts(attempt: Path) -> list[Path]:
    """The attempts of the run that are older than `attempt`; asked by it as it begins.

    Those that are there by then, as a later one comes later. Of the same resource they are also
    numbered: an attempt that was held up as it began knows by that of the one that replaced it.
    Raises OSError.
    """
    return [
        path
        for path in entries(attempt.parent)
        if path.is_dir() and path != attempt and not _after(path.name, attempt.name)
    ]


def prune(folder: Path, keep: int, earlier: Sequence[Path] = ()) -> None:
    """Delete all but the newest `keep` whole checkpoints in `folder`, and what a crash left.

    When there are as many, those of `earlier` attempts of the run are deleted too, but for any
    that are newer by step. Whole here means a manifest and files of the right size: reading
    hundreds of gigabytes again after each save would cost more than it guards against. Raises
    OSError.
    """
    mine = [path for path in entries(folder) if step_of(path) is not None]
    mine.sort(key=lambda path: natural(path.name), reverse=True)
    kept = [path for path in mine if _whole(path)][:keep]
    _delete(folder, [path for path in mine if path not in kept])
    if len(kept) < keep:
        return
    for attempt in earlier:
        theirs = attempt / CHECKPOINTS
        _delete(theirs, [path for path in entries(theirs) if _replaced(path, kept[-1])])
        with suppress(OSError):  # not empty, or not there
            theirs.rmdir()


def prune_or_warn(folder: Path, keep: int, earlier: Sequence[Path] = ()) -> None:
    """Prune after a save; a training does not fail for what it cannot delete."""
    try:
        prune(folder, keep, earlier)
    except OSError as error:  # the next one tries again
        print(f"warning: not every old checkpoint could be deleted: {error}", flush=True)


def _delete(folder: Path, paths: list[Path]) -> None:
    """Delete checkpoints of a folder, and what was left hidden in it."""
    _clear(folder)
    for path in paths:
        path.rename(path.with_name(f".{path.name}.old"))
    _clear(folder)


def _clear(folder: Path) -> None:
    for path in entries(folder):
        if path.name.startswith(".step-"):
            shutil.rmtree(path)


def _whole(path: Path) -> bool:
    try:
        manifest, _ = read_manifest(path)
        return all((path / file.path).stat().st_size == file.bytes for file in manifest.files)
    except (ArtifactInvalid, OSError):
        return False


def _replaced(path: Path, by: Path) -> bool:
    """Whether a checkpoint of another attempt has a successor in a whole one of the same run."""
    step, newer = step_of(path), step_of(by)
    if step is None or newer is None or step > newer:
        return False
    try:
        return read_manifest(path)[0].run == read_manifest(by)[0].run
    except ArtifactInvalid:
        return True  # damaged


def _after(name: str, other: str) -> bool:
    """Whether an attempt's name says that it comes after another of the same resource."""
    found, mine = _ATTEMPT.fullmatch(name), _ATTEMPT.fullmatch(other)
    return bool(found and mine and found[2] == mine[2] and int(found[1]) > int(mine[1]))
