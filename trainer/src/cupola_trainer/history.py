"""The history of a training: one JSON line a step, in the attempt's folder.

A process may die in the middle of a line and the next attempt goes on from an older step, so a
reader passes over what is not whole and lets later attempts replace the steps that they repeat. In
S3 it is put whole, before each checkpoint and at the end.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cupola_trainer import storage
from cupola_trainer.checkpoint.choose import natural
from cupola_trainer.failures import StoreError
from cupola_trainer.storage import Place, S3Place

HISTORY = "history.jsonl"

_FLUSH_SECONDS = 0.5


class History:
    """Appends to the history of an attempt while it is open; flushed at most twice a second."""

    def __init__(self, attempt: Place) -> None:
        self._place = attempt / HISTORY
        self._open = ExitStack()
        folder = self._open.enter_context(storage.workplace(attempt))
        folder.mkdir(parents=True, exist_ok=True)
        path = self._path = folder / HISTORY
        if isinstance(self._place, S3Place):
            with suppress(FileNotFoundError):
                path.write_bytes(storage.read(self._place))
        self._file = path.open("a", encoding="utf-8")
        if _torn(path):
            self._file.write("\n")
        self._flushed = 0.0

    def append(self, entry: dict[str, float]) -> None:
        """Add a step: step, loss, lr, grad_norm, tokens, tokens_per_second, time."""
        self._file.write(json.dumps(entry, allow_nan=False) + "\n")
        if time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self._file.flush()
            self._flushed = time.monotonic()

    def flush(self) -> None:
        """Let readers see, and a kill not lose, what was added. Raises OSError."""
        self._file.flush()
        self._flushed = time.monotonic()
        storage.put(self._path, self._place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        try:
            storage.put(self._path, self._place)
        except StoreError as failed:  # how the training ended is told all the same
            print(f"warning: {failed.failure}", flush=True)
        self._open.close()


def _torn(path: Path) -> bool:
    """Whether the last line lacks its end."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def read(run_folder: Path) -> list[dict[str, Any]]:
    """The steps of a run over all its attempts, in order; what an attempt repeats, it replaces."""
    steps: dict[int, dict[str, Any]] = {}
    for path in sorted(run_folder.glob(f"*/{HISTORY}"), key=lambda path: natural(path.parent.name)):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                steps[int(entry["step"])] = entry
            except (ValueError, TypeError, KeyError):
                continue
    return [steps[step] for step in sorted(steps)]
