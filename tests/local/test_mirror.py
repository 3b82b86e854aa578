from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cupola_operator.cluster import Key
from cupola_operator.local.mirror import Mirror, MirrorBroken

VALUE = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7"},
    "data": {"run.yaml": "x: 1\ny: 'é'\n", "time": "2026-01-31T12:00:00Z", "no": "no"},
}
FILE = "objects/ConfigMap/n/a.yaml"


def test_an_object_is_read_back_as_it_was(tmp_path: Path) -> None:
    Mirror(tmp_path).write(VALUE)
    assert (tmp_path / FILE).exists()
    assert Mirror(tmp_path).read() == [VALUE]


def test_a_removed_object_is_gone(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    mirror.write(VALUE)
    mirror.remove(Key("ConfigMap", "n", "a"))
    mirror.remove(Key("ConfigMap", "n", "a"))
    assert mirror.read() == []


def test_what_a_crash_left_of_a_write_is_not_an_object(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    mirror.write(VALUE)
    (tmp_path / "objects/ConfigMap/n/.b.yaml.1.tmp").write_text("kind: Conf")
    assert mirror.read() == [VALUE]


@pytest.mark.parametrize("cut", [0, 10, 60, -20])
def test_a_torn_file_stops_the_shell_and_is_named(tmp_path: Path, cut: int) -> None:
    mirror = Mirror(tmp_path)
    mirror.write(VALUE)
    path = tmp_path / FILE
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3] if cut == -20 else whole[:cut])
    with pytest.raises(MirrorBroken, match=r"a\.yaml"):
        mirror.read()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Pod"},
        {"metadata": {**VALUE["metadata"], "name": "b"}},  # type: ignore[dict-item]
        {"metadata": {"name": "a", "namespace": "n", "resourceVersion": "7"}},
        {"metadata": {**VALUE["metadata"], "resourceVersion": "x"}},  # type: ignore[dict-item]
    ],
)
def test_a_file_with_another_object_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump({**VALUE, **change}))
    with pytest.raises(MirrorBroken, match="does not hold the whole object"):
        Mirror(tmp_path).read()


def test_objects_of_python_in_yaml_are_not_made(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    path.write_text("!!python/object/apply:os.getpid []\n")
    with pytest.raises(MirrorBroken):
        Mirror(tmp_path).read()


def test_a_file_cut_anywhere_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    mirror.write(VALUE)
    path = tmp_path / FILE
    whole = path.read_bytes()
    end = len(whole.rstrip())
    for cut in range(end):
        path.write_bytes(whole[:cut])
        with pytest.raises(MirrorBroken, match=r"a\.yaml"):
            mirror.read()
    path.write_bytes(whole[:end])
    assert mirror.read() == [VALUE], "a last line break may go"


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(VALUE))
    assert Mirror(tmp_path).read() == [VALUE]


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": 1},
        {"metadata": {**VALUE["metadata"], "labels": ["a"]}},  # type: ignore[dict-item]
        {"metadata": {**VALUE["metadata"], "ownerReferences": [{"kind": "Job"}]}},  # type: ignore[dict-item]
        {"metadata": {**VALUE["metadata"], "ownerReferences": 3}},  # type: ignore[dict-item]
        {"spec": None},
        {"spec": {}},
        {"spec": {"containers": []}},
        {"spec": {"containers": ["main"]}},
        {"status": "Running"},
    ],
)
def test_a_pod_that_was_edited_out_of_shape_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    pod = {**VALUE, "kind": "Pod", "spec": {"containers": [{"name": "main"}]}}
    path = tmp_path / FILE.replace("ConfigMap", "Pod")
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(pod))
    assert Mirror(tmp_path).read() == [pod]
    path.write_text(yaml.safe_dump({**pod, **change}))
    with pytest.raises(MirrorBroken, match=r"a\.yaml does not hold the whole object"):
        Mirror(tmp_path).read()


def test_what_crashes_left_of_writes_is_removed(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    mirror.write(VALUE)
    mirror.write_events([])
    left = [tmp_path / "objects/ConfigMap/n/.b.yaml.1.tmp", tmp_path / ".events.jsonl.1.tmp"]
    for path in left:
        path.write_text("kind: Conf")
    mirror.clean()
    assert not any(path.exists() for path in left)
    assert mirror.read() == [VALUE]
    assert mirror.read_events() == []


EVENT = {
    "involvedObject": {},
    "reason": "A",
    "message": "m",
    "count": 1,
    "firstTimestamp": "t",
    "lastTimestamp": "t",
}


def test_events_are_read_back(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    assert mirror.read_events() == []
    mirror.write_events([EVENT, {**EVENT, "reason": "B"}])
    assert mirror.read_events() == [EVENT, {**EVENT, "reason": "B"}]


@pytest.mark.parametrize("text", ['{"rea', "[]", "1", '{"reason": "A"}', "\x00"])
def test_events_that_are_torn_or_edited_are_refused(tmp_path: Path, text: str) -> None:
    Mirror(tmp_path).write_events([EVENT])
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write(text)
    with pytest.raises(MirrorBroken, match=r"events\.jsonl .*delete it"):
        Mirror(tmp_path).read_events()


@pytest.mark.parametrize("status", [{"attempts": [{"number": 0}]}, {"phase": "Dreaming"}])
def test_a_status_that_cannot_be_read_is_not_taken_for_none(
    tmp_path: Path, status: dict[str, object]
) -> None:
    path = tmp_path / "objects/Dataset/default/a.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump({**VALUE, "kind": "Dataset", "status": status}))
    with pytest.raises(MirrorBroken, match=r"a\.yaml does not hold the whole object"):
        Mirror(tmp_path).read()
