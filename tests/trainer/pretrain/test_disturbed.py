"""Runs that are stopped in any phase, or find something damaged: the model comes out the same."""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from cupola_api import metrics
from cupola_api.artifact import verify
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind
from cupola_api.run import POD_IP, TERMINATION_LOG, PretrainRun, dump
from cupola_trainer import command, export, storage
from cupola_trainer.checkpoint import writer
from cupola_trainer.pod import PodFailure
from cupola_trainer.pretrain.data import ValidationData
from cupola_trainer.pretrain.loop import Loop
from cupola_trainer.pretrain.report import Report

# DeepSpeed uses what PyTorch is about to drop.
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.distributed:FutureWarning", "ignore:`torch.jit:DeprecationWarning"
)

ADDRESS = f"127.83.{os.getpid() // 250 % 250}.{1 + os.getpid() % 250}"

Tiny = Callable[..., PretrainRun]
Train = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _restore_torch() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=False)


def _asked_in(patch: pytest.MonkeyPatch, owner: Any, name: str, call: int = 1) -> None:
    """Send this process SIGTERM in a call of a function."""
    real = getattr(owner, name)
    calls = 0

    def asked(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            signal.raise_signal(signal.SIGTERM)
        return real(*arguments, **options)

    patch.setattr(owner, name, asked)


def _folder(run: PretrainRun) -> Path:
    return storage.place_of(run.folder)


def _checkpoints(run: PretrainRun) -> list[str]:
    found = _folder(run).glob("*/checkpoints/*")
    return sorted(path.relative_to(_folder(run)).as_posix() for path in found)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _digest(outcome: Outcome) -> str:
    assert outcome.outcome is OutcomeKind.SUCCEEDED
    assert outcome.artifact is not None
    return outcome.artifact.digest


@pytest.mark.parametrize(
    ("owner", "name", "call", "step"),
    [
        (Loop, "train", 1, None),
        (Loop, "_step", 1, 1),
        (Loop, "_step", 12, 12),
        (writer, "save_file", 2, 3),
        (writer, "save_file", 11, 12),
        (ValidationData, "read", 1, 12),
        (ValidationData, "read", 3, 12),
    ],
)
def test_a_run_that_is_stopped_in_any_phase_comes_to_the_same_model(
    *, tiny: Tiny, train: Train, owner: Any, name: str, call: int, step: int | None
) -> None:
    """A checkpoint is made after each step but the last, so the second `save_file` is of step 2."""
    run = tiny(checkpoint_seconds=0)
    with pytest.MonkeyPatch.context() as patch:
        _asked_in(patch, owner, name, call)
        stopped = train(run, "a1")
    assert (stopped.outcome, stopped.reason, stopped.step) == ("Stopped", "Terminated", step)
    assert "begins anew" in stopped.message or step is not None
    if step:
        assert _checkpoints(run)[-1] == f"a1/checkpoints/step-{step:07d}"
    else:
        assert _checkpoints(run) == []
    outcome = train(run, "a2")
    assert _digest(outcome) == _digest(train(tiny("whole", checkpoint_seconds=0)))


def test_a_run_that_is_asked_while_it_exports_ends_with_its_model(
    tiny: Tiny, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    _asked_in(monkeypatch, export, "_write_model")
    run = tiny()
    verify(storage.place_of(_uri(train(run))))


def _uri(outcome: Outcome) -> str:
    assert outcome.artifact is not None
    return outcome.artifact.uri


def test_a_run_that_is_stopped_before_its_first_new_step_saves_nothing(
    tiny: Tiny, train: Train
) -> None:
    run = tiny(checkpoint_seconds=0)
    for attempt, name in (("a1", "_step"), ("a2", "train")):
        with pytest.MonkeyPatch.context() as patch:
            _asked_in(patch, Loop, name)
            stopped = train(run, attempt)
        assert (stopped.outcome, stopped.step) == ("Stopped", 1)
    assert _checkpoints(run) == ["a1/checkpoints/step-0000001"]


def _metrics_of_first_step(patch: pytest.MonkeyPatch) -> dict[str, float]:
    """Filled with what is served as the first step is reported."""
    served: dict[str, float] = {}
    real = Report.step

    def step(self: Report, step: int, **figures: float) -> None:
        if not served:
            url = f"http://{ADDRESS}:{metrics.PORT}/metrics"
            with urllib.request.urlopen(url, timeout=5) as page:
                lines = [line.split() for line in page.read().decode().splitlines()]
            served.update({line[0]: float(line[1]) for line in lines if line[0] != "#"})
        real(self, step, **figures)

    patch.setenv(POD_IP, ADDRESS)
    patch.setattr(Report, "step", step)
    return served


@pytest.mark.parametrize(("damaged", "resumed"), [((), 5), ((5,), 4), ((5, 4), 0)])
def test_damaged_checkpoints_are_passed_over_said_and_counted(
    tiny: Tiny,
    train: Train,
    capsys: pytest.CaptureFixture[str],
    damaged: tuple[int, ...],
    resumed: int,
) -> None:
    run = tiny(checkpoint_seconds=0, checkpoint_keep=2)
    with pytest.MonkeyPatch.context() as patch:
        _asked_in(patch, Loop, "_step", 5)
        train(run, "a1")
    for step in damaged:
        _flip(_folder(run) / f"a1/checkpoints/step-{step:07d}/rank-00000.safetensors")
    (_folder(run) / "a1/checkpoints/.step-0000009").mkdir()
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        served = _metrics_of_first_step(patch)
        outcome = train(run, "a2")
    assert served[metrics.RESUMED_STEP] == resumed
    assert served[metrics.PASSED_OVER] == len(damaged)
    warnings = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    place = f"going on from a1/checkpoints/step-{resumed:07d} instead"
    for step, line in zip(damaged, warnings, strict=True):
        assert line.startswith(
            f"warning: checkpoint a1/checkpoints/step-{step:07d} is passed over: "
        )
        assert "rank-00000.safetensors has other content than its manifest says" in line
        assert line.endswith(place if resumed else "; beginning anew")
    whole = tiny("whole", checkpoint_seconds=0, checkpoint_keep=2)
    assert _digest(outcome) == _digest(train(whole))


def test_checkpoints_of_earlier_attempts_go_when_there_are_enough_newer_ones(
    tiny: Tiny, train: Train
) -> None:
    run = tiny(checkpoint_seconds=0, checkpoint_keep=2)
    for attempt in ("a1-x", "a2-x"):
        with pytest.MonkeyPatch.context() as patch:
            _asked_in(patch, Loop, "_step", 1 if attempt == "a2-x" else 5)
            train(run, attempt)
    assert _checkpoints(run) == [
        "a1-x/checkpoints/step-0000004",
        "a1-x/checkpoints/step-0000005",
        "a2-x/checkpoints/step-0000006",
    ]
    train(run, "a3-x")
    assert _checkpoints(run) == [
        "a3-x/checkpoints/step-0000010",
        "a3-x/checkpoints/step-0000011",
    ]
    assert len(list(_folder(run).glob("*/history.jsonl"))) == 3


def test_a_damaged_artifact_is_said_and_made_again(
    tiny: Tiny, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny()
    first = train(run, "a1")
    _flip(_folder(run) / "a1/artifact/model.safetensors")
    capsys.readouterr()
    again = train(run, "a2")
    (warning,) = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert warning.startswith("warning: the artifact of this run is damaged: ")
    assert "model.safetensors has other content than its manifest says" in warning
    assert warning.endswith("; it is made again")
    assert _digest(again) == _digest(first)
    assert _uri(again) != _uri(first)
    verify(storage.place_of(_uri(again)))
    assert train(run, "a3") == again
    assert not (_folder(run) / "a3").exists()


def test_a_model_that_explodes_in_its_last_step_is_the_users_move(tiny: Tiny, train: Train) -> None:
    run = tiny(steps=1)
    settings = run.hyperparameters.model_copy(update={"learning_rate": 1e38, "warmup_steps": 0})
    with pytest.raises(PodFailure, match=r"held-out text was .* lower spec\.schedule") as caught:
        train(run.model_copy(update={"hyperparameters": settings}))
    assert (caught.value.reason, caught.value.failure) == ("LossNotFinite", FailureClass.USER)


def _fails(error: Exception) -> Callable[..., None]:
    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    return fail


FULL = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("owner", "name", "error", "reason", "message"),
    [
        (writer, "save_file", FULL, "StorageFailed", "make room in the store, or lower spec.check"),
        (writer, "_finish", OSError(30, "x"), "StorageFailed", "Read-only file system; mount the"),
        (
            export,
            "_write_model",
            OSError(5, "x", "/m"),
            "StorageFailed",
            "/m cannot be used: Input",
        ),
        (Report, "step", OSError(28, "x"), "StorageFailed", "out cannot be used: No space left"),
        (Loop, "_step", MemoryError(), "OutOfMemory", "ran out of memory; use more devices"),
    ],
)
def test_what_storage_or_memory_does_not_do_is_said_with_a_remedy(
    *,
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    error: Exception,
    reason: str,
    message: str,
) -> None:
    monkeypatch.setattr(owner, name, _fails(error))
    monkeypatch.setenv(TERMINATION_LOG, str(tmp_path / "log"))
    (tmp_path / "run.yaml").write_text(dump(tiny("out", steps=4)))
    if owner is writer:  # a stop saves
        _asked_in(monkeypatch, Loop, "_step")
    assert command.main(["pretrain", str(tmp_path / "run.yaml")]) == 1
    said = Outcome.model_validate_json((tmp_path / "log").read_text())
    assert said.reason == reason
    assert message in said.message
