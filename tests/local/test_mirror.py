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


def test_events_are_read_back(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path)
    assert mirror.read_events() == []
    mirror.write_events([{"reason": "A"}, {"reason": "B"}])
    assert mirror.read_events() == [{"reason": "A"}, {"reason": "B"}]
    (tmp_path / "events.jsonl").write_text('{"reason": "A"}\n{"rea')
    with pytest.raises(MirrorBroken, match="delete it"):
        mirror.read_events()
