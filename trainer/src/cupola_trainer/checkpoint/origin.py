"""Where an attempt goes on from, as all ranks and the world are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cupola_api import metrics
from cupola_api.artifact import ArtifactInvalid
from cupola_api.outcome import FailureClass, Resumed
from cupola_trainer import storage
from cupola_trainer.checkpoint.choose import name_in_run, newest
from cupola_trainer.checkpoint.reader import Checkpoint, CheckpointInvalid
from cupola_trainer.checkpoint.writer import State
from cupola_trainer.distributed import Ranks
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import Place


class Origin(NamedTuple):
    """Where an attempt goes on from."""

    state: State | None = None
    """Of the checkpoint; None: the attempt begins anew."""
    saved_at: float = 0
    """When that checkpoint was complete, Unix time."""
    passed_over: int = 0
    """Newer checkpoints that are damaged."""

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.state.step if self.state else 0

    def resumed(self) -> Resumed:
        """What the termination message of an attempt says of it."""
        return Resumed(
            step=self.step, saved_at=round(self.saved_at, 3), passed_over=self.passed_over
        )

    def metrics(self) -> dict[str, float]:
        """What an attempt serves as it begins."""
        served: dict[str, float] = {
            metrics.RESUMED_STEP: self.step,
            metrics.RESUMED_TIME: self.saved_at,
            metrics.PASSED_OVER: self.passed_over,
        }
        if self.state:
            served |= {metrics.CHECKPOINT_STEP: self.step, metrics.CHECKPOINT_TIME: self.saved_at}
        return served


def find(folder: Place, run: str) -> tuple[str | None, int]:
    """The newest checkpoint that verifies, relative to the run's folder; says what it passes over.

    Beside it the number of those. Raises OSError.
    """
    path, passed_over = newest(folder, run)
    for warning in passed_over:
        print(f"warning: {warning}", flush=True)
    relative = name_in_run(path) if path else None
    if relative:
        print(f"going on from {relative}", flush=True)
    return relative, len(passed_over)


def opened(place: Place, ranks: Ranks) -> Checkpoint:
    """A checkpoint, opened on every rank; all of them call it.

    From S3 it is brought to each machine once, in whole, since every rank needs all weights: that
    takes as much room below TMPDIR as it has bytes, until the ranks have let go of it. Raises
    PodFailure or CheckpointInvalid.
    """
    if isinstance(place, Path):
        return Checkpoint(place)
    here = Path(ranks.on_each(lambda: str(_fetch(place)))[ranks.rank])
    saved = Checkpoint(here)
    ranks.on_each(lambda: None)  # all have it open
    storage.forget(here, place)
    return saved


def _fetch(place: Place) -> Path:
    with remedied():
        try:
            return storage.fetch(place)
        except ArtifactInvalid as error:
            raise CheckpointInvalid(str(error)) from error


@contextmanager
def remedied() -> Iterator[None]:
    """Turns CheckpointInvalid into a PodFailure that says what to do."""
    try:
        yield
    except CheckpointInvalid as error:
        raise PodFailure(
            "CheckpointInvalid", f"{error}; delete that folder", FailureClass.INFRASTRUCTURE
        ) from error
