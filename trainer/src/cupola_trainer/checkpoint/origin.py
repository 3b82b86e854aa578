"""Where an attempt goes on from, as all ranks and the world are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cupola_api import metrics
from cupola_api.outcome import FailureClass
from cupola_trainer.checkpoint.choose import newest
from cupola_trainer.checkpoint.reader import CheckpointInvalid
from cupola_trainer.checkpoint.writer import State
from cupola_trainer.pod import PodFailure


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


def find(folder: Path, run: str) -> tuple[str | None, int]:
    """The newest checkpoint that verifies, relative to the run's folder; says what it passes over.

    Beside it the number of those. Raises OSError.
    """
    path, passed_over = newest(folder, run)
    for warning in passed_over:
        print(f"warning: {warning}", flush=True)
    relative = path.relative_to(folder).as_posix() if path else None
    if relative:
        print(f"going on from {relative}", flush=True)
    return relative, len(passed_over)


@contextmanager
def remedied() -> Iterator[None]:
    """Turns CheckpointInvalid into a PodFailure that says what to do."""
    try:
        yield
    except CheckpointInvalid as error:
        raise PodFailure(
            "CheckpointInvalid", f"{error}; delete that folder", FailureClass.INFRASTRUCTURE
        ) from error
