"""Artifacts in a real bucket: brought, checked, put; by processes that die and by two at once."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cupola_api.artifact import MANIFEST, ArtifactInvalid, canonical, seal
from cupola_api.common import Artifact
from cupola_api.outcome import FailureClass
from cupola_api.run import Input
from cupola_trainer import storage
from cupola_trainer.failures import failure_of
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import S3Place, place_of, remote, s3, scratch

RUN = "sha256:" + "1" * 64
FILES = {"train/0": b"tokens" * 100, "validation/0": b"", "tokenizer.json": b"{}"}


@pytest.fixture
def place(bucket: str) -> S3Place:
    found = place_of(f"{bucket}/artifact")
    assert isinstance(found, S3Place)
    return found


def made(place: S3Place, files: dict[str, bytes] = FILES, **facts: int) -> Artifact:
    """An artifact, put at a place."""
    with storage.workplace(place) as folder:
        for name, data in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
        seal(folder, kind="Dataset", run=RUN, facts=facts)
        return storage.publish(folder, place)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def test_what_is_put_is_brought_back(place: S3Place, tmp_path: Path) -> None:
    artifact = made(place)
    assert artifact.uri == str(place)
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    here = seal(tmp_path, kind="Dataset", run=RUN)
    assert (artifact.digest, artifact.bytes) == (here.digest, here.bytes)
    assert storage.check(place, digest=artifact.digest) == storage.read_manifest(place)
    assert storage.finished(place, RUN) == artifact
    assert storage.finished(place, "sha256:" + "2" * 64) is None
    copy = storage.fetch(place, digest=artifact.digest)
    assert content(copy) == FILES
    assert (copy / MANIFEST).stat().st_mtime == pytest.approx(s3.read(place / MANIFEST)[1])


def test_only_what_is_used_is_brought_and_only_once(place: S3Place, requests: Any) -> None:
    artifact = made(place)
    source = Input(kind="Dataset", name="web", uri=artifact.uri, digest=artifact.digest)
    requests.made.clear()
    folder = storage.open_input(source, "train/", "tokenizer")
    assert set(content(folder)) == {"train/0", "tokenizer.json"}
    assert requests.made == ["GetObject"] * 3
    requests.made.clear()
    assert storage.open_input(source, "train/", "tokenizer") == folder
    assert requests.made == []
    storage.forget(folder, place)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["train/0", "validation/0", MANIFEST])
@pytest.mark.parametrize("damage", ["other", "longer", "gone"])
def test_what_is_damaged_is_not_used(
    place: S3Place, name: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = made(place)
    data = s3.read(place / name)[0]
    if damage == "gone":
        s3.delete([place / name])
    else:
        s3.write(place / name, b"x" + (data[1:] if damage == "other" else data))
    with pytest.raises(ArtifactInvalid, match=f"{place}/{name} "):
        storage.check(place)
    with pytest.raises(ArtifactInvalid, match=f"{place}/{name} "):
        storage.fetch(place)
    assert [path for path in scratch.root().iterdir() if path.is_dir()] == []
    source = Input(kind="Dataset", name="web", uri=artifact.uri, digest=artifact.digest)
    with pytest.raises(PodFailure, match="Dataset web is not as it was made: ") as caught:
        storage.open_input(source)
    assert caught.value.failure is FailureClass.DATA
    assert storage.finished(place, RUN) is None
    warned = "the artifact of this run is damaged" in capsys.readouterr().out
    assert warned is ((name, damage) != (MANIFEST, "gone"))


def test_another_artifact_at_the_place_is_not_the_input(place: S3Place) -> None:
    artifact = made(place)
    made(place, {"train/0": b"other"})
    with pytest.raises(ArtifactInvalid, match=f"{place} has digest .*, expected {artifact.digest}"):
        storage.fetch(place, digest=artifact.digest)


@pytest.mark.parametrize("path", ["../outside", "/etc/outside"])
def test_a_manifest_cannot_name_what_is_outside(place: S3Place, path: str) -> None:
    made(place)
    entry = {"path": path, "bytes": 0, "sha256": "0" * 64}
    manifest = {"format": 1, "kind": "Dataset", "run": RUN, "files": [entry]}
    s3.write(place / MANIFEST, canonical(manifest))
    with pytest.raises(ArtifactInvalid, match="names a path outside it"):
        storage.fetch(place)


@pytest.mark.parametrize("before", [None, "the same", "other files"])
def test_a_process_that_dies_at_any_request_leaves_no_wrong_artifact(
    place: S3Place, requests: Any, before: str | None
) -> None:
    old = {"train/0": b"old", "validation/0": b"old too"}
    for nth in range(1, 100):
        if before:
            made(place, FILES if before == "the same" else old)
        requests.made.clear()
        requests.die_at = nth
        try:
            made(place)
        except requests.Died:
            pass
        else:
            break
        finally:
            requests.die_at = None
        try:
            copy = storage.fetch(place)
        except ArtifactInvalid:
            assert before != "the same"
        else:
            assert content(copy) in (FILES, old if before else FILES)
        remote.remove(place)
    assert nth == len(FILES) + 2
    assert content(storage.fetch(place)) == FILES


def test_a_removal_that_dies_leaves_no_wrong_artifact(place: S3Place, requests: Any) -> None:
    for nth in range(1, 100):
        made(place)
        requests.made.clear()
        requests.die_at = nth
        try:
            remote.remove(place)
        except requests.Died:
            pass
        else:
            break
        finally:
            requests.die_at = None
        assert storage.is_sealed(place) is (nth <= 2)
    assert nth == len(FILES) + 3
    assert list(s3.below(place)) == []


def test_no_room_for_a_copy_is_said(place: S3Place, monkeypatch: pytest.MonkeyPatch) -> None:
    made(place)

    def full(wanted: Any) -> None:
        del wanted
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(s3, "download", full)
    with pytest.raises(OSError, match="has no room") as caught:
        storage.fetch(place)
    said = failure_of(caught.value)
    assert said is not None
    assert (said.reason, said.failure) == ("ScratchFull", FailureClass.INFRASTRUCTURE)
    assert said.message.startswith(f"{place} cannot be used: ")
    assert said.message.endswith("; give the pod more scratch space (TMPDIR)")


def test_no_room_to_make_something_is_said(place: S3Place) -> None:
    with (  # noqa: PT012  the block is what is tested
        pytest.raises(OSError, match="has no room") as caught,
        storage.workplace(place) as folder,
    ):
        assert folder.is_dir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "x"))
    said = failure_of(caught.value)
    assert said is not None
    assert said.reason == "ScratchFull"
    assert not folder.exists()


def test_ranks_of_a_machine_share_a_copy_that_goes_with_them(
    place: S3Place, pod: Path, tmp_path: Path
) -> None:
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact/data").write_bytes(b"text")
    seal(tmp_path / "artifact", kind="Dataset", run=RUN)
    storage.publish(tmp_path / "artifact", place)
    program = (
        "import sys; from cupola_trainer import storage;"
        f"copy = storage.fetch(storage.place_of('{place}'));"
        "print('copy:', copy, flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "LOCAL_WORLD_SIZE": "2"}
    command = [sys.executable, "-c", program]
    with ExitStack() as running:
        ranks = [
            running.enter_context(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        first, second = (_copy_of(rank) for rank in ranks)
        assert first == second
        assert first.is_relative_to(pod)
        ranks[0].communicate("")
        assert content(second) == {"data": b"text"}
        ranks[1].communicate("")
    assert not second.parent.exists()


def _copy_of(rank: subprocess.Popen[str]) -> Path:
    """What a rank says that its copy is."""
    for line in rank.stdout or ():
        if line.startswith("copy: "):
            return Path(line.removeprefix("copy: ").strip())
    raise AssertionError("it has no copy")


def test_what_a_killed_process_left_goes_when_the_next_one_comes(pod: Path) -> None:
    program = (
        "import os; from cupola_trainer.storage import scratch;"
        "print(scratch.folder('work'), flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=False
    )
    left = Path(done.stdout.strip())
    assert left.is_relative_to(pod)
    assert left.is_dir()
    scratch.root()
    assert not left.exists()
    assert [path.name for path in pod.iterdir()] == [scratch.root().name]
