"""A save, a deletion or a sealing that is killed before any of its operations on files.

The killed process is a fork of this one, and ends without any of Python's tidying up.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cupola_api import artifact
from cupola_api.artifact import MANIFEST, ArtifactInvalid, seal, verify
from cupola_trainer import checkpoint
from cupola_trainer.checkpoint import choose, writer
from cupola_trainer.failures import failure_of

RUN = "sha256:" + "1" * 64
KILLED = 9
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"}


@pytest.fixture
def no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here loses power, and flushing takes most of the time."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


class Killer:
    """Counts operations on the files below a folder; calls `kill` before the `nth` of them.

    Operations are those that Python audits, each flush to disk, and the writing of tensors, which
    is three: before, in the middle, after.
    """

    def __init__(
        self, folder: Path, nth: int, kill: Callable[[], None], tensors: bytes | None = None
    ) -> None:
        self.count = 0
        self._tensors = tensors
        self._below, self._nth, self._kill = str(folder), nth, kill

    def step(self) -> None:
        """One operation is about to be done."""
        self.count += 1
        if self.count == self._nth:
            self._kill()

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Of `sys.addaudithook`."""
        if event == "open" and str(arguments[0]).startswith(self._below):
            writes = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if writes:
                self.step()
                if self.count + 1 == self._nth:  # killed between opening and writing
                    os.close(os.open(arguments[0], os.O_CREAT | os.O_WRONLY))
                self.step()
        elif event in CHANGES:
            self.step()

    def fsync(self, file: int) -> None:
        """In place of os.fsync."""
        self.step()

    def save_file(self, tensors: dict[str, Any], path: Path) -> None:
        """In place of safetensors' own, which cannot be used in a fork of a process with threads."""
        self.step()
        if self._tensors is None:
            SAVE_FILE(tensors, path)
        whole = self._tensors or path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        self.step()
        path.write_bytes(whole)


SAVE_FILE = writer.save_file


def _killed_at(nth: int, folder: Path, work: Callable[[], object], tensors: bytes) -> bool:
    """Do work in a child that is killed before its `nth` operation; False if it came to its end."""
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        killer = Killer(folder, nth, lambda: os._exit(KILLED), tensors)
        writer.save_file, os.fsync = killer.save_file, killer.fsync
        sys.addaudithook(killer.audit)
        try:
            work()
        except BaseException as error:  # noqa: BLE001  a child must not come back into pytest
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


def _kills(
    folder: Path, work: Callable[[], object], least: int, tensors: bytes = b""
) -> Iterator[int]:
    """For each operation of work: the folder as it was, then killed there.

    `tensors`: the file of tensors that it saves.
    """
    before = folder.with_name(f"{folder.name}-before")
    shutil.copytree(folder, before)
    nth = 1
    while _killed_at(nth, folder, work, tensors):
        yield nth
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
        nth += 1
    assert nth > least, f"only {nth - 1} operations were seen"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("there", ["nothing", "a damaged one", "a whole one", "leftovers"])
@pytest.mark.usefixtures("no_flush")
def test_a_save_that_is_killed_leaves_the_old_checkpoint_or_the_new_one(
    tmp_path: Path, save: Any, same: Any, there: str
) -> None:
    run = tmp_path / "run"
    old = save(run / "a1", 5, size=1)
    folder = old.parent
    if there in ("a damaged one", "a whole one"):
        save(run / "a1", 6, size=1)
        if there == "a damaged one":
            (folder / "step-0000006/state.json").write_bytes(b"")
    if there == "leftovers":
        for name in (".step-0000006", ".step-0000006.old"):
            shutil.copytree(old, folder / name)

    tensors = (save(tmp_path / "elsewhere", 6, size=1) / "rank-00000.safetensors").read_bytes()
    steps = set()
    least = 0 if there == "a whole one" else 15
    for _ in _kills(run, lambda: save(run / "a1", 6, size=1), least, tensors):
        path, passed_over = checkpoint.newest(run, RUN)
        assert path is not None
        step = int(path.name.removeprefix("step-"))
        steps.add(step)
        assert same(path, step)
        assert len(passed_over) <= (there == "a damaged one")
        # The next attempt comes to the same step in its own folder, or a run by hand in this one.
        save(run / "a1", 6, size=1)
        checkpoint.prune(folder, 2)
        assert _names(folder) == ["step-0000005", "step-0000006"]
        assert same(folder / "step-0000006", 6)
    assert steps <= {5, 6}
    assert there == "a whole one" or steps == {5, 6}


class Dead(BaseException):
    """A rank is no more."""


def _die() -> None:
    raise Dead


