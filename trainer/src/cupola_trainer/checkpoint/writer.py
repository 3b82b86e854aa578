"""Write a checkpoint so that a kill at any point leaves the old ones and no broken one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field
from safetensors.torch import save_file

from cupola_api.artifact import MANIFEST, File, Manifest, canonical, hash_file, write_atomic
from cupola_api.base import Model
from cupola_api.outcome import FailureClass
from cupola_trainer.checkpoint.choose import folder_name
from cupola_trainer.checkpoint.fragments import Fragment, key
from cupola_trainer.distributed import Ranks
from cupola_trainer.pod import PodFailure

STATE = "state.json"


class State(Model):
    """What a run needs to go on besides tensors.

    There is no random state: the order of the data is a function of the sample's number, and
    nothing else is drawn while a model trains.
    """

    format: int = Field(1, ge=1, le=1, description="Version of this format.")
    step: int = Field(ge=0, description="Optimizer steps done.")
    samples: int = Field(ge=0, description="Sequences used: the number of the next one.")
    tokens: int = Field(ge=0, description="Tokens trained on.")
    losses: list[float] = Field(description="Training losses of the last steps, oldest first.")
    ranks: int = Field(ge=1, description="Ranks that wrote it.")
    zero_stage: int = Field(ge=0, le=3, description="Their ZeRO stage.")
    shapes: dict[str, list[int]] = Field(description="Every parameter and its shape.")


def save(
    folder: Path, fragments: Iterable[Fragment], state: State, *, run: str, ranks: Ranks
) -> None:
    """Write `folder/step-NNNNNNN`; every rank calls it with its own fragments.

    Ranks write into a hidden folder; its manifest and then its rename are the last two actions.
    Raises PodFailure if storage fails.
    """
    final = folder / folder_name(state.step)
    hidden = folder / f".{final.name}"
    try:
        ranks.on_main(lambda: _begin(hidden))
        file = hidden / f"rank-{ranks.rank:05d}.safetensors"
        tensors = {
            key(quantity, fragment.name, fragment.start): value.detach().cpu().contiguous()
            for fragment in fragments
            for quantity, value in fragment.values.items()
        }
        save_file(tensors, file)
        _sync(file)
        entry = File(path=file.name, bytes=file.stat().st_size, sha256=hash_file(file))
        entries = [File.model_validate(value) for value in ranks.gather(entry.to_json())]
        ranks.on_main(lambda: _finish(hidden, final, entries, state, run))
    except OSError as error:
        raise PodFailure(
            "StorageFailed",
            f"the checkpoint of step {state.step} cannot be written: {error.strerror}; make room "
            "in the store, or lower spec.checkpoint.keep",
            FailureClass.INFRASTRUCTURE,
        ) from error


def _begin(hidden: Path) -> None:
    if hidden.exists():
        shutil.rmtree(hidden)
    hidden.mkdir(parents=True)


def _finish(hidden: Path, final: Path, files: list[File], state: State, run: str) -> None:
    place = hidden / STATE
    write_atomic(place, canonical(state.to_json()))
    own = File(path=STATE, bytes=place.stat().st_size, sha256=hash_file(place))
    manifest = Manifest(
        kind="Checkpoint",
        run=run,
        facts={"step": state.step},
        files=sorted([*files, own], key=lambda file: file.path),
    )
    write_atomic(hidden / MANIFEST, canonical(manifest.to_json()))
    if final.exists():
        shutil.rmtree(final)
    hidden.rename(final)
    _sync(final.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
