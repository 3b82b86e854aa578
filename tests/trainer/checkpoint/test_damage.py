"""Every kind of damage to every file of the newest checkpoint: the run goes on from the one before."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cupola_api import artifact
from cupola_api.artifact import MANIFEST
from cupola_trainer import checkpoint

RUN = "sha256:" + "1" * 64
FILES = ["rank-00000.safetensors", "rank-00001.safetensors", "state.json", MANIFEST]


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _cut(path: Path, length: int) -> None:
    os.truncate(path, length)


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "empty": lambda path: _cut(path, 0),
    "cut": lambda path: _cut(path, path.stat().st_size // 2),
    "without its last byte": lambda path: _cut(path, path.stat().st_size - 1),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a bit flipped at its start": lambda path: _flip(path, 0),
    "a bit flipped inside": lambda path: _flip(path, path.stat().st_size // 2),
    "a bit flipped at its end": lambda path: _flip(path, -1),
    "all zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "a folder": _make_folder,
    "of another step": lambda path: path.write_bytes(
        (path.parent.with_name("step-0000005") / path.name).read_bytes()
    ),
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_seen_and_the_checkpoint_before_is_taken(
    tmp_path: Path, save: Any, same: Any, file: str, damage: str
) -> None:
    save(tmp_path / "a1", 5)
    newer = save(tmp_path / "a2", 6)
    save(tmp_path / "a2", 5)
    DAMAGE[damage](newer / file)
    path, passed_over = checkpoint.newest(tmp_path, RUN)
    assert path == tmp_path / "a2/checkpoints/step-0000005"
    assert same(path, 5)
    (sentence,) = passed_over
    assert sentence.startswith("checkpoint a2/checkpoints/step-0000006 is passed over: ")
    # Where the manifest itself is damaged, it may be at odds with any file.
    assert file in sentence or file == MANIFEST or damage == "of another step"
    assert sentence.endswith("; going on from a2/checkpoints/step-0000005 instead")


def test_no_byte_of_a_manifest_can_change_unseen(tmp_path: Path, save: Any) -> None:
    place = save(tmp_path / "a1", 6) / MANIFEST
    whole = place.read_bytes()
    for at in range(len(whole)):
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        path, passed_over = checkpoint.newest(tmp_path, RUN)
        assert path is None, place.read_text()
        assert len(passed_over) == 1


def test_a_file_that_the_manifest_does_not_name_is_not_read(
    tmp_path: Path, save: Any, same: Any
) -> None:
    other, path = save(tmp_path / "a1", 9), save(tmp_path / "a1", 6)
    shutil.copyfile(other / FILES[0], path / "rank-00000-copy.safetensors")
    shutil.copyfile(other / FILES[0], path / "rank-00002.safetensors")
    assert same(path, 6)


def test_what_a_kill_leaves_unfinished_is_not_damaged(tmp_path: Path, save: Any) -> None:
    path = save(tmp_path / "a1", 5)
    for left in (".step-0000009", ".step-0000006.old"):
        shutil.copytree(path, path.with_name(left))
        (path.with_name(left) / MANIFEST).unlink()
    (tmp_path / "a2").mkdir()
    (tmp_path / "a3/checkpoints").mkdir(parents=True)
    assert checkpoint.newest(tmp_path, RUN) == (path, [])


def test_when_all_are_damaged_the_run_begins_anew_and_says_so(tmp_path: Path, save: Any) -> None:
    for step in (5, 6):
        (save(tmp_path / "a1", step) / "state.json").unlink()
    path, passed_over = checkpoint.newest(tmp_path, RUN)
    assert path is None
    assert [s.partition(" is")[0] for s in passed_over] == [
        "checkpoint a1/checkpoints/step-0000006",
        "checkpoint a1/checkpoints/step-0000005",
    ]
    assert all(sentence.endswith("; beginning anew") for sentence in passed_over)


def _unreadable(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Let the disk fail under a folder; a test that runs as root cannot take its own rights."""
    hash_file = artifact.hash_file

    def fail(path: Path) -> str:
        if path.is_relative_to(place):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return hash_file(path)

    monkeypatch.setattr(artifact, "hash_file", fail)


def test_a_bad_sector_is_passed_over(
    tmp_path: Path, save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = save(tmp_path / "a1", 5), save(tmp_path / "a1", 6)
    _unreadable(monkeypatch, newer)
    path, passed_over = checkpoint.newest(tmp_path, RUN)
    assert path == older
    assert "step-0000006/rank-00000.safetensors cannot be read: Input/output error" in str(
        passed_over
    )


def test_an_outage_of_storage_does_not_throw_the_run_away(
    tmp_path: Path, save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a1", 5)
    save(tmp_path / "a1", 6)
    _unreadable(monkeypatch, tmp_path)
    with pytest.raises(OSError, match="Input/output error"):
        checkpoint.newest(tmp_path, RUN)
