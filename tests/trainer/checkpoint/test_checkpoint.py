"""Writing, choosing, pruning and reading checkpoints, by one rank alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cupola_api.artifact import MANIFEST, seal, verify
from cupola_api.run import World
from cupola_trainer import checkpoint
from cupola_trainer.checkpoint import Checkpoint, CheckpointInvalid, Fragment, State
from cupola_trainer.checkpoint.choose import candidates
from cupola_trainer.distributed import Ranks, ranks_of
from cupola_trainer.pod import PodFailure

RUN = "sha256:" + "1" * 64


@pytest.fixture(scope="module")
def ranks() -> Iterator[Ranks]:
    with ranks_of(World(nodes=1, gpus_per_node=1, threads=1, device="Cpu")) as ranks:
        yield ranks


def _state(step: int) -> State:
    return State(
        step=step,
        samples=step * 8,
        tokens=step * 8 * 64,
        losses=[1.5, 0.1 + 0.2],
        ranks=1,
        zero_stage=1,
        shapes={"a": [2, 3], "b": [4]},
    )


def _fragments(step: int) -> list[Fragment]:
    a, b = torch.arange(6.0) + step, torch.arange(4.0) - step

    def values(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"weight": tensor, "exp_avg": tensor * 2, "exp_avg_sq": tensor**2}

    return [
        Fragment("a", 0, values(a[:4])),
        Fragment("a", 4, values(a[4:])),
        Fragment("b", 0, values(b)),
    ]


def _save(attempt: Path, step: int, ranks: Ranks, run: str = RUN) -> Path:
    folder = attempt / "checkpoints"
    checkpoint.save(folder, _fragments(step), _state(step), run=run, ranks=ranks)
    return folder / f"step-{step:07d}"


def test_what_was_written_is_read_back_in_any_stretch(tmp_path: Path, ranks: Ranks) -> None:
    saved = Checkpoint(_save(tmp_path, 3, ranks))
    assert saved.state == _state(3)
    assert torch.equal(saved.weight("a"), (torch.arange(6.0) + 3).view(2, 3))
    assert torch.equal(saved.read("exp_avg", "a", 3, 2), torch.tensor([12.0, 14.0]))
    assert torch.equal(saved.read("exp_avg_sq", "b", 1, 2), torch.tensor([4.0, 1.0]))


def test_what_is_not_there_is_said(tmp_path: Path, ranks: Ranks) -> None:
    saved = Checkpoint(_save(tmp_path, 3, ranks))
    with pytest.raises(CheckpointInvalid, match="no parameter c"):
        saved.weight("c")
    with pytest.raises(CheckpointInvalid, match="lacks a part of weight of b from 2, 3 long"):
        saved.read("weight", "b", 2, 3)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="cannot be read"):
        Checkpoint(tmp_path)


def test_its_manifest_is_what_seal_would_write(tmp_path: Path, ranks: Ranks) -> None:
    path = _save(tmp_path, 3, ranks)
    before = (path / MANIFEST).read_bytes()
    verify(path)
    seal(path, kind="Checkpoint", run=RUN, facts={"step": 3})
    assert (path / MANIFEST).read_bytes() == before


def test_the_newest_of_all_attempts_is_chosen(tmp_path: Path, ranks: Ranks) -> None:
    _save(tmp_path / "a1", 9, ranks)
    _save(tmp_path / "a2", 20, ranks)
    _save(tmp_path / "a10", 20, ranks)
    _save(tmp_path / "a11", 5, ranks)
    names = [f"{path.parent.parent.name}/{path.name}" for path in candidates(tmp_path)]
    assert names == [
        "a10/step-0000020",
        "a2/step-0000020",
        "a1/step-0000009",
        "a11/step-0000005",
    ]
    path, warnings = checkpoint.newest(tmp_path, RUN)
    assert path == tmp_path / "a10/checkpoints/step-0000020"
    assert warnings == []


def test_a_checkpoint_of_another_run_is_passed_over(tmp_path: Path, ranks: Ranks) -> None:
    _save(tmp_path / "a1", 6, ranks, run="sha256:" + "2" * 64)
    path, warnings = checkpoint.newest(tmp_path, RUN)
    assert path is None
    assert "another run" in warnings[0]


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "nothing", RUN) == (None, [])


def test_saving_again_after_a_crash_gives_the_same_bytes(tmp_path: Path, ranks: Ranks) -> None:
    first = _save(tmp_path / "a1", 7, ranks)
    hidden = tmp_path / "a2/checkpoints/.step-0000007"
    hidden.mkdir(parents=True)
    (hidden / "rank-00009.safetensors").write_bytes(b"left by a larger world")
    second = _save(tmp_path / "a2", 7, ranks)
    assert verify(first)[1].digest == verify(second)[1].digest
    assert verify(_save(tmp_path / "a2", 7, ranks))[1].digest == verify(first)[1].digest


def test_storage_that_fails_is_said(tmp_path: Path, ranks: Ranks) -> None:
    (tmp_path / "checkpoints").write_text("a file in the way")
    with pytest.raises(PodFailure, match="step 7 cannot be written") as caught:
        _save(tmp_path, 7, ranks)
    assert caught.value.reason == "StorageFailed"
