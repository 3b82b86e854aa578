"""Errors as the libraries raise them, and what they mean for a run."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors import SafetensorError
from safetensors.torch import save_file

from cupola_api.outcome import FailureClass
from cupola_trainer import failures
from cupola_trainer.failures import failure_of
from cupola_trainer.pod import PodFailure


def _os_error(number: int, path: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), path)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("NCCL error: unhandled cuda error: Cuda failure 2 'out of memory'"),
        _os_error(errno.ENOMEM),
    ],
)
def test_too_little_memory_of_any_kind_comes_with_a_remedy(error: Exception) -> None:
    found = failure_of(error, remedy="buy more")
    assert found is not None
    assert (found.reason, found.failure) == ("OutOfMemory", FailureClass.OUT_OF_MEMORY)
    assert found.message == "the pod ran out of memory; buy more"
    assert "spec.parallelism.zeroStage" in str(failure_of(error))


def test_memory_that_is_not_there_is_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    found = failure_of(caught.value)
    assert found is not None
    assert found.reason == "OutOfMemory"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "No space left on device; make room in the store"),
        (errno.EDQUOT, "Disk quota exceeded; make room in the store"),
        (errno.EROFS, "Read-only file system; mount the store for writing"),
        (errno.EACCES, "Permission denied; let the user of the pod read and write there"),
        (errno.EIO, "Input/output error; see to the volume"),
        (errno.ESTALE, "Stale file handle; see to the volume"),
    ],
)
def test_errors_of_storage_name_the_path_and_a_remedy(number: int, remedy: str) -> None:
    found = failure_of(_os_error(number, "/store/x"))
    assert found is not None
    assert (found.reason, found.failure) == ("StorageFailed", FailureClass.INFRASTRUCTURE)
    assert found.message.startswith(f"/store/x cannot be used: {remedy}")
    unnamed = failure_of(_os_error(number), store="file:///store")
    assert unnamed is not None
    assert unnamed.message.startswith(f"file:///store cannot be used: {remedy}")


def test_storage_that_fails_inside_a_library_in_rust_is_understood(tmp_path: Path) -> None:
    with pytest.raises(SafetensorError) as caught:  # how it words what the system says
        save_file({"a": torch.zeros(1)}, tmp_path / "nowhere/a.safetensors")
    assert failure_of(caught.value) is None
    text = str(caught.value).replace(f"(os error {errno.ENOENT})", f"(os error {errno.ENOSPC})")
    found = failure_of(SafetensorError(text))
    assert found is not None
    assert found.reason == "StorageFailed"


def test_the_cause_behind_an_error_counts() -> None:
    try:
        try:
            raise _os_error(errno.EIO, "/store/config.json")
        except OSError as error:
            raise ValueError("no model here") from error
    except ValueError as error:
        found = failure_of(error)
    assert found is not None
    assert "/store/config.json" in found.message


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[/src/gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:1: Reset. This is often"
        ),
        RuntimeError("Connection closed by peer [127.0.0.1]:2"),
        dist.DistNetworkError("failed to recv, got 0 bytes"),
    ],
)
def test_a_rank_that_lost_another_only_follows(error: Exception) -> None:
    found = failure_of(error)
    assert found is not None
    assert (found.reason, found.failure) == ("RankLost", FailureClass.INFRASTRUCTURE)
    assert "pair.cc" not in found.message


def test_a_rank_that_the_kernel_killed_for_memory_is_not_just_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\nhigh 0\nmax 12\noom 3\noom_kill 3\noom_group_kill 0\n")
    monkeypatch.setattr(failures, "MEMORY_EVENTS", events)
    lost = RuntimeError("gloo: Connection closed by peer")
    monkeypatch.setattr(failures, "_kills_before", failures.memory_kills())
    before = failure_of(lost)
    events.write_text(events.read_text().replace("oom_kill 3", "oom_kill 4"))
    after = failure_of(lost)
    assert before is not None
    assert after is not None
    assert (before.reason, after.reason) == ("RankLost", "OutOfMemory")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes do not match"),
        ValueError("out of memory"),
        FileNotFoundError(errno.ENOENT, "No such file", "/store/x"),
    ],
)
def test_an_unknown_error_stays_what_it_is(error: Exception) -> None:
    assert failure_of(error) is None


def test_a_failure_is_itself() -> None:
    failure = PodFailure("X", "y", FailureClass.USER)
    assert failure_of(failure) is failure
