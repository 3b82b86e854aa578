from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from cupola_api.artifact import (
    MANIFEST,
    ArtifactInvalid,
    canonical,
    digest_of,
    seal,
    verify,
    write_atomic,
)

RUN = "sha256:" + "0" * 64


def _folder(root: Path) -> Path:
    (root / "sub").mkdir(parents=True)
    (root / "a.bin").write_bytes(b"abc")
    (root / "sub" / "b.bin").write_bytes(b"defg")
    return root


def test_a_sealed_folder_verifies_and_knows_its_size(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "x")
    artifact = seal(folder, kind="Model", run=RUN)
    manifest, found = verify(folder, digest=artifact.digest)
    assert found == artifact
    assert artifact.bytes == 7
    assert [f.path for f in manifest.files] == ["a.bin", "sub/b.bin"]


def test_the_digest_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    one = seal(_folder(tmp_path / "one"), kind="Model", run=RUN)
    two = seal(_folder(tmp_path / "two"), kind="Model", run=RUN)
    assert one.digest == two.digest
    assert one.uri != two.uri


def test_sealing_again_changes_nothing(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "x")
    first = seal(folder, kind="Model", run=RUN)
    assert seal(folder, kind="Model", run=RUN) == first


def test_a_leftover_temporary_file_is_no_part_of_an_artifact(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "x")
    expected = seal(folder, kind="Model", run=RUN).digest
    (folder / ".a.bin.77.tmp").write_bytes(b"half")
    assert seal(folder, kind="Model", run=RUN).digest == expected


def _truncate(folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"ab")


def _flip(folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"abd")


def _remove(folder: Path) -> None:
    (folder / "sub" / "b.bin").unlink()


def _unseal(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def _tear(folder: Path) -> None:
    path = folder / MANIFEST
    path.write_bytes(path.read_bytes()[:-5])


def _escape(folder: Path) -> None:
    path = folder / MANIFEST
    value = json.loads(path.read_bytes())
    value["files"][0]["path"] = "../outside"
    path.write_bytes(canonical(value))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_truncate, "a.bin has 2 bytes, expected 3"),
        (_flip, "a.bin has other content"),
        (_remove, "b.bin is missing"),
        (_unseal, "cannot be read"),
        (_tear, "is not a manifest"),
        (_escape, "names a path outside it"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: object, words: str) -> None:
    folder = _folder(tmp_path / "x")
    seal(folder, kind="Model", run=RUN)
    damage(folder)  # type: ignore[operator]
    with pytest.raises(ArtifactInvalid, match=words):
        verify(folder)


def test_another_artifact_is_not_taken_for_the_one_expected(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "x")
    seal(folder, kind="Model", run=RUN)
    with pytest.raises(ArtifactInvalid, match="expected sha256:1111"):
        verify(folder, digest="sha256:" + "1" * 64)


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": [2, "ä"]}) == digest_of({"b": [2, "ä"], "a": 1})


def test_an_atomic_write_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_atomic(path, b"1")
    write_atomic(path, b"2")
    assert path.read_bytes() == b"2"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_an_atomic_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_atomic(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    assert path.read_bytes() == b"old"


def test_a_file_that_cannot_even_be_made_fails_for_that_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="no space left"):
        write_atomic(tmp_path / "a.json", b"new")