@pytest.fixture
def killers(monkeypatch: pytest.MonkeyPatch) -> dict[int, Killer]:
    """Threads, by identity, that are killed at one of the steps of a save."""
    found: dict[int, Killer] = {}

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(writer, name)

        def step_first(*arguments: Any, **options: Any) -> Any:
            if killer := found.get(threading.get_ident()):
                killer.step()
            return real(*arguments, **options)

        return step_first

    def save_file(tensors: dict[str, Any], path: Path) -> None:
        killer = found.get(threading.get_ident())
        (killer.save_file if killer else SAVE_FILE)(tensors, path)

    for name in ("_begin", "sync", "_entry", "_finish", "_old"):
        monkeypatch.setattr(writer, name, counted(name))
    monkeypatch.setattr(writer, "save_file", save_file)
    return found


@pytest.mark.usefixtures("no_flush")
@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_that_is_killed_in_a_save_ends_it_for_the_other(
    tmp_path: Path, save: Any, same: Any, killers: dict[int, Killer], victim: int
) -> None:
    for nth in count(1):
        run = tmp_path / f"run-{nth}"
        save(run / "a1", 5)

        def watch(rank: int, nth: int = nth, run: Path = run) -> None:
            if rank == victim:
                killers[threading.get_ident()] = Killer(run, nth, _die)

        try:
            save(run / "a1", 6, watch=watch)
        except RuntimeError as error:
            follows = failure_of(error)
            assert follows is not None
            assert follows.reason == "RankLost"
        except Dead:
            pass
        else:
            break
        killers.clear()
        path, passed_over = checkpoint.newest(run, RUN)
        assert path is not None
        assert same(path, int(path.name[-1]))
        assert passed_over == []
        save(run / "a1", 6)
        checkpoint.prune(path.parent, 1)
        assert _names(path.parent) == ["step-0000006"]
    assert nth > 4


@pytest.mark.usefixtures("no_flush")
def test_a_deletion_that_is_killed_leaves_what_was_to_be_kept(
    tmp_path: Path, save: Any, same: Any
) -> None:
    run = tmp_path / "run"
    for attempt, step in (("a1-x", 3), ("a1-x", 4), ("a2-x", 5), ("a2-x", 6), ("a2-x", 7)):
        save(run / attempt, step, size=1)
    (run / "a1-x/history.jsonl").write_text("{}\n")
    folder = run / "a2-x/checkpoints"
    for left in (folder / ".step-0000009", folder / ".step-0000005.old"):
        left.mkdir()
        (left / "rank-00000.safetensors").write_bytes(b"unfinished")
    shutil.copytree(folder / ".step-0000009", run / "a1-x/checkpoints/.step-0000003.old")
    earlier = checkpoint.earlier_attempts(run / "a2-x")
    for _ in _kills(run, lambda: checkpoint.prune(folder, 2, earlier), 15):
        path, passed_over = checkpoint.newest(run, RUN)
        assert path == folder / "step-0000007"
        assert same(path, 7)
        assert passed_over == []
        assert same(folder / "step-0000006", 6)
        for one in choose.candidates(run):
            verify(one)
        checkpoint.prune(folder, 2, earlier)
        assert _names(folder) == ["step-0000006", "step-0000007"]
        assert _names(run / "a1-x") == ["history.jsonl"]


@pytest.mark.usefixtures("no_flush")
def test_a_sealing_that_is_killed_leaves_no_wrong_artifact(tmp_path: Path) -> None:
    place = tmp_path / "artifact"
    place.mkdir()
    files = {"config.json": b"{}", "part/model.safetensors": b"weights" * 100}

    def work() -> None:
        for name, data in files.items():
            artifact.write_atomic(place / name, data)
        seal(place, kind="Model", run=RUN, facts={"steps": 3})

    sealed = 0
    for _ in _kills(place, work, 8):
        try:
            manifest, _artifact = verify(place)
        except ArtifactInvalid:
            assert not (place / MANIFEST).exists()
        else:
            sealed += 1
            assert {f.path: (place / f.path).read_bytes() for f in manifest.files} == files
        work()
        assert {f.path for f in verify(place)[0].files} == set(files)
    assert sealed


def test_everything_is_on_the_disk_before_it_is_in_sight(
    tmp_path: Path, save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node may lose power: what the rename shows must have been flushed before it."""
    flushed: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def note_fsync(file: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{file}").readlink().name)
        fsync(file)

    def note_rename(self: Path, target: Path) -> Path:
        flushed.append(f"-> {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    path = save(tmp_path / "a1", 5)
    shown = flushed.index("-> step-0000005")
    for name in _names(path):
        assert any(name in one for one in flushed[:shown]), name
    assert ".step-0000005" in flushed[:shown]
    assert "checkpoints" in flushed[shown:]
