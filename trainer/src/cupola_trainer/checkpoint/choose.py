"""Which checkpoint of a run to go on from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from cupola_api.artifact import ArtifactInvalid
from cupola_trainer.storage import check

CHECKPOINTS = "checkpoints"
"""Folder of an attempt that holds its checkpoints."""

KIND = "Checkpoint"
"""Their kind in the manifest."""

_STEP = re.compile(r"step-(\d{7,})")


class Choice(NamedTuple):
    """Where a run goes on from."""

    path: Path | None
    """The newest whole checkpoint; None: there is none."""
    passed_over: list[str]
    """A sentence for each newer one that is damaged."""


def folder_name(step: int) -> str:
    """The folder of the checkpoint of a step."""
    return f"step-{step:07d}"


def step_of(path: Path) -> int | None:
    """The step of a checkpoint by its folder's name; None for a name of something else."""
    match = _STEP.fullmatch(path.name)
    return int(match[1]) if match else None


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key under which `a2` comes before `a10`."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def entries(folder: Path) -> list[Path]:
    """What lies in a folder; nothing if there is none. Raises OSError if it cannot be listed."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def candidates(run_folder: Path) -> list[Path]:
    """Checkpoints of all attempts of a run, the one of the highest step first, none checked.

    Hidden folders, in which a kill left one unfinished, are none. Raises OSError.
    """
    found = [
        (step, natural(attempt.name), path)
        for attempt in entries(run_folder)
        for path in entries(attempt / CHECKPOINTS)
        if (step := step_of(path)) is not None
    ]
    return [path for _, _, path in sorted(found, reverse=True)]


def newest(run_folder: Path, run: str) -> Choice:
    """The newest checkpoint of a run whose every file verifies, and which damaged ones are newer.

    One that cannot be read is as good as damaged, as long as an older one can be read. Raises
    OSError if none can: beginning anew for an outage of storage would throw the run away.
    """
    damaged: list[tuple[Path, str]] = []
    outage: OSError | None = None
    chosen = None
    for path in candidates(run_folder):
        try:
            wrong = _wrong(path, run)
        except OSError as error:
            wrong, outage = f"{error.filename or path} cannot be read: {error.strerror}", error
        if wrong is None:
            chosen = path
            break
        damaged.append((path, wrong))
    if chosen is None and outage:
        raise outage
    instead = f"going on from {_name(chosen)} instead" if chosen else "beginning anew"
    return Choice(
        chosen,
        [f"checkpoint {_name(path)} is passed over: {wrong}; {instead}" for path, wrong in damaged],
    )


def _wrong(path: Path, run: str) -> str | None:
    """What is wrong with a checkpoint, if anything. Raises OSError if storage does not answer."""
    try:
        manifest, _ = check(path)
    except ArtifactInvalid as error:
        return str(error)
    if manifest.kind != KIND or manifest.run != run:
        return f"{path} is of another run"
    if manifest.facts != {"step": step_of(path)}:
        return f"{path} is not of the step that its manifest says"
    return None


def _name(path: Path) -> str:
    return f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
