"""Which checkpoint to go on from, and which to keep."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from cupola_api.artifact import ArtifactInvalid, read_manifest, verify

CHECKPOINTS = "checkpoints"
"""Folder of an attempt that holds its checkpoints."""

_STEP = re.compile(r"step-(\d{7,})")


def folder_name(step: int) -> str:
    """The folder of the checkpoint of a step."""
    return f"step-{step:07d}"


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key under which `a2` comes before `a10`."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def candidates(run_folder: Path) -> list[Path]:
    """Checkpoints of all attempts of a run, the one of the highest step first, none checked."""
    found = [
        (int(match[1]), natural(path.parent.parent.name), path)
        for path in run_folder.glob(f"*/{CHECKPOINTS}/step-*")
        if (match := _STEP.fullmatch(path.name))
    ]
    return [path for _, _, path in sorted(found, reverse=True)]


def newest(run_folder: Path, run: str) -> tuple[Path | None, list[str]]:
    """The newest checkpoint of a run whose every file verifies, and a warning for each passed over."""
    warnings = []
    for path in candidates(run_folder):
        try:
            manifest, _ = verify(path)
        except ArtifactInvalid as error:
            warnings.append(f"checkpoint {path.name} is passed over: {error}")
            continue
        if manifest.kind == "Checkpoint" and manifest.run == run:
            return path, warnings
        warnings.append(f"checkpoint {path.name} is passed over: {path} is of another run")
    return None, warnings


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` whole checkpoints of an attempt, and what a crash left.

    Whole here means a manifest and files of the right size: reading hundreds of gigabytes again
    after each save would cost more than it guards against.
    """
    kept = 0
    for path in sorted(folder.glob("step-*"), key=lambda path: natural(path.name), reverse=True):
        if kept < keep and _whole(path):
            kept += 1
        else:
            path.rename(path.with_name(f".{path.name}.old"))
    for path in folder.glob(".step-*"):
        shutil.rmtree(path)


def _whole(path: Path) -> bool:
    try:
        manifest, _ = read_manifest(path)
        return all((path / file.path).stat().st_size == file.bytes for file in manifest.files)
    except (ArtifactInvalid, OSError):
        return False
