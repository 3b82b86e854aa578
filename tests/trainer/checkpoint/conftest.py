"""Checkpoints of a tiny model, saved by ranks that are threads of this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

from cupola_trainer import checkpoint, storage
from cupola_trainer.checkpoint import Fragment, State
from cupola_trainer.distributed import Ranks
from cupola_trainer.storage import Place

RUN = "sha256:" + "1" * 64

Save = Callable[..., Any]


class ThreadRanks(Ranks):
    """A rank that meets the others in memory, in place of gloo."""

    def __init__(self, rank: int, size: int, meeting: threading.Barrier, said: list[str]) -> None:
        self.rank, self.size, self.store = rank, size, "the store"
        self._meeting, self._said = meeting, said

    def gather(self, value: Any) -> list[Any]:
        try:
            self._said[self.rank] = json.dumps(value)
            self._meeting.wait()
            values = [json.loads(text) for text in self._said]
            self._meeting.wait()
        except threading.BrokenBarrierError:
            raise RuntimeError("gloo: another rank is gone") from None
        return values


def state(step: int, size: int = 2) -> State:
    return State(
        step=step,
        samples=step * 8,
        tokens=step * 8 * 64,
        losses=[1.5, 0.1 + 0.2],
        ranks=size,
        zero_stage=1,
        shapes={"a": [2, 3], "b": [4]},
    )


def fragments(step: int) -> list[Fragment]:
    a, b = torch.arange(6.0) + step, torch.arange(4.0) - step

    def values(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"weight": tensor, "exp_avg": tensor * 2, "exp_avg_sq": tensor**2}

    return [
        Fragment("a", 0, values(a[:4])),
        Fragment("a", 4, values(a[4:])),
        Fragment("b", 0, values(b)),
    ]


def save_by_ranks(
    attempt: Place,
    step: int,
    *,
    size: int = 2,
    run: str = RUN,
    watch: Callable[[int], Any] = lambda rank: None,
) -> Place:
    """Save a checkpoint by `size` ranks at once; `watch` is called first in the thread of each.

    A rank that raises is dead to the others.
    """
    folder = attempt / "checkpoints"
    meeting = threading.Barrier(size)
    said = [""] * size

    def work(rank: int) -> None:
        ranks = ThreadRanks(rank, size, meeting, said)
        try:
            watch(rank)
            mine = fragments(step)[rank::size]
            checkpoint.save(folder, mine, state(step, size), run=run, ranks=ranks)
        except BaseException as error:  # noqa: BLE001  handed on below
            errors.append(error)
            meeting.abort()

    errors: list[BaseException] = []
    if size == 1:
        work(0)
    else:
        threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return folder / f"step-{step:07d}"


def holds(path: Place, step: int) -> bool:
    """Whether a folder holds exactly what was saved of a step."""
    saved = checkpoint.Checkpoint(storage.fetch(path))
    expected = {(f.name, f.start): f.values for f in fragments(step)}
    return saved.state.step == step and all(
        torch.equal(saved.read(quantity, name, start, len(tensor)), tensor)
        for (name, start), values in expected.items()
        for quantity, tensor in values.items()
    )


@pytest.fixture
def save() -> Save:
    """`save(attempt_folder, step, size=2, run=RUN)`: a real checkpoint; returns its folder."""
    return save_by_ranks


@pytest.fixture
def same() -> Callable[[Place, int], bool]:
    """`same(folder, step)`: whether the checkpoint holds exactly what was saved."""
    return holds
