"""Where the stages of a run meet in storage, and how a stage makes its folder appear at once.

    <run folder>/work/clean/00003/       what one pod of a stage made, sealed by a manifest
    <run folder>/work/dedup/
    <run folder>/work/tokenise/00003/
    <run folder>/artifact/               the Dataset

A folder is filled under a name of its own, sealed, and renamed. A pod that dies leaves nothing that
counts; of two that do the same work the first to rename wins, and both made the same bytes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cupola_api.artifact import ArtifactInvalid, Manifest, read_manifest, seal, verify
from cupola_api.common import Artifact, Lineage
from cupola_api.outcome import FailureClass
from cupola_api.run import CurateRun
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import path_of

Facts = dict[str, Any]
"""What a stage counted, as JSON values; it lies in the manifest."""

PART = "Part"
DATASET = "Dataset"


def artifact_folder(run: CurateRun) -> Path:
    """Where the Dataset of a run is published."""
    return path_of(run.folder) / "artifact"


def work_folder(run: CurateRun) -> Path:
    """Where stages leave what later stages need; gone when the Dataset is there."""
    return path_of(run.folder) / "work"


def stage_folder(run: CurateRun, stage: str, part: int | None = None) -> Path:
    """What a stage made, or one part of it."""
    folder = work_folder(run) / stage
    return folder if part is None else folder / f"{part:05d}"


def sealed(folder: Path, run: CurateRun) -> Manifest | None:
    """The manifest of a folder that is whole and of this run; None if there is no such folder."""
    try:
        manifest, _ = verify(folder)
    except ArtifactInvalid:
        return None
    return manifest if manifest.run == run.digest else None


def require(folder: Path, run: CurateRun, *, check: bool = True) -> Manifest:
    """The manifest of what an earlier stage made; with `check` every file of it is hashed.

    Raises PodFailure if it is not there: stages then run out of order, or storage lost it.
    """
    try:
        manifest, _ = verify(folder) if check else read_manifest(folder)
        if manifest.run != run.digest:
            raise ArtifactInvalid(f"{folder} was made by another run")
    except ArtifactInvalid as error:
        raise PodFailure(
            "StageMissing",
            f"an earlier stage is not whole: {error}; run that stage again",
            FailureClass.INFRASTRUCTURE,
        ) from error
    return manifest


def commit(
    folder: Path,
    run: CurateRun,
    fill: Callable[[Path], Facts],
    *,
    kind: str = PART,
    inputs: list[Lineage] | None = None,
) -> Artifact:
    """Let `fill` write into a fresh folder and return its facts; seal it, then put it in place.

    If a whole folder of the run appeared meanwhile, that one stays.
    """
    work = work_folder(run)
    work.mkdir(parents=True, exist_ok=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=work))
    try:
        own.chmod(0o755)  # the next stage may run as another user
        seal(own, kind=kind, run=run.digest, inputs=inputs, facts=fill(own))
        if sealed(folder, run) is None:
            _replace(own, folder, run)
    finally:
        shutil.rmtree(own, ignore_errors=True)
    return read_manifest(folder)[1]


def _replace(own: Path, folder: Path, run: CurateRun) -> None:
    """Rename `own` to `folder`; what is broken there goes first."""
    if folder.exists():
        broken = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=own.parent))
        folder.rename(broken / folder.name)
        shutil.rmtree(broken, ignore_errors=True)
    try:
        own.rename(folder)
    except OSError:
        if sealed(folder, run) is None:  # not a twin that was faster
            raise
