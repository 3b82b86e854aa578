"""Which checkpoint of a run to go on from."""

from __future__ import annotations

import re
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import NamedTuple

from cupola_api.artifact import ArtifactInvalid
from cupola_trainer import storage
from cupola_trainer.storage import Place

CHECKPOINTS = "checkpoints"
"""Folder of an attempt that holds its checkpoints."""

KIND = "Checkpoint"
"""Their kind in the manifest."""

_STEP = re.compile(r"step-(\d{7,})")


class Choice(NamedTuple):
    """Where a run goes on from."""

    path: Place | None
    """The newest whole checkpoint; None: there is none."""
    passed_over: list[str]
    """A sentence for each newer one that is damaged."""


def folder_name(step: int) -> str:
    """The folder of the checkpoint of a step."""
    return f"step-{step:07d}"


def step_of(path: Place) -> int | None:
    """The step of a checkpoint by its folder's name; None for a name of something else."""
    match = _STEP.fullmatch(path.name)
    return int(match[1]) if match else None


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key under which `a2` comes before `a10`."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def candidates(run_folder: Place) -> list[Place]:
    """Checkpoints of all attempts of a run, the one of the highest step first, none checked.

    What a kill left unfinished is none: on a disk a hidden folder, in S3 one without a manifest.
    Raises OSError.
    """
    found = [
        (step, natural(attempt.name), path)
        for attempt in storage.entries(run_folder)
        for path in storage.entries(attempt / CHECKPOINTS)
        if (step := step_of(path)) is not None
    ]
    found.sort(key=lambda one: one[:2], reverse=True)
    return [path for _, _, path in found if isinstance(path, Path) or storage.is_sealed(path)]


def newest(run_folder: Place, run: str) -> Choice:
    """The newest checkpoint of a run whose every file verifies, and which damaged ones are newer.

    One that cannot be read is as good as damaged, as long as an older one can be read. Raises
    OSError if none can: beginning anew for an outage of storage would throw the run away.
    """
    damaged: list[tuple[Place, str]] = []
    outage: OSError | None = None
    chosen = None
    for path in candidates(run_folder):
        try:
            wrong = _wrong(path, run)
        except OSError as error:
            if error.errno in (ENOSPC, EDQUOT):  # of this machine, for the copy
                raise
            wrong, outage = f"{error.filename or path} cannot be read: {error.strerror}", error
        if wrong is None:
            chosen = path
            break
        damaged.append((path, wrong))
    if chosen is None and outage:
        raise outage
    instead = f"going on from {name_in_run(chosen)} instead" if chosen else "beginning anew"
    return Choice(
        chosen,
        [
            f"checkpoint {name_in_run(path)} is passed over: {wrong}; {instead}"
            for path, wrong in damaged
        ],
    )


def _wrong(path: Place, run: str) -> str | None:
    """What is wrong with a checkpoint, if anything. Raises OSError if storage does not answer."""
    try:
        here = isinstance(path, Path)
        manifest, _ = storage.check(path) if here else storage.read_manifest(path)
        if manifest.kind != KIND or manifest.run != run:
            return f"{path} is of another run"
        if manifest.facts != {"step": step_of(path)}:
            return f"{path} is not of the step that its manifest says"
        if not here:
            storage.fetch(path)  # to go on from, if it is whole
    except ArtifactInvalid as error:
        return str(error)
    return None


def name_in_run(path: Place) -> str:
    """The way from the run's folder to a checkpoint."""
    return f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
