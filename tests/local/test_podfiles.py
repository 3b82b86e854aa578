from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cupola_operator.cluster import Object
from cupola_operator.local.clock import rfc3339
from cupola_operator.local.container import CannotStart
from cupola_operator.local.podfiles import PodFiles


def _pod(name: str = "p", uid: str = "0123456789abcdef") -> Object:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "n", "uid": f"{name}{uid}"},
        "status": {"startTime": rfc3339(1000.0)},
    }


def test_volumes_are_made_anew(tmp_path: Path) -> None:
    files, pod = PodFiles(tmp_path), _pod()
    files.make(pod, {"a": {"x": "1"}})
    files.make(pod, {"a": {"y/z": "é"}, "b": {}})
    folder = files.folder(pod)
    found = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))
    assert found == ["volumes", "volumes/a", "volumes/a/y", "volumes/a/y/z", "volumes/b"]
    assert (folder / "volumes/a/y/z").read_bytes() == "é".encode()
    assert files.scratch(pod).stat().st_mode & 0o777 == 0o700
    files.clear_scratch(pod)
    assert not files.scratch(pod).exists()
    files.make(pod, {})
    files.remove(pod)
    assert not files.scratch(pod).exists()
    assert not files.folder(pod).exists()


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_a_file_outside_its_volume_is_refused(tmp_path: Path, name: str) -> None:
    files = PodFiles(tmp_path)
    with pytest.raises(CannotStart, match="outside"):
        files.make(_pod(), {"a": {name: ""}})
    files.clear_scratch(_pod())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_end_of_a_message_is_read(tmp_path: Path) -> None:
    files, pod = PodFiles(tmp_path), _pod()
    assert (files.message(pod), files.log_tail(pod)) == (b"", b"")
    files.folder(pod).mkdir(parents=True)
    (files.folder(pod) / "termination-log").write_bytes(b"a" * 5000 + b"end")
    assert len(files.message(pod)) == 4096
    assert files.message(pod).endswith(b"aend")


def test_a_lost_pod_lived_at_least_until_its_last_output(tmp_path: Path) -> None:
    files, pod = PodFiles(tmp_path), _pod()
    assert files.last_sign(pod) == 1000.0
    files.log(pod).parent.mkdir(parents=True)
    files.log(pod).write_text("x")
    os.utime(files.log(pod), (0, 5000))
    assert files.last_sign(pod) == 5000.0
    os.utime(files.log(pod), (0, 10))
    assert files.last_sign(pod) == 1000.0, "an earlier pod of the name printed that"


def test_a_lost_pod_did_not_live_in_the_future(tmp_path: Path) -> None:
    files, pod = PodFiles(tmp_path), _pod()
    files.log(pod).parent.mkdir(parents=True)
    files.log(pod).write_text("x")
    os.utime(files.log(pod), (0, time.time() + 5000))
    assert files.last_sign(pod) <= time.time()


def test_a_copy_of_a_work_directory_does_not_claim_what_the_other_runs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, other = PodFiles(tmp_path / "a"), PodFiles(tmp_path / "b")
    assert one.mark(_pod()) != other.mark(_pod())
    assert one.scratch(_pod()) != other.scratch(_pod())
    before = one.mark(_pod())
    (tmp_path / "a").rename(tmp_path / "c")
    assert PodFiles(tmp_path / "c").mark(_pod()) == before, "one that was moved is the same"


def test_only_folders_of_known_pods_stay(tmp_path: Path) -> None:
    files = PodFiles(tmp_path)
    for pod in (_pod("a"), _pod("b")):
        files.folder(pod).mkdir(parents=True)
    files.sweep([_pod("a")])
    assert [path.name for path in tmp_path.glob("pods/n/*")] == ["a-a0123456"]
