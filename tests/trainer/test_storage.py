from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cupola_api import artifact
from cupola_api.artifact import MANIFEST, seal
from cupola_api.outcome import FailureClass
from cupola_api.run import Input
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import finished, open_input, place_of

RUN = "sha256:" + "1" * 64


@pytest.fixture
def source(tmp_path: Path) -> Input:
    """An artifact, as an input of a run."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/data").write_bytes(b"text")
    sealed = seal(tmp_path / "in", kind="Dataset", run=RUN)
    return Input(kind="Dataset", name="words", uri=sealed.uri, digest=sealed.digest)


def _outage(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Storage that does not answer for files of a name."""
    read_bytes, hash_file = Path.read_bytes, artifact.hash_file

    def fail(path: Path) -> None:
        if path.name == name:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    monkeypatch.setattr(Path, "read_bytes", lambda path: fail(path) or read_bytes(path))
    monkeypatch.setattr(artifact, "hash_file", lambda path: fail(path) or hash_file(path))


def test_a_whole_artifact_of_the_run_is_taken(
    source: Input, capsys: pytest.CaptureFixture[str]
) -> None:
    found = finished(place_of(source.uri), RUN)
    assert found is not None
    assert found.digest == source.digest
    assert finished(place_of(source.uri), "sha256:" + "2" * 64) is None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("left", ["nothing", "no manifest"])
def test_what_is_not_finished_is_not_damaged(
    source: Input, left: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place_of(source.uri)
    (folder / MANIFEST).unlink()
    assert finished(folder if left == "no manifest" else folder / "none", RUN) is None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("damaged", ["data", MANIFEST])
def test_a_damaged_artifact_is_not_taken_and_said(
    source: Input, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = place_of(source.uri) / damaged
    data = place.read_bytes()
    place.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert finished(place.parent, RUN) is None
    warning = capsys.readouterr().out
    assert warning.startswith("warning: the artifact of this run is damaged: ")
    assert str(place) in warning
    with pytest.raises(PodFailure, match="Dataset words is not as it was made") as caught:
        open_input(source)
    assert caught.value.failure is FailureClass.DATA


@pytest.mark.parametrize("name", ["data", MANIFEST])
def test_an_outage_of_storage_is_not_taken_for_damage(
    source: Input, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _outage(monkeypatch, name)
    with pytest.raises(OSError, match="Stale file handle"):
        finished(place_of(source.uri), RUN)
    with pytest.raises(OSError, match="Stale file handle"):
        open_input(source)
