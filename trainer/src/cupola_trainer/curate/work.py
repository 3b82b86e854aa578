"""Where the stages of a run meet in storage, and how a stage makes its folder appear at once.

    <run folder>/work/clean/00003/       what one pod of a stage made, sealed by a manifest
    <run folder>/work/match/00003/
    <run folder>/work/dedup/
    <run folder>/work/tokenise/00003/
    <run folder>/artifact/               the Dataset

On a disk a folder is filled under a name of its own, sealed, and renamed. A pod that dies leaves
nothing that counts; of two that do the same work the first to rename wins, and both made the same
bytes. In S3 its files are put one by one and its manifest last: until then it is not there, and a
twin puts the same bytes over it. An endpoint may have answered two twins of `generate` differently:
where the files of one then lie below the manifest of the other they do not fit it, so the folder is
not there and is made again, of the answers that are kept. What a later stage reads of it is brought to the machine, below
TMPDIR: `clean` needs room for its part and its rows, `match` for its range of signatures, `dedup` for
some 30 bytes a document, the pairs of copies and the slices of rows that the tokenizer is trained on,
`tokenise` for a slice of the rows and its range, `publish` for the Dataset.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cupola_api.artifact import ArtifactInvalid, Manifest, seal
from cupola_api.common import Artifact, Lineage
from cupola_api.outcome import FailureClass
from cupola_api.run import CurateRun, GenerateRun
from cupola_trainer import storage
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import Place, S3Place, place_of

Staged = CurateRun | GenerateRun
"""A run whose stages meet in storage."""

Facts = dict[str, Any]
"""What a stage counted, as JSON values; it lies in the manifest."""

_AT_ONCE = 8
"""Parts that are checked at a time."""

PART = "Part"
DATASET = "Dataset"


def artifact_folder(run: Staged) -> Place:
    """Where the Dataset of a run is published."""
    return place_of(run.folder) / "artifact"


def work_folder(run: Staged) -> Place:
    """Where stages leave what later stages need; gone when the Dataset is there."""
    return place_of(run.folder) / "work"


def stage_folder(run: Staged, stage: str, part: int | None = None) -> Place:
    """What a stage made, or one part of it."""
    folder = work_folder(run) / stage
    return folder if part is None else folder / f"{part:05d}"


class Made(NamedTuple):
    """What an earlier stage made, on this machine."""

    folder: Path
    facts: Facts


def sealed(folder: Place, run: Staged) -> Manifest | None:
    """The manifest of a folder that is whole and of this run; None if there is no such folder.

    Raises OSError if storage does not answer.
    """
    try:
        manifest, _ = storage.check(folder)
    except ArtifactInvalid:
        return None
    return manifest if manifest.run == run.digest else None


def are_there(run: Staged, stage: str, count: int) -> bool:
    """Whether all `count` parts of a stage are sealed, going by their manifests.

    A pod that asks after it sealed its own part sees all those that were sealed before: so of all
    pods the last one sees them all. Raises OSError if storage does not answer.
    """
    for part in range(count):
        try:
            manifest, _ = storage.read_manifest(stage_folder(run, stage, part))
        except ArtifactInvalid:
            return False
        if manifest.run != run.digest:
            return False
    return True


def require(folder: Place, run: Staged, *only: str, check_here: bool = True) -> Made:
    """What an earlier stage made, every file hashed; of S3 those whose paths begin as `only` says.

    With `check_here` false, what is used in place was checked by another stage. Raises PodFailure
    if it is not there: stages then run out of order, or storage lost it. Raises OSError if storage
    does not answer.
    """
    try:
        if isinstance(folder, Path) and not check_here:
            here = folder
        else:
            here = storage.fetch(folder, *only)
        manifest, _ = storage.read_manifest(here)
        if manifest.run != run.digest:
            raise ArtifactInvalid(f"{folder} was made by another run")
    except ArtifactInvalid as error:
        raise PodFailure(
            "StageMissing",
            f"an earlier stage is not whole: {error}; run that stage again",
            FailureClass.INFRASTRUCTURE,
        ) from error
    return Made(here, manifest.facts)


def require_parts(run: CurateRun, stage: str, *only: str, check_here: bool = True) -> list[Made]:
    """As `require`, of all parts of a stage, several at a time."""
    places = [stage_folder(run, stage, part) for part in range(run.parts)]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return [*pool.map(lambda one: require(one, run, *only, check_here=check_here), places)]


def commit(
    folder: Place,
    run: Staged,
    fill: Callable[[Path], Facts],
    *,
    kind: str = PART,
    inputs: list[Lineage] | None = None,
) -> Artifact:
    """Let `fill` write into a fresh folder and return its facts; seal it, then put it in place.

    If a whole folder of the run appeared meanwhile, that one stays.
    """
    with _own_folder(folder, run) as own:
        seal(own, kind=kind, run=run.digest, inputs=inputs, facts=fill(own))
        if sealed(folder, run) is None:
            if isinstance(folder, Path):
                _replace(own, folder, run)
            else:
                storage.publish(own, folder)
    return storage.read_manifest(folder)[1]


@contextmanager
def _own_folder(folder: Place, run: Staged) -> Iterator[Path]:
    """An empty folder to fill, gone afterwards: beside `folder` on a disk, else below TMPDIR."""
    work = work_folder(run)
    if isinstance(work, S3Place):
        with storage.workplace(folder) as own:
            yield own
        return
    work.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=work))
    try:
        own.chmod(0o755)  # the next stage may run as another user
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _replace(own: Path, folder: Path, run: Staged) -> None:
    """Rename `own` to `folder`; what is broken there goes first."""
    if folder.exists():
        broken = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=own.parent))
        folder.rename(broken / folder.name)
        shutil.rmtree(broken, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        own.rename(folder)
    except OSError:
        if sealed(folder, run) is None:  # not a twin that was faster
            raise
