"""Write a checkpoint so that a kill at any point leaves the old ones and no broken one."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import save_file

from cupola_api.artifact import (
    MANIFEST,
    ArtifactInvalid,
    File,
    Manifest,
    canonical,
    hash_file,
    sync,
)
from cupola_api.base import Model
from cupola_api.outcome import FailureClass
from cupola_trainer import storage
from cupola_trainer.checkpoint.choose import KIND, folder_name
from cupola_trainer.checkpoint.fragments import Fragment, key
from cupola_trainer.distributed import Ranks
from cupola_trainer.failures import StoreError, storage_error, storage_remedy
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import Place

Result = TypeVar("Result")

STATE = "state.json"


class State(Model):
    """What a run needs to go on besides tensors.

    There is no random state: the order of the data is a function of the sample's number, and what
    dropout draws is one of the step's.
    """

    format: int = Field(1, ge=1, le=1, description="Version of this format.")
    step: int = Field(ge=0, description="Optimizer steps done.")
    samples: int = Field(
        ge=0, description="Sequences or examples used: the number of the next one."
    )
    tokens: int = Field(ge=0, description="Tokens trained on.")
    losses: list[float] = Field(description="Training losses of the last steps, oldest first.")
    ranks: int = Field(ge=1, description="Ranks that wrote it.")
    zero_stage: int = Field(ge=0, le=3, description="Their ZeRO stage.")
    shapes: dict[str, list[int]] = Field(description="Every trained parameter and its shape.")


def save(
    folder: Place, fragments: Iterable[Fragment], state: State, *, run: str, ranks: Ranks
) -> None:
    """Write `folder/step-NNNNNNN`; every rank calls it with its own fragments.

    On a disk ranks write into a hidden folder; its manifest and then its rename are the last two
    actions. In S3 the manifest is the last. A whole checkpoint of the step that is there already stays. Raises PodFailure, on every rank, if
    storage fails.
    """
    final = folder / folder_name(state.step)
    where = final.with_name(f".{final.name}") if isinstance(final, Path) else final

    def on_storage(work: Callable[[], Result]) -> Callable[[], Result]:
        return lambda: _on_storage(work, state.step, final)

    def write() -> dict[str, Any]:
        tensors = {
            key(quantity, fragment.name, fragment.start): value.detach().cpu().contiguous()
            for fragment in fragments
            for quantity, value in fragment.values.items()
        }
        with storage.workplace(where) as here:
            file = here / f"rank-{ranks.rank:05d}.safetensors"
            save_file(tensors, file)
            if where == here:
                sync(file)
            entry = _entry(file)
            storage.put(file, where / file.name)
        return entry.to_json()

    if ranks.on_main(on_storage(lambda: _begin(where, final, run))):
        files = [File.model_validate(value) for value in ranks.on_each(on_storage(write))]
        ranks.on_main(on_storage(lambda: _finish(where, final, files, state, run)))


def _on_storage(work: Callable[[], Result], step: int, place: Place) -> Result:
    """Do work on storage. Raises PodFailure for its errors, also those that Rust code words."""
    try:
        return work()
    except StoreError as error:
        raise error.failure from error
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else storage_error(error)
        detail = os.strerror(number) if number else str(error)
        fewer = ", or lower spec.checkpoint.keep" if number in (ENOSPC, EDQUOT) else ""
        raise PodFailure(
            "StorageFailed",
            f"the checkpoint of step {step} cannot be written to {place.parent}: {detail}; "
            f"{storage_remedy(number)}{fewer}",
            FailureClass.INFRASTRUCTURE,
        ) from error


def _begin(where: Place, final: Place, run: str) -> bool:
    """Make an empty hidden folder; False if there is nothing to do."""
    with suppress(ArtifactInvalid, OSError):
        manifest, _ = storage.check(final)
        if manifest.kind == KIND and manifest.run == run:
            return False
    if isinstance(where, Path):
        for left in (where, _old(where)):  # by a crash
            if left.exists():
                shutil.rmtree(left)
        where.mkdir(parents=True)
    return True


def _finish(where: Place, final: Place, files: list[File], state: State, run: str) -> None:
    data = canonical(state.to_json())
    mine = File(path=STATE, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    manifest = Manifest(
        kind=KIND,
        run=run,
        facts={"step": state.step},
        files=sorted([*files, mine], key=lambda file: file.path),
    )
    storage.write(where / STATE, data)
    storage.write(where / MANIFEST, canonical(manifest.to_json()))
    if isinstance(where, Path) and isinstance(final, Path):
        _show(where, final)


def _show(hidden: Path, final: Path) -> None:
    """Give a whole checkpoint its name."""
    if final.exists():  # damaged: else there was nothing to do
        final.rename(_old(hidden))
    hidden.rename(final)
    sync(final.parent)
    if _old(hidden).exists():
        shutil.rmtree(_old(hidden))


def _old(hidden: Path) -> Path:
    return hidden.with_name(f"{hidden.name}.old")


def _entry(file: Path) -> File:
    return File(path=file.name, bytes=file.stat().st_size, sha256=hash_file(file))
